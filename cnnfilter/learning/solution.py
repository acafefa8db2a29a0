"""From moments to weights: least squares, exactly or by the notes' own descent.

Weights are written w = w0 + B t with w0 the identity kernel and B an orthonormal basis of what may change.
Symmetry and a fixed sum are then a choice of B, and the ridge pulls t to zero, that is the kernel to the
identity: directions of which the images say nothing do nothing.
"""

from dataclasses import dataclass, field

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.learning.moments import Moments
from cnnfilter.learning.pairs import Array

RIDGES = (1e-9, 1e-6, 1e-3)
"""Shares of the mean power that are tried: the sums are exact, so that the least of them does no harm, and
1e-6 moves a strong sharpening kernel by 0.01; but few or noisy pixels may be served better by more."""
_RANK_TOLERANCE = 1e-10
_MOST_STEPS = 20_000


@dataclass(frozen=True)
class Solution:
    """Weights, and how they were come by.

    Attributes
    ----------
    weights : ndarray of shape (P, D, U, V), float64
    bias : ndarray of shape (P,), float64
        In pixel values.
    curve : list of float
        Mean squared error on the training pixels at steps 0, 1, 2, 4, 8... of a descent; empty otherwise.
    """

    weights: Array
    bias: Array
    curve: list[float] = field(default_factory=list)

    def mean_square(self, moments: Moments) -> float:
        """Mean squared error on the pixels of `moments`, neither rounded nor clipped."""
        # error = (y - w.x - c) = v.z, so its square sums to v' total v
        rows = np.concatenate(
            [-self.weights.reshape(moments.targets, -1), np.eye(moments.targets), -self.bias[:, None]], axis=1
        )
        total = moments.total.astype(np.longdouble)  # the sum cancels: an error is small beside its terms
        squares = np.einsum("pi,ij,pj->p", rows, total, rows)
        return float(max(0.0, squares.sum()) / (moments.count * moments.targets))


def solve(
    moments: Moments,
    *,
    bias: bool = False,
    symmetric: bool = False,
    sum_to_one: bool = False,
    ridge: float = RIDGES[0],
    method: str = "least-squares",
) -> Solution:
    """Find the kernel of least squared error: (G + lambda I) w = b + lambda w0.

    Parameters
    ----------
    moments : Moments
    bias : bool
        Add a constant, by centring on the means.
    symmetric : bool
        The eight symmetries of the square (the four of the rectangle, if it is no square).
    sum_to_one : bool
        The weights of each output sum to 1.
    ridge : float
        lambda, as a share of the mean diagonal element of G.
    method : "least-squares" or "gradient"

    Returns
    -------
    Solution
    """
    if not (np.isfinite(ridge) and ridge >= 0):
        raise ParameterError(f"ridge is {ridge!r}: give a number >= 0, such as 1e-9")
    if method not in ("least-squares", "gradient"):
        raise ParameterError(f'method is {method!r}: give "least-squares" or "gradient"')
    gram, cross, energy = _normal_equations(moments, bias)
    start = _identity(moments)
    basis = _basis(moments, symmetric, sum_to_one)
    pull = ridge * float(np.trace(gram)) / len(gram)
    matrix = basis.T @ gram @ basis + pull * np.eye(basis.shape[1])
    right = basis.T @ (cross - gram @ start)
    curve: list[float] = []
    if method == "gradient":
        base = energy - 2 * float(np.sum(start * cross)) + float(np.sum(start * (gram @ start)))
        steps, curve = _descend(matrix, right, base)
    else:
        steps = _solved(matrix, right)
    weights = start + basis @ steps
    count = float(moments.total[-1, -1])
    means = moments.total[-1].astype(np.float64) / count
    offsets = (
        means[moments.taps : -1] - means[: moments.taps] @ weights if bias else np.zeros(moments.targets)
    )
    shape = (moments.targets, moments.taps // (moments.size[0] * moments.size[1]), *moments.size)
    return Solution(weights.T.reshape(shape), np.asarray(offsets), curve)


def determination(moments: Moments, bias: bool = False) -> tuple[int, float]:
    """Say how well weights are determined.

    Returns
    -------
    rank : int
        Eigenvalues of the Gram matrix above 1e-10 of the largest: directions the images speak about.
    condition : float
        Largest over smallest eigenvalue; inf where the smallest is rounding.
    """
    values = np.linalg.eigvalsh(_normal_equations(moments, bias)[0])
    rank = int(np.count_nonzero(values > _RANK_TOLERANCE * values[-1]))
    return rank, float(values[-1] / values[0]) if rank == len(values) else np.inf


def _normal_equations(moments: Moments, centred: bool) -> tuple[Array, Array, float]:
    """G and b over the number of pixels, and the mean square of the targets."""
    taps, count = moments.taps, float(moments.total[-1, -1])
    total = moments.total.astype(np.longdouble) / count
    if centred:
        total = total - np.outer(total[-1], total[-1])
    parts = total.astype(np.float64)
    return parts[:taps, :taps], parts[:taps, taps:-1], float(np.trace(parts[taps:-1, taps:-1]))


def _identity(moments: Moments) -> Array:
    """w0 of shape (K, P): each output copies the input channel of its own number."""
    rows, columns = moments.size
    middle = (rows - 1) // 2 * columns + (columns - 1) // 2
    channels = moments.taps // (rows * columns)
    weights = np.zeros((moments.taps, moments.targets))
    for p in range(moments.targets):
        weights[min(p, channels - 1) * rows * columns + middle, p] = 1
    return weights


def _basis(moments: Moments, symmetric: bool, sum_to_one: bool) -> Array:
    rows, columns = moments.size
    basis = np.eye(moments.taps)
    if symmetric:
        if rows % 2 == 0 or columns % 2 == 0:
            raise ParameterError(f"size {rows}x{columns} has no middle: symmetric kernels need odd sizes")
        index = np.arange(rows * columns).reshape(rows, columns)
        images = [index[::a, ::b] for a in (1, -1) for b in (1, -1)]
        if rows == columns:
            images += [image.T for image in images]
        orbits = np.min(images, axis=0).ravel()
        columns_of = np.unique(orbits)[None, :] == orbits[:, None]
        unit = columns_of / np.sqrt(columns_of.sum(axis=0))
        basis = np.kron(np.eye(moments.taps // (rows * columns)), unit)
    if sum_to_one:  # deviations from the identity sum to 0
        sums = basis.sum(axis=0)
        basis = basis @ np.linalg.svd(sums[None, :])[2][1:].T
    return np.asarray(basis)


def _solved(matrix: Array, right: Array) -> Array:
    try:
        half = np.linalg.cholesky(matrix)
        return np.asarray(np.linalg.solve(half.T, np.linalg.solve(half, right)))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
        kept = values > _RANK_TOLERANCE * max(values[-1], 0)
        vectors = vectors[:, kept]
        return np.asarray(vectors @ ((vectors.T @ right) / values[kept, None]))


def _descend(matrix: Array, right: Array, base: float) -> tuple[Array, list[float]]:
    """Descend along equation 27's gradient, (W (x) X - Y) (x) X, with Nesterov's momentum.

    The gradient is linear in W, so the sums that are already gathered give it without a pass over the images.
    """
    values = np.linalg.eigvalsh(matrix)
    if values[-1] <= 0:
        return np.zeros_like(right), [base]
    ratio = np.sqrt(max(values[0], 1e-12 * values[-1]) / values[-1])
    momentum = (1 - ratio) / (1 + ratio)
    point, before = np.zeros_like(right), np.zeros_like(right)
    curve = [base]
    goal = 1e-12 * float(np.abs(right).max())
    for step in range(1, _MOST_STEPS + 1):
        ahead = point + momentum * (point - before)
        gradient = matrix @ ahead - right
        point, before = ahead - gradient / values[-1], point
        if step & (step - 1) == 0:
            curve.append(base + float(np.sum(point * (matrix @ point - 2 * right))))
        if float(np.abs(gradient).max()) <= goal:
            break
    return point, curve
