"""The plan of a chain of filters on one kind of frame: types, ranges, strips and memory, decided once.

The run and ``--explain`` both take it from here, so that they cannot differ.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.geometry import Geometry
from cnnfilter.core.missing import is_held
from cnnfilter.core.threads import count
from cnnfilter.errors import ParameterError
from cnnfilter.filters.filter import Filter, Planned, Range
from cnnfilter.pixels import (
    check_kept_alpha,
    check_linear,
    depth_dtype,
    rounds_itself,
    unit_of,
    white_of,
)

STRIP = 1 << 20
"""Values of a strip: 4 MiB of float32 stay in the caches while they are filtered, rounded and stored."""


class _Chain(NamedTuple):
    filters: tuple[Filter, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    target: np.dtype[Any]
    alpha: bool
    linear: bool
    value_range: Range | None
    threads: int
    missing: float | None = None
    fill: bool = False


class ChainPlan(_Chain):
    """How a chain of filters runs on frames of one shape and type.

    Attributes
    ----------
    filters : tuple of Filter
    shape : tuple of int
        Of a frame: (H, W) or (H, W, C), or of a signal: (N,).
    dtype, target : dtype
        Of a frame, and of the result.
    alpha, linear : bool
        Whether the last channel is transparency; whether to filter in linear light.
    value_range : {"clip", "abs", "offset", "stretch"} or None
        What becomes of the last filter's values outside the pixels' range.
    threads : int
    missing : float, optional
        The value of pixels that are missing, before and after; None if none is.
    fill : bool
        Whether a pixel that was missing may get a value.
    """

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """What each filter is given, and at the end the shape of the result."""
        shapes = [self.shape]
        for filter in self.filters:
            given = shapes[-1]
            made = filter.shape((*given[:2], given[2] - 1) if self.alpha else given)
            shapes.append((*made[:2], math.prod(made[2:]) + 1) if self.alpha else made)
        return tuple(shapes)

    @cached_property
    def geometries(self) -> tuple[Geometry, ...]:
        """Of each filter: which rows and columns of what it is given it needs."""
        return tuple(
            filter.geometry((shape[0], shape[1])) if len(shape) > 1 else filter.line_geometry(shape[0])
            for filter, shape in zip(self.filters, self.shapes, strict=False)
        )

    @cached_property
    def settings(self) -> tuple[dict[str, Any], ...]:
        """What `cnnfilter.pixels.apply` is told for each filter: what a pipe of commands would tell it.

        But nothing is rounded between filters.
        """
        white = white_of(self.dtype)
        common = {"alpha": self.alpha, "linear": self.linear, "white": white}
        floats = np.dtype(np.float64 if self.dtype == np.float64 else np.float32)
        # Pixels that will be signed at the end stay so on the way.
        limited = white is not None and self.target.kind != "f"
        between = [
            common | {"value_range": filter.range if limited else None, "depth": floats}
            for filter in self.filters[:-1]
        ]
        return (*between, common | {"value_range": self.value_range, "depth": self.target})

    @property
    def unit(self) -> float:
        """What one grey level of a frame is in the values that filters are given."""
        return unit_of(self.dtype, alpha=self.alpha, linear=self.linear)

    @property
    def is_direct(self) -> bool:
        """Whether the core itself writes the result in one pass, so that there are no floats to avoid."""
        if len(self.filters) > 1 or self.alpha or self.linear or self.target != self.dtype:
            return False
        if self.target.kind == "f":
            return self.filters[0].writes_itself and self.value_range is None
        return self.filters[0].bounded and self.value_range in (None, "clip")

    @property
    def rounds_opaque(self) -> bool:
        """Whether the filter itself rounds where an image with alpha is opaque, as it does without alpha."""
        return (
            self.alpha
            and len(self.filters) == 1
            and self.filters[0].bounded
            and not self.linear
            and rounds_itself(self.dtype, self.target, self.value_range)
        )

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """Where the strips of the result begin and end, in rows; two numbers for the whole at once.

        A strip is higher than the kernels together, so that what is mirrored at the last row lies within it.
        """
        rows = self.shapes[-1][0]
        # What is hidden is filled from everywhere, and the extremes of a stretch lie anywhere.
        whole = (
            self.is_direct
            or not all(filter.local for filter in self.filters)
            or (self.alpha and any(filter.colours_only for filter in self.filters))
            or any(filter.range == "stretch" for filter in self.filters[:-1])
        )
        strips = 1 if whole else rows // max(2 * self._reach, STRIP // self._row, 1)
        strips = max(1, strips)
        step = self.grids[-1][0] if strips > 1 else 1
        edges = {rows * strip // strips // step * step for strip in range(strips)}
        return (*sorted(edges), rows)

    @cached_property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Of each filter: rows and columns of its result at whose multiples it computes parts."""
        return tuple(planned.grid for planned in self.described())

    @property
    def strips(self) -> int:
        """How many strips there are."""
        return 1 if len(self.shape) == 1 else len(self.edges) - 1

    @property
    def keeps_the_frame(self) -> bool:
        """Whether the result can take the memory of the frame: it has its shape and type.

        Not where outputs are computed together, for those of the next strip need pixels of this one.
        """
        together = any(grid != (1, 1) for grid in self.grids)
        return not together and self.dtype == self.target and all(s == self.shape for s in self.shapes)

    @property
    def memory(self) -> int:
        """Bytes that are held beside the frame, about: the result, and floats on the way to it."""
        result = math.prod(self.shapes[-1]) * self.target.itemsize
        # A mask, and the pixels with 0 in place of missing ones.
        extra = 0 if self.missing is None else self.dtype.itemsize + 2
        if self.is_direct:
            return result + extra * math.prod(self.shape)
        size = extra + (8 if self.dtype == np.float64 else 4)
        if self.strips == 1:
            return result + size * max(
                math.prod(before) + (1 if filter.writes_itself else filter.floats) * math.prod(after)
                for filter, before, after in zip(self.filters, self.shapes, self.shapes[1:], strict=False)
            )
        rows = self.shapes[-1][0] // self.strips + self._reach
        # Each filter keeps a strip and its reach, and a strip waits until the one below it has been made.
        kept = 2 * len(self.filters) - 1 + max(filter.floats for filter in self.filters)
        return result + size * min(self.threads, self.strips) * rows * self._row * kept

    @property
    def _reach(self) -> int:
        axes = [geometry.rows for geometry in self.geometries]
        return sum(axis.reach + axis.before + axis.after for axis in axes)

    @property
    def _row(self) -> int:
        """Values of the widest row."""
        return max(shape[1] * math.prod(shape[2:]) for shape in self.shapes)

    def described(self) -> list[Planned]:
        """Say of each filter how it will be computed, and of which type it gives its values."""
        floats = "float64" if self.dtype == np.float64 else "float32"
        found, source = [], str(self.dtype)
        for filter, shape, told in zip(self.filters, self.shapes, self.settings, strict=False):
            itself = filter.bounded and not self.alpha and not self.linear
            itself = itself and rounds_itself(np.dtype(source), told["depth"], told["value_range"])
            output = str(told["depth"]) if itself else floats
            given = (*shape[:2], shape[2] - 1) if self.alpha and filter.colours_only else shape
            found.append(filter.plan(given, floats if self.alpha or self.linear else source, output))
            source = floats
        return found


def plan_chain(
    filters: Sequence[Filter],
    shape: tuple[int, ...],
    dtype: Any,
    *,
    alpha: bool = False,
    linear: bool = False,
    value_range: Range | None = None,
    depth: str | None = None,
    threads: int | None = None,
    missing: float | None = None,
    fill: bool = False,
) -> ChainPlan:
    """Plan a chain of filters for frames of one shape and type.

    Parameters
    ----------
    filters : sequence of Filter
        At least one.
    shape : tuple of int
        Of a frame: (N,), (H, W) or (H, W, C).
    dtype : dtype
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
    threads : int, optional
        Default: one for each processor.
    missing : float, optional
        The value of pixels that are missing, NaN or a number. What is missing after one filter is so for the
        next.
    fill : bool, default False
        Whether a pixel that was missing may get a value.

    Raises
    ------
    ParameterError
        Geometry that does not fit the frame, or channels that a filter does not take; linear light of floats,
        or for results that are no brightness; another size beside transparency that is kept as it is; missing
        pixels where transparency, layers or the type of the result know none.

    Examples
    --------
    >>> from cnnfilter.filters.mean import Mean
    >>> from cnnfilter.filters.pool import Pool
    >>> plan = plan_chain([Mean(size=5), Pool(kind="max", size=2)], (4000, 3000, 3), "uint8")
    >>> plan.shapes[-1], str(plan.target), plan.value_range, plan.strips
    ((2000, 1500, 3), 'uint8', 'clip', 17)
    """
    source = np.dtype(dtype)
    target = depth_dtype(depth) if depth else source
    if value_range is None and target.kind != "f":
        value_range = filters[-1].range
    plan = ChainPlan(
        tuple(filters), shape, source, target, alpha, linear, value_range, count(threads), missing, fill
    )
    for filter, before, after in zip(plan.filters, plan.shapes, plan.shapes[1:], strict=False):
        if linear:
            check_linear(source, white_of(source), filter.span)
        if alpha and filter.colours_only:
            check_kept_alpha(before, after)
    if missing is not None:
        _refuse_missing(plan, missing)
    return plan


def _refuse_missing(plan: ChainPlan, value: float) -> None:
    """Refuse missing pixels where they would be filtered as numbers, or could not be written."""
    titles = [filter.title for filter in plan.filters if filter.colours_only]
    if not is_held(value, plan.target):
        raise ParameterError(
            f"{plan.target} does not hold {value:g}, the value of missing pixels; use depth f32, or "
            'missing "none", which filters them as numbers'
        )
    if plan.alpha or titles:
        what = "transparency" if plan.alpha else titles[0]
        raise ParameterError(
            f"{what} goes with no missing pixels, and some are {value:g}; "
            'missing "none" filters them as numbers'
        )
