"""A chain of filters on an image that is never in memory: block by block, with the bits of the whole.

The result is walked in blocks. Each is asked of the last filter, which asks the one before it for what the
block needs, and so on up to the source, which reads those pixels alone (`cnnfilter.filters.parts`). Nothing
of a block is kept for the next one: what two blocks both need is computed twice.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from functools import partial
from itertools import pairwise, product
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from cnnfilter.core.geometry import Axis, Pair
from cnnfilter.core.missing import is_held
from cnnfilter.core.reading import joined, reading
from cnnfilter.errors import ParameterError
from cnnfilter.filters.parts import (
    UNRANGED,
    Step,
    ends_of,
    marked,
    masked,
    mistaken,
    steps_of,
)
from cnnfilter.filters.parts import Source as Asked
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy.keeping import parts_of
from cnnfilter.lazy.opaque import Strip, cut_at, opaque_strips
from cnnfilter.pixels import Applied, Array, extremes
from cnnfilter.pixels.hidden import seen_of

Block: TypeAlias = tuple[Pair, Pair]
"""Rows and columns of an image, each `[first, last)`."""

UNDER_WAY = 2
"""Blocks at a time: while one is filtered, another is read."""


class Part(NamedTuple):
    """What of a result is made.

    Attributes
    ----------
    rows, columns : pair of int
        `[first, last)`.
    under_way : int
        Blocks at a time.
    threads : int, optional
        For each of them; default those of the plan.
    """

    rows: Pair
    columns: Pair
    under_way: int = UNDER_WAY
    threads: int | None = None


class NeedsWhole(ParameterError):
    """What is asked for depends on the whole image at once."""


class Source(Protocol):
    """An image that can be read in parts, by several threads at a time.

    Attributes
    ----------
    shape : tuple of int
        (H, W) or (H, W, C).
    dtype : dtype
        uint8, uint16, int16, float32 or float64.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, rows: Pair, columns: Pair) -> Array:
        """Return the pixels of rows and columns `[first, last)`."""
        ...


class Sink(Protocol):
    """Where an image is written in parts.

    Attributes
    ----------
    chunks : pair of int
        Rows and columns that are best written together: blocks begin at multiples of them.
    """

    chunks: Pair

    def write(self, rows: Pair, columns: Pair, block: Array) -> None:
        """Write rows and columns `[first, last)`: each once, in reading order."""
        ...


class Counts(NamedTuple):
    """What is counted of a result.

    Attributes
    ----------
    clipped : int
        Values that were limited to its range.
    mistaken : int
        Values that came out as the one that means missing.
    """

    clipped: int = 0
    mistaken: int = 0


class Watch:
    """Someone who follows a run; this one does not care."""

    def computed(self, rows: Pair, columns: Pair) -> None:
        """Hear of a block that has been computed."""

    def written(self, rows: int, counts: "Counts") -> None:
        """Hear that the result is written down to this row, and what was counted so far."""


def filter_blocks(
    plan: ChainPlan,
    source: Source,
    sink: Sink,
    block: Pair,
    *,
    part: Part | None = None,
    ends: tuple[float, float] | None = None,
    missing: float | None = None,
    watch: Watch | None = None,
) -> Counts:
    """Filter an image block by block.

    Parameters
    ----------
    plan : ChainPlan
        Of the whole image.
    source, sink : Source, Sink
    block : pair of int
        Rows and columns of the result at a time.
    part : Part, optional
        What of the result is made; default all of it. Parts count what is between filters once, too.
    ends : pair of float, optional
        The extremes that a stretch needs; default as `extremes_in_blocks` finds them.
    missing : float, optional
        The value that will be taken to mean missing, if it is not that of the plan.
    watch : Watch, optional
        Is told how far the run is.

    Returns
    -------
    Counts
        Of that part.

    Raises
    ------
    NeedsWhole
    """
    require_local(plan)
    watch = watch or Watch()
    told: dict[str, Any] = {}
    if plan.value_range == "stretch":
        told["ends"] = ends or ends_of(plan, extremes_in_blocks(plan, source, block, watch=watch))
    part = part or from_row(plan, 0)
    clipped = alike = 0
    missing = plan.missing if missing is None else missing
    # Closed when writing fails, so that nothing reads the source any more.
    strips = opaque_strips(plan, source)
    with closing(_filtered(steps_of(plan, **told), source, part, block, strips)) as results:
        for rows, columns, applied in results:
            sink.write(rows, columns, marked(applied.array, plan))
            clipped += applied.clipped
            alike += mistaken(applied.array, missing, alpha=plan.alpha)
            watch.computed(rows, columns)
            if columns[1] == part.columns[1]:
                watch.written(rows[1], Counts(clipped, alike))
    return Counts(clipped, alike)


def count_of(source: Source, value: float, *, alpha: bool = False) -> int:
    """Return how many values of an image are this one, which may be NaN; it is read once.

    Those of hidden pixels, and alpha itself, are left out.
    """
    if not is_held(value, source.dtype):
        return 0
    parts = (source.read(*part) for part in parts_of(source))
    return sum(int(np.count_nonzero(seen_of(value, part, alpha))) for part in parts)


def require_local(plan: ChainPlan) -> None:
    """Refuse a chain in which a value depends on the whole image."""
    for number, filter in enumerate(plan.filters):
        if filter.arguments.get("accuracy") == "fast":
            raise NeedsWhole(
                f"{filter.title} with accuracy 'fast' runs down and up the whole image, so that it cannot be "
                "computed in blocks; use accuracy 'exact', or an image that fits the memory"
            )
        if filter.range == "stretch" and number + 1 < len(plan.filters):
            raise NeedsWhole(
                f"the range 'stretch' of {filter.title} needs the extremes of the whole image before the "
                "next filter begins; run the filters after it by themselves"
            )
        if plan.alpha and filter.colours_only:
            raise NeedsWhole(
                f"{filter.title} lets the whole image show through where some of it is transparent, so that "
                "it cannot be computed in blocks; take alpha off"
            )


def from_row(plan: ChainPlan, row: int) -> Part:
    """Return the part of the result from a row on."""
    height, width = plan.shapes[-1][:2]
    return Part((row, height), (0, width))


def blocks_of(part: Part, block: Pair) -> list[Block]:
    """Return rows and columns of each block of a part of the result, in reading order.

    Examples
    --------
    >>> blocks_of(Part((10, 15), (0, 40)), (100, 30))
    [((10, 15), (0, 30)), ((10, 15), (30, 40))]
    """
    return list(product(_pieces(*part.rows, block[0]), _pieces(*part.columns, block[1])))


def pixels_read(plan: ChainPlan, block: Pair) -> int:
    """Return how many pixels of the image are read, in all: those that two blocks need count twice.

    Examples
    --------
    >>> from cnnfilter.filters.mean import Mean
    >>> from cnnfilter.filters.plan import plan_chain
    >>> plan = plan_chain([Mean(size=3)], (100, 50), "uint8")
    >>> pixels_read(plan, (100, 50)), pixels_read(plan, (50, 50))
    (5000, 5100)
    """
    (height, width), (height_in, width_in) = plan.shapes[-1][:2], plan.shape[:2]
    # What is read of rows does not depend on the columns.
    down, across = (
        sum(last - first for piece in _pieces(0, length, step) for first, last in runs_of(plan, axis, piece))
        for axis, (length, step) in enumerate(zip((height, width), block, strict=True))
    )
    looked_at = height_in * width_in if plan.rounds_opaque else 0  # for its alpha
    return down * across * (2 if plan.value_range == "stretch" else 1) + looked_at


def runs_of(plan: ChainPlan, axis: int, piece: Pair) -> list[Pair]:
    """Return which rows (axis 0) or columns (axis 1) of the image some of the result need."""
    runs = [piece]
    for filter, geometry, grid in zip(
        reversed(plan.filters), reversed(plan.geometries), reversed(plan.grids), strict=True
    ):
        side, boundary = (geometry.rows, geometry.columns)[axis], filter.boundaries[axis]
        runs = [pixels for run in runs for pixels in reading(side, boundary, *run, grid[axis]).runs()]
    return runs


def _pieces(first: int, end: int, step: int) -> list[Pair]:
    return [(start, min(start + step, end)) for start in range(first, end, step)]


def extremes_in_blocks(
    plan: ChainPlan,
    source: Source,
    block: Pair,
    *,
    part: Part | None = None,
    watch: Watch | None = None,
) -> list[tuple[float, float] | None]:
    """Run the chain for the extremes of each block of its result, or of a part, alone: see `ends_of`."""
    found = []
    watch, part = watch or Watch(), part or from_row(plan, 0)
    with closing(_filtered(steps_of(plan, **UNRANGED), source, part, block, ())) as results:
        for rows, columns, applied in results:
            values = np.asarray(applied.array)
            found.append(extremes(values[..., :-1] if plan.alpha else values))
            watch.computed(rows, columns)
    return found


def _filtered(
    steps: list[Step], source: Source, part: Part, block: Pair, strips: Sequence[Strip]
) -> Generator[tuple[Pair, Pair, Applied], None, None]:
    """Yield the blocks in their order, while those that follow are being computed.

    What filters before the last one limit is counted once, whichever blocks need it. A source that has
    `expect` is told which rows the blocks under way will read.
    """
    plan, blocks = steps[0].plan, blocks_of(part, block)
    threads = part.threads or plan.threads
    expect: Callable[[list[Pair]], None] = getattr(source, "expect", lambda rows: None)

    def read(rows: Pair, columns: Pair) -> Array:
        return masked(source.read(rows, columns), plan)

    owned = [_owned(plan, axis, [block[axis] for block in blocks]) for axis in (0, 1)]

    def filtered(rows: Pair, columns: Pair) -> Applied:
        asked: Asked = read
        clipped: list[int] = []
        for index, step in enumerate(steps[:-1]):
            own = owned[0][index][rows], owned[1][index][columns]
            asked = partial(_counting, step, asked, threads, own, clipped)
        done = [
            steps[-1].part(cut, columns, asked, threads, opaque=opaque)
            for cut, opaque in cut_at(strips, rows)
        ]
        clipped += [each.clipped for each in done]
        return Applied(joined([each.array for each in done]), sum(clipped))

    waiting: deque[tuple[Pair, Pair, Future[Applied]]] = deque()
    with ThreadPoolExecutor(part.under_way, "cnnfilter.lazy") as pool:
        try:
            for rows, columns in blocks:
                # NumPy's errors are treated there as the caller wants them to be.
                begin = partial(copy_context().run, filtered, rows, columns)
                bands = (*(each[0] for each in waiting), rows)
                expect([run for band in bands for run in runs_of(plan, 0, band)])
                waiting.append((rows, columns, pool.submit(begin)))
                if len(waiting) == part.under_way:
                    top, left, future = waiting.popleft()
                    yield top, left, future.result()
            for top, left, future in waiting:
                yield top, left, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _owned(plan: ChainPlan, axis: int, pieces: list[Pair]) -> list[dict[Pair, Pair]]:
    """Return, along an axis, which results of each filter but the last a piece counts, each once."""
    pieces = sorted(set(pieces))
    edges = [*(first for first, _ in pieces), pieces[-1][1]]
    found = list[dict[Pair, Pair]]()
    for before, geometry in zip(plan.geometries[-2::-1], plan.geometries[:0:-1], strict=True):
        side, length = ((each.rows, each.columns)[axis] for each in (geometry, before))
        edges = [_beginning(side, edge, length.output) for edge in edges]
        found.append(dict(zip(pieces, pairwise(edges), strict=True)))
    return found[::-1]


def _beginning(side: Axis, edge: int, end: int) -> int:
    """Return where along an axis that begins which results from one on are made of, and own."""
    if edge in (0, side.output):
        return end if edge else 0
    return min(max(edge * side.stride - side.before, 0), end)  # what lies behind the image owns none of it


def _counting(
    step: Step,
    source: Asked,
    threads: int,
    owned: tuple[Pair, Pair],
    clipped: list[int],
    rows: Pair,
    columns: Pair,
) -> Array:
    """Filter a part, and count what is limited of those of its values that are owned."""
    down, across = (
        slice(*(min(max(end, first) - first, last - first) for end in own))
        for own, (first, last) in zip(owned, (rows, columns), strict=True)
    )
    done = step.part(rows, columns, source, threads, (down, across))
    clipped.append(done.clipped)
    return done.array
