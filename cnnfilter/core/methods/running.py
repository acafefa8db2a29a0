"""Means over rectangles, by running sums of whole numbers or by sums of sums of floats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnfilter.core import threads
from cnnfilter.core.jit import compiled
from cnnfilter.core.jit.processor import register_bytes
from cnnfilter.core.loops.running import REGISTERS, reciprocal
from cnnfilter.core.memory import Scratch
from cnnfilter.core.methods.work import SLACK, Array, Prepared, Task, address, row_stride, tiling
from cnnfilter.core.threads import Workers

LEAST_ROWS = 16
"""Fewest rows for a thread: those above the first are summed up by each anew."""


def prepare(task: Task) -> Prepared:
    """Make ready to average over the kernel's rectangle; stride and dilation are 1."""
    return _Boxes(task) if task.source.startswith("f") else _Averages(task)


def sums_types(source: str, target: str, height: int, width: int) -> tuple[str, str]:
    """Name the types of the sums of whole numbers down a column and across a row; all of them are exact.

    Across, the sums of 8-bit pixels are kept in 16 bits where `reciprocal` divides them, else in float32 up
    to 2**24.
    """
    if source == "u8" and 255 * height < 1 << 16:
        if target == "u8" and reciprocal(height * width):
            return "u16", "u16"
        return "u16", "f32" if 255 * height * width <= 1 << 24 and target != "f64" else "f64"
    return "i32", "f64"


_NUMPY: dict[str, np.dtype[Any]] = {
    "u16": np.dtype(np.uint16),
    "i32": np.dtype(np.int32),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}


class _Averages:
    """Whole numbers: sums that run down the columns, exact whatever has passed through them."""

    def __init__(self, task: Task) -> None:
        self.task = task
        rows, columns = task.geometry.rows, task.geometry.columns
        height, width = rows.kernel, columns.kernel
        sums, across = sums_types(task.source, task.target, height, width)
        self.across = _NUMPY[across]
        area = height * width
        division = (reciprocal(area) if across == "u16" else None) or (area, 1 / area, 0)
        source, target = task.source, task.target
        self.loop = compiled.function(
            compiled.Loop(
                "running",
                "strip",
                (source, target, sums, across),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, i64, {sums}, i64, i64, i64, i64, "
                f"{across}, {across}, {across}, "
                f"{sums}*, {across}*, {across}*, {target}*, {target}*, i64, i64, i64, i64)",
            )
        )
        # A block at least; then no more than there is, so that nothing is written behind a row.
        block = REGISTERS * register_bytes() // self.across.itemsize
        self.span = max(min(_tile_elements(task.channels), columns.output * task.channels), block)
        constant = int(task.constant) if _NUMPY[sums].kind in "iu" else task.constant
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, columns.padded,
            task.channels, constant, height, width, 1 if width < 8 else math.isqrt(width), self.span,
            *division,
        )  # fmt: skip
        parts = self.span + width * task.channels + 2 * SLACK
        self.scratch = Scratch(
            (columns.padded * task.channels + self.span + 2 * SLACK, _NUMPY[sums]),
            (parts, self.across),
            (parts, self.across),
            (SLACK, task.target_type),
        )
        self.nbytes = task.row_map.nbytes + task.column_map.nbytes

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        geometry, channels = self.task.geometry, self.task.channels
        start, stride, to, to_stride = address(image), row_stride(image), address(out), row_stride(out)

        def strip(first: int, last: int) -> None:
            _held, lines = self.scratch.places()
            self.loop(
                start, stride, *self.before, *lines, to, to_stride, first, last,
                geometry.columns.output * channels,
            )  # fmt: skip

        least = max(LEAST_ROWS, geometry.rows.reach // 2)
        threads.run_strips(strip, geometry.rows.output, workers, least)


class _Boxes:
    """Floats: every output is the sum of its own window, so that nothing is carried along."""

    def __init__(self, task: Task) -> None:
        self.task, self.tiles = task, tiling(task, 2)
        rows, columns = task.geometry.rows, task.geometry.columns
        height, width = rows.kernel, columns.kernel
        part_down, part_along = max(1, math.isqrt(height // 2)), max(1, math.isqrt(width))
        additions = (
            part_down + height // part_down + part_down + part_along + width // part_along + part_along
        )
        tolerance = (additions + 4) * float(np.finfo(task.real_type).eps)
        scale = 0.5 ** (height * width).bit_length()
        source, target, real = task.source, task.target, task.real
        self.loop = compiled.function(
            compiled.Loop(
                "boxes",
                "strip",
                (source, target, real),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, {real}, i64, i64, i64, i64, i64, i64, "
                f"{real}, {real}, {real}, i64, i64, {real}*, i64, {real}*, {real}*, {target}*, {target}*, "
                f"i64, i64, i64, i64)",
            )
        )
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, task.channels,
            task.constant, height, width, part_down, part_along, height // 2, width // 2,
            scale, 1 / (height * width * scale), tolerance, self.tiles.span, self.tiles.chunk,
        )  # fmt: skip
        lines = self.tiles.lines * self.tiles.line + SLACK
        sums = self.tiles.chunk * self.tiles.line + SLACK
        self.scratch = Scratch(
            *[(lines, task.real_type)] * 2, (sums, task.real_type), (SLACK, task.target_type)
        )
        self.nbytes = task.row_map.nbytes + task.column_map.nbytes

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        tiles, geometry = self.tiles, self.task.geometry
        start, stride, to, to_stride = address(image), row_stride(image), address(out), row_stride(out)

        def strip(first: int, last: int) -> None:
            _held, (line, part, sum_, spare) = self.scratch.places()
            self.loop(
                start, stride, *self.before, line, tiles.line, part, sum_, spare, to, to_stride, first, last,
                geometry.columns.output,
            )  # fmt: skip

        threads.run_strips(strip, geometry.rows.output, workers, tiles.chunk)


def _tile_elements(channels: int) -> int:
    """Return how many elements of a row are finished at a time: whole pixels and whole cache lines.

    A few lines of this length fit the first cache together.
    """
    least = math.lcm(channels, 64)
    return max(1024 // least, 1) * least
