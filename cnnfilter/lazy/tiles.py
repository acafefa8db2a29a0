"""TIFF files that are read in parts: strips and tiles are unpacked when a block needs them."""

import mmap
import threading
from typing import IO

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ImageFileError
from cnnfilter.files import ifd, tiff
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Picture
from cnnfilter.files.tiff_page import PLANAR, Page
from cnnfilter.lazy.engine import UNDER_WAY, Source
from cnnfilter.lazy.keeping import Kept, paste
from cnnfilter.lazy.rows import Rows
from cnnfilter.pixels import Array

KEPT_BYTES = 32 << 20
"""Most bytes of unpacked strips and tiles that are kept, for two blocks often need the same."""


def open_tiff(file: IO[bytes]) -> Source:
    """Open the one page of a TIFF or BigTIFF file.

    Raises
    ------
    ImageFileError
        Several pages, or a damaged file.
    """
    # Only directories are looked at in the map: its pages would count as memory of the process.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        page, has_others = tiff.only_page(ifd.Block(data))  # type: ignore[arg-type]
        page.check(Limit(1 << 62))
        segments, plain = page.segments(), page.is_plain
        picture = tiff.described(page)
        if has_others:
            picture.losses.append(tiff.REDUCED_LEFT_OUT)
        page.block = ifd.Block(bytes(data[:16]))
    frame = picture.frames[0]
    if not (plain and frame.dtype == page.dtype and frame[0, 0].size == page.samples):
        return _Tiles(file, page, segments, picture)

    def finish(samples: Array) -> Array:
        return tiff.meaning(page, samples.reshape(*samples.shape[:2], -1), Picture([]))[0]

    return Rows(file, segments[0][0], frame.dtype.newbyteorder(page.block.order), picture, finish)


class _Tiles:
    """Strips or tiles, unpacked when they are needed; the last ones are kept for the next block."""

    def __init__(
        self, file: IO[bytes], page: Page, segments: list[tuple[int, int]], picture: Picture
    ) -> None:
        self.file, self.page, self.segments, self.picture = file, page, segments, picture
        self.shape, self.dtype = picture.frames[0].shape, picture.frames[0].dtype
        self.planes = page.samples if page.number(PLANAR, 1) == 2 else 1
        self.width, self.height = page.segment_size()
        self.chunks = self.height, self.width
        self.across, self.down = -(-page.width // self.width), -(-page.height // self.height)
        if len(segments) < self.planes * self.across * self.down:
            raise ImageFileError("damaged TIFF file (strips do not cover the image); get a whole copy")
        assert page.dtype is not None
        # One is read and unpacked by each block under way, beside those that are kept.
        segment = self.width * self.height * (page.samples // self.planes) * page.dtype.itemsize
        self.held = KEPT_BYTES + 3 * UNDER_WAY * segment
        self.kept = Kept(self._tile, KEPT_BYTES)
        self.lock = threading.Lock()

    def read(self, rows: Pair, columns: Pair) -> Array:
        """Return the pixels of rows and columns `[first, last)`."""
        page, each = self.page, self.page.samples // self.planes
        samples = np.empty((rows[1] - rows[0], columns[1] - columns[0], page.samples), page.dtype)
        for down in range(rows[0] // self.height, -(-rows[1] // self.height)):
            for right in range(columns[0] // self.width, -(-columns[1] // self.width)):
                for plane in range(self.planes):
                    tile = self.kept[(plane * self.down + down) * self.across + right]
                    part = samples[..., plane * each : (plane + 1) * each]
                    paste(part, (rows[0], columns[0]), tile, (down * self.height, right * self.width))
        return np.ascontiguousarray(tiff.meaning(page, samples, Picture([]))[0])

    def _tile(self, index: int) -> Array:
        try:
            return self._unpacked(index)
        except ImageFileError as error:
            raise ImageFileError(f"{self.file.name}: {error}") from error

    def _unpacked(self, index: int) -> Array:
        page, (offset, size) = self.page, self.segments[index]
        top = index // self.across % self.down * self.height
        rows = self.height if page.tiled else min(self.height, page.height - top)
        each = page.samples // self.planes
        if size == 0:  # GDAL leaves out tiles that hold nothing
            return np.full((rows, self.width, each), page.filling, page.dtype)
        with self.lock:
            self.file.seek(offset)
            data = self.file.read(size)
        if len(data) < size:
            raise ImageFileError("was cut off while it was read; pixels are missing")
        return page.segment(memoryview(data), rows, self.width, each)
