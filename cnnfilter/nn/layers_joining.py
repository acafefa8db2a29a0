"""Layers made of layers: sequence, inception, residual, highway, and the auxiliary heads of training."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

import numpy as np

from cnnfilter.core.memory import aligned_empty
from cnnfilter.errors import ParameterError
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.layers import Activation, Layer, Shape


class Sequence(Layer):
    """One layer after the other."""

    kind = "sequence"

    def __init__(self, name: str, layers: Iterable[Layer]) -> None:
        super().__init__(name)
        self.children = tuple(layers)

    def output_shape(self, shape: Shape) -> Shape:
        """Connect every layer to the one before."""
        for layer in self.children:
            shape = layer.connect(shape)
        return shape

    def forward(self, x: Array, train: bool = False) -> Array:
        """Through all, in order; a convolution or residual does the work of the rectifier after it."""
        skip = False
        layer: Any  # of those that rectify, `forward` takes one argument more
        for layer, following in zip_longest(self.children, self.children[1:]):
            if skip:
                skip = False
            elif layer.rectifies and isinstance(following, Activation) and (
                following.kind == "relu" and "forward" not in layer.__dict__ | following.__dict__
            ):  # fmt: skip
                x, skip = layer.forward(x, train, rectify=True), True
                following.take(x, train)
            else:
                x = layer.forward(x, train)
        return x

    def backward(self, delta: Array) -> Array:
        """Through all, in reverse."""
        for layer in reversed(self.children):
            delta = layer.backward(delta)
        return delta


class Inception(Layer):
    """Branches beside each other, joined along depth in their order."""

    kind = "inception"

    def __init__(self, name: str, branches: Iterable[Sequence]) -> None:
        super().__init__(name)
        self.children = tuple(branches)

    def output_shape(self, shape: Shape) -> Shape:
        """Add the depths up; rows and columns must agree."""
        shapes = [branch.connect(shape) for branch in self.children]
        if len({s[1:] for s in shapes}) != 1:
            raise ParameterError(f"{self.name}: branches give {shapes}, which cannot be joined along depth")
        return sum(s[0] for s in shapes), *shapes[0][1:]

    def forward(self, x: Array, train: bool = False) -> Array:
        """Join the branches."""
        return np.concatenate([branch.forward(x, train) for branch in self.children], axis=1)

    def backward(self, delta: Array) -> Array:
        """Each branch gets its maps; what comes back adds up."""
        ends = np.cumsum([branch.output[0] for branch in self.children])[:-1]
        parts = np.split(delta, ends, axis=1)
        return np.asarray(sum(b.backward(p) for b, p in zip(self.children, parts, strict=True)))


class Shortcut(Layer):
    """Shortcut A of the ResNet paper: every `stride`-th pixel, and maps of zeros up to `maps`."""

    kind = "zero-pad"

    def __init__(self, maps: int, stride: int) -> None:
        super().__init__()
        self.maps, self.stride = maps, stride

    def output_shape(self, shape: Shape) -> Shape:
        """Return (maps, H', W')."""
        return self.maps, -(-shape[1] // self.stride), -(-shape[2] // self.stride)

    def forward(self, x: Array, train: bool = False) -> Array:
        """Take pixels, add maps."""
        y = np.zeros((len(x), *self.output), x.dtype)
        y[:, : self.input[0]] = x[:, :, :: self.stride, :: self.stride]
        return y

    def backward(self, delta: Array) -> Array:
        """Put the pixels back."""
        dx = np.zeros((len(delta), *self.input), delta.dtype)
        dx[:, :, :: self.stride, :: self.stride] = delta[:, : self.input[0]]
        return dx


class Residual(Layer):
    """``y = f(x) + x`` (equation 50); `shortcut` takes the place of x where sizes differ."""

    kind = "residual"
    rectifies = True

    def __init__(self, name: str, body: Iterable[Layer], shortcut: Iterable[Layer] = ()) -> None:
        super().__init__(name)
        self.children = Sequence("", body), Sequence("", shortcut)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the body's, which must be the shortcut's."""
        body, shortcut = (layer.connect(shape) for layer in self.children)
        if body != shortcut:
            raise ParameterError(f"{self.name}: the body gives {body}, the shortcut {shortcut}")
        return body

    def forward(self, x: Array, train: bool = False, rectify: bool = False) -> Array:
        """Equation 50; with `rectify` what is negative becomes 0."""
        y, through = (layer.forward(x, train) for layer in self.children)
        out = aligned_empty(y.shape, y.dtype)
        np.add(y, through, out=out)
        return np.maximum(out, 0, out=out) if rectify else out

    def backward(self, delta: Array) -> Array:
        """Both ways."""
        body, shortcut = self.children
        return np.asarray(body.backward(delta) + shortcut.backward(delta))


class Highway(Layer):
    """``y = T(x) H(x) + (1 - T(x)) x``: equation 51 with C = 1 - T; `gate` ends in a sigmoid."""

    kind = "highway"

    def __init__(self, name: str, body: Iterable[Layer], gate: Iterable[Layer]) -> None:
        super().__init__(name)
        self.children = Sequence("", body), Sequence("", gate)
        self._kept: Any = None

    def output_shape(self, shape: Shape) -> Shape:
        """Return the input's, which both ways must have."""
        for layer in self.children:
            if layer.connect(shape) != shape:
                raise ParameterError(
                    f"{self.name}: makes {layer.output} of {shape}; a highway keeps the shape"
                )
        return shape

    def forward(self, x: Array, train: bool = False) -> Array:
        """Equation 51."""
        h, t = (layer.forward(x, train) for layer in self.children)
        self._kept = (x, h, t) if train else None
        return np.asarray(t * (h - x) + x)

    def backward(self, delta: Array) -> Array:
        """Through body, gate and what was carried."""
        x, h, t = self._kept
        self._kept = None
        body, gate = self.children
        return np.asarray(body.backward(delta * t) + gate.backward(delta * (h - x)) + delta * (1 - t))


class Auxiliary(Layer):
    """A head that hangs off the main way while training: the input passes, the head's scores are kept.

    Attributes
    ----------
    scores : ndarray or None
        What the head said of the last training batch.
    delta : ndarray or None
        Gradient of the loss with respect to `scores`, to be set before `backward`.
    """

    kind = "auxiliary"

    def __init__(self, name: str, layers: Iterable[Layer]) -> None:
        super().__init__(name)
        self.children = (Sequence("", layers),)
        self.scores: Array | None = None
        self.delta: Array | None = None

    def output_shape(self, shape: Shape) -> Shape:
        """Return the input's."""
        self.children[0].connect(shape)
        return shape

    def forward(self, x: Array, train: bool = False) -> Array:
        """Pass the input; ask the head only while training."""
        self.scores = self.children[0].forward(x, train) if train else None
        return x

    def backward(self, delta: Array) -> Array:
        """Add what comes back from the head."""
        if self.delta is None:
            return delta
        own, self.delta = self.delta, None
        return np.asarray(delta + self.children[0].backward(own))


def walk(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield every layer of a tree with its full name, those made of layers before what they hold."""
    name = ".".join(part for part in (prefix, layer.name) if part)
    yield name, layer
    for child in layer.children:
        yield from walk(child, name)
