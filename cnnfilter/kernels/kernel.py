"""The kernel: what a filter computes, apart from how it is computed.

Every kernel in this package is written for **correlation** (equation 13 of the notes): the output at
``(i, j)`` is ``sum(array[u, v] * image[i + u, j + v])``, so a kernel printed on paper lies over the image as
it stands. Convolution (equation 8) is the same thing with :meth:`Kernel.rotated`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.errors import DtypeError, ParameterError, real_number
from cnnfilter.kernels import kerneltext

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MAX_SIDE = 4097
"""Largest number of rows or columns: the default size of a Gaussian of sigma 512."""

RANK_TOLERANCE = 1e-13
"""Singular values below this fraction of the largest count as rounding."""


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Kernel:
    """A matrix of weights over a divisor; it never changes.

    Parameters
    ----------
    weights : array_like of shape (U, V) or (V,)
        Real finite numbers, 1 to 4097 rows and columns; one dimension makes one row. They are copied to
        float64.
    divisor : float, default 1
        What the weighted sum is divided by; finite, not 0. An integer template stays readable this way.
    name : str, default ""
        A label for messages. It takes no part in equality.
    meta : mapping, optional
        Free notes that travel with a kernel file, such as how the kernel was learned. They take no part in
        equality.
    sigmas : pair of float, optional
        Standard deviations along rows and columns, if the kernel is a Gaussian's template: they tell what
        may stand for it where an approximation is asked for. They take no part in equality either, and are
        not written to files.

    Raises
    ------
    ParameterError
        Empty, ragged, non-finite or too large weights, more than two dimensions, a divisor that is 0 or not
        finite, or integers beyond 2**53, which float64 cannot hold.
    DtypeError
        Weights that are not real numbers: complex, bool, text, objects.

    Examples
    --------
    >>> blur = Kernel([[1, 2, 1], [2, 4, 2], [1, 2, 1]], divisor=16, name="blur")
    >>> blur.sum, blur.rank, blur.separable()
    (1.0, 1, True)
    >>> blur.factors()
    (array([1., 2., 1.]), array([1., 2., 1.]))

    Kernels are added, subtracted and scaled, and read like arrays (of `array`: the divisor is applied):

    >>> print(2 * blur - Kernel([[0, 0, 0], [0, 16, 0], [0, 0, 0]], 16))
     2  4  2
     4 -8  4
     2  4  2
    / 16
    >>> blur[1, 1], np.asarray(blur).sum()
    (np.float64(0.25), np.float64(1.0))
    """

    # NumPy's numbers and arrays leave `*`, `+` and `-` to the kernel.
    __array_priority__ = 1000

    weights: Floats
    divisor: float
    name: str
    meta: Mapping[str, Any]
    sigmas: tuple[float, float] | None

    def __init__(
        self,
        weights: ArrayLike,
        divisor: float = 1.0,
        name: str = "",
        meta: Mapping[str, Any] | None = None,
        *,
        sigmas: tuple[float, float] | None = None,
    ) -> None:
        values = _checked_weights(weights)
        frozen = _frozen(values)
        object.__setattr__(self, "weights", frozen)
        object.__setattr__(self, "divisor", _checked_divisor(divisor))
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "meta", MappingProxyType(dict(meta or {})))
        object.__setattr__(self, "sigmas", sigmas)
        largest = max(abs(float(frozen.max())), abs(float(frozen.min())))
        if not math.isfinite(largest / abs(self.divisor)):
            raise ParameterError(
                f"weights up to {largest:g} over the divisor {self.divisor:g} overflow float64"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, ``(U, V)``."""
        rows, columns = self.weights.shape
        return rows, columns

    @cached_property
    def array(self) -> Floats:
        """``weights / divisor``, float64 of shape (U, V), read-only."""
        if self.divisor == 1:
            return self.weights
        return _frozen(self.weights / self.divisor)

    @property
    def nbytes(self) -> int:
        """Bytes of the weights and of :attr:`array`, made already or not."""
        return self.weights.nbytes * (1 if self.divisor == 1 else 2)

    @property
    def sum(self) -> float:
        """Sum of :attr:`array`: the gain on a constant image."""
        return float(self.weights.sum()) / self.divisor

    @property
    def sums_to_one(self) -> bool:
        """Whether it leaves a constant image unchanged, to within rounding of its weights."""
        return abs(self.sum - 1) < 1e-12

    @property
    def is_weighted_mean(self) -> bool:
        """Whether its results lie among the pixels: no weight is negative, and their sum is 1."""
        return self.sums_to_one and bool(self.array.min() >= 0)

    @cached_property
    def rank(self) -> int:
        """Number of singular values above 1e-13 of the largest; 0 for a kernel of zeros."""
        if not self.weights.any():
            return 0
        if self._factors is not None:
            return 1
        values = np.linalg.svd(_unit_scaled(self.weights)[0], compute_uv=False)
        return max(2, int(np.count_nonzero(values > RANK_TOLERANCE * values[0])))

    def separable(self) -> bool:
        """Tell whether a column pass and a row pass do the work of the whole kernel."""
        return self._factors is not None

    def factors(self) -> tuple[Floats, Floats] | None:
        """Split the weights into a column and a row, if they have rank 1.

        The divisor stays outside: ``array == np.outer(column, row) / divisor``.

        Returns
        -------
        (column, row) : arrays of shape (U,) and (V,), or None
            Integers, and exact, where the weights are integers; otherwise scaled so that both have the same
            sum of absolute values (both sum to 1 for a normalised Gaussian). None if the rank is above 1, by
            a test relative to the largest singular value (1e-13).

        Examples
        --------
        >>> Kernel([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]).factors()
        (array([1., 2., 1.]), array([-1.,  0.,  1.]))
        """
        if self._factors is None:
            return None
        column, row = self._factors
        return column.copy(), row.copy()

    def terms(self, tolerance: float = RANK_TOLERANCE) -> list[tuple[Floats, Floats]]:
        """Write the weights as the shortest sum of outer products that is close enough.

        Parameters
        ----------
        tolerance : float, default 1e-13
            The sum of absolute errors allowed, as a fraction of the sum of absolute weights. It bounds the
            error of a filtered image by ``tolerance * sum|array| * max|image|``.

        Returns
        -------
        list of (column, row)
            At least one pair, so that ``array`` is about ``sum(np.outer(c, r)) / divisor``. They are singular
            vectors, strongest first; rank 1 gives :meth:`factors`.

        Examples
        --------
        >>> plus = Kernel([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
        >>> len(plus.terms())
        2
        """
        if not tolerance >= 0:
            raise ParameterError(f"tolerance {tolerance!r} is not a number of 0 or more")
        if (pair := self.factors()) is not None:
            return [pair]
        scaled, exponent = _unit_scaled(self.weights)
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

    @cached_property
    def symmetry(self) -> frozenset[str]:
        """The symmetries that hold exactly.

        Of ``x-symmetric``, ``x-antisymmetric`` (columns mirrored), ``y-symmetric``, ``y-antisymmetric`` (rows
        mirrored), ``point-symmetric``, ``point-antisymmetric`` (rotated by 180 degrees) and
        ``transpose-symmetric``.

        Examples
        --------
        >>> sorted(Kernel([-1, 0, 1]).symmetry)
        ['point-antisymmetric', 'x-antisymmetric', 'y-symmetric']
        """
        w = self.weights
        mirrored = {"x": w[:, ::-1], "y": w[::-1], "point": w[::-1, ::-1]}
        found = {f"{axis}-symmetric" for axis, other in mirrored.items() if np.array_equal(w, other)}
        found |= {f"{axis}-antisymmetric" for axis, other in mirrored.items() if np.array_equal(w, -other)}
        if np.array_equal(w, w.T):
            found.add("transpose-symmetric")
        return frozenset(found)

    def rotated(self) -> Kernel:
        """Turn the kernel by 180 degrees: correlation with it is convolution with the original (14, 15)."""
        return self._turned

    def normalized(self) -> Kernel:
        """Replace the divisor by the sum of the weights, so that the kernel sums to 1.

        Raises
        ------
        ParameterError
            The weights sum to 0, to within rounding.
        """
        total = float(self.weights.sum())
        if abs(total) <= RANK_TOLERANCE * float(np.abs(self.weights).sum()):
            raise ParameterError(
                "the weights sum to 0 and cannot be normalised; a kernel with another sum can"
            )
        return Kernel(self.weights, total)

    def scaled(self, factor: float) -> Kernel:
        """Multiply the weights by ``factor``; the divisor stays."""
        if not math.isfinite(factor):
            raise ParameterError(f"factor {factor!r} is not a finite number")
        with np.errstate(over="ignore"):
            return Kernel(self.weights * factor, self.divisor)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Kernel:
        """Read a kernel file; see :func:`cnnfilter.kernels.kernelfile.load`."""
        from cnnfilter.kernels.kernelfile import load

        return load(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a kernel file; see :func:`cnnfilter.kernels.kernelfile.save`."""
        from cnnfilter.kernels.kernelfile import save

        save(self, path)

    @classmethod
    def parse(cls, text: str) -> Kernel:
        """Read a kernel written as text; see :func:`cnnfilter.kernels.kernelfile.parse`.

        Examples
        --------
        >>> Kernel.parse("1 2 1; 2 4 2; 1 2 1 / 16").sum
        1.0
        """
        from cnnfilter.kernels.kernelfile import parse

        return parse(text)

    def __eq__(self, other: object) -> bool:
        """Equal weights and divisor; name and meta are labels."""
        if not isinstance(other, Kernel):
            return NotImplemented
        return self.divisor == other.divisor and np.array_equal(self.weights, other.weights)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Adding 0 turns -0.0, which equals 0.0, into 0.0.
        return hash((self.shape, self.divisor, (self.weights + 0.0).tobytes()))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.array, dtype=dtype, copy=copy)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __len__(self) -> int:
        return self.shape[0]

    def __mul__(self, factor: float) -> Kernel:
        if not isinstance(factor, Real):
            return NotImplemented
        return self.scaled(float(factor))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Kernel:
        if not isinstance(divisor, Real):
            return NotImplemented
        return Kernel(self.weights, self.divisor * _checked_divisor(divisor))

    def __neg__(self) -> Kernel:
        return self.scaled(-1.0)

    def __add__(self, other: Kernel) -> Kernel:
        if not isinstance(other, Kernel):
            return NotImplemented
        if self.shape != other.shape:
            (rows, columns), (others, across) = self.shape, other.shape
            raise ParameterError(
                f"kernels of {rows}x{columns} and {others}x{across} cannot be added; give both one size"
            )
        if self.divisor == other.divisor:
            return Kernel(self.weights + other.weights, self.divisor)
        return Kernel(self.array + other.array)

    def __sub__(self, other: Kernel) -> Kernel:
        return self + -other if isinstance(other, Kernel) else NotImplemented

    def __str__(self) -> str:
        """Show the weights; of large kernels the corners."""
        return kerneltext.table(self, kerneltext.SHOWN)

    def _repr_html_(self) -> str:
        return kerneltext.html(self)

    def __repr__(self) -> str:
        rows, columns = self.shape
        label = f" {self.name!r}" if self.name else ""
        return f"<Kernel{label} {rows}x{columns}, sum {self.sum:.6g}>"

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _restored, (self.weights, self.divisor, self.name, dict(self.meta), self.sigmas)

    @cached_property
    def _turned(self) -> Kernel:
        # A Gaussian is the same either way.
        return Kernel(self.weights[::-1, ::-1], self.divisor, sigmas=self.sigmas)

    @cached_property
    def _factors(self) -> tuple[Floats, Floats] | None:
        pair = _integer_factors(self.weights) or _float_factors(self.weights)
        if pair is None:
            return None
        column, row = _signed(*pair)
        column.flags.writeable = row.flags.writeable = False
        return column, row


def _restored(
    weights: Floats, divisor: float, name: str, meta: dict[str, Any], sigmas: tuple[float, float] | None
) -> Kernel:
    return Kernel(weights, divisor, name, meta, sigmas=sigmas)


def _frozen(values: Floats) -> Floats:
    """Return a copy backed by bytes, so that nobody can switch writing on again."""
    return np.frombuffer(values.tobytes(), dtype=np.float64).reshape(values.shape)


def _checked_weights(weights: ArrayLike) -> Floats:
    if isinstance(weights, np.ma.MaskedArray) and np.ma.getmaskarray(weights).any():
        raise ParameterError("the kernel has masked weights; give every weight a number, such as filled(0)")
    try:
        values = np.asarray(weights)
    except ValueError as error:
        raise ParameterError("the kernel's rows differ in length; every row needs as many weights") from error
    if values.dtype.kind not in "iuf" or values.dtype.itemsize > 8:
        raise DtypeError(
            f"kernel weights of type {values.dtype} are not usable; give integers or floats of up to 64 bits"
        )
    if values.ndim not in (1, 2):
        raise ParameterError(f"a kernel has 1 or 2 dimensions, not {values.ndim} (shape {values.shape})")
    values = np.atleast_2d(values)
    if values.size == 0:
        raise ParameterError(f"the kernel is empty (shape {values.shape}); it needs at least one weight")
    if max(values.shape) > MAX_SIDE:
        rows, columns = values.shape
        raise ParameterError(f"a kernel of {rows}x{columns} is too large; at most {MAX_SIDE}x{MAX_SIDE}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            u, v = np.argwhere(~np.isfinite(values))[0]
            raise ParameterError(
                f"the kernel holds {values[u, v]} at row {u + 1}, column {v + 1}; every weight must be finite"
            )
    elif int(values.max()) > 2**53 or int(values.min()) < -(2**53):
        raise ParameterError("integer weights beyond 2**53 are not exact in float64; scale them down")
    return np.ascontiguousarray(values, dtype=np.float64)


def _checked_divisor(divisor: float) -> float:
    value = real_number("divisor", divisor)
    if value == 0 or not math.isfinite(value):
        raise ParameterError(f"divisor {divisor!r} cannot be used; give a finite number other than 0")
    return value


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
