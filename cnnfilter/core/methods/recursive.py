"""The recursive Gaussian, for accuracy="fast": its cost does not grow with sigma."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from cnnfilter.core import threads
from cnnfilter.core.geometry import Geometry
from cnnfilter.core.jit import compiled
from cnnfilter.core.memory import Scratch, aligned_empty
from cnnfilter.core.methods.work import SLACK, Array, Prepared, Task, address, row_stride
from cnnfilter.core.threads import Workers

POLES = ((-1.783, 0.6318), (-1.723, 1.997))
"""Decay and turn over one sigma of the two exponentials (Deriche 1993, INRIA report 1893, fourth order)."""

NARROWEST = 64
"""Fewest elements of a row; a block of either loop is no wider."""

MANY = 1 << 23
"""Pixels whose floats fill the memory anew at each call."""

LARGEST = 1e6
"""Largest float that is smoothed recursively: every pixel reaches over the whole image, if only faintly."""


@lru_cache(maxsize=32)
def response(sigma: float, radius: int) -> tuple[tuple[float, ...], float]:
    """Fit the two exponentials to the Gaussian template of `2 * radius + 1` taps.

    Returns the loop's eight numbers (poles, then weights) and the sum of the absolute differences from the
    template, which bounds the error of one pass relative to the largest pixel.
    """
    taps = np.arange(4 * radius + 9)
    exact = np.where(taps <= radius, np.exp(-(taps**2) / (2 * sigma**2)), 0.0)
    twice = np.where(taps == 0, 1.0, 2.0)
    exact /= (twice * exact).sum()
    poles = np.exp(np.array([complex(*pole) for pole in POLES]) / sigma)
    powers = poles[:, None] ** taps
    basis = np.stack([powers[0].real, -powers[0].imag, powers[1].real, -powers[1].imag], axis=1)
    root = np.sqrt(twice)
    weights = np.linalg.lstsq(basis * root[:, None], exact * root, rcond=None)[0]
    weights /= (twice * (basis @ weights)).sum()
    error = float((twice * np.abs(basis @ weights - exact)).sum())
    numbers = (poles[0].real, poles[0].imag, poles[1].real, poles[1].imag, *weights)
    return tuple(float(number) for number in numbers), error


def error_bound(sigmas: tuple[float, float], radii: tuple[int, int]) -> float:
    """Bound the difference from the exact result, as a fraction of the range of the pixels."""
    passes = [response(sigma, radius)[1] for sigma, radius in zip(sigmas, radii, strict=True) if sigma]
    return float(np.prod([1 + error for error in passes]) - 1)


def cost(geometry: Geometry) -> float:
    """Say what a value costs, as `cnnfilter.core.plan` counts: more where no cache holds the floats."""
    return 5.5 if geometry.rows.output * geometry.columns.output > MANY else 4.4


def prepare(task: Task, sigmas: tuple[float, float], exact: Prepared) -> Prepared:
    """Make ready to smooth with standard deviations `(rows, columns)`; stride and dilation are 1.

    A pixel that is not finite, or very large, would spread without end; images that hold one, and those
    narrower than a block, are given to `exact`.
    """
    return _Recursion(task, sigmas, exact)


class _Recursion:
    """The whole image is held once in the type of the sums."""

    def __init__(self, task: Task, sigmas: tuple[float, float], exact: Prepared) -> None:
        self.task, self.exact, self.nbytes = task, exact, exact.nbytes
        rows, columns = task.geometry.rows, task.geometry.columns
        real, source, target = task.real, task.source, task.target
        self.numbers_down = np.array(response(sigmas[0], rows.kernel // 2)[0]).astype(task.real_type)
        self.numbers_across = np.array(response(sigmas[1], columns.kernel // 2)[0]).astype(task.real_type)
        self.across = compiled.function(
            compiled.Loop(
                "recursive",
                "across",
                (source, real),
                f"void({source}*, i64, i64*, i64, i64, i64, i64, {real}, {real}*, {real}*, "
                f"{real}*, {real}*, {real}*, {real}*, i64, i64, i64, i64, i64)",
            )
        )
        self.down = compiled.function(
            compiled.Loop(
                "recursive",
                "down",
                (target, real),
                f"void({real}*, i64, i64*, i64, {real}, {real}*, {real}*, {real}*, {real}*, i64, "
                f"{target}*, i64, i64, i64, i64, i64)",
            )
        )

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        tame = image.dtype.kind != "f" or bool((np.abs(image) <= LARGEST).all())
        if not tame or out.shape[1] * out.shape[2] < NARROWEST:
            self.exact.run(image, out, workers)
            return
        task = self.task
        # Sums of differences from one pixel begin and end near 0, and a constant comes out unchanged.
        pivots = np.resize(image[0, 0].astype(task.real_type), 2 * NARROWEST + task.channels)
        smoothed = aligned_empty((*image.shape[:1], *out.shape[1:]), task.real_type)
        self._run_across(image, smoothed, pivots, workers)
        self._run_down(smoothed, out, pivots, workers)

    def _run_across(self, image: Array, smoothed: Array, pivots: Array, workers: int | Workers) -> None:
        task, columns = self.task, self.task.geometry.columns
        padded = columns.padded
        elements = padded * task.channels + SLACK
        scratch = Scratch((elements, task.real_type), *[(elements * NARROWEST, task.real_type)] * 2)

        def strip(first: int, last: int) -> None:
            _held, (line, turned, forth) = scratch.places()
            self.across(
                address(image), row_stride(image), address(task.column_map), columns.before, columns.length,
                padded, task.channels, task.constant, address(pivots), address(self.numbers_across),
                line, turned, forth, address(smoothed), row_stride(smoothed), first, last,
                columns.kernel // 2, columns.output,
            )  # fmt: skip

        threads.run_strips(strip, len(image), workers, NARROWEST)

    def _run_down(self, smoothed: Array, out: Array, pivots: Array, workers: int | Workers) -> None:
        task, rows = self.task, self.task.geometry.rows
        scratch = Scratch(*[(rows.padded * NARROWEST, task.real_type)] * 2)

        def strip(first: int, last: int) -> None:
            _held, (column, forth) = scratch.places()
            self.down(
                address(smoothed), row_stride(smoothed), address(task.row_map), rows.padded, task.constant,
                address(pivots), address(self.numbers_down), column, forth, task.channels,
                address(out), row_stride(out), rows.output, rows.kernel // 2, first, last,
            )  # fmt: skip

        threads.run_strips(strip, out.shape[1] * out.shape[2], workers, 4 * NARROWEST)
