"""FITS through astropy: the first image of a file, each plane of a cube a page, upright."""

import io
import math
import re
from typing import IO, Any

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files.extra import decoding, library
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Metadata, Picture

_KEPT = {"uint8", "uint16", "int16", "float32", "float64"}
# Cards that say how the pixels lie in the file.
_LAYOUT = {
    "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "EXTEND", "BZERO", "BSCALE", "XTENSION",
    "PCOUNT", "GCOUNT", "", "COMMENT", "CHECKSUM", "DATASUM", "EXTNAME",
}  # fmt: skip
_MOST_NAMES = 5
_COUNTED = re.compile(rb"(NAXIS   |TFIELDS )= *(\d{1,20})")  # axes, and columns of a table
_CARD, _MOST = 80, 999  # of which the standard allows so many


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read the first image of 2 or 3 axes; its last row is the upper one."""
    fits = library("FITS")
    _refuse_endless(file)
    with decoding("FITS"), fits.open(file, memmap=False, uint=True) as held:
        number, image = _first_image(held)
        *cube, height, width = image.shape
        limit.spend(width, height, math.prod(cube), bytes_a_pixel=8)
        stack = np.asarray(image.data).reshape(-1, height, width)
        losses = _losses(image.header, len(held) - 1 - number)
    frames = [_known(plane[::-1]) for plane in stack]
    missing = any(frame.dtype.kind == "f" and np.isnan(frame).any() for frame in frames)
    return Picture(frames, "grey", metadata=Metadata(missing=math.nan if missing else None), losses=losses)


def _refuse_endless(file: IO[bytes]) -> None:
    """Refuse counts for each of which astropy would look for cards."""
    for found in _COUNTED.finditer(file.read()):
        if found.start() % _CARD == 0 and int(found[2]) > _MOST:
            raise ImageFileError(f"damaged FITS file ({found[0].decode()}); get a whole copy")
    file.seek(0)


def _first_image(held: Any) -> tuple[int, Any]:
    for number, part in enumerate(held):
        if part.is_image and len(part.shape) in (2, 3) and 0 not in part.shape:
            return number, part
    shapes = [part.shape for part in held if part.is_image]
    raise ImageFileError(f"FITS without an image of 2 or 3 axes is not read (its arrays are {shapes})")


def _known(plane: Array) -> Array:
    """Bring a plane to a type that filters take: wider whole numbers to float64, native byte order."""
    native = plane.astype(plane.dtype.newbyteorder("="), copy=False)
    return np.ascontiguousarray(native if native.dtype.name in _KEPT else native.astype(np.float64))


def _losses(header: Any, more: int) -> list[str]:
    names = [name for name in dict.fromkeys(header) if name not in _LAYOUT]
    few = ", ".join(names[:_MOST_NAMES]) + ("…" if len(names) > _MOST_NAMES else "")
    losses = [f"cards of a FITS header left out: {few}"] if names else []
    return losses + [f"{more} further parts of a FITS file left out"] * (more > 0)


def write(picture: Picture, file: IO[bytes]) -> None:
    """Write one image, or a cube of pages."""
    fits = library("FITS")
    planes = [frame[::-1] for frame in picture.frames]
    data = np.stack(planes) if len(planes) > 1 else planes[0]
    whole = io.BytesIO()  # its writer asks files for a mode of a few that it knows
    fits.PrimaryHDU(np.ascontiguousarray(data)).writeto(whole, output_verify="exception")
    file.write(whole.getbuffer())
