"""TIFF files that are packed while they are written: strips or tiles one after the other, as they come."""

import math
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.core.threads import count
from cnnfilter.files import ifd, tiff_page
from cnnfilter.files.picture import Picture
from cnnfilter.files.tiff_packing import Layout, segments, sides_of, tags_of
from cnnfilter.files.tiff_writing import head_of
from cnnfilter.pixels import Array

PACKED_BYTES = 8 << 20
"""Pixels that are packed at a time, or one row of tiles."""


class Packed:
    """How a TIFF is laid out whose strips or tiles are packed.

    Attributes
    ----------
    chunks : pair of int
        Rows and columns of a strip or tile.
    held : int
        Bytes that packing takes.
    size : int
        Bytes of the file that are known beforehand.
    """

    def __init__(self, picture: Picture, how: Layout, threads: int | None) -> None:
        self.how, self.threads = how, threads
        frame = picture.frames[0]
        self.shape, itemsize = frame.shape, frame.itemsize
        self.chunks = sides_of(how, self.shape, itemsize)
        channels = math.prod(self.shape[2:])
        self.planes = channels if how.planar else 1
        (self.down, self.across) = (
            -(-length // side) for length, side in zip(self.shape[:2], self.chunks, strict=True)
        )
        chunk = math.prod(self.chunks) * channels * itemsize
        self.rows = max(1, PACKED_BYTES // (chunk * self.across)) * self.chunks[0]
        # What is packed of some rows, and a few copies of what each thread is packing.
        self.held = max(PACKED_BYTES, chunk * self.across) + 4 * count(threads) * chunk
        self.count = self.planes * self.down * self.across
        tags = tags_of(how, self.shape, itemsize)
        self.head = head_of(picture, tags, [chunk // self.planes] * self.count, exact=False)
        self.size = len(self.packed_head([0] * self.count, [0] * self.count))

    def packed_head(self, places: Sequence[int], sizes: Sequence[int]) -> bytes:
        """Return what stands before the strips or tiles."""
        return self.head.packed(places, sizes)

    def sink(self, file: IO[bytes], rows: int, state: str = "") -> "PackedTiff":
        """Begin a file, or go on with one that has some rows."""
        return PackedTiff(self, file, rows)


class PackedTiff:
    """A TIFF that is written strip by strip or tile by tile, each when it is packed.

    Where they lie is told at the beginning of the file, in the room that is left for it: by `settle`, so that
    another run can go on, and by `complete`.
    """

    def __init__(self, laid: Packed, file: IO[bytes], rows: int) -> None:
        self.laid, self.file = laid, file
        self.chunks, self.held = laid.chunks, laid.held
        self.places = np.zeros(laid.count, np.uint64)
        self.sizes = np.zeros(laid.count, np.uint64)
        if rows:
            self._take_up(rows)
        self.end = max(laid.size, int((self.places + self.sizes).max()))

    def _take_up(self, rows: int) -> None:
        """Find the strips or tiles of the rows that are there."""
        self.file.seek(0)
        block = ifd.Block(self.file.read(self.laid.size))
        page = tiff_page.Page(block, block.directory(block.first))
        found = np.array(page.segments(), np.uint64)
        there = self._places_of((0, rows), (0, self.laid.shape[1]))
        self.places[there], self.sizes[there] = found[there].T

    def _places_of(self, rows: Pair, columns: Pair) -> Any:
        """Return the numbers of strips or tiles: those of a plane one after the other, each from the top."""
        numbers = np.arange(self.laid.count).reshape(self.laid.planes, self.laid.down, self.laid.across)
        sides = (
            slice(first // chunk, -(-last // chunk))
            for (first, last), chunk in zip((rows, columns), self.chunks, strict=True)
        )
        return numbers[(slice(None), *sides)].ravel()

    def write(self, rows: Pair, columns: Pair, block: Array) -> None:
        """Pack rows and columns `[first, last)` and write them."""
        for top in range(rows[0], rows[1], self.laid.rows):
            bottom = min(top + self.laid.rows, rows[1])
            packed = segments(block[top - rows[0] : bottom - rows[0]], self.laid.how, self.laid.threads)
            for number, segment in zip(self._places_of((top, bottom), columns), packed, strict=True):
                self.places[number], self.sizes[number] = self.end, len(segment)
                self.file.seek(self.end)
                self.file.write(segment)
                self.end += len(segment)

    def settle(self) -> str:
        """Tell where the strips or tiles are that have been written."""
        self.file.seek(0)
        self.file.write(self.laid.packed_head(self.places.tolist(), self.sizes.tolist()))
        return ""

    def complete(self) -> None:
        """Make the file whole."""
        self.settle()
        self.file.seek(self.end)
        self.file.write(bytes(self.end % 2))
        self.file.truncate()
