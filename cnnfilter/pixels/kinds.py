"""The dtypes of pixels, the depths of files, and what a filter is."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cnnfilter.core.methods.work import FORMS
from cnnfilter.errors import ParameterError

Array = NDArray[Any]
ValueRange = Literal["clip", "abs", "offset", "stretch"]
Filter = Callable[..., Array]

DEPTHS: dict[str, np.dtype[Any]] = {
    "8": np.dtype(np.uint8),
    "16": np.dtype(np.uint16),
    "f32": np.dtype(np.float32),
}
"""What ``--depth`` accepts."""

DTYPES = tuple(np.dtype(name) for name in FORMS)
"""What the core filters."""

RANGES = ("clip", "abs", "offset", "stretch")


class Applied(NamedTuple):
    """Result of `apply`.

    Attributes
    ----------
    array : array or masked array
        Masked where a result is missing, if the filtered array was one.
    clipped : int
        How many of its values were limited to the range.
    """

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
    if dtype not in DTYPES:
        raise ParameterError(f"depth {depth!r}; use one of {', '.join(DEPTHS)}")
    return dtype


def full_scale(dtype: DTypeLike) -> float:
    """Return the range of a dtype: 255 for uint8, 65535 for 16 bits, 1 for floats.

    Examples
    --------
    >>> full_scale("uint8"), full_scale("int16"), full_scale("float32")
    (255.0, 65535.0, 1.0)
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu":
        return 1.0
    limits = np.iinfo(dtype)
    return float(limits.max) - float(limits.min)


def share_of(span: float, source: np.dtype[Any], target: np.dtype[Any], white: float | None) -> float:
    """Return what results that are no brightness are multiplied by, to be pixels or floats in a range.

    That is white over their `span`; where it is unknown, the range of the target, for floats of the source.
    """
    if white is None:
        white = full_scale(source if target.kind == "f" else target)
    return white / span


def white_of(dtype: DTypeLike) -> float | None:
    """Return the value of full intensity: 255, 65535, or None for a dtype that does not say.

    Examples
    --------
    >>> white_of("uint8"), white_of("float32")
    (255.0, None)
    """
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else None
