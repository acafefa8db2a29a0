"""What was made for a kernel, kept for the next call: plans, taps, templates, within one bound for them all.

A cache that counts its entries says nothing of memory: 64 kernels of 1001 x 1001 are 500 MiB. So all caches
whose keys or values grow with a kernel share `KEPT_BYTES`, and what was used longest ago goes first.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from heapq import heappop, heappush
from itertools import count
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

KEPT_BYTES = 32 << 20
"""Most bytes that all results kept hold together, with the arguments they are found by."""

ENTRY_BYTES = 1024
"""What a result costs beside its own bytes: the key, the places in tables, the headers of objects."""


class _Entry:
    __slots__ = ("size", "used", "value")

    def __init__(self, value: Any, size: int) -> None:
        self.value = value
        self.size = size
        self.used = next(_clock)


_clock = count()
_entries: dict[tuple[Any, ...], _Entry] = {}
_queue: list[tuple[int, tuple[Any, ...]]] = []
"""A heap with one place for each entry, by when it was used last as far as is known, or before."""

_held = 0
# One that its own thread may take again: a destructor or a signal may ask for a filter at any moment.
_lock = threading.RLock()


def kept(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that a call with the same arguments returns the same object again.

    As `functools.lru_cache`, but what is bounded is memory, not the number of results, and that over all
    functions decorated. A result counts with its arguments, by `size_of`; one larger than the bound is not
    kept, nor is an exception.

    Parameters
    ----------
    function : callable
        Its arguments are hashable, and equal ones (1 and 1.0 are) give equal results, which those who get
        them do not change. Threads that ask at the same time may each call it, but get the same object.

    Returns
    -------
    callable

    Examples
    --------
    >>> @kept
    ... def ramp(size):
    ...     return tuple(range(size))
    >>> ramp(300) is ramp(300)
    True
    """

    @wraps(function)
    def look_up(*args: P.args, **named: P.kwargs) -> R:
        key = (function, args, *named.items())
        # No lock here: `get` is one operation, and a use that is counted late does no harm. Arguments without
        # a hash are not what the function takes: it says what it takes.
        try:
            entry = _entries.get(key)
        except TypeError:
            return function(*args, **named)
        if entry is None:
            value = function(*args, **named)
            entry = _keep(key, _Entry(value, ENTRY_BYTES + size_of(value, args, named)))
        entry.used = next(_clock)
        value = entry.value
        return value

    return look_up


def _keep(key: tuple[Any, ...], entry: _Entry) -> _Entry:
    """Keep an entry unless another thread was faster; return the one that is kept."""
    if entry.size > KEPT_BYTES:
        return entry
    global _held
    gone = []  # let go when the lock is free again
    with _lock:
        placed = _entries.setdefault(key, entry)
        if placed is entry:
            _held += entry.size
            heappush(_queue, (entry.used, key))
        while _held > KEPT_BYTES:
            used, oldest = heappop(_queue)
            if used != _entries[oldest].used:
                heappush(_queue, (_entries[oldest].used, oldest))  # it was used meanwhile: to a later place
                continue
            gone.append(_entries.pop(oldest))
            _held -= gone[-1].size
    return placed


def held_bytes() -> int:
    """Return how many bytes all results kept hold together; at most `KEPT_BYTES`."""
    return _held


def forget() -> None:
    """Let all results go."""
    global _held
    with _lock:
        gone = list(_entries.values())
        _entries.clear()
        _queue.clear()
        _held = 0
    del gone


def size_of(*values: object) -> int:
    """Estimate the bytes that values keep in memory together; what they share counts once.

    What has `nbytes` (an array, a kernel) tells it; a view tells its own, not those of the array behind it.
    Of collections and dataclasses the elements and fields are added.

    Examples
    --------
    >>> import numpy as np
    >>> size_of(np.zeros((10, 10)), np.zeros(4, np.float32))
    816
    """
    total = 0
    seen: dict[int, object] = {}
    waiting: list[Any] = list(values)
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(size := getattr(value, "nbytes", None), int):
            total += size
        elif names := _fields(type(value)):  # type: ignore[arg-type]  # a class has a hash
            waiting.extend([getattr(value, name) for name in names])
        else:
            total += sys.getsizeof(value)
            if isinstance(value, dict):
                waiting.extend(value.values())
            elif isinstance(value, tuple | list | set | frozenset):
                waiting.extend(value)
    return total


@cache
def _fields(kind: type) -> tuple[str, ...]:
    """Name the fields of a dataclass; of other types none."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def _after_fork() -> None:
    """Take a free lock in a child process: a thread that exists no more may have held the old one."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
