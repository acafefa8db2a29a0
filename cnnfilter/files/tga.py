"""TGA, whose runs are undone and whose tables of 15 and 16 bits are widened before Pillow reads it.

Pillow takes runs that go on from one line to the next for damage, though most writers made such before 1989.
"""

import io
import struct
from typing import IO

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pillow
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Picture

_HEADER = struct.Struct("<BBBHHBHHHHBB")
_PACKED = 8  # more than the number of the kind without runs


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read the one image."""
    data = file.read()
    if len(data) < _HEADER.size:
        raise ImageFileError("truncated TGA file; get a whole copy")
    words, has_table, kind, first, count, table_bits, *place, width, height, bits, flags = (
        _HEADER.unpack_from(data)
    )
    Limit(limit.max_pixels, limit.max_bytes).spend(width, height)
    table_at = _HEADER.size + words
    pixels_at = table_at + (count * -(-table_bits // 8) if has_table else 0)
    table, pixels = data[table_at:pixels_at], data[pixels_at:]
    if has_table and table_bits in (15, 16):
        table, table_bits = _widened(table), 24
    if kind > _PACKED:
        kind -= _PACKED
        pixels = _unpacked(pixels, width * height, -(-bits // 8))
    head = _HEADER.pack(words, has_table, kind, first, count, table_bits, *place, width, height, bits, flags)
    plain = head + data[_HEADER.size : table_at] + table + pixels
    return pillow.read(io.BytesIO(plain), "TGA", limit)


def _widened(table: bytes) -> bytes:
    """Return colours of 5 bits, red above blue, as blue, green and red of 8."""
    entries = np.frombuffer(table, "<u2", len(table) // 2)
    fives = entries[:, None] >> np.array([0, 5, 10], np.uint16) & 31
    return (fives * 255 / 31).round().astype(np.uint8).tobytes()


def _unpacked(data: bytes, count: int, size: int) -> bytes:
    """Undo the runs, up to a number of pixels of a size."""
    parts, have, place = [], 0, 0
    while have < count and place < len(data):
        pixels = (data[place] & 0x7F) + 1
        is_run = data[place] & 0x80
        end = place + 1 + size * (1 if is_run else pixels)
        part = data[place + 1 : end]
        parts.append(part * pixels if is_run else part)
        have, place = have + pixels, end
    return b"".join(parts)[: count * size]
