"""Many files on the workers of a cluster, a batch of them a task; all see one file system.

A task may be done twice, and its results replace each other whole. So whether an output may be made is asked
before it is handed out, and never again.
"""

import os
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import TypeAlias
from uuid import uuid4

from cnnfilter import wholefile
from cnnfilter.batch.jobs import STREAM, Job, make_folders
from cnnfilter.batch.process import Outcome, Process, is_left_alone
from cnnfilter.cluster import Workers, still_wanted
from cnnfilter.errors import CnnFilterError, ImageFileError, ParameterError

Ended: TypeAlias = Outcome | Exception | None

BATCH = 50
"""Most files of a task, which takes the scheduler four messages, and is done again if its worker fails."""


def run_on_cluster(
    workers: Workers,
    process: Process,
    jobs: Sequence[Job],
    work: Callable[[Process, Job], Outcome | None] = Process.run,
) -> Generator[tuple[Job, Ended]]:
    """Make the folders that are needed and have the jobs done; see `cnnfilter.batch.files.run_jobs`.

    Raises
    ------
    ParameterError
        Before anything is done: for the standard streams, and for a file that would replace its input.
    ClusterError
        A scheduler, or workers, that were lost.
    """
    for job in jobs:
        if STREAM in job[:2]:
            raise ParameterError("workers have no standard streams; name files, and a folder: -o DIR/")
        if job.source == job.target:
            raise ParameterError(
                f"{job.source} would be filtered twice if its worker failed after replacing it; "
                "write to another folder"
            )
    make_folders(jobs)
    folders = {os.path.dirname(job.target) or os.curdir for job in jobs}
    for folder in folders:
        wholefile.remove_stale(folder)
    if not process.threads:
        process = process._replace(threads=1)  # others do other files
    mark = f"{uuid4().hex[:8]}-"
    settled: deque[tuple[Job, Ended]] = deque()
    size = max(1, min(BATCH, -(-len(jobs) // workers.window())))
    try:
        done = partial(_done, process, work, mark, os.getcwd())
        with closing(workers.do(done, _batches(jobs, size, settled))) as ended:
            for batch, outcomes in ended:
                each = [outcomes] * len(batch) if isinstance(outcomes, Exception) else outcomes
                yield from zip(batch, each, strict=True)
                while settled:
                    yield settled.popleft()
        yield from settled
    finally:
        for folder in folders:
            wholefile.remove_unfinished(folder, mark)


def _batches(jobs: Sequence[Job], size: int, settled: deque[tuple[Job, Ended]]) -> Iterator[tuple[Job, ...]]:
    """Yield jobs that are to be done; those that are not are settled."""

    def due() -> Iterator[Job]:
        for job in jobs:
            try:
                if not is_left_alone(job):
                    yield job
                else:
                    settled.append((job, None))
            except (CnnFilterError, OSError) as error:
                settled.append((job, error))

    waiting = due()
    return iter(lambda: tuple(islice(waiting, size)), ())


def _done(
    process: Process,
    work: Callable[[Process, Job], Outcome | None],
    mark: str,
    home: str,
    batch: tuple[Job, ...],
) -> list[Ended]:
    """Do the jobs of a task, on a worker, with paths that begin at `home`; return what became of each."""
    is_wanted, outcomes = still_wanted(), list[Ended]()
    token = wholefile.run.set(mark)
    try:
        for job in batch:
            here = job._replace(
                source=os.path.join(home, job.source),
                target=os.path.join(home, job.target),
                existing="replace",
            )
            if not is_wanted():
                break  # nobody hears of it
            try:
                outcomes.append(work(process, here))
            except Exception as error:
                for path, there in zip(job[:2], here[:2], strict=True):
                    error.args = tuple(
                        each.replace(there, path) if isinstance(each, str) else each for each in error.args
                    )
                outcomes.append(_sendable(error))
    finally:
        wholefile.run.reset(token)
    return outcomes


def _sendable(error: Exception) -> Exception:
    """Return an exception that arrives as it is, or one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # of others' classes, whatever they do
        return ImageFileError(f"{type(error).__name__}: {error}")
    return error
