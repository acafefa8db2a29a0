"""Threads over strips of rows. The loops release the GIL, so plain threads run side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from cnnfilter.errors import DtypeError, ParameterError

VARIABLE = "CNNFILTER_THREADS"
LARGEST = 1024

_inside = threading.local()


def count(threads: int | None = None) -> int:
    """Return how many threads to use: the argument, ``CNNFILTER_THREADS``, or one for each core.

    Examples
    --------
    >>> count(3)
    3
    """
    if threads is None:
        text = os.environ.get(VARIABLE, "")
        if not text:
            return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if not text.isascii() or not text.isdigit():
            raise ParameterError(f"{VARIABLE}={text!r} is not a number of threads; use 1 to {LARGEST}")
        threads = int(text)
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        raise DtypeError(f"threads {threads!r} is not an integer; use 1 to {LARGEST}")
    number = int(threads.__index__())
    if not 1 <= number <= LARGEST:
        raise ParameterError(f"threads {threads!r} is out of range; use 1 to {LARGEST}")
    return number


def run_strips(function: Callable[[int, int], None], rows: int, threads: int, least: int) -> None:
    """Call `function(first, last)` for strips that cover `range(rows)`, each of `least` rows or more.

    One strip runs in the calling thread, the others beside it; the first exception is raised again here.
    Called from within a strip it runs in one piece.
    """
    strips = max(1, min(threads, rows // max(least, 1)))
    if strips == 1 or getattr(_inside, "strip", False):
        function(0, rows)
        return
    edges = [rows * strip // strips for strip in range(strips + 1)]
    errors: list[BaseException] = []

    def work(first: int, last: int) -> None:
        _inside.strip = True
        try:
            function(first, last)
        except BaseException as error:
            errors.append(error)
        finally:
            _inside.strip = False

    helpers = [
        threading.Thread(target=work, args=edge, daemon=True)
        for edge in zip(edges[1:-1], edges[2:], strict=True)
    ]
    for helper in helpers:
        helper.start()
    work(edges[0], edges[1])
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
