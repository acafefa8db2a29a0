"""The one rounding: floats into a range, and into the dtype of a file."""

from typing import Any

import numpy as np

from cnnfilter.pixels.kinds import Applied, Array, ValueRange, white_of
from cnnfilter.pixels.memory import by_slices


def quantise(
    values: Array,
    dtype: np.dtype[Any],
    value_range: ValueRange | None = None,
    *,
    white: float | None = None,
    ends: tuple[float, float] | None = None,
    threads: int | None = None,
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
    ends : pair of float, optional
        What "stretch" maps to the ends of the range; default the least and the greatest of `values`.
    threads : int, optional
        Default: one for each processor.

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
    result = np.empty(values.shape, dtype)
    clipped = quantise_into(result, values, value_range, white=white, ends=ends, threads=threads)
    return Applied(result, clipped)


def quantise_into(
    result: Array,
    values: Array,
    value_range: ValueRange | None = None,
    *,
    white: float | None = None,
    ends: tuple[float, float] | None = None,
    threads: int | None = None,
) -> int:
    """Do as `quantise` into an array that is there; return the number of limited values."""
    dtype, work = result.dtype, values.dtype.type
    low, high, middle = _limits(dtype, white)
    target = white_of(dtype)
    scale = target / white if target and white else 1.0
    shift = middle if value_range == "offset" else 0.0
    if value_range == "stretch":
        scale, shift = _stretch(ends or extremes(values) or (0.0, 0.0), low, high)
    limited: list[int] = []

    def work_on(rows: slice) -> None:
        part = values[rows] * work(scale)
        if value_range == "abs":
            np.abs(part, out=part)
        if shift:
            part += work(shift)
        if dtype.kind != "f":
            np.rint(part, out=part)
        inside = int(np.count_nonzero((part >= low) & (part <= high)))
        if inside < part.size:
            limited.append(part.size - inside)
            np.nan_to_num(part, copy=False, nan=0.0, posinf=np.inf, neginf=-np.inf)
            np.clip(part, low, high, out=part)
        result[rows] = part

    by_slices(work_on, values, threads)
    return sum(limited)


def _limits(dtype: np.dtype[Any], white: float | None) -> tuple[float, float, float]:
    """Return the ends of the range and mid-grey."""
    if dtype.kind == "f":
        high = white or 1.0
        return 0.0, high, high / 2
    low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return low, high, low + (high - low + 1) / 2


def extremes(values: Array) -> tuple[float, float] | None:
    """Return the least and the greatest finite value; None where there is none.

    Examples
    --------
    >>> extremes(np.array([[2.0, np.nan, -1.0]]))
    (-1.0, 2.0)
    """
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _stretch(ends: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """Return scale and shift that map the least value to `low`, the greatest to `high`."""
    least, greatest = ends
    # A constant has nothing to stretch: it becomes the low end.
    span = greatest - least
    scale = (high - low) / span if span > 1e-30 else 1.0
    return scale, low - least * scale
