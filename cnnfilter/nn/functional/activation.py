"""Activations and their derivatives, each derivative written in terms of the activation's output.

They take float32 or float64 arrays of any shape, and a gradient of the shape and dtype of the output.

So a layer keeps its output alone: equations 45 and 46 need f'(Z), and for every function here f'(Z)
follows from Y = f(Z).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from cnnfilter.core.jit.compiled import Loop, function
from cnnfilter.core.memory import aligned_empty
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.nn.functional.arrays import in_order, require_floats, require_like
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
    return require_floats(z, "z")


def identity_backward(y: Array, delta: Array) -> Array:
    """Return `delta` itself."""
    _require_both(y, delta)
    return delta


def relu(z: Array) -> Array:
    """max(z, 0).

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    out = aligned_empty(require_floats(z, "z").shape, z.dtype)
    return np.asarray(np.maximum(z, 0, out=out))


def relu_backward(y: Array, delta: Array) -> Array:
    """Gradient of `relu` from its output; 0 at 0."""
    _require_both(y, delta)
    y, delta = in_order(y), in_order(delta)
    out = aligned_empty(y.shape, y.dtype)
    _gate(y.dtype.char)(y.ctypes.data, delta.ctypes.data, out.ctypes.data, y.size)
    return out


def leaky_relu(z: Array, slope: float = LEAKY_SLOPE) -> Array:
    """Z where positive, ``slope * z`` elsewhere; 0 <= slope <= 1."""
    return np.asarray(np.maximum(require_floats(z, "z"), z * _checked_slope(slope)))


def leaky_relu_backward(y: Array, delta: Array, slope: float = LEAKY_SLOPE) -> Array:
    """Gradient of `leaky_relu` from its output."""
    _require_both(y, delta)
    return np.where(y > 0, delta, delta * _checked_slope(slope))


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), without overflow, accurate in both tails.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(require_floats(z, "z")))
    return np.asarray(np.where(z >= 0, 1, small) / (1 + small))


def sigmoid_backward(y: Array, delta: Array) -> Array:
    """Gradient of `sigmoid` from its output: y (1 - y) delta."""
    _require_both(y, delta)
    return np.asarray(delta * y * (1 - y))


def tanh(z: Array) -> Array:
    """Hyperbolic tangent."""
    return np.asarray(np.tanh(require_floats(z, "z")))


def tanh_backward(y: Array, delta: Array) -> Array:
    """Gradient of `tanh` from its output: (1 - y²) delta."""
    _require_both(y, delta)
    return np.asarray(delta * (1 - y * y))


def scaled_tanh(z: Array) -> Array:
    """1.7159 tanh(2 z / 3), the activation of LeNet-5 in 1998."""
    return np.asarray(TANH_SCALE * np.tanh(TANH_SLOPE * require_floats(z, "z")))


def scaled_tanh_backward(y: Array, delta: Array) -> Array:
    """Gradient of `scaled_tanh` from its output."""
    _require_both(y, delta)
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
    z, axis = in_order(require_floats(z, "z")), _checked_axis(z, axis)
    powers = np.exp(z - z.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def softmax_backward(y: Array, delta: Array, axis: int = 1) -> Array:
    """Gradient of `softmax` from its output: y (delta - sum(y delta))."""
    _require_both(y, delta)
    y, delta, axis = in_order(y), in_order(delta), _checked_axis(y, axis)
    return np.asarray(y * (delta - (y * delta).sum(axis=axis, keepdims=True)))


def log_softmax(z: Array, axis: int = 1) -> Array:
    """Logarithm of `softmax`, without underflow."""
    z, axis = in_order(require_floats(z, "z")), _checked_axis(z, axis)
    shifted = z - z.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def log_softmax_backward(y: Array, delta: Array, axis: int = 1) -> Array:
    """Gradient of `log_softmax` from its output: delta - exp(y) sum(delta)."""
    _require_both(y, delta)
    y, delta, axis = in_order(y), in_order(delta), _checked_axis(y, axis)
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

    Returns
    -------
    Activation
        ``forward(z)`` and ``backward(y, delta)``, of float32 or float64 arrays of any equal shape.

    Raises
    ------
    ParameterError
        A name that is none of `ACTIVATIONS`.

    Examples
    --------
    >>> activation("relu").forward(np.array([-3.0, 3.0])).tolist()
    [0.0, 3.0]
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ParameterError(f"activation is {name!r}: choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _require_both(y: Array, delta: Array) -> None:
    require_like(delta, "delta", require_floats(y, "y").shape, y.dtype)


def _checked_slope(slope: float) -> float:
    if not isinstance(slope, float | int | np.floating | np.integer):
        raise DtypeError(f"slope is {slope!r}: give a number from 0 to 1")
    if not 0 <= slope <= 1:
        raise ParameterError(f"slope is {slope!r}: give a number from 0 to 1")
    return float(slope)


def _checked_axis(z: Array, axis: int) -> int:
    """Return the axis that softmax sums along, which must hold a value."""
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise DtypeError(f"axis is {axis!r}: give an integer")
    if not -z.ndim <= axis < z.ndim or not z.shape[axis]:
        raise ParameterError(f"axis is {axis}: choose one that is not empty of shape {z.shape}")
    return int(axis)
