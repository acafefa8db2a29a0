"""The Gaussian as a template, float or integer, and the rules for a size and a sigma."""

from __future__ import annotations

import math
import operator
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from cnnfilter.errors import DtypeError, ParameterError, real_number, shown
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.kernels.weights import MAX_SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Size = int | tuple[int, int]
Sigma = float | tuple[float, float]
Order = int | tuple[int, int]

MAX_SIGMA = 512.0
"""Largest standard deviation in pixels: its default size, 4097, is the largest side of a kernel."""

MAX_INTEGER_SUM = (2**63 - 1) // 65535
"""Largest sum of an integer template: times a 16-bit pixel it still fits a signed 64-bit integer."""


class TemplateWarning(UserWarning):
    """A template that can be used but is hardly what was meant."""


def gaussian(
    size: Size | None = None,
    sigma: Sigma = 1.0,
    form: Literal["float", "integer"] = "float",
    rounding: Literal["floor", "round"] = "floor",
    order: Order = 0,
) -> Kernel:
    r"""Make a Gaussian template (equations 11 and 12).

    The float form is ``exp(-(di**2 + dj**2) / (2 * sigma**2))`` around the centre, divided by its sum. The
    integer form scales the same shape so that the corner is 1, rounds, and divides by the sum of the
    *rounded* integers: weight ``(i, j)`` is ``exp((2k**2 - di**2 - dj**2) / (2 * sigma**2))``, rounded, for
    a size of ``2k + 1``.

    Parameters
    ----------
    size : int or (rows, columns), optional
        Default ``2 * ceil(4 * sigma) + 1``. An even size is centred between two pixels.
    sigma : float or (sigma_y, sigma_x), default 1.0
        Standard deviation in pixels, 0 to 512. Along an axis where it is 0 nothing is smoothed: the template
        has one row or column there, or, of an odd size that is given, zeros but for the middle.
    form : {"float", "integer"}, default "float"
    rounding : {"floor", "round"}, default "floor"
        For the integer form; ``floor`` as in the notes.
    order : {0, 1, 2} or (rows, columns), default 0
        For the float form: which derivative is taken along rows and columns.

    Returns
    -------
    Kernel
        Sum 1, symmetric bit for bit; of a derivative 0, and scaled as `gaussian_taps` says.

    Raises
    ------
    ParameterError
        A size or sigma out of range; for the integer form also an even size, or weights whose sum times 65535
        does not fit 64 bits (the message names the smallest sigma that does).

    Warns
    -----
    TemplateWarning
        The integer form is all ones, which is the mean.

    Examples
    --------
    >>> gaussian(3, 0.8, "integer").weights
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    >>> gaussian(3, 0.8, "integer").divisor
    16.0
    >>> gaussian(sigma=2).shape
    (17, 17)
    """
    sigmas = sigma_pair(sigma)
    rows, columns = (default_size(s) for s in sigmas) if size is None else size_pair(size)
    orders = order_pair(order)
    if not isinstance(form, str) or form not in ("float", "integer"):
        raise ParameterError(f"form {shown(form)} is not known; choose float or integer")
    if form == "float":
        column, row = gaussian_taps(rows, sigmas[0], orders[0]), gaussian_taps(columns, sigmas[1], orders[1])
        name = "" if any(orders) else _gaussian_name(rows, columns, sigmas)
        return Kernel(np.outer(column, row), name=name, sigmas=None if any(orders) else sigmas)
    if any(orders):
        raise ParameterError(f"order {order!r}: derivatives have no integer form; use float")
    return _integer_gaussian(rows, columns, sigmas, rounding)


def gaussian_taps(size: int | None = None, sigma: float = 1.0, order: int = 0) -> Floats:
    """Make the taps of a one-dimensional Gaussian.

    Parameters
    ----------
    size : int, optional
        Number of taps; default ``2 * ceil(4 * sigma) + 1``.
    sigma : float, default 1.0
        Standard deviation in pixels, 0 to 512; 0 takes an odd size.
    order : {0, 1, 2}
        Of the derivative, for correlation: the first grows with brightness. Of a ramp of slope 1 the first
        is 1, of half a square the second.

    Returns
    -------
    float64 array of shape (size,)
        Sum 1, symmetric bit for bit; of derivatives 0.

    Raises
    ------
    ParameterError
        A derivative of order n of n taps or fewer, which do not tell how values change.

    Examples
    --------
    >>> gaussian_taps(3, 0.8).round(3)
    array([0.239, 0.522, 0.239])
    """
    sigma = checked_sigma(sigma, zero=True)
    size = default_size(sigma) if size is None else checked_side(size)
    if sigma == 0:
        if size % 2 == 0:
            raise ParameterError(f"sigma 0 has no middle in size {size}; give an odd size, or leave it out")
        return np.asarray(np.eye(1, size, size // 2)[0])
    distance = np.arange(size) - (size - 1) / 2
    # Relative to the innermost tap, so that a tiny sigma never leaves 0/0; the shape is the same.
    excess = (distance**2 - distance[size // 2] ** 2) / 2
    with np.errstate(over="ignore"):
        taps = np.exp(-(excess / sigma / sigma))
    taps = np.asarray(taps / math.fsum(taps))
    if order == 0:
        return taps
    if size <= order:
        raise ParameterError(f"size {size} is too small for a derivative of order {order}; give {order + 1}")
    if order == 1:
        taps = distance * taps
    else:
        taps = (distance**2 - sigma**2) * taps
        taps -= math.fsum(taps) / size
    return np.asarray(taps / (math.fsum(distance**order * taps) / order))


def gaussian_cutoff(size: Size, sigma: Sigma) -> float:
    """Tell what fraction of a Gaussian lies outside a template of this size.

    Examples
    --------
    >>> round(gaussian_cutoff(3, 0.8), 3)
    0.118
    """
    inside = [
        math.erf(side / (2 * math.sqrt(2) * s)) if s else 1.0
        for side, s in zip(size_pair(size), sigma_pair(sigma), strict=True)
    ]
    return 1 - inside[0] * inside[1]


def cut_remark(size: Size, sigma: Sigma) -> str | None:
    """Tell when a size cuts off more than a hundredth of a Gaussian: it is then no longer one.

    Examples
    --------
    >>> cut_remark(3, 2.0)
    'this size cuts off 70.1 % of the Gaussian; without --size nothing is lost'
    """
    cut = gaussian_cutoff(size, sigma)
    if cut <= 0.01:
        return None
    return f"this size cuts off {100 * cut:.3g} % of the Gaussian; without --size nothing is lost"


def default_size(sigma: float) -> int:
    """Size of a Gaussian that is cut at 4 sigma: ``2 * ceil(4 * sigma) + 1``."""
    return 2 * math.ceil(4 * sigma) + 1


def checked_side(side: int) -> int:
    """Return ``side`` as an int between 1 and 4097."""
    try:
        value = operator.index(side)
    except TypeError as error:
        raise DtypeError(f"size {shown(side)} is not a whole number") from error
    if isinstance(side, bool) or not 1 <= value <= MAX_SIDE:
        raise ParameterError(f"size {shown(side)} is out of range; give a whole number from 1 to {MAX_SIDE}")
    return value


def size_pair(size: Size) -> tuple[int, int]:
    """Return ``(rows, columns)`` of a size given as one number or two."""
    if isinstance(size, tuple | list):
        if len(size) != 2:
            raise ParameterError(f"size {shown(size)} has {len(size)} numbers; give one, or rows and columns")
        return checked_side(size[0]), checked_side(size[1])
    side = checked_side(size)
    return side, side


def checked_sigma(sigma: float, zero: bool = False) -> float:
    """Return ``sigma`` as a float above 0, or with `zero` also 0, and at most 512."""
    value = real_number("sigma", sigma)
    if not 0 < value <= MAX_SIGMA and not (zero and value == 0):
        lowest = "0 or more" if zero else "above 0"
        raise ParameterError(
            f"sigma {shown(sigma)} is out of range; give a number {lowest} and up to {MAX_SIGMA:g}"
        )
    return value


def sigma_pair(sigma: Sigma) -> tuple[float, float]:
    """Return ``(sigma_y, sigma_x)`` of a sigma given as one number or two, each 0 to 512."""
    if isinstance(sigma, tuple | list):
        if len(sigma) != 2:
            raise ParameterError(
                f"sigma {shown(sigma)} has {len(sigma)} numbers; give one, or sigma_y and sigma_x"
            )
        return checked_sigma(sigma[0], zero=True), checked_sigma(sigma[1], zero=True)
    value = checked_sigma(sigma, zero=True)
    return value, value


def order_pair(order: Order) -> tuple[int, int]:
    """Return the orders of derivatives along rows and columns, given as one number or two."""
    pair = tuple(order) if isinstance(order, tuple | list) else (order, order)
    if len(pair) != 2 or not all(type(one) is int and 0 <= one <= 2 for one in pair):
        raise ParameterError(f"order {order!r} is not known; give 0, 1 or 2, or a pair (rows, columns)")
    return pair


def _integer_gaussian(rows: int, columns: int, sigmas: tuple[float, float], rounding: str) -> Kernel:
    if rounding not in ("floor", "round"):
        raise ParameterError(f"rounding {shown(rounding)} is not known; choose floor or round")
    if rows % 2 == 0 or columns % 2 == 0:
        raise ParameterError(
            f"size {rows}x{columns} is even; an integer Gaussian is defined for odd sizes only (2k + 1)"
        )
    for side, s in zip((rows, columns), sigmas, strict=True):
        if s == 0 and side > 1:
            raise ParameterError(
                f"sigma 0 has no integer Gaussian of size {side}, whose outer weights would be 0; "
                "give size 1 there, or leave the size out"
            )
    weights = _integer_weights(rows, columns, sigmas, rounding)
    if weights is None:
        fitting = _smallest_fitting_sigma(rows, columns, sigmas, rounding)
        raise ParameterError(
            f"sigma {pair_name(*sigmas)} is too small for an integer Gaussian of {rows}x{columns}: with 1 "
            f"in the corner the weights sum to more than {MAX_INTEGER_SUM}; the smallest sigma that fits is "
            f"{pair_name(*fitting)}"
        )
    if weights.size > 1 and weights.max() == 1:
        warnings.warn(
            f"the integer Gaussian of {rows}x{columns} with sigma {pair_name(*sigmas)} is all ones, a mean "
            "filter; choose a smaller sigma or the float form",
            TemplateWarning,
            stacklevel=3,
        )
    name = _gaussian_name(rows, columns, sigmas)
    form = "integer" if rounding == "floor" else "integer-round"
    return Kernel(weights, float(weights.sum()), f"{name}:{form}")


def _integer_weights(rows: int, columns: int, sigmas: tuple[float, float], rounding: str) -> Floats | None:
    """Round the weights with 1 in the corner; None if their sum is above ``MAX_INTEGER_SUM``."""
    y, x = (_corner_exponent(side, s) for side, s in zip((rows, columns), sigmas, strict=True))
    exponent = np.add.outer(y, x)
    # The centre alone decides before anything is raised to a power, so nothing overflows.
    if exponent[rows // 2, columns // 2] > math.log(MAX_INTEGER_SUM):
        return None
    raw = np.exp(exponent)
    weights = np.asarray(np.floor(raw) if rounding == "floor" else np.rint(raw))
    return weights if weights.sum() <= MAX_INTEGER_SUM else None


def _corner_exponent(side: int, sigma: float) -> Floats:
    """``(k**2 - d**2) / (2 sigma**2)`` for ``d`` from -k to k: 0 at the ends, whose weight is exactly 1."""
    half = side // 2
    if half == 0:
        return np.zeros(1)
    with np.errstate(over="ignore"):
        return (half**2 - np.arange(-half, half + 1.0) ** 2) / 2 / sigma / sigma


def _smallest_fitting_sigma(
    rows: int, columns: int, sigmas: tuple[float, float], rounding: str
) -> tuple[float, float]:
    """Scale both sigmas, in their given proportion, until the template fits; rounded up to 4 digits."""
    largest = max(sigmas)
    y, x = (s / largest for s in sigmas)
    low, high = 0.0, float(rows + columns)
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        if _integer_weights(rows, columns, (y * middle, x * middle), rounding) is None:
            low = middle
        else:
            high = middle
    return _rounded_up(y * high), _rounded_up(x * high)


def _rounded_up(value: float) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 3)
    return float(f"{math.ceil(value / step) * step:.6g}")


def _gaussian_name(rows: int, columns: int, sigmas: tuple[float, float]) -> str:
    return f"gaussian:{pair_name(rows, columns)}:{pair_name(*sigmas)}"


def pair_name(first: float, second: float) -> str:
    """Write a size or a sigma as it is typed: ``5``, ``5x7``, ``1.5``."""
    parts = [repr(value).removesuffix(".0") for value in (first, second)]
    return parts[0] if first == second else "x".join(parts)
