"""Kernels computed from a formula, the Gaussian apart; all written for correlation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from cnnfilter.errors import ParameterError, shown
from cnnfilter.kernels.gaussian import (
    checked_sigma,
    default_size,
    gaussian,
    gaussian_taps,
    pair_name,
    sigma_pair,
    size_pair,
)
from cnnfilter.kernels.kernel import Kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.kernels.gaussian import Sigma, Size

    Floats = NDArray[np.float64]

MAX_DENSE_SIDE = 1025
"""Largest side of a kernel that has no factors: a million weights, 8 MiB."""

MAX_BINOMIAL_SIDE = 27
"""Largest binomial kernel whose divisor, ``4**(size - 1)``, float64 holds together with every weight."""


def mean(size: Size = 3) -> Kernel:
    """Make a mean template (equation 10): ones over their number.

    Parameters
    ----------
    size : int or (rows, columns), default 3

    Examples
    --------
    >>> mean((5, 7)).divisor
    35.0
    """
    rows, columns = size_pair(size)
    return Kernel(np.ones((rows, columns)), rows * columns, f"mean:{pair_name(rows, columns)}")


def second_derivative(axis: Literal["x", "y", "both"] = "both") -> Kernel:
    """Make the second difference ``[1, -2, 1]`` (equation 7) along ``x``, ``y`` or, summed, along both.

    Examples
    --------
    >>> second_derivative("both").weights
    array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]])
    """
    if not isinstance(axis, str) or axis not in ("x", "y", "both"):
        raise ParameterError(f"axis {shown(axis)} is not known; choose x, y or both")
    along_x = np.array([[1.0, -2.0, 1.0]])
    both = np.pad(along_x, ((1, 1), (0, 0))) + np.pad(along_x.T, ((0, 0), (1, 1)))
    weights = {"x": along_x, "y": along_x.T, "both": both}[axis]
    return Kernel(weights, name=f"second-derivative:{axis}")


def identity(size: Size = 3) -> Kernel:
    """Make an impulse: the image stays as it is.

    For an even size the 1 stands at ``(size - 1) // 2``, where ``same`` padding puts the centre.
    """
    return Kernel(_impulse(*_dense(size_pair(size))))


def binomial(size: Size = 3) -> Kernel:
    """Make a binomial smoother: rows of Pascal's triangle, ``1 2 1``, ``1 4 6 4 1``… at most 27 weights.

    Examples
    --------
    >>> binomial((1, 5)).weights, binomial((1, 5)).divisor
    (array([[1., 4., 6., 4., 1.]]), 16.0)
    """
    rows, columns = size_pair(size)
    if max(rows, columns) > MAX_BINOMIAL_SIDE:
        raise ParameterError(
            f"a binomial of {pair_name(rows, columns)} is not exact in float64; at most {MAX_BINOMIAL_SIDE}"
        )
    column, row = ([math.comb(n - 1, k) for k in range(n)] for n in (rows, columns))
    return Kernel(np.outer(column, row), 2 ** (rows + columns - 2))


def sharpen(amount: float = 1.0) -> Kernel:
    """Make the identity minus ``amount`` times the 4-neighbour Laplacian; sum 1."""
    return Kernel(_impulse(3, 3) - _finite(amount, "amount") * second_derivative("both").weights)


def unsharp(size: Size | None = None, sigma: Sigma = 1.0, amount: float = 1.0) -> Kernel:
    """Make an unsharp mask: the identity plus ``amount`` times (identity minus Gaussian); sum 1."""
    _dense((default_size(max(sigma_pair(sigma))),) * 2 if size is None else size_pair(size))
    blur = gaussian(size, sigma)
    amount = _finite(amount, "amount")
    return Kernel((1 + amount) * _impulse(*blur.shape) - amount * blur.weights)


def laplacian_of_gaussian(size: Size | None = None, sigma: float = 1.4) -> Kernel:
    """Make the Laplacian of a Gaussian, shifted to sum 0; negative in the centre like ``1 -2 1``.

    ``(r**2 - 2 sigma**2) / sigma**4`` times the Gaussian of sum 1, less its mean over the window. The default
    size is ``2 * ceil(4 * sigma) + 1``.
    """
    sigma = _in_range(sigma, "sigma", 0.1, 128)
    rows, columns = _dense(size_pair(default_size(sigma) if size is None else size))
    y, x = _grid(rows, columns)
    shape = np.outer(gaussian_taps(rows, sigma), gaussian_taps(columns, sigma))
    weights = shape * ((x**2 + y**2) / sigma**2 - 2) / sigma**2
    return Kernel(weights - weights.mean())


def difference_of_gaussians(size: Size | None = None, inner: float = 1.0, outer: float = 1.6) -> Kernel:
    """Make a Gaussian of sigma ``inner`` minus one of sigma ``outer``; sum 0, positive in the centre.

    The ratio 1.6 approximates the Laplacian of Gaussian best (Marr & Hildreth 1980). Default size by the
    larger sigma.
    """
    largest = max(checked_sigma(inner), checked_sigma(outer))
    rows, columns = _dense(size_pair(default_size(largest) if size is None else size))
    return Kernel(gaussian((rows, columns), inner).weights - gaussian((rows, columns), outer).weights)


def disk(radius: float = 2.0) -> Kernel:
    """Make a mean over the pixels whose centre lies within ``radius`` of the middle one.

    Examples
    --------
    >>> disk(1).weights
    array([[0., 1., 0.],
           [1., 1., 1.],
           [0., 1., 0.]])
    """
    side = 2 * math.floor(_in_range(radius, "radius", 0, MAX_DENSE_SIDE // 2)) + 1
    y, x = _grid(side, side)
    inside = (x**2 + y**2 <= radius**2).astype(np.float64)
    return Kernel(inside, float(inside.sum()))


def motion(length: float = 9.0, angle: float = 0.0) -> Kernel:
    """Make the blur of a camera that moves ``length`` pixels at ``angle`` degrees, anticlockwise from right.

    A pixel weighs 1 less its distance from the line between the outermost pixel centres, at least 0.

    Examples
    --------
    >>> motion(3, 90).weights.tolist()
    [[1.0], [1.0], [1.0]]
    """
    half = (_in_range(length, "length", 1, MAX_DENSE_SIDE) - 1) / 2
    cosine, sine = _direction(angle)
    rows, columns = (2 * math.ceil(half * abs(component)) + 3 for component in (sine, cosine))
    y, x = _grid(rows, columns)
    along, across = x * cosine - y * sine, x * sine + y * cosine
    weights = np.maximum(0, 1 - np.hypot(np.maximum(0, np.abs(along) - half), across))
    cut = tuple(slice(1, -1) if not edge.any() else slice(None) for edge in (weights[0], weights[:, 0]))
    weights = weights[cut]
    return Kernel(weights, math.fsum(weights.ravel()))


def gabor(
    wavelength: float = 8.0,
    angle: float = 0.0,
    sigma: float | None = None,
    phase: float = 0.0,
    aspect: float = 1.0,
) -> Kernel:
    """Make a Gabor filter: a cosine wave under a Gaussian whose weights sum to 1.

    Parameters
    ----------
    wavelength : float, default 8.0
        Pixels from crest to crest, 2 or more.
    angle : float, default 0.0
        Direction in which the wave runs, in degrees anticlockwise from right.
    sigma : float, optional
        Width of the Gaussian along the wave in pixels, at most 128; default 0.56 of the wavelength, which
        is a bandwidth of one octave.
    phase : float, default 0.0
        In degrees; 0 is a line (even), 90 an edge (odd).
    aspect : float, default 1.0
        Width of the Gaussian along the wave over its width across, 0.25 to 4.
    """
    wavelength = _in_range(wavelength, "wavelength", 2, 4 * MAX_DENSE_SIDE)
    sigma = _in_range(0.56 * wavelength if sigma is None else sigma, "sigma", 0.1, 128)
    aspect = _in_range(aspect, "aspect", 0.25, 4)
    cosine, sine = _direction(angle)
    side = _dense((default_size(sigma * max(1, 1 / aspect)),) * 2)[0]
    y, x = _grid(side, side)
    along, across = x * cosine - y * sine, x * sine + y * cosine
    envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * sigma**2))
    wave = np.cos(2 * math.pi * along / wavelength + math.radians(_finite(phase, "phase")))
    return Kernel(envelope / envelope.sum() * wave)


def _grid(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Distances from the centre: ``y`` of shape (rows, 1) downwards, ``x`` of shape (1, columns)."""
    y = np.arange(rows, dtype=np.float64)[:, np.newaxis] - (rows - 1) / 2
    x = np.arange(columns, dtype=np.float64)[np.newaxis] - (columns - 1) / 2
    return y, x


def _direction(angle: float) -> tuple[float, float]:
    """Cosine and sine of degrees, rounded so that a right angle is exactly that."""
    turn = math.radians(_finite(angle, "angle"))
    return round(math.cos(turn), 15), round(math.sin(turn), 15)


def _impulse(rows: int, columns: int) -> Floats:
    weights = np.zeros((rows, columns))
    weights[(rows - 1) // 2, (columns - 1) // 2] = 1
    return weights


def _dense(size: tuple[int, int]) -> tuple[int, int]:
    if max(size) > MAX_DENSE_SIDE:
        raise ParameterError(
            f"a kernel of {size[0]}x{size[1]} without factors is too large; at most "
            f"{MAX_DENSE_SIDE}x{MAX_DENSE_SIDE}"
        )
    return size


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise ParameterError(f"{name} {value!r} is not a finite number")
    return float(value)


def _in_range(value: float, name: str, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ParameterError(f"{name} {value!r} is out of range; give a number from {low:g} to {high:g}")
    return float(value)
