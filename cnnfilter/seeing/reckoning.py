"""What ``--at`` prints: how each kind of filter comes to one value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnfilter.core.pool import pool_geometry
from cnnfilter.filters.filter import Filter, KernelFilter
from cnnfilter.filters.gaussian import Gaussian
from cnnfilter.filters.gradient import Gradient, kernel_of, line_of
from cnnfilter.filters.pool import Pool
from cnnfilter.filters.unsharp import Unsharp
from cnnfilter.learning.application import Learned
from cnnfilter.seeing.arithmetic import Arithmetic, arithmetic
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.slides import geometry_given
from cnnfilter.seeing.tables import beside, block
from cnnfilter.seeing.window import inside_image, taps, values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.core.geometry import Geometry

    Floats = NDArray[np.float64]

ARITHMETIC = ("stride", "padding", "boundary", "constant", "dilation", "accuracy")


class Value(NamedTuple):
    """One value of a run.

    Attributes
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        What the filter was given.
    at : (int, int)
        Row and column of the result, counted from 0; a signal has row 0.
    results : float64 array of shape (K,)
        What the filter made there of each channel, before range and rounding.
    stored : sequence of str
        What was stored of each, in words.
    white : float
        Value of full intensity in `image`.
    """

    image: NDArray[Any]
    at: tuple[int, int]
    results: Floats
    stored: Sequence[str]
    white: float

    @property
    def signal(self) -> bool:
        """Whether there is one row, and nothing above and below it."""
        return self.image.ndim == 1

    @property
    def deep(self) -> NDArray[Any]:
        """The image as rows, columns and channels."""
        return self.image.reshape(1, -1, 1) if self.signal else self.image.reshape(*self.image.shape[:2], -1)


@singledispatch
def reckoning(filter: Filter, value: Value, color: bool = False) -> str:
    """Lay open how a filter comes to one value of its result.

    Returns
    -------
    str
        For a filter that is no sum of weights, and none of those that are known here, its window and value.

    Examples
    --------
    >>> from cnnfilter.filters.pool import Pool
    >>> image = np.arange(16.0).reshape(4, 4)
    >>> print(reckoning(Pool(kind="max"), Value(image, (1, 1), np.array([15.0]), ["15"], 1.0)))
    output 1,1 of 2x2, from rows 2 to 3 and columns 2 to 3
    <BLANKLINE>
    window
    10  11
    14  15
    <BLANKLINE>
    largest    15
    stored as  15
    """
    rows, columns, channels = value.deep.shape
    given = geometry_given(filter)
    windows = _Windows(value, filter.geometry((rows, columns)), given["boundary"], given.get("constant", 0.0))
    results = [[("value", shown(float(result)))] for result in value.results]
    if filter.colours_only or len(results) != channels:
        return windows.joined(results, color)
    return windows.apart(lambda channel, kept: results[channel], color)


@reckoning.register(KernelFilter)
def _(filter: KernelFilter, value: Value, color: bool = False) -> str:
    found = _arithmetic(filter, filter.line() if value.signal else filter.kernel(), value)
    return found.text(color, value.stored)


@reckoning.register(Learned)
def _(filter: Learned, value: Value, color: bool = False) -> str:
    kernel = filter.learned.kernel()
    if kernel is None:
        return reckoning.dispatch(Filter)(filter, value, color)
    found = _arithmetic(filter, kernel, value)
    if not filter.bias:
        return found.text(color, value.stored)
    more = filter.bias * value.white
    lines = [f"{shown(float(each))} + {shown(more)} = {shown(float(each) + more)}" for each in found.sum]
    return "\n\n".join([found.text(color, []), *_each_stored(value, lines)])


@reckoning.register(Pool)
def _(filter: Pool, value: Value, color: bool = False) -> str:
    given = filter.arguments
    geometry = pool_geometry(
        value.image.shape, given.get("size", 2), given.get("stride"), given.get("padding", 0)
    )

    def steps(channel: int, kept: Floats) -> list[tuple[str, str]]:
        if given["kind"] == "max":
            return [("largest", shown(float(kept.max())))]
        total = math.fsum(kept)
        return [("sum", shown(total)), (f"over {kept.size}", shown(total / kept.size))]

    return _Windows(value, geometry, "renormalize").apart(steps, color)


@reckoning.register(Gradient)
def _(filter: Gradient, value: Value, color: bool = False) -> str:
    operator = filter.arguments.get("operator", "sobel")
    axes = (filter.show,) if filter.show in ("x", "y") else ("x",) if value.signal else ("x", "y")
    kernels = {axis: line_of(operator) if value.signal else kernel_of(operator, axis) for axis in axes}
    found = {axis: _arithmetic(filter, kernel, value) for axis, kernel in kernels.items()}
    parts = [f"along {axis}\n\n{one.text(color, [])}" for axis, one in found.items()]
    slopes = [one.sum for one in found.values()]
    if value.signal and filter.show != "x":
        slopes.append(np.zeros_like(slopes[0]))
    if filter.colours_only:
        return "\n\n".join([*parts, *_hue_parts(slopes[0], slopes[1], value)])
    if len(value.results) < len(slopes[0]):
        steepest, line = _steepest(*slopes)
        lines = [f"{line}\n{_slopes_text('direction', slopes[0][steepest], slopes[1][steepest])}"]
        return "\n\n".join([*parts, *_each_stored(value, lines)])
    lines = [_slopes_text(filter.show, *each) for each in zip(*slopes, strict=True)]
    return "\n\n".join([*parts, *_each_stored(value, lines)])


@reckoning.register(Unsharp)
def _(filter: Unsharp, value: Value, color: bool = False) -> str:
    gaussian = Gaussian(sigma=filter.arguments.get("sigma", 1.0))
    blur = _arithmetic(filter, gaussian.line() if value.signal else gaussian.kernel(), value)
    given = (filter.arguments.get(name, default) for name, default in (("amount", 1.0), ("threshold", 0.0)))
    amount, threshold = map(float, given)
    lines = [
        sharpened_text(pixel, soft, amount, threshold)
        for pixel, soft in zip(value.deep[value.at].tolist(), blur.sum.tolist(), strict=True)
    ]
    return "\n\n".join([f"the Gaussian of it\n\n{blur.text(color, [])}", *_each_stored(value, lines)])


def _arithmetic(filter: Filter, kernel: Any, value: Value) -> Arithmetic:
    given = {name: filter.arguments[name] for name in ARITHMETIC if name in filter.arguments}
    return arithmetic(value.image, kernel, value.at, **geometry_given(filter) | given)


def _each_stored(value: Value, lines: list[str]) -> list[str]:
    """Write under a line of each channel what is stored."""
    prefixes = [f"channel {channel}: " if len(lines) > 1 else "" for channel in range(len(lines))]
    return [
        f"{prefix}{line}\nstored as  {stored}"
        for prefix, line, stored in zip(prefixes, lines, value.stored, strict=True)
    ]


def _slopes_text(show: str, x: float, y: float = 0.0) -> str:
    across, down = shown(float(x)), shown(float(y))
    if show == "direction":
        return f"direction = arctan2({down}, {across}) = {shown(math.atan2(y + 0.0, x + 0.0))}"
    if show == "magnitude":
        return f"magnitude = sqrt(({across})^2 + ({down})^2) = {shown(math.hypot(x, y))}"
    return f"{show} = {across}"


def _steepest(x: Floats, y: Floats) -> tuple[int, str]:
    """Find the channel whose slopes are shown where a pixel has one direction, and say which it is."""
    steepest = int(np.argmax(x * x + y * y))
    return steepest, f"steepest   channel {steepest}"


def _hue_parts(x: Floats, y: Floats, value: Value) -> list[str]:
    """Say how slopes become a colour: direction and hue, magnitude and value, and from those each channel."""
    steepest, line = _steepest(x, y)
    across, down = float(x[steepest]), float(y[steepest])
    white, turn = value.white, math.atan2(down + 0.0, across + 0.0)
    magnitude, hue = math.hypot(across, down), turn * 3 / math.pi
    share = min(magnitude / white, 1.0)
    limited = ", limited to 1" if magnitude > white else ""
    lines = [
        *([line] if len(x) > 1 else []),
        _slopes_text("magnitude", across, down),
        f"value = {shown(magnitude)} / {shown(white)} (white) = {shown(magnitude / white)}{limited}",
        _slopes_text("direction", across, down),
        f"hue h = direction x 3 / pi = {shown(hue)} sixths of a turn",
    ]
    colours = []
    for name, shift, stored in zip(("red", "green", "blue"), (0, 4, 2), value.stored, strict=True):
        part = min(max(abs((hue + shift) % 6 - 3) - 1, 0.0), 1.0)
        term = f"(h + {shift})" if shift else "h"
        colours.append(
            f"{name}: |{term} mod 6 - 3| - 1, from 0 to 1, is {shown(part)}\n"
            f"{shown(white)} x {shown(share)} x {shown(part)} = {shown(white * share * part)}\n"
            f"stored as  {stored}"
        )
    return ["\n".join(lines), *colours]


def sharpened_text(pixel: float, soft: float, amount: float, threshold: float) -> str:
    """Write how unsharp masking comes to one value, with what a threshold decides.

    Examples
    --------
    >>> sharpened_text(9, 5, 2, 0)
    '9 + 2 x (9 - 5) = 17'
    >>> print(sharpened_text(9, 5, 2, 4))
    |9 - 5| = 4, not more than the threshold 4: nothing is added
    9 + 0 = 9
    """
    difference = pixel - soft
    if threshold == 0:
        sharp = shown(pixel + amount * difference)
        return f"{shown(pixel)} + {shown(amount)} x ({shown(pixel)} - {shown(soft)}) = {sharp}"
    size = f"|{shown(pixel)} - {shown(soft)}| = {shown(abs(difference))}"
    if abs(difference) <= threshold:
        words = f"{size}, not more than the threshold {shown(threshold)}: nothing is added"
        return f"{words}\n{shown(pixel)} + 0 = {shown(pixel)}"
    words = f"{size}, more than the threshold {shown(threshold)}: it is added"
    return f"{words}\n{sharpened_text(pixel, soft, amount, 0.0)}"


class _Windows:
    """The window of each channel as a table, and what is made of it."""

    def __init__(self, value: Value, geometry: Geometry, boundary: str, constant: float = 0.0) -> None:
        deep = value.deep.astype(np.float64)
        rows, columns = taps(geometry.rows, value.at[0]), taps(geometry.columns, value.at[1])
        self.inside = inside_image((deep.shape[0], deep.shape[1]), rows, columns)
        self.values = values_at(deep, rows, columns, boundary, constant)
        self.dropped = boundary == "renormalize"
        self.stored = value.stored
        self.head = (
            f"output {value.at[0]},{value.at[1]} of {'x'.join(map(str, geometry.output_shape))}, "
            f"from rows {rows[0]} to {rows[-1]} and columns {columns[0]} to {columns[-1]}"
        )

    def apart(self, steps: Callable[[int, Floats], list[tuple[str, str]]], color: bool) -> str:
        """Write each channel with what is made of it alone: of its values that are there."""
        parts = [self.head]
        for channel in range(self.values.shape[2]):
            kept = self.values[:, :, channel][self.inside if self.dropped else ...].ravel()
            parts += [self._table(channel, color), self._lines(channel, steps(channel, kept))]
        return "\n\n".join(parts)

    def joined(self, results: list[list[tuple[str, str]]], color: bool) -> str:
        """Write all channels, and then what is made of them together."""
        parts = [self.head, *(self._table(channel, color) for channel in range(self.values.shape[2]))]
        for number, steps in enumerate(results):
            name = f"channel {number} of the result\n" if len(results) > 1 else ""
            parts.append(name + self._lines(number, steps))
        return "\n\n".join(parts)

    def _table(self, channel: int, color: bool) -> str:
        inside = self.inside
        texts = [
            ["-" if self.dropped and not inside[u, v] else shown(value) for v, value in enumerate(row)]
            for u, row in enumerate(self.values[:, :, channel].tolist())
        ]
        dim = None if inside.all() else lambda u, v: not inside[u, v]
        name = f"channel {channel}\n\n" if self.values.shape[2] > 1 else ""
        return name + beside([block("window", texts, dim, color)], color)

    def _lines(self, channel: int, steps: list[tuple[str, str]]) -> str:
        steps = [*steps, ("stored as", self.stored[channel])]
        width = max(len(name) for name, _ in steps)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in steps)
