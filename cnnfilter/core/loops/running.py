"""Running sums: the mean over a rectangle at a cost that hardly depends on its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def strip(jit: Callable[..., Any], source: str, target: str, real: str) -> Callable[..., None]:
    """Return the loop that averages a strip of rows over `height` x `width` rectangles.

    Down the columns a sum is kept for each column: the row that enters is added, the row that leaves
    subtracted. Along the row the sums of `width` neighbours are built from sums of `part` neighbours, which
    takes about 2 sqrt(width) vector additions. All sums are exact: 8-bit pixels in
    uint16 where `height * width` is odd and below 257, else in float32 up to 2**24; 16-bit pixels in float64;
    float32 pixels are summed in float64.

    `report[0]` becomes 1 when a sum is not finite at the end: a NaN or an infinity that has entered a
    running sum never leaves it, and the caller then computes the strip another way.
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import tile_columns

    count = vectors.lanes(real)
    math = vectors.arithmetic(real, count)
    splat, add, sub = math.splat, math.add, math.sub
    load = vectors.loader(real, real, count)
    pixels = vectors.loader(source, real, count)
    keep = vectors.storer(real, real, count)
    number = {"f32": np.float32, "f64": np.float64, "u16": np.uint16}[real]
    divide = _divider(jit, target, real, count)
    tile = tile_columns(count)

    @jit
    def enter(image, start, outside, constant, sums, first, length):  # type: ignore[no-untyped-def]
        if outside:
            for i in range(length):
                sums[first + i] += constant
        else:
            for i in range(length):
                sums[first + i] += number(image[start + i])

    @jit
    def exchange(image, new, old, sums, first, length):  # type: ignore[no-untyped-def]
        i = 0
        while i + count <= length:
            keep(add(load(sums, first + i), sub(pixels(image, new + i), pixels(image, old + i))), sums, first + i)
            i += count
        while i < length:
            sums[first + i] += number(image[new + i]) - number(image[old + i])
            i += 1

    @jit
    def mirror(sums, column_map, start, stop, before, channels, constant):  # type: ignore[no-untyped-def]
        for i in range(start, stop):
            for channel in range(channels):
                if column_map[i] < 0:
                    sums[i * channels + channel] = constant
                else:
                    sums[i * channels + channel] = sums[(before + column_map[i]) * channels + channel]

    @jit
    def window(sums, parts, x, channels, width, part, columns, divisor, inverse, shift, out, to):  # type: ignore[no-untyped-def]
        span = min(tile, columns - x)
        reach = (width - part) * channels
        if part > 1:
            i = 0
            while i < span + reach:
                a = load(sums, x + i)
                for tap in range(1, part):
                    a = add(a, load(sums, x + i + tap * channels))
                keep(a, parts, i)
                i += count
        i = 0
        while i < span:
            column = min(i, span - count)
            a = splat(number(0))
            tap = 0
            if part > 1:
                while tap + part <= width:
                    a = add(a, load(parts, column + tap * channels))
                    tap += part
            while tap < width:
                a = add(a, load(sums, x + column + tap * channels))
                tap += 1
            divide(a, divisor, inverse, shift, out, to + x + column)
            i += count

    def run(  # type: ignore[no-untyped-def]
        image, image_stride, row_map, column_map, before, image_columns, padded_columns, channels, constant,
        height, width, part, divisor, inverse, shift, sums, parts, out, out_stride, rows, columns, report,
    ):  # fmt: skip
        length = image_columns * channels
        first = before * channels
        for i in range(padded_columns * channels + 2 * count):
            sums[i] = number(0)
        for y in range(height - 1):
            enter(image, row_map[y] * image_stride, row_map[y] < 0, constant, sums, first, length)
        for y in range(rows):
            new = row_map[y + height - 1]
            old = row_map[y - 1] if y > 0 else -1
            if y > 0 and new >= 0 and old >= 0:
                exchange(image, new * image_stride, old * image_stride, sums, first, length)
            else:
                enter(image, new * image_stride, new < 0, constant, sums, first, length)
                if y > 0:
                    for i in range(length):
                        sums[first + i] -= constant if old < 0 else number(image[old * image_stride + i])
            mirror(sums, column_map, 0, before, before, channels, constant * number(height))
            mirror(sums, column_map, before + image_columns, padded_columns, before, channels,
                   constant * number(height))  # fmt: skip
            x = 0
            while x < columns:
                window(sums, parts, min(x, columns - min(tile, columns)), channels, width, part, columns,
                       divisor, inverse, shift, out, y * out_stride)  # fmt: skip
                x += tile
        if source == "f32":
            total = number(0)
            for i in range(length):
                total += sums[first + i] * number(0)
            if not total == number(0):
                report[0] = 1

    return run


def _divider(jit: Callable[..., Any], target: str, real: str, count: int) -> Any:
    """Return the function that writes a block of sums over their number, rounded half to even.

    A product with the inverse alone may be one unit off; the remainder, which a fused multiply-add gives
    exactly, corrects it to the rounded quotient (Markstein).
    """
    from cnnfilter.core.loops import vectors

    if real == "u16":
        store = vectors.quotient_storer(count)

        @jit
        def divide(sums, divisor, inverse, shift, out, to):  # type: ignore[no-untyped-def]
            store(sums, divisor, inverse, shift, out, to)

        return divide
    math = vectors.arithmetic(real, count)
    splat, fma, mul = math.splat, math.fma, math.mul
    store = vectors.storer(target, real, count)

    @jit
    def divide(sums, divisor, inverse, shift, out, to):  # type: ignore[no-untyped-def]
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
