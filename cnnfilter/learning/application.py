"""A learned filter as a step of a chain of filters: an array in, an array of the wanted type out."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core.correlate import correlate
from cnnfilter.learning.learnedfilter import LearnedFilter, Padding
from cnnfilter.pixels.kinds import full_scale


def apply(
    image: ArrayLike,
    filter: LearnedFilter,
    *,
    boundary: str = "reflect",
    constant: float = 0.0,
    padding: Padding | None = None,
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
    boundary : str, default "reflect"
    constant : float, default 0
        The value of ``boundary="constant"``.
    padding : ((top, bottom), (left, right)), optional
        Default: as much as keeps the size.
    dtype : dtype, optional
        Type of the result, that of the image by default; an integer type rounds and clips.
    threads : int, optional

    Raises
    ------
    ParameterError
        Channels that do not fit.

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
            pixels, kernel, padding=padding or "same", boundary=boundary, constant=constant, dtype=target,
            threads=threads,
        )  # fmt: skip
    values = filter.maps(pixels, boundary=boundary, constant=constant, padding=padding, threads=threads)
    values *= values.dtype.type(full_scale(pixels.dtype))
    if target.kind != "f":
        limits = np.iinfo(target)
        values = np.clip(np.rint(values, out=values), limits.min, limits.max, out=values)
    if pixels.ndim == 2 and values.shape[2] == 1:
        values = values[..., 0]
    return values.astype(target, copy=False)
