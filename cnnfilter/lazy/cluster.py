"""One huge image on the workers of a cluster: each streams regions of the result from store to store.

Nothing comes back but counts. Regions are made of whole chunks, so that no two workers write one, and a
region that is done twice gets the same bytes twice.
"""

import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from cnnfilter.cluster import ClusterError, KilledWorkers, Workers, still_wanted
from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ParameterError
from cnnfilter.filters.parts import ends_of
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy import memory, multiscale
from cnnfilter.lazy.engine import Part, Sink, Source, extremes_in_blocks, filter_blocks
from cnnfilter.lazy.opening import readable
from cnnfilter.lazy.places import absolute
from cnnfilter.lazy.planes import Axes, pairs_of
from cnnfilter.lazy.rows import Rows
from cnnfilter.lazy.storeresuming import UnfinishedStore
from cnnfilter.lazy.stores import NotInParts, blank
from cnnfilter.pixels import Array

Place: TypeAlias = Callable[[ChainPlan], AbstractContextManager[Any]]
Extremes: TypeAlias = list[tuple[float, float] | None]

SIDE = 8192
"""Rows and columns of a region, about."""


class Region(NamedTuple):
    """What one task makes: a part of a plane of the result."""

    number: int
    plane: int
    part: Part

    def __str__(self) -> str:
        (top, bottom), (left, right), *_ = self.part
        plane = f"plane {self.plane}, " if self.plane else ""
        return f"{plane}rows {top} to {bottom - 1}, columns {left} to {right - 1}"


class Streamed(NamedTuple):
    """What workers are told of a run.

    Attributes
    ----------
    plan : ChainPlan
        Of a plane, for one thread.
    source : str
    axes : pair, optional
        Of the source, as the user said.
    memory : int or None
        Bytes that a worker may hold.
    place : callable
        Opens where the result goes.
    ends : pair of float, optional
        The extremes that a stretch needs.
    """

    plan: ChainPlan
    source: str
    axes: Axes | None
    memory: int | None
    place: Place | None = None
    ends: tuple[float, float] | None = None


class Regions:
    """A run on workers.

    Parameters
    ----------
    workers : Workers
    plan : ChainPlan
        Of a plane.
    image : Source
        What is to be filtered, opened.
    source : path
        The same.
    axes : pair, optional
        Of the source, as the user said.
    memory : int or None
        Bytes that a worker may hold.

    Raises
    ------
    ParameterError, NotInParts
        An image that workers cannot read by regions.
    """

    def __init__(
        self,
        workers: Workers,
        plan: ChainPlan,
        image: Source,
        source: Any,
        axes: Axes | None,
        memory: int | None,
    ) -> None:
        if not isinstance(source, str | os.PathLike):
            raise ParameterError(
                "an object is known to this process alone; workers need the path of a file or store"
            )
        name = os.fspath(source)
        if hasattr(image, "expect"):
            raise NotInParts(
                f"{name}: is read from top to bottom alone, so that no worker can begin in the middle; "
                "use Zarr, NPY or TIFF"
            )
        if plan.rounds_opaque:
            raise NotInParts(
                f"{name}: with alpha the whole image is looked through first, which no worker has; "
                "take alpha off, or run it without a scheduler"
            )
        self.workers = workers
        self.run = Streamed(plan, absolute(name), axes, memory)

    def filter(self, image: Source, sink: Any, unfinished: UnfinishedStore | None) -> tuple[Pair, int]:
        """Have all planes filtered but what an earlier run has done.

        Returns
        -------
        pair of int, int
            Rows and columns of a region, and how many values were limited.

        Raises
        ------
        ClusterError
            Regions that ended their workers, when all others are done.
        """
        plan, planes = self.run.plan, len(list(pairs_of(image, sink)))
        regions = regions_of((plan.shapes[-1][0], plan.shapes[-1][1]), sink.chunks, planes)
        run = self.run._replace(place=_place(sink))
        self.store = absolute(getattr(sink, "name", ""))
        done = list(unfinished.marks.regions) if unfinished else []
        clipped = unfinished.marks.clipped if unfinished else 0
        if unfinished:
            unfinished.keep()
        if plan.value_range == "stretch":
            run = run._replace(ends=self._ends(run, regions, unfinished))
        before = frozenset(done)
        waiting = (region for region in regions if region.number not in before)
        with closing(self._each(partial(_filtered, run), waiting)) as ended:
            for region, limited in ended:
                done.append(region.number)
                clipped += limited
                if unfinished:
                    unfinished.keep(regions=done, clipped=clipped)
        (top, bottom), (left, right), *_ = regions[0].part
        return (bottom - top, right - left), clipped

    def fill(self, larger: Any, smaller: Any, sizes: list[int]) -> None:
        """Have a smaller level of an OME-Zarr image made; see `multiscale.make_levels`."""
        starts, written = multiscale.starts_of(smaller), smaller.shards or smaller.chunks
        each = max(1, SIDE**2 // math.prod(side * size for side, size in zip(written, sizes, strict=True)))
        tasks = (tuple(starts[first : first + each]) for first in range(0, len(starts), each))
        work = partial(_level, self.store, larger.path, smaller.path, sizes)
        with closing(self.workers.do(work, tasks)) as ended:
            for _, outcome in ended:
                if isinstance(outcome, Exception):
                    raise outcome

    def _ends(
        self, run: Streamed, regions: list[Region], unfinished: UnfinishedStore | None
    ) -> tuple[float, float]:
        """Find what a stretch maps to the ends of the range, unless an earlier run has."""
        if unfinished and unfinished.marks.ends:
            low, high = unfinished.marks.ends
            return low, high
        found: Extremes = []
        with closing(self._each(partial(_extremes, run), regions)) as ended:
            for _, extremes in ended:
                found += extremes
        ends = ends_of(run.plan, found)
        if unfinished:
            unfinished.keep(ends=ends)
        return ends

    def _each(
        self, work: Callable[[tuple[Region, ...]], Any], regions: Iterable[Region]
    ) -> Generator[tuple[Region, Any]]:
        """Yield regions with their results; those that end their workers are told of after all others."""
        lost = []
        with closing(self.workers.do(work, ((region,) for region in regions))) as ended:
            for (region,), outcome in ended:
                if isinstance(outcome, KilledWorkers):
                    lost.append(f"{region}: {outcome}")
                elif isinstance(outcome, Exception):
                    raise outcome
                else:
                    yield region, outcome
        if lost:
            raise ClusterError(f"{len(lost)} region(s) could not be done: {'; '.join(lost[:3])}")


def regions_of(shape: Pair, chunks: Pair, planes: int) -> list[Region]:
    """Cut planes into regions of whole chunks; of what is stored row by row, into whole rows.

    Examples
    --------
    >>> [str(region) for region in regions_of((9000, 9000), (1024, 4096), 1)][:2]
    ['rows 0 to 8191, columns 0 to 8191', 'rows 0 to 8191, columns 8192 to 8999']
    >>> [str(region) for region in regions_of((9000, 64000), (1, 1), 1)][:1]
    ['rows 0 to 1047, columns 0 to 63999']
    """
    if chunks == (1, 1):
        sides = max(1, SIDE**2 // shape[1]), shape[1]
    else:
        sides = max(1, SIDE // chunks[0]) * chunks[0], max(1, SIDE // chunks[1]) * chunks[1]
    places = product(
        range(planes), *(range(0, length, side) for length, side in zip(shape, sides, strict=True))
    )
    regions = []
    for number, (plane, top, left) in enumerate(places):
        rows, columns = (top, min(top + sides[0], shape[0])), (left, min(left + sides[1], shape[1]))
        regions.append(Region(number, plane, Part(rows, columns, under_way=1)))
    return regions


def _place(sink: Any) -> Place:
    """Return what opens a sink on a worker, too."""
    if isinstance(sink, Rows):
        sink.file.flush()  # the header, before a worker writes behind it
        return partial(_file, sink.file.name, sink.offset, sink.stored)
    if not hasattr(sink, "stacked"):
        raise NotInParts("the result is packed by one process from top to bottom; write .zarr or .npy")
    return partial(_store, absolute(sink.name), sink.array.path, sink.axes)


# What runs on the workers:


@cache
def _held() -> int:
    """Bytes of this process beside images, found before its first one."""
    return memory.base()


def _filtered(run: Streamed, task: tuple[Region, ...]) -> int:
    (region,) = task
    assert run.place is not None, "is known before regions are"
    with readable(run.source, run.axes) as image, run.place(run.plan) as stored:
        source, sink = list(pairs_of(image, stored))[region.plane]
        block = _block(run, region, (image, stored), sink.chunks)
        return filter_blocks(run.plan, source, _Wanted(sink), block, part=region.part, ends=run.ends).clipped


def _extremes(run: Streamed, task: tuple[Region, ...]) -> Extremes:
    (region,) = task
    with readable(run.source, run.axes) as image:
        source = getattr(image, "stacked", (image,))[region.plane]
        block = _block(run, region, (image,), getattr(image, "chunks", (1, 1)))
        return extremes_in_blocks(run.plan, source, block, part=region.part)


def _block(run: Streamed, region: Region, stores: Iterable[Any], chunks: Pair) -> Pair:
    held = _held() + sum(getattr(store, "held", 0) for store in stores)
    (top, bottom), (left, right), *_ = region.part
    limit = memory.usual() if run.memory is None else run.memory
    return memory.block_of(run.plan, chunks, limit, held, size=(bottom - top, right - left))


class _Wanted:
    """A sink that takes nothing more when nobody waits for it."""

    def __init__(self, sink: Sink) -> None:
        self.sink, self.chunks, self.is_wanted = sink, sink.chunks, still_wanted()

    def write(self, rows: Pair, columns: Pair, block: Array) -> None:
        """Write rows and columns `[first, last)`."""
        if not self.is_wanted():
            raise ClusterError("the run has ended")
        self.sink.write(rows, columns, block)


@contextmanager
def _file(path: str, offset: int, stored: np.dtype[Any], plan: ChainPlan) -> Iterator[Rows]:
    with open(path, "r+b", buffering=0) as file:
        yield Rows(file, offset, stored, blank(plan.shapes[-1], plan.target))


@contextmanager
def _store(path: str, member: str, axes: Pair, plan: ChainPlan) -> Iterator[Any]:
    from cnnfilter.lazy.zarrstores import Stack, opened_member

    yield Stack(opened_member(path, member), axes, path)


def _level(
    path: str, larger: str, smaller: str, sizes: list[int], starts: tuple[tuple[int, ...], ...]
) -> None:
    from cnnfilter.lazy.zarrstores import opened_member

    arrays = opened_member(path, larger), opened_member(path, smaller)
    is_wanted = still_wanted()
    for start in starts:
        if not is_wanted():
            raise ClusterError("the run has ended")
        multiscale.fill_chunk(*arrays, sizes, start)
