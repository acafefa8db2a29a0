"""Feature maps laid out on one sheet: small, each scaled by itself, numbered, with its range."""

import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from cnnfilter.drawing.figure import DPI, new_figure, require_matplotlib, save_figure
from cnnfilter.errors import ParameterError
from cnnfilter.learning.pairs import Array

MOST_MAPS = 1024
_WIDTH = 1800  # of the sheet, in pixels, that the tiles share
_LABEL = 18  # rows for a line of text
_GAP = 6


def side_of_tiles(count: int) -> int:
    """Return how many pixels a tile may be wide and high, so that a sheet of `count` tiles can be read.

    Examples
    --------
    >>> side_of_tiles(1), side_of_tiles(16), side_of_tiles(64)
    (480, 444, 174)
    """
    return min(480, max(64, _WIDTH // _columns(count) - _GAP))


def require_room(count: int) -> None:
    """Refuse a sheet that cannot be drawn.

    Raises
    ------
    ParameterError
        If there are more than 1024 maps.
    CnnFilterError
        If matplotlib is not installed.
    """
    if count > MOST_MAPS:
        raise ParameterError(f"{count} maps on one sheet: at most {MOST_MAPS}; name a folder instead")
    require_matplotlib()


def scaled(plane: Array, side: int) -> Array:
    """Fit a map into a tile: means of whole blocks if it is larger, pixels repeated if it is smaller.

    Examples
    --------
    >>> scaled(np.array([[1.0, 3.0], [5.0, 7.0]]), 1).tolist()
    [[4.0]]
    >>> scaled(np.array([[1.0, 3.0]]), 4).tolist()
    [[1.0, 1.0, 3.0, 3.0], [1.0, 1.0, 3.0, 3.0]]
    """
    block = math.ceil(max(plane.shape) / side)
    if block > 1:
        for axis in (0, 1):
            starts = np.arange(0, plane.shape[axis], block)
            counts = np.diff(np.append(starts, plane.shape[axis]))
            sums = np.add.reduceat(plane, starts, axis=axis, dtype=np.float64)
            plane = sums / counts.reshape((-1, 1) if axis == 0 else (1, -1))
    times = max(1, side // max(plane.shape))
    return plane.repeat(times, axis=0).repeat(times, axis=1)


def draw_sheet(
    tiles: Sequence[Array],
    ranges: Sequence[tuple[float, float]],
    title: str,
    path: str | os.PathLike[str],
) -> None:
    """Draw tiles beside each other, numbered from 0.

    Each tile has its own contrast, and one value in 200 at each end may be cut off. A map of both signs has
    zero in the middle of the greys, negative values darker and positive ones lighter.

    Parameters
    ----------
    tiles : sequence of ndarray of shape (H, W)
        All of one shape.
    ranges : sequence of (float, float)
        Least and greatest value of each map, for its label.
    title : str
    path : path
        .png, .pdf or .svg.

    Raises
    ------
    ParameterError
        If there are more than 1024 tiles.
    CnnFilterError
        If matplotlib is not installed.
    """
    require_room(len(tiles))
    high, wide = tiles[0].shape
    columns = _columns(len(tiles))
    rows = math.ceil(len(tiles) / columns)
    width, height = columns * (wide + _GAP) + _GAP, rows * (high + _LABEL + _GAP) + 2 * _LABEL
    sheet = np.ones((height, width))
    figure = new_figure(max(width, 420) / DPI, height / DPI)
    axes = figure.add_axes((0, 0, width / max(width, 420), 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    figure.text(_GAP / max(width, 420), 1 - _LABEL / height, title, fontsize=9, va="center")
    for (number, top, left), tile, (low, high_value) in zip(
        _places(len(tiles), columns, high, wide), tiles, ranges, strict=True
    ):
        sheet[top : top + high, left : left + wide] = _grey(tile)
        label = f"{number}   {low:.2g} to {high_value:.2g}" if wide >= 110 else str(number)
        axes.text(left, top - 4, label, fontsize=7 if wide >= 64 else 5)
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
    save_figure(figure, os.fspath(path))


def _grey(tile: Array) -> Array:
    low, high = np.percentile(tile, (0.5, 99.5))
    if low < 0 < high:
        high = max(-low, high)
        low = -high
    return np.asarray(np.clip((tile - low) / ((high - low) or 1.0), 0, 1))


def _columns(count: int) -> int:
    rows = math.ceil(count / math.ceil(math.sqrt(count * 1.3)))
    return math.ceil(count / rows)  # so that the last row is as full as it can be


def _places(count: int, columns: int, high: int, wide: int) -> Iterator[tuple[int, int, int]]:
    for k in range(count):
        row, column = divmod(k, columns)
        yield k, 2 * _LABEL + row * (high + _LABEL + _GAP) + _LABEL - _GAP, _GAP + column * (wide + _GAP)
