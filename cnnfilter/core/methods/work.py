"""What every method is given, and the small things that they share."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core.geometry import Geometry
from cnnfilter.core.memory import aligned_empty

Array: TypeAlias = NDArray[Any]
Places: TypeAlias = NDArray[np.int64]

FORMS = {"uint8": "u8", "uint16": "u16", "int16": "i16", "float32": "f32", "float64": "f64"}

ROWS = 4
"""Fewest rows that a loop computes: its sums are four rows high."""

ELEMENTS = 64
"""Fewest elements (columns x channels) of a row that a loop computes."""


@dataclass(frozen=True)
class Work:
    """One filtering: pixels in, pixels out, and how they lie to each other.

    `image` is (H, W, C) with the elements of a row next to each other, `out` is (H', W', C), contiguous.
    `row_map` and `column_map` name the image row and column of each padded one, or -1 for the constant.
    `real` ("f32" or "f64") is the type in which sums are kept.
    """

    image: Array
    out: Array
    geometry: Geometry
    row_map: Places
    column_map: Places
    constant: float
    real: str
    threads: int

    @property
    def channels(self) -> int:
        """Channels, which are filtered each on its own."""
        return int(self.image.shape[2])

    @property
    def source(self) -> str:
        """The loops' name for the type of the image."""
        return FORMS[self.image.dtype.name]

    @property
    def target(self) -> str:
        """The loops' name for the type of the output."""
        return FORMS[self.out.dtype.name]

    @property
    def real_type(self) -> np.dtype[Any]:
        """NumPy's name for the type of the sums."""
        return np.dtype(np.float32 if self.real == "f32" else np.float64)

    def pivots(self, wanted: bool) -> Array:
        """Return the image's first pixel over and over, as the loops read it; zeros where it is not wanted.

        Sums of differences from it make a constant image come out unchanged. A first pixel that is not
        finite is of no use and counts as 0.
        """
        first = self.image[0, 0].astype(self.real_type)
        useful = wanted and bool(np.isfinite(first).all())
        return np.resize(first if useful else np.zeros_like(first), ELEMENTS * 2 + self.channels)

    def enlarged(self, rows: int, columns: int) -> Work:
        """Return the work with a new output of at least `rows` x `columns`; the last is repeated."""
        height, width = max(rows, self.out.shape[0]), max(columns, self.out.shape[1])
        down, across = self.geometry.rows, self.geometry.columns
        return replace(
            self,
            out=aligned_empty((height, width, self.channels), self.out.dtype),
            row_map=lengthened(self.row_map, (height - 1) * down.stride + down.reach),
            column_map=lengthened(self.column_map, (width - 1) * across.stride + across.reach),
        )

    def rows_alone(self, first: int, last: int) -> Work:
        """Return the work for the output rows `[first, last)` alone, in place."""
        row_map = self.row_map[first * self.geometry.rows.stride :]
        return replace(self, out=self.out[first:last], row_map=row_map, threads=1)


def lengthened(places: Places, length: int) -> Places:
    """Cut a map to `length` places, or repeat its last place up to there."""
    return places[np.minimum(np.arange(length), len(places) - 1)]


def row_stride(array: Array) -> int:
    """Elements from one row of an (H, W, C) array to the next; may be negative."""
    return array.strides[0] // array.itemsize


def writes_past_caches(out: Array) -> bool:
    """Tell whether every row of a large float output starts on a cache line."""
    aligned = out.ctypes.data % 64 == 0 and out.strides[0] % 64 == 0
    return aligned and out.dtype.kind == "f" and out.nbytes >= 8 << 20


def four_rows(
    rows: Places, columns: Places, weights: Array, stride: int, real: np.dtype[Any]
) -> tuple[Places, Places, Array, Places]:
    """Write a list of taps as the loops read it: four output rows, `stride` input rows apart, together.

    Parameters
    ----------
    rows, columns : int64 arrays of shape (T,)
        Where each tap lies, from the kernel's first row and column.
    weights : float64 array of shape (T,)
        Its weight.

    Returns
    -------
    rows, columns : int64 arrays of shape (E,)
        The taps of all four rows, seen from the first.
    weights : array of shape (E, 4)
        Weight of the tap for each of the four rows.
    ends : int64 array of shape (9,)
        Where the groups end that reach the first row only, the first two, first three, all, the last three,
        the last two, the last only, the second only, the third only.
    """
    return _four_rows(rows.tobytes(), columns.tobytes(), weights.tobytes(), stride, real.name)


@lru_cache(maxsize=64)
def _four_rows(
    row_bytes: bytes, column_bytes: bytes, weight_bytes: bytes, stride: int, real: str
) -> tuple[Places, Places, Array, Places]:
    rows, columns = np.frombuffer(row_bytes, np.int64), np.frombuffer(column_bytes, np.int64)
    weights = np.frombuffer(weight_bytes, np.float64)
    shifted = np.concatenate([rows + stride * row for row in range(ROWS)])
    keys = np.stack([shifted, np.tile(columns, ROWS)])
    places, where = np.unique(keys, axis=1, return_inverse=True)
    where = where.reshape(-1)
    table = np.zeros((places.shape[1], ROWS), real)
    reached = np.zeros(places.shape[1], np.int64)
    row_of = np.repeat(np.arange(ROWS), len(rows))
    table[where, row_of] = np.tile(weights, ROWS)
    np.bitwise_or.at(reached, where, 1 << row_of)
    group = np.array([_GROUPS.get(int(bits), 3) for bits in reached], np.int64)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=9)).astype(np.int64)
    return places[0][order].copy(), places[1][order].copy(), table[order].copy(), ends


_GROUPS = {0b0001: 0, 0b0011: 1, 0b0111: 2, 0b1111: 3, 0b1110: 4, 0b1100: 5, 0b1000: 6, 0b0010: 7, 0b0100: 8}


def padded_copy(image: Array, rows: Places, columns: Places, constant: float, width: int) -> Array:
    """Copy the named rows and columns of an (H, W, C) image; -1 names the constant.

    The copy is `width` columns wide; those beyond the named ones are 0.
    """
    out = np.zeros((len(rows), width, image.shape[2]), image.dtype)
    starts = [0, *(np.flatnonzero(np.diff(columns) != 1) + 1).tolist(), len(columns)]
    contiguous = rows[0] >= 0 and bool((np.diff(rows) == 1).all())
    for start, stop in itertools.pairwise(starts):
        first = int(columns[start])
        if first < 0:
            # A run that begins with the constant -1 and goes on with column 0 counts up as well.
            out[:, start] = constant
            start, first = start + 1, 0
        if start < stop:
            source = image[:, first : first + stop - start]
            out[:, start:stop] = source[rows[0] : rows[-1] + 1] if contiguous else source[rows]
    out[rows < 0] = constant
    return out
