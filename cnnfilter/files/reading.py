"""Reading: the form is told by the bytes, the limit is checked before decoding, errors get one shape."""

import contextlib
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import IO

from cnnfilter.errors import ImageFileError
from cnnfilter.files.forms import FORMS, form_of_bytes
from cnnfilter.files.limit import MAX_PIXELS, Limit
from cnnfilter.files.picture import Picture
from cnnfilter.files.source import HEAD, Source, name_of, opened

_MODULES = {
    "PNG": "png",
    "JPEG": "jpeg",
    "TIFF": "tiff",
    "WEBP": "animation",
    "GIF": "animation",
    "AVIF": "animation",
    "BMP": "bmp",
    "TGA": "tga",
    "PPM": "netpbm",
    "PGM": "netpbm",
    "PBM": "netpbm",
    "PAM": "netpbm",
    "PFM": "netpbm",
    "NPY": "npy",
    **dict.fromkeys(("JXL", "JP2", "QOI", "HDR"), "imagecodec"),
    "HEIC": "heic",
    "EXR": "exr",
    "FITS": "fits",
    "PCX": "pcx",
    "PSD": "psd",
    "SGI": "sgi",
    **dict.fromkeys(("DDS", "ICO"), "pillow"),
}


def read(
    source: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    axes: str | None = None,
    max_bytes: int | None = None,
) -> Picture:
    """Read every frame of an image file.

    Parameters
    ----------
    source : path, bytes or binary file object
        A file object need not be seekable. The form is recognised by the bytes, not by the name.
    max_pixels : int, optional
        Most pixels, counted over all frames, that may be decoded; checked before decoding.
        Default 500 million.
    axes : str, optional
        What the axes of a ``.npy`` are, such as ``NHWC``; see `npy.read`. Other forms know it themselves.
    name : str, optional
        What messages call the source; default its path, or ``<stream>``.
    max_bytes : int, optional
        Most bytes that the decoded pixels may take, about; checked before decoding.

    Returns
    -------
    Picture
        Palettes are expanded to RGB or RGBA, one-bit images to 0 and 255 in uint8, fewer than 8 bits
        to 8; the EXIF orientation is applied to the pixels and reset. All other values are kept as
        they are in the file.

    Raises
    ------
    ImageFileError
        If the source cannot be opened, is no image, is damaged or truncated, is too large, or holds a
        form of pixels that cannot be kept. The message is ``NAME: what is wrong; what to do``.
    """
    name = name_of(source) if name is None else name
    with _explained(name), opened(source) as file:
        start = file.tell()
        head = file.read(HEAD)
        file.seek(start)
        form = form_of_bytes(head, os.path.splitext(name)[1])
        if form is None:
            raise ImageFileError(_unknown(head))
        try:
            picture = _decode(file, form, Limit(max_pixels, max_bytes), axes)
        except MemoryError as error:
            raise ImageFileError(
                "does not fit into memory; lower --jobs, or make the image smaller"
            ) from error
        picture.form = form
        return picture


def _decode(file: IO[bytes], form: str, limit: Limit, axes: str | None) -> Picture:
    """Hand the file to the module of its form, imported only now."""
    module = import_module(f"cnnfilter.files.{_MODULES[form]}")
    reader: Callable[..., Picture] = module.read
    if form == "NPY":
        return reader(file, limit, axes)
    if _MODULES[form] in ("animation", "bmp", "imagecodec", "pillow"):
        return reader(file, form, limit)
    return reader(file, limit)


def _unknown(head: bytes) -> str:
    if not head:
        return "is empty; there is no image in it"
    known = " ".join(FORMS)
    return f"is not an image of a known form (it begins with {head[:12]!r}); known are {known}"


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Put the name before the message of an `ImageFileError`."""
    try:
        yield
    except ImageFileError as error:
        raise type(error)(f"{name}: {error}") from error.__cause__
