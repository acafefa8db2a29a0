"""What every method is given, and the small things that they share."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core.boundary import index_map
from cnnfilter.core.geometry import Geometry
from cnnfilter.core.loops.blocks import STEPS
from cnnfilter.core.threads import Workers

Array: TypeAlias = NDArray[Any]
Places: TypeAlias = NDArray[np.int64]


class Prepared(Protocol):
    """A method made ready for a kernel, a geometry and the types; images of that shape may come.

    Attributes
    ----------
    nbytes : int
        Memory that it holds, about.
    """

    nbytes: int

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        """Filter an image (H, W, C), whose rows hold their elements side by side, into `out`, contiguous."""


FORMS = {"uint8": "u8", "uint16": "u16", "int16": "i16", "float32": "f32", "float64": "f64"}

LINE_BYTES = 320 << 10
"""Bytes of padded lines at a time: they are to stay in the second cache with the sums beside them."""

CHUNK = STEPS
"""Output rows at a time, as many as `loops.blocks` computes together.

Long lines of few rows are streams that the processor fetches ahead: a Gaussian of 9 x 9 on 2048 x 2048 x 3
float32 takes 1.07 ns a value so, and 1.31 in chunks of 16 rows by 1024 elements.
"""

MOST_COLUMNS = 8192
"""Most elements of a line at a time, however few lines there are."""

CACHE_WAYS = 8
"""Rows that the nearest cache holds beside each other where they lie a multiple of a page apart."""

PAGE = 4096

MOST_IN_PLACE = 14
"""Rows of an image that are read beside each other where they stand; lines of more are faster copied.

Gaussians of 9, 13, 17 and 25 taps on 4000 x 6000 float32, in place and from lines: 0.90 and 1.11 ns a value,
1.10 and 1.24, 1.39 and 1.41, 2.03 and 1.83.
"""

SLACK = 512
"""Elements behind every line and every weight that a block may read, though nothing comes of them."""


class _Task(NamedTuple):
    geometry: Geometry
    channels: int
    source: str
    target: str
    real: str
    outside: str
    constant: float = 0.0


class Task(_Task):
    """One filtering, apart from the pixels: how they lie, and in which types they are read and written.

    `outside` is the boundary as maps know it (`renormalize` is `zero` there), `real` ("f32" or "f64") the
    type in which sums are kept. A tuple, as other records that every command needs: to make a dataclass takes
    0.6 ms.
    """

    @property
    def real_type(self) -> np.dtype[Any]:
        """NumPy's name for the type of the sums."""
        return np.dtype(np.float32 if self.real == "f32" else np.float64)

    @property
    def target_type(self) -> np.dtype[Any]:
        """NumPy's name for the type of the output."""
        return np.dtype(next(name for name, form in FORMS.items() if form == self.target))

    @cached_property
    def row_map(self) -> Places:
        """The image row at each padded one, or -1 for the constant."""
        rows = self.geometry.rows
        return index_map(rows.length, rows.before, rows.after, self.outside)

    @cached_property
    def column_map(self) -> Places:
        """The image column at each padded one, or -1 for the constant."""
        columns = self.geometry.columns
        return index_map(columns.length, columns.before, columns.after, self.outside)


class Tiling(NamedTuple):
    """How many outputs are computed at a time, and how the padded lines for them lie.

    Attributes
    ----------
    span, chunk : int
        Output columns and rows of a tile.
    plane, line : int
        Elements of one plane of a line (with a column stride, places are dealt out to as many planes), and
        from one line to the next.
    lines : int
        Lines that one chunk needs, which are held in a ring.
    """

    span: int
    chunk: int
    plane: int
    line: int
    lines: int


def tiling(task: Task, lines_a_row: int = 1) -> Tiling:
    """Choose the tiles of a task; results do not depend on them.

    `lines_a_row` counts further lines that a method keeps for each output row.
    """
    rows, columns = task.geometry.rows, task.geometry.columns
    chunk = min(CHUNK, -(-rows.output // STEPS) * STEPS)
    lines = (chunk - 1) * rows.stride + rows.reach
    held = lines + chunk * lines_a_row
    elements = LINE_BYTES // (held * task.real_type.itemsize * columns.stride) - columns.reach * task.channels
    elements = max(min(elements, MOST_COLUMNS), 128, columns.reach * task.channels // 2)
    span = min(-(-elements // task.channels), columns.output)
    # Equal tiles instead of a narrow last one.
    tiles = -(-columns.output // span)
    span = -(-columns.output // tiles)
    places = (span - 1) * columns.stride + columns.reach
    plane = -(-places // columns.stride) * task.channels
    # An odd number of cache lines, so that a column of lines does not fall into one cache set.
    line = ((columns.stride * plane + SLACK) // 16 | 1) * 16
    return Tiling(span, chunk, plane, line, lines)


def stand_well(task: Task, rows: int) -> bool:
    """Tell whether so many rows of the image can be read, or read and written, where they stand."""
    apart = task.geometry.columns.length * task.channels * task.real_type.itemsize
    return rows <= (MOST_IN_PLACE if apart % PAGE else CACHE_WAYS)


def row_stride(array: Array) -> int:
    """Elements from one row of an (H, W, C) array to the next; may be negative."""
    return array.strides[0] // array.itemsize


def address(array: Array) -> int:
    """Where the first element of an array lies in memory."""
    try:
        # A third of the time of the other way, and a call asks several times.
        return ctypes.addressof(_BYTE.from_buffer(array))  # type: ignore[arg-type]  # an array is a buffer
    except (TypeError, ValueError):  # read-only, with gaps, or empty
        place: int = array.ctypes.data
        return place


_BYTE = ctypes.c_char


class Taps(NamedTuple):
    """The taps of two output rows, as `loops.blocks` reads them.

    Attributes
    ----------
    rows, columns : int64 arrays of shape (T,)
        Where each tap lies, in padded rows and columns from the kernel's first.
    weights : array of shape (T, 2)
        Weight of the tap for each of the two rows, 0 where it is none of its taps.
    runs : int64 array of shape (R, 2)
        For which rows the next taps count (1 the first, 2 the second, 3 both), and where they end.
    """

    rows: Places
    columns: Places
    weights: Array
    runs: Places


def two_rows(rows: Places, columns: Places, weights: Array, stride: int, real: np.dtype[Any]) -> Taps:
    """List the taps of two output rows that lie `stride` padded rows apart, in the order of the kernel.

    Parameters
    ----------
    rows, columns : int64 arrays of shape (T,)
        Where each tap lies, from the kernel's first row and column.
    weights : float64 array of shape (T,)
        Its weight.
    stride : int
    real : dtype
        Type of the weights returned.
    """
    width = int(columns.max(initial=0)) + 1
    keys = np.concatenate([rows * width + columns, (rows + stride) * width + columns])
    places, where = np.unique(keys, return_inverse=True)
    of_row = np.repeat([0, 1], len(rows))
    table = np.zeros((len(places), 2), real)
    table[where, of_row] = np.tile(weights, 2)
    counts = np.zeros(len(places), np.int64)
    np.bitwise_or.at(counts, where, 1 << of_row)
    ends = np.append(np.flatnonzero(np.diff(counts)) + 1, len(places))[: len(places)]
    runs = np.stack([counts[ends - 1], ends], axis=1)
    return Taps(places // width, places % width, table, runs)


def rounding_of_a_constant(weights: Array) -> float:
    """Bound how far the rounded sum of equal pixels may be from the pixel, relative to it.

    Parameters
    ----------
    weights : array of shape (T,)
        Of sum 1, in the type and the order in which they are summed up.

    Notes
    -----
    Each multiply-add rounds the sum so far by half a unit in the last place at most, and the weights
    themselves were rounded to begin with. Roundings of different weights are as good as independent: six
    standard deviations hold them. Equal ones may all round the same way.
    """
    exact = weights.astype(np.float64)
    unit = float(np.finfo(weights.dtype).eps) / 2
    sums = np.abs(np.cumsum(exact))
    most = float(sums.sum()) + 1
    if (exact != exact[:1]).any():  # `np.unique` would import `numpy.ma`, in 12 ms
        most = min(most, 6 * (float((sums**2).sum()) / 3 + 1) ** 0.5)
    return 1.01 * unit * most + abs(1 - float(exact.sum()))
