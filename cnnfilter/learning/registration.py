"""Find the whole pixels by which `after` was moved against `before`."""

import math

import numpy as np

from cnnfilter.learning.moments import gather_moments
from cnnfilter.learning.pairs import Array, Pair
from cnnfilter.learning.solution import solve

MAX_SHIFT = 16
_MOST = 7
_SIDE = 768  # a middle part of this size tells the shift of the whole


def find_shift(pair: Pair, size: tuple[int, int], bias: bool) -> tuple[int, int]:
    """Shift (rows, columns) of `after`, or (0, 0).

    Phase correlation proposes, least-squares fits of a part of the pair decide. A shift is taken only where
    it more than halves the squared error, since a kernel can hold a small shift itself.

    Parameters
    ----------
    pair : Pair
    size : (U, V)
        Size of the kernel; at most 7 x 7 of it are used.
    bias : bool

    Returns
    -------
    (int, int)
    """
    size = min(size[0], _MOST), min(size[1], _MOST)
    middle = _middle(pair)
    if min(middle.before.shape[:2]) < 4 * MAX_SHIFT + max(size):
        return 0, 0
    errors: dict[tuple[int, int], float] = {}

    def error(shift: tuple[int, int]) -> float:
        if shift not in errors:
            errors[shift] = _residual(middle.moved(shift), size, bias)
        return errors[shift]

    best = _phase_peak(middle)  # a strong blur may put it some pixels off: walk to the least error
    while best != (0, 0) and max(map(abs, best)) <= MAX_SHIFT:
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
    return Pair(np.ascontiguousarray(pair.before[part]), np.ascontiguousarray(pair.after[part]))


def _phase_peak(pair: Pair) -> tuple[int, int]:
    before, after = (_spectrum(image) for image in (pair.before, pair.after))
    cross = after * before.conj()
    strength = np.abs(cross)
    # A filter's own spectrum has no phase where it is symmetric: dividing by strength leaves the shift.
    surface = np.fft.irfft2(cross / (strength + 1e-6 * strength.mean() + 1e-300), s=pair.before.shape[:2])
    near = [np.fft.fftfreq(length, 1 / length) for length in surface.shape]
    allowed = (np.abs(near[0])[:, None] <= MAX_SHIFT) & (np.abs(near[1]) <= MAX_SHIFT)
    row, column = np.unravel_index(np.argmax(np.where(allowed, surface, -np.inf)), surface.shape)
    return int(near[0][row]), int(near[1][column])


def _spectrum(image: Array) -> Array:
    plane = image.mean(axis=2, dtype=np.float64)
    window = np.outer(np.hanning(plane.shape[0]), np.hanning(plane.shape[1]))
    return np.asarray(np.fft.rfft2((plane - plane.mean()) * window))


def _residual(pair: Pair, size: tuple[int, int], bias: bool) -> float:
    rows = slice(0, pair.targets(size).shape[0])
    channel = pair.before.shape[2] // 2  # one tells enough: the green one of a colour image
    moments = gather_moments(pair, size, [channel], [channel], [rows], 1)[0]
    if moments.count < moments.taps:
        return math.inf
    return solve(moments, bias=bias).mean_square(moments)
