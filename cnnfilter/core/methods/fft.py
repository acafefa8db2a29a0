"""Fourier transforms for large dense kernels, by tiles (overlap-save)."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.geometry import Pair
from cnnfilter.core.jit import compiled
from cnnfilter.core.memory import Scratch
from cnnfilter.core.methods import direct
from cnnfilter.core.methods.work import SLACK, Array, Prepared, Task, address, row_stride
from cnnfilter.core.threads import Workers

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


def grid(reach: Pair, channels: int, real: np.dtype[Any]) -> Pair:
    """Return rows and columns of the output that a pair of tiles gives for a kernel of such a reach.

    Pairs begin at multiples of them. Every output of a tile depends on all its pixels, so that a part of an
    image has the bits of the whole where it consists of whole pairs, or ends where the image does.
    """
    rows, columns = reach
    size, halo = best_size(rows), columns - 1
    fitting = TILE_BYTES // (2 * size * real.itemsize * channels) - halo
    return 2 * (size - rows + 1), max(fitting, 64 // channels, halo, 1)


def prepare(task: Task, weights: NDArray[np.float64], gain: float) -> Prepared:
    """Make ready to correlate with `weights` (U, V), whose sum is `gain`; the stride is 1.

    A pair of tiles in which a NaN, an infinity or an outlier turns up is computed by the direct method, where
    it reaches no farther than the kernel.
    """
    return _Correlation(task, weights, gain)


class _Correlation:
    """Pairs of tiles, which begin at the same rows and columns of the output whoever computes them."""

    def __init__(self, task: Task, weights: NDArray[np.float64], gain: float) -> None:
        rows, columns = task.geometry.rows, task.geometry.columns
        real, channels = task.real_type, task.channels
        self.task = task
        self.direct = direct.prepare(task, weights, snapping=gain == 1)
        self.size = best_size(rows.reach)
        halo = columns.reach - 1
        self.pair, self.columns = grid((rows.reach, columns.reach), channels, real)
        self.cosines, self.sines = (table.astype(real) for table in _twiddles(self.size))
        spread = np.zeros((self.size, columns.kernel))
        spread[np.arange(rows.kernel) * rows.dilation] = weights
        spectrum = np.conj(np.fft.fft(spread, axis=0))[_bit_reversed(self.size)] / self.size
        self.kernel_re, self.kernel_im = spectrum.real.astype(real), spectrum.imag.astype(real)
        self.places = np.arange(columns.kernel, dtype=np.int64) * columns.dilation * channels
        # An odd number of cache lines a row, so that a column does not fall into one cache set.
        self.stride = (((self.columns + halo) * channels + SLACK) // 16 | 1) * 16
        # Half a page between the parts: a load is held up by a store at the same place in another page.
        self.part = -(-self.size * self.stride * real.itemsize // 4096) * 4096 // real.itemsize
        source, target, form = task.source, task.target, task.real
        # A whole number that is rounded to another is not harmed by the rounding of larger ones.
        checked = source.startswith("f") or target.startswith("f")
        self.loop = compiled.function(
            compiled.Loop(
                "fft",
                "tile",
                (source, target, form, checked),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, {form}, i64, i64, {form}*, {form}*, "
                f"{form}*, {form}*, i64, i64*, f64, {form}*, {form}*, i64, {form}*, {form}*, {target}*, "
                f"i64*, {target}*, i64, i64, i64, i64, i64)",
            )
        )
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, channels,
            task.constant, self.size, rows.reach, address(self.cosines), address(self.sines),
            address(self.kernel_re), address(self.kernel_im), columns.kernel, address(self.places), gain,
        )  # fmt: skip
        bands = -(-self.size // rows.reach)
        self.scratch = Scratch(
            (2 * self.part + 4096, real), ((2 * bands + 1) * self.stride, real), (SLACK + channels, real),
            (SLACK, task.target_type), (1, np.dtype(np.int64)),
        )  # fmt: skip
        self.nbytes = self.direct.nbytes + 2 * self.kernel_re.nbytes + task.row_map.nbytes

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        pair = self.pair
        height, width = self.task.geometry.output_shape

        def strip(first: int, last: int) -> None:
            for top in range(first * pair, min(last * pair, height), pair):
                for left in range(0, width, self.columns):
                    rows, columns = min(pair, height - top), min(self.columns, width - left)
                    if not self._tile(image, out, (top, rows), (left, columns)):
                        self.direct.run_part(image, out, (top, top + rows), (left, left + columns))

        threads.run_strips(strip, -(-height // pair), workers, 1)

    def _tile(self, image: Array, out: Array, rows: Pair, columns: Pair) -> bool:
        """Compute a pair of tiles (first and number of rows and columns), or return False."""
        item = self.task.real_type.itemsize
        _held, (both, peaks, pivots, spare, report) = self.scratch.places()
        found = ctypes.c_int64.from_address(report)
        found.value = 0
        self.loop(
            address(image), row_stride(image), *self.before, both, both + self.part * item + 2048,
            self.stride, peaks, pivots, spare, report, address(out), row_stride(out), *rows, *columns,
        )  # fmt: skip
        return not found.value


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
