"""Pictures of what a network learned: learning curve, confusion matrix, sheets of maps and kernels."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cnnfilter.drawing.figure import new_figure, require_matplotlib, save_figure
from cnnfilter.drawing.sheet import HEAD, sheet
from cnnfilter.nn.functional.windows import Array

BLUE, RED, GREY = "#4878cf", "#d65f5f", "#8c8c8c"

_MOST_ACROSS = 32  # outputs of a bank beside each other
_SCALE = 70  # pixels of the colour scale


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
        If there are more than 1024 tiles.
    """
    require_matplotlib()
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    signed = bool(tiles.min() < 0)
    top = float(np.quantile(np.abs(tiles), 0.998)) or float(np.abs(tiles).max()) or 1.0
    scale = ScalarMappable(Normalize(-top if signed else 0.0, top), "RdBu_r" if signed else "gray")
    figure, width, height = sheet(
        np.asarray(scale.cmap(scale.norm(tiles)))[..., :3],
        title,
        labels or [str(i) for i in range(len(tiles))],
        columns,
        _SCALE,
    )
    bar = figure.add_axes((1 - (_SCALE - 12) / width, 0.08, 12 / width, 0.9 - HEAD / height))
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
        save_figure(sheet(np.moveaxis(colours, 1, -1), head, labels, 0, 0, least=72)[0], path)
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
