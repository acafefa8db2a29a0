"""Softmax and its logarithm along one axis, and their derivatives, written in terms of the output.

As other activations they take float32 or float64 arrays, and a gradient of the shape and dtype of the output;
other types are a DtypeError, other shapes a ParameterError.
"""

import numpy as np

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.nn.functional.arrays import in_order, require_both, require_floats
from cnnfilter.nn.functional.windows import Array


def softmax(z: Array, axis: int = 1) -> Array:
    """exp(z) over its sum along `axis`, default the channels.

    Parameters
    ----------
    z : array of any shape
        float32 or float64.
    axis : int, default 1
        The axis whose values are classes; by default the channels.

    Returns
    -------
    array
        Of the shape and type of `z`.

    Raises
    ------
    DtypeError
        Arrays that are not float32 or float64, or another axis than an integer.
    ParameterError
        An axis that is not there or empty.

    Examples
    --------
    >>> softmax(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    z, axis = in_order(require_floats(z, "z")), _checked_axis(z, axis)
    powers = np.exp(z - z.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def softmax_backward(y: Array, delta: Array, axis: int = 1) -> Array:
    """Gradient of `softmax` from its output: y (delta - sum(y delta)).

    Parameters
    ----------
    y, delta : arrays of one shape and type
        What `softmax` gave, and the gradient with respect to that.
    axis : int, default 1
        The axis whose values are classes; by default the channels.

    Returns
    -------
    array
        The gradient with respect to `z`, of the same shape and type.

    Examples
    --------
    >>> softmax_backward(np.array([[0.25, 0.75]]), np.array([[1.0, 0.0]])).tolist()
    [[0.1875, -0.1875]]
    """
    require_both(y, delta)
    y, delta, axis = in_order(y), in_order(delta), _checked_axis(y, axis)
    return np.asarray(y * (delta - (y * delta).sum(axis=axis, keepdims=True)))


def log_softmax(z: Array, axis: int = 1) -> Array:
    """Logarithm of `softmax`, without underflow.

    Parameters
    ----------
    z : array of any shape
        float32 or float64.
    axis : int, default 1
        The axis whose values are classes; by default the channels.

    Returns
    -------
    array
        Of the shape and type of `z`.

    Raises
    ------
    DtypeError
        Arrays that are not float32 or float64, or another axis than an integer.
    ParameterError
        An axis that is not there or empty.

    Examples
    --------
    >>> np.exp(log_softmax(np.zeros((1, 4)))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    z, axis = in_order(require_floats(z, "z")), _checked_axis(z, axis)
    shifted = z - z.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def log_softmax_backward(y: Array, delta: Array, axis: int = 1) -> Array:
    """Gradient of `log_softmax` from its output: delta - exp(y) sum(delta).

    Parameters
    ----------
    y, delta : arrays of one shape and type
        What `log_softmax` gave, and the gradient with respect to that.
    axis : int, default 1
        The axis whose values are classes; by default the channels.

    Returns
    -------
    array
        The gradient with respect to `z`, of the same shape and type.

    Examples
    --------
    >>> log_softmax_backward(np.zeros((1, 1)), np.ones((1, 1))).tolist()
    [[0.0]]
    """
    require_both(y, delta)
    y, delta, axis = in_order(y), in_order(delta), _checked_axis(y, axis)
    return np.asarray(delta - np.exp(y) * delta.sum(axis=axis, keepdims=True))


def _checked_axis(z: Array, axis: int) -> int:
    """Return the axis that softmax sums along, which must hold a value."""
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise DtypeError(f"axis is {axis!r}: give an integer")
    if not -z.ndim <= axis < z.ndim or not z.shape[axis]:
        raise ParameterError(f"axis is {axis}: choose one that is not empty of shape {z.shape}")
    return int(axis)
