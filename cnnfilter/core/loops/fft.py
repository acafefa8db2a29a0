"""Large dense kernels: a Fourier transform down the columns, plain taps along the rows.

A transform along both axes would have to turn every tile over; down the columns alone, each step is the same
for all the columns of a block, and each frequency is left with an ordinary correlation along its row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

OUTLIER = 8
"""How much larger than the pixels near an output others of its columns may be, whose rounding it gets."""


def tile(jit: Callable[..., Any], source: str, target: str, real: str, checked: bool) -> Callable[..., None]:
    """Return the loop that correlates one pair of tiles by overlap-save.

    Two tiles of `size` rows, one below the other, are transformed at once, one as the real and one as the
    imaginary part: the kernel is real, so they never mix. A tile gives `size - reach + 1` rows. The forward
    transform leaves the frequencies in bit-reversed order, the table of the kernel's row spectra is in that
    order, and the inverse transform starts from it, so nothing is ever sorted. For V columns of kernel this
    takes about 2 V size / (size - reach + 1) multiply-adds a value, where the direct loop takes U V.

    The pixel in the middle is taken off all pixels, and its product with the kernel's sum, `gain`, added at
    the end, so that a constant comes out as it should. `report[0]` becomes 1, and nothing is written, when a
    pixel is not finite, because a transform would spread it over its tile; and, if `checked`, when pixels
    elsewhere in the tile are `OUTLIER` times as large as all those near some output, because it spreads
    their rounding as well.
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import line_filler

    count = 2 * vectors.register_lanes(real)
    math = vectors.arithmetic(real, count)
    splat, fma, add, sub, mul = math.splat, math.fma, math.add, math.sub, math.mul
    larger, magnitude = math.larger, math.size
    load = vectors.loader(real, real, count)
    keep = vectors.storer(real, real, count)
    store = vectors.storer(target, real, count)
    fill = line_filler(jit, source, real)
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
    def take(part, at, length, pivots, channels):
        i = 0
        while i < length:
            keep(sub(load(part, at + i), load(pivots, i % channels)), part, at + i)
            i += count
        # What lies beyond the row is transformed with it: left alone, it would fade to slow denormal numbers.
        keep(splat(number(0)), part, at + length)

    @jit
    def uneven(peaks, bands, stride, block, length):
        """Tell whether some output lies among pixels that are small beside others of its columns."""
        blocks = -(-length // block)
        for b in range(bands):
            for c in range(blocks):
                peak = number(0)
                for x in range(c * block, min((c + 1) * block, length)):
                    peak = max(peak, peaks[b * stride + x])
                peaks[b * stride + c] = peak
        for c in range(blocks):
            whole = number(0)
            for b in range(bands):
                whole = max(whole, peaks[b * stride + c])
            for b in range(bands):
                near = number(0)
                for i in range(max(b - 1, 0), min(b + 2, bands)):
                    for j in range(max(c - 1, 0), min(c + 2, blocks)):
                        near = max(near, peaks[i * stride + j])
                if whole > near * number(OUTLIER):
                    return True
        return False

    @jit
    def give(part, at, columns, offsets, channels, spare, out, to):
        x = 0
        while x < columns:
            column = min(x, max(columns - count, 0))
            value = add(load(part, at + column), load(offsets, column % channels))
            if columns >= count:
                store(value, out, to + column)
            else:
                store(value, spare, 0)
                for i in range(columns):
                    out[to + i] = spare[i]
            x += count

    def run(
        image, image_stride, row_map, column_map, before, length, channels, constant,
        size, reach, cosines, sines, kernel_re, kernel_im, taps, places, gain,
        re, im, stride, peaks, pivots, spare, report, out, out_stride, top, rows, left, columns,
    ):  # fmt: skip
        gives = size - reach + 1
        padded = columns + places[taps - 1] // channels
        elements = padded * channels
        bands = -(-size // reach)
        last = rows + reach - 2
        for tile in range(2):
            part = re if tile == 0 else im
            for i in range(size):
                row = row_map[top + min(tile * gives + i, last)]
                fill(image, row * image_stride, row < 0, max(row, 0) * image_stride, column_map, left, padded,
                     before, length, channels, 1, elements, constant, part, i * stride)  # fmt: skip
        for i in range((2 * bands + 1) * stride):
            peaks[i] = number(0)
        finite = 2 * bands * stride
        for tile in range(2):
            part = re if tile == 0 else im
            for i in range(size):
                to = (tile * bands + i // reach) * stride
                x = 0
                while x < elements:
                    value = load(part, i * stride + x)
                    keep(larger(load(peaks, to + x), magnitude(value)), peaks, to + x)
                    keep(add(load(peaks, finite + x), mul(value, splat(number(0)))), peaks, finite + x)
                    x += count
        for x in range(elements):
            if not peaks[finite + x] == number(0):
                report[0] = 1
        if report[0] == 0 and checked:
            if uneven(peaks, 2 * bands, stride, max(taps * channels, 64), elements):
                report[0] = 1
        if report[0] == 0:
            middle = size // 2 * stride + padded // 2 * channels
            for i in range(2 * count + channels):
                pivots[i] = re[middle + i % channels]
            for tile in range(2):
                part = re if tile == 0 else im
                for i in range(size):
                    take(part, i * stride, elements, pivots, channels)
            x = 0
            while x < elements:
                forward(re, im, x, size, stride, cosines, sines)
                x += count
            for i in range(size):
                along(re, im, i * stride, columns * channels, kernel_re, kernel_im, i * taps, taps, places)
            x = 0
            while x < columns * channels:
                inverse(re, im, x, size, stride, cosines, sines)
                x += count
            for i in range(2 * count + channels):
                pivots[i] = number(np.float64(pivots[i]) * gain)
            for tile in range(2):
                part = re if tile == 0 else im
                for i in range(gives):
                    row = tile * gives + i
                    if row < rows:
                        give(part, i * stride, columns * channels, pivots, channels, spare, out,
                             (top + row) * out_stride + left * channels)  # fmt: skip

    return run
