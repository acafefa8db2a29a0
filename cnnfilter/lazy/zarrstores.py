"""Zarr arrays, of version 2 and 3, that are read and written plane by plane, by whole chunks and shards."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files.losses import unheld
from cnnfilter.files.picture import Picture
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy import multiscale
from cnnfilter.lazy.engine import UNDER_WAY, Source
from cnnfilter.lazy.keeping import Kept, paste
from cnnfilter.lazy.places import is_url, place_of
from cnnfilter.lazy.planes import Axes, places_of, plane_axes
from cnnfilter.lazy.storeresuming import UnfinishedStore
from cnnfilter.lazy.stores import require_room
from cnnfilter.pixels import Array
from cnnfilter.pixels.kinds import DTYPES

ZarrArray: TypeAlias = Any
Node: TypeAlias = Any
Decoded: TypeAlias = Kept[tuple[int, ...]]

CHUNK = 1024
"""Rows and columns of a chunk where the source has no chunks of its own."""


KEPT_BYTES = 96 << 20
"""Most bytes of decoded chunks that are kept: two rows of chunks, where that is less."""


class Plane:
    """One plane of a Zarr array: rows and columns at one place of the other axes, or an image of channels."""

    def __init__(self, array: ZarrArray, axes: Pair, place: tuple[int, ...], decoded: Decoded) -> None:
        self.array, self.axes, self.place, self.decoded = array, axes, place, decoded
        channels = () if place else array.shape[2:]
        self.shape = (array.shape[axes[0]], array.shape[axes[1]], *channels)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        written = array.shards or array.chunks
        self.chunks: Pair = (written[axes[0]], written[axes[1]])

    def read(self, rows: Pair, columns: Pair) -> Array:
        """Return the pixels of rows and columns `[first, last)`."""
        where = self._where(rows, columns)
        first = [side.start for side in where]
        part = np.empty([side.stop - side.start for side in where], self.dtype)
        sizes = self.array.chunks
        sides = zip(where, sizes, strict=True)
        for index in product(*(range(side.start // size, -(-side.stop // size)) for side, size in sides)):
            paste(part, first, self.decoded[index], [i * size for i, size in zip(index, sizes, strict=True)])
        if self.place:
            part = part[tuple(slice(None) if axis in self.axes else 0 for axis in range(part.ndim))]
        return np.ascontiguousarray(self._turned(part))

    def write(self, rows: Pair, columns: Pair, block: Array) -> None:
        """Write rows and columns `[first, last)`."""
        values = self._turned(block)
        if self.place:
            values = np.expand_dims(
                values, [axis for axis in range(self.array.ndim) if axis not in self.axes]
            )
        self.array[self._where(rows, columns)] = values

    def _where(self, rows: Pair, columns: Pair) -> tuple[slice, ...]:
        where = [slice(0, length) for length in self.array.shape]
        if self.place:
            where = [slice(number, number + 1) for number in self.place]
        where[self.axes[0]], where[self.axes[1]] = slice(*rows), slice(*columns)
        return tuple(where)

    def _turned(self, block: Array) -> Array:
        return block.swapaxes(0, 1) if self.axes[0] > self.axes[1] else block


class Stack(Plane):
    """A Zarr array; as a source or sink it stands for each of its planes."""

    def __init__(self, array: ZarrArray, axes: Pair, name: str, group: Node = None) -> None:
        rest = [1 if axis in axes else length for axis, length in enumerate(array.shape)]
        one = array.ndim == 2 or (array.ndim == 3 and axes == (0, 1))
        places = [()] if one else list(product(*map(range, rest)))
        chunk = math.prod(array.chunks) * np.dtype(array.dtype).itemsize
        row = chunk * -(-array.shape[axes[1]] // array.chunks[axes[1]])
        kept = min(KEPT_BYTES, 2 * row)
        # Beside these Zarr decodes one, from bytes of perhaps its size, for each block under way.
        self.held = kept + 3 * UNDER_WAY * chunk
        self.name, self.group = name, group
        self.attributes = dict((array if group is None else group).attrs)
        super().__init__(array, axes, places[0], Kept(self._chunk, kept))
        self.stacked = [Plane(array, axes, place, self.decoded) for place in places]

    def _chunk(self, index: tuple[int, ...]) -> Array:
        pairs = zip(index, self.array.chunks, strict=True)
        where = tuple(slice(number * size, (number + 1) * size) for number, size in pairs)
        try:
            return np.asarray(self.array[where], self.dtype)
        except Exception as error:  # whatever a codec raises
            raise ImageFileError(
                f"{self.name}: chunk {index} cannot be read "
                f"({' '.join(str(error).split()) or type(error).__name__}); get a whole copy"
            ) from error


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise ImageFileError("Zarr takes the package zarr: pip install 'cnnfilter[zarr]'") from error
    return zarr


@contextmanager
def opened_zarr(source: Any, axes: Axes | None) -> Iterator[Stack]:
    """Open a Zarr array, or level 0 of an OME-Zarr image.

    Raises
    ------
    ImageFileError
        What is no Zarr, a group without an image, or an array of pixels that are not filtered.
    ParameterError
        Axes that the array does not have.
    """
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else str(source)
    node = _opened(name) if isinstance(source, str | os.PathLike) else source
    group = None
    if isinstance(node, _zarr().Group):
        group, node = node, multiscale.level(node)
    names = multiscale.axes_of(group) if group is not None else _names(node)
    dtype = np.dtype(node.dtype).newbyteorder("=")
    if dtype not in DTYPES:
        raise ImageFileError(f"array of {dtype}; convert it to one of {', '.join(map(str, DTYPES))}")
    if node.ndim < 2 or 0 in node.shape:
        raise ImageFileError(f"array of shape {node.shape}; an image has rows and columns")
    yield Stack(node, plane_axes(axes, names, node.ndim), name, group)


def _opened(path: str) -> Node:
    zarr = _zarr()
    place = place_of(path)
    try:
        return zarr.open(path, mode="r")
    except Exception as error:  # there is no error of its own for all that metadata may lack
        if not place.exists(path):
            raise FileNotFoundError(f"{path}: there is no such store") from error
        raise ImageFileError(f"cannot be read as Zarr ({' '.join(str(error).split())})") from error


def opened_member(path: str, member: str) -> ZarrArray:
    """Open an array to be written, a member of a group or by itself."""
    node = _zarr().open(path, mode="r+")
    return node[member] if member else node


def _names(array: ZarrArray) -> Any:
    """Return the names of an array's axes, as Zarr 3 or xarray keep them."""
    return getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")


@contextmanager
def created_zarr(
    target: Any,
    plan: ChainPlan,
    source: Source,
    picture: Picture,
    *,
    overwrite: bool,
    unfinished: UnfinishedStore | None = None,
    fill: multiscale.Fill | None = None,
) -> Iterator[Stack]:
    """Make a Zarr array, or an OME-Zarr image from one, to be written block by block; or take an array.

    It is made as NAME.part and renamed when the block ends well. What describes the source, if that is Zarr,
    is kept: version, chunks, shards, codecs, names of axes and attributes. What else is known of the source
    is put down in the losses of the picture. `unfinished` says whether an earlier run made some of it, and
    keeps what this one leaves if it is ended. `fill` writes the smaller levels; see `multiscale.make_levels`.

    Raises
    ------
    ImageFileError
        A store that exists, or a disk without room for one that is not packed.
    ParameterError
        An array of another shape or type, or a result that has no place.
    """
    picture.losses += unheld(picture, "Zarr")
    zarr, known = _zarr(), source if isinstance(source, Stack) else None
    if not isinstance(target, str | os.PathLike):
        yield _taken(target, plan, known)
        return
    there = unfinished is not None and unfinished.begun
    if known is not None and not known.array.compressors and not there and not is_url(target):
        with_levels = 1 if known.group is None else 4 / 3
        size = math.prod(_shape(known, plan)) * plan.target.itemsize
        require_room(os.fspath(target), int(with_levels * size))
    with _new_store(os.fspath(target).rstrip(os.sep), overwrite, unfinished) as part:
        if known is not None and known.group is not None:
            others = multiscale.others(known.group)
            if others:
                picture.lose(f"not copied with the image: {', '.join(others)}")
            described = multiscale.changed(known.group, known.axes, places_of(plan.geometries))
            how = {"zarr_format": known.group.metadata.zarr_format}
            group = zarr.open_group(part, mode="r+") if there else zarr.open_group(part, mode="w", **how)
            group.attrs.update(described)
            first, *smaller = multiscale.paths(known.group)
            array = group[first] if there else _like(known, plan, group.create_array, name=first)
            yield Stack(array, known.axes, part, group)
            for name in smaller:
                if name in group:  # made by a run that was ended
                    del group[name]
            multiscale.make_levels(known.group, group, known.axes, _made_like, fill)
        elif there:
            yield Stack(zarr.open_array(part, mode="r+"), known.axes if known else (0, 1), part)
        elif known is not None:
            yield Stack(_like(known, plan, zarr.create_array, store=part), known.axes, part)
        else:
            shape = plan.shapes[-1]
            chunks = (min(CHUNK, shape[0]), min(CHUNK, shape[1]), *shape[2:])
            yield Stack(zarr.create_array(part, shape=shape, dtype=plan.target, chunks=chunks), (0, 1), part)


class Laid(NamedTuple):
    """How a store will be laid out: rows and columns that are written together, and bytes that this takes."""

    chunks: Pair
    held: int


def laid_like(plan: ChainPlan, source: Source) -> Laid:
    """Say how the store of a result will be laid out."""
    rows, columns, *channels = plan.shapes[-1]
    sides = (CHUNK, CHUNK)
    if isinstance(source, Stack):
        written = source.array.shards or source.array.chunks
        sides = written[source.axes[0]], written[source.axes[1]]
    chunks = min(sides[0], rows), min(sides[1], columns)
    return Laid(chunks, 3 * UNDER_WAY * math.prod((*chunks, *channels)) * plan.target.itemsize)


@contextmanager
def _new_store(path: str, overwrite: bool, unfinished: UnfinishedStore | None) -> Iterator[str]:
    part, place = f"{path}.part", place_of(path)
    recorded = unfinished is not None and place.exists(unfinished.record)
    if place.exists(path) and not overwrite:
        raise ImageFileError("exists already; remove it, or allow to overwrite it")
    if place.exists(part) and not (unfinished and unfinished.begun):
        if not (overwrite or recorded):
            raise ImageFileError(f"{part} is there from a run that goes on or was ended; remove it")
        place.remove(part)
    try:
        yield part
        place.remove(path)
        place.move(part, path)
        if unfinished:
            unfinished.end(whole=True)
    finally:
        if unfinished:
            unfinished.end(whole=False)
        else:
            place.remove(part)


def _taken(array: ZarrArray, plan: ChainPlan, source: Stack | None) -> Stack:
    """Return an array that the user gives, if the result has its place there."""
    if not isinstance(array, _zarr().Array):
        raise ParameterError("a Zarr group is no place for a result; give a path, or an array")
    axes = source.axes if source is not None and source.array.ndim == array.ndim else (0, 1)
    shape = plan.shapes[-1] if source is None else _shape(source, plan)
    if (array.shape, array.dtype) != (shape, plan.target):
        raise ParameterError(
            f"the array has the shape {array.shape} of {array.dtype}, but the result {shape} of {plan.target}"
        )
    return Stack(array, axes, str(array))


def _shape(source: Stack, plan: ChainPlan) -> tuple[int, ...]:
    rows, columns, *channels = plan.shapes[-1]
    if not source.place:
        return (rows, columns, *channels)
    if channels:
        raise ParameterError(f"a plane becomes {channels[0]} channels, for which the array has no axis")
    sides = dict(zip(source.axes, (rows, columns), strict=True))
    return tuple(sides.get(axis, length) for axis, length in enumerate(source.array.shape))


def _like(source: Stack, plan: ChainPlan, create: Any, **place: Any) -> ZarrArray:
    return _made_like(source.array, source.axes, _shape(source, plan), plan.target, create, **place)


def _made_like(
    array: ZarrArray, axes: Pair, shape: tuple[int, ...], dtype: np.dtype[Any], create: Any, **place: Any
) -> ZarrArray:
    """Create an array of another shape and perhaps type that is otherwise like one; one plane to a chunk."""
    planes = array.ndim > 3 or axes != (0, 1)

    def lengths(of: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if of is None or len(of) != len(shape):
            return of and (*of[:2], *shape[2:])
        return tuple(
            1 if planes and axis not in axes else length if planes or axis < 2 else min(length, shape[axis])
            for axis, length in enumerate(of)
        )

    same = array.dtype == dtype
    metadata = array.metadata
    if metadata.zarr_format == 2:
        keys: Any = {"name": "v2", "separator": metadata.dimension_separator}
        names = None
    else:
        keys, names = metadata.chunk_key_encoding, metadata.dimension_names
    return create(
        shape=shape,
        dtype=dtype,
        chunks=lengths(array.chunks),
        shards=lengths(array.shards),
        compressors=array.compressors or None,
        filters=(array.filters or None) if same else "auto",
        fill_value=array.fill_value if same else 0,
        attributes=dict(array.attrs),
        chunk_key_encoding=keys,
        dimension_names=names if names and len(names) == len(shape) else None,
        **({} if "name" in place else {"zarr_format": metadata.zarr_format}),
        **place,
    )
