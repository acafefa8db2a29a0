"""Pooling: the largest value, the mean or the sum of each window (equations 36 and 37)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfilter.core.loops.blocks import NUMBERS

SUMS = {**NUMBERS, "i32": np.int32}


def windows(
    jit: Callable[..., Any],
    kind: str,
    form: str,
    line_form: str,
    real_form: str,
    out_form: str,
    step: int,
    channels: int,
) -> Callable[..., None]:
    """Return the loop that pools rows of windows; `kind` is "maximum", "average" or "sum".

    The rows of some windows side by side are joined first, into `line`, then `width` neighbours of it into
    `joined`, for every place and not only for those where a window begins: these are vector operations
    without a shuffle, whatever the channels. What is needed is picked out of them last. The order of a sum is
    thus the same for every number of channels and every place: first down the columns, then along the row,
    one after the other. `step`, from one window to the next, and `channels` are constants, or 0 for any.

    Sums are kept in `line_form` and divided in `real_form`. Windows that reach outside the image see only
    what is inside; a NaN is larger than every number.
    """
    number = SUMS[line_form]
    result = NUMBERS[out_form]
    whole = not out_form.startswith("f")
    real = NUMBERS[real_form]

    @jit
    def join(a, b):
        if kind == "maximum":
            larger = b if b > a else a
            return larger if b == b else b
        return number(a + b)

    @jit
    def finished(total, area, inverse):
        if kind != "average":
            return result(total)
        value = real(total) * inverse if inverse != 0 else real(total) / area
        return result(np.rint(value) if whole else value)

    @jit
    def down_columns(image, image_stride, row, high, length, line):
        if high == 1:
            for i in range(length):
                line[i] = number(image[row + i])
            return
        below = row + image_stride
        for i in range(length):
            line[i] = join(number(image[row + i]), number(image[below + i]))
        for other in range(2, high):
            below = row + other * image_stride
            for i in range(length):
                line[i] = join(line[i], number(image[below + i]))

    @jit
    def along_row(line, width, channels, length, joined):
        if width == 1:
            for i in range(length):
                joined[i] = line[i]
            return
        for i in range(length):
            joined[i] = join(line[i], line[i + channels])
        for k in range(2, width):
            for i in range(length):
                joined[i] = join(joined[i], line[i + k * channels])

    @jit
    def picked(joined, count, across, channels, area, inverse, out, to):
        if inverse != 0:
            for x in range(count):
                for channel in range(channels):
                    out[to + x * channels + channel] = finished(
                        joined[x * across * channels + channel], area, inverse
                    )
        else:
            for x in range(count):
                for channel in range(channels):
                    out[to + x * channels + channel] = finished(
                        joined[x * across * channels + channel], area, real(0)
                    )

    @jit
    def scale(area):
        """Return 1 / area where it is exact, for a power of two, else 0."""
        size = np.int64(area)
        return real(1) / area if size & (size - 1) == 0 else real(0)

    @jit
    def at_side(image, image_stride, row, high, begin, end, channels, out, to):
        area = real(high * (end - begin))
        for channel in range(channels):
            total = number(0)
            for column in range(begin, end):
                at = row + column * channels + channel
                value = number(image[at])
                for other in range(1, high):
                    value = join(value, number(image[at + other * image_stride]))
                total = value if column == begin else join(total, value)
            out[to + channel] = finished(total, area, scale(area))

    def run(image, image_stride, rows, columns, any_channels, height, width, down, any_step, top, left,
            begin, end, together, line, joined, out, first, last, out_columns):  # fmt: skip
        of = channels if channels else any_channels
        across = step if step else any_step
        for y in range(first, last):
            start = max(y * down - top, 0)
            high = min(y * down - top + height, rows) - start
            row = start * image_stride
            to = y * out_columns * of
            area = real(high * width)
            for x in range(begin, end, together):
                count = min(together, end - x)
                length = ((count - 1) * across + width) * of
                down_columns(image, image_stride, row + (x * across - left) * of, high, length, line)
                along_row(line, width, of, length - (width - 1) * of, joined)
                picked(joined, count, across, of, area, scale(area), out, to + x * of)
            for x in range(begin):
                low, up = max(x * across - left, 0), min(x * across - left + width, columns)
                at_side(image, image_stride, row, high, low, up, of, out, to + x * of)
            for x in range(end, out_columns):
                low, up = max(x * across - left, 0), min(x * across - left + width, columns)
                at_side(image, image_stride, row, high, low, up, of, out, to + x * of)

    return run
