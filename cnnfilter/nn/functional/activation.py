"""Activations and their derivatives, each derivative written in terms of the activation's output.

They take float32 or float64 arrays of any shape, and a gradient of the shape and dtype of the output; other
types are a DtypeError, other shapes a ParameterError.

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
from cnnfilter.nn.functional.arrays import in_order, require_both, require_floats
from cnnfilter.nn.functional.softmaxes import log_softmax, log_softmax_backward, softmax, softmax_backward
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
    """Return `z` itself.

    Parameters
    ----------
    z : array of any shape
        float32 or float64.

    Returns
    -------
    array
        Of the shape and type of `z`.

    Raises
    ------
    DtypeError
        Arrays that are not float32 or float64.

    Examples
    --------
    >>> identity(np.array([-1.0, 2.0])).tolist()
    [-1.0, 2.0]
    """
    return require_floats(z, "z")


def identity_backward(y: Array, delta: Array) -> Array:
    """Return `delta` itself.

    Parameters
    ----------
    y, delta : arrays of one shape and type
        What `identity` gave, and the gradient with respect to that.

    Returns
    -------
    array
        The gradient with respect to `z`, of the same shape and type.

    Examples
    --------
    >>> identity_backward(np.zeros(2), np.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """
    require_both(y, delta)
    return delta


def relu(z: Array) -> Array:
    """max(z, 0).

    Parameters
    ----------
    z : array of any shape
        float32 or float64.

    Returns
    -------
    array
        Of the shape and type of `z`.

    Raises
    ------
    DtypeError
        Arrays that are not float32 or float64.

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    out = aligned_empty(require_floats(z, "z").shape, z.dtype)
    return np.asarray(np.maximum(z, 0, out=out))


def relu_backward(y: Array, delta: Array) -> Array:
    """Gradient of `relu` from its output; 0 at 0.

    Parameters
    ----------
    y, delta : arrays of one shape and type
        What `relu` gave, and the gradient with respect to that.

    Returns
    -------
    array
        The gradient with respect to `z`, of the same shape and type.

    Examples
    --------
    >>> relu_backward(np.array([0.0, 2.0]), np.array([3.0, 4.0])).tolist()
    [0.0, 4.0]
    """
    require_both(y, delta)
    y, delta = in_order(y), in_order(delta)
    out = aligned_empty(y.shape, y.dtype)
    _gate(y.dtype.char)(y.ctypes.data, delta.ctypes.data, out.ctypes.data, y.size)
    return out


def leaky_relu(z: Array, slope: float = LEAKY_SLOPE) -> Array:
    """Z where positive, ``slope * z`` elsewhere; 0 <= slope <= 1.

    Parameters
    ----------
    z : array of any shape
        float32 or float64.
    slope : float, default 0.01
        From 0 to 1.

    Returns
    -------
    array
        Of the shape and type of `z`.

    Raises
    ------
    DtypeError
        Arrays that are not float32 or float64, or another slope than a number.
    ParameterError
        A slope out of range.

    Examples
    --------
    >>> leaky_relu(np.array([-1.0, 2.0]), slope=0.5).tolist()
    [-0.5, 2.0]
    """
    return np.asarray(np.maximum(require_floats(z, "z"), z * _checked_slope(slope)))


def leaky_relu_backward(y: Array, delta: Array, slope: float = LEAKY_SLOPE) -> Array:
    """Gradient of `leaky_relu` from its output.

    Parameters
    ----------
    y, delta : arrays of one shape and type
        What `leaky_relu` gave, and the gradient with respect to that.
    slope : float, default 0.01
        From 0 to 1.

    Returns
    -------
    array
        The gradient with respect to `z`, of the same shape and type.

    Examples
    --------
    >>> leaky_relu_backward(np.array([-0.5, 2.0]), np.array([3.0, 4.0]), slope=0.5).tolist()
    [1.5, 4.0]
    """
    require_both(y, delta)
    return np.where(y > 0, delta, delta * _checked_slope(slope))


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), without overflow, accurate in both tails.

    Parameters
    ----------
    z : array of any shape
        float32 or float64.

    Returns
    -------
    array
        Of the shape and type of `z`.

    Raises
    ------
    DtypeError
        Arrays that are not float32 or float64.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(require_floats(z, "z")))
    return np.asarray(np.where(z >= 0, 1, small) / (1 + small))


def sigmoid_backward(y: Array, delta: Array) -> Array:
    """Gradient of `sigmoid` from its output: y (1 - y) delta.

    Parameters
    ----------
    y, delta : arrays of one shape and type
        What `sigmoid` gave, and the gradient with respect to that.

    Returns
    -------
    array
        The gradient with respect to `z`, of the same shape and type.

    Examples
    --------
    >>> sigmoid_backward(np.array([0.5, 1.0]), np.array([4.0, 4.0])).tolist()
    [1.0, 0.0]
    """
    require_both(y, delta)
    return np.asarray(delta * y * (1 - y))


def tanh(z: Array) -> Array:
    """Hyperbolic tangent.

    Parameters
    ----------
    z : array of any shape
        float32 or float64.

    Returns
    -------
    array
        Of the shape and type of `z`.

    Raises
    ------
    DtypeError
        Arrays that are not float32 or float64.

    Examples
    --------
    >>> tanh(np.array([0.0, 100.0])).tolist()
    [0.0, 1.0]
    """
    return np.asarray(np.tanh(require_floats(z, "z")))


def tanh_backward(y: Array, delta: Array) -> Array:
    """Gradient of `tanh` from its output: (1 - y²) delta.

    Parameters
    ----------
    y, delta : arrays of one shape and type
        What `tanh` gave, and the gradient with respect to that.

    Returns
    -------
    array
        The gradient with respect to `z`, of the same shape and type.

    Examples
    --------
    >>> tanh_backward(np.array([0.0, 0.5]), np.array([4.0, 4.0])).tolist()
    [4.0, 3.0]
    """
    require_both(y, delta)
    return np.asarray(delta * (1 - y * y))


def scaled_tanh(z: Array) -> Array:
    """1.7159 tanh(2 z / 3), the activation of LeNet-5 in 1998.

    Parameters
    ----------
    z : array of any shape
        float32 or float64.

    Returns
    -------
    array
        Of the shape and type of `z`.

    Raises
    ------
    DtypeError
        Arrays that are not float32 or float64.

    Examples
    --------
    >>> scaled_tanh(np.array([-1.0, 1.0])).round(3).tolist()
    [-1.0, 1.0]
    """
    return np.asarray(TANH_SCALE * np.tanh(TANH_SLOPE * require_floats(z, "z")))


def scaled_tanh_backward(y: Array, delta: Array) -> Array:
    """Gradient of `scaled_tanh` from its output.

    Parameters
    ----------
    y, delta : arrays of one shape and type
        What `scaled_tanh` gave, and the gradient with respect to that.

    Returns
    -------
    array
        The gradient with respect to `z`, of the same shape and type.

    Examples
    --------
    >>> scaled_tanh_backward(np.array([0.0, 1.7159]), np.array([1.0, 1.0])).round(4).tolist()
    [1.1439, 0.0]
    """
    require_both(y, delta)
    return np.asarray(delta * (TANH_SLOPE * TANH_SCALE - (TANH_SLOPE / TANH_SCALE) * (y * y)))


@cache
def _gate(char: str) -> Callable[..., None]:
    return function(
        Loop(
            "cnnfilter.nn.functional.loops.pooling",
            "gate",
            (),
            "void({0}*, {0}*, {0}*, i64)".format(_REALS[char]),
        )
    )


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


def _checked_slope(slope: float) -> float:
    if not isinstance(slope, float | int | np.floating | np.integer):
        raise DtypeError(f"slope is {slope!r}: give a number from 0 to 1")
    if not 0 <= slope <= 1:
        raise ParameterError(f"slope is {slope!r}: give a number from 0 to 1")
    return float(slope)
