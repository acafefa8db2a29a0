"""A filter between pixels and pixels."""

from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.masked import is_masked
from cnnfilter.pixels.hidden import filled
from cnnfilter.pixels.kinds import (
    DTYPES,
    RANGES,
    Applied,
    Array,
    Filter,
    ValueRange,
    depth_dtype,
    full_scale,
    share_of,
    white_of,
)
from cnnfilter.pixels.light import linear_to_srgb, srgb_to_linear
from cnnfilter.pixels.memory import by_slices, four_channels, packed
from cnnfilter.pixels.rounding import quantise, quantise_into


def apply(
    array: Array,
    function: Filter,
    *,
    alpha: bool = False,
    gain: float = 1.0,
    bias: float = 0.0,
    bounded: bool = False,
    apart: bool = False,
    colours_only: bool = False,
    span: float | None = None,
    constant: float | None = None,
    linear: bool = False,
    value_range: ValueRange | None = None,
    depth: str | DTypeLike | None = None,
    white: float | None = None,
    ends: tuple[float, float] | None = None,
    counted: tuple[slice, slice] | None = None,
    opaque: bool | None = None,
    threads: int | None = None,
) -> Applied:
    """Filter the pixels of one frame.

    Parameters
    ----------
    array : ndarray of shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64. An RGB array may be a view of four interleaved
        channels: then the filter is given all four (see `four_channels`). A masked array has missing
        pixels: the filter is given one and gives one, and range, rounding and clipping leave what is
        missing alone. Not with `alpha` or `colours_only`.
    function : callable
        ``function(values, dtype)`` filters each channel of `values` and gives an array of `dtype`:
        float32 or float64, or (only if `bounded`) an integer dtype, rounded half to even.
    alpha : bool, optional
        Whether the last channel is transparency. Colours are then multiplied by it before the filter
        and divided by it after, so that the colour of hidden pixels never bleeds. Alpha itself is
        filtered and divided by `gain`; a filter without gain (a derivative) gives an opaque result.
    gain : float, optional
        What the filter makes of a constant 1, the sum of its kernel. Default 1.
    bias : float, optional
        What is to be added to the colours that the filter gives, as a share of white. Default 0.
    bounded : bool, optional
        Whether results cannot leave the range of the input (a weighted mean, a pooling).
    apart : bool, optional
        Whether the filter makes other channels of the colours, so that alpha is handed to it by itself.
    colours_only : bool, optional
        Whether the filter cannot weigh pixels by their alpha, as layers cannot. It is then given colours
        alone, the hidden ones `filled` from around them, and alpha is kept as it is. Such a filter takes 1
        for the white of floats, and the range of integers.
    span : float, optional
        For a filter whose results are no brightness but, say, radians: how far they reach. Floats keep them
        as they are; pixels, and floats that are given a range, get white times their share of the span.
    constant : float, optional
        What the filter is to see beside the image, as a value of the array: an opaque grey, as the pixels
        are before they are multiplied by alpha or made linear. The filter is then called with the keyword
        `constant`, in the unit of its `values`.
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
    ends : pair of float, optional
        What "stretch" maps to the ends of the range, if not the extremes of this result: the array may
        be a part of an image.
    counted : pair of slice, optional
        Rows and columns of the result whose limited values are counted, if not all: others may compute the
        rest, too.
    opaque : bool, optional
        Whether to take all of the frame and of its result for opaque, as a filter that rounds by itself
        has to know: the array may be a part of an image. Default: as its alpha says.
    threads : int, optional
        For the work on pixels before and after the filter. Default: one for each processor.

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
    if array.dtype not in DTYPES:
        raise DtypeError(f"image of {array.dtype}; use one of {', '.join(map(str, DTYPES))}")
    if value_range not in (None, *RANGES):
        raise ParameterError(f"range {value_range!r}; use one of {', '.join(RANGES)}")
    dtype = array.dtype if depth is None else depth_dtype(depth)
    white = white_of(array.dtype) if white is None else white
    if linear:
        check_linear(array.dtype, white, span)
    if opaque is not False and bounded and not linear and rounds_itself(array.dtype, dtype, value_range):
        direct = _direct(array, _bordered(function, constant), alpha and opaque is None)
        if direct is not None:
            return Applied(direct, 0)
    work = np.dtype(np.float64 if array.dtype == np.float64 else np.float32)
    scale = full_scale(array.dtype) if white is None else white
    if colours_only and (alpha or linear or (array.dtype.kind == "f" and scale != 1)):
        mixed = _mixable(array, work, alpha, linear, scale, threads)
        inner = _bordered(function, _share(constant, scale, linear))
        values = _without_alpha(mixed, inner, work) if alpha else inner(mixed, work)
        _restore(values, alpha, 0.0, bias, linear, scale, threads)
        if alpha:
            check_kept_alpha(mixed.shape, values.shape)
            values[..., -1] = mixed[..., -1] * work.type(scale)
    elif alpha or linear:
        mixed = _mixable(array, work, alpha, linear, white, threads)
        inner = _bordered(function, _share(constant, white or 1.0, linear))
        if alpha and (apart or constant is not None):
            colours = inner(mixed[..., :-1], work)
            seen = _bordered(function, None if constant is None else 1.0)(mixed[..., -1:], work)
            values = np.concatenate((colours.reshape(*seen.shape[:2], -1), seen), axis=-1)
        else:
            values = inner(mixed, work)
        _restore(values, alpha, gain, bias, linear, white, threads)
    else:
        values = _bordered(function, constant)(packed(array), work)
        if bias:
            values += work.type(bias * scale)
    if span:
        colours = values[..., :-1] if alpha else values
        # Those that were filtered as shares of white have been multiplied by it.
        share = share_of(span, array.dtype, dtype, white) if dtype.kind != "f" or value_range else 1.0
        colours *= work.type(share / scale if alpha else share)
    limited = partial(
        _ranged, dtype=dtype, value_range=value_range, white=white, ends=ends, alpha=alpha, threads=threads
    )
    done = limited(values)
    if counted is None or not done.clipped:
        return done
    return Applied(done.array, done.clipped - sum(limited(part).clipped for part in _beside(values, counted)))


def check_linear(dtype: np.dtype[Any], white: float | None, span: float | None = None) -> None:
    """Refuse linear light where there is none; see `apply`.

    Raises
    ------
    ParameterError
        If white is unknown, or the filter has a `span`.
    """
    if white is None:
        raise ParameterError(
            f"linear light of an image of {dtype}, whose white is unknown; "
            f"leave --linear out (such values mostly are linear already), or convert it to 8 or 16 bits"
        )
    if span:
        raise ParameterError("the results of this filter are no brightness; leave --linear out")


def check_kept_alpha(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Refuse a result of another size where transparency is kept as it is.

    Raises
    ------
    ParameterError
        If rows or columns of the two shapes differ.
    """
    if before[:2] != after[:2]:
        (height, width), (rows, columns) = before[:2], after[:2]
        raise ParameterError(
            f"transparency stays as it is here, {height}x{width}, and the result would be "
            f"{rows}x{columns}; leave stride and padding out, or give a picture without transparency"
        )


def _beside(values: Array, inner: tuple[slice, slice]) -> list[Array]:
    """Return what lies above, below, left and right of some rows and columns."""
    rows, columns = inner
    band = values[rows]
    parts = values[: rows.start], values[rows.stop :], band[:, : columns.start], band[:, columns.stop :]
    return [part for part in parts if part.size]


def rounds_itself(source: np.dtype[Any], target: np.dtype[Any], value_range: ValueRange | None) -> bool:
    """Whether a filter whose results stay in range may round them itself, in one pass."""
    return target == source and target.kind in "iu" and value_range in (None, "clip")


def unit_of(dtype: np.dtype[Any], *, alpha: bool, linear: bool, white: float | None = None) -> float:
    """Return what one grey level is in the values that `apply` hands to a filter."""
    scale = white_of(dtype) if white is None else white
    return 1.0 / scale if scale and (alpha or linear) else 1.0


def _bordered(function: Filter, constant: float | None) -> Filter:
    """Tell a filter what lies beside the image, if that is a constant."""
    return function if constant is None else partial(function, constant=constant)


def _share(constant: float | None, scale: float, linear: bool) -> float | None:
    """Return a constant as `_mixable` makes it of an opaque pixel."""
    if constant is None:
        return None
    share = constant / scale
    return float(srgb_to_linear(np.array(share))) if linear else share


def _without_alpha(values: Array, function: Filter, work: np.dtype[Any]) -> Array:
    """Filter colours that were multiplied by alpha, and leave room for alpha beside the result."""
    colours = function(filled(values[..., :-1], values[..., -1:]), work)
    return np.concatenate((colours, np.empty((*colours.shape[:2], 1), work)), axis=-1)


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


def _mixable(
    array: Array, work: np.dtype[Any], alpha: bool, linear: bool, white: float | None, threads: int | None
) -> Array:
    """Return floats, 1 for white, that may be added: in linear light, multiplied by alpha; a mask stays."""
    if is_masked(array):
        mixed = _mixable(array.data, work, alpha, linear, white, threads)
        return np.ma.MaskedArray(mixed, np.ma.getmaskarray(array))
    values = np.empty(array.shape, work)
    table = _linear_table(array.dtype) if linear and array.dtype.kind == "u" else None
    scale = work.type(1 / (white or 1.0))

    def work_on(rows: slice) -> None:
        source, part = array[rows], values[rows]
        np.multiply(source, scale, out=part)
        colours = part[..., :-1] if alpha else part
        if table is not None:
            colours[...] = table[source[..., :-1] if alpha else source]
        elif linear:
            colours[...] = srgb_to_linear(colours)
        if alpha:
            _multiply(colours, part[..., -1])
            if array.dtype.kind == "f":  # nothing of what is hidden counts, not even NaN
                colours[(part[..., -1:] == 0) & ~np.isfinite(colours)] = 0

    by_slices(work_on, array, threads)
    return values


@cache
def _linear_table(dtype: np.dtype[Any]) -> Array:
    """Return the linear light of every value of a dtype."""
    white = np.iinfo(dtype).max
    return srgb_to_linear(np.arange(white + 1) / white).astype(np.float32)


def _restore(
    values: Array,
    alpha: bool,
    gain: float,
    bias: float,
    linear: bool,
    white: float | None,
    threads: int | None,
) -> None:
    """Undo `_mixable` in place, also of what is masked."""
    values = np.asarray(values)

    def work_on(rows: slice) -> None:
        part = values[rows]
        colours = part[..., :-1] if alpha else part
        if alpha:
            _divide(colours, part[..., -1], gain)
        if bias:
            colours += part.dtype.type(bias)
        if linear:
            colours[...] = linear_to_srgb(colours)
        part *= part.dtype.type(white or 1.0)

    by_slices(work_on, values, threads)


def _divide(colours: Array, alpha: Array, gain: float) -> None:
    """Divide colours by alpha, in place, and bring alpha to between 0 and 1."""
    if abs(gain) < 1e-6:
        alpha[...] = 1
        return
    seen = np.clip(alpha * alpha.dtype.type(1 / gain), 0, 1)
    alpha[...] = seen
    _multiply(colours, np.divide(1, seen, out=np.zeros_like(seen), where=seen > 0))


def _multiply(colours: Array, factor: Array) -> None:
    """Multiply each channel by one factor a pixel: three times the speed of doing it by broadcasting."""
    with np.errstate(invalid="ignore"):  # infinity that is hidden is no number
        for channel in range(colours.shape[-1]):
            colours[..., channel] *= factor


def _ranged(
    values: Array,
    dtype: np.dtype[Any],
    value_range: ValueRange | None,
    white: float | None,
    ends: tuple[float, float] | None,
    alpha: bool,
    threads: int | None,
) -> Applied:
    """Apply the range to the colours, and to alpha only the limits."""
    if is_masked(values):
        gone = np.ma.getmaskarray(values)
        # NaN: a stretch leaves it aside, and where values are limited each one counts as such.
        done = _ranged(values.filled(np.nan), dtype, value_range, white, ends, alpha, threads)
        clipped = done.clipped - int(np.count_nonzero(gone)) if done.clipped else 0
        return Applied(np.ma.MaskedArray(done.array, gone), clipped)
    if not alpha or (dtype.kind == "f" and value_range is None):
        return quantise(values, dtype, value_range, white=white, ends=ends, threads=threads)
    result = np.empty(values.shape, dtype)
    colours, seen = values[..., :-1], values[..., -1:]
    clipped = quantise_into(result[..., :-1], colours, value_range, white=white, ends=ends, threads=threads)
    quantise_into(result[..., -1:], seen, white=white, threads=threads)
    return Applied(result, clipped)
