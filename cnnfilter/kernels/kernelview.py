"""A kernel to look at: measures in words, a heat map for a terminal, its frequency response."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cnnfilter.kernels.kernelsyntax import as_text
from cnnfilter.kernels.kerneltext import number_text
from cnnfilter.kernels.named import named

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.kernels.kernel import Kernel

    Floats = NDArray[np.float64]

TABLE_COLUMNS = 15
"""Wider kernels are not printed as numbers."""

BLOCKS, LETTERS = "·░▒▓█", ".:oO@"
"""Shades of a heat map; the second ones are there in every code page."""

HEAT_CELLS = 39
"""Cells of a heat map in each direction; two characters each, they fit 80 columns."""

FREQUENCIES = 256
"""Samples of the frequency response in each direction."""


def describe(kernel: Kernel) -> str:
    """Write what a kernel is: size, weights, sum, gain, rank, factors and symmetry.

    Returns
    -------
    str
        Several lines, without a line end after the last.

    Examples
    --------
    >>> print(describe(named("sobel-x")))
    kernel    sobel-x, 3x3 (rows x columns)
    weights   -1  0  1
              -2  0  2
              -1  0  1
    sum       0: a constant image becomes 0
    gain      at most 8 (sum of absolute weights), 3.4641 on white noise
    rank      1: separable, 6 multiplications a pixel instead of 9
    column    1 2 1
    row       -1 0 1
    symmetry  x-antisymmetric, y-symmetric, point-antisymmetric
    """
    rows, columns = kernel.shape
    facts = [("kernel", f"{kernel.name or 'no name'}, {rows}x{columns} (rows x columns)")]
    if columns <= TABLE_COLUMNS and rows <= 4 * TABLE_COLUMNS:
        facts.append(("weights", as_text(kernel, "table").rstrip("\n")))  # type: ignore[arg-type]
    facts += [("sum", _sum_text(kernel)), ("gain", _gain_text(kernel)), ("rank", _rank_text(kernel))]
    if (factors := kernel.factors()) is not None and kernel.rank:
        facts += [
            (name, _factor_text(factor)) for name, factor in zip(("column", "row"), factors, strict=True)
        ]
    order = {word: place for place, word in enumerate(("x", "y", "point", "transpose"))}
    words = sorted(kernel.symmetry, key=lambda word: (order[word.partition("-")[0]], word))
    facts.append(("symmetry", ", ".join(words) or "none"))
    if (distance := _distance_from_gaussian(kernel)) is not None:
        facts.append(("accuracy", f"at most {distance:.3g} from the Gaussian of sum 1, in any weight"))
    indent = "\n" + " " * 10
    return "\n".join(f"{name:<10}{text.replace(chr(10), indent)}" for name, text in facts)


def heatmap(kernel: Kernel, color: bool = False, shades: str = BLOCKS) -> str:
    """Draw a kernel with characters, two to a weight.

    Parameters
    ----------
    kernel : Kernel
        Of more than 39 rows or columns, each cell shows the strongest weight of a square.
    color : bool, default False
        Colour the cells, red above 0 and blue below, by escape sequences of 256 colours. Otherwise shades,
        with a minus before negative ones.
    shades : str, default "·░▒▓█"
        From the weakest to the strongest; `LETTERS` where those cannot be shown.

    Returns
    -------
    str
        Several lines, without a line end after the last.

    Examples
    --------
    >>> print(heatmap(named("laplacian-4")))
       ░
     ░-█ ░
       ░
    █ is 4, a cell is one weight
    """
    cells, side = _strongest(kernel.array)
    peak = float(np.abs(cells).max())
    levels = cells / peak if peak else cells
    paint = _colored if color else partial(_shaded, shades)
    lines = ["".join(map(paint, row)).rstrip(" ") for row in levels.tolist()]
    key = f"\x1b[48;5;{_color_code(1)}m  \x1b[0m" if color else shades[-1]
    scope = "one weight" if side == 1 else f"the strongest of {side}x{side} weights"
    return "\n".join([*lines, f"{key} is {peak:.6g}, a cell is {scope}"])


def frequency_response(kernel: Kernel, samples: int = FREQUENCIES) -> Floats:
    """Compute by how much each frequency passes.

    Parameters
    ----------
    kernel : Kernel
    samples : int, default 256
        Even.

    Returns
    -------
    float64 array of shape (samples, samples)
        Magnitudes; frequencies from -1/2 cycle a pixel, with 0 at index ``samples // 2``.

    Examples
    --------
    >>> frequency_response(named("second-derivative:x"), 4)[2]
    array([4., 2., 0., 2.])
    """
    # Sampling the spectrum is folding the kernel: nothing larger than samples x samples is transformed.
    rows, columns = (-side % samples for side in kernel.shape)
    padded = np.pad(kernel.array, ((0, rows), (0, columns)))
    folded = padded.reshape(padded.shape[0] // samples, samples, -1, samples).sum(axis=(0, 2))
    return np.fft.fftshift(np.abs(np.fft.fft2(folded)))


def _sum_text(kernel: Kernel) -> str:
    weights = float(kernel.weights.sum())
    if kernel.divisor != 1 and weights == kernel.divisor:
        return f"1, exactly {number_text(weights)}/{number_text(weights)}: a constant image stays as it is"
    total = 0.0 if abs(kernel.sum) < 1e-13 * np.abs(kernel.array).sum() else kernel.sum
    effect = "becomes 0" if total == 0 else f"is multiplied by {total:.6g}"
    if abs(total - 1) < 1e-13:
        effect = "stays as it is"
    return f"{total:.6g}: a constant image {effect}"


def _gain_text(kernel: Kernel) -> str:
    array = kernel.array
    noise = math.hypot(*array.ravel()) if array.size < 10_000 else float(np.linalg.norm(array))
    return f"at most {np.abs(array).sum():.6g} (sum of absolute weights), {noise:.6g} on white noise"


def _rank_text(kernel: Kernel) -> str:
    rows, columns = kernel.shape
    if kernel.rank == 0:
        return "0: all weights are 0"
    if min(rows, columns) == 1:
        return f"1: one {'row' if rows == 1 else 'column'}"
    cost, full = kernel.rank * (rows + columns), rows * columns
    kind = "separable" if kernel.rank == 1 else f"a sum of {kernel.rank} separable kernels"
    saving = f"{cost} multiplications a pixel instead of {full}"
    return f"{kernel.rank}: {kind}, {saving}" if cost < full else f"{kernel.rank}: {kind}"


def _factor_text(factor: Floats) -> str:
    shown = " ".join(f"{value:.6g}" for value in factor[:TABLE_COLUMNS].tolist())
    return shown if factor.size <= TABLE_COLUMNS else f"{shown} … ({factor.size})"


def _distance_from_gaussian(kernel: Kernel) -> float | None:
    """Largest error of an integer template that names its size and sigma."""
    name, _, form = kernel.name.rpartition(":")
    if not name.startswith("gaussian:") or not form.startswith("integer"):
        return None
    exact = named(name)
    return float(np.abs(kernel.array - exact.array).max()) if exact.shape == kernel.shape else None


def _strongest(array: Floats) -> tuple[Floats, int]:
    """Reduce to at most 39x39 cells, each the weight of largest magnitude in its square."""
    rows, columns = array.shape
    side = math.ceil(max(rows, columns) / HEAT_CELLS)
    padded = np.pad(array, ((0, -rows % side), (0, -columns % side)))
    squares = padded.reshape(padded.shape[0] // side, side, -1, side)
    high, low = squares.max(axis=(1, 3)), squares.min(axis=(1, 3))
    return np.where(high >= -low, high, low), side


def _shaded(shades: str, level: float) -> str:
    shade = shades[round(4 * abs(level))] if abs(level) >= 0.01 else " "
    return ("-" if level < 0 and shade != " " else " ") + shade


def _colored(level: float) -> str:
    return f"\x1b[48;5;{_color_code(level)}m  \x1b[0m"


def _color_code(level: float) -> int:
    """Red above 0, white at 0 and blue below, in the 6x6x6 cube of the 256 colours."""
    faded = 5 - round(5 * abs(level))
    red, green, blue = (5, faded, faded) if level >= 0 else (faded, faded, 5)
    return 16 + 36 * red + 6 * green + blue
