"""Contact sheets: tiles beside each other, with a line of text over each and a title above all."""

import math
import os
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np

from cnnfilter.drawing.figure import DPI, new_figure, require_matplotlib, save_figure
from cnnfilter.errors import ParameterError
from cnnfilter.learning.pairs import Array

MOST_TILES = 1024
HEAD = 42  # pixels of the title
_WIDTH = 1800  # of a sheet of maps, in pixels, that its tiles share
_GAP, _LABEL = 6, 12  # pixels: between tiles, and of the text over each
_PAGE = 0.92  # not white: a tile that is white shows its edge
_LEAST_SIDE, _MOST_SIDE = 48, 160  # pixels of a tile that is enlarged
_FEW = 640  # pixels that a sheet of few tiles has


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
    if count > MOST_TILES:
        raise ParameterError(f"{count} maps on one sheet: at most {MOST_TILES}; name a folder instead")
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
    written = tiles[0].shape[1] >= 110
    labels = [f"{k}   {low:.2g} to {high:.2g}" if written else str(k) for k, (low, high) in enumerate(ranges)]
    shades = np.stack([_grey(tile) for tile in tiles])[..., None].repeat(3, axis=3)
    figure, _, _ = sheet(shades, title, labels, _columns(len(tiles)))
    save_figure(figure, os.fspath(path))


def sheet(
    tiles: Array,
    title: str,
    labels: Sequence[str],
    columns: int = 0,
    beside: int = 0,
    least: int = _LEAST_SIDE,
) -> tuple[Any, int, int]:
    """Draw coloured tiles on a sheet.

    Parameters
    ----------
    tiles : ndarray of shape (P, H, W, 3)
        Red, green and blue from 0 to 1. Small ones are enlarged, by whole numbers.
    title : str
    labels : sequence of str
        Of each tile.
    columns : int, optional
        Tiles in a row; default so many that the sheet is a little wider than high.
    beside : int, optional
        Pixels to be left free on the right.
    least : int, optional
        Pixels that an enlarged tile is wide or high at least.

    Returns
    -------
    (figure, int, int)
        The figure, its width and its height in pixels.

    Raises
    ------
    ParameterError
        If there are more than 1024 tiles.
    CnnFilterError
        If matplotlib is not installed.
    """
    count, high, wide = tiles.shape[:3]
    if count > MOST_TILES:
        raise ParameterError(f"{count} tiles on one sheet: at most {MOST_TILES}; write .npy or .safetensors")
    columns = columns or math.ceil(math.sqrt(count * 1.4))
    rows = math.ceil(count / columns)
    side = min(_MOST_SIDE, max(least, _FEW // max(rows, columns)))
    larger = max(side // max(high, wide), math.ceil(_LEAST_SIDE / max(high, wide)))
    tiles = tiles.repeat(larger, axis=1).repeat(larger, axis=2)
    page, corners = laid_out(tiles, columns, _GAP, _LABEL, _PAGE)
    width, height = max(420, page.shape[1] + beside), page.shape[0]
    page = np.pad(page, ((0, 0), (0, width - page.shape[1]), (0, 0)), constant_values=_PAGE)
    figure = new_figure(width / DPI, (height + HEAD) / DPI, facecolor=(_PAGE,) * 3)
    axes = figure.add_axes((0, 0, 1, height / (height + HEAD)))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for (top, left), label in zip(corners, labels, strict=True):
        axes.text(left, top - 2, label, fontsize=6)
    axes.imshow(page, extent=(0, width, height, 0), interpolation="nearest", aspect="auto")
    head = fill(title, width // 7)
    figure.text(_GAP / width, 1 - HEAD / 2 / (height + HEAD), head, fontsize=9, va="center")
    return figure, width, height + HEAD


def laid_out(
    tiles: Array, columns: int, gap: int = 1, label: int = 0, page: float = math.nan
) -> tuple[Array, list[tuple[int, int]]]:
    """Lay tiles (P, H, W) or (P, H, W, 3) out in rows of so many, with gaps between them.

    Parameters
    ----------
    tiles : ndarray
    columns : int
    gap, label : int
        Pixels between tiles, and above each. Where there are labels there is a gap around all, too.
    page : float
        The value between tiles.

    Returns
    -------
    (ndarray, list of (int, int))
        The page, and top and left of each tile.

    Examples
    --------
    >>> page, corners = laid_out(np.ones((3, 2, 1)), 2)
    >>> np.nan_to_num(page).astype(int).tolist()
    [[1, 0, 1], [1, 0, 1], [0, 0, 0], [1, 0, 0], [1, 0, 0]]
    >>> corners
    [(0, 0), (0, 2), (3, 0)]
    """
    count, high, wide = tiles.shape[:3]
    rows, edge = math.ceil(count / columns), gap if label else 0
    down, across = high + label + gap, wide + gap
    shape = rows * down - gap + edge, columns * across - gap + 2 * edge
    found = np.full((*shape, *tiles.shape[3:]), page)
    corners = [(k // columns * down + label, k % columns * across + edge) for k in range(count)]
    for tile, (top, left) in zip(tiles, corners, strict=True):
        found[top : top + high, left : left + wide] = tile
    return found, corners


def _grey(tile: Array) -> Array:
    low, high = np.percentile(tile, (0.5, 99.5))
    if low < 0 < high:
        high = max(-low, high)
        low = -high
    return np.asarray(np.clip((tile - low) / ((high - low) or 1.0), 0, 1))


def _columns(count: int) -> int:
    rows = math.ceil(count / math.ceil(math.sqrt(count * 1.3)))
    return math.ceil(count / rows)  # so that the last row is as full as it can be
