"""One filter of a chain on a part of an image: which pixels the part needs, and how they are brought to it.

A part has the bits that it has in the whole result. What stands beside the image the filter puts there itself
where the part holds the pixels that are repeated; where it does not (a mirror or a wrap reaches into another
part), they are fetched by the boundary's map and the filter sees no boundary.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from cnnfilter.core.boundary import index_map, pixels_at
from cnnfilter.core.geometry import Axis, Geometry, Pair
from cnnfilter.core.missing import Missing, find_missing
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.masked import is_masked
from cnnfilter.pixels import Applied, Array, apply
from cnnfilter.pixels.kinds import full_scale

Source: TypeAlias = Callable[[Pair, Pair], Array]
"""Returns the pixels of some rows `[first, last)` and columns."""

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
    beside = min(part.before, part.after) < 0  # altogether, so that no pixel is needed
    if axis.output == 1 or (beside and boundary in _NO_PIXEL):
        return Reading((0, axis.length), None, (axis.before, axis.after), slice(first, last))
    if not (part.before or part.after):
        return Reading((start, stop), None, (0, 0), outputs)
    places = pixels_at(np.arange(start - part.before, stop + part.after), axis.length, boundary)
    if not beside:
        own = index_map(stop - start, part.before, part.after, boundary)
        if np.array_equal(np.where(own < 0, own, own + start), places):
            return Reading((start, stop), None, (part.before, part.after), outputs)
    return Reading((start, stop), places, (0, 0), outputs)


def _computed(axis: Axis, first: int, last: int, grid: int) -> Pair:
    """Return the outputs that are computed for `[first, last)`: at least two, where there are two.

    One alone has no stride, by which methods are chosen, and layers take its window for their whole input.
    """
    begin, end = first // grid * grid, min(-(-last // grid) * grid, axis.output)
    if grid > 1 or end - begin > 1 or axis.output == 1:
        return begin, end
    return (begin, end + 1) if end < axis.output else (begin - 1, end)


class Step:
    """One filter of a chain at work.

    Attributes
    ----------
    plan : ChainPlan
    index : int
        Which filter of the chain.
    settings : dict
        What `cnnfilter.pixels.apply` is told.
    """

    def __init__(self, plan: ChainPlan, index: int, settings: dict[str, Any]) -> None:
        self.plan, self.index, self.settings = plan, index, settings

    @property
    def geometry(self) -> Geometry:
        """Which rows and columns of what it is given each of its results needs."""
        return self.plan.geometries[self.index]

    def whole(self, values: Array, threads: int | None) -> Applied:
        """Filter the whole frame."""
        return self._applied(values, threads, None, ())

    def part(
        self,
        rows: Pair,
        columns: Pair,
        source: Source,
        threads: int | None,
        counted: tuple[slice, slice] | None = None,
    ) -> Applied:
        """Filter what the outputs `[first, last)` of rows and columns need, which is taken from `source`.

        `counted`: of which of them the limited values are counted, if not of all.
        """
        geometry, grid = self.geometry, self.plan.grids[self.index]
        boundaries = self.plan.filters[self.index].boundaries
        down = reading(geometry.rows, boundaries[0], *rows, grid[0])
        across = reading(geometry.columns, boundaries[1], *columns, grid[1])
        padding = down.padding, across.padding
        outputs = down.outputs, across.outputs
        return self._applied(_fetched(source, down, across), threads, padding, outputs, counted)

    def _applied(
        self,
        values: Array,
        threads: int | None,
        padding: tuple[Pair, Pair] | None,
        outputs: tuple[slice, ...],
        counted: tuple[slice, slice] | None = None,
    ) -> Applied:
        filter, unit, fill = self.plan.filters[self.index], self.plan.unit, self.plan.fill

        def function(pixels: Array, dtype: np.dtype[Any], **border: Any) -> Array:
            how: dict[str, Any] = {"threads": threads, "padding": padding, "unit": unit, "fill": fill}
            return filter.run(pixels, dtype, **how, **border)[outputs]

        return apply(
            values,
            function,
            gain=filter.gain,
            bias=filter.bias,
            bounded=filter.bounded,
            apart=self.plan.alpha and self.plan.shapes[self.index + 1][2] != self.plan.shapes[self.index][2],
            colours_only=filter.colours_only,
            span=filter.span,
            constant=filter.constant,
            counted=counted,
            threads=threads,
            **self.settings,
        )


def steps_of(plan: ChainPlan, **last_settings: Any) -> list[Step]:
    """Make the filters of a plan ready; the last may be told something else."""
    settings = [*plan.settings[:-1], plan.settings[-1] | last_settings]
    return [Step(plan, index, told) for index, told in enumerate(settings)]


UNROUNDED: dict[str, Any] = {"value_range": None, "depth": np.float64}
"""What the last filter is told where only its extremes are looked for."""


def ends_of(plan: ChainPlan, found: Iterable[tuple[float, float] | None]) -> tuple[float, float]:
    """Return what a stretch maps to the ends of the range, from the extremes of all parts, unlimited."""
    pairs = [pair for pair in found if pair]
    if not pairs:
        return 0.0, 0.0
    ends = min(low for low, _ in pairs), max(high for _, high in pairs)
    span = plan.filters[-1].span
    if span is None:
        return ends
    # Radians, which become shares of white only where they are given a range; in the type of the values.
    work = np.float64 if plan.dtype == np.float64 else np.float32
    white = plan.settings[-1]["white"] or full_scale(plan.dtype if len(plan.filters) == 1 else np.dtype(work))
    low, high = (float(work(end) * work(white / span)) for end in ends)
    return low, high


def masked(pixels: Array, plan: ChainPlan) -> Array:
    """Return pixels as a masked array if some may be missing; one that is masked stays as it is."""
    if plan.missing is None or is_masked(pixels):
        return pixels
    found = find_missing(pixels, plan.missing)
    assert found is not None, "there is a value"
    return np.ma.MaskedArray(pixels, found.where)


def marked(result: Array, plan: ChainPlan) -> Array:
    """Return a result with the value of missing pixels where it is masked."""
    if plan.missing is None:
        return result
    gone = np.ma.getmaskarray(result)
    return Missing(gone, plan.missing).marked(np.asarray(result), gone)


def mistaken(result: Array, missing: float | None) -> int:
    """Count the results that are there and have the value of missing ones."""
    if missing is None:
        return 0
    alike = find_missing(np.asarray(result), missing)
    assert alike is not None, "there is a value"
    return int(np.count_nonzero(alike.where & ~np.ma.getmaskarray(result)))


def _fetched(source: Source, down: Reading, across: Reading) -> Array:
    """Return the pixels of two readings."""
    if down.places is None and across.places is None:
        return source(down.pixels, across.pixels)
    tiles = [[source(run, side) for side in runs_of(across)] for run in runs_of(down)]
    pixels = joined([joined(line, axis=1) for line in tiles])
    if down.places is not None:
        pixels = pixels[np.searchsorted(np.unique(down.places), down.places)]
    if across.places is not None:
        pixels = pixels[:, np.searchsorted(np.unique(across.places), across.places)]
    return pixels


def runs_of(read: Reading) -> list[Pair]:
    """Return the pixels of a reading as runs `[first, last)`, each pixel once."""
    return [read.pixels] if read.places is None else _runs(np.unique(read.places))


def joined(arrays: list[Array], axis: int = 0) -> Array:
    """Put arrays one behind the other along an axis, with their masks if they have some."""
    whole: Array = np.concatenate([np.asarray(array) for array in arrays], axis)
    if not any(is_masked(array) for array in arrays):
        return whole
    return np.ma.MaskedArray(whole, np.concatenate([np.ma.getmaskarray(array) for array in arrays], axis))


def _runs(pixels: Array) -> list[Pair]:
    """Part numbers that rise into runs `[first, last)`.

    Examples
    --------
    >>> _runs(np.array([0, 1, 2, 7, 8]))
    [(0, 3), (7, 9)]
    """
    gaps = np.flatnonzero(np.diff(pixels) > 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(pixels, gaps)]
