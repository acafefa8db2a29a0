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

from cnnfilter.errors import ParameterError
from cnnfilter.kernels import factoring, kerneltext
from cnnfilter.kernels.factoring import RANK_TOLERANCE
from cnnfilter.kernels.weights import checked_divisor, checked_weights, frozen

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


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
        values = checked_weights(weights)
        held = frozen(values)
        object.__setattr__(self, "weights", held)
        object.__setattr__(self, "divisor", checked_divisor(divisor))
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "meta", MappingProxyType(dict(meta or {})))
        object.__setattr__(self, "sigmas", sigmas)
        largest = max(abs(float(held.max())), abs(float(held.min())))
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
        return frozen(self.weights / self.divisor)

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
        return max(2, factoring.rank(self.weights))

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
        return factoring.products(self.weights, tolerance)

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
        return Kernel(self.weights, self.divisor * checked_divisor(divisor))

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
        pair = factoring.rank_one(self.weights)
        if pair is None:
            return None
        column, row = pair
        column.flags.writeable = row.flags.writeable = False
        return column, row


def _restored(
    weights: Floats, divisor: float, name: str, meta: dict[str, Any], sigmas: tuple[float, float] | None
) -> Kernel:
    return Kernel(weights, divisor, name, meta, sigmas=sigmas)
