"""The recursive Gaussian, for accuracy="fast": its cost does not grow with sigma."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.jit import compiled
from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.methods.work import ELEMENTS, Array, Work, row_stride

POLES = ((-1.783, 0.6318), (-1.723, 1.997))
"""Decay and turn over one sigma of the two exponentials (Deriche 1993, INRIA report 1893, fourth order)."""


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


def run(work: Work, sigmas: tuple[float, float]) -> bool:
    """Smooth with standard deviations `(rows, columns)`; stride and dilation are 1.

    Returns False, and leaves the output undefined, where a pixel is not finite: it would spread without end.
    The whole image is held once in the type of the sums.
    """
    height, width = work.out.shape[:2]
    if width * work.channels < ELEMENTS:
        enlarged = work.enlarged(height, -(-ELEMENTS // work.channels))
        done = run(enlarged, sigmas)
        work.out[...] = enlarged.out[:, :width]
        return done
    smoothed = aligned_empty((*work.image.shape[:1], width, work.channels), work.real_type)
    finite = _across(work, sigmas[1], smoothed)
    if finite:
        _down(work, sigmas[0], smoothed)
    return finite


def _numbers(work: Work, sigma: float, taps: int) -> NDArray[np.float64]:
    return np.array(response(sigma, taps // 2)[0]).astype(work.real_type)


def _across(work: Work, sigma: float, smoothed: Array) -> bool:
    columns, channels, real = work.geometry.columns, work.channels, work.real
    width = smoothed.shape[1]
    places = work.column_map[: width + columns.reach - 1]
    column_map = np.append(places, -1)
    begin = min(columns.before, len(places))
    end = max(min(begin + columns.length, len(places)), begin)
    numbers, pivots = _numbers(work, sigma, columns.kernel), work.pivots(True)
    loop = compiled.function(
        compiled.Loop(
            "recursive",
            "across",
            (work.source, real),
            f"void({work.source}*, i64, i64*, i64, i64, i64, i64, {real}, {real}*, {real}*, "
            f"{real}*, {real}*, {real}*, i64*, {real}*, i64, i64, i64, i64, i64)",
        )
    )
    report = np.zeros(1, np.int64)

    def strip(first: int, last: int) -> None:
        padded = np.empty(len(places) * channels + ELEMENTS, work.real_type)
        turned = np.zeros((len(places) * channels + 1) * ELEMENTS, work.real_type)
        forth = np.empty_like(turned)
        loop(
            work.image.ctypes.data, row_stride(work.image), column_map.ctypes.data, begin, end, len(places),
            channels, work.constant, pivots.ctypes.data, numbers.ctypes.data,
            padded.ctypes.data, turned.ctypes.data, forth.ctypes.data, report.ctypes.data,
            smoothed.ctypes.data, row_stride(smoothed), first, last, columns.kernel // 2, width,
        )  # fmt: skip

    threads.run_strips(strip, work.image.shape[0], work.threads, ELEMENTS)
    return not report[0]


def _down(work: Work, sigma: float, smoothed: Array) -> None:
    rows, real = work.geometry.rows, work.real
    height = work.out.shape[0]
    elements = smoothed.shape[1] * work.channels
    row_map = work.row_map[: height + rows.reach - 1].copy()
    numbers, pivots = _numbers(work, sigma, rows.kernel), work.pivots(True)
    loop = compiled.function(
        compiled.Loop(
            "recursive",
            "down",
            (work.target, real),
            f"void({real}*, i64, i64*, i64, {real}, {real}*, {real}*, {real}*, {real}*, i64, "
            f"{work.target}*, i64, i64, i64, i64, i64)",
        )
    )

    def strip(first: int, last: int) -> None:
        column = np.empty(len(row_map) * ELEMENTS, work.real_type)
        forth = np.empty_like(column)
        loop(
            smoothed.ctypes.data, row_stride(smoothed), row_map.ctypes.data, len(row_map), work.constant,
            pivots.ctypes.data, numbers.ctypes.data, column.ctypes.data, forth.ctypes.data, work.channels,
            work.out.ctypes.data, row_stride(work.out), height, rows.kernel // 2, first, last,
        )  # fmt: skip

    threads.run_strips(strip, elements, work.threads, 4 * ELEMENTS)
