"""The recursive Gaussian: two complex exponentials that run forth and back, whatever sigma is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _line(jit: Callable[..., Any], real: str) -> Any:
    """Return the function that filters `count` lines side by side, in place.

    The impulse response is ``Re(a p**|n|)`` summed over two complex poles `p`, which is within 6e-4 of a
    Gaussian (sum of absolute differences; the form is Deriche's). Each pole is a recursion of its own,
    ``s[n] = p s[n-1] + x[n]``, once from each end: as one recursion of fourth order the same filter would
    lose its digits in float32 at large sigma. `numbers` holds p and a, real and imaginary, of both poles.
    """
    from cnnfilter.core.loops import vectors

    count = vectors.lanes(real)
    math = vectors.arithmetic(real, count)
    splat, fma, mul, add, sub = math.splat, math.fma, math.mul, math.add, math.sub
    load = vectors.loader(real, real, count)
    keep = vectors.storer(real, real, count)
    zero = np.float32(0) if real == "f32" else np.float64(0)

    @jit
    def line(x, forth, first, length, step, numbers):
        p_re, p_im, q_re, q_im = splat(numbers[0]), splat(numbers[1]), splat(numbers[2]), splat(numbers[3])
        a_re, a_im, b_re, b_im = splat(numbers[4]), splat(numbers[5]), splat(numbers[6]), splat(numbers[7])
        s_re, s_im, t_re, t_im = splat(zero), splat(zero), splat(zero), splat(zero)
        for n in range(length):
            value = load(x, first + n * step)
            old = s_re
            s_re = sub(fma(p_re, old, value), mul(p_im, s_im))
            s_im = fma(p_re, s_im, mul(p_im, old))
            old = t_re
            t_re = sub(fma(q_re, old, value), mul(q_im, t_im))
            t_im = fma(q_re, t_im, mul(q_im, old))
            p_part = sub(mul(a_re, s_re), mul(a_im, s_im))
            keep(add(p_part, sub(mul(b_re, t_re), mul(b_im, t_im))), forth, first + n * step)
        s_re, s_im, t_re, t_im = splat(zero), splat(zero), splat(zero), splat(zero)
        for m in range(length):
            n = length - 1 - m
            # The pixel itself has been counted on the way forth: here only those behind it.
            old = s_re
            s_re = sub(mul(p_re, old), mul(p_im, s_im))
            s_im = fma(p_re, s_im, mul(p_im, old))
            old = t_re
            t_re = sub(mul(q_re, old), mul(q_im, t_im))
            t_im = fma(q_re, t_im, mul(q_im, old))
            p_part = sub(mul(a_re, s_re), mul(a_im, s_im))
            q_part = sub(mul(b_re, t_re), mul(b_im, t_im))
            value = load(x, first + n * step)
            keep(add(load(forth, first + n * step), add(p_part, q_part)), x, first + n * step)
            s_re = add(s_re, value)
            t_re = add(t_re, value)

    return line


def across(jit: Callable[..., Any], source: str, real: str) -> Callable[..., None]:
    """Return the loop that filters rows along their length; `count` rows are turned to stand side by side."""
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import line_filler

    count = vectors.lanes(real)
    fill = line_filler(jit, source, real)
    line = _line(jit, real)

    def run(
        image, image_stride, column_map, before, image_columns, padded_columns, channels, constant, pivots,
        numbers, padded, turned, forth, out, out_stride, first_row, last_row, radius, columns,
    ):  # fmt: skip
        length = padded_columns * channels
        top = first_row
        while top < last_row:
            rows = min(count, last_row - top)
            for lane in range(rows):
                row = (top + lane) * image_stride
                fill(image, row, False, row, column_map, 0, padded_columns, before, image_columns,
                     channels, 1, length, constant, padded, 0)  # fmt: skip
                for i in range(length):
                    turned[i * count + lane] = padded[i] - pivots[i % channels]
            for channel in range(channels):
                line(turned, forth, channel * count, padded_columns, channels * count, numbers)
            for lane in range(rows):
                for i in range(columns * channels):
                    out[(top + lane) * out_stride + i] = turned[(i + radius * channels) * count + lane]
            top += count

    return run


def down(jit: Callable[..., Any], target: str, real: str) -> Callable[..., None]:
    """Return the loop that filters columns and writes the result; `count` columns stand side by side."""
    from cnnfilter.core.loops import vectors

    count = vectors.lanes(real)
    math = vectors.arithmetic(real, count)
    add, sub, splat = math.add, math.sub, math.splat
    load = vectors.loader(real, real, count)
    keep = vectors.storer(real, real, count)
    store = vectors.storer(target, real, count)
    line = _line(jit, real)

    def run(
        image, image_stride, row_map, padded_rows, constant, pivots, numbers,
        column, forth, channels, out, out_stride, rows, before, first, last,
    ):  # fmt: skip
        x = first
        while x < last:
            at = min(x, last - count)
            for n in range(padded_rows):
                if row_map[n] < 0:
                    keep(sub(splat(constant), load(pivots, at % channels)), column, n * count)
                else:
                    keep(load(image, row_map[n] * image_stride + at), column, n * count)
            line(column, forth, 0, padded_rows, count, numbers)
            for y in range(rows):
                value = add(load(column, (y + before) * count), load(pivots, at % channels))
                store(value, out, y * out_stride + at)
            x += count

    return run
