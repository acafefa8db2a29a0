"""Losses: how wrong scores are, and the gradient with respect to them."""

from collections.abc import Callable

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.nn.functional import log_softmax
from cnnfilter.nn.functional.windows import Array

Loss = Callable[[Array, Array], tuple[float, Array]]

# Of a class that is none of the others and lies at this squared distance from everything.
RUBBISH_DISTANCE = 10.0


def cross_entropy(scores: Array, labels: Array) -> tuple[float, Array]:
    """Mean of ``-log softmax(scores)[label]``, and its gradient (softmax - one-hot) / N.

    Parameters
    ----------
    scores : ndarray of shape (N, classes)
    labels : ndarray of int of shape (N,)

    Examples
    --------
    >>> loss, delta = cross_entropy(np.zeros((1, 2)), np.array([1]))
    >>> round(loss, 6), delta.tolist()
    (0.693147, [[0.5, -0.5]])
    """
    logs = log_softmax(scores)
    rows = np.arange(len(labels))
    delta = np.exp(logs)
    delta[rows, labels] -= 1
    return float(-logs[rows, labels].mean()), np.asarray(delta / len(labels))


def radial(scores: Array, labels: Array) -> tuple[float, Array]:
    """LeNet-5's criterion for distances: ``d_label + log(exp(-j) + sum over i of exp(-d_i))``, the mean.

    The second term pushes the wrong classes away; j keeps it from pushing those that are far already.

    Parameters
    ----------
    scores : float array of shape (N, classes)
        Minus the distances d.
    labels : integer array of shape (N,)

    Returns
    -------
    loss : float
    delta : ndarray of the shape and type of `scores`
        Its gradient.
    """
    rubbish = np.full((len(scores), 1), -RUBBISH_DISTANCE, scores.dtype)
    loss, delta = cross_entropy(np.concatenate([scores, rubbish], axis=1), labels)
    return loss, np.ascontiguousarray(delta[:, :-1])


def squared_error(values: Array, wanted: Array, mask: Array | None = None) -> tuple[float, Array]:
    """Half the sum of the squared errors, and its gradient: the errors themselves.

    Parameters
    ----------
    values, wanted : ndarray of equal shape
    mask : ndarray of bool, optional
        Which values count; the others are no error.

    Examples
    --------
    >>> loss, delta = squared_error(np.array([1.0, 4.0]), np.array([3.0, 3.0]), np.array([True, False]))
    >>> loss, delta.tolist()
    (2.0, [-2.0, 0.0])
    """
    delta = _errors(values, wanted, mask)
    return 0.5 * float(np.vdot(delta, delta)), delta


def absolute_error(values: Array, wanted: Array, mask: Array | None = None) -> tuple[float, Array]:
    """Sum of the absolute errors, and its gradient: their signs.

    Parameters
    ----------
    values, wanted : ndarray of equal shape
    mask : ndarray of bool, optional
        Which values count; the others are no error.

    Examples
    --------
    >>> loss, delta = absolute_error(np.array([1.0, 4.0]), np.array([3.0, 3.0]), np.array([True, False]))
    >>> loss, delta.tolist()
    (2.0, [-1.0, 0.0])
    """
    delta = _errors(values, wanted, mask)
    return float(np.abs(delta).sum()), np.sign(delta)


def _errors(values: Array, wanted: Array, mask: Array | None) -> Array:
    delta = values - wanted
    if mask is not None:
        delta[~mask] = 0
    return delta


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "radial": radial}


def loss_named(name: str) -> Loss:
    """Look a loss up by name."""
    if name not in LOSSES:
        raise ParameterError(f"loss is {name!r}: choose one of {', '.join(LOSSES)}")
    return LOSSES[name]
