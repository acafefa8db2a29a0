"""Means over rectangles of floats: sums of a few neighbours first, then sums of those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

REGISTERS = 8
"""Registers of sums side by side, whose chains of additions hide each other's latency."""


def strip(jit: Callable[..., Any], source: str, target: str, real: str) -> Callable[..., None]:
    """Return the loop that averages the output rows `[first, last)` over `height` x `width` rectangles.

    A sum that is carried from pixel to pixel would carry an outlier along, and its rounding. Here every
    output is the sum of its own window and nothing else, always in the same order: a sum of 31 rows is one
    of 30 and a row, that of 30 two of 15, and so on along an addition chain, which takes about 1.3 log2 of
    their number of additions; along the rows as well.

    A row that enters completes one sum of each length of the chain; each length has a ring of rows that
    are needed again. `chunk` rows enter at a time, and a block of columns goes through all of their steps
    while it is in the nearest cache. `down` and `along` list the steps: the sums that are added (0 is a row
    or pixel itself, k what step k - 1 makes), how far the second lies from the first, and along the rows the
    length of the sum.

    What enters is scaled by a power of two, so that no sum overflows where the mean does not. A mean that
    differs from the pixel in the middle by rounding alone is that pixel (`vectors.snapper`).
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import NUMBERS, line_filler

    count = REGISTERS * vectors.register_lanes(real)
    math = vectors.arithmetic(real, count)
    fma, mul, splat = math.fma, math.mul, math.splat
    fill = line_filler(jit, source, real)
    load = vectors.loader(real, real, count)
    keep = vectors.storer(real, real, count)
    store = vectors.storer(target, real, count)
    snap = vectors.snapper(real, count)
    one = NUMBERS[real](1)

    @jit
    def both(lines, a, of_a, b, of_b):
        return fma(load(lines, a), splat(of_a), mul(load(lines, b), splat(of_b)))

    @jit
    def in_ring(rings, level, row, line):
        return rings[2 * level] + row % rings[2 * level + 1] * line

    @jit
    def meetings(table, at, rings, line, down, steps, row):
        """Write down where the sums of each step stand that a row completes, and where theirs goes."""
        for k in range(steps):
            table[at + 3 * k] = in_ring(rings, down[3 * k], row - down[3 * k + 2], line)
            table[at + 3 * k + 1] = in_ring(rings, down[3 * k + 1], row, line)
            table[at + 3 * k + 2] = in_ring(rings, k + 1, row, line)

    @jit
    def sum_down(lines, table, down, steps, rows, scale, length):
        x = 0
        while x < length:
            for row in range(rows):
                for k in range(steps):
                    at = 3 * (steps * row + k)
                    of_a, of_b = scale if down[3 * k] == 0 else one, scale if down[3 * k + 1] == 0 else one
                    total = both(lines, table[at] + x, of_a, table[at + 1] + x, of_b)
                    keep(total, lines, table[at + 2] + x)
            x += count

    @jit
    def place(level, sums, parts, line):
        return sums if level == 0 else parts + (level - 1) * line

    @jit
    def step_along(along, k, sums, parts, line, scale):
        """Return where the two sums of a step begin, and what they are to be multiplied by."""
        a, b = along[4 * k], along[4 * k + 1]
        return (place(a, sums, parts, line), scale if a == 0 else one,
                place(b, sums, parts, line) + along[4 * k + 2], scale if b == 0 else one)  # fmt: skip

    @jit
    def sum_along(lines, line, sums, parts, along, steps, scale, length, channels):
        for k in range(steps):
            a, of_a, b, of_b = step_along(along, k, sums, parts, line, scale)
            to = place(k + 1, sums, parts, line)
            x = 0
            while x < length - (along[4 * k + 3] - 1) * channels:
                keep(both(lines, a + x, of_a, b + x, of_b), lines, to + x)
                x += count

    def run(
        image, image_stride, row_map, column_map, before, length, channels, constant,
        height, width, down, steps_down, along, steps_along, rings, parts, middle_down, middle_along,
        scale, inverse, tolerance, span, chunk, lines, line, table, spare, out, out_stride, first, last,
        columns,
    ):  # fmt: skip
        for left in range(0, columns, span):
            places = min(span, columns - left) + width - 1
            elements = (places - width + 1) * channels
            for top in range(0, last - first + height - 1, chunk):
                rows = min(chunk, last - first + height - 1 - top)
                for i in range(rows):
                    row = row_map[first + top + i]
                    ahead = row_map[min(first + top + i + 2, last + height - 2)]
                    fill(image, row * image_stride, row < 0, max(ahead, 0) * image_stride, column_map, left,
                         places, before, length, channels, 1, places * channels, constant, lines,
                         in_ring(rings, 0, top + i, line))  # fmt: skip
                    meetings(table, 3 * steps_down * i, rings, line, down, steps_down, top + i)
                sum_down(lines, table, down, steps_down, rows, scale, places * channels)
                for i in range(max(top, height - 1), top + rows):
                    sums = in_ring(rings, steps_down, i, line)
                    rest = one if steps_down else scale
                    sum_along(lines, line, sums, parts, along, steps_along - 1, rest, places * channels,
                              channels)  # fmt: skip
                    a, of_a, b, of_b = step_along(along, max(steps_along - 1, 0), sums, parts, line, rest)
                    by = splat(inverse)
                    centre = in_ring(rings, 0, i - (height - 1 - middle_down), line) + middle_along * channels
                    to = (first + i - height + 1) * out_stride + left * channels
                    x = 0
                    while x < elements:
                        here = min(x, max(elements - count, 0))
                        if steps_along:
                            total = both(lines, a + here, of_a, b + here, of_b)
                        else:
                            total = mul(load(lines, sums + here), splat(rest))
                        mean = snap(mul(total, by), load(lines, centre + here), tolerance)
                        if elements >= count:
                            store(mean, out, to + here)
                        else:
                            # Less than a block: what has no room in the output goes to `spare` first.
                            store(mean, spare, 0)
                            for k in range(elements):
                                out[to + k] = spare[k]
                        x += count

    return run
