"""The first bytes of a JPEG XL or JPEG 2000 codestream: the size and the bits of a sample.

The size is read before decoding, for decoders take memory for whatever a header claims; the bits, for they
leave samples of 10 bits as they are, which would be nearly black among 16.
"""

import struct
from typing import NamedTuple

from cnnfilter.errors import ImageFileError
from cnnfilter.files.boxes import boxes, codestream

_LONGEST = 64  # bytes of a header of JPEG XL up to its bits, and more
_COMPONENTS = 16384
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class Header(NamedTuple):
    """Columns, rows, the bits of a sample, 0 for floats, and whether its frames have times."""

    width: int
    height: int
    bits: int
    animated: bool = False


def jp2(data: bytes) -> Header:
    """Read the marker SIZ: ISO 15444-1, A.5.1."""
    if b"\xff\xd9" not in data[-64:]:  # the decoder would make up what is missing
        raise ImageFileError("truncated JP2 file (its end is missing); get a whole copy")
    head = codestream(data, "JP2", 42 + 3 * _COMPONENTS)
    if not head.startswith(b"\xff\x4f\xff\x51"):
        raise ImageFileError("damaged JP2 file (no size); get a whole copy")
    right, bottom, left, top = struct.unpack_from(">LLLL", head, 8)
    (count,) = struct.unpack_from(">H", head, 40)
    depths = set(head[42 : 42 + 3 * count : 3])
    for box in boxes(data):
        if box.name == b"pclr":  # the samples are numbers of a palette, which the decoder looks up
            depths = set(data[box.start + 3 : box.start + 3 + data[box.start + 2]])
    if len(depths) != 1 or (depth := depths.pop()) & 0x80:
        raise ImageFileError("JP2 of signed samples, or of different depths, is not read; convert it to TIFF")
    return Header(right - left, bottom - top, depth + 1)


def jxl(data: bytes) -> Header:
    """Read size and image metadata, the lowest bits first: ISO 18181-1, D.2 and D.3."""
    head = codestream(data, "JXL", _LONGEST)
    if not head.startswith(b"\xff\x0a"):
        raise ImageFileError("damaged JXL file (no codestream); get a whole copy")
    bits = _Bits(head[2:])
    width, height = bits.size()
    animated = False
    if bits.take(1):  # all as usual
        return Header(width, height, 8)
    if bits.take(1):  # more fields: orientation, size on the screen, preview, animation
        bits.take(3)
        if bits.take(1):
            bits.size()
        if bits.take(1):
            bits.preview()
        animated = bool(bits.take(1))
        if animated:
            bits.number(100, 1000, (10, 1), (30, 1))
            bits.number(1, 1001, (8, 1), (10, 1))
            bits.number(0, (3, 0), (16, 0), (32, 0))
            bits.take(1)
    if bits.take(1):
        return Header(width, height, 0, animated)
    return Header(width, height, bits.number(8, 10, 12, (6, 1)), animated)


class _Bits:
    """Bits, taken one after the other."""

    def __init__(self, data: bytes) -> None:
        self.rest = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self.rest & ((1 << count) - 1)
        self.rest >>= count
        return value

    def number(self, *ways: int | tuple[int, int]) -> int:
        """Take a number: a constant, or so many bits and what is added to them."""
        way = ways[self.take(2)]
        return way if isinstance(way, int) else self.take(way[0]) + way[1]

    def size(self) -> tuple[int, int]:
        """Return width and height."""
        small = self.take(1)

        def side() -> int:
            return 8 * (self.take(5) + 1) if small else self.number((9, 1), (13, 1), (18, 1), (30, 1))

        height = side()
        ratio = self.take(3)
        return (height * _RATIOS[ratio - 1][0] // _RATIOS[ratio - 1][1] if ratio else side()), height

    def preview(self) -> None:
        """Skip the size of a preview."""
        eighths = self.take(1)

        def side() -> int:
            if eighths:
                return 8 * self.number(16, 32, (5, 1), (9, 33))
            return self.number((6, 1), (8, 65), (10, 321), (12, 1345))

        side()
        if not self.take(3):
            side()
