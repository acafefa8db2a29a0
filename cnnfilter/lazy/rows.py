"""Files that hold an image row by row, without compression: every pixel has its place from the beginning."""

import math
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ImageFileError
from cnnfilter.files.picture import Picture
from cnnfilter.pixels import Array


class Lines:
    """How a file is laid out that holds an image row by row.

    Attributes
    ----------
    picture : Picture
    head : bytes
        What stands before the samples.
    stored : dtype
        Of these, in the byte order of the file.
    """

    def __init__(self, picture: Picture, head: bytes, stored: np.dtype[Any]) -> None:
        self.picture, self.head, self.stored = picture, head, stored
        self.chunks, self.held = (1, 1), 0
        self.size = len(head) + picture.frames[0].size * stored.itemsize

    def sink(self, file: IO[bytes], rows: int, state: str = "") -> "Rows":
        """Begin a file, or go on with one that has some rows."""
        file.write(self.head)
        return Rows(file, len(self.head), self.stored, self.picture)


class Rows:
    """An image in a file that can be read, or one that can be written, in parts.

    Read and written, not mapped into memory: pages of a map count as memory of the process, and a file that
    is cut off meanwhile would end it.

    Parameters
    ----------
    file : binary file
        Seekable.
    offset : int
        Of the first sample.
    stored : dtype
        Of the samples, in the byte order of the file.
    picture : Picture
        What is known of the image, with a frame of its shape and type, whose pixels do not count.
    finish : callable, optional
        Makes pixels of samples that were read, in native byte order.
    """

    chunks = (1, 1)

    def __init__(
        self,
        file: IO[bytes],
        offset: int,
        stored: np.dtype[Any],
        picture: Picture,
        finish: Callable[[Array], Array] | None = None,
    ) -> None:
        self.file, self.offset, self.stored, self.picture, self.finish = file, offset, stored, picture, finish
        self.shape, self.dtype = picture.frames[0].shape, picture.frames[0].dtype
        self.lock = threading.Lock()

    def read(self, rows: Pair, columns: Pair) -> Array:
        """Return the pixels of rows and columns `[first, last)`."""
        lengths = rows[1] - rows[0], columns[1] - columns[0]
        samples = np.empty((*lengths, *self.shape[2:]), self.stored)
        with self.lock:
            for place, piece in self._pieces(samples, rows, columns):
                self.file.seek(place)
                self._fill(piece)
        pixels = samples.astype(self.dtype, copy=False)
        return pixels if self.finish is None else self.finish(pixels)

    def write(self, rows: Pair, columns: Pair, block: Array) -> None:
        """Write rows and columns `[first, last)`."""
        samples = np.ascontiguousarray(block, self.stored)
        for place, piece in self._pieces(samples, rows, columns):
            self.file.seek(place)
            self.file.write(piece)

    def settle(self) -> str:
        """Return nothing: whoever goes on knows where each pixel has its place."""
        return ""

    def complete(self) -> None:
        """Do nothing: the file is whole."""

    def _pieces(self, samples: Array, rows: Pair, columns: Pair) -> Iterator[tuple[int, memoryview]]:
        """Yield what follows each other in the file, and where it lies there."""
        each = math.prod(self.shape[2:]) * self.stored.itemsize
        line = self.shape[1] * each
        start = self.offset + rows[0] * line + columns[0] * each
        if columns == (0, self.shape[1]):
            yield start, samples.view(np.uint8).data.cast("B")
            return
        for number, row in enumerate(samples):
            yield start + number * line, row.view(np.uint8).data.cast("B")

    def _fill(self, room: memoryview) -> None:
        while room:
            done = self.file.readinto(room)  # type: ignore[attr-defined]
            if not done:
                raise ImageFileError(f"{self.file.name}: was cut off while it was read; pixels are missing")
            room = room[done:]
