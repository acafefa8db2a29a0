"""Filters from file to file, within a bound of memory."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import DtypeError, ParameterError, shown
from cnnfilter.files.forms import form_of
from cnnfilter.filters.filter import Filter, Range
from cnnfilter.filters.plan import ChainPlan, plan_chain
from cnnfilter.lazy.engine import Sink, Source, filter_blocks, from_row, require_local
from cnnfilter.lazy.foreseeing import Foreseen, foreseen
from cnnfilter.lazy.memory import base, block_of, bytes_of, usual
from cnnfilter.lazy.opening import Path, readable, writable
from cnnfilter.lazy.places import absolute
from cnnfilter.lazy.planes import Axes, is_zarr, pairs_of
from cnnfilter.lazy.stores import blank, laid_out


class Done(NamedTuple):
    """What a run did.

    Attributes
    ----------
    shape, dtype
        Of the result.
    block : pair of int
        Rows and columns that were computed at a time.
    clipped : int
        Values that were limited on the way, each once, whichever blocks needed it.
    notes : tuple of str
        What was done to the pixels on reading, and what of the input is not in the output.
    source : tuple of int
        Shape of the image that was filtered, or of each of its planes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    block: Pair
    clipped: int
    notes: tuple[str, ...] = ()
    source: tuple[int, ...] = ()


def run(
    steps: Filter | Iterable[Filter],
    source: Path | Source,
    target: Path | Sink,
    *,
    value_range: Range | None = None,
    linear: bool = False,
    depth: str | None = None,
    axes: Axes | None = None,
    overwrite: bool = False,
    resume: bool | None = None,
    memory: int | str | None = None,
    threads: int | None = None,
    scheduler: str | None = None,
) -> Done:
    """Run an image through filters block by block; the result has the bytes of the whole image in memory.

    Between filters values stay floats; they are rounded once, at the end.

    Parameters
    ----------
    steps : Filter or iterable of Filter
        Such as ``cnnfilter.registry.filter_named("gaussian")(sigma=2)``.
    source : path or Source
        A file of one of the forms .npy, .tif (of one page, tiled or not, of any compression), .png (not
        interlaced), .pgm, .ppm and .pam (raw); a Zarr array, or OME-Zarr image, as a path that ends in .zarr
        or as an object; or an object with `shape`, `dtype` and `read`.
    target : path or Sink
        A file of one of these forms (a TIFF is packed and tiled as the one that was read, and a BigTIFF where
        that was one or 4 GB may not do), which is in its place only when it is whole; a path that ends in
        .zarr, or a Zarr array; or an object with `chunks` and `write`.
    value_range : {"clip", "abs", "offset", "stretch"}, optional
        What becomes of values outside the pixels' range; default the last filter's own choice. "stretch"
        computes everything twice, for it needs the extremes first.
    linear : bool, default False
        Filter in linear light (sRGB curve).
    depth : {"8", "16", "f32"}, optional
        Bits of a value; f32 keeps signs. Default: those of the input.
    axes : pair of int or str, optional
        Rows and columns of a Zarr array, whose other axes count planes; default those named y and x, else of
        two and three dimensions the first two.
    overwrite : bool, default False
        Whether a Zarr store that exists may be replaced.
    resume : bool, optional
        Whether to go on with what an earlier run left of a Zarr store, as the notes say. False begins anew.
        Both leave what is done if the run is ended; by default it is removed.
    memory : int or str, optional
        Bytes that the process may hold, with all that it holds already: a number, or ``"512MiB"``. Default: a
        quarter of what the machine, or its container, has.
    threads : int, optional
    scheduler : str, optional
        Have the workers of dask.distributed do it by regions: ``"tcp://HOST:PORT"``, or ``"local:N"`` for N
        processes of this machine. They need paths, of Zarr stores or of files without compression.

    Returns
    -------
    Done
        ``.shape``, ``.dtype``, ``.block``, ``.clipped`` and ``.notes``.

    Raises
    ------
    ParameterError
        Filters that need the whole image, geometry that does not fit it, or too little memory.
    ImageFileError
        Files that cannot be read or written in parts.
    ClusterError
        Workers that are not reached, not fit, or lost.

    Examples
    --------
    >>> import os, tempfile
    >>> from cnnfilter.filters.mean import Mean
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     before, after = os.path.join(folder, "a.npy"), os.path.join(folder, "b.npy")
    ...     np.save(before, np.arange(20, dtype=np.uint8).reshape(4, 5))
    ...     done = run(Mean(size=3, stride=2), before, after)
    ...     np.load(after)
    array([[ 4,  5,  7],
           [11, 12, 13]], dtype=uint8)
    >>> done.shape
    (2, 3)
    """
    limit = None if memory is None else bytes_of(memory)
    _refuse_the_same(source, target)
    with readable(source, axes) as image, _workers(scheduler, source, target) as workers:
        threads = 1 if workers and threads is None else threads
        plan = _planned(steps, image, linear=linear, value_range=value_range, depth=depth, threads=threads)
        picture = blank(plan.shapes[-1], plan.target, getattr(image, "picture", None))
        missing = picture.metadata.missing
        if missing is not None:
            picture.lose(f"pixels of {missing:g}, which the file declares missing, are filtered as numbers")
        unfinished = None
        if resume is not None and is_zarr(target) and isinstance(source, str | os.PathLike):
            from cnnfilter.lazy.storeresuming import UnfinishedStore

            name = os.fspath(target).rstrip(os.sep)  # type: ignore[arg-type]
            unfinished = UnfinishedStore(name, plan, os.fspath(source), by_regions=workers is not None)
            if resume:
                picture.losses.insert(0, unfinished.take_up())
        regions = None
        if workers is not None:
            from cnnfilter.lazy.cluster import Regions

            regions = Regions(workers, plan, image, source, axes, limit)
            picture.losses += workers.remarks
        fill = regions and regions.fill
        with writable(target, picture, plan, image, overwrite, unfinished, fill) as sink:
            if regions:
                block, clipped = regions.filter(image, sink, unfinished)
            else:
                block, clipped = _filter_here(plan, image, sink, limit, unfinished)
    notes = (*picture.notes, *picture.losses)
    return Done(plan.shapes[-1], plan.target, block, clipped, notes, tuple(image.shape))


def _filter_here(
    plan: ChainPlan, image: Source, sink: Sink, limit: int | None, unfinished: Any
) -> tuple[Pair, int]:
    """Filter all planes in this process; return how large blocks were, and how many values were limited."""
    held = base() + sum(getattr(store, "held", 0) for store in (image, sink))
    memory = usual() if limit is None else limit
    block = block_of(plan, sink.chunks, memory, held, bands=hasattr(image, "expect"))
    return block, _filter_planes(plan, list(pairs_of(image, sink)), block, unfinished)


def _filter_planes(plan: ChainPlan, pairs: list[tuple[Source, Sink]], block: Pair, unfinished: Any) -> int:
    """Filter one plane after the other, from where an earlier run was ended; count what is limited."""
    if unfinished is None:
        return sum(filter_blocks(plan, *pair, block).clipped for pair in pairs)
    first = unfinished.marks.plane
    unfinished.keep()
    for number, pair in enumerate(pairs[first:], first):
        rows, before = unfinished.marks.rows, unfinished.marks.clipped
        part, watch = from_row(plan, rows), unfinished.watch(number)
        done = filter_blocks(plan, *pair, block, part=part, watch=watch)
        unfinished.keep(plane=number + 1, rows=0, clipped=before + done.clipped)
    return int(unfinished.marks.clipped)


def foresee(
    steps: Filter | Iterable[Filter],
    source: Path | Source,
    target: Path,
    *,
    memory: int | str | None = None,
    axes: Axes | None = None,
    **how: Any,
) -> tuple[ChainPlan, Foreseen, int]:
    """Say what `run` would do: the plan of a plane, blocks of all of them, and how many there are."""
    limit = usual() if memory is None else bytes_of(memory)
    with readable(source, axes) as image:
        plan = _planned(steps, image, **how)
        if is_zarr(target):
            from cnnfilter.lazy.zarrstores import laid_like

            laid: Any = laid_like(plan, image)
        else:
            picture = blank(plan.shapes[-1], plan.target, getattr(image, "picture", None))
            laid = laid_out(picture, form_of(os.fspath(target)), threads=plan.threads)
        held = base() + laid.held + getattr(image, "held", 0)
        block = block_of(plan, laid.chunks, limit, held, bands=hasattr(image, "expect"))
        planes = len(getattr(image, "stacked", (image,)))
        return plan, foreseen(plan, image, block, held), planes


def _planned(steps: Filter | Iterable[Filter], image: Source, **how: Any) -> ChainPlan:
    """Plan what becomes of an image, or of each of its planes."""
    known = getattr(image, "picture", None)
    plan = plan_chain(_filters(steps), image.shape, image.dtype, alpha=bool(known and known.alpha), **how)
    require_local(plan)
    return plan


@contextmanager
def _workers(scheduler: str | None, *paths: object) -> Iterator[Any]:
    """Reach the workers, if a scheduler is named; they must find the input, and the folder of the output."""
    if scheduler is None:
        yield None
        return
    from cnnfilter.cluster import workers

    source, target = (
        absolute(os.fspath(path)) if isinstance(path, str | os.PathLike) else "" for path in paths
    )
    seen = [path for path in (source, os.path.dirname(target)) if path]
    with workers(scheduler, seen) as found:
        yield found


def _filters(steps: Filter | Iterable[Filter]) -> tuple[Filter, ...]:
    filters = (steps,) if isinstance(steps, Filter) else tuple(steps)
    for filter in filters:
        if not isinstance(filter, Filter):
            raise DtypeError(f"a step is {shown(filter)}; give filters")
    if not filters:
        raise ParameterError("there are no steps; give one filter or more")
    return filters


def _refuse_the_same(source: Path | Source, target: Path | Sink) -> None:
    if isinstance(source, str | os.PathLike) and isinstance(target, str | os.PathLike):
        names = [os.fspath(path).rstrip("/") for path in (source, target)]
        if names[0] == names[1] or (all(map(os.path.exists, names)) and os.path.samefile(*names)):
            raise ParameterError(
                f"{os.fspath(target)} is the input, which is read until the end; name another"
            )
