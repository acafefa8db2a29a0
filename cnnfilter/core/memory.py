"""Where results are stored: aligned memory, taken again when the last result in it is gone.

Fresh memory of tens of megabytes comes from the system page by page, each page zeroed at its first touch; for
a 3 x 3 filter on 4096 x 4096 float32 that takes longer than the filter (5 ms against 12). So the memory of
large results that nobody holds any more is kept for the next ones, up to `KEPT_BYTES`.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT_BYTES = 256 << 20
"""Most bytes that are kept while nobody uses them."""

LEAST_BYTES = 1 << 20
"""Results below this size come from the ordinary allocator, which keeps memory of that size itself."""

CACHE_LINE = 64

_free: deque[NDArray[np.uint8]] = deque()


class _Lease:
    """Owns a piece of memory while arrays refer to it, and gives it back when the last is gone."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        # Only single operations on the deque, which need no lock: a destructor may run at any moment.
        _free.append(self.memory)
        while sum(piece.nbytes for piece in tuple(_free)) > KEPT_BYTES:
            try:
                _free.popleft()
            except IndexError:
                break


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
        return np.empty(shape, dtype)
    raw = _memory(size + CACHE_LINE)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def _memory(size: int) -> NDArray[np.uint8]:
    for _ in range(len(_free)):
        try:
            piece = _free.popleft()
        except IndexError:
            break
        if size <= piece.nbytes <= size + size // 4:
            return np.asarray(_Lease(piece))
        _free.append(piece)
    return np.asarray(_Lease(np.empty(size, np.uint8)))


SCRATCH_BYTES = 8 << 20
"""Most bytes of working memory that a thread keeps from one strip to the next."""

_mine = threading.local()


def scratch(*parts: tuple[int, np.dtype[Any]]) -> list[int]:
    """Return where working memory of this thread begins, one address for each `(elements, dtype)`.

    It holds zeros or what an earlier strip left there, and is good until the thread asks again. Fresh memory
    for every strip would be zeroed by the system page by page, which for small images takes longer than
    the filter.
    """
    starts, size = [], CACHE_LINE
    for elements, dtype in parts:
        starts.append(size)
        size += -(-elements * dtype.itemsize // CACHE_LINE) * CACHE_LINE
    held = getattr(_mine, "size", 0)
    if held < size or held > max(size, SCRATCH_BYTES):
        _mine.memory, _mine.size = np.zeros(size, np.uint8), size
        _mine.first = _mine.memory.__array_interface__["data"][0] // CACHE_LINE * CACHE_LINE
    first: int = _mine.first
    return [first + start for start in starts]
