"""A chain of filters on one frame, a strip of rows at a time: floats never fill the memory.

The last filter is asked for a strip of its output; it asks the one before it for the rows that this
strip needs, and so on up to the frame. Each keeps the rows that the next strip will need again, so that
no row is computed twice.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.core.reading import joined
from cnnfilter.core.threads import run_strips
from cnnfilter.filters.parts import UNRANGED, UNROUNDED, Step, ends_of, marked, masked, mistaken, steps_of
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.pixels import Applied, Array, copy_pixels, extremes

Rows = Callable[[int, int], Array]


class Result(NamedTuple):
    """What became of one frame.

    Attributes
    ----------
    array : array
        What is missing has the plan's value for it.
    clipped : int
        How many values were limited on the way.
    mistaken : int
        How many results came out as the value of missing pixels, and will be taken for such.
    """

    array: Array
    clipped: int
    mistaken: int = 0


def run_chain(plan: ChainPlan, frame: Array, *, overwrite: bool = False) -> Result:
    """Run one frame through filters; values stay floats between them and are rounded once.

    Parameters
    ----------
    plan : ChainPlan
        What `plan_chain` says for such frames.
    frame : array of shape (N,), (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64.
    overwrite : bool, default False
        Whether the frame is no longer needed: the result may then take its memory.

    Returns
    -------
    Result

    Examples
    --------
    >>> from cnnfilter.filters.mean import Mean
    >>> from cnnfilter.filters.plan import plan_chain
    >>> from cnnfilter.filters.second_derivative import SecondDerivative
    >>> ramp = np.arange(0, 250, 50, dtype=np.uint8)[None].repeat(3, axis=0)
    >>> plan = plan_chain([Mean(size=3), SecondDerivative(axis="x")], ramp.shape, ramp.dtype)
    >>> run_chain(plan, ramp).array[1]
    array([33, 33,  0, 33, 33], dtype=uint8)
    """
    if plan.strips == 1:
        values, clipped = _one_by_one(plan, frame, steps_of(plan))
        return Result(marked(values, plan), clipped, mistaken(values, plan.missing))
    strips = _Strips(plan, frame)
    ends = strips.extremes() if plan.value_range == "stretch" else None
    taken = overwrite and plan.keeps_the_frame and frame.flags.writeable
    result = frame if taken else np.empty(plan.shapes[-1], plan.target)
    return Result(result, *strips.fill(result, ends))


def run_apart(plan: ChainPlan, frame: Array) -> tuple[Array, Array]:
    """Run a chain as `run_chain` does, for those who look into it.

    Returns
    -------
    given : array
        What the last filter is given; masked where pixels are missing.
    values : float64 array
        What it makes of that, before range and rounding; masked too.

    Examples
    --------
    >>> from cnnfilter.filters.mean import Mean
    >>> from cnnfilter.filters.plan import plan_chain
    >>> plan = plan_chain([Mean(size=3)], (1, 4), "uint8")
    >>> run_apart(plan, np.array([[1, 1, 3, 4]], np.uint8))[1].round(3)
    array([[1.   , 1.667, 2.667, 3.333]])
    """
    *before, last = steps_of(plan, **UNROUNDED)
    given = _one_by_one(plan, frame, before).array
    return given, _one_by_one(plan, given, [last]).array


def _one_by_one(plan: ChainPlan, frame: Array, steps: Iterable[Step]) -> Applied:
    clipped, frame = 0, masked(frame, plan)
    for step in steps:
        frame, more = step.whole(frame, plan.threads)
        clipped += more
    return Applied(frame, clipped)


class _Strips(NamedTuple):
    """A chain at work on a frame, strip by strip."""

    plan: ChainPlan
    frame: Array

    def fill(self, result: Array, ends: tuple[float, float] | None) -> tuple[int, int]:
        """Store the result, which may be the frame itself; `ends` are the extremes that a stretch needs.

        Returns how many values were limited, and how many are taken for missing ones.
        """
        alike: list[int] = []

        def store(first: int, last: int, strip: Array) -> None:
            alike.append(mistaken(strip, self.plan.missing))
            copy_pixels(result[first:last], marked(strip, self.plan))

        return self._each(store, {} if ends is None else {"ends": ends}), sum(alike)

    def extremes(self) -> tuple[float, float]:
        """Run the chain for the least and the greatest value of its result alone."""
        found: list[tuple[float, float] | None] = []

        def look(first: int, last: int, strip: Array) -> None:
            found.append(extremes(np.asarray(strip[..., :-1] if self.plan.alpha else strip)))

        self._each(look, UNRANGED)
        return ends_of(self.plan, found)

    def _each(self, use: Callable[[int, int, Array], None], last_settings: dict[str, Any]) -> int:
        """Call `use(first, last, rows)` for each strip and return how many values were limited.

        Each thread goes down its own part of the image, so that none waits for another. A strip is used
        once no other reads the rows of the frame where it lies: after the strip below it has been made, and
        at the upper and lower end of a part after all parts.
        """
        steps = steps_of(self.plan, **last_settings)
        clipped: list[int] = []
        late: list[tuple[int, int, Array]] = []

        def work(first: int, last: int) -> None:
            stages = self._stages(steps, self.plan.edges[last])
            made: list[tuple[int, int, Array]] = []
            for index in range(first, last):
                top, bottom = self.plan.edges[index : index + 2]
                made.append((top, bottom, stages[-1].rows(top, bottom)))
                if index > first + 1:
                    use(*made.pop(1))
            late.extend(made)
            clipped.append(sum(stage.clipped for stage in stages))

        run_strips(work, self.plan.strips, self.plan.threads, 1)
        for strip in late:
            use(*strip)
        return sum(clipped)

    def _stages(self, steps: list[Step], end: int) -> list["_Stage"]:
        """Return the filters at work on one part of the image, which ends before the row `end`."""
        plan, frame = self.plan, self.frame
        limits = [geometry.rows.output for geometry in plan.geometries]
        if end < limits[-1]:  # each limit is the row where the next part will begin
            limits[-1] = end
            for index in range(len(limits) - 1, 0, -1):
                _, limits[index - 1], _ = plan.geometries[index].rows.part(limits[index], limits[index] + 1)
        stages: list[_Stage] = []
        for step, limit in zip(steps, limits, strict=True):
            source = stages[-1].rows if stages else lambda first, last: masked(frame[first:last], plan)
            stages.append(_Stage(step, source, limit))
        return stages


class _Stage:
    """One filter at work: it is asked for rows from top to bottom and keeps those of its last answer."""

    def __init__(self, step: Step, source: Rows, limit: int) -> None:
        self.step, self.source, self.limit = step, source, limit
        self.kept: Array | None = None
        self.first = self.done = self.clipped = 0

    def rows(self, first: int, last: int) -> Array:
        """Return rows of the output. Those before `first` are forgotten."""
        # What is computed together is kept for the next call, too.
        grid = self.step.plan.grids[self.step.index][0]
        until = min(-(-last // grid) * grid, self.step.geometry.rows.output)
        if self.kept is None or first >= self.done:
            self.kept = self._filtered(first, until)
        elif last > self.done:
            self.kept = joined([self.kept[first - self.first :], self._filtered(self.done, until)])
        else:
            self.kept = self.kept[first - self.first :]
        self.first, self.done = first, max(until, self.done)
        return self.kept[: last - first]

    def _filtered(self, first: int, last: int) -> Array:
        if first < self.limit < last:
            return joined([self._filtered(first, self.limit), self._filtered(self.limit, last)])
        everywhere = 0, self.step.geometry.columns.output
        applied = self.step.part((first, last), everywhere, self._read, threads=1)
        if first < self.limit:  # values from there on are counted by the next part
            self.clipped += applied.clipped
        return applied.array

    def _read(self, rows: Pair, columns: Pair) -> Array:
        return self.source(*rows)[:, slice(*columns)]
