"""Running sums: the mean over rectangles."""

from __future__ import annotations

import math

import numpy as np

from cnnfilter.core import compiled, threads
from cnnfilter.core.loops.running import reciprocal
from cnnfilter.core.methods import separable
from cnnfilter.core.methods.work import ELEMENTS, ROWS, Work, row_stride


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


def sums_type(source: str, area: int) -> str | None:
    """Name the smallest type that holds the sum of `area` pixels exactly, or None.

    float32 images have no such type; float64 keeps 29 bits more than they have.
    """
    if source == "u8" and reciprocal(area):
        return "u16"
    if source == "u8":
        return "f32" if area * 255 <= 1 << 24 else "f64"
    return None if source == "f64" else "f64"


class _Averages:
    def __init__(self, work: Work) -> None:
        self.work = work
        height, width = work.geometry.rows.kernel, work.geometry.columns.kernel
        sums = sums_type(work.source, height * width)
        assert sums is not None, "float64 images are not averaged by running sums"
        if sums == "u16" and (work.target != "u8" or not 0 <= work.constant <= 255):
            sums = "f32"
        self.sums, self.sums_dtype = sums, {"u16": np.uint16, "f32": np.float32, "f64": np.float64}[sums]
        self.division = (height * width, 1 / (height * width), 0)
        if sums == "u16":
            self.division = reciprocal(height * width) or self.division
        source, target = work.source, work.target
        self.loop = compiled.function(
            compiled.Loop(
                "running",
                "strip",
                (source, target, sums),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, i64, {sums}, i64, i64, i64, "
                f"{sums}, {sums}, {sums}, {sums}*, {sums}*, {target}*, i64, i64, i64, i64*)",
            )
        )

    def strip(self, first: int, last: int) -> None:
        work = self.work
        columns, height, width = work.geometry.columns, work.geometry.rows.kernel, work.geometry.columns.kernel
        row_map = work.row_map[first:].copy()
        constant = int(work.constant) if self.sums == "u16" else work.constant
        padded = columns.padded
        part = 1 if width < 8 else math.isqrt(width)
        sums = np.zeros(padded * work.channels + 8 * ELEMENTS, self.sums_dtype)
        parts = np.zeros_like(sums)
        out = work.out[first:last]
        report = np.zeros(1, np.int64)
        self.loop(
            work.image.ctypes.data, row_stride(work.image), row_map.ctypes.data, work.column_map.ctypes.data,
            columns.before, columns.length, padded, work.channels, constant, height, width, part,
            *self.division, sums.ctypes.data, parts.ctypes.data, out.ctypes.data, row_stride(out), last - first,
            out.shape[1] * work.channels, report.ctypes.data,
        )  # fmt: skip
        if report[0]:
            _separably(work, first, last)


def _separably(work: Work, first: int, last: int) -> None:
    rows, columns = work.geometry.rows.kernel, work.geometry.columns.kernel
    factors = [(np.full(rows, 1 / rows), np.full(columns, 1 / columns))]
    part = work.rows_alone(first, last)
    separable.run(part, factors, pivot=work.target.startswith("f"))
