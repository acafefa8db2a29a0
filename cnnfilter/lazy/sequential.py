"""Files whose rows can be had from top to bottom alone: those are kept that blocks under way need."""

import threading
from collections.abc import Sequence
from typing import IO

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ImageFileError
from cnnfilter.files.png_rows import PngRows
from cnnfilter.lazy.keeping import paste
from cnnfilter.pixels import Array

STRIP_BYTES = 1 << 19
"""Pixels that are decoded at a time."""


class FromTop:
    """An image that is decoded from top to bottom, and anew where earlier rows are asked for again.

    Parameters
    ----------
    file : binary file
    decoder : PngRows
    """

    def __init__(self, file: IO[bytes], decoder: PngRows) -> None:
        self.file, self.decoder, self.picture = file, decoder, decoder.picture
        frame = self.picture.frames[0]
        self.shape, self.dtype = frame.shape, frame.dtype
        self.rows = max(1, STRIP_BYTES // frame[:1].nbytes)
        self.held = 6 * self.rows * frame[:1].nbytes
        self.kept: dict[int, Array] = {}
        self.expected: list[Pair] = []
        self.lock = threading.Lock()

    def expect(self, rows: Sequence[Pair]) -> None:
        """Keep these rows once they are decoded, and no others."""
        with self.lock:
            self.expected = list(rows)
            self.kept = {top: strip for top, strip in self.kept.items() if self._is_needed(top, len(strip))}

    def read(self, rows: Pair, columns: Pair) -> Array:
        """Return the pixels of rows and columns `[first, last)`."""
        part = np.empty((rows[1] - rows[0], columns[1] - columns[0], *self.shape[2:]), self.dtype)
        with self.lock:
            for top in range(rows[0] // self.rows * self.rows, rows[1], self.rows):
                paste(part, (rows[0], columns[0]), self._strip(top), (top, 0))
        return part

    def _strip(self, wanted: int) -> Array:
        """Return the strip that begins at a row."""
        if wanted in self.kept:
            return self.kept[wanted]
        if wanted < self.decoder.row:
            self.decoder.rewind()
        try:
            while True:
                top = self.decoder.row
                strip = self.decoder.next_rows(min(self.rows, self.shape[0] - top))
                if self._is_needed(top, len(strip)):
                    self.kept[top] = strip
                if top == wanted:
                    return strip
        except ImageFileError as error:
            self.decoder.rewind()  # whoever asks again hears the same, and gets no rows from amid the damage
            raise ImageFileError(f"{self.file.name}: {error}") from error

    def _is_needed(self, top: int, count: int) -> bool:
        return any(first < top + count and top < last for first, last in self.expected)
