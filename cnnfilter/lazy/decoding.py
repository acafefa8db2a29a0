"""JPEG files: a thread decodes rows, and their memory is given back when no block needs them any more."""

import io
import mmap
import threading
from bisect import bisect_left
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ImageFileError
from cnnfilter.files import jpeg, pillow
from cnnfilter.files.picture import upright
from cnnfilter.pixels import Array

AHEAD_BYTES = 24 << 20
"""Pixels that are decoded before a block asks for them: while code is imported and compiled, mostly."""

STEP_BYTES = 2 << 20
"""Pixels that are decoded at a time, about; after them it is looked how far the rows are."""


MOST_READ = 1 << 17
"""Bytes of the file at a time: each stands for 256 of pixels at most."""


class Decoded:
    """A baseline JPEG in colours, decoded from top to bottom, and anew where earlier rows are asked for.

    Parameters
    ----------
    file : binary file

    Raises
    ------
    ImageFileError
        For other JPEGs, those whose pixels are turned, and damage.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.data = file, file.read()
        if jpeg.deep_in(self.data):
            raise ImageFileError("JPEG of more than 8 bits or without loss is not read by rows")
        image, self.picture = jpeg.undecoded(self.data)
        if self.picture.model != "rgb" or self.picture.encoding["progressive"]:
            raise ImageFileError("JPEG that is progressive, or not in three colours, is not read by rows")
        if upright(self.picture) != 1:
            raise ImageFileError("JPEG whose pixels are turned is not read by rows")
        self.shape: tuple[int, ...] = (image.height, image.width, 3)
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)
        self.picture.frames = [np.broadcast_to(self.dtype.type(0), self.shape)]
        self.held = len(self.data) + min(2 * AHEAD_BYTES, 4 * image.height * image.width)
        self.lock = threading.Lock()
        self.way = _Way(self.data, self.shape, self.file.name)

    def expect(self, rows: Sequence[Pair]) -> None:
        """Decode as far as these rows, and keep none of those before them."""
        first, last = min(rows)[0], max(end for _, end in rows)
        self._way_to(first).expect(first, last)

    def read(self, rows: Pair, columns: Pair) -> Array:
        """Return the pixels of rows and columns `[first, last)`, which hold until others are expected."""
        found = None
        while found is None:
            found = self._way_to(rows[0]).rows(*rows)
        return found[:, slice(*columns)]

    def close(self) -> None:
        """Decode no more."""
        self.way.close()

    def _way_to(self, first: int) -> "_Way":
        """Return a way down the image that has a row, or has it still before it."""
        with self.lock:
            if self.way.first > first:
                self.way.close()
                self.way = _Way(self.data, self.shape, self.file.name)
            return self.way


class _Way:
    """One way down an image.

    Attributes
    ----------
    first : int
        The row from which on they are kept.
    ready : int
        The row that is decoded next.
    """

    def __init__(self, data: bytes, shape: tuple[int, ...], name: str) -> None:
        self.data, self.name = data, name
        self.height, line = shape[0], 4 * shape[1]
        self.memory = _pages(self.height * line)
        self.canvas = np.frombuffer(self.memory, np.uint8, self.height * line).reshape(self.height, -1, 4)
        self.step, self.ahead = max(1, STEP_BYTES // line), max(1, AHEAD_BYTES // line)
        self.first = self.ready = self.last = 0
        self.error: BaseException | None = None
        self.closed = False
        self.changed = threading.Condition()
        threading.Thread(target=self._decode, name="jpeg rows", daemon=True).start()

    def expect(self, first: int, last: int) -> None:
        """Go on to a row, and give those before another one back to the system."""
        with self.changed:
            self.last = max(self.last, last)
            self.changed.notify_all()
        start, end = (row * self.canvas[0].nbytes // mmap.PAGESIZE for row in (self.first, first))
        if end > start and hasattr(self.memory, "madvise"):
            self.memory.madvise(mmap.MADV_DONTNEED, start * mmap.PAGESIZE, (end - start) * mmap.PAGESIZE)
        self.first = max(self.first, first)

    def rows(self, first: int, last: int) -> Array | None:
        """Wait for rows; None if this way is not gone any more."""
        with self.changed:
            self.last = max(self.last, last)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.ready >= last or self.error or self.closed)
            if self.ready >= last:
                return self.canvas[first:last, :, :3]
            if self.closed:
                return None
            assert self.error is not None
            raise ImageFileError(f"{self.name}: {self.error}") from self.error

    def close(self) -> None:
        """End."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _decode(self) -> None:
        try:
            image, _ = jpeg.undecoded(self.data)
            image.fp = _Told(self.data, self._count)
            image.decodermaxblock = min(max(1 << 16, len(self.data) * self.step // self.height), MOST_READ)
            with pillow.decoding("JPEG"):
                if not pillow.decode_into(image, self.canvas):
                    self.canvas[..., :3] = np.asarray(image)[..., :3]
            self._tell(self.height)
        except BaseException as error:  # told to whoever waits for the rows
            with self.changed:
                self.error = error
                self.changed.notify_all()

    def _count(self) -> None:
        """Look how far the rows are, whose fourth value is not 0 when they are written; wait if too far."""
        rest = range(self.ready, self.height)
        self._tell(self.ready + bisect_left(rest, 1, key=lambda row: int(self.canvas[row, -1, 3] == 0)))
        with self.changed:
            self.changed.wait_for(lambda: self.closed or self.ready < self.last + self.ahead)
            if self.closed:
                raise EOFError("nobody waits for the rows")

    def _tell(self, ready: int) -> None:
        with self.changed:
            self.ready = ready
            self.changed.notify_all()


class _Told(io.BytesIO):
    """Bytes that tell when more of them are about to be read, for what was read before has been decoded."""

    def __init__(self, data: bytes, tell: Any) -> None:
        super().__init__(data)
        self.tell_of_it = tell

    def read(self, size: int | None = -1) -> bytes:
        self.tell_of_it()
        return super().read(size)


def _pages(size: int) -> mmap.mmap:
    """Return memory of which parts can be given back, zeros at first."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)  # 2 MiB are taken at once, which takes less time
    return memory
