"""What operators of a network share that is given as a graph, and those whose windows slide.

Values are (N, D, rows, columns). An operator is asked for a part of its output; it names the rows and columns
of its inputs that this reads, and is given those that are there and told how many lie beside the image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ParameterError
from cnnfilter.files.graphs import Array
from cnnfilter.nn.functional import convolution, maxima, mean_pooling, winograd

Region = tuple[Pair, Pair]
"""Rows and columns `[first, last)`."""


class Span(NamedTuple):
    """What one value along an axis sees of an image of M pixels.

    Its length is ``floor((M + excess) / step) + 1``; its place i reads the pixels from ``i * step - before``
    to ``i * step + after``, where i is a multiple of ``grid / step``.
    """

    step: int = 1
    excess: int = -1
    before: int = 0
    after: int = 0
    grid: int = 1


class Node:
    """What all operators share: one input, each pixel for itself."""

    def maps(self, inputs: Sequence[int]) -> int:
        """Return how many maps there will be."""
        return inputs[0]

    def span(self, axis: int, inputs: Sequence[Span]) -> Span:
        """Return what a value sees."""
        return inputs[0]

    def length(self, axis: int, inputs: Sequence[int]) -> int:
        """Return rows or columns of the output."""
        return inputs[0]

    def reads(self, axis: int, first: int, last: int) -> Pair:
        """Return the places of every input that `[first, last)` of the output read, also beside the image."""
        return first, last

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Make a part of the output.

        Parameters
        ----------
        inputs : list of ndarray
            Of each input what `reads` names, as far as it is there.
        outside : Region
            How many rows and columns of it are not: ((above, below), (left, right)).
        region : Region
            Which part of the output it is.
        """
        raise NotImplementedError

    def converted(self, dtype: Any) -> "Node":
        """Return the operator with weights of `dtype`."""
        return self


@dataclass(frozen=True)
class _Window(Node):
    """An operator whose windows slide."""

    size: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Region = ((0, 0), (0, 0))

    def __post_init__(self) -> None:
        for axis in (0, 1):
            if not 0 <= min(self.padding[axis]) <= max(self.padding[axis]) < self._reach(axis):
                raise ParameterError(
                    f"padding {self.padding} of windows of {self.size}, dilation {self.dilation}: numbers "
                    "from 0, less than a window reaches, are taken"
                )

    def _reach(self, axis: int) -> int:
        return (self.size[axis] - 1) * self.dilation[axis] + 1

    def span(self, axis: int, inputs: Sequence[Span]) -> Span:
        """Work out what it sees."""
        (span,) = inputs
        step, stride = span.step, self.stride[axis]
        before, after = self.padding[axis]
        beyond = self._reach(axis) - 1 - before
        return Span(
            step * stride, span.excess + step * (after - beyond), span.before + step * before,
            span.after + step * beyond, math.lcm(span.grid, step * stride),
        )  # fmt: skip

    def length(self, axis: int, inputs: Sequence[int]) -> int:
        """Work out how long it is."""
        return (inputs[0] + sum(self.padding[axis]) - self._reach(axis)) // self.stride[axis] + 1

    def reads(self, axis: int, first: int, last: int) -> Pair:
        """Say what it reads."""
        begin = first * self.stride[axis] - self.padding[axis][0]
        return begin, begin + (last - 1 - first) * self.stride[axis] + self._reach(axis)


@dataclass(frozen=True)
class Convolution(_Window):
    """Correlation with a bank of kernels; `rectify` makes what is negative 0."""

    weight: Any = None
    bias: Any = None
    groups: int = 1
    rectify: bool = False

    def maps(self, inputs: Sequence[int]) -> int:
        """Count the kernels, if they fit what comes in."""
        maps, depth = self.weight.shape[:2]
        if not 1 <= self.groups <= maps or maps % self.groups or inputs[0] != depth * self.groups:
            raise ParameterError(
                f"weights of shape {self.weight.shape} in {self.groups} group(s) do not fit {inputs[0]} maps"
            )
        if self.bias is not None and self.bias.shape != (maps,):
            raise ParameterError(f"a bias of shape {self.bias.shape} with weights of {self.weight.shape}")
        return int(maps)

    @property
    def _tile(self) -> int:
        """Rows and columns of results that are made together."""
        dense = self.groups == 1 and self.stride == self.dilation == (1, 1)
        return winograd.TILE if dense and winograd.is_faster(self.weight.shape) else 1

    def span(self, axis: int, inputs: Sequence[Span]) -> Span:
        """Work out what it sees; parts begin where tiles do."""
        span = super().span(axis, inputs)
        return span._replace(grid=math.lcm(span.grid, span.step * self._tile))

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Correlate."""
        (above, below), (left, right) = outside
        alone = all(last - first == 1 for first, last in region)
        if (
            alone
        ):  # a window that is the whole input would be a product of BLAS, which adds up in another order
            right += self.stride[1]
        top, begin = (first % self._tile for first, _ in region)  # what is before them in their tile
        y = convolution(
            inputs[0], self.weight, self.bias, stride=self.stride,
            padding=((above + top, below), (left + begin, right)), dilation=self.dilation,
            groups=self.groups, rectify=self.rectify,
        )  # fmt: skip
        return y[:, :, top:, begin : -1 if alone else None]

    def converted(self, dtype: Any) -> Node:
        """Give its weights a type."""
        bias = None if self.bias is None else np.ascontiguousarray(self.bias, dtype)
        return replace(self, weight=np.ascontiguousarray(self.weight, dtype), bias=bias)

    def followed_by(self, line: Any) -> "Convolution":
        """Return the convolution that does the work of a line after it too."""
        scale, shift = (np.broadcast_to(part, len(self.weight)) for part in (line.scale, line.shift))
        bias = shift if self.bias is None else self.bias * scale + shift
        return replace(self, weight=self.weight * scale[:, None, None, None], bias=bias)

    def rectified(self) -> "Convolution":
        """Return the convolution that does the work of a rectifier after it too."""
        return replace(self, rectify=True)


@dataclass(frozen=True)
class Pooling(_Window):
    """The maximum or the mean of each window; `count_padding` counts zeros beside the image for the mean."""

    mean: bool = False
    count_padding: bool = False

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Take the maximum or the mean of each window."""
        options: dict[str, Any] = {"stride": self.stride, "padding": outside, "dilation": self.dilation}
        if self.mean:
            return mean_pooling(inputs[0], self.size, count_padding=self.count_padding, **options)
        return maxima(inputs[0], self.size, **options)
