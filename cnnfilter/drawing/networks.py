"""Pictures of what a network learned: learning curve, confusion matrix, sheets of maps and kernels."""

import math
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np

from cnnfilter.drawing.figure import DPI, new_figure, save_figure
from cnnfilter.errors import ParameterError
from cnnfilter.nn.functional.windows import Array

MOST_TILES = 1024
BLUE, RED, GREY = "#4878cf", "#d65f5f", "#8c8c8c"
_PAGE = 0.92  # not white: a tile that is white shows its edge

_LEAST_SIDE, _MOST_SIDE = 48, 160  # pixels of a tile that is enlarged
_MOST_ACROSS = 32  # outputs of a bank beside each other
_WIDTH = 640  # pixels that a sheet of few tiles has
_GAP, _LABEL, _HEAD, _SCALE = 6, 12, 42, 70  # pixels: between tiles, of numbers, title, colour scale


def draw_curve(history: Sequence[Mapping[str, float]], path: str, *, best: bool = False) -> None:
    """Draw the losses and the accuracy of each epoch, and mark the one that was kept.

    Parameters
    ----------
    history : sequence of mapping
        As `fit.Training.history`.
    path : str
        .png, .svg or .pdf.
    best : bool
        Whether the epoch of the lowest loss was kept; otherwise it was the last.
    """
    figure = new_figure(9, 3.6, layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    epochs = np.arange(1, len(history) + 1)
    kept = 1 + int(np.argmin([row["valid_loss"] for row in history])) if best else len(history)
    for key, colour, label in (("train_loss", BLUE, "training"), ("valid_loss", RED, "held out")):
        losses.plot(epochs, [row[key] for row in history], ".-", label=label, color=colour)
    losses.set(yscale="log", ylabel="loss", title="loss")
    accuracies.plot(
        epochs, [100 * row["valid_accuracy"] for row in history], ".-", label="held out", color=RED
    )
    accuracies.set(ylabel="right, %", title="accuracy")
    for axes in (losses, accuracies):
        axes.axvline(kept, color=GREY, linestyle=":", label=f"kept: epoch {kept}")
        axes.set(xlabel="epoch", xlim=(0.5, len(history) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
    save_figure(figure, path)


def draw_confusion(table: Array, names: Sequence[str], path: str) -> None:
    """Draw counts of (true class, predicted class), coloured by the share of the true class.

    Parameters
    ----------
    table : ndarray of int of shape (C, C)
    names : sequence of str
        Of the classes.
    path : str
        .png, .svg or .pdf.
    """
    count = len(table)
    side = min(10.0, max(3.2, 0.42 * count))
    figure = new_figure(side + 1.8, side + 1.0, layout="constrained")
    axes = figure.subplots()
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    picture = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    if count <= 30:
        for (row, column), share in np.ndenumerate(shares):
            if table[row, column]:
                colour = "white" if share > 0.5 else "black"
                axes.text(
                    column, row, str(table[row, column]), ha="center", va="center", color=colour, fontsize=8
                )
    step = math.ceil(count / 40)
    places, labels = range(0, count, step), [name[:16] for name in names[::step]]
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_xticks(places, labels, fontsize=8, rotation=90 if max(map(len, labels)) > 3 else 0)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(f"{table.trace()} of {table.sum()} right", fontsize=10)
    figure.colorbar(picture, label="share of the true class, %", shrink=0.8)
    save_figure(figure, path)


def draw_values(values: Array, title: str, path: str) -> None:
    """Draw the values of units that have no place in the picture, as bars."""
    figure = new_figure(9, 3, layout="constrained")
    axes = figure.subplots()
    axes.bar(np.arange(values.size), values.ravel(), width=0.9, color=BLUE)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(xlabel="unit", ylabel="value", xlim=(-0.6, values.size - 0.4))
    axes.set_title(title, fontsize=9, loc="left")
    save_figure(figure, path)


def draw_sheet(tiles: Array, title: str, path: str, *, labels: Sequence[str] = (), columns: int = 0) -> None:
    """Draw maps or kernels beside each other, numbered from 0, with one scale for all.

    Zero is white where there are negative values, and black where there are none. The scale ends where
    one value in 500 lies outside, lest a single one leave the others pale.

    Parameters
    ----------
    tiles : ndarray of shape (P, H, W)
    title, path : str
    labels : sequence of str, optional
        Of the tiles; default their numbers.
    columns : int, optional
        Default so many that the sheet is a little wider than high.

    Raises
    ------
    ParameterError
        If there are more than `MOST_TILES` tiles.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    signed = bool(tiles.min() < 0)
    top = float(np.quantile(np.abs(tiles), 0.998)) or float(np.abs(tiles).max()) or 1.0
    scale = ScalarMappable(Normalize(-top if signed else 0.0, top), "RdBu_r" if signed else "gray")
    figure, width, height = _sheet(
        np.asarray(scale.cmap(scale.norm(tiles)))[..., :3],
        title,
        labels or [str(i) for i in range(len(tiles))],
        columns,
        _SCALE,
    )
    bar = figure.add_axes((1 - (_SCALE - 12) / width, 0.08, 12 / width, 0.9 - _HEAD / height))
    figure.colorbar(scale, cax=bar, extend="both" if signed else "max").ax.tick_params(labelsize=7)
    save_figure(figure, path)


def draw_kernels(bank: Array, title: str, path: str) -> None:
    """Draw a bank of kernels: those of three inputs in colour, the rest by a scale.

    Parameters
    ----------
    bank : ndarray of shape (P, D, U, V)
    title, path : str
    """
    outputs, inputs = bank.shape[:2]
    size = f"{outputs} kernels of {bank.shape[2]}x{bank.shape[3]}x{inputs}"
    if inputs == 3:
        largest = np.abs(bank).max(axis=(1, 2, 3))
        colours = 0.5 + bank / (2 * np.maximum(largest, 1e-30))[:, None, None, None]
        labels = [f"{i}  ±{most:.2g}" for i, most in enumerate(largest)]
        head = f"{title}: {size}, the inputs as red, green, blue; mid-grey is 0"
        save_figure(_sheet(np.moveaxis(colours, 1, -1), head, labels, 0, 0, least=72)[0], path)
        return
    if inputs == 1:
        draw_sheet(bank[:, 0], f"{title}: {size}", path)
        return
    across = outputs <= _MOST_ACROSS  # as figure 11 of the notes: a row for each input
    tiles = bank.swapaxes(0, 1) if across else bank
    numbers = np.ndindex(*tiles.shape[:2])
    labels = [f"{column},{row}" if across else f"{row},{column}" for row, column in numbers]
    head = f"{title}: {size}, numbered by output and input"
    draw_sheet(tiles.reshape(-1, *bank.shape[2:]), head, path, labels=labels, columns=tiles.shape[1])


def _sheet(
    tiles: Array, title: str, labels: Sequence[str], columns: int, beside: int, least: int = _LEAST_SIDE
) -> tuple[Any, int, int]:
    """Lay out coloured tiles (P, H, W, 3); return the figure, its width and height in pixels."""
    count, high, wide = tiles.shape[:3]
    if count > MOST_TILES:
        raise ParameterError(f"{count} tiles on one sheet: at most {MOST_TILES}; write .npy or .safetensors")
    columns = columns or math.ceil(math.sqrt(count * 1.4))
    rows = math.ceil(count / columns)
    side = min(_MOST_SIDE, max(least, _WIDTH // max(rows, columns)))
    # Small maps are enlarged, by whole numbers; those that can be looked at as they are stay so.
    larger = max(side // max(high, wide), math.ceil(_LEAST_SIDE / max(high, wide)))
    tiles = tiles.repeat(larger, axis=1).repeat(larger, axis=2)
    high, wide = high * larger, wide * larger
    inner = columns * (wide + _GAP) + _GAP
    width, height = max(420, inner + beside), rows * (high + _LABEL + _GAP) + _GAP
    page = np.full((height, width, 3), _PAGE)
    figure = new_figure(width / DPI, (height + _HEAD) / DPI, facecolor=(_PAGE,) * 3)
    axes = figure.add_axes((0, 0, 1, height / (height + _HEAD)))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for k, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        row, column = divmod(k, columns)
        top, left = row * (high + _LABEL + _GAP) + _LABEL, _GAP + column * (wide + _GAP)
        page[top : top + high, left : left + wide] = tile
        axes.text(left, top - 2, label, fontsize=6)
    axes.imshow(page, extent=(0, width, height, 0), interpolation="nearest", aspect="auto")
    figure.text(
        _GAP / width, 1 - _HEAD / 2 / (height + _HEAD), fill(title, width // 7), fontsize=9, va="center"
    )
    return figure, width, height + _HEAD
