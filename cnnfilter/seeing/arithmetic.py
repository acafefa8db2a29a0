"""The arithmetic of one value: what lies under the kernel, the products, their sum, and what is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.core.correlate import as_kernel
from cnnfilter.core.geometry import make_geometry, number_pair
from cnnfilter.core.linear import correlate, explain
from cnnfilter.errors import ParameterError
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.tables import Block, beside, block
from cnnfilter.seeing.window import inside_image, taps, values_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.correlate import KernelLike
    from cnnfilter.core.plan import Plan
    from cnnfilter.kernels.kernel import Kernel

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """Everything of one output value; `print` shows it as tables.

    Attributes
    ----------
    at : (int, int)
        Row and column of the output, counted from 0; a signal has row 0.
    rows, columns : int64 arrays of shape (U,) and (V,)
        Where the taps lie, in rows and columns of the image; places beside it are negative or too large.
    window : float64 array of shape (U, V, C)
        The values under the kernel: pixels, or what the boundary puts beside them.
    inside : bool array of shape (U, V)
        Which of them are pixels of the image.
    kernel : Kernel
        As it lies over the window.
    products : float64 array of shape (U, V, C)
        Weights times window; the divisor comes after the sum.
    total : float64 array of shape (C,)
        Sums of the products, each rounded once.
    sum : float64 array of shape (C,)
        The result before it is stored: over the divisor, and rescaled under ``boundary="renormalize"``.
    value : array of shape (C,)
        What `correlate` stores there, in its type.
    plan : Plan
        How `correlate` computes the whole image.
    """

    at: tuple[int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    window: Floats
    inside: NDArray[np.bool_]
    kernel: Kernel
    products: Floats
    total: Floats
    sum: Floats
    value: NDArray[Any]
    plan: Plan = field(repr=False)

    def text(self, color: bool = False, stored: Sequence[str] | None = None) -> str:
        """Return the tables, with the escape sequences of terminals if `color`.

        `stored` says for each channel what becomes of the sum; an empty one leaves that out. By default it is
        the value in the type of the result.
        """
        channels = self.window.shape[2]
        parts = [self._head()]
        for channel in range(channels):
            if channels > 1:
                parts.append(f"channel {channel}")
            parts += [beside(self._tables(channel, color), color), self._steps(channel, stored)]
        return "\n\n".join(parts)

    def __str__(self) -> str:
        return self.text()

    def _head(self) -> str:
        rows, columns = _span("row", self.rows), _span("column", self.columns)
        size = "x".join(map(str, self.plan.output_shape[:2]))
        beside_image = "" if self.inside.all() else f"; [beside the image]: boundary {self.plan.boundary}"
        return (
            f"output {self.at[0]},{self.at[1]} of {size}, from {rows} and {columns}{beside_image}"
            f"\ncomputed by {self.plan.method}, in {self.plan.accumulator}"
        )

    def _tables(self, channel: int, color: bool) -> list[Block | str]:
        def beside_image(u: int, v: int) -> bool:
            return not self.inside[u, v]

        dropped = self.plan.boundary == "renormalize"
        window = [
            ["-" if dropped and beside_image(u, v) else shown(value) for v, value in enumerate(row)]
            for u, row in enumerate(self.window[:, :, channel].tolist())
        ]
        weights = [[shown(weight) for weight in row] for row in self.kernel.weights.tolist()]
        products = [[shown(product) for product in row] for row in self.products[:, :, channel].tolist()]
        return [
            block("window", window, beside_image, color),
            "×",
            block("kernel as it lies", weights),
            "=",
            block("products", products),
        ]

    def _steps(self, channel: int, stored: Sequence[str] | None) -> str:
        scale = float(np.abs(self.products[:, :, channel]).sum())
        total, result = float(self.total[channel]), float(self.sum[channel])
        steps = [("sum of products", shown(total, scale))]
        if self.kernel.divisor != 1:
            divisor = self.kernel.divisor
            steps.append((f"over {shown(divisor)}", shown(total / divisor, scale / abs(divisor))))
        if self.plan.boundary == "renormalize" and not self.inside.all():
            weights = float(self.kernel.weights[self.inside].sum())
            whole = float(self.kernel.weights.sum())
            label = f"times {shown(whole)}/{shown(weights)}"
            steps.append((label, shown(result, scale * abs(whole / weights / self.kernel.divisor))))
        if stored is None:
            steps.append((f"stored as {self.value.dtype}", _stored(self.value[channel], result, scale)))
        elif stored:
            steps.append(("stored as", stored[channel]))
        width = max(len(name) for name, _ in steps)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in steps)


def arithmetic(
    image: ArrayLike, kernel: KernelLike, at: int | tuple[int, int], **geometry: Any
) -> Arithmetic:
    """Lay open how `correlate` comes to one value.

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
    kernel : Kernel or array of shape (U, V) or (V,)
        As it lies over the image: for a convolution, hand over `Kernel.rotated`.
    at : (int, int), or int for a signal
        Row and column of the output, counted from 0.
    **geometry
        Keywords of `correlate`: stride, padding, boundary, constant, dilation, dtype, accuracy, method.

    Raises
    ------
    ParameterError
        `at` lies outside the output, whose size is told; or what `correlate` refuses.

    Examples
    --------
    >>> print(arithmetic([[1, 2, 3], [4, 5, 6], [7, 8, 9.0]], [[0, 1, 0], [1, -4, 1], [0, 1, 0]], (0, 1)))
    output 0,1 of 3x3, from rows -1 to 1 and columns 0 to 2; [beside the image]: boundary zero
    computed by direct, in float64
    <BLANKLINE>
    window              kernel as it lies     products
    [0]  [0]  [0]        0   1  0             0   0  0
     1    2    3      ×  1  -4  1          =  1  -8  3
     4    5    6         0   1  0             0   5  0
    <BLANKLINE>
    sum of products    1
    stored as float64  1
    """
    pixels = np.asarray(image)
    values = correlate(pixels, kernel, **geometry)
    names = ("stride", "padding", "boundary", "dilation", "accuracy", "method")
    given = {name: geometry[name] for name in names if name in geometry}
    plan = explain(pixels.shape, pixels.dtype, as_kernel(kernel), output=geometry.get("dtype"), **given)
    signal = pixels.ndim == 1
    height, width = (1, pixels.size) if signal else pixels.shape[:2]
    axes = make_geometry((height, width), plan.kernel.shape, plan.stride, plan.padding, plan.dilation)
    place = checked_place(at, axes.output_shape, signal)
    rows, columns = (taps(axis, index) for axis, index in zip((axes.rows, axes.columns), place, strict=True))
    inside = inside_image((height, width), rows, columns)
    constant = float(geometry.get("constant", 0.0)) if plan.boundary == "constant" else 0.0
    deep = pixels.reshape(height, width, -1).astype(np.float64)
    window = values_at(deep, rows, columns, plan.boundary, constant)
    with np.errstate(invalid="ignore"):  # 0 times infinity is NaN, and to be seen as such
        products = plan.kernel.weights[:, :, None] * window
    total = np.array([_exact_sum(products[:, :, channel]) for channel in range(deep.shape[2])])
    result = total / plan.kernel.divisor
    if plan.boundary == "renormalize" and not inside.all():
        result = result * (plan.kernel.weights.sum() / plan.kernel.weights[inside].sum())
    stored = values.reshape(*axes.output_shape, -1)[place]
    return Arithmetic(
        place, rows, columns, window, inside, plan.kernel, products, total, result, stored, plan
    )


def checked_place(at: object, shape: tuple[int, int], signal: bool) -> tuple[int, int]:
    """Return row and column of an output of `shape`, or refuse a place outside it."""
    if signal and not isinstance(at, tuple | list):
        at = (0, at)
    row, column = number_pair("at", at, least=0)
    if row >= shape[0] or column >= shape[1]:
        size = f"{shape[1]} values" if signal else f"{shape[0]}x{shape[1]} (rows x columns)"
        last = f"{shape[1] - 1}" if signal else f"{shape[0] - 1},{shape[1] - 1}"
        raise ParameterError(f"at {at!r} is outside the output of {size}; the last place is {last}")
    return row, column


def _exact_sum(products: Floats) -> float:
    """Add up with one rounding; infinities and NaN as ordinary sums have them."""
    terms = products.ravel()
    if np.isfinite(terms).all():
        return math.fsum(terms)
    with np.errstate(invalid="ignore"):
        return float(terms.sum())


def _span(name: str, places: NDArray[np.int64]) -> str:
    first, last = int(places[0]), int(places[-1])
    if first == last:
        return f"{name} {first}"
    step = int(places[1] - places[0])
    every = f" in steps of {step}" if step > 1 else ""
    return f"{name}s {first} to {last}{every}"


def _stored(value: Any, result: float, scale: float) -> str:
    if value.dtype.kind == "f":
        return shown(float(value), scale)
    limits = np.iinfo(value.dtype)
    if not math.isfinite(result):
        return f"{value}"
    if not limits.min <= round(result) <= limits.max:
        return f"{value}: limited to {limits.min} to {limits.max}"
    return f"{value}" if result == round(result) else f"{value}: rounded, half to even"
