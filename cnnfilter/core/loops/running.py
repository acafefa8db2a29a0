"""Running sums: the mean over a rectangle at a cost that hardly depends on its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfilter.core.loops.blocks import NUMBERS


def strip(
    jit: Callable[..., Any], source: str, target: str, sums: str, across: str, pivot: bool
) -> Callable[..., None]:
    """Return the loop that averages a strip of rows over `height` x `width` rectangles.

    Down the columns a sum of type `sums` is kept for each column: the row that enters is added, the row that
    leaves subtracted. Along the row the sums of `width` neighbours are built, in type `across`, from sums of
    `part` neighbours, which takes about 2 sqrt(width) vector additions. Measured on 4096 x 4096 8-bit pixels,
    3 x 3 and 15 x 15: 2.9 and 4.4 ms with 16-bit sums, 4.3 and 7.4 ms with float32 sums.

    With `pivot` the pixel `pivots` is taken off each column sum first, so that a constant image gives sums
    of 0 and comes out to the last bit. `report[0]` becomes 1 when a sum is not finite at the end: a NaN or an
    infinity that has entered a running sum never leaves it, and the caller computes the strip another way.
    """
    from cnnfilter.core.loops import vectors

    down_count, count = vectors.lanes(sums), vectors.lanes(across)
    pixels = vectors.loader(source, sums, down_count)
    load_sum = vectors.loader(sums, sums, down_count)
    keep_sum = vectors.storer(sums, sums, down_count)
    down = vectors.arithmetic(sums, down_count)
    add_down, sub_down = down.add, down.sub
    math = vectors.arithmetic(across, count)
    splat, add, sub = math.splat, math.add, math.sub
    load = vectors.loader(sums, across, count)
    load_line = vectors.loader(across, across, count)
    keep = vectors.storer(across, across, count)
    prefetch = vectors.prefetcher()
    line_length = 64 * 8 // (vectors.REAL_BITS.get(source) or vectors.INTEGER_BITS[source])
    number, zero = NUMBERS[sums], NUMBERS[across](0)
    sums_are_lines = sums == across
    divide = _divider(jit, target, across, count, pivot)

    @jit
    def change(image, row, constant, sums, first, length, sign):
        if row < 0:
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
    def converted(sums, line, bases, x, channels, length):
        i = 0
        while i < length:
            value = load(sums, x + i)
            if pivot:
                value = sub(value, load_line(bases, i % channels))
            keep(value, line, i)
            i += count

    @jit
    def window(line, start, parts, pivots, x, channels, width, part, span, divisor, inverse, shift,
               out, to, streaming, image, next_row):  # fmt: skip
        if next_row >= 0:
            # The row that enters next: it comes from memory while this one is computed.
            for i in range(x, x + span, line_length):
                prefetch(image, next_row + i)
        if part > 1:
            i = 0
            while i < span + (width - part) * channels:
                a = load_line(line, start + i)
                for tap in range(1, part):
                    a = add(a, load_line(line, start + i + tap * channels))
                keep(a, parts, i)
                i += count
        i = 0
        while i < span:
            at = min(i, span - count)
            a = splat(zero)
            tap = 0
            if part > 1:
                while tap + part <= width:
                    a = add(a, load_line(parts, at + tap * channels))
                    tap += part
            while tap < width:
                a = add(a, load_line(line, start + at + tap * channels))
                tap += 1
            divide(
                a,
                divisor,
                inverse,
                shift,
                pivots,
                (x + at) % channels,
                out,
                to + x + at,
                streaming and at == i,
            )
            i += count

    def run(
        image, image_stride, row_map, column_map, before, image_columns, padded_columns, channels, constant,
        height, width, part, span, divisor, inverse, shift, bases, pivots,
        sums, line, parts, out, out_stride, rows, columns, streaming, report,
    ):  # fmt: skip
        length = image_columns * channels
        first = before * channels
        for y in range(height - 1):
            change(
                image, row_map[y] * image_stride if row_map[y] >= 0 else -1, constant, sums, first, length, 1
            )
        for y in range(rows):
            new = row_map[y + height - 1]
            old = row_map[y - 1] if y > 0 else 0
            if y > 0 and new >= 0 and old >= 0:
                exchange(image, new * image_stride, old * image_stride, sums, first, length)
            else:
                change(image, new * image_stride if new >= 0 else -1, constant, sums, first, length, 1)
                if y > 0:
                    change(image, old * image_stride if old >= 0 else -1, constant, sums, first, length, -1)
            beyond = constant * number(height)
            outside(sums, column_map, 0, before, before, channels, beyond)
            outside(sums, column_map, before + image_columns, padded_columns, before, channels, beyond)
            next_row = -1
            if y + 1 < rows and row_map[y + height] >= 0:
                next_row = row_map[y + height] * image_stride
            x = 0
            while x < columns:
                at = min(x, columns - span)
                if sums_are_lines:
                    window(sums, at, parts, pivots, at, channels, width, part, span,
                           divisor, inverse, shift, out, y * out_stride, False, image, next_row)  # fmt: skip
                else:
                    converted(sums, line, bases, at, channels, span + width * channels)
                    window(line, 0, parts, pivots, at, channels, width, part, span,
                           divisor, inverse, shift, out, y * out_stride,
                           streaming != 0 and at == x, image, next_row)  # fmt: skip
                x += span
        if source == "f32":
            total = number(0)
            for i in range(length):
                total += sums[first + i] * number(0)
            if not total == number(0):
                report[0] = 1

    return run


def _divider(jit: Callable[..., Any], target: str, across: str, count: int, pivot: bool) -> Any:
    """Return the function that writes a block of sums over their number, rounded half to even.

    A product with the inverse alone may be one unit off; the remainder, which a fused multiply-add gives
    exactly, corrects it to the rounded quotient (Markstein).
    """
    from cnnfilter.core.loops import vectors

    if across == "u16":
        store_quotient = vectors.quotient_storer(count)

        @jit
        def divide_whole(sums, divisor, inverse, shift, pivots, phase, out, to, streaming):
            store_quotient(sums, divisor, inverse, shift, out, to)

        return divide_whole
    math = vectors.arithmetic(across, count)
    splat, fma, mul, add = math.splat, math.fma, math.mul, math.add
    load = vectors.loader(across, across, count)
    store = vectors.storer(target, across, count)
    stream = vectors.storer(target, across, count, streaming=True) if target == across else store

    @jit
    def divide(sums, divisor, inverse, shift, pivots, phase, out, to, streaming):
        by = splat(inverse)
        quotient = mul(sums, by)
        quotient = fma(fma(quotient, splat(-divisor), sums), by, quotient)
        if pivot:
            quotient = add(quotient, load(pivots, phase))
        if streaming:
            stream(quotient, out, to)
        else:
            store(quotient, out, to)

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
