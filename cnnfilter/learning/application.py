"""Learned filters as the command line applies them: an array in, an array of the wanted type out."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core.correlate import correlate
from cnnfilter.errors import ParameterError
from cnnfilter.learning.learnedfilter import LearnedFilter


def apply(
    image: ArrayLike,
    filter: LearnedFilter,
    *,
    boundary: str = "reflect",
    constant: float = 0.0,
    dtype: Any = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Apply a learned filter; values leave the range of the image only where `dtype` can hold them.

    Parameters
    ----------
    image : array of shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64. Filters other than one plain kernel need an integer image,
        whose range tells what they call 1.
    filter : LearnedFilter
    boundary : str, default "reflect"
    constant : float, default 0
        The value of ``boundary="constant"``; for one plain kernel only.
    dtype : dtype, optional
        Type of the result; that of the image by default.

    Raises
    ------
    ParameterError
        A float image for a filter that is more than one plain kernel, or channels that do not fit.
    """
    pixels = np.asarray(image)
    target = pixels.dtype if dtype is None else np.dtype(dtype)
    kernel = filter.kernel()
    if kernel is not None:
        return correlate(pixels, kernel, boundary=boundary, constant=constant, dtype=target, threads=threads)
    if boundary == "constant":
        raise ParameterError("boundary 'constant' is for filters of one plain kernel; use another boundary")
    if pixels.dtype.kind == "f":
        raise ParameterError(
            "a filter of several kernels or with a bias needs the pixels as integers; "
            "give an image of 8 or 16 bits without alpha, and not --linear"
        )
    if target == pixels.dtype:
        return filter.apply(pixels, boundary=boundary)
    limits = np.iinfo(pixels.dtype)
    values = filter.maps(pixels, boundary=boundary) * limits.max
    if target.kind != "f":
        limits = np.iinfo(target)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.reshape(pixels.shape[:2] + values.shape[2:] if pixels.ndim == 3 else pixels.shape).astype(
        target
    )
