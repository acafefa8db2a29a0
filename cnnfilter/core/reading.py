"""Which pixels a part of the outputs needs, so that it has the bits that it has in the whole result.

What stands beside the image the filter puts there itself where the part holds the pixels that are repeated;
where it does not (a mirror or a wrap reaches into another part), they are fetched by the boundary's map and
the filter sees no boundary.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core.boundary import index_map, pixels_at
from cnnfilter.core.geometry import Axis, Pair
from cnnfilter.masked import is_masked

Array: TypeAlias = NDArray[Any]

_NO_PIXEL = ("zero", "constant", "renormalize")
"""Boundaries that repeat no pixel of the image."""


class Reading(NamedTuple):
    """What a part of the outputs reads along one axis.

    Attributes
    ----------
    pixels : pair of int
        The pixels `[start, stop)`, if there is no list of them.
    places : int64 array or None
        The pixel at each place, if they do not follow each other.
    padding : pair of int
        How many places before and after them are left to the filter's own boundary.
    outputs : slice
        The part, in what the filter makes of all this.
    """

    pixels: Pair
    places: Array | None
    padding: Pair
    outputs: slice

    def runs(self) -> list[Pair]:
        """Return the pixels it needs as runs `[first, last)` that rise.

        Examples
        --------
        >>> Reading((0, 9), np.array([7, 8, 0, 1, 2]), (0, 0), slice(0, 1)).runs()
        [(0, 3), (7, 9)]
        """
        if self.places is None:
            return [self.pixels]
        pixels = np.unique(self.places)
        gaps = np.flatnonzero(np.diff(pixels) > 1) + 1
        return [(int(run[0]), int(run[-1]) + 1) for run in np.split(pixels, gaps)]

    def arranged(self, pixels: Array, axis: int) -> Array:
        """Put the pixels of all runs, which follow each other along an axis, to their places."""
        if self.places is None:
            return pixels
        order = np.searchsorted(np.unique(self.places), self.places)
        return pixels[(slice(None),) * axis + (order,)]


def reading(axis: Axis, boundary: str, first: int, last: int, grid: int = 1) -> Reading:
    """Say what the outputs `[first, last)` read, if those between multiples of `grid` are computed together.

    Examples
    --------
    >>> axis = Axis(length=6, kernel=5, before=2, after=2)
    >>> reading(axis, "reflect", 0, 3)
    Reading(pixels=(0, 5), places=None, padding=(2, 0), outputs=slice(0, 3, None))
    >>> reading(axis, "wrap", 0, 2).places
    array([4, 5, 0, 1, 2, 3])
    """
    begin, end = _computed(axis, first, last, grid)
    outputs = slice(first - begin, last - begin)
    part, start, stop = axis.part(begin, end)
    is_outside = min(part.before, part.after) < 0  # altogether, so that no pixel is needed
    if axis.output == 1 or (is_outside and boundary in _NO_PIXEL):
        return Reading((0, axis.length), None, (axis.before, axis.after), slice(first, last))
    if not (part.before or part.after):
        return Reading((start, stop), None, (0, 0), outputs)
    places = pixels_at(np.arange(start - part.before, stop + part.after), axis.length, boundary)
    if not is_outside:
        own = index_map(stop - start, part.before, part.after, boundary)
        if np.array_equal(np.where(own < 0, own, own + start), places):
            return Reading((start, stop), None, (part.before, part.after), outputs)
    return Reading((start, stop), places, (0, 0), outputs)


def beside(axis: Axis, first: int, last: int) -> Array:
    """Tell of the outputs `[first, last)` whether the pixel under the kernel's centre lies beside the image.

    What is fetched to stand there is no pixel of its own that could be missing.

    Examples
    --------
    >>> beside(Axis(length=6, kernel=5, before=4, after=4), 0, 4)
    array([ True,  True, False, False])
    """
    centres = np.arange(first, last) * axis.stride + (axis.reach - 1) // 2 - axis.before
    return (centres < 0) | (centres >= axis.length)


def _computed(axis: Axis, first: int, last: int, grid: int) -> Pair:
    """Return the outputs that are computed for `[first, last)`: at least two, where there are two.

    One alone has no stride, by which methods are chosen, and layers take its window for their whole input.
    """
    begin, end = first // grid * grid, min(-(-last // grid) * grid, axis.output)
    if grid > 1 or end - begin > 1 or axis.output == 1:
        return begin, end
    return (begin, end + 1) if end < axis.output else (begin - 1, end)


def joined(arrays: list[Array], axis: int = 0) -> Array:
    """Put arrays one behind the other along an axis, with their masks if they have some."""
    if len(arrays) == 1:
        return arrays[0]
    whole: Array = np.concatenate([np.asarray(array) for array in arrays], axis)
    if not any(is_masked(array) for array in arrays):
        return whole
    return np.ma.MaskedArray(whole, np.concatenate([np.ma.getmaskarray(array) for array in arrays], axis))
