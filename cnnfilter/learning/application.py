"""A learned filter as a step of a chain of filters: an array in, an array of the wanted type out."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core.geometry import Geometry, Number, Padding, make_geometry
from cnnfilter.core.linear import correlate
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.pixels.kinds import full_scale


def apply(
    image: ArrayLike,
    filter: LearnedFilter,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: str = "reflect",
    constant: float = 0.0,
    dtype: Any = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Apply a learned filter, but not the bias of one kernel.

    That bias is left to `cnnfilter.pixels.apply`, which adds it when transparency has been divided out.

    Parameters
    ----------
    image : array of shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64. Layers take the range of an integer dtype, or 1, as white.
    filter : LearnedFilter
    stride : int or pair, default 1
    padding : str, int or pairs, default "same"
        As in `correlate`; layers take it for all of them together, and "same" layer by layer.
    boundary : str, default "reflect"
    constant : float, default 0
        The value of ``boundary="constant"``.
    dtype : dtype, optional
        Type of the result, that of the image by default; an integer type rounds and clips.
    threads : int, optional

    Raises
    ------
    ParameterError
        Channels that do not fit, or an empty result.

    Examples
    --------
    >>> from cnnfilter.learning.learnedfilter import ConvolutionLayer
    >>> half = LearnedFilter((ConvolutionLayer(np.full((1, 1, 1, 1), 0.5)),), each_channel=True)
    >>> apply(np.array([[100, 51]], np.uint8), half, dtype="float32")
    array([[50. , 25.5]], dtype=float32)
    """
    pixels = np.asarray(image)
    target = pixels.dtype if dtype is None else np.dtype(dtype)
    kernel = filter.kernel()
    if kernel is not None:
        return correlate(
            pixels, kernel, stride=stride, padding=padding, boundary=boundary, constant=constant,
            dtype=target, threads=threads,
        )  # fmt: skip
    place = geometry_of(filter, (pixels.shape[0], pixels.shape[1]), stride, padding)
    values = filter.maps(pixels, boundary=boundary, constant=constant, padding=place.padding, threads=threads)
    values = values[:: place.stride[0], :: place.stride[1]]
    values *= values.dtype.type(full_scale(pixels.dtype))
    if target.kind != "f":
        limits = np.iinfo(target)
        values = np.clip(np.rint(values, out=values), limits.min, limits.max, out=values)
    if pixels.ndim == 2 and values.shape[2] == 1:
        values = values[..., 0]
    return values.astype(target, copy=False)


def geometry_of(
    filter: LearnedFilter, shape: tuple[int, int], stride: Number = 1, padding: Padding = "same"
) -> Geometry:
    """Return where the filter, taken as one window of its whole reach, meets an image of `shape`.

    Examples
    --------
    >>> from cnnfilter.learning.learnedfilter import ConvolutionLayer
    >>> layer = ConvolutionLayer(np.ones((1, 1, 3, 3)))
    >>> geometry_of(LearnedFilter((layer, layer)), (10, 8), 2, "narrow").output_shape
    (3, 2)
    """
    (top, bottom), (left, right) = filter.reach
    size = top + bottom + 1, left + right + 1
    return make_geometry(shape, size, stride, filter.reach if padding == "same" else padding, 1)
