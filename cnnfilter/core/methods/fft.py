"""Fourier transforms for large dense kernels, by tiles (overlap-save)."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.jit import compiled
from cnnfilter.core.methods import direct
from cnnfilter.core.methods.work import ELEMENTS, Work, lengthened, row_stride

SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Rows of a tile; powers of two."""

TILE_BYTES = 640 << 10
"""Bytes of a pair of tiles, which are to stay in the second cache."""


def best_size(reach: int) -> int:
    """Return the tile height for a kernel `reach` rows high: three times that, up to a power of two.

    A tile gives ``size - reach + 1`` rows; a higher one wastes less, but leaves the cache fewer columns.
    Measured on 4096 x 4096 float32: reach 9 in 32 rows 37 ms, in 64 rows 42; reach 31 in 64 rows 88 ms, in
    128 rows 76, in 256 rows 88.
    """
    return next(size for size in SIZES if size >= 3 * reach or size == SIZES[-1])


def operations(reach: int, taps: int) -> float:
    """Count the multiply-adds for each value of the output."""
    size = best_size(reach)
    return float(size * (2 * taps + 4 * np.log2(size)) / (size - reach + 1))


def run(work: Work, weights: NDArray[np.float64], gain: float) -> None:
    """Correlate with `weights` (U, V), whose sum is `gain`; the stride is 1.

    A strip in which a NaN or an infinity turns up is computed again by the direct method, where it reaches
    no farther than the kernel.
    """
    height, width = work.out.shape[:2]
    least = -(-ELEMENTS // work.channels)
    if width < least:
        enlarged = work.enlarged(height, least)
        _Correlation(enlarged, weights, gain).strip(0, height)
        work.out[...] = enlarged.out[:height, :width]
        return
    correlation = _Correlation(work, weights, gain)
    threads.run_strips(correlation.strip, height, work.threads, correlation.size)


class _Correlation:
    def __init__(self, work: Work, weights: NDArray[np.float64], gain: float) -> None:
        self.work, self.weights = work, weights
        rows, columns = work.geometry.rows, work.geometry.columns
        self.size = best_size(rows.reach)
        real = work.real_type
        self.cosines, self.sines = (table.astype(real) for table in _twiddles(self.size))
        spread = np.zeros((self.size, columns.kernel))
        spread[np.arange(rows.kernel) * rows.dilation] = weights
        spectrum = np.conj(np.fft.fft(spread, axis=0))[_bit_reversed(self.size)] / self.size
        self.kernel_re, self.kernel_im = spectrum.real.astype(real), spectrum.imag.astype(real)
        self.places = np.arange(columns.kernel, dtype=np.int64) * columns.dilation * work.channels
        self.pivots = work.pivots(True)
        self.offsets = (self.pivots.astype(np.float64) * gain).astype(real)
        source, target, form = work.source, work.target, work.real
        self.loop = compiled.function(
            compiled.Loop(
                "fft",
                "strip",
                (source, target, form),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, i64, {form}, i64, i64, {form}*, {form}*, "
                f"{form}*, {form}*, i64, i64*, {form}*, {form}*, {form}*, {form}*, i64, {form}*, "
                f"{target}*, i64, i64, i64)",
            )
        )

    def strip(self, first: int, last: int) -> None:
        """Compute the output rows `[first, last)`, a tile of columns at a time."""
        work = self.work
        width = work.out.shape[1]
        least = -(-ELEMENTS // work.channels)
        halo = work.geometry.columns.reach - 1
        fitting = TILE_BYTES // (2 * self.size * work.real_type.itemsize * work.channels) - halo
        tiles = max(1, -(-width // max(fitting, least, halo)))
        edges = [width * tile // tiles for tile in range(tiles + 1)]
        finite = True
        for left, right in itertools.pairwise(edges):
            right = max(right, min(width, left + least))
            finite &= self._tile(first, last, min(left, right - least), right)
        if not finite:
            direct.run(work.rows_alone(first, last), self.weights, pivot=False)

    def _tile(self, first: int, last: int, left: int, right: int) -> bool:
        work, columns = self.work, self.work.geometry.columns
        channels, rows = work.channels, last - first
        places = lengthened(work.column_map[left:], right - left - 1 + columns.reach)
        inside = columns.before - left
        begin = min(max(inside, 0), len(places))
        end = max(min(inside + columns.length, len(places)), begin)
        # One place more than is read, because the loop looks at the place where the image would begin.
        column_map = np.append(places, -1)
        row_map = lengthened(work.row_map[first:], rows + work.geometry.rows.reach - 1)
        # An odd number of cache lines a row, so that a column does not fall into one cache set.
        stride = ((len(places) * channels + 2 * ELEMENTS) // 16 | 1) * 16
        # Half a page between the parts: a load is held up by a store at the same place in another page.
        item = work.real_type.itemsize
        part = -(-(self.size * stride + 2 * ELEMENTS) * item // 4096) * 4096 // item
        both = np.zeros(2 * part + 2048 // item, work.real_type)
        re, im = both[:part], both[part + 2048 // item :]
        report = np.zeros(4 * ELEMENTS, work.real_type)
        out = work.out[first:last, left:right]
        self.loop(
            work.image.ctypes.data, row_stride(work.image), row_map.ctypes.data, column_map.ctypes.data,
            begin, end, len(places), channels, work.constant, self.size, work.geometry.rows.reach,
            self.cosines.ctypes.data, self.sines.ctypes.data, self.kernel_re.ctypes.data,
            self.kernel_im.ctypes.data, columns.kernel, self.places.ctypes.data, self.pivots.ctypes.data,
            self.offsets.ctypes.data, re.ctypes.data, im.ctypes.data, stride, report.ctypes.data,
            out.ctypes.data, row_stride(work.out), rows, (right - left) * channels,
        )  # fmt: skip
        return not report.any()


@lru_cache(maxsize=8)
def _twiddles(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and sines of ``pi j / half`` at ``[half + j]``, for every half the transform meets."""
    half = 1 << (np.log2(np.maximum(np.arange(size), 1)).astype(int))
    angle = np.pi * (np.arange(size) - half) / half
    return np.cos(angle), np.sin(angle)


@lru_cache(maxsize=8)
def _bit_reversed(size: int) -> NDArray[np.int64]:
    """Which frequency stands in each row after the forward transform."""
    order = np.zeros(1, np.int64)
    while len(order) < size:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order
