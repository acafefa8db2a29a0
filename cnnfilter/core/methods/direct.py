"""Direct correlation with any kernel, tap by tap. Zero weights cost nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.geometry import Pair
from cnnfilter.core.jit import compiled
from cnnfilter.core.jit.processor import register_bytes
from cnnfilter.core.loops.blocks import BEHIND, REGISTERS, ROWS
from cnnfilter.core.memory import Scratch
from cnnfilter.core.methods.work import (
    LINE_BYTES,
    SLACK,
    Array,
    Places,
    Task,
    address,
    rounding_of_a_constant,
    row_stride,
    stand_well,
    tiling,
    two_rows,
)
from cnnfilter.core.threads import Workers

LEAST_ELEMENTS = 1 << 19
"""Fewest outputs for which the image is read where it stands: copies of less stay in the caches."""


def prepare(task: Task, weights: NDArray[np.float64], snapping: bool) -> Correlation:
    """Make ready to correlate with `weights` (U, V).

    `snapping` says that the weights sum to 1, and keeps constants to the last bit.
    """
    return Correlation(task, weights, snapping)


class Correlation:
    """A few output rows at a time, from padded lines (`loops.direct`)."""

    def __init__(self, task: Task, weights: NDArray[np.float64], snapping: bool) -> None:
        rows, columns = task.geometry.rows, task.geometry.columns
        self.task, self.tiles = task, tiling(task)
        tiles, channels = self.tiles, task.channels
        step = columns.stride

        def offset(row: Any, column: Any) -> Any:
            return row * tiles.line + column % step * tiles.plane + column // step * channels

        u, v = np.nonzero(weights)
        values = weights[u, v]
        middle = int(np.abs(values).argmax()) if len(values) else 0
        at = (int(u[middle]), int(v[middle])) if len(values) else (0, 0)
        self.dense = len(values) == weights.size and task.geometry.stride == task.geometry.dilation == (1, 1)
        if self.dense:
            values = weights.T.ravel()
            self.offsets, self.runs = np.zeros(0, np.int64), np.zeros(0, np.int64)
            self.weights = values.astype(task.real_type)
            self.taps, centre = rows.kernel, at[1] * channels
            places = np.arange(self.taps + ROWS - 1), np.zeros(self.taps + ROWS - 1, np.int64)
        else:
            taps = two_rows(u * rows.dilation, v * columns.dilation, values, rows.stride, task.real_type)
            self.offsets, self.runs, self.weights = offset(taps.rows, taps.columns), taps.runs, taps.weights
            middle_row, middle_column = at[0] * rows.dilation, at[1] * columns.dilation
            self.taps, centre = len(taps.rows), offset(middle_row, middle_column)
            places = (
                np.append(taps.rows, [middle_row, middle_row + rows.stride]),
                np.append(taps.columns, [middle_column, middle_column]),
            )
        tolerance = rounding_of_a_constant(values.astype(task.real_type)) if snapping else 0.0
        source, target, real = task.source, task.target, task.real
        self.loop = compiled.function(
            compiled.Loop(
                "direct",
                "strip",
                (source, target, real, self.dense),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, i64, i64, {real}, i64, i64, "
                f"i64*, {real}*, i64*, i64, i64, i64, i64, {real}, i64, i64, i64, {real}*, i64, i64, i64*, "
                f"{target}*, {target}*, i64, i64, i64, i64, i64)",
            )
        )
        known = (
            address(self.weights), address(self.runs), self.taps, columns.kernel, channels, at[0], centre,
            tolerance,
        )  # fmt: skip
        self.inside = _Inside(task, self.dense, *places, known) if _Inside.suits(task) else None
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, channels, step,
            columns.reach, task.constant, rows.stride, rows.reach, address(self.offsets),
            address(self.weights), address(self.runs), self.taps, columns.kernel, at[0], centre, tolerance,
            tiles.span, tiles.chunk, tiles.lines,
        )  # fmt: skip
        self.scratch = Scratch(
            (tiles.lines * tiles.line + SLACK, task.real_type),
            (self.taps + BEHIND, np.dtype(np.int64)),
            (SLACK, task.target_type),
        )
        self.nbytes = task.row_map.nbytes + task.column_map.nbytes + 3 * self.weights.nbytes

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        """Filter an image into `out`."""
        width = self.task.geometry.columns.output

        def strip(first: int, last: int) -> None:
            parts = self.inside.run(image, out, first, last) if self.inside else [((first, last), (0, width))]
            for rows, columns in parts:
                self.run_part(image, out, rows, columns)

        threads.run_strips(strip, self.task.geometry.rows.output, workers, self.tiles.chunk)

    def run_part(self, image: Array, out: Array, rows: Pair, columns: Pair) -> None:
        """Compute the output rows and columns `[first, last)` alone."""
        tiles = self.tiles
        _held, (lines, table, spare) = self.scratch.places()
        self.loop(
            address(image), row_stride(image), *self.before, lines, tiles.line, tiles.plane, table, spare,
            address(out), row_stride(out), *rows, *columns,
        )  # fmt: skip


class _Inside:
    """Outputs whose windows lie within the image, which is read where it stands (`loops.direct.inside`).

    `rows` and `columns` are where the taps lie from the first, and `known` what else the loop is to know.
    """

    def __init__(
        self, task: Task, dense: bool, rows: Places, columns: Places, known: tuple[Any, ...]
    ) -> None:
        down, along = task.geometry.rows, task.geometry.columns
        self.rows, self.columns, self.channels = down.interior, along.interior, task.channels
        self.tap_rows, self.tap_elements = rows, columns * task.channels
        block = REGISTERS * register_bytes() // task.real_type.itemsize
        self.narrowest = -(-block // task.channels)
        # The lines that two rows need, and the two written, stay in the second cache until the next two come.
        span = LINE_BYTES // ((down.reach + down.stride + ROWS) * task.real_type.itemsize)
        target, real = task.target, task.real
        self.loop = compiled.function(
            compiled.Loop(
                "direct",
                "inside",
                (target, real, dense),
                f"void({real}*, i64, i64, i64, i64, i64*, i64*, i64, {real}*, i64*, i64, i64, i64, i64, i64, "
                f"{real}, i64, i64*, {target}*, i64, i64, i64, i64, i64)",
            )
        )
        self.before = (
            down.stride, down.before, along.before * task.channels, address(self.tap_rows),
            address(self.tap_elements), len(rows), *known, max(span // block, 1) * block,
        )  # fmt: skip
        self.scratch = Scratch((len(rows), np.dtype(np.int64)))

    @staticmethod
    def suits(task: Task) -> bool:
        """Tell whether the image has the type of the sums, and copies of its pixels would cost."""
        rows, columns = task.geometry.rows, task.geometry.columns
        if task.source != task.real or columns.stride != 1:
            return False
        outputs = rows.output * columns.output * task.channels
        return outputs >= LEAST_ELEMENTS and stand_well(task, rows.reach + rows.stride + ROWS)

    def run(self, image: Array, out: Array, first: int, last: int) -> list[tuple[Pair, Pair]]:
        """Compute what can be of the output rows `[first, last)`; return rows and columns that are left."""
        top, bottom = max(self.rows[0], first), min(self.rows[1], last)
        left, right = self.columns
        width = out.shape[1]
        if bottom - top < ROWS or right - left < self.narrowest:
            return [((first, last), (0, width))]
        _held, (table,) = self.scratch.places()
        self.loop(
            address(image), row_stride(image), *self.before, table, address(out), row_stride(out),
            top, bottom, left * self.channels, right * self.channels,
        )  # fmt: skip
        around = [
            ((first, top), (0, width)), ((bottom, last), (0, width)),
            ((top, bottom), (0, left)), ((top, bottom), (right, width)),
        ]  # fmt: skip
        return [(rows, columns) for rows, columns in around if rows[0] < rows[1] and columns[0] < columns[1]]
