"""A kernel to look at: its weights as a table of text or HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnfilter.kernels.kernel import Kernel

    Floats = NDArray[np.float64]

WHOLE = 1e15
"""Whole numbers below it are written in full."""

SHOWN = 15
"""Rows and columns that are shown where not all of them are; the middle ones are left out."""


def table(kernel: Kernel, shown: int | None = None, exact: bool = False) -> str:
    """Write the weights in columns, whole numbers in full and others with 6 digits; the divisor below them.

    Parameters
    ----------
    kernel : Kernel
    shown : int, optional
        Rows and columns that are shown of a larger kernel.
    exact : bool, default False
        Whether numbers have all the digits that give them back; the table can then be read as a kernel.

    Examples
    --------
    >>> from cnnfilter.kernels.templates import mean, named
    >>> print(table(named("gaussian:3:0.8:integer")))
    1 2 1
    2 4 2
    1 2 1
    / 16
    >>> print(table(mean((2, 7)), shown=4))
    1 1 … 1 1
    1 1 … 1 1
    / 14
    """
    return "\n".join([*lines(kernel.weights, shown, exact), *_divisor(kernel, exact)])


def lines(values: Floats, shown: int | None = None, exact: bool = False) -> list[str]:
    """Write numbers in columns, a line for each row; parameters are those of `table`."""
    rows = _cells(values, shown, exact)
    width = max(len(cell) for row in rows for cell in row)
    return [" ".join(cell.rjust(width) for cell in row) for row in rows]


def html(kernel: Kernel) -> str:
    """Write the weights as an HTML table, for notebooks."""
    from html import escape  # its table takes longer to import than a kernel to make

    lines = (
        "".join(f'<td style="text-align: right">{cell}</td>' for cell in row)
        for row in _cells(kernel.weights, SHOWN)
    )
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><caption>{escape(' '.join([repr(kernel), *_divisor(kernel)]))}</caption>{rows}</table>"


def _divisor(kernel: Kernel, exact: bool = False) -> list[str]:
    return [] if kernel.divisor == 1 else [f"/ {_number(kernel.divisor, exact)}"]


def _cells(values: Floats, shown: int | None, exact: bool = False) -> list[list[str]]:
    rows, columns = (_some(side, shown) for side in values.shape)
    return [["…" if None in (i, j) else _number(float(values[i, j]), exact) for j in columns] for i in rows]


def _number(value: float, exact: bool) -> str:
    if exact or (abs(value) < WHOLE and value == round(value)):
        return number_text(value)
    return f"{value:.6g}"


def _some(side: int, shown: int | None) -> list[int | None]:
    """Return the indices that are shown, with a None for those left out."""
    if shown is None or side <= shown:
        return list(range(side))
    half = shown // 2
    return [*range(half), None, *range(side - half, side)]


def number_text(value: float) -> str:
    """Write a number with as few digits as give it back exactly, whole numbers without a point."""
    return repr(value).removesuffix(".0")
