"""The only rules for dtype, colour, alpha, linear light, range and rounding. Arrays only, no files.

A filter works on numbers; an image file holds sRGB-coded integers with transparency beside them.
`apply` stands between them: it makes values that a linear filter may mix, calls the filter, and
makes pixels again, rounding once, half to even, at the very end.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided
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
_RANGES = ("clip", "abs", "offset", "stretch")

# Values rounded at a time: a slice and its temporaries stay within the second-level cache.
_SLICE = 1 << 16


class Applied(NamedTuple):
    """Result of `apply`: the array, and how many of its values were limited to the range."""

    array: Array
    clipped: int


def depth_dtype(depth: str | DTypeLike) -> np.dtype[Any]:
    """Return the dtype that a depth stands for: "8", "16", "f32", or any supported dtype.

    Raises
    ------
    ParameterError
        For anything else.

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
        dtype = np.dtype(object)
    if dtype not in _DTYPES:
        raise ParameterError(f"depth {depth!r}; use one of {', '.join(DEPTHS)}")
    return dtype


def white_of(dtype: DTypeLike) -> float | None:
    """Return the value of full intensity: 255, 65535, or None for a dtype that does not say.

    Examples
    --------
    >>> white_of("uint8"), white_of("float32")
    (255.0, None)
    """
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else None


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
    white: float | None = None,
) -> Applied:
    """Filter the pixels of one frame.

    Parameters
    ----------
    array : ndarray of shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64. An RGB array may be a view of four interleaved
        channels: then the filter is given all four (see `four_channels`).
    function : callable
        ``function(values, dtype)`` filters each channel of `values` and gives an array of `dtype`:
        float32 or float64, or (only if `bounded`) an integer dtype, rounded half to even.
    alpha : bool, optional
        Whether the last channel is transparency. Colours are then multiplied by it before the filter
        and divided by it after, so that the colour of hidden pixels never bleeds. Alpha itself is
        filtered and divided by `gain`; a filter without gain (a derivative) gives an opaque result.
    gain : float, optional
        What the filter makes of a constant 1, the sum of its kernel. Default 1.
    bounded : bool, optional
        Whether results cannot leave the range of the input (a weighted mean, a pooling).
    linear : bool, optional
        Filter in linear light: the sRGB curve is undone before the filter and applied after it,
        to negative values as to their absolute value. The alpha channel is linear already.
    value_range : {"clip", "abs", "offset", "stretch"}, optional
        What becomes of values outside the range: limited to it; absolute value, then limited;
        mid-grey added, then limited; or the least and the greatest mapped to its ends.
        None: "clip" for an integer depth; floats are kept as they are, signed.
    depth : str or dtype, optional
        "8", "16", "f32" or a dtype; default that of the array. Between 8 and 16 bits values are
        scaled by 257; floats keep the values that they stand for.
    white : float, optional
        Value of `array` that stands for full intensity; default 255 or 65535 for uint8 and uint16.
        To be given for floats that are pixels on their way between two filters.

    Returns
    -------
    Applied
        ``(array, clipped)``: the filtered frame and the number of values that were limited.

    Raises
    ------
    DtypeError
        For an array of another dtype.
    ParameterError
        For linear light without a `white`, an unknown depth or range.

    Examples
    --------
    >>> double = lambda values, dtype: values.astype(dtype) * 2
    >>> apply(np.array([[10, 200]], np.uint8), double, gain=2)
    Applied(array=array([[ 20, 255]], dtype=uint8), clipped=1)
    """
    if array.dtype not in _DTYPES:
        raise DtypeError(f"image of {array.dtype}; use one of {', '.join(map(str, _DTYPES))}")
    if value_range not in (None, *_RANGES):
        raise ParameterError(f"range {value_range!r}; use one of {', '.join(_RANGES)}")
    dtype = array.dtype if depth is None else depth_dtype(depth)
    white = white_of(array.dtype) if white is None else white
    if linear and white is None:
        raise ParameterError(
            f"linear light of an image of {array.dtype}, whose white is unknown; "
            f"leave --linear out (such values mostly are linear already), or convert it to 8 or 16 bits"
        )
    rounded = dtype == array.dtype and dtype.kind in "iu" and value_range in (None, "clip")
    if bounded and rounded and not linear:
        direct = _direct(array, function, alpha)
        if direct is not None:
            return Applied(direct, 0)
    values = _filtered(array, function, alpha, gain, linear, white)
    return _ranged(values, dtype, value_range, white, alpha)


def _direct(array: Array, function: Filter, alpha: bool) -> Array | None:
    """Let the filter round by itself, in one pass; None if alpha is not white before and after."""
    white = white_of(array.dtype)
    if alpha and array[..., -1].min() != white:
        return None
    padded = four_channels(array)
    if padded is not None:
        return function(padded, array.dtype)[..., :3]
    result = function(packed(array), array.dtype)
    return None if alpha and result[..., -1].min() != white else result


def _filtered(
    array: Array, function: Filter, alpha: bool, gain: float, linear: bool, white: float | None
) -> Array:
    """Filter into floats, whose white is that of the array."""
    work = np.dtype(np.float64 if array.dtype == np.float64 else np.float32)
    if not (alpha or linear):
        return function(packed(array), work)
    values = array.astype(work)
    values *= 1 / (white or 1.0)
    colours = values[..., :-1] if alpha else values
    if linear:
        colours[...] = srgb_to_linear(colours)
    if alpha:
        colours *= values[..., -1:]
    values = function(values, work)
    colours = values[..., :-1] if alpha else values
    if alpha:
        _divide(colours, values[..., -1:], gain)
    if linear:
        colours[...] = linear_to_srgb(colours)
    values *= white or 1.0
    return values


def _divide(colours: Array, alpha: Array, gain: float) -> None:
    """Divide colours by alpha, in place, and bring alpha to between 0 and 1."""
    if abs(gain) < 1e-6:
        alpha[...] = 1
        return
    alpha /= gain
    np.clip(alpha, 0, 1, out=alpha)
    visible = alpha > 0
    np.divide(colours, alpha, out=colours, where=visible)
    np.copyto(colours, 0, where=~visible)


def _ranged(
    values: Array, dtype: np.dtype[Any], value_range: ValueRange | None, white: float | None, alpha: bool
) -> Applied:
    """Apply the range to the colours, and to alpha only the limits."""
    if not alpha:
        return quantise(values, dtype, value_range, white=white)
    colours, clipped = quantise(values[..., :-1], dtype, value_range, white=white)
    transparency, _ = quantise(values[..., -1:], dtype, white=white)
    return Applied(np.concatenate([colours, transparency], axis=-1), clipped)


def quantise(
    values: Array,
    dtype: np.dtype[Any],
    value_range: ValueRange | None = None,
    *,
    white: float | None = None,
) -> Applied:
    """Bring float values into a range, and round them once, half to even, to an integer dtype.

    Parameters
    ----------
    values : ndarray of float32 or float64
    dtype : dtype
        Of the result. NaN becomes 0 in an integer, and counts as limited.
    value_range : {"clip", "abs", "offset", "stretch"}, optional
        See `apply`.
    white : float, optional
        Value of full intensity in `values`; default that of `dtype`, or 1 for floats.

    Returns
    -------
    Applied
        ``(array, clipped)``.

    Examples
    --------
    >>> quantise(np.array([[-1.0, 0.5, 1.5, 300.0]]), np.dtype(np.uint8))
    Applied(array=array([[  0,   0,   2, 255]], dtype=uint8), clipped=2)
    """
    if dtype.kind == "f" and value_range is None:
        return Applied(values.astype(dtype, copy=False), 0)
    target = white_of(dtype)
    scale = target / white if target and white else 1.0
    if dtype.kind == "f":
        low, high = 0.0, white or 1.0
        middle = high / 2
    else:
        low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
        middle = float((int(high) - int(low) + 1) // 2) + low
    shift = middle if value_range == "offset" else 0.0
    if value_range == "stretch":
        scale, shift = _stretch(values, low, high)
    result = np.empty(values.shape, dtype)
    clipped = 0
    rows = max(1, _SLICE // max(1, values[:1].size))
    for top in range(0, len(values), rows):
        part = values[top : top + rows] * values.dtype.type(scale)
        if value_range == "abs":
            np.abs(part, out=part)
        part += values.dtype.type(shift)
        if dtype.kind != "f":
            np.rint(part, out=part)
        inside = int(np.count_nonzero((part >= low) & (part <= high)))
        if inside < part.size:
            clipped += part.size - inside
            np.nan_to_num(part, copy=False, nan=0.0, posinf=np.inf, neginf=-np.inf)
            np.clip(part, low, high, out=part)
        result[top : top + rows] = part
    return Applied(result, clipped)


def _stretch(values: Array, low: float, high: float) -> tuple[float, float]:
    """Return scale and shift that map the least finite value to `low`, the greatest to `high`."""
    finite = values[np.isfinite(values)]
    least, greatest = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    # A constant has nothing to stretch: it becomes the low end.
    scale = (high - low) / ((greatest - least) or 1.0)
    return scale, low - least * scale


def srgb_to_linear(values: Array) -> Array:
    """Undo the sRGB curve (IEC 61966-2-1): coded values, 1 for white, become linear light.

    Negative values are treated as their absolute value, with the sign put back.

    Examples
    --------
    >>> srgb_to_linear(np.array([0.0, 0.5, 1.0, -1.0])).round(4)
    array([ 0.   ,  0.214,  1.   , -1.   ])
    """
    size = np.abs(values)
    curve = ((size + 0.055) / 1.055) ** 2.4
    return np.copysign(np.where(size <= 0.04045, size / 12.92, curve), values)


def linear_to_srgb(values: Array) -> Array:
    """Apply the sRGB curve: linear light, 1 for white, becomes coded values.

    Examples
    --------
    >>> linear_to_srgb(np.array([0.0, 0.214, 1.0])).round(3)
    array([0. , 0.5, 1. ])
    """
    size = np.abs(values)
    curve = 1.055 * size ** (1 / 2.4) - 0.055
    return np.copysign(np.where(size <= 0.0031308, size * 12.92, curve), values)


def four_channels(array: Array) -> Array | None:
    """Return the four interleaved channels that an RGB view of shape (H, W, 3) is a part of.

    JPEG and PNG decoders give pixels of four bytes, the last without meaning. To filter and to write
    all four is faster than to take the three apart and put them together again.

    Returns
    -------
    ndarray of shape (H, W, 4), or None if the array is no such view.

    Examples
    --------
    >>> four_channels(np.zeros((2, 5, 4), np.uint8)[..., :3]).shape
    (2, 5, 4)
    >>> four_channels(np.zeros((2, 5, 3), np.uint8))
    """
    if array.ndim != 3 or array.shape[-1] != 3 or not isinstance(array.base, np.ndarray):
        return None
    size = array.itemsize
    shape = (*array.shape[:2], 4)
    if array.strides != (shape[1] * 4 * size, 4 * size, size):
        return None
    start, end = array.ctypes.data, array.ctypes.data + size * shape[0] * shape[1] * 4
    lowest, highest = byte_bounds(array.base)
    if start < lowest or end > highest:
        return None
    return as_strided(array, shape, array.strides, writeable=array.flags.writeable)


def packed(array: Array) -> Array:
    """Return a contiguous array; RGB out of four channels is copied a pixel at a time, not a value."""
    padded = four_channels(array)
    if padded is None:
        return np.ascontiguousarray(array)
    size = array.itemsize
    pixels = np.ndarray(array.shape[:2], f"V{3 * size}", padded, 0, array.strides[:2])
    return np.ascontiguousarray(pixels).view(array.dtype).reshape(array.shape)
