"""Pooling of images of every type, with missing pixels; what `max_pool` and `mean_pool` share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core import threads as threading
from cnnfilter.core.arguments import (
    as_pixels,
    checked_dtype,
    core_type,
    core_values,
    delivered,
    in_planes,
    is_chunked,
    require_output,
    result_type,
    stored,
)
from cnnfilter.core.correlate import three_dimensional, tuple_of, types_of
from cnnfilter.core.geometry import Geometry, Number, Padding, line_geometry, make_geometry, number_pair
from cnnfilter.core.keeping import kept
from cnnfilter.core.methods import pooling
from cnnfilter.core.missing import find_missing
from cnnfilter.errors import ParameterError

Kind = Literal["maximum", "average"]


def pool(
    kind: Kind,
    image: ArrayLike,
    *,
    size: Number,
    stride: Number | None,
    padding: Padding,
    dtype: Any,
    missing: Any,
    threads: int | None,
    out: NDArray[Any] | None,
) -> NDArray[Any]:
    """Pool an image; see `cnnfilter.max_pool` for the arguments."""
    pixels = as_pixels(image)
    if kind == "maximum":
        target = pixels.dtype if dtype is None else checked_dtype("output", dtype)
    else:
        target = result_type(pixels.dtype, dtype, smoothing=True)
    geometry = pool_geometry(pixels.shape, size, stride, padding)
    if is_chunked(pixels):
        from cnnfilter.core.chunked import Task, in_chunks

        title = {"maximum": "max-pool", "average": "mean-pool"}[kind]
        given = {
            "kind": kind, "size": size, "stride": stride, "dtype": target, "missing": missing,
            "threads": threads, "out": None,
        }  # fmt: skip
        task = Task(title, pool, given, geometry, ("renormalize", "renormalize"), target)
        return in_chunks(task, pixels, out)
    missed = find_missing(pixels, missing)
    height, width = geometry.output_shape
    shape = (width,) if pixels.ndim == 1 else (height, width, *pixels.shape[2:])
    require_output(out, shape, target, masked=missed is not None and missed.value is None)
    workers = threading.count(threads)
    values = three_dimensional(core_values(pixels, missed and missed.where))
    if missed is None:
        pooled = _run(kind, values, geometry, _computed(kind, values.dtype, target), workers)
        return delivered(stored(pooled, target).reshape(shape), out)
    missed.require_held(target, "result")
    pooled, gone = _of_those_there(kind, values, in_planes(missed.where), geometry, workers)
    return delivered(missed.marked(stored(pooled, target).reshape(shape), gone.reshape(shape)), out)


def _computed(kind: Kind, source: np.dtype[Any], target: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which the loop gives its results: none in which they are rounded twice."""
    if kind == "maximum" or core_type(target) == source:
        return source
    return core_type(target) if target.kind == "f" else np.dtype(np.float64)


def _of_those_there(
    kind: Kind, values: NDArray[Any], where: NDArray[np.bool_], geometry: Geometry, workers: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pool the pixels that are not missing, and tell which windows have none."""
    there = np.ascontiguousarray(~where).view(np.uint8)
    if kind == "maximum":
        least = -np.inf if values.dtype.kind == "f" else np.iinfo(values.dtype).min
        values = np.where(where, values.dtype.type(least), values)
        pooled = _run(kind, values, geometry, values.dtype, workers)
        return pooled, _run(kind, there, geometry, there.dtype, workers) == 0
    sums = _run("sum", values, geometry, np.dtype(np.float64), workers)
    counts = _run("sum", there, geometry, np.dtype(np.float64), workers)
    return sums / np.maximum(counts, 1), counts == 0


def _run(
    kind: pooling.Kind, values: NDArray[Any], geometry: Geometry, target: np.dtype[Any], workers: int
) -> NDArray[Any]:
    return pooling.prepare(kind, geometry, values.shape[2], values.dtype, target).run(values, workers)


def pool_geometry(shape: tuple[int, ...], size: Number, stride: Number | None, padding: Padding) -> Geometry:
    """Return which rows and columns each window covers; of a signal of shape (N,), in its one row.

    Examples
    --------
    >>> pool_geometry((7,), 3, 1, 1).output_shape, pool_geometry((6, 7), 3, None, 0).output_shape
    ((1, 7), (2, 2))
    """
    size, stride, padding = tuple_of(size), tuple_of(stride), tuple_of(padding)
    return _windows(types_of(size, stride, padding), shape, size, stride, padding)


@kept
def _windows(
    typed: Any, shape: tuple[int, ...], size: Number, stride: Number | None, padding: Padding
) -> Geometry:
    sizes = number_pair("size", size, least=1)
    steps = sizes if stride is None else number_pair("stride", stride, least=1)
    if len(shape) == 1:
        geometry = line_geometry(shape[0], sizes, steps, padding, called="window")
    else:
        geometry = make_geometry((shape[0], shape[1]), sizes, steps, padding, called="window")
    for axis in (geometry.rows, geometry.columns):
        if max(axis.before, axis.after) > axis.kernel // 2:
            raise ParameterError(
                f"padding {padding!r} is more than half the window of {sizes[0]}x{sizes[1]}; "
                "a window would lie outside the image"
            )
    return geometry
