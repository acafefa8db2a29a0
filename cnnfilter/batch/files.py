"""A batch from end to end: the images that are meant, the jobs they become, and the workers that do them."""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Literal, NamedTuple

from cnnfilter.batch.jobs import (
    STREAM,
    Existing,
    Job,
    find_images,
    is_folder,
    jobs_to,
    make_folders,
    refuse_losses,
)
from cnnfilter.batch.process import Outcome, Process
from cnnfilter.batch.workers import run
from cnnfilter.core import threads
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files import form_of
from cnnfilter.wholefile import remove_stale

Path = str | os.PathLike[str]
Status = Literal["done", "skipped", "failed"]


class FileResult(NamedTuple):
    """What became of one input of a batch.

    Attributes
    ----------
    input, output : str
        Paths; no output for a folder that could not be searched.
    status : {"done", "skipped", "failed"}
    outcome : Outcome or None
        Shapes, dtype, notes and so on of what was done.
    error : Exception or None
        Why it failed.
    """

    input: str
    output: str
    status: Status
    outcome: Outcome | None = None
    error: Exception | None = None


def status_of(outcome: Outcome | Exception | None) -> Status:
    """Name the end of a job."""
    return "skipped" if outcome is None else "failed" if isinstance(outcome, Exception) else "done"


def workers_for(jobs: Sequence[Job], workers: int | None = None) -> int:
    """Return how many jobs are done at a time: as many as asked for, or as there are processors."""
    return max(1, min(workers or threads.processors(), len(jobs)))


def run_jobs(
    process: Process,
    jobs: Sequence[Job],
    workers: int | None = None,
    work: Callable[[Process, Job], Outcome | None] = Process.run,
) -> Generator[tuple[Job, Outcome | Exception | None]]:
    """Make the folders that are needed and do the jobs, `workers` at a time.

    Parameters
    ----------
    process : Process
        What is done to each file. Unless it says how many threads filter one, the workers share them.
    jobs : sequence of Job
    workers : int, optional
        Default: the processors of this process.
    work : callable, optional
        Does a job.

    Returns
    -------
    generator of job and outcome
        As they end: what was done, the exception it failed with, or None for one that was left alone.
    """
    make_folders(jobs)
    for folder in {os.path.dirname(job.target) for job in jobs if job.target != STREAM}:
        remove_stale(folder or os.curdir)
    workers = workers_for(jobs, workers)
    if not process.threads:
        process = process._replace(threads=max(1, threads.count() // workers))
    return run(partial(work, process), jobs, workers)


def filter_images(
    inputs: Iterable[Path], output: Path, process: Process, *, existing: Existing, workers: int | None = None
) -> list[FileResult]:
    """Filter image files and the images in folders.

    Parameters
    ----------
    inputs : iterable of paths
    output : path
        A folder, made if missing; or for one image a file, if the suffix is one of an image.
    process : Process
    existing : {"replace", "refuse", "skip"}
        What to do about an output that is there already.
    workers : int, optional

    Returns
    -------
    list of FileResult
        In the order of the inputs; folders that could not be searched come last.

    Raises
    ------
    ParameterError
        Before anything is done: when two results would go to one file, or one over an input.
    """
    named, target = [os.fspath(path) for path in inputs], os.fspath(output)
    for path in (*named, target):
        if path in ("", STREAM):
            raise ParameterError(f"{path!r} is no path of a file; see `read` and `write` for file objects")
    found = find_images(named, recursive=True, output=target)
    # What is not named as an image is a folder, which may yet have to be made.
    place = target if is_folder(target) or _names_image(target) else os.path.join(target, "")
    jobs = jobs_to(place, found.sources, form=process.form, existing=existing)
    refuse_losses(jobs, in_place=False)
    with closing(run_jobs(process, jobs, workers)) as outcomes:  # interrupted, no other file is begun
        ended = dict(outcomes)
    return [*(_result(job, ended[job]) for job in jobs), *map(_unsearched, found.unreadable)]


def _names_image(path: str) -> bool:
    try:
        form_of(path)
    except ImageFileError:
        return False
    return True


def _result(job: Job, outcome: Outcome | Exception | None) -> FileResult:
    if isinstance(outcome, Exception):
        return FileResult(job.source, job.target, status_of(outcome), error=outcome)
    return FileResult(job.source, job.target, status_of(outcome), outcome)


def _unsearched(error: OSError) -> FileResult:
    return FileResult(str(error.filename), "", "failed", error=error)
