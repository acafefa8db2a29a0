"""Layers that make maps larger, and that which undoes one of them."""

import math
from typing import Any

import numpy as np

from cnnfilter.core.geometry import Number, number_pair
from cnnfilter.errors import ParameterError
from cnnfilter.nn.functional import (
    pixel_shuffle,
    pixel_unshuffle,
    transposed_convolution,
    transposed_convolution_backward,
)
from cnnfilter.nn.functional.arrays import require_count
from cnnfilter.nn.functional.upsampling import transposed_shape
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.layers import Layer, Shape, Start, he_normal, require_maps


class TransposedConvolution(Layer):
    """Spread each pixel over the window of a kernel, `stride` apart.

    Parameters
    ----------
    name : str
    maps : int
        Output maps.
    size : int or (rows, columns)
    stride, padding, output_padding, dilation, groups
        As in `functional.transposed_convolution`.
    bias : bool, default True
    begin : callable
        Where the weights begin.
    bias_at : float, default 0
        Where the bias begins.
    """

    kind = "transposed convolution"

    def __init__(
        self, name: str, maps: int, size: Number, *, stride: Number = 1, padding: Number = 0,
        output_padding: Number = 0, dilation: Number = 1, groups: int = 1, bias: bool = True,
        begin: Start = he_normal, bias_at: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.maps, self.groups = require_count(maps, "maps"), require_count(groups, "groups")
        self.size, self.factor = number_pair("size", size, least=1), number_pair("stride", stride, least=1)
        self.padding = number_pair("padding", padding, least=0)
        self.output_padding = number_pair("output_padding", output_padding, least=0)
        self.dilation = number_pair("dilation", dilation, least=1)
        self.has_bias, self.begin, self.bias_at = bias, begin, bias_at
        self._x: Array | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Where the windows lie, and the groups."""
        return {
            "stride": self.factor, "padding": self.padding, "output_padding": self.output_padding,
            "dilation": self.dilation, "groups": self.groups,
        }  # fmt: skip

    def output_shape(self, shape: Shape) -> Shape:
        """Return (maps, H', W')."""
        if require_maps(self.name, shape)[0] % self.groups or self.maps % self.groups:
            raise ParameterError(
                f"{self.name}: {self.groups} group(s) of {self.maps} maps cannot read shape {shape}"
            )
        options = {name: value for name, value in self.options.items() if name != "groups"}
        return self.maps, *transposed_shape(shape, self.size, **options)

    def shapes(self) -> dict[str, Shape]:
        """Weight (D, maps / groups, U, V) and bias (maps,)."""
        weight = {"weight": (self.input[0], self.maps // self.groups, *self.size)}
        return weight | ({"bias": (self.maps,)} if self.has_bias else {})

    def start(self, random: np.random.Generator, dtype: Any) -> None:
        """Draw the weights; a map's fan-in is what falls on a pixel of it."""
        taps = math.prod(-(-k // s) for k, s in zip(self.size, self.factor, strict=True))
        fan_in = self.input[0] // self.groups * taps
        self.parameters = {"weight": self.begin(random, self.shapes()["weight"], fan_in).astype(dtype)}
        if self.has_bias:
            self.parameters["bias"] = np.full(self.maps, self.bias_at, dtype)

    def forward(self, x: Array, train: bool = False) -> Array:
        """Spread the pixels."""
        self._x = x if train else None
        return transposed_convolution(
            x, self.parameters["weight"], self.parameters.get("bias"), **self.options
        )

    def backward(self, delta: Array) -> Array:
        """Gather what was spread."""
        assert self._x is not None
        x, self._x = self._x, None
        dx, weight, bias = transposed_convolution_backward(
            x, self.parameters["weight"], delta, **self.options
        )
        self.gradients = {"weight": weight} | ({"bias": bias} if self.has_bias else {})
        return dx

    def connections(self) -> int:
        """Every weight once for each input pixel, and a bias for each output."""
        return self.multiply_adds() + self.has_bias * math.prod(self.output)

    def multiply_adds(self) -> int:
        """Every weight once for each input pixel."""
        return math.prod(self.shapes()["weight"]) * math.prod(self.input[1:])

    def window(self) -> tuple[tuple[int, int], tuple[int, int], Any]:
        """Kernel, stride, padding."""
        return self.size, self.factor, self.padding


class PixelShuffle(Layer):
    """Lay ``factor * factor`` maps of depth side by side as pixels."""

    kind = "pixel shuffle"

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = (require_count(factor, "factor"),) * 2

    def output_shape(self, shape: Shape) -> Shape:
        """Return (D / factor², H factor, W factor)."""
        depth, rows, columns = require_maps(self.kind, shape)
        r = self.factor[0]
        if depth % (r * r):
            raise ParameterError(f"{self.kind} by {r} cannot read shape {shape}: {depth} maps")
        return depth // (r * r), rows * r, columns * r

    def forward(self, x: Array, train: bool = False) -> Array:
        """From depth to pixels."""
        return pixel_shuffle(x, self.factor[0])

    def backward(self, delta: Array) -> Array:
        """And back."""
        return pixel_unshuffle(delta, self.factor[0])


class PixelUnshuffle(Layer):
    """Make a map of its own of every `every`-th pixel: undoes `PixelShuffle`."""

    kind = "pixel unshuffle"

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = require_count(every, "every")

    def output_shape(self, shape: Shape) -> Shape:
        """Return (D every², H / every, W / every)."""
        depth, rows, columns = require_maps(self.kind, shape)
        r = self.every
        if rows % r or columns % r:
            raise ParameterError(f"{self.kind} by {r} cannot read shape {shape}: {rows}x{columns} pixels")
        return depth * r * r, rows // r, columns // r

    def forward(self, x: Array, train: bool = False) -> Array:
        """From pixels to depth."""
        return pixel_unshuffle(x, self.every)

    def backward(self, delta: Array) -> Array:
        """And back."""
        return pixel_shuffle(delta, self.every)

    def window(self) -> tuple[tuple[int, int], tuple[int, int], Any]:
        """Pixels that do not overlap."""
        return (self.every, self.every), (self.every, self.every), (0, 0)
