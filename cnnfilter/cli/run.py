"""The run of an image command: settings to jobs, each job read, filtered and written."""

import gc
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import click

from cnnfilter.batch.files import run_jobs, workers_for
from cnnfilter.batch.jobs import STREAM, Existing, Job, Source, is_folder, jobs_to, refuse_losses
from cnnfilter.batch.process import Outcome, Process
from cnnfilter.cli.blocks import Blocks, run_on_worker
from cnnfilter.cli.inputs import (
    is_given,
    is_matrix,
    is_numbers,
    sources,
    spool_standard_input,
    text_form,
    usage,
)
from cnnfilter.cli.main import NOTHING_DONE, Interrupted, complain, note
from cnnfilter.cli.options import Settings
from cnnfilter.cli.report import Report
from cnnfilter.core.threads import processors
from cnnfilter.errors import ImageFileError
from cnnfilter.files import form_named, form_of
from cnnfilter.files.forms import names_zarr
from cnnfilter.filters.filter import Filter, KernelFilter

A_JOB = 256 << 20
"""Bytes that each of the files at a time should have, where the memory is bounded and --jobs does not say."""


def run_images(steps: Sequence[Filter], settings: Settings, command: str) -> int:
    """Filter all inputs and return the exit status."""
    _refuse_contradictions(settings)
    _refuse_slips(steps, settings)
    if settings.quiet:
        warnings.simplefilter("ignore")
    else:
        for step in steps:
            for remark in step.remarks(linear=settings.linear):
                note(remark)
    if settings.scheduler is not None:
        import logging

        logging.disable(logging.CRITICAL)  # dask.distributed tells of each worker that it replaces
    process = Process(
        tuple(steps),
        value_range=settings.range,
        linear=settings.linear,
        depth=settings.depth,
        form=settings.format,
        quality=settings.quality,
        compression=settings.compression,
        max_pixels=settings.max_pixels,
        axes=settings.axes,
        threads=settings.threads,
        missing=settings.missing,
        fill=settings.fill,
    )
    if any(map(names_zarr, filter(None, (*settings.inputs, settings.output)))):
        from cnnfilter.cli.stores import run_store

        return run_store(process, settings)
    if settings.at is not None or settings.matrix is not None or _is_text(settings):
        from cnnfilter.cli import numbers

        if settings.at is None:
            return numbers.run_matrices(process, settings)
        return numbers.run_at(process, settings, [] if settings.matrix is not None else _sources(settings)[0])
    if settings.explain:
        from cnnfilter.cli.explain import explain_images

        sources, _ = _sources(settings, stdin=False)
        jobs = [Job(source.path, settings.output or STREAM) for source in sources]
        return explain_images(process, settings, sources, _blocks(settings, jobs))
    if not settings.quiet:
        _note_shifts(steps)
    sources, unreadable = _sources(settings)
    jobs = make_jobs(settings, sources, command)
    if not jobs:
        complain(click.ClickException("no image was found in the inputs; nothing was done"))
        return NOTHING_DONE
    if settings.json or jobs[0].target == STREAM:
        os.write(sys.stdout.fileno(), b"")  # fails before the work is done, if it is closed
    gc.freeze()
    gc.enable()
    # A folder that was not named as one is hardly meant to be new.
    folder = "" if is_folder(settings.output or "") else os.path.dirname(settings.output or "")
    is_new = bool(folder) and not os.path.exists(folder)
    blocks = _blocks(settings, jobs)
    report = Report(
        len(jobs),
        quiet=settings.quiet,
        verbose=settings.verbose,
        as_json=settings.json,
        progress=settings.progress,
        unreadable=unreadable,
        stream=sys.stderr if jobs[0].target == STREAM else sys.stdout,
        resumable=not settings.in_place and not settings.overwrite,
        record=_record(process) if settings.json else None,
    )
    try:
        with report, _outcomes(process, jobs, blocks, settings) as outcomes:
            for job, outcome in outcomes:
                if isinstance(outcome, BrokenPipeError):
                    raise outcome
                report.add(job, outcome)
    except Interrupted:
        for part in blocks.leave():
            note(f"{part} is not whole; --resume goes on with it")
        raise
    if is_new and not settings.quiet:
        note(f"{folder}: this folder was made")
    if settings.verbose:
        from cnnfilter.core.jit import compiled

        if reason := compiled.note():
            note(f"filters were compiled for this run alone: {reason}")
    return report.status


@contextmanager
def _outcomes(
    process: Process, jobs: Sequence[Job], blocks: Blocks, settings: Settings
) -> Iterator[Iterable[tuple[Job, Outcome | Exception | None]]]:
    """Do the jobs, here or on the workers of a scheduler, and say what becomes of each."""
    if settings.scheduler is None:
        yield run_jobs(process, jobs, blocks.workers, blocks.run)
        return
    from cnnfilter.batch.cluster import run_on_cluster
    from cnnfilter.cluster import workers

    with workers(settings.scheduler, [os.path.abspath(jobs[0].source)]) as found:
        for remark in () if settings.quiet else found.remarks:
            note(remark)
        work = partial(run_on_worker, blocks.memory, blocks.limited, blocks.resume)
        with closing(run_on_cluster(found, process, jobs, work)) as outcomes:
            yield outcomes


def _record(process: Process) -> dict[str, Any]:
    from cnnfilter.cli.record import record_of

    return record_of(process)


def _blocks(settings: Settings, jobs: Sequence[Job]) -> Blocks:
    """Make ready what decides of each file whether it is filtered in blocks."""
    for job in jobs if settings.resume else ():
        if STREAM in job[:2]:
            stream = "standard input" if job.source == STREAM else "standard output"
            raise usage(f"--resume needs files: there is nothing to go on with of {stream}")
    workers = settings.jobs
    if settings.memory is not None:
        if any(job.source == STREAM for job in jobs):
            spool_standard_input()
        workers = workers or max(1, min(processors(), settings.memory // A_JOB))
    shown = settings.progress or (settings.progress is None and not settings.quiet and sys.stderr.isatty())
    return Blocks(
        settings.memory,
        workers=workers_for(jobs, workers),
        limited=is_given("max_pixels"),
        resume=settings.resume,
        bar=shown and len(jobs) == 1,
    )


def _refuse_contradictions(settings: Settings) -> None:
    for first, second in (
        ("overwrite", "skip_existing"),
        ("in_place", "output"),
        ("in_place", "name"),
        ("in_place", "format"),
        ("in_place", "skip_existing"),
        ("quiet", "verbose"),
        ("scheduler", "in_place"),
        ("scheduler", "matrix"),
        ("scheduler", "at"),
        ("scheduler", "jobs"),
    ):
        if getattr(settings, first) and getattr(settings, second):
            options = " and ".join(f"--{name.replace('_', '-')}" for name in (first, second))
            raise usage(f"{options} contradict each other")
    if settings.fill and settings.missing == "none":
        raise usage("--fill and --missing none contradict each other")
    for name in ("output", "name"):
        if getattr(settings, name) == "":
            raise usage(f"--{name} '' is no name")
    if settings.format and not text_form(settings.format):
        form_named(settings.format)


def _refuse_slips(steps: Sequence[Filter], settings: Settings) -> None:
    """Refuse inputs that are no files but look like a value, or like the output."""
    if all(path == STREAM or os.path.lexists(path) for path in settings.inputs):
        return
    from cnnfilter.cli.slips import beside_matrix, inputs_meant

    if settings.matrix is not None:
        raise usage(beside_matrix(settings.matrix, settings.inputs))

    numbers = [option.name for option in steps[0].options if option.form in ("lengths", "size")]
    option = f"--{'sigma' if 'sigma' in numbers else numbers[0]}" if numbers and len(steps) == 1 else None
    is_run = not settings.in_place and not settings.explain and settings.at is None
    if meant := inputs_meant(settings.inputs, option, unnamed_output=is_run and settings.output is None):
        raise usage(meant)


def _note_shifts(steps: Sequence[Filter]) -> None:
    """Tell of kernels without a middle, which move a picture."""
    for step in steps:
        given = step.arguments
        kept = given.get("padding", "same") in ("same", "equal") and given.get("stride", 1) in (1, (1, 1))
        if not isinstance(step, KernelFilter) or not kept:
            continue
        rows, columns = step.window()
        dilation = given.get("dilation", 1)
        down, right = dilation if isinstance(dilation, tuple) else (dilation, dilation)
        # What lies a whole number of pixels to either side of a middle has one.
        sides = (("up", (rows - 1) * down), ("left", (columns - 1) * right))
        if ways := [way for way, reach in sides if reach % 2]:
            half = f"moves the picture half a pixel {' and '.join(ways)}"
            note(f"{step.name}: {rows}x{columns} has no middle, and {half}; an odd size does not")


def _is_text(settings: Settings) -> bool:
    """Tell whether input or output is a matrix in text; folders and lists are not searched for it."""
    if settings.explain and not settings.inputs:
        return False  # an image is assumed
    if text_form(settings.format):
        if len(settings.inputs) > 1 or settings.files_from or any(map(os.path.isdir, settings.inputs)):
            raise usage(f"--format {settings.format} is for one matrix; name one file")
        return True
    matrices = [path for path in settings.inputs if is_matrix(path)]
    if matrices and len(settings.inputs) > 1:
        raise usage(f"{matrices[0]}: matrices in text are filtered one at a time")
    if matrices or (settings.output is not None and is_matrix(settings.output) and not settings.format):
        return len(settings.inputs) <= 1 and not settings.files_from
    piped = settings.inputs == (STREAM,) or not (settings.inputs or settings.files_from)
    return piped and is_numbers(STREAM)


def _sources(settings: Settings, *, stdin: bool = True) -> tuple[list[Source], int]:
    return sources(
        settings.inputs,
        settings.files_from,
        null=settings.null,
        recursive=settings.recursive,
        quiet=settings.quiet,
        stdin=stdin,
        output=settings.output,
    )


def make_jobs(settings: Settings, sources: Sequence[Source], command: str) -> list[Job]:
    """Say where each source's result goes, and refuse what would lose a file."""
    if settings.in_place:
        if any(source.path == STREAM for source in sources):
            raise usage("standard input cannot be replaced; --in-place needs files")
        jobs = [Job(source.path, source.path) for source in sources]
    else:
        output = settings.output or STREAM
        is_one = output == STREAM or not is_folder(output)
        if is_one and any(os.path.isdir(path) for path in settings.inputs):
            raise usage("a folder needs an output folder: -o DIR/ (made if missing), or --in-place")
        # A path that was typed may be replaced, one that was derived may not.
        may_replace = settings.overwrite or is_one
        existing: Existing = "skip" if settings.skip_existing else "replace" if may_replace else "refuse"
        fields = {"command": command.replace(" ", "-")}
        form, name = settings.format, settings.name
        jobs = jobs_to(output, sources, form=form, existing=existing, name=name, fields=fields)
        if is_one:
            _check_target(output, settings)
    refuse_losses(jobs, in_place=settings.in_place)
    return jobs


def _check_target(target: str, settings: Settings) -> None:
    """Refuse what one image cannot be written to, and tell of a name that promises another form."""
    if target == STREAM:
        if sys.stdout.isatty():
            raise usage("an image is not for a terminal; give -o FILE, or redirect standard output")
        return
    if not settings.format and not _is_special(target):
        try:
            form_of(target)
        except ImageFileError as error:
            raise usage(str(error)) from None
    if settings.format and not settings.quiet:
        from cnnfilter.cli.outputs import note_target

        note_target(target, settings.format)


def _is_special(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path)
