"""Separable correlation with one term and few rows, without a ring; `separable.run` chooses it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.jit import compiled
from cnnfilter.core.methods.work import ELEMENTS, ROWS, Work, four_rows, row_stride, writes_past_caches

MOST_ROWS = 18
"""Kernels of more rows read the image too often. Measured beside the ring at 4096 x 4096 float32: 9 x 9 taps
17.9 and 20.8 ms, 17 x 17 taps 20.7 and 26.4 ms."""

SPAN = 768
"""Elements of a line finished at a time; four of them fit the first cache."""


def fits(work: Work, terms: int) -> bool:
    """Tell whether this loop can do the work: few rows, and only near pixels beside the image."""
    rows, columns = work.geometry.rows, work.geometry.columns
    span = _span(work)
    halo = max(columns.before, columns.after, columns.reach) * work.channels
    return (
        terms == 1
        and rows.reach <= MOST_ROWS
        and columns.stride == 1
        and 4 * halo <= span
        and work.image.shape[1] * work.channels >= 4 * ELEMENTS
        and work.out.shape[1] * work.channels >= span
        and work.out.shape[1] <= work.image.shape[1]
        and bool((work.row_map >= 0).all())
        and _is_local(work.column_map, columns.before, columns.length)
    )


def _span(work: Work) -> int:
    """Whole pixels and whole cache lines."""
    least = math.lcm(work.channels, ELEMENTS)
    return max(SPAN // least, 1) * least


def _is_local(column_map: NDArray[np.int64], before: int, length: int) -> bool:
    """Tell whether what stands beside the image comes from as near as the kernel reaches."""
    place = np.arange(len(column_map)) - before
    outside = (place < 0) | (place >= length)
    near = np.abs(column_map - place) <= 2 * max(before, len(column_map) - before - length)
    return bool((~outside | ((column_map >= 0) & near)).all())


def run(work: Work, column: NDArray[np.float64], row: NDArray[np.float64], pivot: bool) -> None:
    """Correlate with `outer(column, row)`; `pivot` says that both sum to 1."""
    rows, columns, channels = work.geometry.rows, work.geometry.columns, work.channels
    places = np.arange(rows.kernel, dtype=np.int64) * rows.dilation
    taps = four_rows(places, np.zeros_like(places), column, rows.stride, work.real_type)
    down_rows, _, down_weights, ends = taps
    across = np.arange(columns.kernel, dtype=np.int64) * columns.dilation * channels
    across_weights = row.astype(work.real_type)
    pivots = work.pivots(pivot)
    row_starts = work.row_map * row_stride(work.image)
    span, halo = _span(work), (columns.reach - 1) * channels
    source, target, real = work.source, work.target, work.real
    loop = compiled.function(
        compiled.Loop(
            "short",
            "strip",
            (source, target, real, pivot),
            f"void({source}*, i64*, i64*, i64, i64, i64, i64*, {real}*, i64, {real}*, i64*, {real}*, i64*, "
            f"i64, i64*, {real}*, i64, i64, i64, {target}*, i64, i64, i64, i64)",
        )
    )

    def strip(first: int, last: int) -> None:
        first = min(first, work.out.shape[0] - ROWS)
        last = max(last, first + ROWS)
        # An odd number of cache lines, so that the four lines do not fall into one cache set.
        line_stride = ((span + halo + 2 * ELEMENTS) // 16 | 1) * 16
        lines = np.zeros(ROWS * line_stride, work.real_type)
        starts = row_starts[first * rows.stride :]
        offsets = np.empty(len(down_rows), np.int64)
        out = work.out[first:last]
        loop(
            work.image.ctypes.data, starts.ctypes.data, work.column_map.ctypes.data, columns.before,
            work.image.shape[1] * channels, channels, across.ctypes.data, across_weights.ctypes.data,
            columns.kernel, pivots.ctypes.data, down_rows.ctypes.data, down_weights.ctypes.data,
            ends.ctypes.data, rows.stride, offsets.ctypes.data, lines.ctypes.data, line_stride, span, halo,
            out.ctypes.data, row_stride(out), last - first, out.shape[1] * channels,
            writes_past_caches(work.out) and out.ctypes.data % 64 == 0,
        )  # fmt: skip

    threads.run_strips(strip, work.out.shape[0], work.threads, 4 * ROWS)
