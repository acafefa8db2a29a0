"""Pooling: the largest value or the mean of each window (equations 36 and 37)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfilter.core.loops.blocks import NUMBERS


def maximum(jit: Callable[..., Any], form: str) -> Callable[..., None]:
    """Return the loop that takes the largest pixel of each window; a NaN in a window is its largest.

    The rows of a window are compared first, side by side, into `line`; then the columns. Windows that reach
    outside the image see only what is inside.
    """

    @jit
    def larger(a, b):
        return b if b > a or b != b else a

    def run(image, image_stride, rows, columns, channels, height, width, down, across, top, left,
            line, out, out_stride, first, last, out_columns):  # fmt: skip
        for y in range(first, last):
            start = max(y * down - top, 0)
            stop = min(y * down - top + height, rows)
            for i in range(columns * channels):
                line[i] = image[start * image_stride + i]
            for row in range(start + 1, stop):
                for i in range(columns * channels):
                    line[i] = larger(line[i], image[row * image_stride + i])
            for x in range(out_columns):
                begin = max(x * across - left, 0)
                end = min(x * across - left + width, columns)
                for channel in range(channels):
                    best = line[begin * channels + channel]
                    for column in range(begin + 1, end):
                        best = larger(best, line[column * channels + channel])
                    out[y * out_stride + x * channels + channel] = best

    return run


def average(jit: Callable[..., Any], form: str) -> Callable[..., None]:
    """Return the loop that takes the mean of each window over the pixels inside the image, in float64."""
    number = NUMBERS[form]
    whole = not form.startswith("f")

    def run(image, image_stride, rows, columns, channels, height, width, down, across, top, left,
            line, out, out_stride, first, last, out_columns):  # fmt: skip
        for y in range(first, last):
            start = max(y * down - top, 0)
            stop = min(y * down - top + height, rows)
            for i in range(columns * channels):
                line[i] = np.float64(image[start * image_stride + i])
            for row in range(start + 1, stop):
                for i in range(columns * channels):
                    line[i] += np.float64(image[row * image_stride + i])
            for x in range(out_columns):
                begin = max(x * across - left, 0)
                end = min(x * across - left + width, columns)
                area = np.float64((stop - start) * (end - begin))
                for channel in range(channels):
                    total = line[begin * channels + channel]
                    for column in range(begin + 1, end):
                        total += line[column * channels + channel]
                    value = total / area
                    out[y * out_stride + x * channels + channel] = number(np.rint(value) if whole else value)

    return run
