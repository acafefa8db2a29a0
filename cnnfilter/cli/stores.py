"""Zarr stores at the command line, which are folders, and images all the same."""

import os
import time

from cnnfilter.batch.jobs import STREAM, Job
from cnnfilter.batch.process import Outcome, Process
from cnnfilter.cli.inputs import is_given, usage
from cnnfilter.cli.main import DONE, NOTHING_DONE, Interrupted, complain, note
from cnnfilter.cli.options import Settings
from cnnfilter.cli.record import record_of
from cnnfilter.cli.report import Report
from cnnfilter.errors import CnnFilterError, ImageFileError, ParameterError
from cnnfilter.files.forms import names_zarr

_OF_FILES = (
    "in_place", "skip_existing", "name", "format", "quality", "compression", "recursive", "files_from",
    "null", "matrix", "axes", "at", "missing", "fill", "max_pixels", "jobs",
)  # fmt: skip
"""Options that are of no use to stores."""


def run_store(process: Process, settings: Settings) -> int:
    """Filter one image from a store, or into one, block by block; return the exit status."""
    for name in _OF_FILES:
        if is_given(name):
            raise usage(f"--{name.replace('_', '-')} is not for Zarr stores")
    target = (settings.output or STREAM).rstrip(os.sep)
    if len(settings.inputs) != 1 or STREAM in (target, *settings.inputs):
        raise usage("a Zarr store is filtered alone, into another or a file: INPUT -o NAME.zarr")
    source = settings.inputs[0].rstrip(os.sep)
    job = Job(source, target, "replace")
    if settings.explain:
        return _explained(process, job, settings)
    record = record_of(process) if settings.json else None
    report = Report(
        1, quiet=settings.quiet, verbose=settings.verbose, as_json=settings.json, record=record
    )  # fmt: skip
    with report:
        try:
            report.add(job, _filtered(process, job, settings))
        except (CnnFilterError, OSError) as error:
            report.add(job, error)
        except Interrupted:
            from cnnfilter.lazy.places import place_of

            if place_of(target).exists(f"{target}.part.json"):
                note(f"{target}.part is not whole; --resume goes on with it")
            raise
    return report.status


def _explained(process: Process, job: Job, settings: Settings) -> int:
    from cnnfilter.cli.explain import print_plan
    from cnnfilter.lazy.running import foresee

    try:
        plan, foreseen, planes = foresee(
            process.steps, job.source, job.target, memory=settings.memory, value_range=process.value_range,
            linear=process.linear, depth=process.depth, threads=process.threads,
        )  # fmt: skip
    except (CnnFilterError, OSError) as error:
        complain(error, about=job.source)
        return NOTHING_DONE
    print_plan(job.source, plan, settings.json, foreseen=foreseen, planes=planes)
    return DONE


def _filtered(process: Process, job: Job, settings: Settings) -> Outcome:
    from cnnfilter.lazy.places import is_url, place_of
    from cnnfilter.lazy.running import run

    started = time.perf_counter()
    if not is_url(job.source) and not os.path.exists(job.source):
        raise ImageFileError("no such file or folder")
    inner, outer = (
        os.path.join(path if is_url(path) else os.path.realpath(path), "")
        for path in (job.target, job.source)
    )
    if inner.startswith(outer) or outer.startswith(inner):
        raise ParameterError(f"the output {job.target} lies in the input, or is it; name another place")
    is_there = names_zarr(job.target) and place_of(job.target).exists(job.target)
    if is_there and not settings.overwrite:
        raise ImageFileError(f"{job.target} exists already; --overwrite replaces it")
    done = run(
        process.steps, job.source, job.target, value_range=process.value_range, linear=process.linear,
        depth=process.depth, overwrite=settings.overwrite, resume=settings.resume, memory=settings.memory,
        threads=process.threads, scheduler=settings.scheduler,
    )  # fmt: skip
    return Outcome(
        form="Zarr" if names_zarr(job.target) else "",
        input_shape=done.source,
        shape=done.shape,
        depth=str(done.dtype),
        frames=1,
        clipped=done.clipped,
        seconds=time.perf_counter() - started,
        notes=done.notes,
        losses=done.notes,
    )
