"""Fair timings on a noisy machine: two candidates in one process, by turns, and their medians."""

import statistics
import time
from collections.abc import Callable


def paired(first: Callable[[], object], second: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return the median milliseconds of two calls that take turns for about `seconds`."""
    first()
    second()
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    while len(times[0]) < 5 or (time.perf_counter() < end and len(times[0]) < 50):
        for call, kept in zip((first, second), times, strict=True):
            start = time.perf_counter()
            call()
            kept.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])
