"""Direct correlation with any kernel: what is inside the image is read where it stands."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.jit import compiled
from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.methods.work import (
    ELEMENTS,
    ROWS,
    Array,
    Places,
    Work,
    four_rows,
    lengthened,
    padded_copy,
    row_stride,
    writes_past_caches,
)

COPY_BYTES = 4 << 20
"""Bytes of image that are padded at a time where the pixels must be copied first."""


def run(work: Work, weights: NDArray[np.float64], pivot: bool) -> None:
    """Correlate with `weights` (U, V), tap by tap. Zero weights cost nothing.

    `pivot` says that the weights sum to 1, and keeps constants to the last bit (`loops.blocks.four_rows`).
    """
    correlation = _Correlation(work, weights, pivot)
    threads.run_strips(correlation.strip, work.out.shape[0], work.threads, 4 * ROWS)


class _Correlation:
    def __init__(self, work: Work, weights: NDArray[np.float64], pivot: bool) -> None:
        self.work = work
        rows, columns = work.geometry.rows, work.geometry.columns
        u, v = np.nonzero(weights)
        taps = four_rows(u * rows.dilation, v * columns.dilation, weights[u, v], rows.stride, work.real_type)
        self.tap_rows, self.tap_columns, self.weights, self.ends = taps
        self.pivots = work.pivots(pivot)
        source, target, real = work.source, work.target, work.real
        self.loop = compiled.function(
            compiled.Loop(
                "direct",
                "strip",
                (source, target, real, pivot),
                f"void({source}*, i64, i64*, {real}*, i64*, {real}*, i64, {target}*, i64, i64, i64, i64)",
            )
        )

    def strip(self, first: int, last: int) -> None:
        """Compute the output rows `[first, last)`: the inside from the image, the rest from padded copies."""
        geometry = self.work.geometry
        width = self.work.out.shape[1]
        top, bottom = geometry.rows.interior
        left, right = geometry.columns.interior
        left = min(-(-left // 16) * 16, right)
        top, bottom = min(max(first, top), last), max(min(last, bottom), first)
        inside = (right - left) * self.work.channels >= ELEMENTS and bottom - top >= ROWS
        if not inside or geometry.columns.stride > 1:
            self._copied(first, last, np.arange(width))
            return
        self._copied(first, top, np.arange(width))
        self._copied(bottom, last, np.arange(width))
        self._inside(top, bottom, left, right)
        sides = np.concatenate([np.arange(left), np.arange(right, width)])
        self._copied(top, bottom, sides)

    def _inside(self, top: int, bottom: int, left: int, right: int) -> None:
        work = self.work
        rows, columns = work.geometry.rows, work.geometry.columns
        first = work.image[top * rows.stride - rows.before :, left - columns.before :]
        stride = row_stride(work.image)
        self._correlate(first.ctypes.data, stride, work.channels, work.out[top:bottom, left:right])

    def _copied(self, first: int, last: int, columns: Places) -> None:
        """Compute some columns of some rows through padded copies of a few rows at a time."""
        if last <= first or not len(columns):
            return
        work = self.work
        rows, step = work.geometry.rows, work.geometry.columns.stride
        runs = _runs(columns)
        starts, places = _laid_out(runs, step, work.geometry.columns.reach)
        least = -(-ELEMENTS // work.channels)
        width = max(len(places) // step + 1, least)
        bytes_a_row = width * step * work.channels * work.image.itemsize * rows.stride
        height = max(ROWS, COPY_BYTES // bytes_a_row)
        for top in range(first, last, height):
            self._copied_rows(top, min(top + height, last), runs, starts, places)

    def _copied_rows(
        self, first: int, last: int, runs: list[tuple[int, int]], starts: list[int], places: Places
    ) -> None:
        work = self.work
        rows, step = work.geometry.rows, work.geometry.columns.stride
        height = max(last - first, ROWS)
        row_map = lengthened(work.row_map[first * rows.stride :], (height - 1) * rows.stride + rows.reach)
        column_map = work.column_map[np.minimum(places, len(work.column_map) - 1)]
        reach = (work.geometry.columns.reach - 1) // step
        needed = max(len(places) // step - reach, -(-ELEMENTS // work.channels))
        plane = needed + reach
        copy = padded_copy(work.image, row_map, column_map, work.constant, plane * step)
        if step > 1:
            planes = copy.reshape(len(row_map), plane, step, work.channels)
            copy = np.ascontiguousarray(planes.swapaxes(1, 2))
        result = aligned_empty((height, needed, work.channels), work.out.dtype)
        plane *= work.channels
        self._correlate(copy.ctypes.data, step * plane, work.channels, result, plane)
        for (column, length), start in zip(runs, starts, strict=True):
            work.out[first:last, column : column + length] = result[: last - first, start : start + length]

    def _correlate(self, address: int, stride: int, channels: int, out: Array, plane: int = 0) -> None:
        step = self.work.geometry.columns.stride
        offsets = self.tap_rows * stride + _column_offset(self.tap_columns, step, plane, channels)
        self.loop(
            address,
            stride * self.work.geometry.rows.stride,
            offsets.ctypes.data,
            self.weights.ctypes.data,
            self.ends.ctypes.data,
            self.pivots.ctypes.data,
            channels,
            out.ctypes.data,
            row_stride(out),
            out.shape[0],
            out.shape[1] * channels,
            writes_past_caches(out),
        )


def _column_offset(column: Places, step: int, plane: int, channels: int) -> Places:
    """Elements from the start of a row, dealt out to `step` planes, to a column."""
    return column % step * plane + column // step * channels


def _runs(columns: Places) -> list[tuple[int, int]]:
    """Split ascending columns into runs of neighbours: first column and length of each."""
    breaks = [0, *(np.flatnonzero(np.diff(columns) != 1) + 1).tolist(), len(columns)]
    return [(int(columns[start]), stop - start) for start, stop in itertools.pairwise(breaks)]


def _laid_out(runs: list[tuple[int, int]], step: int, reach: int) -> tuple[list[int], Places]:
    """Lay the padded places that some runs of output columns read side by side.

    Returns for each run the output of the copy at which it begins, and the places of the copy.
    """
    starts, places, done = [], [], 0
    for first, length in runs:
        outputs = -(-((length - 1) * step + reach) // step)
        places.append(first * step + np.arange(outputs * step))
        starts.append(done)
        done += outputs
    return starts, np.concatenate(places)
