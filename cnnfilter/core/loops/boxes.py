"""Means over rectangles of floats: sums of a few neighbours first, then sums of those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

REGISTERS = 8
"""Registers of sums side by side, whose chains of additions hide each other's latency."""


def strip(jit: Callable[..., Any], source: str, target: str, real: str) -> Callable[..., None]:
    """Return the loop that averages the output rows `[first, last)` over `height` x `width` rectangles.

    A sum that is carried from pixel to pixel would carry an outlier along, and its rounding. Here every
    output is the sum of its own window and nothing else, always in the same order: of `part_down` rows at a
    time, then of those parts and what is left over, and the same along the rows. That takes about
    2 sqrt(height) + 2 sqrt(width) additions a value.

    Rows are scaled by a power of two as they are summed up, so that no sum overflows where the mean does not.
    A mean that differs from the pixel in the middle by rounding alone is that pixel (`vectors.snapper`).
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import NUMBERS, line_filler

    count = REGISTERS * vectors.register_lanes(real)
    math = vectors.arithmetic(real, count)
    add, fma, mul, splat = math.add, math.fma, math.mul, math.splat
    fill = line_filler(jit, source, real)
    load = vectors.loader(real, real, count)
    keep = vectors.storer(real, real, count)
    store = vectors.storer(target, real, count)
    snap = vectors.snapper(real, count)
    one = NUMBERS[real](1)

    @jit
    def few(lines, at, apart, number, scale):
        by = splat(scale)
        a = mul(load(lines, at), by)
        for i in range(1, number):
            a = fma(load(lines, at + i * apart), by, a)
        return a

    @jit
    def all_of(parts, part_at, lines, at, apart, part, number, scale):
        by = splat(scale)
        a = load(parts, part_at)
        done = part
        while done + part <= number:
            a = add(a, load(parts, part_at + done * apart))
            done += part
        while done < number:
            a = fma(load(lines, at + done * apart), by, a)
            done += 1
        return a

    def run(
        image, image_stride, row_map, column_map, before, length, channels, constant,
        height, width, part_down, part_along, middle_down, middle_along, scale, inverse, tolerance,
        span, chunk, lines, line, parts, sums, spare, out, out_stride, first, last, columns,
    ):  # fmt: skip
        for left in range(0, columns, span):
            places = min(span, columns - left) + width - 1
            elements = (places - width + 1) * channels
            for top in range(first, last, chunk):
                rows = min(chunk, last - top)
                for i in range(rows + height - 1):
                    row = row_map[top + i]
                    ahead = row_map[min(top + i + 2, last + height - 2)]
                    fill(image, row * image_stride, row < 0, max(ahead, 0) * image_stride, column_map, left,
                         places, before, length, channels, 1, places * channels, constant, lines,
                         i * line)  # fmt: skip
                x = 0
                while x < places * channels:
                    for i in range(rows + height - height % part_down - part_down):
                        keep(few(lines, i * line + x, line, part_down, scale), parts, i * line + x)
                    for y in range(rows):
                        keep(all_of(parts, y * line + x, lines, y * line + x, line, part_down, height, scale),
                             sums, y * line + x)  # fmt: skip
                    x += count
                for y in range(rows):
                    to = (top + y) * out_stride + left * channels
                    at = y * line
                    x = 0
                    while x < elements + (width - width % part_along - part_along) * channels:
                        keep(few(sums, at + x, channels, part_along, one), parts, x)
                        x += count
                    x = 0
                    while x < elements:
                        here = min(x, max(elements - count, 0))
                        total = all_of(parts, here, sums, at + here, channels, part_along, width, one)
                        centre = load(lines, (y + middle_down) * line + here + middle_along * channels)
                        mean = snap(mul(total, splat(inverse)), centre, tolerance)
                        if elements >= count:
                            store(mean, out, to + here)
                        else:
                            # Less than a block: what has no room in the output goes to `spare` first.
                            store(mean, spare, 0)
                            for i in range(elements):
                                out[to + i] = spare[i]
                        x += count

    return run
