"""How the pixels of a TIFF page are laid and packed: as in the TIFF that was read, where we can."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import imagecodecs
import numpy as np

from cnnfilter.files import ifd, tiff_page
from cnnfilter.files.deflate import FAST, in_order
from cnnfilter.files.picture import Array, Picture
from cnnfilter.files.tiff_page import DEFLATE, LZMA, LZW, NO_COMPRESSION, OLD_DEFLATE, PACKBITS, ZSTD
from cnnfilter.pixels import packed

STRIP = 1 << 18
_TILE = 16  # sides are multiples of it
_PLAIN, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3
_NAMES = {
    **dict.fromkeys((2, 3, 4), "CCITT"), 6: "JPEG", 7: "JPEG", 50001: "WebP", 34887: "LERC",
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"), 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
_ENCODERS: dict[int, Callable[[Array], bytes | bytearray]] = {
    LZW: lambda data: imagecodecs.lzw_encode(data.tobytes()),
    LZMA: lambda data: imagecodecs.lzma_encode(data.tobytes()),
    ZSTD: lambda data: imagecodecs.zstd_encode(data.tobytes()),
    # No run may go on in the next row.
    PACKBITS: lambda data: b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in data),
}


class Layout(NamedTuple):
    """Compression, its level, the predictor, the sides of a tile or None, and whether planes lie apart."""

    codec: int
    level: int
    predictor: int
    tile: tuple[int, int] | None
    planar: bool


PLAIN = Layout(NO_COMPRESSION, FAST, _PLAIN, None, False)
"""Row by row, as they are."""


def layout(picture: Picture, level: int | None) -> Layout:
    """Keep what the TIFF that was read had, but for a level that is asked for; say what is not kept."""
    was: dict[str, Any] = picture.encoding if picture.form == "TIFF" else {}
    codec, predictor = was.get("compression", NO_COMPRESSION), was.get("predictor", _DIFFERENCES)
    codec = DEFLATE if codec == OLD_DEFLATE else codec
    if level is not None:
        codec, predictor = DEFLATE if level else NO_COMPRESSION, _DIFFERENCES
    elif codec not in (NO_COMPRESSION, DEFLATE, *_ENCODERS):
        picture.notes.append(f"compression {_NAMES.get(codec, codec)} of the TIFF replaced by deflate")
        codec, predictor = DEFLATE, _DIFFERENCES
    floats = picture.dtype.kind == "f"
    if codec in (NO_COMPRESSION, PACKBITS) or (floats and level is not None):
        predictor = _PLAIN
    elif not floats and predictor == _FLOAT_DIFFERENCES:
        predictor = _DIFFERENCES
    tile = was.get("tile")
    if tile and any(side % _TILE for side in tile):
        picture.lose(f"tiles of {tile[0]}x{tile[1]}, no multiples of {_TILE}, are written as strips")
        tile = None
    return Layout(codec, FAST if level is None else level, predictor, tile, was.get("planar", False))


def sides_of(how: Layout, shape: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """Return rows and columns of the strips or tiles of a frame of a shape."""
    height, width, *channels = shape
    each = 1 if how.planar else math.prod(channels)
    return how.tile or (min(height, max(1, STRIP // (width * each * itemsize))), width)


def tags_of(how: Layout, shape: tuple[int, ...], itemsize: int) -> ifd.Directory:
    """Return the tags that say how a frame of a shape is laid and packed."""
    height, width, *channels = shape
    rows, columns = sides_of(how, shape, itemsize)
    tags = {
        tiff_page.WIDTH: ifd.long(width),
        tiff_page.HEIGHT: ifd.long(height),
        tiff_page.COMPRESSION: ifd.short(how.codec),
        tiff_page.PREDICTOR: ifd.short(how.predictor),
        tiff_page.PLANAR: ifd.short(2 if how.planar and math.prod(channels) > 1 else 1),
    }
    if how.tile:
        return tags | {tiff_page.TILE_HEIGHT: ifd.long(rows), tiff_page.TILE_WIDTH: ifd.long(columns)}
    return tags | {tiff_page.ROWS_PER_STRIP: ifd.long(rows)}


def segments(frame: Array, how: Layout, threads: int | None) -> list[bytes | memoryview]:
    """Return the packed strips or tiles of a frame: plane by plane where these lie apart."""
    pixels = frame.reshape(*frame.shape[:2], -1)
    height, width, samples = pixels.shape
    each = 1 if how.planar else samples
    rows, columns = sides_of(how, frame.shape, frame.itemsize)
    places = [
        np.s_[top : top + rows, left : left + columns, first : first + each]
        for first in range(0, samples, each)
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]

    def pack(place: Any) -> bytes | memoryview:
        part = packed(pixels[place])
        if how.tile:
            part = np.pad(part, ((0, rows - len(part)), (0, columns - part.shape[1]), (0, 0)))
        data = _predicted(part, how.predictor)
        if how.codec == NO_COMPRESSION:
            return data.reshape(-1).view(np.uint8).data
        if how.codec == DEFLATE:  # by libdeflate: in half the time of zlib, and 6 % smaller at level 1
            return bytes(imagecodecs.deflate_encode(data.tobytes(), level=how.level))
        return bytes(_ENCODERS[how.codec](data))

    return in_order(pack, places, 1 if how.codec == NO_COMPRESSION else threads)


def _predicted(part: Array, predictor: int) -> Array:
    """Return little-endian samples, or what remains of them beside those to their left."""
    if predictor == _FLOAT_DIFFERENCES:
        high_first = part.astype(part.dtype.newbyteorder(">")).view(np.uint8)
        planes = high_first.reshape(len(part), -1, part.itemsize).swapaxes(1, 2)
        steps = planes.reshape(len(part), -1, part.shape[2])
        return np.diff(steps, axis=1, prepend=np.zeros_like(steps[:, :1]))
    if predictor == _DIFFERENCES:
        part = np.ascontiguousarray(part).view(f"u{part.itemsize}")
        part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
    return np.ascontiguousarray(part, part.dtype.newbyteorder("<"))
