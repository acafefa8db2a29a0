"""Image files that are read and written in parts: which there are, and what each of them can hold."""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import IO, Any

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import netpbm
from cnnfilter.files.forms import form_of, form_of_bytes
from cnnfilter.files.losses import unheld
from cnnfilter.files.picture import Array, Metadata, Model, Picture
from cnnfilter.lazy.engine import Sink, Source
from cnnfilter.lazy.rows import Rows
from cnnfilter.npyfile import read_header
from cnnfilter.pixels.kinds import DTYPES
from cnnfilter.wholefile import whole_file

_FORMS = "NPY, TIFF, PGM, PPM and PAM"


@contextmanager
def opened(path: str) -> Iterator[Source]:
    """Open an image file to be read in parts; its bytes say of which form it is.

    Raises
    ------
    ImageFileError
        A form that is not read in parts, a damaged file, or pixels that are not filtered. The message lacks
        the name of the file.
    """
    with open(path, "rb", buffering=0) as file:
        form = form_of_bytes(file.read(64), os.path.splitext(path)[1])
        file.seek(0)
        if form == "NPY":
            yield _npy(file)
        elif form in ("PGM", "PPM", "PAM"):
            yield _netpbm(file)
        elif form == "TIFF":
            from cnnfilter.lazy.tiles import open_tiff  # with the codecs, 35 ms that others need not pay

            yield open_tiff(file)
        else:
            raise ImageFileError(f"{form or 'no known form'} is not read in parts; use one of {_FORMS}")


def _npy(file: IO[bytes]) -> Rows:
    header = read_header(file)
    dtype = header.dtype.newbyteorder("=")
    if dtype not in DTYPES:
        raise ImageFileError(f"array of {dtype}; convert it to one of {', '.join(map(str, DTYPES))}")
    if len(header.shape) not in (2, 3) or min(header.shape) < 1:
        raise ImageFileError(f"array of shape {header.shape}; an image is (H, W) or (H, W, C)")
    if header.fortran_order:
        raise ImageFileError("array in Fortran order, column after column; save it in C order")
    offset = file.tell()
    if os.fstat(file.fileno()).st_size - offset < header.size:
        raise ImageFileError("truncated (pixels are missing); get a whole copy")
    return Rows(file, offset, header.dtype, blank(header.shape, dtype))


def _netpbm(file: IO[bytes]) -> Rows:
    found = netpbm.layout(file)
    notes: list[str] = []
    pixel = netpbm.scaled(np.zeros((1, 1), found.dtype.newbyteorder("=")), found.white, notes)
    picture = blank(found.shape, pixel.dtype)
    picture.notes += notes
    if found.comment:
        picture.metadata.text["Comment"] = found.comment
    return Rows(file, found.offset, found.dtype, picture, partial(netpbm.scaled, white=found.white, notes=[]))


def blank(shape: tuple[int, ...], dtype: np.dtype[Any], known: Picture | None = None) -> Picture:
    """Return a picture of one frame without memory, all 0, of which the same is known as of another.

    Unless it has another number of channels.
    """
    frame = np.broadcast_to(np.zeros((), dtype), shape)
    if known is not None and known.frames[0].shape[2:] == shape[2:]:
        return replace(known, frames=[frame], losses=list(known.losses))
    model: Model = "grey" if len(shape) == 2 else "rgb" if shape[2] == 3 else "channels"
    picture = Picture([frame], model)
    return picture if known is None else replace(known, frames=[frame], model=model, encoding={}, losses=[])


@contextmanager
def created(path: str, picture: Picture) -> Iterator[Sink]:
    """Make an image file of the form that its suffix says, to be written in parts.

    It is in its place only when the block ends well; see `cnnfilter.wholefile`. The picture says what is
    known of the image, and the shape and type of its frame; what the file does not hold is put down in its
    losses.

    Raises
    ------
    ImageFileError
        A form that is not written in parts or cannot hold such pixels, or a disk without room for them. The
        message lacks the name of the file.
    """
    form, frame = form_of(path), picture.frames[0]
    if picture.metadata != Metadata():
        picture.losses += unheld(picture, form)
    head, stored = _head(form, picture)
    needed = len(head) + frame.size * frame.itemsize
    free = shutil.disk_usage(os.path.dirname(os.path.realpath(path))).free
    if needed > free:
        raise ImageFileError(f"the result takes {needed} bytes, but {free} are free on its disk")
    with whole_file(path) as file:
        file.write(head)
        yield Rows(file, len(head), stored, picture)


def _head(form: str, picture: Picture) -> tuple[bytes, np.dtype[Any]]:
    """Return what stands before the samples, and how these are stored."""
    frame = picture.frames[0]
    dtype, channels = frame.dtype, frame.shape[2] if frame.ndim == 3 else 1
    if form == "NPY":
        return _npy_head(frame), dtype
    if form == "TIFF":
        from cnnfilter.files.tiff_writing import plain_header

        return plain_header(picture), dtype.newbyteorder("<")
    held = {"PGM": (1,), "PPM": (1, 3), "PAM": (1, 3)}
    if form not in held:
        raise ImageFileError(f"{form} is not written in parts; use one of {_FORMS}")
    if channels not in held[form] or dtype.name not in ("uint8", "uint16"):
        raise ImageFileError(f"{form} does not hold {channels} channel(s) of {dtype}; write .npy")
    return netpbm.header(form, frame.shape, dtype, netpbm.comment_lines(picture)), dtype.newbyteorder(">")


def _npy_head(frame: Array) -> bytes:
    file = io.BytesIO()
    told = {"descr": np.lib.format.dtype_to_descr(frame.dtype), "fortran_order": False, "shape": frame.shape}
    np.lib.format.write_array_header_1_0(file, told)
    return file.getvalue()
