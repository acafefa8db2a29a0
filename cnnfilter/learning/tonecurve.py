"""A monotone tone curve for each channel, straight between its knots."""

from dataclasses import dataclass

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.learning.pairs import Array

PLACES = ("before", "after")


@dataclass(frozen=True, eq=False, repr=False)
class ToneCurve:
    """What becomes of a value, before or after a kernel; shares of white.

    Beyond its ends a curve goes straight on.

    Attributes
    ----------
    place : "before" or "after"
        On which side of the kernel.
    knots : ndarray of shape (M,)
        Rising.
    values : ndarray of shape (C, M)
        For each channel, or one for all; none falls, or none rises.

    Examples
    --------
    >>> curve = ToneCurve("after", np.array([0, 0.25, 1]), np.array([[0, 0.5, 1]]))
    >>> curve(np.array([[[0.125, 0.625, 1.5]]])).tolist()
    [[[0.25, 0.75, 1.3333333333333333]]]
    """

    place: str
    knots: Array
    values: Array

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ParameterError(f"a tone curve stands before or after the kernel, not {self.place!r}")
        if self.knots.ndim != 1 or len(self.knots) < 2 or (np.diff(self.knots) <= 0).any():
            raise ParameterError(f"knots of a tone curve have shape {self.knots.shape}: give rising numbers")
        if self.values.ndim != 2 or self.values.shape[1] != len(self.knots):
            raise ParameterError(
                f"values of a tone curve have shape {self.values.shape}: give (C, {len(self.knots)})"
            )
        steps = np.diff(self.values, axis=1)
        if not ((steps >= 0).all(axis=1) | (steps <= 0).all(axis=1)).all():
            raise ParameterError("a tone curve rises and falls: give one that does one of them")

    def __call__(self, planes: Array) -> Array:
        """Bring shares of white of shape (..., C) through the curves of their channels."""
        out = np.empty_like(planes)
        for c in range(planes.shape[-1]):
            values = self.values[min(c, len(self.values) - 1)]
            out[..., c] = _straight_on(planes[..., c], self.knots, values)
        return out


def _straight_on(x: Array, knots: Array, values: Array) -> Array:
    y = np.interp(x, knots, values)
    for outside, end, inner in ((x < knots[0], 0, 1), (x > knots[-1], -1, -2)):
        if outside.any():
            slope = (values[end] - values[inner]) / (knots[end] - knots[inner])
            y[outside] = values[end] + slope * (x[outside] - knots[end])
    return y
