"""A chain of filters on one frame, a strip of rows at a time: floats never fill the memory.

The last filter is asked for a strip of its output; it asks the one before it for the rows that this
strip needs, and so on up to the frame. Each keeps the rows that the next strip will need again, so that
no row is computed twice.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.geometry import Geometry
from cnnfilter.core.threads import count, run_strips
from cnnfilter.filters.registry import Range, Step
from cnnfilter.pixels import Applied, Array, apply, copy_pixels, depth_dtype, extremes, white_of

STRIP = 1 << 20
"""Values of a strip: 4 MiB of float32 stay in the caches while they are filtered, rounded and stored."""

Rows = Callable[[int, int], Array]


def run_chain(
    steps: Sequence[Step],
    frame: Array,
    *,
    alpha: bool = False,
    linear: bool = False,
    value_range: Range | None = None,
    depth: str | None = None,
    overwrite: bool = False,
    threads: int | None = None,
) -> Applied:
    """Run one frame through filters; values stay floats between them and are rounded once.

    Parameters
    ----------
    steps : sequence of Step
        At least one.
    frame : array of shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64.
    alpha : bool, default False
        Whether the last channel is transparency.
    linear : bool, default False
        Whether to filter in linear light.
    value_range : {"clip", "abs", "offset", "stretch"}, optional
        What becomes of the last filter's values outside the pixels' range; default the filter's own
        choice, and nothing for floats. Between filters it is always the filter's own choice.
    depth : {"8", "16", "f32"}, optional
        Of the result; default that of the frame.
    overwrite : bool, default False
        Whether the frame is no longer needed: the result may then take its memory.
    threads : int, optional
        Default: one for each processor.

    Returns
    -------
    Applied
        ``(array, clipped)``: the result, and the number of values that were limited on the way.

    Examples
    --------
    >>> ramp = np.arange(0, 250, 50, dtype=np.uint8)[None].repeat(3, axis=0)
    >>> run_chain([Step.of("mean", size=3), Step.of("second-derivative", axis="x")], ramp).array[1]
    array([33, 33,  0, 33, 33], dtype=uint8)
    """
    target = depth_dtype(depth) if depth else frame.dtype
    if value_range is None and target.kind != "f":
        value_range = steps[-1].range
    chain = _Chain(steps, frame, _settings(steps, frame.dtype, target, value_range, alpha, linear))
    # What is hidden is filled from everywhere, not from a strip.
    at_once = chain.is_lean() or (alpha and any(step.colours_only for step in steps))
    geometries = None if at_once else _geometries(steps, frame.shape)
    edges = geometries and _edges(geometries, frame.shape)
    if not geometries or not edges:
        return chain.whole(threads)
    strips = _Strips(chain, geometries, edges, count(threads))
    ends = strips.extremes() if value_range == "stretch" else None
    taken = overwrite and _fits(frame, target, geometries)
    result = frame if taken else np.empty((*geometries[-1].output_shape, *frame.shape[2:]), target)
    return Applied(result, strips.fill(result, ends))


def _fits(frame: Array, target: np.dtype[Any], geometries: list[Geometry]) -> bool:
    """Whether the result can lie where the frame lies."""
    return (
        frame.flags.writeable
        and frame.dtype == target
        and all(geometry.output_shape == frame.shape[:2] for geometry in geometries)
    )


def _settings(
    steps: Sequence[Step],
    source: np.dtype[Any],
    target: np.dtype[Any],
    value_range: Range | None,
    alpha: bool,
    linear: bool,
) -> list[dict[str, Any]]:
    """Return what `apply` is told for each step: as a pipe of commands does, but for the rounding."""
    white = white_of(source)
    common = {"alpha": alpha, "linear": linear, "white": white}
    floats = np.dtype(np.float64 if source == np.float64 else np.float32)
    # Pixels that will be signed at the end stay so on the way.
    limited = white is not None and target.kind != "f"
    between = [
        common | {"value_range": step.range if limited else None, "depth": floats} for step in steps[:-1]
    ]
    return [*between, common | {"value_range": value_range, "depth": target}]


class _Chain(NamedTuple):
    """The filters, with all that `apply` is told beside them."""

    steps: Sequence[Step]
    frame: Array
    settings: list[dict[str, Any]]

    @property
    def alpha(self) -> bool:
        """Whether the last channel is transparency."""
        return bool(self.settings[-1]["alpha"])

    def is_lean(self) -> bool:
        """Whether the core itself writes the result in one pass, so that there are no floats to avoid."""
        last = self.settings[-1]
        target, value_range = last["depth"], last["value_range"]
        return (
            len(self.steps) == 1
            and target == self.frame.dtype
            and not last["alpha"]
            and not last["linear"]
            and (self.steps[-1].bounded if target.kind != "f" else value_range is None)
            and value_range in (None, "clip")
        )

    def whole(self, threads: int | None) -> Applied:
        """Run one frame after the other."""
        frame, clipped = self.frame, 0
        for step, settings in zip(self.steps, self.settings, strict=True):
            frame, more = _apply(step, frame, settings, threads)
            clipped += more
        return Applied(frame, clipped)


class _Strips(NamedTuple):
    """A chain over strips: which rows of the result each strip has, and how many threads take them."""

    chain: _Chain
    geometries: list[Geometry]
    edges: list[int]
    threads: int

    def fill(self, result: Array, ends: tuple[float, float] | None) -> int:
        """Store the result, which may be the frame itself; `ends` are the extremes that a stretch needs."""

        def store(first: int, last: int, strip: Array) -> None:
            copy_pixels(result[first:last], strip)

        return self._each(store, {} if ends is None else {"ends": ends})

    def extremes(self) -> tuple[float, float]:
        """Run the chain for the least and the greatest value of its result alone."""
        found: list[tuple[float, float]] = []

        def look(first: int, last: int, strip: Array) -> None:
            pair = extremes(strip[..., :-1] if self.chain.alpha else strip)
            if pair:
                found.append(pair)

        self._each(look, {"value_range": None, "depth": np.float64})
        return (min(low for low, _ in found), max(high for _, high in found)) if found else (0.0, 0.0)

    def _each(self, use: Callable[[int, int, Array], None], last_settings: dict[str, Any]) -> int:
        """Call `use(first, last, rows)` for each strip and return how many values were limited.

        Each thread goes down its own part of the image, so that none waits for another. A strip is used
        once no other reads the rows of the frame where it lies: after the strip below it has been made, and
        at the upper and lower end of a part after all parts.
        """
        settings = [*self.chain.settings[:-1], self.chain.settings[-1] | last_settings]
        clipped: list[int] = []
        late: list[tuple[int, int, Array]] = []

        def work(first: int, last: int) -> None:
            stages = self._stages(settings, self.edges[last])
            made: list[tuple[int, int, Array]] = []
            for index in range(first, last):
                top, bottom = self.edges[index : index + 2]
                made.append((top, bottom, stages[-1].rows(top, bottom)))
                if index > first + 1:
                    use(*made.pop(1))
            late.extend(made)
            clipped.append(sum(stage.clipped for stage in stages))

        run_strips(work, len(self.edges) - 1, self.threads, 1)
        for strip in late:
            use(*strip)
        return sum(clipped)

    def _stages(self, settings: list[dict[str, Any]], end: int) -> list["_Stage"]:
        """Return the filters at work on one part of the image, which ends before the row `end`."""
        limits = [geometry.rows.output for geometry in self.geometries]
        if end < limits[-1]:  # each limit is the row where the next part will begin
            limits[-1] = end
            for index in range(len(limits) - 1, 0, -1):
                _, limits[index - 1], _ = self.geometries[index].rows.part(limits[index], limits[index] + 1)
        frame = self.chain.frame
        stages: list[_Stage] = []
        for step, geometry, one, limit in zip(
            self.chain.steps, self.geometries, settings, limits, strict=True
        ):
            source = stages[-1].rows if stages else lambda first, last: frame[first:last]
            stages.append(_Stage(step, geometry, one, source, limit))
        return stages


class _Stage:
    """One filter at work: it is asked for rows from top to bottom and keeps those of its last answer."""

    def __init__(
        self, step: Step, geometry: Geometry, settings: dict[str, Any], source: Rows, limit: int
    ) -> None:
        self.step, self.geometry, self.settings = step, geometry, settings
        self.source, self.limit = source, limit
        self.kept: Array | None = None
        self.first = self.done = self.clipped = 0

    def rows(self, first: int, last: int) -> Array:
        """Return rows of the output. Those before `first` are forgotten."""
        if self.kept is None or first >= self.done:
            self.kept = self._filtered(first, last)
        elif last > self.done:
            self.kept = np.concatenate((self.kept[first - self.first :], self._filtered(self.done, last)))
        else:
            self.kept = self.kept[first - self.first :]
        self.first, self.done = first, max(last, self.done)
        return self.kept[: last - first]

    def _filtered(self, first: int, last: int) -> Array:
        if first < self.limit < last:
            return np.concatenate((self._filtered(first, self.limit), self._filtered(self.limit, last)))
        part, start, stop = self.geometry.rows.part(first, last)
        padding = ((part.before, part.after), self.geometry.padding[1])
        applied = _apply(self.step, self.source(start, stop), self.settings, 1, padding)
        if first < self.limit:  # values from there on are counted by the next part
            self.clipped += applied.clipped
        return applied.array


def _apply(
    step: Step, values: Array, settings: dict[str, Any], threads: int | None, padding: Any = None
) -> Applied:
    return apply(
        values,
        partial(step.run, threads=threads, padding=padding),
        gain=step.gain,
        bias=step.bias,
        bounded=step.bounded,
        colours_only=step.colours_only,
        threads=threads,
        **settings,
    )


def _geometries(steps: Sequence[Step], shape: tuple[int, ...]) -> list[Geometry] | None:
    """Return the geometry of every step, or None if one of them needs the whole image at a time."""
    if any(step.range == "stretch" for step in steps[:-1]):
        return None
    geometries = []
    for step in steps:
        geometry = step.geometry((shape[0], shape[1]))
        if geometry is None:
            return None
        geometries.append(geometry)
        shape = geometry.output_shape
    return geometries


def _edges(geometries: list[Geometry], shape: tuple[int, ...]) -> list[int] | None:
    """Divide the rows of the output into strips: where they begin and end. None for one strip.

    A strip is higher than the kernels together, so that what is mirrored at the last row lies within it.
    """
    rows, columns = geometries[-1].output_shape
    widest = max(columns, *(geometry.columns.length for geometry in geometries))
    reach = sum(geometry.rows.reach + geometry.rows.before + geometry.rows.after for geometry in geometries)
    channels = int(np.prod(shape[2:]))
    strips = rows // max(2 * reach, STRIP // (widest * channels), 1)
    return [rows * strip // strips for strip in range(strips + 1)] if strips > 1 else None
