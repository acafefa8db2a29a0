"""What is decoded once and kept for the next block, within a bound: two blocks often need the same chunks."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import product
from typing import Any, Generic, TypeVar

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.pixels import Array

PART_BYTES = 16 << 20
"""Pixels at a time that are looked through before an image is filtered."""

K = TypeVar("K", bound=Hashable)


class Kept(Generic[K]):
    """Arrays that are made when they are asked for; those used last are kept. Threads may ask at a time.

    Parameters
    ----------
    make : callable
        Makes the array of a key.
    most : int
        Bytes of all that is kept, or of one array.

    Examples
    --------
    >>> import numpy as np
    >>> squares = Kept(lambda number: np.full(1000, number**2), 20_000)
    >>> squares[3] is squares[3], squares[3][0]
    (True, np.int64(9))
    """

    def __init__(self, make: Callable[[K], Array], most: int) -> None:
        self.make, self.most = make, most
        self.kept: OrderedDict[K, Array] = OrderedDict()
        self.making: dict[K, threading.Lock] = {}
        self.lock = threading.Lock()

    def __getitem__(self, key: K) -> Array:
        with self.lock:
            alone = self.making.setdefault(key, threading.Lock())
        with alone:  # who asks for it meanwhile waits, and does not make it again
            with self.lock:
                found = self.kept.get(key)
                if found is not None:
                    self.kept.move_to_end(key)
                    return found
            made = self.make(key)
            with self.lock:
                self.kept[key] = made
                while len(self.kept) > 1 and sum(each.nbytes for each in self.kept.values()) > self.most:
                    self.making.pop(self.kept.popitem(last=False)[0], None)
            return made


def paste(part: Array, at: Sequence[int], tile: Array, place: Sequence[int]) -> None:
    """Copy what a tile that lies at `place` has in common with a part that lies at `at`.

    Examples
    --------
    >>> import numpy as np
    >>> part = np.zeros((2, 3), int)
    >>> paste(part, (0, 1), np.ones((5, 2), int), (1, 0))
    >>> part
    array([[0, 0, 0],
           [1, 0, 0]])
    """
    here, there = [], []
    for first, length, start, size in zip(at, part.shape, place, tile.shape, strict=False):
        low, high = max(first, start), min(first + length, start + size)
        here.append(slice(low - first, high - first))
        there.append(slice(low - start, high - start))
    part[tuple(here)] = tile[tuple(there)]


def parts_of(source: Any) -> Iterator[tuple[Pair, Pair]]:
    """Yield rows and columns of parts that together are an image: rows, or squarer ones of high chunks.

    Examples
    --------
    >>> class Tiles:
    ...     shape, dtype, chunks = (5000, 90_000), "uint8", (512, 512)
    >>> list(parts_of(Tiles))[:3]
    [((0, 512), (0, 32768)), ((0, 512), (32768, 65536)), ((0, 512), (65536, 90000))]
    """
    height, width, *channels = source.shape
    pixels = max(1, PART_BYTES // (math.prod(channels) * np.dtype(source.dtype).itemsize))
    rows = min(height, max(pixels // width, getattr(source, "chunks", (1, 1))[0], 1))
    columns = max(1, min(width, pixels // rows))
    starts = product(range(0, height, rows), range(0, width, columns))
    return (((top, min(top + rows, height)), (left, min(left + columns, width))) for top, left in starts)
