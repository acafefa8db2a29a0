"""Direct correlation with any kernel, tap by tap. Zero weights cost nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.geometry import Pair
from cnnfilter.core.jit import compiled
from cnnfilter.core.memory import scratch
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


def prepare(task: Task, weights: NDArray[np.float64], snapping: bool) -> Correlation:
    """Make ready to correlate with `weights` (U, V).

    `snapping` says that the weights sum to 1, and keeps constants to the last bit.
    """
    return Correlation(task, weights, snapping)


class Correlation:
    """Two output rows at a time, from padded lines (`loops.direct`)."""

    def __init__(self, task: Task, weights: NDArray[np.float64], snapping: bool) -> None:
        rows, columns = task.geometry.rows, task.geometry.columns
        self.task, self.tiles = task, tiling(task)
        tiles, channels = self.tiles, task.channels
        u, v = np.nonzero(weights)
        values = weights[u, v]
        self.taps = two_rows(u * rows.dilation, v * columns.dilation, values, rows.stride, task.real_type)
        step = columns.stride

        def offset(row: Array, column: Array) -> Array:
            places: Array = row * tiles.line + column % step * tiles.plane + column // step * channels
            return places

        self.offsets = offset(self.taps.rows, self.taps.columns)
        middle = int(np.abs(values).argmax()) if len(values) else 0
        centre = int(offset(u[middle] * rows.dilation, v[middle] * columns.dilation)) if len(values) else 0
        tolerance = rounding_of_a_constant(values.astype(task.real_type)) if snapping else 0.0
        source, target, real = task.source, task.target, task.real
        self.loop = compiled.function(
            compiled.Loop(
                "direct",
                "strip",
                (source, target, real, snapping),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, i64, i64, {real}, i64, i64, "
                f"i64*, {real}*, i64*, i64, i64, {real}, i64, i64, {real}*, i64, i64, {target}*, "
                f"{target}*, i64, i64, i64, i64, i64)",
            )
        )
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, channels, step,
            columns.reach, task.constant, rows.stride, rows.reach, address(self.offsets),
            address(self.taps.weights), address(self.taps.runs), len(self.taps), centre, tolerance,
            tiles.span, tiles.chunk,
        )  # fmt: skip
        self.nbytes = task.row_map.nbytes + task.column_map.nbytes + self.offsets.nbytes * 5

    def run(self, image: Array, out: Array, workers: int) -> None:
        """Filter an image into `out`."""

        def strip(first: int, last: int) -> None:
            self.run_part(image, out, (first, last), (0, geometry.columns.output))

        geometry = self.task.geometry
        threads.run_strips(strip, geometry.rows.output, workers, self.tiles.chunk)

    def run_part(self, image: Array, out: Array, rows: Pair, columns: Pair) -> None:
        """Compute the output rows and columns `[first, last)` alone."""
        tiles = self.tiles
        size = tiles.lines * tiles.line + SLACK
        lines, spare = scratch((size, self.task.real_type), (2 * SLACK, out.dtype))
        self.loop(
            address(image), row_stride(image), *self.before, lines, tiles.line, tiles.plane, spare,
            address(out), row_stride(out), *rows, *columns,
        )  # fmt: skip
