"""Operators of a network that is given as a graph, but for those whose windows slide."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ParameterError
from cnnfilter.files.graphs import Array, StoredNode
from cnnfilter.learning.graphwindows import Convolution, Node, Pooling, Region, Span
from cnnfilter.nn.functional import activation, pixel_shuffle, pixel_unshuffle


@dataclass(frozen=True)
class Line(Node):
    """Each map times a number, and another one added: what is left of batch normalisation."""

    scale: Any
    shift: Any

    def maps(self, inputs: Sequence[int]) -> int:
        """Pass the maps on, if there is a number for each."""
        _require_one_a_map(inputs[0], self.scale, self.shift)
        return inputs[0]

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Scale and shift."""
        return np.asarray(inputs[0] * self.scale[:, None, None] + self.shift[:, None, None])

    def converted(self, dtype: Any) -> Node:
        """Give its weights a type."""
        return Line(self.scale.astype(dtype), self.shift.astype(dtype))


@dataclass(frozen=True)
class Rectifier(Node):
    """What is negative is multiplied by a slope, one for all maps or one a map."""

    slope: Any

    def maps(self, inputs: Sequence[int]) -> int:
        """Pass the maps on, if there is a slope for each."""
        _require_one_a_map(inputs[0], self.slope)
        return inputs[0]

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Turn what is negative."""
        (x,) = inputs
        return np.where(x < 0, x * self.slope[:, None, None], x)

    def converted(self, dtype: Any) -> Node:
        """Give its weights a type."""
        return Rectifier(self.slope.astype(dtype))


@dataclass(frozen=True)
class Function(Node):
    """An activation, by its name."""

    name: str

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Compute it of each value."""
        return activation(self.name).forward(inputs[0])


class _Joint(Node):
    """An operator of several inputs, of the same rows and columns."""

    def span(self, axis: int, inputs: Sequence[Span]) -> Span:
        """Work out what it sees."""
        first = inputs[0]
        if any((span.step, span.excess) != (first.step, first.excess) for span in inputs):
            raise ParameterError("the values that meet have not the same rows and columns")
        return first._replace(
            before=max(span.before for span in inputs), after=max(span.after for span in inputs),
            grid=math.lcm(*(span.grid for span in inputs)),
        )  # fmt: skip

    def length(self, axis: int, inputs: Sequence[int]) -> int:
        """Work out how long it is."""
        return min(inputs)  # one that was unshuffled and shuffled again may be longer


@dataclass(frozen=True)
class Sum(_Joint):
    """Two values added, or subtracted."""

    signs: tuple[float, float] = (1.0, 1.0)

    def maps(self, inputs: Sequence[int]) -> int:
        """Count the maps; one map is added to each."""
        if inputs[0] != inputs[1] and 1 not in inputs:
            raise ParameterError(f"{inputs[0]} maps do not add to {inputs[1]}")
        return max(inputs)

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Add or subtract."""
        a, b = inputs
        return np.asarray(a + b if self.signs == (1.0, 1.0) else a - b)


class Concatenation(_Joint):
    """Maps joined along depth."""

    def maps(self, inputs: Sequence[int]) -> int:
        """Add the maps up."""
        return sum(inputs)

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Join the maps."""
        return np.concatenate(inputs, axis=1)


@dataclass(frozen=True)
class Unshuffle(Node):
    """Every `factor`-th pixel becomes a map of its own; the last row and column are repeated to fill up."""

    factor: int

    def maps(self, inputs: Sequence[int]) -> int:
        """Count a map for each pixel of a square."""
        return inputs[0] * self.factor**2

    def span(self, axis: int, inputs: Sequence[Span]) -> Span:
        """Have a coarser step."""
        (span,) = inputs
        step = span.step * self.factor
        return Span(
            step, span.excess, span.before, span.after + step - span.step, math.lcm(span.grid, step)
        )  # fmt: skip

    def length(self, axis: int, inputs: Sequence[int]) -> int:
        """Work out how long it is."""
        return -(-inputs[0] // self.factor)

    def reads(self, axis: int, first: int, last: int) -> Pair:
        """Say what it reads."""
        return first * self.factor, last * self.factor

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """From pixels to depth."""
        (x,) = inputs
        if outside != ((0, 0), (0, 0)):
            x = np.pad(x, ((0, 0), (0, 0), *outside), mode="edge")
        return pixel_unshuffle(x, self.factor)


@dataclass(frozen=True)
class Shuffle(Node):
    """Maps laid side by side as pixels."""

    factor: int

    def maps(self, inputs: Sequence[int]) -> int:
        """Count one map for each square."""
        if inputs[0] % self.factor**2:
            raise ParameterError(f"{inputs[0]} maps cannot be shuffled by {self.factor}")
        return inputs[0] // self.factor**2

    def span(self, axis: int, inputs: Sequence[Span]) -> Span:
        """Have the fine step again; what a coarse place sees, each of its pixels may see."""
        (span,) = inputs
        if span.step % self.factor:
            raise ParameterError("the result is larger than the image, which filters do not make")
        step = span.step // self.factor
        return span._replace(step=step, before=span.before + span.step - step)

    def length(self, axis: int, inputs: Sequence[int]) -> int:
        """Work out how long it is."""
        return inputs[0] * self.factor

    def reads(self, axis: int, first: int, last: int) -> Pair:
        """Say what it reads."""
        return first // self.factor, -(-last // self.factor)

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """From depth to pixels."""
        begin = [first % self.factor for first, _ in region]
        rows, columns = (slice(b, b + last - first) for b, (first, last) in zip(begin, region, strict=True))
        return pixel_shuffle(inputs[0], self.factor)[..., rows, columns]


@dataclass(frozen=True)
class ConstantMap(Node):
    """One map more, of one number: the level of noise for those that are told it."""

    value: float

    def maps(self, inputs: Sequence[int]) -> int:
        """Count one map more."""
        return inputs[0] + 1

    def made(self, inputs: list[Array], outside: Region, region: Region) -> Array:
        """Join the map."""
        (x,) = inputs
        more = np.full((len(x), 1, *x.shape[2:]), self.value, x.dtype)
        return np.concatenate((x, more), axis=1)


def node_of(stored: StoredNode) -> Node:
    """Make an operator of what a file says of it.

    Examples
    --------
    >>> node_of(StoredNode("unshuffle", ("image",), "0", {"factor": 2})).maps([3])
    12
    """
    options, tensors = dict[str, Any](stored.options), dict(stored.tensors)
    match stored.kind:
        case "convolution":
            rows, columns = tensors["weight"].shape[2:]
            return Convolution((rows, columns), **(options | tensors))
        case "max_pooling" | "mean_pooling":
            return Pooling(**options, mean=stored.kind == "mean_pooling")
        case "batch_norm":
            return _line_of(options["epsilon"], **{k: t.astype(np.float64) for k, t in tensors.items()})
        case "line":
            return Line(**tensors)
        case "prelu":
            return Rectifier(**tensors)
        case "sum":
            return Sum(**options)
        case "concatenation":
            return Concatenation()
        case "unshuffle":
            return Unshuffle(**options)
        case "shuffle":
            return Shuffle(**options)
        case "constant_map":
            return ConstantMap(**options)
    return Function(stored.kind)


def _line_of(epsilon: float, weight: Array, bias: Array, mean: Array, variance: Array) -> Line:
    if len({part.shape for part in (weight, bias, mean, variance)}) != 1 or weight.ndim != 1:
        raise ParameterError("the four tensors of a batch normalisation have not one shape (D,)")
    if variance.min() + epsilon <= 0:
        raise ParameterError("a batch normalisation has a variance below 0")
    scale = weight / np.sqrt(variance + epsilon)
    return Line(scale, bias - mean * scale)


def _require_one_a_map(maps: int, *numbers: Array) -> None:
    for each in numbers:
        if each.shape not in ((1,), (maps,)):
            raise ParameterError(f"{each.shape} numbers for {maps} maps: one, or one a map, is taken")
