"""Fair timings on a noisy machine: the candidates in one process, by turns, and their medians."""

import statistics
import time
from collections.abc import Callable

SHORTEST = 1e-3
"""Seconds that are timed at a time: shorter calls are repeated, for the clock and for warm caches."""


def by_turns(*calls: Callable[[], object], seconds: float) -> list[float]:
    """Return the median milliseconds of each call, taking turns for about `seconds` in all."""
    repeats = [_repeats(call) for call in calls]
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < 5 or (time.perf_counter() < end and len(times[0]) < 50):
        for call, count, kept in zip(calls, repeats, times, strict=True):
            kept.append(_milliseconds(call, count))
    return [statistics.median(kept) for kept in times]


def _repeats(call: Callable[[], object]) -> int:
    """Call it twice, the first time to warm up, and return how often it fits `SHORTEST`."""
    call()
    return max(1, min(1000, int(SHORTEST * 1e3 / max(_milliseconds(call, 1), 1e-6))))


def _milliseconds(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) * 1e3 / count
