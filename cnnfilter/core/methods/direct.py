"""Direct correlation with any kernel, tap by tap. Zero weights cost nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.geometry import Pair
from cnnfilter.core.jit import compiled
from cnnfilter.core.loops.blocks import BEHIND
from cnnfilter.core.memory import Scratch
from cnnfilter.core.methods.work import (
    SLACK,
    Array,
    Task,
    address,
    rounding_of_a_constant,
    row_stride,
    tiling,
    two_rows,
)
from cnnfilter.core.threads import Workers


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
        else:
            taps = two_rows(u * rows.dilation, v * columns.dilation, values, rows.stride, task.real_type)
            self.offsets, self.runs, self.weights = offset(taps.rows, taps.columns), taps.runs, taps.weights
            self.taps, centre = len(taps.rows), offset(at[0] * rows.dilation, at[1] * columns.dilation)
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

        def strip(first: int, last: int) -> None:
            self.run_part(image, out, (first, last), (0, geometry.columns.output))

        geometry = self.task.geometry
        threads.run_strips(strip, geometry.rows.output, workers, self.tiles.chunk)

    def run_part(self, image: Array, out: Array, rows: Pair, columns: Pair) -> None:
        """Compute the output rows and columns `[first, last)` alone."""
        tiles = self.tiles
        _held, (lines, table, spare) = self.scratch.places()
        self.loop(
            address(image), row_stride(image), *self.before, lines, tiles.line, tiles.plane, table, spare,
            address(out), row_stride(out), *rows, *columns,
        )  # fmt: skip
