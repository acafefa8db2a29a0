"""The plan: which method computes a filter, and why. Pure: it never touches a pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.geometry import Geometry, Pair
from cnnfilter.core.keeping import kept
from cnnfilter.errors import ParameterError
from cnnfilter.kernels.kernel import Kernel

METHODS = ("direct", "separable", "low rank", "running sums", "fft", "recursive")
ACCURACIES = ("exact", "fast")

UNIT = 2.0**-24
"""Largest relative error of one float32 operation."""

LARGEST_BYTE = 255.0

LOW_RANK_SIDE = 64
"""Kernels with more rows and columns than this are not decomposed, which would itself cost more."""

LONGEST_FLOAT32 = 512
"""Longest sum in float32 for float32 results: sums of 2404 terms strayed by 1.7e-6 of sum|k| max|x|."""

LONGEST_MEAN = 400
"""The same for weights that sum to 1: what counts as a constant, for rounding, is to stay within 2e-6."""

FAR_FROM_ONE = 1e25
"""Largest weights beyond it, or below its inverse, leave float32 no room for sums of products with pixels."""


@dataclass(frozen=True)
class Plan:
    """How one filter is computed on one kind of image.

    Attributes
    ----------
    method : str
        One of `METHODS`.
    output_shape, padding, stride, dilation
        The geometry, rows first; padding is `((top, bottom), (left, right))`.
    boundary : str
        What stands beside the image.
    dtype : str
        Type of the output.
    accumulator : str
        Type of the sums, "float32" or "float64".
    operations : float
        Multiply-adds for each value of the output.
    cost : float
        Estimated nanoseconds for each value of the output on one thread, from measurements on one machine;
        only the order of methods is meant seriously.
    error : float
        Bound of the error before rounding, relative to ``sum|kernel| * max|image|``. For `recursive`, in
        units of the pixel range.
    reason : str
        Why this method.
    """

    method: str
    output_shape: tuple[int, ...]
    padding: tuple[Pair, Pair]
    stride: Pair
    dilation: Pair
    boundary: str
    dtype: str
    accumulator: str
    operations: float
    cost: float
    error: float
    reason: str
    kernel: Kernel = field(repr=False)
    sigmas: tuple[float, float] | None = None

    def __str__(self) -> str:
        return self.text()

    @property
    def grid(self) -> Pair:
        """Rows and columns of the output at whose multiples parts begin that have the bits of the whole."""
        if self.method != "fft":
            return 1, 1
        rows, columns = (
            (side - 1) * apart + 1 for side, apart in zip(self.kernel.shape, self.dilation, strict=True)
        )
        channels = self.output_shape[2] if len(self.output_shape) == 3 else 1
        from cnnfilter.core.methods import fft

        return fft.grid((rows, columns), channels, np.dtype(self.accumulator))

    def text(self) -> str:
        """Return the plan as lines for people."""
        values = int(np.prod(self.output_shape))
        (top, bottom), (left, right) = self.padding
        rows = [
            ("method", f"{self.method}: {self.reason}"),
            ("kernel", "x".join(map(str, self.kernel.shape))),
            ("output", f"{'x'.join(map(str, self.output_shape))} {self.dtype}"),
            ("padding", f"top {top}, bottom {bottom}, left {left}, right {right}, boundary {self.boundary}"),
            ("stride", f"{self.stride[0]}x{self.stride[1]}, dilation {self.dilation[0]}x{self.dilation[1]}"),
            ("sums in", self.accumulator),
            ("cost", f"{self.operations:.4g} multiply-adds a value, {values * self.operations:.3g} in all, "
                     f"about {values * self.cost / 1e6:.3g} ms on one thread"),
            ("error", f"at most {self.error:.2g} of "
                      + ("the pixel range" if self.method == "recursive" else "sum|kernel| x max|image|")),
        ]  # fmt: skip
        return "\n".join(f"{name:<8} {value}" for name, value in rows)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "kernel"}


class _Question(NamedTuple):
    kernel: Kernel
    geometry: Geometry
    source: str
    target: str
    accuracy: str
    sigmas: tuple[float, float] | None

    @property
    def smoothing(self) -> bool:
        """Tell whether constants must come out unchanged: the weights sum to 1."""
        return self.kernel.sums_to_one

    @property
    def sides(self) -> Pair:
        return self.kernel.shape

    @property
    def whole(self) -> bool:
        """Tell whether sums of whole numbers are wanted as they are: to stay whole, none may be split."""
        weights = self.kernel.weights
        rounded = self.target[0] != "f"
        return self.source[0] != "f" and not rounded and bool((weights == np.rint(weights)).all())


class _Offer(NamedTuple):
    operations: float
    cost: float
    accumulator: str
    error: float
    reason: str


@kept
def make_plan(
    kernel: Kernel,
    geometry: Geometry,
    source: str,
    target: str,
    *,
    shape: tuple[int, ...],
    boundary: str,
    accuracy: str = "exact",
    method: str = "auto",
    sigmas: tuple[float, float] | None = None,
) -> Plan:
    """Choose the cheapest method that keeps the promise, or the one that is asked for.

    Parameters
    ----------
    kernel : Kernel
    geometry : Geometry
    source, target : str
        Names of the dtypes of image and output.
    shape : tuple of int
        Shape of the output array.
    boundary : str
    accuracy : {"exact", "fast"}
        "fast" allows the recursive Gaussian.
    method : str, default "auto"
        One of `METHODS`: obeyed, or a `ParameterError` says why it cannot be.
    sigmas : pair of float, optional
        Standard deviations, if the kernel is a Gaussian.
    """
    if accuracy not in ACCURACIES:
        raise ParameterError(f"unknown accuracy {accuracy!r}; use exact or fast")
    if method != "auto" and method not in METHODS:
        raise ParameterError(f"unknown method {method!r}; use auto, {', '.join(METHODS)}")
    question = _Question(kernel, geometry, source, target, accuracy, sigmas)
    if method == "auto":
        method, offer = _cheapest(question)
    else:
        answer = _OFFERS[method](question)
        if isinstance(answer, str):
            raise ParameterError(f"method {method!r} cannot be used here: {answer}")
        offer = answer
    # Sums in float64 are rounded once more when they are stored as float32.
    stored = UNIT if target == "float32" and offer.accumulator == "float64" else 0.0
    error = offer.error + stored
    return Plan(
        method, shape, geometry.padding, geometry.stride, geometry.dilation, boundary, target,
        offer.accumulator, offer.operations, offer.cost, error, offer.reason, kernel, sigmas,
    )  # fmt: skip


def _cheapest(question: _Question) -> tuple[str, _Offer]:
    best = "direct", _direct(question)
    for method in ("separable", "running sums", "fft", "recursive", "low rank"):
        # Where the least that it could cost is too much, nothing is decomposed or imported.
        least = {"fft": _transforms(20 + 2 * question.sides[1]), "low rank": 2 * _passes(question, 2)}
        if least.get(method, 0.0) > best[1].cost:
            continue
        offer = _OFFERS[method](question)
        if isinstance(offer, _Offer) and offer.cost < best[1].cost:
            best = method, offer
    return best


def _direct(question: _Question) -> _Offer:
    taps = int(np.count_nonzero(question.kernel.weights))
    accumulator = _accumulator(question, taps)
    rows, columns = question.sides
    # Four rows of a kernel share the pixels that they load; one row, or two, wait for loads.
    cost = _in_type(accumulator, 0.35 + {1: 0.05, 2: 0.035}.get(rows, 0.024) * taps)
    zeros = rows * columns - taps
    skipped = f", {zeros} zero weights are skipped" if zeros else ""
    reason = f"{taps} multiply-adds a value for {rows}x{columns}{skipped}"
    return _Offer(taps, cost, accumulator, _rounding(accumulator, taps), reason)


def _separable(question: _Question) -> _Offer | str:
    if not question.kernel.separable():
        return "the kernel is not a product of a column and a row"
    rows, columns = question.sides
    factors = question.kernel.factors()
    fitting = factors is not None and _fit_float32(*factors, factors[0] / question.kernel.divisor)
    accumulator = _accumulator(question, rows + columns) if fitting else "float64"
    cost = _in_type(accumulator, _passes(question, 1))
    reason = f"rank 1: {rows} + {columns} multiply-adds a value, not {rows * columns}"
    return _Offer(rows + columns, cost, accumulator, _rounding(accumulator, rows + columns), reason)


def _low_rank(question: _Question) -> _Offer | str:
    rows, columns = question.sides
    if question.whole:
        return "sums of whole numbers are to come out whole"
    if question.source.startswith("float") and not question.target.startswith("float"):
        return "where the image is not finite, a whole number does not show it"
    if min(rows, columns) > LOW_RANK_SIDE:
        return f"kernels above {LOW_RANK_SIDE} rows and columns are not decomposed"
    if question.kernel.separable():
        return "the kernel has rank 1: use separable"
    terms = question.kernel.terms()
    rank = len(terms)
    size = sum(np.abs(column).sum() * np.abs(row).sum() for column, row in terms)
    growth = float(size / np.abs(question.kernel.weights).sum())
    # Terms that cancel each other cost digits, and a constant's mean is not recognised in a sum of terms:
    # float64 sums give it back to the last bit of float32.
    accumulator = "float64"
    operations = rank * (rows + columns)
    reason = f"rank {rank}: {rank} x ({rows} + {columns}) multiply-adds a value, not {rows * columns}"
    error = growth * _rounding(accumulator, operations)
    return _Offer(operations, _in_type(accumulator, _passes(question, rank)), accumulator, error, reason)


def _running(question: _Question) -> _Offer | str:
    weights = question.kernel.weights
    if not (weights == weights.flat[0]).all() or not question.smoothing:
        return "the weights are not all the same with the sum 1"
    if question.geometry.stride != (1, 1) or question.geometry.dilation != (1, 1):
        return "stride and dilation must be 1"
    rows, columns = question.sides
    if question.source.startswith("f"):
        from cnnfilter.core.methods import running

        accumulator = "float64" if "float64" in (question.source, question.target) else "float32"
        operations = float(running.additions(rows) + running.additions(columns))
        cost = _in_type(accumulator, 0.8 + 0.1 * operations + 0.001 * (rows + columns))
        error = _rounding(accumulator, int(operations) + 4)
    else:
        accumulator = "float32" if (question.source, question.target) == ("uint8", "uint8") else "float64"
        operations = 4 + 2 * columns**0.5
        cost = (0.15 if question.source == "uint8" else 0.60) + 0.02 * columns**0.5
        error = _rounding(accumulator, 2)
    reason = f"all {rows * columns} weights are equal: about {operations:.0f} additions a value"
    return _Offer(operations, cost, accumulator, error, reason)


def _fft(question: _Question) -> _Offer | str:
    if question.geometry.stride != (1, 1):
        return "stride must be 1"
    if question.whole:
        return "sums of whole numbers are to come out whole"
    from cnnfilter.core.loops.fft import OUTLIER
    from cnnfilter.core.methods import fft

    reach = question.geometry.rows.reach
    if 2 * reach > fft.SIZES[-1]:
        return f"kernels above {fft.SIZES[-1] // 2} rows do not fit a tile"
    columns = question.sides[1]
    operations = fft.operations(reach, columns)
    # Errors of a transform add up like the root of the sum of squares of the weights.
    concentration = float(
        np.linalg.norm(question.kernel.array) / max(np.abs(question.kernel.array).sum(), 1e-300)
    )
    # What a transform spreads is the rounding of pixels up to OUTLIER times those near an output.
    spread = min(1.0, 4 * concentration) * 16 * UNIT * (OUTLIER if question.source[0] == "f" else 1)
    accumulator = _accumulator(question, 0)
    largest = float(np.abs(question.kernel.array).sum()) * LARGEST_BYTE
    if question.source == "uint8" and question.target != "float32" and spread * largest > 5e-4:
        accumulator = "float64"
    reason = (
        f"transforms of {fft.best_size(reach)} rows: about {operations:.0f} multiply-adds a value, "
        f"not {np.count_nonzero(question.kernel.weights)}"
    )
    error = spread if accumulator == "float32" else spread * UNIT
    return _Offer(operations, _in_type(accumulator, _transforms(operations)), accumulator, error, reason)


def _recursive(question: _Question) -> _Offer | str:
    if question.accuracy != "fast":
        return 'it is an approximation; ask for it with accuracy "fast"'
    if question.sigmas is None or min(question.sigmas) <= 0:
        return "the filter is not a two-dimensional Gaussian"
    if question.geometry.stride != (1, 1) or question.geometry.dilation != (1, 1):
        return "stride and dilation must be 1"
    rows, columns = question.sides
    if rows % 2 == 0 or columns % 2 == 0:
        return "the template must have odd sides"
    from cnnfilter.core.methods import recursive

    error = recursive.error_bound(question.sigmas, (rows // 2, columns // 2))
    if 255 * error > 0.5:
        return f"it would be off by up to {255 * error:.2g} of 255 grey levels; at most 0.5 are allowed"
    accumulator = "float32" if question.source in ("uint8", "float32") else "float64"
    reason = f"sigma does not matter: 48 multiply-adds a value, within {255 * error:.2f} of 255 grey levels"
    return _Offer(48, _in_type(accumulator, recursive.cost(question.geometry)), accumulator, error, reason)


_OFFERS: dict[str, Callable[[_Question], _Offer | str]] = {
    "direct": _direct,
    "separable": _separable,
    "low rank": _low_rank,
    "running sums": _running,
    "fft": _fft,
    "recursive": _recursive,
}


def _passes(question: _Question, rank: int) -> float:
    """Estimate `rank` separable passes in nanoseconds."""
    rows, columns = question.sides
    return 0.45 + rank * (0.1 + 0.024 * rows + 0.022 * columns)


def _transforms(operations: float) -> float:
    """Estimate transforms of so many multiply-adds in nanoseconds; tiles of 32 rows take 20 and two a tap."""
    return 0.9 + 0.04 * operations


def _in_type(accumulator: str, cost: float) -> float:
    """Half as many float64 as float32 fit a register."""
    return 2 * cost if accumulator == "float64" else cost


def _rounding(accumulator: str, operations: int) -> float:
    """Bound the rounding of a chain of operations, relative to sum|kernel| max|image|."""
    return (operations + 2) * (UNIT if accumulator == "float32" else UNIT**2 / 16)


def _accumulator(question: _Question, operations: int) -> str:
    """Return the type of the sums: float32 where it keeps the promise, float64 elsewhere.

    An 8-bit result may be off only where the exact sum is within 1e-3 of a tie. Sums that are whole numbers
    of some 2**-k are exact in float32 up to 24 bits; other sums stray by about 2 sqrt(operations) units at
    six standard deviations.
    """
    if question.source in ("uint16", "int16", "float64") or question.target == "float64":
        return "float64"
    if not _fit_float32(question.kernel.array):
        return "float64"
    if question.source == "float32" or question.target == "float32":
        longest = LONGEST_MEAN if question.smoothing else LONGEST_FLOAT32
        return "float32" if operations <= longest else "float64"
    largest = float(np.abs(question.kernel.array).sum()) * LARGEST_BYTE
    if _is_dyadic(question.kernel.array, largest) or 2 * operations**0.5 * UNIT * largest < 5e-4:
        return "float32"
    return "float64"


def _fit_float32(*weights: np.ndarray[Any, Any]) -> bool:
    """Tell whether float32 holds the weights, and has room above and below them for sums of products."""
    largest = (float(np.abs(some).max()) for some in weights)
    return all(size == 0 or 1 / FAR_FROM_ONE <= size <= FAR_FROM_ONE for size in largest)


def _is_dyadic(array: np.ndarray[Any, Any], largest: float) -> bool:
    """Tell whether all weights are multiples of a 2**-k so coarse that sums up to `largest` fit 24 bits."""
    if largest <= 0 or not np.isfinite(largest):
        return False
    scaled = np.ldexp(array, 23 - int(np.frexp(largest)[1]))
    return bool((scaled == np.rint(scaled)).all())
