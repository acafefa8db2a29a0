"""Layers that hold weights: convolution, dense, RBF output; and the activation and dropout after them.

A layer is described without shapes; `connect` tells it what comes in and it answers what goes out.
Batches are (N, D, H, W), or (N, D) after a dense layer; shapes here are those without the N.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfilter.core.geometry import Number, number_pair
from cnnfilter.errors import ParameterError
from cnnfilter.nn.blas import product
from cnnfilter.nn.functional import (
    activation,
    convolution,
    convolution_bias_gradient,
    convolution_input_gradient,
    convolution_weights_gradient,
)
from cnnfilter.nn.functional.windows import Array, Windows

Shape = tuple[int, ...]
Start = Callable[[np.random.Generator, Shape, int], Array]


def he_normal(random: np.random.Generator, shape: Shape, fan_in: int) -> Array:
    """Draw from a normal of variance 2 / fan-in: keeps the size of what passes a ReLU."""
    return random.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / fan_in))


def lecun_uniform(random: np.random.Generator, shape: Shape, fan_in: int) -> Array:
    """Uniform within 2.4 / fan-in, as LeNet-5 began in 1998."""
    return random.uniform(-2.4 / fan_in, 2.4 / fan_in, shape)


def xavier_uniform(random: np.random.Generator, shape: Shape, fan_in: int) -> Array:
    """Uniform with variance 1 / fan-in: keeps the size of what passes a tanh."""
    return random.uniform(-1, 1, shape) * math.sqrt(3 / fan_in)


class Layer:
    """What all layers share.

    Attributes
    ----------
    name : str
        Part of the names of its tensors; may be empty where it has none.
    parameters, gradients, buffers : dict of str to ndarray
        What is learned, its gradients after `backward`, and what is kept beside it.
    input, output : tuple of int
        Shapes of one sample, known after `connect`.
    dilation : tuple of int
        Rows and columns from one pixel of a window to the next.
    factor : tuple of int
        Rows and columns of the output for each of the input, of layers that enlarge.
    rectifies : bool
        Whether `forward` can do the work of a rectifier that follows: ``rectify=True``.
    """

    kind = "layer"
    rectifies = False
    dilation: tuple[int, int] = (1, 1)
    factor: tuple[int, int] = (1, 1)
    children: "tuple[Layer, ...]" = ()

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.input: Shape = ()
        self.output: Shape = ()

    def connect(self, shape: Shape) -> Shape:
        """Take note of the input's shape and return the output's."""
        self.input = shape
        self.output = self.output_shape(shape)
        return self.output

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`; the same where a layer does not say."""
        return shape

    def shapes(self) -> dict[str, Shape]:
        """Shapes of the tensors by name: parameters and buffers."""
        return {}

    def start(self, random: np.random.Generator, dtype: Any) -> None:
        """Give parameters and buffers their first values."""

    def forward(self, x: Array, train: bool = False) -> Array:
        """Return the output; with `train`, keep what `backward` needs.

        `x` is not changed, for other layers may read it too: both ways of a residual, all branches of an
        inception.
        """
        raise NotImplementedError

    def backward(self, delta: Array) -> Array:
        """Set the gradients of the parameters and return that of the input."""
        raise NotImplementedError

    def count(self) -> int:
        """Trainable parameters."""
        return sum(math.prod(s) for n, s in self.shapes().items() if not n.startswith("running"))

    def connections(self) -> int:
        """Count the inputs and biases that all outputs of one sample read, where weights lie between them."""
        return 0

    def multiply_adds(self) -> int:
        """Multiplications that are added up, for one sample."""
        return 0

    def window(self) -> tuple[tuple[int, int], tuple[int, int], Any] | None:
        """(size, stride, padding) of a layer that has windows."""
        return None


def require_maps(what: str, shape: Shape) -> Shape:
    """Return `shape` if it is (D, H, W), else raise."""
    if len(shape) != 3:
        raise ParameterError(f"{what} cannot read shape {shape}: it takes maps (D, H, W)")
    return shape


class Convolution(Layer):
    """Correlate with a bank of kernels: equations 34 and 35.

    Parameters
    ----------
    name : str
    maps : int
        Output maps.
    size : int or (rows, columns)
    stride, padding, dilation, groups
        As in `functional.convolution`.
    bias : bool, default True
    table : ndarray of bool of shape (maps, D), optional
        Which inputs each map sees (figure 11); default all.
    begin : callable
        Where the weights begin: `he_normal`, `lecun_uniform` or `xavier_uniform`.
    bias_at : float, default 0
        Where the bias begins.
    """

    kind = "convolution"
    rectifies = True

    def __init__(
        self, name: str, maps: int, size: Number, *, stride: Number = 1, padding: Number = 0,
        dilation: Number = 1, groups: int = 1, bias: bool = True, table: Array | None = None,
        begin: Start = he_normal, bias_at: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.maps, self.size, self.stride = (
            maps,
            number_pair("size", size, least=1),
            number_pair("stride", stride, least=1),
        )
        self.padding, self.groups, self.has_bias = number_pair("padding", padding, least=0), groups, bias
        self.dilation = number_pair("dilation", dilation, least=1)
        self.table, self.begin, self.bias_at = table, begin, bias_at
        self.reads_image = False
        self._x: Array | None = None

    def output_shape(self, shape: Shape) -> Shape:
        """Return (maps, H', W')."""
        if len(shape) != 3 or shape[0] % self.groups or self.maps % self.groups:
            raise ParameterError(
                f"{self.name}: {self.groups} group(s) of {self.maps} maps cannot read shape {shape}"
            )
        if self.table is not None and self.table.shape != (self.maps, shape[0]):
            raise ParameterError(f"{self.name}: table of shape {self.table.shape} for {shape[0]} inputs")
        return self.maps, *Windows.of(shape, self.size, self.stride, self.padding, self.dilation).output

    def shapes(self) -> dict[str, Shape]:
        """Weight (maps, D / groups, U, V) and bias (maps,)."""
        weight = {"weight": (self.maps, self.input[0] // self.groups, *self.size)}
        return weight | ({"bias": (self.maps,)} if self.has_bias else {})

    def start(self, random: np.random.Generator, dtype: Any) -> None:
        """Draw the weights; a map's fan-in is what the table lets it see."""
        shape = self.shapes()["weight"]
        weight = self.begin(random, shape, math.prod(shape[1:])).astype(dtype)
        if self.table is not None:
            weight *= (self.table * (shape[1] / self.table.sum(1, keepdims=True)))[..., None, None]
        self.parameters = {"weight": np.ascontiguousarray(weight, dtype)}
        if self.has_bias:
            self.parameters["bias"] = np.full(self.maps, self.bias_at, dtype)

    def forward(self, x: Array, train: bool = False, rectify: bool = False) -> Array:
        """Equation 34; with `rectify` what is negative becomes 0."""
        self._x = x if train else None
        return convolution(
            x, self.parameters["weight"], self.parameters.get("bias"),
            **self.options, rectify=rectify,
        )  # fmt: skip

    def backward(self, delta: Array) -> Array:
        """Equations 39 to 44 for the weights, 45 and 46 for the input."""
        assert self._x is not None
        x, self._x = self._x, None
        delta = np.ascontiguousarray(delta)
        weight = convolution_weights_gradient(x, delta, self.size, **self.options)
        if self.table is not None:
            weight *= self.table[..., None, None]
        self.gradients = {"weight": weight}
        if self.has_bias:
            self.gradients["bias"] = convolution_bias_gradient(delta)
        if self.reads_image:  # nobody asks for the gradient of the picture itself
            return delta
        return convolution_input_gradient(delta, self.parameters["weight"], x.shape, **self.options)

    @property
    def options(self) -> dict[str, Any]:
        """Where the windows lie, and the groups."""
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return {**options, "groups": self.groups}

    def count(self) -> int:
        """Weights that the table lets be, and biases."""
        return self._weights() + self.has_bias * self.maps

    def connections(self) -> int:
        """Every parameter once for each output pixel."""
        return self.count() * math.prod(self.output[1:])

    def multiply_adds(self) -> int:
        """Every weight once for each output pixel."""
        return self._weights() * math.prod(self.output[1:])

    def window(self) -> tuple[tuple[int, int], tuple[int, int], Any]:
        """Kernel, stride, padding."""
        return self.size, self.stride, self.padding

    def _weights(self) -> int:
        pairs = self.maps * self.input[0] // self.groups if self.table is None else int(self.table.sum())
        return pairs * math.prod(self.size)


class Dense(Layer):
    """Every output sees every input: ``y = W x + b``; maps are flattened as (D, H, W)."""

    kind = "dense"

    def __init__(self, name: str, units: int, *, begin: Start = he_normal, bias_at: float = 0.0) -> None:
        super().__init__(name)
        self.units, self.begin, self.bias_at = units, begin, bias_at
        self._x: Array | None = None

    def output_shape(self, shape: Shape) -> Shape:
        """(units,)."""
        return (self.units,)

    def shapes(self) -> dict[str, Shape]:
        """Weight (units, inputs) and bias (units,)."""
        return {"weight": (self.units, math.prod(self.input)), "bias": (self.units,)}

    def start(self, random: np.random.Generator, dtype: Any) -> None:
        """Draw the weights."""
        shape = self.shapes()["weight"]
        self.parameters = {
            "weight": self.begin(random, shape, shape[1]).astype(dtype),
            "bias": np.full(self.units, self.bias_at, dtype),
        }

    def forward(self, x: Array, train: bool = False) -> Array:
        """W x + b."""
        self._x = x if train else None
        y = product(x.reshape(len(x), math.prod(self.input)), self.parameters["weight"].T)
        y += self.parameters["bias"]
        return y

    def backward(self, delta: Array) -> Array:
        """Differentiate the product."""
        assert self._x is not None
        x, self._x = self._x, None
        self.gradients = {
            "weight": product(delta.T, x.reshape(len(x), math.prod(self.input))),
            "bias": delta.sum(axis=0),
        }
        return product(delta, self.parameters["weight"]).reshape(x.shape)

    def connections(self) -> int:
        """Every parameter is used once."""
        return self.count()

    def multiply_adds(self) -> int:
        """Every weight is used once."""
        return self.units * math.prod(self.input)


class RadialOutput(Layer):
    """Minus the squared distance to a fixed code for each class: ``-sum over j of (x_j - w_ij)²``.

    LeNet-5 calls the distance the output, and the smallest wins; the sign makes the largest win as in
    every other network here. The codes are kept as a buffer and not trained.

    Parameters
    ----------
    name : str
    codes : ndarray of shape (classes, D)
        Of -1 and 1.
    """

    kind = "rbf"

    def __init__(self, name: str, codes: Array) -> None:
        super().__init__(name)
        self.codes = codes
        self._x: Array | None = None

    def output_shape(self, shape: Shape) -> Shape:
        """(classes,)."""
        if shape != self.codes.shape[1:]:
            raise ParameterError(f"{self.name}: codes of shape {self.codes.shape} for input {shape}")
        return (len(self.codes),)

    def shapes(self) -> dict[str, Shape]:
        """Name the codes."""
        return {"running_codes": self.codes.shape}

    def start(self, random: np.random.Generator, dtype: Any) -> None:
        """Set the codes."""
        self.buffers = {"running_codes": self.codes.astype(dtype)}

    def forward(self, x: Array, train: bool = False) -> Array:
        """Minus the squared distances."""
        self._x = x if train else None
        return np.asarray(-np.square(x[:, None, :] - self.buffers["running_codes"]).sum(axis=2))

    def backward(self, delta: Array) -> Array:
        """-2 (x - w), weighed by `delta`."""
        assert self._x is not None
        x, self._x = self._x, None
        return np.asarray(2 * (delta @ self.buffers["running_codes"] - delta.sum(axis=1, keepdims=True) * x))

    def connections(self) -> int:
        """Every class sees every input."""
        return self.codes.size

    def multiply_adds(self) -> int:
        """Count a square for each connection."""
        return self.codes.size


class Activation(Layer):
    """A function of each value, by its name in `functional.ACTIVATIONS`."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.function = kind, activation(kind)
        self._y: Array | None = None

    def forward(self, x: Array, train: bool = False) -> Array:
        """F(x)."""
        y = self.function.forward(x)
        self.take(y, train)
        return y

    def take(self, y: Array, train: bool) -> None:
        """Note an output that the layer before has made already."""
        self._y = y if train else None

    def backward(self, delta: Array) -> Array:
        """f'(z) delta, from y."""
        assert self._y is not None
        y, self._y = self._y, None
        return self.function.backward(y, delta)


class Dropout(Layer):
    """Set a share of the values to zero while training, and scale the others up to make up for it."""

    kind = "dropout"

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ParameterError(f"dropout share is {share!r}: give a number from 0 to below 1")
        self.share = share
        self.random = np.random.default_rng(0)
        self._kept: Array | None = None

    def forward(self, x: Array, train: bool = False) -> Array:
        """Drop by `random` while training; otherwise nothing."""
        if not train or not self.share:
            self._kept = None
            return x
        kept = self.random.random(x.shape, np.float32) >= self.share
        self._kept = kept * np.asarray(1 / (1 - self.share), x.dtype)
        return np.asarray(x * self._kept)

    def backward(self, delta: Array) -> Array:
        """Pass what was kept."""
        return delta if self._kept is None else np.asarray(delta * self._kept)
