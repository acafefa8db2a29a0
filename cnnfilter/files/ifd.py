"""Directories of tags, as TIFF files and EXIF blocks hold them: read into values, packed into bytes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnfilter.errors import ImageFileError

_TYPES = {
    1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "2u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "2i4",
    11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
"""NumPy's name for each of TIFF's types; a rational is a pair."""

SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16
POINTERS = (13, 18)
"""Types of tags that say where a directory is."""


_MOST_TIMES, _FREE = 8, 1 << 16


class Tag(NamedTuple):
    """The TIFF type of a tag, and its values in native byte order (rationals as rows of two)."""

    type: int
    values: NDArray[Any]

    @property
    def bytes(self) -> bytes:
        """The values as they lie in a little-endian file."""
        return self.values.astype(self.values.dtype.newbyteorder("<"), copy=False).tobytes()

    @property
    def text(self) -> str:
        """The values as a string, up to the first NUL."""
        return self.bytes.split(b"\0")[0].decode("utf-8", "surrogateescape")


Directory = dict[int, Tag]


def short(*values: int) -> Tag:
    """Make a tag of 16-bit values."""
    return Tag(SHORT, np.array(values, np.uint16))


def long(*values: int) -> Tag:
    """Make a tag of 32-bit values."""
    return Tag(LONG, np.array(values, np.uint32))


def long8(*values: int) -> Tag:
    """Make a tag of 64-bit values, which BigTIFF alone knows."""
    return Tag(LONG8, np.array(values, np.uint64))


def raw(data: bytes) -> Tag:
    """Make a tag of bytes without meaning to TIFF."""
    return Tag(UNDEFINED, np.frombuffer(data, np.uint8))


def string(text: str) -> Tag:
    """Make a tag of text."""
    return Tag(2, np.frombuffer(text.encode("utf-8", "surrogateescape") + b"\0", np.uint8))


def rational(value: float) -> Tag:
    """Make a tag of one fraction, exact to 1e-4, or to as much as 32 bits hold of a large number."""
    parts = next(parts for parts in (10_000, 100, 1) if value * parts < 2**32 - 1 or parts == 1)
    return Tag(RATIONAL, np.array([[min(round(value * parts), 2**32 - 1), parts]], np.uint32))


@dataclass
class Block:
    """A TIFF file or EXIF block in memory, whose directories can be read.

    Parameters
    ----------
    data : bytes-like
        From the byte order mark on.
    read : int
        Bytes of entries and values that were read so far. In an honest file none is read more than a few
        times; entries that share their values, or directories that overlap, would cost any amount of time.
    """

    data: bytes | memoryview
    read: int = 0

    @property
    def order(self) -> Literal["<", ">"]:
        """``"<"`` or ``">"``."""
        return "<" if bytes(self.data[:2]) == b"II" else ">"

    @property
    def big(self) -> bool:
        """Whether offsets have 64 bits (BigTIFF)."""
        return self.unpack("H", 2) == 43

    def unpack(self, code: str, offset: int) -> int:
        """Read one integer."""
        try:
            return int(struct.unpack_from(self.order + code, self.data, offset)[0])
        except (struct.error, OverflowError) as error:
            raise ImageFileError("truncated: a directory lies beyond the end; get a whole copy") from error

    @property
    def first(self) -> int:
        """Offset of the first directory."""
        return self.unpack("Q", 8) if self.big else self.unpack("L", 4)

    def entries(self, offset: int) -> list[tuple[int, int, int, int]]:
        """Return ``(tag, type, count, place of the values)`` of each entry of the directory at `offset`."""
        size, head, field, number = (20, 8, 8, "Q") if self.big else (12, 2, 4, "L")
        count = self.unpack("Q" if self.big else "H", offset)
        if offset + head + count * size > len(self.data):
            raise ImageFileError("truncated: a directory lies beyond the end; get a whole copy")
        self._spend(count * size)
        found = []
        for place in range(offset + head, offset + head + count * size, size):
            tag, kind, length = (
                self.unpack("H", place),
                self.unpack("H", place + 2),
                self.unpack(number, place + 4),
            )
            if kind not in _TYPES:
                continue
            value = place + 4 + field
            if np.dtype(_TYPES[kind]).itemsize * length > field:
                value = self.unpack(number, value)
            found.append((tag, kind, length, value))
        return found

    def _spend(self, size: int) -> None:
        self.read += size
        if self.read > _MOST_TIMES * len(self.data) + _FREE:
            raise ImageFileError("damaged: its directories share their values; get a whole copy")

    def chain(self) -> Iterator[int]:
        """Yield the offset of every directory, once."""
        offset, seen = self.first, set[int]()
        while offset and offset not in seen:
            seen.add(offset)
            yield offset
            offset = self.next(offset)

    def next(self, offset: int) -> int:
        """Return the offset of the directory after the one at `offset`, 0 if it is the last."""
        place = self.link(offset)
        return self.unpack("Q" if self.big else "L", place) if place + 4 <= len(self.data) else 0

    def link(self, offset: int) -> int:
        """Return where the directory at `offset` says which one is next."""
        if self.big:
            return offset + 8 + 20 * self.unpack("Q", offset)
        return offset + 2 + 12 * self.unpack("H", offset)

    def directory(self, offset: int) -> Directory:
        """Return the tags of the directory at `offset`; values beyond the end are left out."""
        tags = {}
        for tag, kind, count, place in self.entries(offset):
            dtype = np.dtype(_TYPES[kind])
            if place + count * dtype.itemsize <= len(self.data):
                self._spend(count * dtype.itemsize)
                values = np.frombuffer(self.data, dtype.newbyteorder(self.order), count, place)
                tags[tag] = Tag(kind, values.astype(dtype.base))
        return tags


def pack(
    tags: Directory,
    offset: int,
    children: dict[int, Directory] | None = None,
    link: int = 0,
    *,
    big: bool = False,
) -> bytes:
    """Pack a directory into little-endian bytes that are to lie at `offset` of a file.

    Parameters
    ----------
    tags : dict of int to Tag
    offset : int
        Even place of the directory in the file.
    children : dict of int to dict, optional
        Directories within this one, by the tag that points to them.
    link : int, optional
        Offset of the next directory.
    big : bool, default False
        As BigTIFF has it: counts and places of 64 bits.
    """
    children = children or {}
    tags = tags | {tag: long8(0) if big else long(0) for tag in children}
    count, number, field = ("<Q", "Q", 8) if big else ("<H", "L", 4)
    head, tail = struct.pack(count, len(tags)), b""
    end = offset + len(head) + (4 + 2 * field) * len(tags) + field
    for tag, (kind, values) in sorted(tags.items()):
        if tag in children:
            data = struct.pack(f"<{number}", end + len(tail))
            tail += pack(children[tag], end + len(tail), big=big)
        else:
            data = Tag(kind, values).bytes
        if len(data) > field:
            place = struct.pack(f"<{number}", end + len(tail))
            tail += data + b"\0" * (len(data) % 2)
            data = place
        head += struct.pack(f"<HH{number}", tag, kind, len(values)) + data.ljust(field, b"\0")
    return head + struct.pack(f"<{number}", link) + tail
