"""Layers that make maps smaller: maximum, mean, adaptive mean, and LeNet's trainable subsampling."""

import math
from typing import Any

import numpy as np

from cnnfilter.core.geometry import Number, number_pair
from cnnfilter.nn.functional import (
    max_pooling,
    max_pooling_backward,
    maxima,
    mean_pooling,
    mean_pooling_backward,
    trainable_pooling,
    trainable_pooling_backward,
)
from cnnfilter.nn.functional.windows import Array, Windows
from cnnfilter.nn.layers import Layer, Shape, require_maps


class _Pooling(Layer):
    def __init__(
        self, size: Number, stride: Number | None = None, *, padding: Number = 0, dilation: Number = 1,
        ceil: bool = False, name: str = "",
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.size = number_pair("size", size, least=1)
        self.stride = self.size if stride is None else number_pair("stride", stride, least=1)
        self.padding, self.ceil = number_pair("padding", padding, least=0), ceil
        self.dilation = number_pair("dilation", dilation, least=1)
        self._kept: Any = None

    @property
    def options(self) -> dict[str, Any]:
        """Where the windows lie."""
        return {
            "stride": self.stride, "padding": self.padding, "dilation": self.dilation, "ceil": self.ceil,
        }  # fmt: skip

    def output_shape(self, shape: Shape) -> Shape:
        """(D, H', W')."""
        require_maps(self.kind, shape)
        windows = Windows.of(shape, self.size, self.stride, self.padding, self.dilation, self.ceil, "window")
        return shape[0], *windows.output

    def window(self) -> tuple[tuple[int, int], tuple[int, int], Any]:
        """Window, stride, padding."""
        return self.size, self.stride, self.padding


class MaxPooling(_Pooling):
    """The largest value of each window: equation 36. `ceil` lets a partial last window count."""

    kind = "max pooling"

    def forward(self, x: Array, train: bool = False) -> Array:
        """Equation 36; where it was is kept only for training."""
        if train:
            y, argmax = max_pooling(x, self.size, **self.options)
            self._kept = argmax, x.shape
            return y
        return maxima(x, self.size, **self.options)

    def backward(self, delta: Array) -> Array:
        """Equation 47: to where the maximum was."""
        argmax, shape = self._kept
        self._kept = None
        return max_pooling_backward(delta, argmax, shape, self.size, **self.options)


class MeanPooling(_Pooling):
    """The mean of each window: equation 37."""

    kind = "mean pooling"

    def forward(self, x: Array, train: bool = False) -> Array:
        """Equation 37."""
        self._kept = x.shape
        return mean_pooling(x, self.size, **self.options)

    def backward(self, delta: Array) -> Array:
        """Equation 48: shared among the window."""
        return mean_pooling_backward(delta, self._kept, self.size, **self.options)


class AdaptiveMeanPooling(Layer):
    """Means over n parts, whatever the size: part i goes from floor(iH/n) to ceil((i+1)H/n)."""

    kind = "adaptive mean"

    def __init__(self, parts: int = 1) -> None:
        super().__init__()
        self.parts = parts
        self._shape: Shape = ()

    def output_shape(self, shape: Shape) -> Shape:
        """(D, parts, parts)."""
        require_maps(self.kind, shape)
        return shape[0], self.parts, self.parts

    def forward(self, x: Array, train: bool = False) -> Array:
        """Two products with the shares of each part."""
        self._shape = x.shape
        if x.shape[2:] == (self.parts, self.parts):
            return x
        if self.parts == 1:
            return np.asarray(x.mean(axis=(2, 3), keepdims=True))
        rows, columns = (self._shares(side).astype(x.dtype) for side in x.shape[2:])
        return np.asarray(rows @ x @ columns.T)

    def backward(self, delta: Array) -> Array:
        """Multiply by the transposed shares."""
        rows, columns = (self._shares(side).astype(delta.dtype) for side in self._shape[2:])
        return np.asarray(rows.T @ delta @ columns)

    def _shares(self, side: int) -> Array:
        shares = np.zeros((self.parts, side))
        for i in range(self.parts):
            first, last = i * side // self.parts, -(-(i + 1) * side // self.parts)
            shares[i, first:last] = 1 / (last - first)
        return shares


class TrainablePooling(_Pooling):
    """LeNet-5's subsampling: the sum of each window, one weight and one bias a map (equation 38)."""

    kind = "trainable pooling"

    def __init__(self, name: str, size: Number) -> None:
        super().__init__(size, name=name)

    def shapes(self) -> dict[str, Shape]:
        """Weight (D,) and bias (D,)."""
        return {"weight": self.input[:1], "bias": self.input[:1]}

    def start(self, random: np.random.Generator, dtype: Any) -> None:
        """Begin as a mean."""
        maps = self.input[0]
        weight = np.full(maps, 1 / math.prod(self.size), dtype)
        self.parameters = {"weight": weight, "bias": np.zeros(maps, dtype)}

    def forward(self, x: Array, train: bool = False) -> Array:
        """Equation 38 before its activation."""
        self._kept = x if train else None
        weight, bias = self.parameters["weight"], self.parameters["bias"]
        return trainable_pooling(x, weight, bias, self.size, stride=self.stride)

    def backward(self, delta: Array) -> Array:
        """Differentiate equation 38."""
        x, self._kept = self._kept, None
        dx, dw, db = trainable_pooling_backward(
            x, self.parameters["weight"], delta, self.size, stride=self.stride
        )
        self.gradients = {"weight": dw, "bias": db}
        return dx

    def connections(self) -> int:
        """Count the window and the bias for each output pixel."""
        return (math.prod(self.size) + 1) * math.prod(self.output)

    def multiply_adds(self) -> int:
        """One for each output pixel."""
        return math.prod(self.output)
