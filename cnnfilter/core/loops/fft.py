"""Large dense kernels: a Fourier transform down the columns, plain taps along the rows.

A transform along both axes would have to turn every tile over; down the columns alone, each step is the same
for all the columns of a block, and each frequency is left with an ordinary correlation along its row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def strip(jit: Callable[..., Any], source: str, target: str, real: str) -> Callable[..., None]:
    """Return the loop that correlates a strip of rows by overlap-save.

    Two tiles of `size` rows are transformed at once, one as the real and one as the imaginary part: the
    kernel is real, so they never mix. A tile gives `size - reach + 1` rows. The forward transform leaves the
    frequencies in bit-reversed order, the table of the kernel's row spectra is in that order, and the
    inverse transform starts from it, so nothing is ever sorted. For V columns of kernel this takes about
    2 V size / (size - reach + 1) multiply-adds a value, where the direct loop takes U V.

    `pivots` is taken off the pixels and `offsets`, its product with the kernel's sum, added at the end.
    `report[0]` becomes 1 when a pixel is not finite, because a transform would spread it over its tile.
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import row_filler

    count = vectors.lanes(real)
    math = vectors.arithmetic(real, count)
    splat, fma, add, sub, mul = math.splat, math.fma, math.add, math.sub, math.mul
    load = vectors.loader(real, real, count)
    keep = vectors.storer(real, real, count)
    store = vectors.storer(target, real, count)
    fill = row_filler(jit, source, real)
    number = np.float32 if real == "f32" else np.float64

    @jit
    def forward(re, im, x, size, stride, cosines, sines):
        half = size // 2
        while half > 0:
            for j in range(half):
                c = splat(cosines[half + j])
                s = splat(sines[half + j])
                row = j
                while row < size:
                    a = row * stride + x
                    b = a + half * stride
                    ar, ai, br, bi = load(re, a), load(im, a), load(re, b), load(im, b)
                    dr, di = sub(ar, br), sub(ai, bi)
                    keep(add(ar, br), re, a)
                    keep(add(ai, bi), im, a)
                    keep(fma(dr, c, mul(di, s)), re, b)
                    keep(sub(mul(di, c), mul(dr, s)), im, b)
                    row += 2 * half
            half //= 2

    @jit
    def inverse(re, im, x, size, stride, cosines, sines):
        half = 1
        while half < size:
            for j in range(half):
                c = splat(cosines[half + j])
                s = splat(sines[half + j])
                row = j
                while row < size:
                    a = row * stride + x
                    b = a + half * stride
                    ar, ai, tr, ti = load(re, a), load(im, a), load(re, b), load(im, b)
                    br = sub(mul(tr, c), mul(ti, s))
                    bi = fma(tr, s, mul(ti, c))
                    keep(add(ar, br), re, a)
                    keep(add(ai, bi), im, a)
                    keep(sub(ar, br), re, b)
                    keep(sub(ai, bi), im, b)
                    row += 2 * half
            half *= 2

    @jit
    def along(re, im, at, length, kernel_re, kernel_im, first, taps, places):
        # In place: a block reads only what lies to the right of the blocks before it.
        x = 0
        while x < length:
            sum_re = splat(number(0))
            sum_im = sum_re
            for tap in range(taps):
                place = at + x + places[tap]
                r, i = load(re, place), load(im, place)
                gr, gi = splat(kernel_re[first + tap]), splat(kernel_im[first + tap])
                sum_re = fma(gr, r, sum_re)
                sum_im = fma(gr, i, sum_im)
                sum_re = fma(gi, mul(i, splat(number(-1))), sum_re)
                sum_im = fma(gi, r, sum_im)
            keep(sum_re, re, at + x)
            keep(sum_im, im, at + x)
            x += count

    @jit
    def take(part, at, length, pivots, channels, report):
        check = splat(number(0))
        i = 0
        while i < length:
            value = sub(load(part, at + i), load(pivots, i % channels))
            check = add(check, mul(value, splat(number(0))))
            keep(value, part, at + i)
            i += count
        # What lies beyond the row is transformed with it: left alone, it would fade to slow denormal numbers.
        keep(splat(number(0)), part, at + length)
        keep(check, report, 0)
        for i in range(count):
            if not report[i] == number(0):
                report[2 * count] = number(1)

    @jit
    def give(part, at, columns, offsets, channels, out, to):
        x = 0
        while x < columns:
            column = min(x, columns - count)
            store(add(load(part, at + column), load(offsets, column % channels)), out, to + column)
            x += count

    def run(
        image, image_stride, row_map, column_map, left, right, padded_columns, channels, constant,
        size, reach, cosines, sines, kernel_re, kernel_im, taps, places, pivots, offsets,
        re, im, stride, report, out, out_stride, rows, columns,
    ):  # fmt: skip
        gives = size - reach + 1
        length = padded_columns * channels
        last = rows + reach - 2
        y = 0
        while y < rows:
            for tile in range(2):
                part = re if tile == 0 else im
                for i in range(size):
                    row = row_map[min(y + tile * gives + i, last)]
                    fill(image, row * image_stride, row < 0, column_map, left, right, padded_columns,
                         channels, 1, length, constant, part, i * stride)  # fmt: skip
                    take(part, i * stride, length, pivots, channels, report)
            x = 0
            while x < length:
                forward(re, im, x, size, stride, cosines, sines)
                x += count
            for i in range(size):
                along(re, im, i * stride, columns, kernel_re, kernel_im, i * taps, taps, places)
            x = 0
            while x < columns:
                inverse(re, im, x, size, stride, cosines, sines)
                x += count
            for tile in range(2):
                part = re if tile == 0 else im
                for i in range(gives):
                    row = y + tile * gives + i
                    if row < rows:
                        give(part, i * stride, columns, offsets, channels, out, row * out_stride)
            y += 2 * gives

    return run
