"""Where results are stored: aligned memory, taken again when the last result in it is gone.

Fresh memory of tens of megabytes comes from the system page by page, each page zeroed at its first touch; for
a 3 x 3 filter on 4096 x 4096 float32 that takes longer than the filter (5 ms against 12). So the memory of
large results that nobody holds any more is kept for the next ones, up to `KEPT_BYTES`; what no call took for
`KEPT_SECONDS` is given back by the one that comes next.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import keeping

KEPT_BYTES = 256 << 20
"""Most bytes that are kept while nobody uses them."""

KEPT_SECONDS = 1.0
"""How long: between the calls of a loop, but not while a program does something else."""

LEAST_BYTES = 1 << 20
"""Results below this size come from the ordinary allocator, which keeps memory of that size itself."""

CACHE_LINE = 64

Piece = NDArray[np.uint8]

_free: deque[tuple[float, Piece]] = deque()
"""Pieces that nobody uses, and since when."""


class _Lease:
    """Owns a piece of memory while arrays refer to it, and gives it back when the last is gone."""

    def __init__(self, memory: Piece) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        # Only single operations on the deque, which need no lock: a destructor may run at any moment.
        _free.append((monotonic(), self.memory))
        while sum(piece.nbytes for _, piece in tuple(_free)) > KEPT_BYTES:
            try:
                _free.popleft()
            except IndexError:
                break


def release_memory() -> None:
    """Give back to the system all memory that is kept for later calls.

    That is the memory of results that nobody holds any more, at most 256 MiB, and what was made for kernels,
    at most 32 MiB, and the calling thread's working memory. Calls that follow take a little longer, once.
    Results that are held stay as they are.

    Examples
    --------
    >>> release_memory()
    """
    _free.clear()
    keeping.forget()
    _mine.__dict__.clear()
    _trim()


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an uninitialised, writeable array; a large one starts on a cache line.

    Examples
    --------
    >>> aligned_empty((480, 1640), np.dtype("f4")).ctypes.data % 64
    0
    """
    size = math.prod(shape) * dtype.itemsize
    if size > sys.maxsize - CACHE_LINE:
        raise MemoryError(f"no memory holds {'x'.join(map(str, shape))} values")
    if size < LEAST_BYTES:
        if _free:
            _taken(size)
        return np.empty(shape, dtype)
    raw = _memory(size + CACHE_LINE)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def _memory(size: int) -> Piece:
    piece = _taken(size) if _free else None
    return np.asarray(_Lease(np.empty(size, np.uint8) if piece is None else piece))


def _taken(size: int) -> Piece | None:
    """Take a piece that holds `size` bytes and not much more, and let go what was not used for long."""
    now = monotonic()
    found = None
    gone = False
    for _ in range(len(_free)):
        try:
            since, piece = _free.popleft()
        except IndexError:
            break
        if found is None and LEAST_BYTES <= size <= piece.nbytes <= size + size // 4:
            found = piece
        elif now - since < KEPT_SECONDS:
            _free.append((since, piece))
        else:
            gone = True
    if gone:
        del piece
        _trim()
    return found


def _trim() -> None:
    """Let the C library give free memory back where it would keep it: between pieces that are in use."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(ctypes.c_size_t(0))


SCRATCH_BYTES = 8 << 20
"""Most bytes of working memory that a thread keeps from one strip to the next."""

_mine = threading.local()


class Scratch:
    """The layout of a method's working memory, which every thread keeps from one strip to the next.

    Fresh memory for every strip would be zeroed by the system page by page, which for small images takes
    longer than the filter.

    Parameters
    ----------
    parts : pairs of int and dtype
        Elements of each part, and their type.
    """

    def __init__(self, *parts: tuple[int, np.dtype[Any]]) -> None:
        starts, size = [], CACHE_LINE
        for elements, dtype in parts:
            starts.append(size)
            size += -(-elements * dtype.itemsize // CACHE_LINE) * CACHE_LINE
        self._starts, self._size = tuple(starts), size

    def places(self) -> tuple[Piece, list[int]]:
        """Return the memory of this thread, and the address in it of each part.

        It holds zeros or what an earlier strip left there. Whoever holds the memory may use it, even if
        meanwhile a destructor or a signal asks for more.
        """
        held = getattr(_mine, "size", 0)
        if held < self._size or held > max(self._size, SCRATCH_BYTES):
            _mine.memory, _mine.size = np.zeros(self._size, np.uint8), self._size
            _mine.first = _mine.memory.__array_interface__["data"][0] // CACHE_LINE * CACHE_LINE
        memory, first = _mine.memory, _mine.first
        return memory, [first + start for start in self._starts]
