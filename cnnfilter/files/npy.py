"""NumPy's ``.npy`` files as images: the array is the picture, a stack of pictures, or a signal."""

from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Model, Picture
from cnnfilter.files.source import remaining
from cnnfilter.npyfile import read_header, read_values
from cnnfilter.pixels.kinds import DTYPES

_USUAL = {1: "W", 2: "HW", 3: "HWC"}
_MANY = 4  # more channels are more likely to be something else


def read(file: IO[bytes], limit: Limit, axes: str | None = None) -> Picture:
    """Read one array; big-endian and Fortran order are made native.

    Parameters
    ----------
    axes : str, optional
        What the axes are: ``W`` columns, ``H`` rows, ``C`` channels, ``N`` images, in any order. Default
        ``W``, ``HW`` or ``HWC``, by their number.
    """
    try:
        header = read_header(file)
    except ParameterError as error:
        raise ImageFileError(f"damaged or truncated NPY file ({error}); get a whole copy") from error
    shape, _, dtype = header
    if dtype.newbyteorder("=") not in DTYPES:
        raise ImageFileError(f"array of {dtype}; convert it to one of {', '.join(map(str, DTYPES))}")
    named = axes or _USUAL.get(len(shape), "")
    if len(named) != len(shape) or min(shape, default=0) < 1:
        told = f"--axes {axes} has {len(named)} axes" if axes else "an image is (H, W) or (H, W, C)"
        raise ImageFileError(f"array of shape {shape}; {told}; --axes NHWC names the axes of a stack")
    sizes = dict(zip(named, shape, strict=True))
    each = sizes.get("C", 1) * dtype.itemsize
    limit.spend(sizes["W"], sizes.get("H", 1), sizes.get("N", 1), bytes_a_pixel=each)
    if header.size > remaining(file):
        raise ImageFileError(f"truncated: fewer bytes than shape {shape} of {dtype} needs; get a whole copy")
    array = read_values(file, header)
    picture = Picture(_frames(array, named), _model(sizes.get("C")), encoding={"axes": named})
    if not axes and (remark := many_channels(shape)):
        picture.losses.append(remark)
    return picture


def many_channels(shape: tuple[int, ...]) -> str | None:
    """Say what an array was taken for that may be a stack of images; None for what is hardly one."""
    if len(shape) != 3 or shape[-1] <= _MANY:
        return None
    size = f"{shape[0]}x{shape[1]} pixels of {shape[2]} channels"
    return f"taken for {size}; --axes NHW takes {shape[0]} images"


def _model(channels: int | None) -> Model:
    return "grey" if channels is None else "rgb" if channels == 3 else "channels"


def _frames(array: Array, axes: str) -> list[Array]:
    """Part an array into images of (H, W) or (H, W, C)."""
    all_axes = axes + "".join(axis for axis in "NHWC" if axis not in axes)
    whole = array.reshape(array.shape + (1,) * (4 - array.ndim))
    stack = whole.transpose([all_axes.index(axis) for axis in "NHWC"])
    if "C" not in axes:
        stack = stack[..., 0]
    return [np.ascontiguousarray(image) for image in stack]


def write(picture: Picture, file: IO[bytes]) -> None:
    """Write the frame as it is, or the axes in the order that they were read in."""
    if picture.alpha:
        picture.lose("NPY does not hold that the last channel is transparency")
    if picture.model == "cmyk":
        picture.lose("NPY does not hold that the channels are CMYK")
    axes, frames = picture.encoding.get("axes", ""), picture.frames
    if len({frame.shape for frame in frames}) > 1 or (len(frames) > 1 and "N" not in axes):
        raise ImageFileError(f".npy holds one image, not {len(frames)} frames; write .tif")
    array = frames[0] if axes in ("", "HW", "HWC") else _ordered(np.stack(frames), axes)
    npy_format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def _ordered(stack: Array, axes: str) -> Array:
    """Bring a stack (N, H, W) or (N, H, W, C) to the axes; others of length 1 are left out."""
    here = "NHWC"[: stack.ndim]
    kept = [axis for axis in here if axis in axes or stack.shape[here.index(axis)] > 1]
    stack = stack.reshape([stack.shape[here.index(axis)] for axis in kept])
    order = [axis for axis in axes if axis in kept]
    order += [axis for axis in kept if axis not in order]
    return stack.transpose([kept.index(axis) for axis in order])
