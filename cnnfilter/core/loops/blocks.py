"""The pieces that several loops share: padded lines, and two rows of sums side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ROWS = 2
"""Output rows that are computed together; pixels loaded for one serve the other."""

REGISTERS = 4
"""Registers of sums in each of them: two rows of four are the chains that hide a multiply-add's latency."""

NUMBERS = {
    "u8": np.uint8,
    "u16": np.uint16,
    "i16": np.int16,
    "i32": np.int32,
    "f32": np.float32,
    "f64": np.float64,
}
"""NumPy's names for the loops' types."""


def line_filler(jit: Callable[..., Any], source: str, real: str) -> Any:
    """Return the function that copies a part of one padded row into `lines`, of type `real`, from `to` on.

    The part begins at the padded column `place` and is `count` columns long. The row begins at `start`, or is
    `outside` the image. Where it lies on the image columns are copied as they stand; beside it `column_map`
    names the pixel that stands there, or -1 for the constant. With a column `step` above 1 the part is dealt
    out to `step` planes, so that the pixels which a tap meets on its way stand side by side. The row at
    `ahead`, which is needed soon, is asked for meanwhile.
    """
    from cnnfilter.core.loops import vectors

    number: Any = NUMBERS[real]
    prefetch = vectors.prefetcher()
    cache_line = 512 // (vectors.REAL_BITS.get(source) or vectors.INTEGER_BITS[source])

    @jit
    def one(image, start, column, channels, constant, lines, to):
        for channel in range(channels):
            if column < 0:
                lines[to + channel] = number(constant)
            else:
                lines[to + channel] = number(image[start + column * channels + channel])

    @jit
    def fill(image, start, outside, ahead, column_map, place, count, before, length, channels, step, plane,
             constant, lines, to):  # fmt: skip
        if outside:
            for i in range(step * plane):
                lines[to + i] = number(constant)
        elif step == 1:
            begin = min(max(before - place, 0), count)
            end = max(min(before + length - place, count), begin)
            for i in range(begin):
                one(image, start, column_map[place + i], channels, constant, lines, to + i * channels)
            first = (place + begin - before) * channels
            inside = (end - begin) * channels
            for i in range(0, inside, cache_line):
                prefetch(image, ahead + first + i)
            target = to + begin * channels
            for i in range(inside):
                lines[target + i] = number(image[start + first + i])
            for i in range(end, count):
                one(image, start, column_map[place + i], channels, constant, lines, to + i * channels)
        else:
            for phase in range(step):
                for i in range(phase, count, step):
                    at = to + phase * plane + i // step * channels
                    one(image, start, column_map[place + i], channels, constant, lines, at)

    return fill


def two_rows(jit: Callable[..., Any], target: str, real: str, snapping: bool) -> Any:
    """Return the function that computes one block of two output rows from padded lines.

    A tap is an offset from the place above which it stands, so stride, dilation, channels and holes in the
    kernel are all in the list of offsets. For each there are two weights, one for each output row: a pixel is
    loaded once and used for both, and the sums stay in registers. `runs` says for which rows the next taps
    count (1 the first, 2 the second, 3 both) and where they end; each row meets its own taps in the order of
    the kernel, and no others, so a value does not depend on where it stands among the two.
    Measured on 4096 x 4096 float32, 7 x 7: two rows of four registers 18.9 ms, four rows of two 28.5.

    With `snapping` the weights are known to sum to 1: see `vectors.snapper`; `centre` is the offset of the
    pixel that a constant is recognised by.
    """
    from cnnfilter.core.loops import vectors

    count = REGISTERS * vectors.register_lanes(real)
    math = vectors.arithmetic(real, count)
    splat, fma = math.splat, math.fma
    load = vectors.loader(real, real, count)
    store = vectors.storer(target, real, count)
    snap = vectors.snapper(real, count)
    number = np.float32 if real == "f32" else np.float64

    @jit
    def block(lines, at, offsets, weights, skip, runs, taps, down, centre, tolerance, out, first, second):
        a = splat(number(0))
        b = a
        tap = 0
        run = 0
        while tap < taps:
            rows = runs[run]
            end = runs[run + 1]
            run += 2
            if rows == 3:
                while tap < end:
                    pixels = load(lines, at + offsets[tap])
                    a = fma(splat(weights[2 * (skip + tap)]), pixels, a)
                    b = fma(splat(weights[2 * (skip + tap) + 1]), pixels, b)
                    tap += 1
            elif rows == 1:
                while tap < end:
                    a = fma(splat(weights[2 * (skip + tap)]), load(lines, at + offsets[tap]), a)
                    tap += 1
            else:
                while tap < end:
                    b = fma(splat(weights[2 * (skip + tap) + 1]), load(lines, at + offsets[tap]), b)
                    tap += 1
        if snapping:
            a = snap(a, load(lines, at + centre), tolerance)
            b = snap(b, load(lines, at + centre + down), tolerance)
        store(a, out, first)
        store(b, out, second)

    return block
