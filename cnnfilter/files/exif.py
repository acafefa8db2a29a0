"""EXIF blocks: the orientation is taken out, and the thumbnail of the unfiltered image."""

import re

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import ifd
from cnnfilter.files.picture import Array

ORIENTATION, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap rows and columns."""
_THUMBNAIL, _THUMBNAIL_LENGTH = 0x0201, 0x0202
# What a camera says about a photograph in the main directory, and a TIFF holds in the same tags.
_SHARED = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)


def upright(block: bytes) -> tuple[bytes, int]:
    """Return an EXIF block whose orientation is 1 and whose thumbnail is gone, and the orientation it had.

    The block is changed in place, so that maker's notes keep their offsets. A block that cannot be
    understood is given back as it is, with orientation 1.
    """
    changed = bytearray(block)
    parsed = ifd.Block(memoryview(block))
    orientation = 1
    try:
        first = parsed.first
        for tag, kind, _, place in parsed.entries(first):
            if tag == ORIENTATION and kind == ifd.SHORT:
                orientation = parsed.unpack("H", place)
                changed[place : place + 2] = (1).to_bytes(2, "little" if parsed.order == "<" else "big")
        second = parsed.next(first)
        if second:
            changed[parsed.link(first) : parsed.link(first) + 4] = bytes(4)
            _erase(changed, parsed.directory(second))
    except ImageFileError:
        return block, 1
    return bytes(changed), orientation


def upright_xmp(packet: bytes) -> bytes:
    """Return an XMP packet whose orientation, if it has one, is 1."""
    return re.sub(rb"(<tiff:Orientation>|tiff:Orientation=[\"'])[1-8]", rb"\g<1>1", packet)


def _erase(block: bytearray, thumbnail: ifd.Directory) -> None:
    """Overwrite the thumbnail: it would show what the filter took away."""
    if _THUMBNAIL in thumbnail and _THUMBNAIL_LENGTH in thumbnail:
        start, length = (int(thumbnail[tag].values[0]) for tag in (_THUMBNAIL, _THUMBNAIL_LENGTH))
        end = min(start + length, len(block))
        block[start:end] = bytes(max(0, end - start))


def turn(array: Array, orientation: int) -> Array:
    """Turn and mirror pixels so that an image of this EXIF orientation stands upright.

    Examples
    --------
    >>> turn(np.array([[1, 2], [3, 4]]), 6)
    array([[3, 1],
           [4, 2]])
    """
    if orientation in SIDEWAYS:
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def from_tags(tags: ifd.Directory, block: ifd.Block) -> bytes | None:
    """Make an EXIF block of what the directory of a TIFF page says about the photograph."""
    children = {tag: block.directory(int(tags[tag].values[0])) for tag in (EXIF_IFD, GPS_IFD) if tag in tags}
    shared = {tag: tags[tag] for tag in _SHARED if tag in tags}
    if not children and not shared:
        return None
    return b"II*\0\x08\0\0\0" + ifd.pack(shared, 8, children)


def to_tags(block: bytes) -> tuple[ifd.Directory, dict[int, ifd.Directory]]:
    """Take from an EXIF block what goes into the directory of a TIFF page, and the directories within."""
    parsed = ifd.Block(block)
    try:
        tags = parsed.directory(parsed.first)
        children = {
            tag: parsed.directory(int(tags[tag].values[0])) for tag in (EXIF_IFD, GPS_IFD) if tag in tags
        }
    except ImageFileError:
        return {}, {}
    return {tag: tags[tag] for tag in _SHARED if tag in tags}, children
