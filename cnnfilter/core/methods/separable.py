"""Separable correlation: a kernel that is a sum of a few (column, row) products, one pass each way."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.jit import compiled
from cnnfilter.core.jit.processor import register_bytes
from cnnfilter.core.loops.blocks import BEHIND, REGISTERS, ROWS
from cnnfilter.core.loops.separable import RUNGS
from cnnfilter.core.memory import Scratch
from cnnfilter.core.methods.work import (
    SLACK,
    Array,
    Places,
    Prepared,
    Task,
    address,
    rounding_of_a_constant,
    row_stride,
    stand_well,
    tiling,
    two_rows,
)
from cnnfilter.core.threads import Workers

Terms: TypeAlias = list[tuple[NDArray[np.float64], NDArray[np.float64]]]

FAR = 2**40
"""Farther than any two taps of one line."""

LONGEST_ROW = 1 << 14
"""Most elements of a row of which two lines of sums stay in the caches."""

MOST_APART = 3
"""Registers between the taps of a ladder, at most; beyond, taps are summed one by one."""


def prepare(task: Task, terms: Terms, snapping: bool) -> Prepared:
    """Make ready to correlate with the sum of `outer(column, row)` over the terms.

    `snapping` says that there is one term whose factors each sum to 1, and keeps constants to the last bit.
    """
    return _Correlation(task, terms, snapping)


class _Correlation:
    def __init__(self, task: Task, terms: Terms, snapping: bool) -> None:
        rows, columns, channels = task.geometry.rows, task.geometry.columns, task.channels
        real_type, step = task.real_type, columns.stride
        self.flat = rows.kernel == 1 and all(column[0] == 1 for column, _ in terms)
        self.task, self.tiles, self.terms = task, tiling(task, 0 if self.flat else len(terms)), len(terms)
        tiles = self.tiles

        column, row = terms[0]
        u, v = int(np.abs(column).argmax()), int(np.abs(row).argmax())
        used = np.flatnonzero(np.any([column for column, _ in terms], axis=0))
        self.dense = len(used) == rows.kernel and rows.stride == rows.dilation == 1
        if self.dense:
            self.offsets_down, self.runs = np.zeros(0, np.int64), np.zeros(0, np.int64)
            self.weights_down = np.concatenate([column for column, _ in terms]).astype(real_type)
            self.taps_down = rows.kernel
            noted = np.arange(rows.kernel + ROWS - 1)
        else:
            places = used * rows.dilation
            nowhere = np.zeros_like(places)
            down = [two_rows(places, nowhere, column[used], rows.stride, real_type) for column, _ in terms]
            self.offsets_down, self.runs = down[0].rows * tiles.line, down[0].runs
            self.weights_down = np.concatenate([taps.weights for taps in down])
            self.taps_down = len(down[0].rows)
            noted = np.append(down[0].rows, [u * rows.dilation, u * rows.dilation + rows.stride])

        along = np.arange(columns.kernel, dtype=np.int64) * columns.dilation
        offsets = along % step * tiles.plane + along // step * channels
        term = np.arange(len(terms), dtype=np.int64)[:, None]
        # Ladders are the same however long the lines of a tile are: those of a plane, or a term, stay apart.
        places_along = (term * step + along % step) * FAR + along // step * channels
        weights = np.concatenate([row for _, row in terms])
        lanes = register_bytes() // real_type.itemsize
        apart = channels * columns.dilation // math.gcd(lanes, channels * columns.dilation)
        self.apart = apart if apart <= MOST_APART else 1
        kept = np.flatnonzero(weights)
        order, self.ends = ladders(places_along.ravel()[kept], self.apart * lanes)
        self.offsets_along = (offsets + term * tiles.chunk * tiles.line).ravel()[kept][order]
        along_in_place = (along * channels + term * ROWS * line_in_place(task)).ravel()[kept][order]
        self.weights_along = weights[kept][order].astype(real_type)

        tolerances = [
            rounding_of_a_constant(weights) if snapping else 0.0
            for weights in (column[used].astype(real_type), self.weights_along)
        ]
        source, target, real = task.source, task.target, task.real
        self.loop = compiled.function(
            compiled.Loop(
                "separable",
                "strip",
                (source, target, real, self.dense, self.apart),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, i64, i64, {real}, i64, i64, i64, i64, "
                f"i64*, {real}*, i64*, i64, i64, i64, {real}, i64*, {real}*, i64*, i64, {real}, "
                f"i64, i64, i64, {real}*, i64, i64, i64*, {real}*, {target}*, {target}*, i64, i64, i64, i64)",
            )
        )
        self.in_place = None
        if not self.flat and _InPlace.suits(task):
            vertical = (
                self.terms, address(self.weights_down), address(self.runs), self.taps_down, u, tolerances[0]
            )  # fmt: skip
            horizontal = (
                address(self.weights_along), address(self.ends), v * columns.dilation * channels,
                tolerances[1],
            )  # fmt: skip
            self.in_place = _InPlace(
                task, self.dense, self.apart, noted, vertical, along_in_place, horizontal
            )  # fmt: skip
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, channels, step,
            columns.reach, task.constant, rows.stride, rows.reach, int(self.flat), self.terms,
            address(self.offsets_down), address(self.weights_down), address(self.runs),
            self.taps_down, u, u * rows.dilation * tiles.line, tolerances[0],
            address(self.offsets_along), address(self.weights_along), address(self.ends), int(offsets[v]),
            tolerances[1], tiles.span, tiles.chunk, tiles.lines,
        )  # fmt: skip
        self.scratch = Scratch(
            (tiles.lines * tiles.line + SLACK, real_type),
            (tiles.chunk * (self.taps_down + BEHIND), np.dtype(np.int64)),
            (0 if self.flat else self.terms * tiles.chunk * tiles.line + SLACK, real_type),
            (SLACK, task.target_type),
        )
        self.nbytes = task.row_map.nbytes + task.column_map.nbytes + 3 * self.weights_along.nbytes

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        tiles, geometry = self.tiles, self.task.geometry
        start, stride, to, to_stride = address(image), row_stride(image), address(out), row_stride(out)

        def strip(first: int, last: int) -> None:
            if self.in_place and last - first >= ROWS:
                self.in_place.run(image, out, first, last)
                return
            _held, (lines, table, sums, spare) = self.scratch.places()
            self.loop(
                start, stride, *self.before, lines, tiles.line, tiles.plane, table, sums, spare, to,
                to_stride, first, last, geometry.columns.output,
            )  # fmt: skip

        threads.run_strips(strip, geometry.rows.output, workers, tiles.chunk)


class _InPlace:
    """Images of the type of the sums, which are read where they stand (`loops.separable.in_place`).

    `rows` is how far down the taps lie and what a constant is recognised by, `offsets` where those along a
    line of sums lie, `down` and `along` what else the loop is to know of the kernel's columns and rows.
    """

    def __init__(
        self, task: Task, dense: bool, apart: int, rows: Places, down: tuple[Any, ...],
        offsets: Places, along: tuple[Any, ...],
    ) -> None:  # fmt: skip
        axis, columns, channels = task.geometry.rows, task.geometry.columns, task.channels
        self.task, self.rows, self.offsets = task, rows, offsets
        self.line = line_in_place(task)
        self.elements = columns.length * channels
        outside = bool((task.row_map < 0).any() or (task.column_map < 0).any())
        target, real = task.target, task.real
        self.loop = compiled.function(
            compiled.Loop(
                "separable",
                "in_place",
                (target, real, dense, apart),
                f"void({real}*, i64, i64*, i64*, i64, i64, i64, i64, i64, i64*, i64, "
                f"i64, {real}*, i64*, i64, i64, {real}, i64*, {real}*, i64*, i64, {real}, "
                f"{real}*, i64, {real}, i64, i64*, {real}*, i64, {target}*, {target}*, i64, i64, i64, i64)",
            )
        )
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, columns.padded,
            channels, axis.stride, address(rows), len(rows), *down, address(offsets), *along,
        )  # fmt: skip
        self.filled = self.elements if outside else 0
        terms = down[0]
        real_type = task.real_type
        self.scratch = Scratch(
            (self.elements + SLACK, real_type),
            (len(rows), np.dtype(np.int64)),
            (2 * terms * self.line + 2 * terms * SLACK, real_type),
            (SLACK, task.target_type),
        )

    @staticmethod
    def suits(task: Task) -> bool:
        """Tell whether the image has the type of the sums, and as many rows are read as suit the caches."""
        rows, columns = task.geometry.rows, task.geometry.columns
        if task.source != task.real or columns.stride != 1 or not stand_well(task, rows.reach + rows.stride):
            return False
        block = REGISTERS * register_bytes() // task.real_type.itemsize
        return block <= columns.length * task.channels <= LONGEST_ROW

    def run(self, image: Array, out: Array, first: int, last: int) -> None:
        """Compute the output rows `[first, last)`, two at least."""
        _held, (empty, table, sums, spare) = self.scratch.places()
        start, width = address(image), self.task.geometry.columns.output * self.task.channels
        self.loop(
            start, row_stride(image), *self.before, empty, self.filled, self.task.constant,
            (empty - start) // self.task.real_type.itemsize, table, sums, self.line, spare,
            address(out), row_stride(out), first, last, width,
        )  # fmt: skip


def line_in_place(task: Task) -> int:
    """Elements from one line of sums to the next: an odd number of cache lines."""
    return ((task.geometry.columns.padded * task.channels + SLACK) // 16 | 1) * 16


def ladders(places: Places, apart: int) -> tuple[Places, Places]:
    """Group taps that lie `apart` elements from each other, as `loops.separable` reads them.

    Returns
    -------
    order : int64 array
        The taps, those of ladders with one rung first, then two, three and four.
    ends : int64 array of shape (4,)
        Where the taps of each kind of ladder end.

    Examples
    --------
    >>> ladders(np.array([0, 1, 2, 8, 10]), 8)
    (array([1, 0, 3, 2, 4]), array([1, 5, 5, 5]))
    """
    number = {int(place): tap for tap, place in enumerate(places)}
    kinds: list[list[int]] = [[] for _ in range(RUNGS)]
    for place in sorted(number):
        ladder: list[int] = []
        while len(ladder) < RUNGS and place in number:
            ladder.append(number.pop(place))
            place += apart
        if ladder:
            kinds[len(ladder) - 1] += ladder
    order = np.array([tap for kind in kinds for tap in kind], np.int64)
    return order, np.cumsum([len(kind) for kind in kinds], dtype=np.int64)
