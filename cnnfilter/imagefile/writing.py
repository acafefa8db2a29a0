"""Writing: what a form cannot hold is refused, with the way out."""

import os
from typing import IO

from cnnfilter.errors import ImageFileError
from cnnfilter.imagefile import npy, pillow
from cnnfilter.imagefile.forms import form_named, form_of
from cnnfilter.imagefile.picture import Picture
from cnnfilter.imagefile.source import name_of

Target = str | os.PathLike[str] | IO[bytes]


def write(
    picture: Picture,
    target: Target,
    *,
    form: str | None = None,
    quality: int | None = None,
    compression: int | None = None,
    name: str | None = None,
) -> None:
    """Write a picture.

    Parameters
    ----------
    picture : Picture
        Frames of the dtype to be written: nothing is rounded or clipped here (see `pixels.apply`).
    target : path or binary file object
        Written from where it stands; need not be seekable. A path is replaced, not atomically.
    form : str, optional
        A key of `FORMS`; default the one of the path's suffix, or else the one that was read.
    quality : int, optional
        1 to 100 for JPEG, WebP, AVIF. Default: a JPEG keeps the quantisation and subsampling that it was
        read with; anything else becomes a JPEG of quality 90.
    compression : int, optional
        0 (none) to 9 (smallest) for PNG and TIFF. Default: fast.
    name : str, optional
        What messages call the target; default its path.

    Raises
    ------
    ImageFileError
        If the form cannot hold these pixels, or the target cannot be written.
        The message is ``NAME: what is wrong; what to do``.
    """
    name = name_of(target) if name is None else name
    if form is None:
        form = form_of(target) if isinstance(target, str | os.PathLike) else picture.form
    form = form_named(form)
    try:
        if isinstance(target, str | os.PathLike):
            with open(target, "wb") as file:
                _write(picture, file, form, quality, compression)
        else:
            _write(picture, target, form, quality, compression)
    except ImageFileError as error:
        raise ImageFileError(f"{name}: {error}") from error.__cause__


def _write(
    picture: Picture, file: IO[bytes], form: str, quality: int | None, compression: int | None
) -> None:
    if form == "NPY":
        npy.write(picture, file)
    else:
        pillow.write(picture, file, form, quality, compression)
