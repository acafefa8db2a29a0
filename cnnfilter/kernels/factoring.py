"""Kernels as sums of products of a column and a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RANK_TOLERANCE = 1e-13
"""Singular values below this fraction of the largest count as rounding."""


def rank_one(weights: Floats) -> tuple[Floats, Floats] | None:
    """Return the column and the row whose outer product the weights are, or None if there are none.

    Integers, and exact, where the weights are integers.

    Examples
    --------
    >>> rank_one(np.array([[1.0, 2], [2, 4]]))
    (array([1., 2.]), array([1., 2.]))
    """
    pair = _integer_factors(weights) or _float_factors(weights)
    return None if pair is None else _signed(*pair)


def rank(weights: Floats) -> int:
    """Count the singular values that are more than rounding.

    Examples
    --------
    >>> rank(np.eye(3))
    3
    """
    values = np.linalg.svd(_unit_scaled(weights)[0], compute_uv=False)
    return int(np.count_nonzero(values > RANK_TOLERANCE * values[0]))


def products(weights: Floats, tolerance: float) -> list[tuple[Floats, Floats]]:
    """Return the shortest list of columns and rows whose outer products sum to about the weights.

    Parameters
    ----------
    weights : float64 array of shape (U, V)
    tolerance : float
        The sum of absolute errors allowed, as a fraction of the sum of absolute weights.

    Returns
    -------
    list of (column, row)
        Singular vectors, strongest first; one pair at least.
    """
    scaled, exponent = _unit_scaled(weights)
    left, values, right = np.linalg.svd(scaled, full_matrices=False)
    allowed = tolerance * np.abs(scaled).sum()
    rest = scaled.copy()
    pairs = []
    for column, value, row in zip(left.T, values, right, strict=True):
        root = math.sqrt(value)
        rest -= np.outer(root * column, root * row)
        pairs.append((np.ldexp(root * column, exponent), root * row))
        if np.abs(rest).sum() <= allowed:
            break
    return pairs


def _unit_scaled(weights: Floats) -> tuple[Floats, int]:
    """Scale by a power of four to a largest weight in [1/4, 1), so that no product over- or underflows."""
    exponent = math.frexp(float(np.abs(weights).max()))[1]
    exponent += exponent % 2
    return np.ldexp(weights, -exponent), exponent


def _integer_factors(weights: Floats) -> tuple[Floats, Floats] | None:
    """Split integer weights of rank 1 exactly: each row is a whole multiple of one primitive row."""
    nonzero = np.flatnonzero(weights.any(axis=1))
    if nonzero.size == 0:
        return np.zeros(weights.shape[0]), np.zeros(weights.shape[1])
    if np.abs(weights).max() > 2**53 or not np.array_equal(weights, np.rint(weights)):
        return None
    first = weights[nonzero[0]]
    row = first / int(np.gcd.reduce(first.astype(np.int64)))
    pivot = int(np.abs(row).argmax())
    column = weights[:, pivot] / row[pivot]
    return (column, row) if np.array_equal(np.outer(column, row), weights) else None


def _float_factors(weights: Floats) -> tuple[Floats, Floats] | None:
    """Split weights of rank 1 by the row and the column through the largest weight.

    What this cross leaves over bounds the second singular value, and costs no singular value decomposition.
    """
    scaled, exponent = _unit_scaled(weights)
    u, v = np.unravel_index(int(np.abs(scaled).argmax()), scaled.shape)
    column, row = scaled[:, v] / scaled[u, v], scaled[u]
    product = np.outer(column, row)
    if np.linalg.norm(scaled - product) > RANK_TOLERANCE * np.linalg.norm(product):
        return None
    balance = math.sqrt(np.abs(row).sum() / np.abs(column).sum())
    return np.ldexp(column * balance, exponent // 2), np.ldexp(row / balance, exponent // 2)


def _signed(column: Floats, row: Floats) -> tuple[Floats, Floats]:
    """Choose the signs so that a smoothing factor is positive and the difference carries the sign."""
    for factor in (row, column):
        total = float(factor.sum())
        if abs(total) > 1e-9 * float(np.abs(factor).sum()):
            return (column, row) if total > 0 else (-column, -row)
    return (column, row) if row[np.flatnonzero(row)[-1:]].sum() >= 0 else (-column, -row)
