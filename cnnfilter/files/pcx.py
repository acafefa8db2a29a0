"""PCX of every mode: bits, planes and palettes of which Pillow reads some; written by Pillow.

Runs may go on from one line to the next, which Pillow takes for damage.
"""

import re
import struct
from typing import IO

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files.depth import ONE_BIT
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Picture

_HEAD, _TABLE = 128, 769
_MARK = 0x0C  # before a table of 256 colours, at the end of the file
_PACKETS = re.compile(rb"[\xc0-\xff].|[\x00-\xbf]+", re.DOTALL)
_EGA = bytes.fromhex(
    "000000 0000aa 00aa00 00aaaa aa0000 aa00aa aa5500 aaaaaa"
    "555555 5555ff 55ff55 55ffff ff5555 ff55ff ffff55 ffffff"
)
_WITHOUT_TABLE = 3  # the version whose colours are those of the display


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read the one image."""
    data = file.read()
    if len(data) < _HEAD:
        raise ImageFileError("truncated PCX file; get a whole copy")
    version, packed, bits, left, top, right, bottom, x, y = struct.unpack_from("<xBBB6H", data)
    planes, line = struct.unpack_from("<BH", data, 65)
    width, height = right - left + 1, bottom - top + 1
    if width < 1 or height < 1 or bits * planes * width > 8 * planes * line:
        raise ImageFileError("damaged PCX file (impossible size); get a whole copy")
    if (bits, planes) not in _KINDS:
        raise ImageFileError(f"PCX of {planes} planes of {bits} bits is not read; convert it to PNG")
    limit.spend(width, height)
    size = planes * line * height
    rows = _unpacked(data, size) if packed else data[_HEAD : _HEAD + size]
    if len(rows) < size:
        raise ImageFileError("truncated PCX file (pixels are missing); get a whole copy")
    samples = _samples(np.frombuffer(rows, np.uint8).reshape(height, planes, line), bits, width)
    picture = Picture([], alpha=(bits, planes) == (8, 4))
    if x and y:
        picture.metadata.dpi = (float(x), float(y))
    frame = samples
    if bits == 8 and planes > 1:
        picture.model = "rgb"
    elif bits * planes == 1:
        picture.notes.append(ONE_BIT)
        frame = samples * np.uint8(255)
    else:
        frame = _coloured(samples, _table(data, version, bits * planes), picture)
    picture.frames = [np.ascontiguousarray(frame if frame.shape[2] > 1 else frame[..., 0])]
    return picture


_KINDS = {*((1, planes) for planes in (1, 2, 3, 4)), (2, 1), (4, 1), (8, 1), (8, 3), (8, 4)}
"""Bits and planes that mean something."""


def _unpacked(data: bytes, size: int) -> bytes:
    """Undo the runs, up to a number of bytes."""
    parts, have = [], 0
    for packet in _PACKETS.finditer(data, _HEAD):
        part = packet[0]
        if part[0] >= 0xC0:
            part = part[1:] * (part[0] & 0x3F)
        parts.append(part)
        have += len(part)
        if have >= size:
            break
    return b"".join(parts)[:size]


def _samples(rows: Array, bits: int, width: int) -> Array:
    """Return (H, W, C) of what lies in rows of planes; planes of one bit are the bits of a number."""
    if bits < 8:
        shifts = np.arange(8 - bits, -1, -bits).astype(np.uint8)
        rows = ((rows[..., None] >> shifts) & np.uint8(2**bits - 1)).reshape(*rows.shape[:2], -1)
    rows = rows[..., :width]
    if bits == 1:
        weights = 1 << np.arange(rows.shape[1], dtype=np.uint8)
        rows = (rows * weights[:, None]).sum(axis=1, keepdims=True, dtype=np.uint8)
    return rows.swapaxes(1, 2)


def _table(data: bytes, version: int, bits: int) -> Array | None:
    """Return the colours of the numbers; None where these are grey levels."""
    if bits == 8:
        at_the_end = len(data) >= _HEAD + _TABLE and data[-_TABLE] == _MARK
        table = data[1 - _TABLE :] if at_the_end else None
    else:
        table = _EGA if version == _WITHOUT_TABLE else data[16:64]
    return None if table is None else np.frombuffer(table, np.uint8).reshape(-1, 3)


def _coloured(samples: Array, table: Array | None, picture: Picture) -> Array:
    if table is None or np.array_equal(table, np.repeat(np.arange(256)[:, None], 3, 1)):
        return samples
    picture.notes.append("palette expanded to colours")
    picture.model = "rgb"
    colours: Array = table[samples[..., 0]]
    return colours
