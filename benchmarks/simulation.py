"""The cost model of many files and of one huge image on many workers, some of which fail.

A task is lost when its worker fails, and begins anew on another one; what has been written stays. Workers
come back after a while. Nothing but tasks and counts goes through the scheduler.
"""

from typing import NamedTuple

import numpy as np

BACK = 600.0
"""Seconds until a worker that failed is there again."""

MESSAGES = 4
"""Of a task: it is sent, begun, done and forgotten."""


class Job(NamedTuple):
    """Work of equal tasks.

    Attributes
    ----------
    name : str
    tasks : int
    seconds : float
        Of a task on one worker.
    read, written : float
        Bytes of a task.
    """

    name: str
    tasks: int
    seconds: float
    read: float
    written: float


class Result(NamedTuple):
    """What a job took: seconds, executions of tasks, and failures of workers."""

    wall: float
    executions: int
    failures: int


def photographs(seconds: float, size: float, *, count: int = 10**9, batch: int = 50) -> Job:
    """Return the job of many files: seconds and bytes are those of one."""
    return Job(f"{count:.0e} photographs", -(-count // batch), batch * seconds, batch * size, batch * size)


def mosaic(seconds: float, *, pixels: int = 10**12, side: int = 8192, reach: int = 8) -> Job:
    """Return the job of one huge image of 8 bits by regions; the seconds are those of 10⁹ pixels."""
    read = (side + 2 * reach) ** 2
    return Job(f"{pixels:.0e} pixels", -(-pixels // side**2), seconds * read / 1e9, read, side**2)


def simulated(job: Job, workers: int, between: float, seed: int = 0) -> Result:
    """Simulate a job on workers each of which fails every `between` seconds, on the mean.

    Examples
    --------
    >>> simulated(Job("", 1000, 10.0, 0, 0), 10, 1e12)
    Result(wall=1000.0, executions=1000, failures=0)
    """
    generator = np.random.default_rng(seed)
    low, high = 0.0, job.tasks * job.seconds / workers * 2 + 100 * (between + BACK) / workers
    ups = [_ups(generator, high, between) for _ in range(workers)]
    while high - low > job.seconds / 100:
        middle = (low + high) / 2
        done = sum(_whole(up, middle, job.seconds)[0] for up in ups)
        low, high = (low, middle) if done >= job.tasks else (middle, high)
    lost = failures = 0
    for up in ups:
        _, ended, broken = _whole(up, high, job.seconds)
        lost, failures = lost + ended, failures + broken
    return Result(round(high, 1), job.tasks + lost, failures)


def _ups(generator: np.random.Generator, until: float, between: float) -> np.ndarray:
    """Return when a worker begins and ends to be up, until after a time."""
    spans, at = [], 0.0
    while at <= until:
        end = at + generator.exponential(between)
        spans.append((at, end))
        at = end + BACK
    return np.array(spans)


def _whole(up: np.ndarray, until: float, seconds: float) -> tuple[int, int, int]:
    """Return the tasks that a worker ends, those that it loses, and its failures, until a time."""
    up = up[up[:, 0] < until]
    lengths = np.minimum(up[:, 1], until) - up[:, 0]
    whole = np.floor(lengths / seconds + 1e-9)
    failed = up[:, 1] < until
    return int(whole.sum()), int(np.count_nonzero(failed & (lengths > whole * seconds))), int(failed.sum())


def described(photo: float, size: float, gigapixel: float, workers: int, days: float) -> str:
    """Say what both jobs take, with workers that fail and with such as do not.

    A photograph takes so many seconds and bytes, and 10⁹ pixels so many seconds.
    """
    lines = [
        f"{workers} workers, each fails once in {days:g} days and is away for {BACK:g} s; a photograph takes "
        f"{photo:.3g} s and {size / 1e6:.3g} MB, 10⁹ pixels {gigapixel:.3g} s"
    ]
    for job in (photographs(photo, size), mosaic(gigapixel)):
        never, found = (simulated(job, workers, between) for between in (1e15, days * 86400))
        lines += [
            f"{job.name}:",
            f"  {job.tasks} tasks of {job.seconds:.3g} s, {MESSAGES * found.executions:.3g} messages "
            f"({MESSAGES * found.executions / found.wall:.3g} a second)",
            f"  {job.tasks * job.read / 1e12:.4g} TB read, {job.tasks * job.written / 1e12:.4g} TB written",
            f"  {never.wall:.4g} s without failures, {found.wall:.4g} s with {found.failures}",
            f"  {found.executions - job.tasks} tasks done again",
        ]
    return "\n".join(lines)
