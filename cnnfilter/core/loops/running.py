"""Running sums: the mean of whole numbers over a rectangle, at a cost that hardly depends on its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfilter.core.loops.blocks import NUMBERS

REGISTERS = 8
"""Registers of sums along a row, whose chains of additions hide each other's latency."""


def strip(jit: Callable[..., Any], source: str, target: str, sums: str, across: str) -> Callable[..., None]:
    """Return the loop that averages the output rows `[first, last)` over `height` x `width` rectangles.

    Down the columns a sum of type `sums` is kept for each column: the row that enters is added, the row that
    leaves subtracted, which is exact for whole numbers. Along the row the sums of `width` neighbours are
    built, in type `across`, from sums of `part` neighbours, which takes about 2 sqrt(width) vector additions.
    """
    from cnnfilter.core.loops import vectors

    down_count, count = vectors.lanes(sums), REGISTERS * vectors.register_lanes(across)
    pixels = vectors.loader(source, sums, down_count)
    load_sum = vectors.loader(sums, sums, down_count)
    keep_sum = vectors.storer(sums, sums, down_count)
    down = vectors.arithmetic(sums, down_count)
    add_down, sub_down = down.add, down.sub
    math = vectors.arithmetic(across, count)
    splat, add = math.splat, math.add
    load = vectors.loader(sums, across, count)
    load_line = vectors.loader(across, across, count)
    keep = vectors.storer(across, across, count)
    prefetch = vectors.prefetcher()
    line_length = 64 * 8 // vectors.INTEGER_BITS[source]
    number, zero = NUMBERS[sums], NUMBERS[across](0)
    sums_are_lines = sums == across
    divide = _divider(jit, target, across, count)

    @jit
    def change(image, row, outside, constant, sums, first, length, sign):
        if outside:
            for i in range(length):
                sums[first + i] += number(sign) * constant
        else:
            for i in range(length):
                sums[first + i] += number(sign) * number(image[row + i])

    @jit
    def exchange(image, new, old, sums, first, length):
        i = 0
        while i + down_count <= length:
            difference = sub_down(pixels(image, new + i), pixels(image, old + i))
            keep_sum(add_down(load_sum(sums, first + i), difference), sums, first + i)
            i += down_count
        while i < length:
            sums[first + i] += number(image[new + i]) - number(image[old + i])
            i += 1

    @jit
    def outside(sums, column_map, start, stop, before, channels, constant):
        for i in range(start, stop):
            for channel in range(channels):
                if column_map[i] < 0:
                    sums[i * channels + channel] = constant
                else:
                    sums[i * channels + channel] = sums[(before + column_map[i]) * channels + channel]

    @jit
    def part_sums(line, start, parts, channels, part, length):
        i = 0
        while i < length:
            a = load_line(line, start + i)
            for tap in range(1, part):
                a = add(a, load_line(line, start + i + tap * channels))
            keep(a, parts, i)
            i += count

    @jit
    def window(line, start, parts, at, channels, width, part):
        a = splat(zero)
        tap = 0
        if part > 1:
            while tap + part <= width:
                a = add(a, load_line(parts, at + tap * channels))
                tap += part
        while tap < width:
            a = add(a, load_line(line, start + at + tap * channels))
            tap += 1
        return a

    def run(
        image, image_stride, row_map, column_map, before, image_columns, padded_columns, channels, constant,
        height, width, part, span, divisor, inverse, shift,
        sums, line, parts, spare, out, out_stride, first_row, last_row, columns,
    ):  # fmt: skip
        length = image_columns * channels
        first = before * channels
        for i in range(padded_columns * channels):
            sums[i] = number(0)
        for y in range(height - 1):
            row = row_map[first_row + y]
            change(image, row * image_stride, row < 0, constant, sums, first, length, 1)
        for y in range(first_row, last_row):
            new = row_map[y + height - 1]
            old = row_map[y - 1] if y > first_row else 0
            if y > first_row and new >= 0 and old >= 0:
                exchange(image, new * image_stride, old * image_stride, sums, first, length)
            else:
                change(image, new * image_stride, new < 0, constant, sums, first, length, 1)
                if y > first_row:
                    change(image, old * image_stride, old < 0, constant, sums, first, length, -1)
            beyond = constant * number(height)
            outside(sums, column_map, 0, before, before, channels, beyond)
            outside(sums, column_map, before + image_columns, padded_columns, before, channels, beyond)
            next_row = max(row_map[min(y + height, last_row + height - 2)], 0) * image_stride
            to = y * out_stride
            x = 0
            while x < columns:
                at = min(x, max(columns - span, 0))
                # The row that enters next: it comes from memory while this one is computed.
                for i in range(x, min(x + span, length), line_length):
                    prefetch(image, next_row + i)
                base = at
                if not sums_are_lines:
                    i = 0
                    while i < span + width * channels:
                        keep(load(sums, at + i), line, i)
                        i += count
                    base = 0
                source_line = sums if sums_are_lines else line
                if part > 1:
                    part_sums(source_line, base, parts, channels, part, span + (width - part) * channels)
                i = 0
                while i < span:
                    here = min(i, span - count)
                    total = window(source_line, base, parts, here, channels, width, part)
                    if columns >= count:
                        divide(total, divisor, inverse, shift, out, to + at + here)
                    else:
                        # Less than a block: what has no room in the output goes to `spare` first.
                        divide(total, divisor, inverse, shift, spare, 0)
                        for k in range(columns):
                            out[to + k] = spare[k]
                    i += count
                x += span

    return run


def _divider(jit: Callable[..., Any], target: str, across: str, count: int) -> Any:
    """Return the function that writes a block of sums over their number, rounded half to even.

    A product with the inverse alone may be one unit off; the remainder, which a fused multiply-add gives
    exactly, corrects it to the rounded quotient (Markstein).
    """
    from cnnfilter.core.loops import vectors

    if across == "u16":
        store_quotient = vectors.quotient_storer(count)

        @jit
        def divide_whole(sums, divisor, inverse, shift, out, to):
            store_quotient(sums, divisor, inverse, shift, out, to)

        return divide_whole
    math = vectors.arithmetic(across, count)
    splat, fma, mul = math.splat, math.fma, math.mul
    store = vectors.storer(target, across, count)

    @jit
    def divide(sums, divisor, inverse, shift, out, to):
        by = splat(inverse)
        quotient = mul(sums, by)
        store(fma(fma(quotient, splat(-divisor), sums), by, quotient), out, to)

    return divide


def reciprocal(number: int) -> tuple[int, int, int] | None:
    """Return bias, factor and shift by which 16-bit sums of `number` 8-bit pixels are divided, or None.

    Holds where `(sum + bias) * factor >> (16 + shift)` is the nearest integer to `sum / number` for every
    sum up to `255 * number`: for odd numbers (no ties) whose factor is close enough to its exact value.
    """
    if number % 2 == 0 or number > 256:
        return None
    shift = number.bit_length() - 1
    factor = -(-(1 << (16 + shift)) // number)
    excess = factor * number - (1 << (16 + shift))
    largest = 255 * number + number // 2
    if factor >= 1 << 16 or excess * largest >= 1 << (16 + shift):
        return None
    return number // 2, factor, shift
