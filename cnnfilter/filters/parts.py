"""One filter of a chain on a part of an image, which has the bits that it has in the whole result."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from cnnfilter.core.geometry import Geometry, Pair
from cnnfilter.core.missing import Missing, find_missing, is_held
from cnnfilter.core.reading import Reading, beside, joined, reading
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.masked import is_masked
from cnnfilter.pixels import Applied, Array, apply
from cnnfilter.pixels.hidden import seen_of
from cnnfilter.pixels.kinds import full_scale, share_of

Source: TypeAlias = Callable[[Pair, Pair], Array]
"""Returns the pixels of some rows `[first, last)` and columns."""


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

    def _channels(self, after: int) -> int:
        """Return how many channels there are before and after the filter."""
        return self.plan.shapes[self.index + after][2]

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
        opaque: bool | None = None,
    ) -> Applied:
        """Filter what the outputs `[first, last)` of rows and columns need, which is taken from `source`.

        `counted`: of which of them the limited values are counted, if not of all. `opaque`: whether all is to
        be taken for opaque, if that is not seen from these pixels alone.
        """
        geometry, grid = self.geometry, self.plan.grids[self.index]
        boundaries = self.plan.filters[self.index].boundaries
        down = reading(geometry.rows, boundaries[0], *rows, grid[0])
        across = reading(geometry.columns, boundaries[1], *columns, grid[1])
        padding = down.padding, across.padding
        outputs = down.outputs, across.outputs
        fetched = not (down.places is None and across.places is None)
        outside = np.logical_or.outer(beside(geometry.rows, *rows), beside(geometry.columns, *columns))
        values = _fetched(source, down, across)
        return self._applied(values, threads, padding, outputs, counted, outside if fetched else None, opaque)

    def _applied(
        self,
        values: Array,
        threads: int | None,
        padding: tuple[Pair, Pair] | None,
        outputs: tuple[slice, ...],
        counted: tuple[slice, slice] | None = None,
        outside: Array | None = None,
        opaque: bool | None = None,
    ) -> Applied:
        filter, unit, fill = self.plan.filters[self.index], self.plan.unit, self.plan.fill

        def function(pixels: Array, dtype: np.dtype[Any], **border: Any) -> Array:
            how: dict[str, Any] = {"threads": threads, "padding": padding, "unit": unit, **border}
            result = filter.run(pixels, dtype, fill=fill, **how)[outputs]
            if outside is not None and not fill and is_masked(result) and outside.any():
                result[outside] = filter.run(pixels, dtype, fill=True, **how)[outputs][outside]
            return result

        return apply(
            values,
            function,
            gain=filter.gain,
            bias=filter.bias,
            bounded=filter.bounded,
            apart=self.plan.alpha and (filter.joins or self._channels(1) != self._channels(0)),
            colours_only=filter.colours_only,
            constant=filter.constant,
            counted=counted,
            opaque=opaque,
            threads=threads,
            **{"span": filter.span, **self.settings},
        )


def steps_of(plan: ChainPlan, **last_settings: Any) -> list[Step]:
    """Make the filters of a plan ready; the last may be told something else."""
    settings = [*plan.settings[:-1], plan.settings[-1] | last_settings]
    return [Step(plan, index, told) for index, told in enumerate(settings)]


UNROUNDED: dict[str, Any] = {"value_range": None, "depth": np.float64}
"""What the last filter is told where its values are wanted as they are."""

UNRANGED = UNROUNDED | {"span": None}
"""What it is told where only its extremes are looked for: see `ends_of`."""


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
    source, white = plan.dtype if len(plan.filters) == 1 else np.dtype(work), plan.settings[-1]["white"]
    share = share_of(span, source, plan.target, white)
    # Those that were filtered as shares of white have been multiplied by it.
    scale = full_scale(source) if white is None else white
    low, high = (float(work(end) * work(share / scale if plan.alpha else share)) for end in ends)
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


def mistaken(result: Array, missing: float | None, *, alpha: bool = False) -> int:
    """Count the results that are there, and seen, and have the value of missing ones."""
    if missing is None or not is_held(missing, result.dtype):
        return 0
    alike = seen_of(missing, np.asarray(result), alpha)
    return int(np.count_nonzero(alike & ~np.ma.getmaskarray(result) if is_masked(result) else alike))


def _fetched(source: Source, down: Reading, across: Reading) -> Array:
    """Return the pixels of two readings."""
    tiles = [[source(run, side) for side in across.runs()] for run in down.runs()]
    pixels = joined([joined(line, axis=1) for line in tiles])
    return across.arranged(down.arranged(pixels, 0), 1)
