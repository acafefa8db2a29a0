"""Networks drawn: layers to scale, learning curves, sheets of maps and kernels.

matplotlib is imported only here, and only when something is drawn.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnfilter.errors import CnnFilterError, ParameterError
from cnnfilter.nn.describe import Description, times
from cnnfilter.nn.functional.windows import Array

_MOST_TILES = 1024


def _figure(**options: Any) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CnnFilterError("drawing needs matplotlib: pip install 'cnnfilter[plot]'") from error
    return Figure(**options)


def draw_network(description: Description, path: str) -> None:
    """Draw the layers from top to bottom: bars as long as the output is large, parameters beside them.

    Parameters
    ----------
    description : Description
    path : str
        .png, .svg or .pdf.
    """
    rows = description.rows
    figure = _figure(figsize=(9, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    sizes = [math.log10(max(10, math.prod(row.output))) for row in rows]
    shades = {"convolution": "#4878cf", "dense": "#d65f5f", "batch norm": "#9c9ede"}
    colours = [shades.get(row.kind.split(",")[0], "#b8b8b8") for row in rows]
    axes.barh(range(len(rows)), sizes, color=colours)
    for i, row in enumerate(rows):
        kernel = f" {times(row.kernel)}/{times(row.stride)}" if row.kernel else ""
        count = f"  {row.parameters:,} parameters" if row.parameters else ""
        axes.text(0.05, i, f"{row.kind}{kernel}", va="center", fontsize=8)
        axes.text(sizes[i] + 0.05, i, times(row.output) + count, va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max(sizes) + 3)
    axes.set_xticks(range(int(max(sizes)) + 1), [f"{10**n:,}" for n in range(int(max(sizes)) + 1)])
    axes.set_xlabel("values in the output")
    axes.set_title(f"{description.name}: {description.totals['parameters']:,} parameters")
    figure.savefig(path)


def draw_curve(history: Sequence[Mapping[str, float]], path: str) -> None:
    """Draw the losses and the accuracy of each epoch."""
    figure = _figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    epochs = range(1, len(history) + 1)
    for key, colour in (("train_loss", "#4878cf"), ("valid_loss", "#d65f5f")):
        left.plot(epochs, [row[key] for row in history], label=key.replace("_", " "), color=colour)
    left.set_yscale("log")
    left.set_xlabel("epoch")
    left.set_ylabel("loss")
    right = left.twinx()
    right.plot(epochs, [100 * row["valid_accuracy"] for row in history], "k--", label="valid accuracy")
    right.set_ylabel("accuracy, %")
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(path)


def draw_sheet(tiles: Array, title: str, path: str) -> None:
    """Draw maps or kernels beside each other, numbered, with one scale for all.

    Parameters
    ----------
    tiles : ndarray of shape (P, H, W) or (P, H, W, 3)
        Colours from 0 to 1; a single value is drawn by a scale, symmetric about zero where there are
        negative values.
    title, path : str
    """
    if len(tiles) > _MOST_TILES:
        raise ParameterError(f"{len(tiles)} tiles on one sheet: at most {_MOST_TILES}; write .npy instead")
    columns = math.ceil(math.sqrt(len(tiles) * 1.4))
    rows = math.ceil(len(tiles) / columns)
    figure = _figure(figsize=(max(5.0, columns * 0.9), rows * 1.0 + 1), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    top = float(np.abs(tiles).max()) or 1.0
    signed = bool(tiles.min() < 0)
    drawn = None
    for i, axes in enumerate(grid):
        axes.set_axis_off()
        if i < len(tiles):
            drawn = axes.imshow(
                tiles[i], cmap="RdBu_r" if signed else "viridis", vmin=-top if signed else 0.0, vmax=top
            )
            axes.set_title(str(i), fontsize=7, pad=2)
    if tiles.ndim == 3 and drawn is not None:
        figure.colorbar(drawn, ax=list(grid), shrink=0.6)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path)


def as_colours(kernels: Array) -> Array:
    """Kernels (P, 3, U, V) as colours (P, U, V, 3): each about mid-grey by its own largest weight."""
    largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    return np.moveaxis(0.5 + kernels / (2 * np.maximum(largest, 1e-12)), 1, -1)
