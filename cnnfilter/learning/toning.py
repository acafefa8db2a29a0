"""A kernel and a tone curve fitted together to patches and targets, by Gauss and Newton's steps.

With the curve after the kernel a target is g(k.p), with the curve before it k.g(p): either is straight in the
values of g at its knots and in k alone, so each step solves for both at once. A target at the end of its
range says only that the value lies there or beyond: a result beyond it is no error.
"""

from typing import NamedTuple

import numpy as np

from cnnfilter.learning.pairs import Array

KNOTS = np.linspace(0, 1, 49) ** 2
"""Close together in the dark, where curves such as a gamma are steep."""
_STEPS = 30
_SMOOTH = 1e-6  # weight of the curve's second differences
_PULL = 1e-8  # of the kernel to where the step began
_SUM = 1e3  # weight of the kernel's sum, which stays: else the curve could take any scale


class Toned(NamedTuple):
    """A kernel of sum 1, the values of a curve at `KNOTS`, and the mean squared error of the fit."""

    kernel: Array
    values: Array
    error: float


class Sample(NamedTuple):
    """Patches (n, K) and targets (n,), shares of white, and where the targets end."""

    patches: Array
    targets: Array
    ends: tuple[float, float] | None


def fit_toned(sample: Sample, middle: int, place: str) -> Toned:
    """Fit a kernel and a monotone curve.

    Parameters
    ----------
    sample : Sample
    middle : int
        Which weight of the kernel lies over the target.
    place : "before" or "after"
        Where the curve stands.

    Returns
    -------
    Toned
    """
    kernel = np.zeros(sample.patches.shape[1])
    kernel[middle] = 1
    values = _first_curve(sample.patches[:, middle], sample.targets)
    sign = 1 if values[-1] >= values[0] else -1
    found = Toned(kernel, values, toned_error(sample, kernel, values, place))
    damping = 1e-3
    for _ in range(_STEPS):
        kernel, values = _step(sample, found, place, damping)
        values = sign * _rising(sign * values)
        kernel = kernel / kernel.sum()
        error = toned_error(sample, kernel, values, place)
        if error < found.error:
            gained = 1 - error / found.error
            found, damping = Toned(kernel, values, error), max(1e-9, damping / 10)
            if gained < 1e-3:
                break
        elif damping > 1e3:
            break
        else:
            damping *= 10
    return found


def toned_error(sample: Sample, kernel: Array, values: Array, place: str) -> float:
    """Mean squared error of a kernel and a curve."""
    residual, _ = _residual(sample, _predicted(sample.patches, kernel, values, place))
    return float(np.mean(np.square(residual)))


def _predicted(patches: Array, kernel: Array, values: Array, place: str) -> Array:
    if place == "after":
        return _curve(patches @ kernel, values)
    return np.asarray(_curve(patches, values) @ kernel)


def _residual(sample: Sample, guess: Array) -> tuple[Array, Array]:
    """Return what is missing to the targets, and which of them count."""
    residual, counts = sample.targets - guess, np.ones(len(guess), np.bool_)
    if sample.ends is not None:
        low, high = sample.ends
        counts &= ((sample.targets > low) | (guess > low)) & ((sample.targets < high) | (guess < high))
    return residual * counts, counts


def _step(sample: Sample, now: Toned, place: str, damping: float) -> tuple[Array, Array]:
    """Return kernel and curve after one damped step of Gauss and Newton."""
    patches, (taps, knots) = sample.patches, (len(now.kernel), len(KNOTS))
    slopes = np.zeros((len(patches), taps + knots))
    if place == "after":
        sums = patches @ now.kernel
        part, share = _place(sums)
        slope = np.diff(now.values) / np.diff(KNOTS)
        slopes[:, :taps] = slope[part][:, None] * patches
        slopes[:, taps:] = _hats(part, share, np.ones(len(part)), np.arange(len(part)), len(patches))
        guess = _curve(sums, now.values)
    else:
        part, share = _place(patches)
        toned = _curve(patches, now.values)
        rows = np.repeat(np.arange(len(patches)), taps)
        weights = np.tile(now.kernel, len(patches))
        slopes[:, :taps] = toned
        slopes[:, taps:] = _hats(part.ravel(), share.ravel(), weights, rows, len(patches))
        guess = toned @ now.kernel
    residual, counts = _residual(sample, guess)
    slopes *= counts[:, None]
    gram, right = slopes.T @ slopes / len(patches), slopes.T @ residual / len(patches)
    bend = np.diff(np.eye(knots), 2, axis=0)
    gram[taps:, taps:] += _SMOOTH * bend.T @ bend
    right[taps:] -= _SMOOTH * bend.T @ (bend @ now.values)
    gram[np.diag_indices(taps + knots)] += _PULL + damping * np.diag(gram)
    gram[:taps, :taps] += _SUM
    change = np.linalg.solve(gram, right)
    return now.kernel + change[:taps], now.values + change[taps:]


def _place(x: Array) -> tuple[Array, Array]:
    """Say between which knots values lie, and at which share of the way; beyond the ends too."""
    part = np.clip(np.searchsorted(KNOTS, x, "right") - 1, 0, len(KNOTS) - 2)
    return part, (x - KNOTS[part]) / np.diff(KNOTS)[part]


def _curve(x: Array, values: Array) -> Array:
    part, share = _place(x)
    return np.asarray(values[part] * (1 - share) + values[part + 1] * share)


def _hats(part: Array, share: Array, weights: Array, rows: Array, count: int) -> Array:
    """Sum up, for each row, how much of the value at each knot enters it."""
    knots = len(KNOTS)
    found = np.bincount(rows * knots + part, weights * (1 - share), count * knots)
    found += np.bincount(rows * knots + part + 1, weights * share, count * knots)
    return found.reshape(count, knots)


def _first_curve(x: Array, y: Array) -> Array:
    """Return the curve of the pixel alone: means of the targets near each knot, made to rise or to fall."""
    part, share = _place(x)
    rows = np.zeros(len(x), np.intp)
    weight, total = (_hats(part, share, one, rows, 1)[0] for one in (np.ones(len(x)), y))
    known = weight > 1e-3 * len(x) / len(KNOTS)
    means = np.interp(KNOTS, KNOTS[known], total[known] / weight[known])
    rises = float(np.cov(x, y)[0, 1]) >= 0
    return _rising(means) if rises else -_rising(-means)


def _rising(values: Array) -> Array:
    """Return the nearest of simple rising curves: between the highest before and the lowest after."""
    above = np.maximum.accumulate(values)
    below = np.minimum.accumulate(values[::-1])[::-1]
    return np.asarray((above + below) / 2)
