"""What ``--at`` prints: how each kind of filter comes to one value."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.core.geometry import make_geometry
from cnnfilter.filters.correlation import Correlate
from cnnfilter.filters.filter import Filter, KernelFilter
from cnnfilter.filters.gradient import Gradient, kernel_of
from cnnfilter.filters.pool import Pool
from cnnfilter.filters.unsharp import Unsharp
from cnnfilter.kernels import templates
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.learning.application import Learned
from cnnfilter.seeing.arithmetic import Arithmetic, arithmetic, checked_place
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.slides import geometry_given
from cnnfilter.seeing.tables import beside, block
from cnnfilter.seeing.window import inside_image, taps, values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.core.geometry import Geometry

    Stored = Callable[[NDArray[np.float64]], list[str]]

ARITHMETIC = ("stride", "padding", "boundary", "constant", "dilation", "accuracy")


@singledispatch
def reckoning(
    filter: Filter, image: NDArray[Any], at: tuple[int, int], stored: Stored, color: bool = False
) -> str:
    """Lay open how a filter comes to one value of its result.

    Parameters
    ----------
    filter : Filter
    image : array of shape (N,), (H, W) or (H, W, C)
    at : (int, int)
        Row and column of the result, counted from 0.
    stored : function
        Says for the result of each channel, an array of shape (C,), what is stored.
    color : bool, default False

    Returns
    -------
    str
        For a filter that is no sum of weights, and none of those that are known here, its window and value.

    Examples
    --------
    >>> from cnnfilter.filters.pool import Pool
    >>> image = np.arange(16.0).reshape(4, 4)
    >>> print(reckoning(Pool(kind="max"), image, (1, 1), lambda values: [f"{values[0]:g}"]))
    output 1,1 of 2x2, from rows 2 to 3 and columns 2 to 3
    <BLANKLINE>
    window
    10  11
    14  15
    <BLANKLINE>
    largest    15
    stored as  15
    """
    values = np.asarray(filter.run(image, np.float64), dtype=np.float64)
    rows = image.shape[0] if image.ndim > 1 else 1
    geometry = filter.geometry((rows, image.size if image.ndim == 1 else image.shape[1]))
    place = checked_place(at, geometry.output_shape, image.ndim == 1)
    results = values.reshape(*geometry.output_shape, -1)[place]
    given = geometry_given(filter)
    return _windows(
        image, geometry, place, given["boundary"], given.get("constant", 0.0),
        lambda channel, kept: [("value", shown(float(results[min(channel, results.size - 1)])))],
        stored(results), color,
    )  # fmt: skip


@reckoning.register(KernelFilter)
def _(
    filter: KernelFilter, image: NDArray[Any], at: tuple[int, int], stored: Stored, color: bool = False
) -> str:
    return _of_kernel(filter, filter.kernel(), image, at, stored, color)


@reckoning.register(Learned)
def _(filter: Learned, image: NDArray[Any], at: tuple[int, int], stored: Stored, color: bool = False) -> str:
    kernel = filter.arguments["filter"].kernel()
    if kernel is None or filter.bias:
        return reckoning.dispatch(Filter)(filter, image, at, stored, color)
    return _of_kernel(filter, kernel, image, at, stored, color)


@reckoning.register(Pool)
def _(filter: Pool, image: NDArray[Any], at: tuple[int, int], stored: Stored, color: bool = False) -> str:
    kind = filter.arguments["kind"]
    deep = image.reshape(1, -1) if image.ndim == 1 else image
    rows, columns = filter.window()
    window = (min(rows, deep.shape[0]) if image.ndim == 1 else rows, columns)
    geometry = make_geometry(
        (deep.shape[0], deep.shape[1]), window,
        filter.arguments.get("stride", window), filter.arguments.get("padding", 0),
    )  # fmt: skip
    place = checked_place(at, geometry.output_shape, image.ndim == 1)
    results = np.asarray(filter.run(image, np.float64), np.float64).reshape(*geometry.output_shape, -1)[place]

    def steps(channel: int, kept: NDArray[np.float64]) -> list[tuple[str, str]]:
        if kind == "max":
            return [("largest", shown(float(kept.max())))]
        total = math.fsum(kept)
        return [("sum", shown(total)), (f"over {kept.size}", shown(total / kept.size))]

    return _windows(image, geometry, place, "renormalize", 0.0, steps, stored(results), color)


@reckoning.register(Gradient)
def _(filter: Gradient, image: NDArray[Any], at: tuple[int, int], stored: Stored, color: bool = False) -> str:
    operator = filter.arguments.get("operator", "sobel")
    axes = (filter.show,) if filter.show in ("x", "y") else ("x", "y")
    found = {axis: _arithmetic(filter, kernel_of(operator, axis), image, at) for axis in axes}
    parts = [f"along {axis}\n\n{one.text(color, [])}" for axis, one in found.items()]
    slopes = [one.sum for one in found.values()]
    if len(slopes) == 1:
        results = slopes[0]
    elif filter.show == "direction":
        results = np.arctan2(slopes[1] + 0.0, slopes[0] + 0.0)
    else:
        results = np.hypot(slopes[0], slopes[1])
    for channel, texts in enumerate(stored(results)):
        prefix = f"channel {channel}: " if results.size > 1 else ""
        parts.append(f"{prefix}{_slopes_text(filter.show, slopes, results, channel)}\nstored as  {texts}")
    return "\n\n".join(parts)


@reckoning.register(Unsharp)
def _(filter: Unsharp, image: NDArray[Any], at: tuple[int, int], stored: Stored, color: bool = False) -> str:
    blur = _arithmetic(filter, templates.gaussian(sigma=filter.arguments.get("sigma", 1.0)), image, at)
    amount, threshold = (float(filter.arguments.get(name, default))
                         for name, default in (("amount", 1.0), ("threshold", 0.0)))  # fmt: skip
    pixels = image.reshape(blur.plan.output_shape[0] if image.ndim > 1 else 1, -1, blur.sum.size)[blur.at]
    parts = [f"the Gaussian of it\n\n{blur.text(color, [])}"]
    difference = pixels.astype(np.float64) - blur.sum
    difference[np.abs(difference) <= threshold] = 0.0
    results = pixels + amount * difference
    for channel, text in enumerate(stored(results)):
        pixel, soft = float(pixels[channel]), float(blur.sum[channel])
        kept = (
            "" if difference[channel] or pixel == soft else f" (the difference is within {shown(threshold)})"
        )
        prefix = f"channel {channel}: " if results.size > 1 else ""
        parts.append(
            f"{prefix}{shown(pixel)} + {shown(amount)} x ({shown(pixel)} - {shown(soft)})"
            f" = {shown(float(results[channel]))}{kept}\nstored as  {text}"
        )
    return "\n\n".join(parts)


def _arithmetic(filter: Filter, kernel: Any, image: NDArray[Any], at: tuple[int, int]) -> Arithmetic:
    given = {name: filter.arguments[name] for name in ARITHMETIC if name in filter.arguments}
    if image.ndim == 1 and not isinstance(filter, Correlate):
        kernel = _along(kernel)
    return arithmetic(image, kernel, at, **geometry_given(filter) | given)


def _along(kernel: Kernel) -> Kernel:
    """Return what a kernel is on a signal, as if that stood in all rows: its columns summed up.

    Examples
    --------
    >>> _along(templates.mean(3)).weights, _along(templates.mean(3)).divisor
    (array([[1., 1., 1.]]), 3.0)
    """
    weights, divisor = kernel.weights.sum(axis=0), kernel.divisor
    numbers = np.append(weights, divisor)
    if np.array_equal(numbers, np.rint(numbers)) and np.abs(numbers).max() < 2**53:
        common = int(np.gcd.reduce(np.abs(numbers).astype(np.int64)))
        weights, divisor = weights / common, divisor / common
    return Kernel(weights, divisor, kernel.name)


def _of_kernel(
    filter: Filter, kernel: Any, image: NDArray[Any], at: tuple[int, int], stored: Stored, color: bool
) -> str:
    found = _arithmetic(filter, kernel, image, at)
    return found.text(color, stored(found.sum))


def _slopes_text(
    show: str, slopes: list[NDArray[np.float64]], results: NDArray[np.float64], channel: int
) -> str:
    x = shown(float(slopes[0][channel]))
    if len(slopes) == 1:
        return f"{show} = {x}"
    y, result = shown(float(slopes[1][channel])), shown(float(results[channel]))
    if show == "direction":
        return f"direction = arctan2({y}, {x}) = {result}"
    return f"magnitude = sqrt(({x})^2 + ({y})^2) = {result}"


def _windows(
    image: NDArray[Any],
    geometry: Geometry,
    place: tuple[int, int],
    boundary: str,
    constant: float,
    steps: Callable[[int, NDArray[np.float64]], list[tuple[str, str]]],
    stored: list[str],
    color: bool,
) -> str:
    """Write the window of each channel, and what is made of it."""
    deep = np.asarray(image, np.float64)
    deep = deep.reshape(1, -1, 1) if deep.ndim == 1 else deep.reshape(*deep.shape[:2], -1)
    rows, columns = taps(geometry.rows, place[0]), taps(geometry.columns, place[1])
    inside = inside_image((deep.shape[0], deep.shape[1]), rows, columns)
    values = values_at(deep, rows, columns, boundary, constant)
    size = "x".join(map(str, geometry.output_shape))
    parts = [
        f"output {place[0]},{place[1]} of {size}, from rows {rows[0]} to {rows[-1]} "
        f"and columns {columns[0]} to {columns[-1]}"
    ]
    dropped = boundary == "renormalize"
    for channel in range(deep.shape[2]):
        texts = [
            ["-" if dropped and not inside[u, v] else shown(value) for v, value in enumerate(row)]
            for u, row in enumerate(values[:, :, channel].tolist())
        ]
        dim = None if inside.all() else lambda u, v: not inside[u, v]
        lines = steps(channel, values[:, :, channel][inside if dropped else ...].ravel())
        if channel < len(stored):
            lines.append(("stored as", stored[channel]))
        width = max(len(name) for name, _ in lines)
        if deep.shape[2] > 1:
            parts.append(f"channel {channel}")
        parts += [
            beside([block("window", texts, dim, color)], color),
            "\n".join(f"{name:<{width}}  {text}" for name, text in lines),
        ]
    return "\n\n".join(parts)
