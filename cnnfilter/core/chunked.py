"""Filters of dask arrays: lazily, chunk by chunk, with the bits of the array in memory.

Each chunk of the result is one task, which is given the chunks that it reads (`cnnfilter.core.reading`) and
calls the same function as for an array in memory. Borders are ours: dask's `map_overlap` needs chunks as
thick as the kernel, and its "reflect" is `symmetric` here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial, reduce
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads as threading
from cnnfilter.core.arguments import checked_constant, core_type, holding
from cnnfilter.core.boundary import boundary_pair
from cnnfilter.core.geometry import Axis, Geometry, Padding, Pair, make_geometry
from cnnfilter.core.linear import explain
from cnnfilter.core.missing import find_missing
from cnnfilter.core.reading import Reading, beside, joined, reading
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.masked import is_masked

Array: TypeAlias = NDArray[Any]
DaskArray: TypeAlias = Any
Slices: TypeAlias = tuple[slice, ...]

CUT_BYTES = 8 << 20
"""What a task does not need of a chunk is cut off first from so many bytes on, for it may have to travel."""


@dataclass(frozen=True)
class Task:
    """What is done with an image, whole or in parts.

    Attributes
    ----------
    title : str
        Names the tasks where dask shows them.
    function : callable
        Takes an image, `arguments`, and `padding`; can be pickled.
    arguments : dict
        By name, but the padding.
    geometry : Geometry
    boundaries : pair of str
    dtype : dtype
        Of the result.
    grid : pair of int
        Rows and columns of the result at whose multiples parts begin.
    """

    title: str
    function: Callable[..., Array]
    arguments: dict[str, Any]
    geometry: Geometry
    boundaries: tuple[str, str]
    dtype: np.dtype[Any]
    grid: Pair = (1, 1)


def in_chunks(task: Task, image: DaskArray, out: object = None) -> Array:
    """Return the dask array that a task makes of one.

    Chunks of the result lie where those of the image do: a result belongs to the chunk that holds the pixel
    under the kernel's centre.

    Raises
    ------
    ParameterError
        What needs the whole image, or an `out`; a constant or a missing value that cannot be.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    if out is not None:
        raise ParameterError("a dask array is computed later, so that there is no out; see dask.array.store")
    image, given = _checked(task, image)
    planes = image.ndim - 2 if image.ndim > 1 else 0
    if planes and image.numblocks[2] > 1:
        image = image.rechunk({2: -1})
    axes = [task.geometry.rows, task.geometry.columns][-(image.ndim - planes) :]
    of_axes = zip(axes, task.boundaries[-len(axes) :], task.grid[-len(axes) :], image.chunks, strict=False)
    parts = [_parts(*of_axis) for of_axis in of_axes]
    channels = image.shape[len(axes) :]
    told = [
        (value.weights, value.divisor) if isinstance(value, Kernel) else value for value in given.values()
    ]
    name = f"{task.title}-{tokenize(image.name, task.function.__qualname__, *given, *told, task.geometry)}"
    held = f"{name}-arguments"  # once, and not with each task
    graph: dict[Any, Any] = {held: _Held(task.function, given)}
    for index in np.ndindex(*map(len, parts)):
        chosen = tuple(of_axis[number] for of_axis, number in zip(parts, index, strict=True))
        keys = _keys(image, graph, f"{name}-cut", chosen)
        graph[(name, *index, *(0 for _ in channels))] = (partial(_filtered, chosen), held, keys)
    chunks = [tuple(len(part.outside) for part in of_axis) for of_axis in parts]
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[image])
    empty = np.empty((0,) * (len(axes) + len(channels)), task.dtype)
    meta = np.ma.MaskedArray(empty) if is_masked(image._meta) else empty
    lazy: Array = da.Array(layers, name, (*chunks, *((size,) for size in channels)), meta=meta)
    return lazy


def linear_in_chunks(
    title: str,
    function: Callable[..., Array],
    image: DaskArray,
    kernel: Kernel,
    arguments: dict[str, Any],
    *,
    padding: Padding = "same",
    out: object = None,
    output: Any = None,
) -> Array:
    """Return the dask array that a function makes of one by correlation with a kernel.

    Parameters
    ----------
    title, function
        As those of a `Task`.
    image : dask array
    kernel : Kernel
        What the function correlates with.
    arguments : dict
        Of the function, but the padding; they hold the `dtype` of the result.
    padding, out
        As those of `cnnfilter.correlate`.
    output : dtype, optional
        Of the correlation; that of the result by default.
    """
    boundaries = boundary_pair(arguments["boundary"])
    values = np.zeros(1, core_type(image.dtype))
    if "constant" in boundaries:
        values = holding(values, checked_constant(arguments["constant"], values.dtype))
    plan = explain(
        image.shape, values.dtype, kernel, stride=arguments.get("stride", 1), padding=padding,
        boundary=boundaries, dilation=arguments.get("dilation", 1), output=output or arguments["dtype"],
        accuracy=arguments["accuracy"], method=arguments["method"],
    )  # fmt: skip
    sides = image.shape[:2] if image.ndim > 1 else (1, *image.shape)
    geometry = make_geometry(sides, plan.kernel.shape, plan.stride, plan.padding, plan.dilation)
    task = Task(title, function, arguments, geometry, boundaries, arguments["dtype"], plan.grid)
    return in_chunks(task, image, out)


def _plain(arguments: dict[str, Any]) -> Iterable[Any]:
    """Yield what tells arguments from others, in the same way in every process."""
    for name, value in arguments.items():
        yield from (name, value.weights, value.divisor) if isinstance(value, Kernel) else (name, value)


class _Held(NamedTuple):
    function: Callable[..., Array]
    arguments: dict[str, Any]


class _Part(NamedTuple):
    """A chunk of the result along one axis: what it reads, and of which chunks.

    `outside` tells of each value whether the pixel under the kernel's centre lies beside the image.
    """

    outside: NDArray[np.bool_]
    reading: Reading
    chunks: tuple[int, ...]
    pieces: tuple[slice, ...]


def _parts(axis: Axis, boundary: str, grid: int, chunks: tuple[int, ...]) -> list[_Part]:
    edges = np.cumsum([0, *chunks])
    centre = (axis.reach - 1) // 2 - axis.before
    first = np.clip(-(-(edges - centre) // axis.stride), 0, axis.output)
    first[0], first[-1] = 0, axis.output
    parts = []
    for begin, end in pairwise(first):
        if begin < end:
            read = reading(axis, boundary, int(begin), int(end), grid)
            found = [piece for run in read.runs() for piece in _pieces(run, edges)]
            outside = beside(axis, int(begin), int(end))
            parts.append(_Part(outside, read, *(tuple(each) for each in zip(*found, strict=True))))
    return parts


def _pieces(run: Pair, edges: NDArray[np.int64]) -> Iterable[tuple[int, slice]]:
    """Yield the chunks in which a run of pixels lies, and what of each."""
    chunk = int(np.searchsorted(edges, run[0], "right")) - 1
    while edges[chunk] < run[1]:
        begin, end = (int(edge) for edge in edges[chunk : chunk + 2])
        if begin < end:
            yield chunk, slice(max(run[0] - begin, 0), min(run[1], end) - begin)
        chunk += 1


def _keys(
    image: DaskArray, graph: dict[Any, Any], cut: str, parts: tuple[_Part, ...],
    at: tuple[int, ...] = (), pieces: Slices = (),
) -> Any:  # fmt: skip
    """Return the keys of the chunks that a part reads, or of what is cut from them, as lists in lists."""
    if len(at) < len(parts):
        part = parts[len(at)]
        pairs = zip(part.chunks, part.pieces, strict=True)
        return [_keys(image, graph, cut, parts, (*at, chunk), (*pieces, piece)) for chunk, piece in pairs]
    key = (image.name, *at, *(0 for _ in range(image.ndim - len(at))))
    whole = math.prod(lengths[number] for lengths, number in zip(image.chunks, at, strict=False))
    left = (whole - math.prod(map(_length, pieces))) * math.prod(image.shape[len(at) :])
    if left * image.dtype.itemsize < CUT_BYTES:
        return key
    own = (cut, *at, *(edge for piece in pieces for edge in (piece.start, piece.stop)))
    graph[own] = (_cut, key, pieces)
    return own


def _length(piece: slice) -> int:
    length: int = piece.stop - piece.start
    return length


def _cut(chunk: Array, pieces: Slices) -> Array:
    """Return a part of a chunk, which does not keep all of it."""
    return chunk[pieces].copy()


def _filtered(parts: tuple[_Part, ...], held: _Held, chunks: Any) -> Array:
    """Compute one chunk of the result."""
    image = _gathered(chunks, parts)
    padding = [part.reading.padding for part in parts]
    given = held.arguments | {"padding": (padding[0] if len(parts) == 2 else (0, 0), padding[-1])}
    outputs = tuple(part.reading.outputs for part in parts)
    result = held.function(image=image, **given)[outputs]
    if given.get("fill") is False and (is_masked(image) or given["missing"] is not None):
        outside = reduce(np.logical_or.outer, (part.outside for part in parts))
        if outside.any():
            result[outside] = held.function(image=image, **given | {"fill": True})[outputs][outside]
    return result


def _gathered(chunks: Any, parts: tuple[_Part, ...], at: Slices = ()) -> Array:
    if len(at) == len(parts):
        pixels: Array = chunks
        cut = pixels.shape[: len(at)] == tuple(map(_length, at))  # already, or there is nothing to cut off
        return pixels if cut else pixels[at]
    part, axis = parts[len(at)], len(at)
    tiles = [_gathered(below, parts, (*at, piece)) for below, piece in zip(chunks, part.pieces, strict=True)]
    return part.reading.arranged(joined(tiles, axis), axis)


def _checked(task: Task, image: DaskArray) -> tuple[DaskArray, dict[str, Any]]:
    """Refuse what a task would refuse, and return an image that brings its mask, and the arguments."""
    given = dict(task.arguments)
    if given.get("accuracy") == "fast" or given.get("method") == "recursive":
        raise ParameterError(
            f"{task.title} with accuracy 'fast' runs down and up the whole image, so that it cannot be "
            "computed in chunks; use accuracy 'exact'"
        )
    workers = given["threads"]
    threading.count(workers)
    given["threads"] = 1 if workers is None else workers  # dask computes several chunks at a time
    missing = given.get("missing")
    if missing is not None and not np.isscalar(missing):
        image, given["missing"] = _with_mask(image, missing), None
    elif missing is not None:
        found = find_missing(np.zeros(1, image.dtype), missing)
        assert found is not None, "there is a value"
        found.require_held(task.dtype, "result")
    return image, given


def _with_mask(image: DaskArray, missing: Any) -> DaskArray:
    import dask.array as da

    mask = da.asarray(missing)
    if not mask.ndim or mask.dtype != np.bool_:
        raise DtypeError(f'missing of {mask.dtype} is not usable; give "nan", a number or a boolean array')
    if mask.shape not in (image.shape, image.shape[:2]):
        raise ParameterError(
            f"missing has the shape {mask.shape}, but the image {image.shape}; give a boolean for each pixel"
        )
    if mask.ndim < image.ndim:
        mask = mask[..., None]
    return da.ma.masked_array(image, da.broadcast_to(mask, image.shape))
