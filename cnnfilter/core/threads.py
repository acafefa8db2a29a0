"""Threads over strips of rows. The loops release the GIL, so plain threads run side by side."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from cnnfilter.core.container import processor_quota
from cnnfilter.core.geometry import whole_number
from cnnfilter.errors import DtypeError, ParameterError, shown

if TYPE_CHECKING:
    from queue import SimpleQueue

VARIABLE = "CNNFILTER_THREADS"
LARGEST = 1024

_inside = threading.local()


def count(threads: int | None = None) -> int:
    """Return how many threads to use: the argument, ``CNNFILTER_THREADS``, or one for each processor.

    Examples
    --------
    >>> count(3)
    3
    """
    if threads is None:
        return _usual()
    number = whole_number(threads)
    if number is None:
        raise DtypeError(f"threads {shown(threads)} is not an integer; use 1 to {LARGEST}")
    if not 1 <= number <= LARGEST:
        raise ParameterError(f"threads {shown(threads)} is out of range; use 1 to {LARGEST}")
    return number


def processors() -> int:
    """Count the processors that this process may use: its affinity, and the quota of its container."""
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(seen, processor_quota() or seen)


def _usual() -> int:
    text = os.environ.get(VARIABLE, "")
    if not text:
        return processors()
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= LARGEST:
        raise ParameterError(f"{VARIABLE}={text!r} is not a number of threads; use 1 to {LARGEST}")
    return int(text)


class Workers(NamedTuple):
    """How many threads are to work, and on how many strips in all.

    More strips than threads let a long call be interrupted: only between two strips the calling thread is
    back in Python, where a signal becomes an exception.
    """

    threads: int
    strips: int


def run_strips(function: Callable[[int, int], None], rows: int, workers: int | Workers, least: int) -> None:
    """Call `function(first, last)` for strips that cover `range(rows)`, each of `least` rows or more.

    The calling thread takes strips as the others do, so it never waits for a thread that has no time. The
    first exception is raised again here, once no strip runs any more; strips not begun by then are left out.
    Called from within a strip it runs in one piece. A number of workers stands for as many strips.
    """
    threads, strips = workers if isinstance(workers, Workers) else (workers, workers)
    strips = max(1, min(strips, rows // max(least, 1)))
    if strips == 1 or getattr(_inside, "strip", False):
        function(0, rows)
        return
    edges = [rows * strip // strips for strip in range(strips + 1)]
    helpers = min(threads, strips) - 1
    work = _Work(function, pairwise(edges))
    _inside.strip = True
    try:
        _pool.offer(work, helpers)
        work.take()
    finally:
        _inside.strip = False
        work.close()
        _pool.withdraw(helpers)
    if work.errors:
        # Taken off the list, so that the error does not keep itself and the image alive.
        raise work.errors.pop(0)


class _Work:
    """The strips of one call, taken one after the other by whoever is free."""

    def __init__(self, function: Callable[[int, int], None], strips: Iterable[tuple[int, int]]) -> None:
        self.function = function
        self.strips = deque(strips)
        self.errors: list[BaseException] = []
        self.lock = threading.Lock()
        self.helpers = 0
        self.closed = False
        self.deserted = threading.Event()

    def take(self) -> None:
        with suppress(IndexError):
            while True:
                strip = self.strips.popleft()
                try:
                    self.function(*strip)
                except BaseException as error:
                    self.errors.append(error)
                    self.strips.clear()

    def help(self) -> None:
        with self.lock:
            if self.closed:
                return
            self.helpers += 1
        self.take()
        with self.lock:
            self.helpers -= 1
            if self.closed and not self.helpers:
                self.deserted.set()

    def close(self) -> None:
        """Return when no helper works here any more, even if the user interrupts meanwhile."""
        self.strips.clear()
        with self.lock:
            self.closed = True
            if not self.helpers:
                self.deserted.set()
        while not self.deserted.is_set():
            try:
                self.deserted.wait()
            except KeyboardInterrupt as interruption:
                self.errors.append(interruption)


class _Pool:
    """Threads that wait for work; as many as the calls that run now have asked for at most."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.offers: SimpleQueue[_Work] | None = None
        self.threads = 0
        self.wanted = 0

    def offer(self, work: _Work, helpers: int) -> None:
        with self.lock:
            if self.offers is None:
                from queue import SimpleQueue

                self.offers = SimpleQueue()
            self.wanted += helpers
            # Where the system gives no more threads, those that run do the work.
            with suppress(RuntimeError):
                while self.threads < self.wanted:
                    threading.Thread(target=_help, args=(self.offers,), daemon=True).start()
                    self.threads += 1
        for _ in range(helpers):
            self.offers.put(work)

    def withdraw(self, helpers: int) -> None:
        with self.lock:
            self.wanted -= helpers


def _help(offers: SimpleQueue[_Work]) -> None:
    _inside.strip = True
    while True:
        offers.get().help()


_pool = _Pool()


def _after_fork() -> None:
    """Begin anew in a child process, where the threads of its parent do not exist."""
    global _pool
    _pool = _Pool()
    _inside.strip = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
