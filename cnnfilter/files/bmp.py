"""BMP whose colours lie under masks of any width, which Pillow does not read; the rest is left to Pillow."""

import io
import struct
from typing import IO

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pillow
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import METRES_PER_INCH, Array, Picture

_BITFIELDS = (3, 6)
_WITH_PROFILE, _PROFILES = 124, (b"DEBM", b"KNIL")


def read(file: IO[bytes], form: str, limit: Limit) -> Picture:
    """Read one image."""
    head = file.read(74)
    file.seek(0)
    if not head.startswith(b"BM"):
        file = io.BytesIO(_file_header(head) + file.read())
        head = file.read(74)
        file.seek(0)
    masked = len(head) >= 70 and _field(head, 14) >= 40 and _field(head, 30) in _BITFIELDS
    picture = _under_masks(file, head, limit) if masked else pillow.read(file, form, limit)
    if _field(head, 14) >= _WITH_PROFILE and head[70:] in _PROFILES:
        picture.losses.append("the colour profile of a BMP file is left out")
    return picture


def _file_header(head: bytes) -> bytes:
    """Return what stands before a DIB in a BMP file: where its pixels begin, after masks and colours."""
    size, bits = _field(head, 0), int.from_bytes(head[14:16], "little")
    masks = 12 if size == 40 and _field(head, 16) == 3 else 0
    colours = _field(head, 32) or (1 << bits if bits <= 8 else 0)
    return struct.pack("<2sLHHL", b"BM", 0, 0, 0, min(14 + size + masks + 4 * colours, 2**32 - 1))


def _under_masks(file: IO[bytes], head: bytes, limit: Limit) -> Picture:
    offset, size = _field(head, 10), _field(head, 14)
    width, height, _, bits = struct.unpack_from("<llHH", head, 18)
    if bits not in (16, 32) or width < 1 or height == 0:
        raise ImageFileError("damaged BMP file (impossible size or masks); get a whole copy")
    limit.spend(width, abs(height))
    row = -(-width * bits // 32) * 4
    file.seek(offset)
    data = file.read(row * abs(height))
    if len(data) < row * abs(height):
        raise ImageFileError("truncated BMP file (pixels are missing); get a whole copy")
    words = np.frombuffer(data, f"<u{bits // 8}").reshape(abs(height), -1)[:, :width].astype(np.uint32)
    masks = list(struct.unpack_from("<LLLL", head, 54))
    if size == 40 and _field(head, 30) == 3:
        masks.pop()  # what follows three masks is no fourth one
    channels = [_under(words, mask) for mask in masks if mask]
    if not all(masks[:3]):
        raise ImageFileError("damaged BMP file (a colour without a mask); get a whole copy")
    frame = np.stack(channels, axis=-1)
    picture = Picture([np.ascontiguousarray(frame[::-1] if height > 0 else frame)], "rgb", len(channels) == 4)
    x, y = struct.unpack_from("<ll", head, 38)
    if min(x, y) > 0:
        picture.metadata.dpi = (x * METRES_PER_INCH, y * METRES_PER_INCH)
    return picture


def _field(head: bytes, place: int) -> int:
    return int.from_bytes(head[place : place + 4], "little")


def _under(words: Array, mask: int) -> Array:
    """Return what lies under a mask, as 0 to 255."""
    low = (mask & -mask).bit_length() - 1
    white = mask >> low
    if white & (white + 1):
        raise ImageFileError("damaged BMP file (a mask with holes); get a whole copy")
    values = (words & np.uint32(mask)) >> np.uint32(low)
    scaled: Array = np.rint(values * (255 / white)).astype(np.uint8)
    return scaled
