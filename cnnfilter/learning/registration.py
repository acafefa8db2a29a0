"""Find the whole pixels by which `after` was moved against `before`."""

import math

import numpy as np

from cnnfilter.learning.moments import gather_moments
from cnnfilter.learning.pairs import Array, Pair
from cnnfilter.learning.solution import solve

_MOST = 7
_SIDE = 768  # a middle part of this size tells the shift of the whole
_FAR = 4  # a shift is looked for up to one of so many parts of that
_ROUNDING = 2.0  # times what rounding leaves is no error that a shift explains


def find_shift(pair: Pair, size: tuple[int, int]) -> tuple[int, int]:
    """Shift (rows, columns) of `after`, or (0, 0).

    Phase correlation proposes, least-squares fits of a part of the pair decide. A shift is taken only where
    it more than halves the squared error, since a kernel can hold a small shift itself; and only if there is
    an error beyond that of rounding, since of two exact fits neither is the better one.

    Parameters
    ----------
    pair : Pair
    size : (U, V)
        Size of the kernel; at most 7 x 7 of it are used.

    Returns
    -------
    (int, int)
    """
    size = min(size[0], _MOST), min(size[1], _MOST)
    middle = _middle(pair)
    far = min(middle.before.shape[:2]) // _FAR
    if pair.stride > 1 or far < max(size):
        return 0, 0
    errors: dict[tuple[int, int], float] = {}

    def error(shift: tuple[int, int]) -> float:
        if shift not in errors:
            errors[shift] = _residual(middle.moved(shift), size)
        return errors[shift]

    if error((0, 0)) <= _nothing(middle):
        return 0, 0
    best = _phase_peak(middle, far)  # a strong blur may put it some pixels off: walk to the least error
    while best != (0, 0) and max(map(abs, best)) <= far:
        down, right = best
        around = [(down + i, right + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        nearest = min(around, key=error)
        if error(nearest) >= error(best):
            break
        best = nearest
    return best if error(best) < 0.5 * error((0, 0)) else (0, 0)


def _middle(pair: Pair) -> Pair:
    height, width = pair.before.shape[:2]
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    part = (slice(top, top + _SIDE), slice(left, left + _SIDE))
    before, after = (np.ascontiguousarray(image[part]) for image in (pair.before, pair.after))
    return pair.changed(before, after, pair.ends)


def _nothing(pair: Pair) -> float:
    """Return the squared error that is rounding's: of whole numbers, or of sums of floats."""
    return max(_ROUNDING * pair.floor, 1e-9 * float(pair.after.var(dtype=np.float64)))


def _phase_peak(pair: Pair, far: int) -> tuple[int, int]:
    before, after = (_spectrum(image) for image in (pair.before, pair.after))
    cross = after * before.conj()
    strength = np.abs(cross)
    # A filter's own spectrum has no phase where it is symmetric: dividing by strength leaves the shift.
    surface = np.fft.irfft2(cross / (strength + 1e-6 * strength.mean() + 1e-300), s=pair.before.shape[:2])
    surface = np.abs(surface)  # a negative's peak points down
    near = [np.fft.fftfreq(length, 1 / length) for length in surface.shape]
    allowed = (np.abs(near[0])[:, None] <= far) & (np.abs(near[1]) <= far)
    row, column = np.unravel_index(np.argmax(np.where(allowed, surface, -1)), surface.shape)
    return int(near[0][row]), int(near[1][column])


def _spectrum(image: Array) -> Array:
    plane = image.mean(axis=2, dtype=np.float64)
    window = np.outer(np.hanning(plane.shape[0]), np.hanning(plane.shape[1]))
    return np.asarray(np.fft.rfft2((plane - plane.mean()) * window))


def _residual(pair: Pair, size: tuple[int, int]) -> float:
    rows = slice(0, pair.targets(size).shape[0])
    channel = pair.before.shape[2] // 2  # one tells enough: the green one of a colour image
    moments = gather_moments(pair, size, [channel], [channel], [rows], 1)[0]
    if moments.count < moments.taps:
        return math.inf
    return solve(moments, bias=True).mean_square(moments)
