"""Writing: what a form cannot hold is refused, with the way out."""

import os
from dataclasses import replace
from importlib import import_module
from typing import IO, Any, NamedTuple

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files.forms import form_named, form_of
from cnnfilter.files.picture import Array, Metadata, Picture
from cnnfilter.files.source import name_of
from cnnfilter.wholefile import whole_file

Target = str | os.PathLike[str] | IO[bytes]


class _Ability(NamedTuple):
    """What a form can hold."""

    dtypes: tuple[str, ...] = ("uint8",)
    channels: tuple[int, ...] = (1, 3)
    alpha: bool = False
    cmyk: bool = False
    frames: bool = False
    side: int = 2**31 - 1


_ABILITIES = {
    "PNG": _Ability(("uint8", "uint16"), alpha=True, frames=True),
    "JPEG": _Ability(cmyk=True, side=65500),
    "TIFF": _Ability(
        ("uint8", "uint16", "int16", "float32", "float64"), tuple(range(1, 65)), True, True, True
    ),
    "WEBP": _Ability(alpha=True, frames=True, side=16383),
    "GIF": _Ability(alpha=True, frames=True, side=65535),
    "AVIF": _Ability(alpha=True, frames=True, side=65536),
    "BMP": _Ability(),
    "TGA": _Ability(alpha=True, side=65535),
    "PPM": _Ability(("uint8", "uint16"), frames=True),
    "PGM": _Ability(("uint8", "uint16"), (1,), frames=True),
    "PBM": _Ability(channels=(1,), frames=True),
    "PAM": _Ability(("uint8", "uint16"), alpha=True, frames=True),
    "PFM": _Ability(("float32",)),
    "JXL": _Ability(("uint8", "uint16", "float32"), alpha=True, side=2**30),
    "JP2": _Ability(("uint8", "uint16"), alpha=True),
    "QOI": _Ability(channels=(3,), alpha=True),
    "HDR": _Ability(("float32",), (3,)),
    "PCX": _Ability(side=65535),
    "SGI": _Ability(("uint8", "uint16"), side=65535),
    "DDS": _Ability(alpha=True),
    "HEIC": _Ability(("uint8", "uint16"), alpha=True),
    "EXR": _Ability(("float32",), tuple(range(1, 65)), alpha=True),
    "FITS": _Ability(("uint8", "uint16", "int16", "float32", "float64"), (1,), frames=True),
}

_PAGES = ("TIFF", "PPM", "PGM", "PBM", "PAM", "FITS")
"""Forms whose images one after the other are no animation, and may differ in size."""


def write(
    picture: Picture,
    target: Target,
    *,
    form: str | None = None,
    quality: int | None = None,
    compression: int | None = None,
    threads: int | None = None,
    name: str | None = None,
    overwrite: bool = True,
) -> None:
    """Write a picture.

    Parameters
    ----------
    picture : Picture
        Frames of the dtype to be written: nothing is rounded or clipped here (see `pixels.apply`).
    target : path or binary file object
        A path gets the whole picture or stays as it was; see `cnnfilter.wholefile`. A file object is written
        from where it stands, and need not be seekable.
    form : str, optional
        A key of `FORMS`; default the one of the path's suffix, or else the one that was read.
    quality : int, optional
        1 to 100 for JPEG, WebP, AVIF. Default: a JPEG keeps the quantisation and subsampling that it was
        read with, a lossless WebP stays so; anything else is written with quality 90.
    compression : int, optional
        0 (none) to 9 (smallest) for PNG and TIFF. Default: 1 for PNG; a TIFF is packed as it was.
    threads : int, optional
        For compressing a PNG, GIF or TIFF. Default: one for each processor.
    name : str, optional
        What messages call the target; default its path.
    overwrite : bool, default True
        Whether a file at that path may be replaced.

    Raises
    ------
    ImageFileError
        If the form cannot hold these pixels. The message is ``NAME: what is wrong; what to do``.
    OSError
        If the target cannot be written (no folder, no permission, disk full).

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write(Picture([np.zeros((2, 3), np.uint8)]), file, form="png")
    >>> file.getvalue()[1:4]
    b'PNG'
    """
    name = name_of(target) if name is None else name
    if form is None:
        form = form_of(target) if isinstance(target, str | os.PathLike) else picture.form
    form = form_named(form)
    try:
        picture = _fitting(picture, form)
        if picture.metadata != Metadata() or picture.pages or picture.delays:
            from cnnfilter.files.losses import unheld  # 1 ms that most need not pay

            picture.losses += unheld(picture, form)
        options = {"quality": quality, "compression": compression, "threads": threads}
        if isinstance(target, str | os.PathLike):
            with whole_file(os.fspath(target), replace=overwrite) as file:
                _encode(picture, file, form, options)
        else:
            _encode(picture, target, form, options)
    except ImageFileError as error:
        raise ImageFileError(f"{name}: {error}") from error.__cause__
    except OSError as error:
        if error.filename is not None:
            error.filename = name  # not that of the unfinished file beside it
        raise


def _fitting(picture: Picture, form: str) -> Picture:
    """Return the picture as the form can hold it, or refuse."""
    if form == "NPY":
        return picture
    if form not in _ABILITIES:
        raise ImageFileError(f"{form} is read but not written; write .png or .tif (--format png)")
    able = _ABILITIES[form]
    frames = [_squeezed(frame) for frame in picture.frames]
    if max(frames[0].shape[:2]) > able.side:
        raise ImageFileError(f"{form} holds at most {able.side} pixels a side; write .png or .tif")
    alpha = picture.alpha
    if alpha and not able.alpha:
        if any(_translucent(frame) for frame in frames):
            raise ImageFileError(f"{form} holds no transparency; write .png, .webp or .tif")
        frames, alpha = [_squeezed(frame[..., :-1]) for frame in frames], False
    dtype = frames[0].dtype.name
    if dtype not in able.dtypes:
        raise ImageFileError(f"{form} holds {' or '.join(able.dtypes)}, not {dtype}; {_way_out(able, dtype)}")
    channels = (frames[0].shape[-1] if frames[0].ndim == 3 else 1) - alpha
    model = picture.model
    if channels not in able.channels and "extra" in picture.encoding:
        model, extra = picture.encoding["colours"], len(picture.encoding["extra"])
        frames, channels = [_squeezed(frame[..., :-extra]) for frame in frames], channels - extra
        picture.losses.append(f"{form} holds no bands beyond the colours: {extra} are left out")
    if model == "cmyk" and not able.cmyk:
        raise ImageFileError(f"{form} holds no CMYK; write .jpg or .tif, or convert the input to RGB")
    if channels not in able.channels and model != "cmyk":
        raise ImageFileError(f"{form} holds no image of {channels} channels; write .tif or .npy")
    if len(frames) > 1:
        _check_frames(picture, frames, form, able)
    return replace(picture, frames=frames, alpha=alpha, model=model)


def _squeezed(frame: Array) -> Array:
    return frame[..., 0] if frame.ndim == 3 and frame.shape[-1] == 1 else frame


def _translucent(frame: Array) -> bool:
    white = np.iinfo(frame.dtype).max if frame.dtype.kind in "iu" else 1.0
    return bool((frame[..., -1] < white).any())


def _way_out(able: _Ability, dtype: str) -> str:
    """Say what to do about a dtype that a form cannot hold."""
    depths = [
        depth for name, depth in (("uint16", "16"), ("uint8", "8"), ("float32", "f32")) if name in able.dtypes
    ]
    return f"use --depth {' or '.join(depths)}, or write .tif or .npy"


def _check_frames(picture: Picture, frames: list[Array], form: str, able: _Ability) -> None:
    count = len(frames)
    if not able.frames:
        raise ImageFileError(f"{form} holds one image, not {count} frames; write .tif, .gif, .png or .webp")
    if form in _PAGES:
        return
    if not picture.delays:
        raise ImageFileError(f"{count} pages would become an animation in {form}; write .tif")
    if len({frame.shape for frame in frames}) > 1:
        raise ImageFileError(f"frames of different sizes do not go into {form}; write .tif")


def _encode(picture: Picture, file: IO[bytes], form: str, options: dict[str, Any]) -> None:
    """Hand the picture to the module of its form, imported only now."""
    package = "cnnfilter.files"
    quality, compression, threads = options["quality"], options["compression"], options["threads"]
    if form == "NPY":
        import_module(f"{package}.npy").write(picture, file)
    elif form == "PNG":
        import_module(f"{package}.png_writing").write(picture, file, compression, threads)
    elif form == "TIFF":
        import_module(f"{package}.tiff_writing").write(picture, file, compression, threads)
    elif form == "JPEG":
        import_module(f"{package}.jpeg").write(picture, file, quality)
    elif form == "GIF":
        import_module(f"{package}.gif").write(picture, file, threads)
    elif form in ("JXL", "JP2", "QOI", "HDR"):
        import_module(f"{package}.imagecodec").write(picture, file, form, quality)
    elif form == "HEIC":
        import_module(f"{package}.heic").write(picture, file, quality)
    elif form in ("EXR", "FITS", "SGI"):
        import_module(f"{package}.{form.lower()}").write(picture, file)
    elif form in ("WEBP", "AVIF"):
        import_module(f"{package}.animation").write(picture, file, form, quality)
    elif form in ("PPM", "PGM", "PBM", "PAM", "PFM"):
        import_module(f"{package}.netpbm").write(picture, file, form)
    else:
        import_module(f"{package}.pillow").write_still(picture, file, form)
