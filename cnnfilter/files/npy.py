"""NumPy's ``.npy`` files as images: the array is the picture."""

import os
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from cnnfilter.errors import ImageFileError
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Picture

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read one array of shape (H, W) or (H, W, C); big-endian and Fortran order are made native."""
    version = npy_format.read_magic(file)
    header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, fortran_order, dtype = header(file)
    if dtype.newbyteorder("=").name not in DTYPES:
        raise ImageFileError(f"array of {dtype}; convert it to one of {', '.join(DTYPES)}")
    if len(shape) not in (2, 3) or 0 in shape:
        raise ImageFileError(f"array of shape {shape}; an image is (H, W) or (H, W, C)")
    limit.spend(shape[1], shape[0])
    count = int(np.prod(shape, dtype=object))
    if count * dtype.itemsize > _remaining(file):
        raise ImageFileError(f"truncated: fewer bytes than shape {shape} of {dtype} needs; get a whole copy")
    values = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    array = values.reshape(shape, order="F" if fortran_order else "C")
    array = np.ascontiguousarray(array, dtype.newbyteorder("="))
    colours = {2: "grey", 3: "rgb" if shape[-1] == 3 else "channels"}[len(shape)]
    return Picture([array], model=colours)  # type: ignore[arg-type]


def write(picture: Picture, file: IO[bytes]) -> None:
    """Write the one frame as it is."""
    if len(picture.frames) != 1:
        raise ImageFileError(f".npy holds one image, not {len(picture.frames)} frames; write .tif")
    npy_format.write_array(file, np.ascontiguousarray(picture.frames[0]), allow_pickle=False)


def _remaining(file: IO[bytes]) -> int:
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return end - here
