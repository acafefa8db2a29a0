"""Activations and their derivatives, each derivative written in terms of the activation's output.

So a layer keeps its output alone: equations 45 and 46 need f'(Z), and for every function here f'(Z)
follows from Y = f(Z).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from cnnfilter.core.jit.compiled import Loop, function
from cnnfilter.core.memory import aligned_empty
from cnnfilter.errors import ParameterError
from cnnfilter.nn.functional.windows import Array

_REALS = {"f": "f32", "d": "f64"}
LEAKY_SLOPE = 0.01
# LeCun 1998: f(1) = 1 and f(-1) = -1, the second derivative largest there.
TANH_SCALE, TANH_SLOPE = 1.7159, 2 / 3


@dataclass(frozen=True)
class Activation:
    """A function ``y = forward(z)`` and its ``dz = backward(y, delta)``."""

    name: str
    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


def identity(z: Array) -> Array:
    """Return `z` itself."""
    return z


def identity_backward(y: Array, delta: Array) -> Array:
    """Return `delta` itself."""
    return delta


def relu(z: Array) -> Array:
    """max(z, 0).

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return np.asarray(np.maximum(z, 0))


def relu_backward(y: Array, delta: Array) -> Array:
    """Gradient of `relu` from its output; 0 at 0."""
    if y.dtype != delta.dtype or y.dtype.char not in _REALS or y.shape != delta.shape:
        return np.asarray(delta * (y > 0))
    y, delta = np.ascontiguousarray(y), np.ascontiguousarray(delta)
    out = aligned_empty(y.shape, y.dtype)
    _gate(y.dtype.char)(y.ctypes.data, delta.ctypes.data, out.ctypes.data, y.size)
    return out


def leaky_relu(z: Array, slope: float = LEAKY_SLOPE) -> Array:
    """Z where positive, ``slope * z`` elsewhere; 0 <= slope <= 1."""
    return np.asarray(np.maximum(z, z * slope))


def leaky_relu_backward(y: Array, delta: Array, slope: float = LEAKY_SLOPE) -> Array:
    """Gradient of `leaky_relu` from its output."""
    return np.where(y > 0, delta, delta * slope)


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), without overflow, accurate in both tails.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1, small) / (1 + small))


def sigmoid_backward(y: Array, delta: Array) -> Array:
    """Gradient of `sigmoid` from its output: y (1 - y) delta."""
    return np.asarray(delta * y * (1 - y))


def tanh(z: Array) -> Array:
    """Hyperbolic tangent."""
    return np.asarray(np.tanh(z))


def tanh_backward(y: Array, delta: Array) -> Array:
    """Gradient of `tanh` from its output: (1 - y²) delta."""
    return np.asarray(delta * (1 - y * y))


def scaled_tanh(z: Array) -> Array:
    """1.7159 tanh(2 z / 3), the activation of LeNet-5 in 1998."""
    return np.asarray(TANH_SCALE * np.tanh(TANH_SLOPE * z))


def scaled_tanh_backward(y: Array, delta: Array) -> Array:
    """Gradient of `scaled_tanh` from its output."""
    return np.asarray(delta * (TANH_SLOPE * TANH_SCALE - (TANH_SLOPE / TANH_SCALE) * (y * y)))


@cache
def _gate(char: str) -> Callable[..., None]:
    return function(
        Loop(
            "cnnfilter.nn.functional.poolloops",
            "gate",
            (),
            "void({0}*, {0}*, {0}*, i64)".format(_REALS[char]),
        )
    )


def softmax(z: Array, axis: int = 1) -> Array:
    """exp(z) over its sum along `axis`, default the channels.

    Examples
    --------
    >>> softmax(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    powers = np.exp(z - z.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def softmax_backward(y: Array, delta: Array, axis: int = 1) -> Array:
    """Gradient of `softmax` from its output: y (delta - sum(y delta))."""
    return np.asarray(y * (delta - (y * delta).sum(axis=axis, keepdims=True)))


def log_softmax(z: Array, axis: int = 1) -> Array:
    """Logarithm of `softmax`, without underflow."""
    shifted = z - z.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def log_softmax_backward(y: Array, delta: Array, axis: int = 1) -> Array:
    """Gradient of `log_softmax` from its output: delta - exp(y) sum(delta)."""
    return np.asarray(delta - np.exp(y) * delta.sum(axis=axis, keepdims=True))


ACTIVATIONS = {
    a.name: a
    for a in (
        Activation("identity", identity, identity_backward),
        Activation("relu", relu, relu_backward),
        Activation("leaky_relu", leaky_relu, leaky_relu_backward),
        Activation("sigmoid", sigmoid, sigmoid_backward),
        Activation("tanh", tanh, tanh_backward),
        Activation("scaled_tanh", scaled_tanh, scaled_tanh_backward),
        Activation("softmax", softmax, softmax_backward),
        Activation("log_softmax", log_softmax, log_softmax_backward),
    )
}


def activation(name: str) -> Activation:
    """Look an activation up by name.

    Examples
    --------
    >>> activation("relu").forward(np.array([-3.0, 3.0])).tolist()
    [0.0, 3.0]
    """
    if name not in ACTIVATIONS:
        raise ParameterError(f"activation is {name!r}: choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
