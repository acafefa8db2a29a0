"""Running sums: the mean over rectangles."""

from __future__ import annotations

import math

import numpy as np

from cnnfilter.core import threads
from cnnfilter.core.jit import compiled
from cnnfilter.core.loops.running import reciprocal
from cnnfilter.core.methods import separable
from cnnfilter.core.methods.work import ELEMENTS, ROWS, Work, row_stride, writes_past_caches


def run(work: Work) -> None:
    """Average over the kernel's rectangle; stride and dilation are 1.

    A strip in which a NaN or an infinity turns up is computed again by the separable method, where it
    reaches no farther than the kernel.
    """
    height, width = work.out.shape[:2]
    if height < ROWS or width * work.channels < 2 * ELEMENTS:
        _separably(work, 0, height)
        return
    averages = _Averages(work)
    least = max(ROWS, work.geometry.rows.reach // 2)
    threads.run_strips(averages.strip, height, work.threads, least)


def sums_types(source: str, target: str, height: int, width: int) -> tuple[str, str]:
    """Name the types of the sums down a column and across a row.

    Down a column all sums are exact (float32 pixels: to 29 bits more than they have). Across, the sums of
    8-bit pixels are exact as well: in 16 bits where `reciprocal` divides them, else in float32 up to 2**24.
    """
    if source == "u8" and 255 * height < 1 << 16:
        if target == "u8" and reciprocal(height * width):
            return "u16", "u16"
        return "u16", "f32" if 255 * height * width <= 1 << 24 and target != "f64" else "f64"
    return "f64", "f32" if source == target == "f32" else "f64"


_NUMPY = {"u16": np.uint16, "f32": np.float32, "f64": np.float64}


class _Averages:
    def __init__(self, work: Work) -> None:
        self.work = work
        height, width = work.geometry.rows.kernel, work.geometry.columns.kernel
        sums, across = sums_types(work.source, work.target, height, width)
        self.sums, self.across = _NUMPY[sums], _NUMPY[across]
        area = height * width
        self.division = (reciprocal(area) if across == "u16" else None) or (area, 1 / area, 0)
        pivot = work.source == work.target == "f32"
        self.pivots = work.pivots(pivot).astype(self.across)
        self.bases = (work.pivots(pivot).astype(np.float64) * height).astype(self.across)
        source, target = work.source, work.target
        self.loop = compiled.function(
            compiled.Loop(
                "running",
                "strip",
                (source, target, sums, across, pivot),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, i64, {sums}, i64, i64, i64, i64, "
                f"{across}, {across}, {across}, {across}*, {across}*, "
                f"{sums}*, {across}*, {across}*, {target}*, i64, i64, i64, i64, i64*)",
            )
        )

    def strip(self, first: int, last: int) -> None:
        work = self.work
        columns, height, width = (
            work.geometry.columns,
            work.geometry.rows.kernel,
            work.geometry.columns.kernel,
        )
        row_map = work.row_map[first:]
        constant = int(work.constant) if self.sums is np.uint16 else work.constant
        padded = columns.padded
        span = min(_tile_elements(work.channels), work.out.shape[1] * work.channels)
        part = 1 if width < 8 else math.isqrt(width)
        sums = np.zeros(padded * work.channels + 8 * ELEMENTS, self.sums)
        parts = np.empty(span + width * work.channels + 8 * ELEMENTS, self.across)
        line = np.empty_like(parts)
        out = work.out[first:last]
        report = np.zeros(1, np.int64)
        self.loop(
            work.image.ctypes.data, row_stride(work.image), row_map.ctypes.data, work.column_map.ctypes.data,
            columns.before, columns.length, padded, work.channels, constant, height, width, part, span,
            *self.division, self.bases.ctypes.data, self.pivots.ctypes.data,
            sums.ctypes.data, line.ctypes.data, parts.ctypes.data, out.ctypes.data, row_stride(out),
            last - first, out.shape[1] * work.channels,
            writes_past_caches(work.out) and out.ctypes.data % 64 == 0, report.ctypes.data,
        )  # fmt: skip
        if report[0]:
            _separably(work, first, last)


def _tile_elements(channels: int) -> int:
    """Return how many elements of a row are finished at a time: whole pixels and whole cache lines.

    A few lines of this length fit the first cache together.
    """
    least = math.lcm(channels, ELEMENTS)
    return max(1024 // least, 1) * least


def _separably(work: Work, first: int, last: int) -> None:
    rows, columns = work.geometry.rows.kernel, work.geometry.columns.kernel
    factors = [(np.full(rows, 1 / rows), np.full(columns, 1 / columns))]
    part = work.rows_alone(first, last)
    separable.run(part, factors, pivot=work.target.startswith("f"))
