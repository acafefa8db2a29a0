"""A kernel to look at: its weights as a table of text or HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnfilter.kernels.kernel import Kernel

SHOWN = 15
"""Rows and columns that are shown where not all of them are; the middle ones are left out."""


def table(kernel: Kernel, shown: int | None = None) -> str:
    """Write the weights in columns, with 6 digits, and the divisor below them.

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
    rows = _cells(kernel, shown)
    width = max(len(cell) for row in rows for cell in row)
    lines = [" ".join(cell.rjust(width) for cell in row) for row in rows]
    return "\n".join([*lines, *_divisor(kernel)])


def html(kernel: Kernel) -> str:
    """Write the weights as an HTML table, for notebooks."""
    lines = (
        "".join(f'<td style="text-align: right">{cell}</td>' for cell in row) for row in _cells(kernel, SHOWN)
    )
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><caption>{escape(' '.join([repr(kernel), *_divisor(kernel)]))}</caption>{rows}</table>"


def _divisor(kernel: Kernel) -> list[str]:
    return [] if kernel.divisor == 1 else [f"/ {kernel.divisor:.6g}"]


def _cells(kernel: Kernel, shown: int | None) -> list[list[str]]:
    rows, columns = (_some(side, shown) for side in kernel.shape)
    weights = kernel.weights
    return [["…" if None in (i, j) else f"{weights[i, j]:.6g}" for j in columns] for i in rows]


def _some(side: int, shown: int | None) -> list[int | None]:
    """Return the indices that are shown, with a None for those left out."""
    if shown is None or side <= shown:
        return list(range(side))
    half = shown // 2
    return [*range(half), None, *range(side - half, side)]


def number_text(value: float) -> str:
    """Write a number with as few digits as give it back exactly, whole numbers without a point."""
    return repr(value).removesuffix(".0")
