"""Radiance pictures: what their lines of text say of the floats, which imagecodecs unpacks."""

import math
import re

import imagecodecs
import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files.codestream import Header
from cnnfilter.files.picture import Array

_LONGEST = 1 << 16
_LEAST = 1e-30  # exposure of which floats of 32 bits hold the quotient
_RGB = "32-bit_rle_rgbe"
_SIZE = re.compile(rb"([+-])([XY]) +(\d{1,9}) +([+-])([XY]) +(\d{1,9})\n")


def header(data: bytes) -> Header:
    """Read the size, and refuse other colours than RGB."""
    kinds = _values(data, "FORMAT")
    if kinds and kinds[-1] != _RGB:
        raise ImageFileError(f"HDR of the kind {kinds[-1][:40]} is not read; convert it to {_RGB}")
    lines = _lines_of_pixels(data)
    return Header(int(lines[6]), int(lines[3]), 0)


def _lines_of_pixels(data: bytes) -> re.Match[bytes]:
    """Return direction, axis and length of the order of the lines, and of that of the pixels in them."""
    found = _SIZE.match(data, _end(data))
    if found is None or found[2] == found[5]:
        raise ImageFileError("damaged HDR file (no size); get a whole copy")
    return found


def decode(data: bytes) -> Array:
    """Return the pixels as the light that they stand for: divided by the product of all exposures."""
    lines = _lines_of_pixels(data)
    usual = b"-Y %s +X %s\n" % (lines[3], lines[6])
    image: Array = imagecodecs.rgbe_decode(data[: lines.start()] + usual + data[lines.end() :])
    if lines[2] == b"X":
        image = image.swapaxes(0, 1)
    signs = {lines[2]: lines[1], lines[5]: lines[4]}
    image = np.ascontiguousarray(
        image[:: -1 if signs[b"Y"] == b"+" else 1, :: -1 if signs[b"X"] == b"-" else 1]
    )
    try:
        exposure = math.prod(map(float, _values(data, "EXPOSURE")))
    except ValueError:
        exposure = 0
    if not _LEAST < exposure < 1 / _LEAST:
        raise ImageFileError("damaged HDR file (an impossible exposure); get a whole copy")
    return image if exposure == 1 else image / np.float32(exposure)


def losses(data: bytes) -> list[str]:
    """Tell which lines are left out."""
    names = [line.partition("=")[0] if "=" in line else "comments" for line in _lines(data)[1:]]
    others = [name[:40] for name in dict.fromkeys(names) if name not in ("FORMAT", "EXPOSURE")]
    return [f"{', '.join(others)} of a HDR file left out"] if others else []


def _end(data: bytes) -> int:
    """Return where the line of the size begins: after the first empty one."""
    place = data.find(b"\n\n", 0, _LONGEST)
    if place < 0:
        raise ImageFileError("damaged or truncated HDR file (no end of its header); get a whole copy")
    return place + 2


def _lines(data: bytes) -> list[str]:
    lines = data[: _end(data)].decode("latin-1").split("\n")
    return [line for line in lines if line]


def _values(data: bytes, name: str) -> list[str]:
    pairs = [line.partition("=") for line in _lines(data)]
    return [value.strip() for key, _, value in pairs if key.strip() == name]
