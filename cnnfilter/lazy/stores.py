"""Image files that are read and written in parts: which there are, and what each of them can hold."""

import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ImageFileError
from cnnfilter.files.forms import form_of_bytes
from cnnfilter.files.picture import Array, Metadata, Model, Picture
from cnnfilter.files.source import HEAD
from cnnfilter.files.writing import JPEG_SIDE
from cnnfilter.wholefile import whole_file

if TYPE_CHECKING:
    from cnnfilter.lazy.engine import Source
    from cnnfilter.lazy.rows import Rows

_FORMS = "NPY, TIFF, PNG, JPEG, PGM, PPM and PAM"


class NotInParts(ImageFileError):
    """A form of file that is not read, or not written, in parts."""


@contextmanager
def opened(source: str | IO[bytes]) -> Iterator["Source"]:
    """Open an image file to be read in parts; its bytes say of which form it is.

    Parameters
    ----------
    source : path or binary file
        A file that is open already can seek, and has no buffer.

    Raises
    ------
    NotInParts
    ImageFileError
        A damaged file, or pixels that are not filtered. The message lacks the name of the file.
    """
    with ExitStack() as stack:
        file = stack.enter_context(open(source, "rb", buffering=0)) if isinstance(source, str) else source
        form = form_of_bytes(file.read(HEAD))
        file.seek(0)
        if form == "NPY":
            image: Source = _npy(file)
        elif form in ("PGM", "PPM", "PAM"):
            image = _netpbm(file)
        elif form == "TIFF":
            from cnnfilter.lazy.tiles import open_tiff  # with the codecs, 35 ms that others need not pay

            image = open_tiff(file)
        elif form == "PNG":
            from cnnfilter.files.png_rows import PngRows
            from cnnfilter.lazy.sequential import FromTop

            image = FromTop(file, PngRows(file))
        elif form == "JPEG":
            from cnnfilter.lazy.decoding import Decoded

            image = stack.enter_context(closing(Decoded(file)))
        else:
            raise NotInParts(f"{form or 'no known form'} is not read in parts; use one of {_FORMS}")
        image.picture.form = form  # type: ignore[attr-defined]
        yield image


def _npy(file: IO[bytes]) -> "Rows":
    from cnnfilter.files.npy import many_channels
    from cnnfilter.lazy.rows import Rows
    from cnnfilter.npyfile import read_header
    from cnnfilter.pixels.kinds import DTYPES

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
    picture = blank(header.shape, dtype)
    if remark := many_channels(header.shape):
        picture.losses.append(remark)
    return Rows(file, offset, header.dtype, picture)


def _netpbm(file: IO[bytes]) -> "Rows":
    from cnnfilter.files import netpbm
    from cnnfilter.lazy.rows import Rows

    found = netpbm.layout(file)
    notes: list[str] = []
    pixel = netpbm.scaled(np.zeros((1, 1), found.dtype.newbyteorder("=")), found.white, notes)
    picture = blank(found.shape, pixel.dtype)
    picture.model, picture.alpha = found.model, found.alpha
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


class There(NamedTuple):
    """What is on the disk of a file that is to be gone on with.

    Attributes
    ----------
    rows, bytes : int
    state : str
        See `Laid.sink`.
    """

    rows: int = 0
    bytes: int = 0
    state: str = ""


NOTHING = There()


class Laid(Protocol):
    """How a file will be laid out that is written in parts.

    Attributes
    ----------
    chunks : pair of int
        See `Sink`.
    held : int
        Bytes that writing takes beside the blocks.
    size : int
        Bytes that the file will have at least.
    """

    chunks: Pair
    held: int
    size: int

    def sink(self, file: IO[bytes], rows: int, state: str = "") -> Any:
        """Begin a file, or go on with one that has some rows; return a sink with `settle` and `complete`.

        `state` is what `settle` returned when these rows had been written.
        """


@contextmanager
def created(
    path: str,
    laid: Laid,
    opening: Callable[[str], AbstractContextManager[IO[bytes]]] = whole_file,
    there: There = NOTHING,
) -> Iterator[Any]:
    """Make an image file, to be written in parts.

    It is in its place only when the block ends well; see `cnnfilter.wholefile`.

    Parameters
    ----------
    path : str
    laid : Laid
        See `laid_out`.
    opening : callable, optional
        Opens the file, and puts it in its place.
    there : There, optional
        What is on the disk already.

    Raises
    ------
    ImageFileError
        A disk without room for the file. The message lacks its name.
    """
    require_room(path, laid.size - there.bytes)
    with opening(path) as file:
        sink = laid.sink(file, there.rows, there.state)
        yield sink
        sink.complete()


def require_room(path: str, needed: int) -> None:
    """Refuse what the disk has no room for."""
    free = free_in(os.path.dirname(os.path.realpath(path)))
    if needed > free:
        raise ImageFileError(f"the result takes {needed} bytes, but {free} are free on its disk")


def free_in(folder: str) -> int:
    """Return the bytes that are free on the disk of a folder."""
    if hasattr(os, "statvfs"):
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize
    import shutil  # with zlib, bz2 and lzma, 4 ms

    return shutil.disk_usage(folder).free


def laid_out(
    picture: Picture,
    form: str,
    *,
    quality: int | None = None,
    compression: int | None = None,
    threads: int | None = None,
) -> Laid:
    """Say how an image file will be laid out that is written in parts.

    Parameters
    ----------
    picture : Picture
        What is known of the image, and the shape and type of its frame; what the file does not hold is put
        down in its losses.
    form : str
    quality, compression, threads : int, optional
        See `cnnfilter.files.write`.

    Raises
    ------
    NotInParts
    ImageFileError
        A form that cannot hold such pixels. The message lacks the name of the file.
    """
    if picture.metadata != Metadata():
        from cnnfilter.files.losses import unheld

        picture.losses += unheld(picture, form)
    frame = picture.frames[0]
    dtype, channels = frame.dtype, frame.shape[2] if frame.ndim == 3 else 1
    if form == "NPY":
        return _lines(picture, _npy_head(frame), dtype)
    if form == "TIFF":
        return _tiff(picture, compression, threads)
    if form == "PNG":
        return _png(picture, compression, threads)
    if form == "JPEG":
        return _jpeg(picture, quality, threads)
    held = {"PGM": (1,), "PPM": (1, 3), "PAM": (1, 3)}
    if form not in held:
        raise NotInParts(f"{form} is not written in parts; use one of {_FORMS}")
    if picture.alpha and form != "PAM":
        raise NotInParts(f"{form} holds no transparency, and whether there is some is seen late; use PAM")
    if channels - picture.alpha not in held[form] or dtype.name not in ("uint8", "uint16"):
        raise ImageFileError(f"{form} does not hold {channels} channel(s) of {dtype}; write .npy")
    from cnnfilter.files import netpbm

    head = netpbm.header(form, frame.shape, dtype, netpbm.comment_lines(picture))
    return _lines(picture, head, dtype.newbyteorder(">"))


def _lines(picture: Picture, head: bytes, stored: np.dtype[Any]) -> Laid:
    from cnnfilter.lazy.rows import Lines

    return Lines(picture, head, stored)


def _png(picture: Picture, compression: int | None, threads: int | None) -> Laid:
    from cnnfilter.files.deflate import FAST
    from cnnfilter.lazy.pngsink import Stream

    frame = picture.frames[0]
    channels = math.prod(frame.shape[2:]) - picture.alpha
    if channels not in (1, 3) or picture.model == "cmyk" or frame.dtype.name not in ("uint8", "uint16"):
        raise ImageFileError(f"PNG does not hold {channels} channel(s) of {frame.dtype}; write .npy or .tif")
    return Stream(picture, FAST if compression is None else compression, threads)


def _jpeg(picture: Picture, quality: int | None, threads: int | None) -> Laid:
    from cnnfilter.files.jpeg_writing import goes_in_strips
    from cnnfilter.lazy.jpegsink import Strips

    frame = picture.frames[0]
    channels = math.prod(frame.shape[2:])
    if picture.alpha:
        raise NotInParts("JPEG holds no transparency, and whether there is some is seen late; use PNG")
    if channels not in (1, 3) or frame.dtype != np.uint8 or max(frame.shape[:2]) > JPEG_SIDE:
        raise ImageFileError(f"JPEG does not hold {frame.shape} {frame.dtype}; write .png or .tif")
    if not goes_in_strips(picture):
        raise NotInParts("JPEG is not written in parts where it is small, progressive or of inks; use PNG")
    return Strips(picture, quality, threads)


def _tiff(picture: Picture, compression: int | None, threads: int | None) -> Laid:
    from cnnfilter.files.tiff_packing import PLAIN, layout
    from cnnfilter.files.tiff_writing import plain_header

    how = layout(picture, compression)
    if how._replace(level=PLAIN.level) == PLAIN:
        return _lines(picture, plain_header(picture), picture.dtype.newbyteorder("<"))
    from cnnfilter.lazy.packing import Packed

    return Packed(picture, how, threads)


def _npy_head(frame: Array) -> bytes:
    file = io.BytesIO()
    told = {"descr": np.lib.format.dtype_to_descr(frame.dtype), "fortran_order": False, "shape": frame.shape}
    np.lib.format.write_array_header_1_0(file, told)
    return file.getvalue()
