"""The only rules for dtype, colour, alpha, linear light, range and rounding. Arrays only, no files.

A filter works on numbers; an image file holds sRGB-coded integers with transparency beside them.
`apply` stands between them: it makes values that a linear filter may mix, calls the filter, and
makes pixels again, rounding once, half to even, at the very end.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cnnfilter.errors import DtypeError, ParameterError

Array = NDArray[Any]
ValueRange = Literal["clip", "abs", "offset", "stretch"]
Filter = Callable[[Array, np.dtype[Any]], Array]

DEPTHS: dict[str, np.dtype[Any]] = {
    "8": np.dtype(np.uint8),
    "16": np.dtype(np.uint16),
    "f32": np.dtype(np.float32),
}
"""What ``--depth`` accepts."""

_DTYPES = tuple(np.dtype(name) for name in ("uint8", "uint16", "int16", "float32", "float64"))


class Applied(NamedTuple):
    """Result of `apply`: the array, and how many of its values were clipped."""

    array: Array
    clipped: int


def depth_dtype(depth: str | DTypeLike) -> np.dtype[Any]:
    """Return the dtype that a depth stands for: "8", "16", "f32", or any supported dtype.

    Examples
    --------
    >>> depth_dtype("16")
    dtype('uint16')
    """
    if isinstance(depth, str) and depth in DEPTHS:
        return DEPTHS[depth]
    try:
        dtype = np.dtype(depth)
    except TypeError:
        dtype = None
    if dtype not in _DTYPES:
        raise ParameterError(f"depth {depth!r}; use one of {', '.join(DEPTHS)}")
    return dtype


def apply(
    array: Array,
    function: Filter,
    *,
    alpha: bool = False,
    gain: float = 1.0,
    bounded: bool = False,
    linear: bool = False,
    value_range: ValueRange | None = None,
    depth: str | DTypeLike | None = None,
) -> Applied:
    """Filter the pixels of one frame.

    Parameters
    ----------
    array : ndarray of shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64.
    function : callable
        ``function(values, dtype)`` filters each channel of `values` and gives an array of `dtype`:
        float32 or float64, or (only if `bounded`) an integer dtype, rounded half to even.
    alpha : bool, optional
        Whether the last channel is transparency. Colours are then multiplied by it before the filter
        and divided by it after, so that the colour of hidden pixels never bleeds.
    gain : float, optional
        What the filter makes of a constant 1, the sum of its kernel. Alpha is divided by it.
    bounded : bool, optional
        Whether results cannot leave the range of the input (a weighted mean, a pooling).
    linear : bool, optional
        Filter in linear light: the sRGB curve is undone before and applied after.
    value_range : {"clip", "abs", "offset", "stretch"}, optional
        What becomes of values outside the range of an integer depth: limited to it; absolute value,
        then limited; mid-grey added, then limited; or the least and the greatest mapped to its ends.
        None: "clip" for integers; floats are kept as they are, signed.
    depth : str or dtype, optional
        "8", "16", "f32" or a dtype; default that of the array. Values of uint8 and uint16 are scaled
        by 257 into each other; floats are never scaled.

    Returns
    -------
    Applied
        ``(array, clipped)``: the filtered frame and the number of values that were limited.
    """
    dtype = array.dtype if depth is None else depth_dtype(depth)
    if array.dtype not in _DTYPES:
        raise DtypeError(f"image of {array.dtype}; use one of {', '.join(map(str, _DTYPES))}")
    if linear or alpha:
        raise NotImplementedError
    if bounded and dtype == array.dtype and value_range in (None, "clip"):
        return Applied(function(array, dtype), 0)
    work = np.dtype(np.float64 if array.dtype == np.float64 else np.float32)
    values = function(array, work)
    scale = {(1, 2): 257.0, (2, 1): 1 / 257}.get((array.dtype.itemsize, dtype.itemsize), 1.0)
    if scale != 1.0 and array.dtype.kind == "u" and dtype.kind == "u":
        values = values * np.float32(scale)
    return quantise(values, dtype, value_range)


def quantise(values: Array, dtype: np.dtype[Any], value_range: ValueRange | None = None) -> Applied:
    """Bring float values into the range of a dtype and round them once, half to even.

    Examples
    --------
    >>> quantise(np.array([[-1.0, 0.5, 1.5, 300.0]]), np.dtype(np.uint8))
    Applied(array=array([[  0,   0,   2, 255]], dtype=uint8), clipped=2)
    """
    if value_range == "abs":
        values = np.abs(values)
    if dtype.kind == "f":
        return Applied(values.astype(dtype, copy=False), 0)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    if value_range == "offset":
        values = values + (high + 1) / 2
    if value_range == "stretch":
        least, greatest = float(values.min()), float(values.max())
        values = (values - least) * ((high - low) / ((greatest - least) or 1.0)) + low
    rounded = np.rint(values)
    clipped = int(np.count_nonzero((rounded < low) | (rounded > high)))
    return Applied(np.clip(rounded, low, high).astype(dtype), clipped)
