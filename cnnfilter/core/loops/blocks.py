"""The pieces that several loops share: padded lines, and a few rows of sums side by side."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
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


STEPS = 4
"""Output rows, and rows of the kernel, that go together where the kernel has no holes."""

STEP_REGISTERS = 2
"""Registers of sums in each of them: eight sums, four weights and the pixels share 16 registers."""


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


BEHIND = STEPS - 1
"""Places that `find` notes beside those of the taps, at most."""


def rows_together(jit: Callable[..., Any], dense: bool, target: str, real: str) -> SimpleNamespace:
    """Return how a few output rows are computed together from a ring of padded lines.

    Returns
    -------
    SimpleNamespace
        `rows` and `count`: how many output rows, and elements of each, a block has. `find`, which notes for
        some rows where lines, or taps, lie in the ring: to look for its end at every tap of every block would
        take a fifth of the time of a separable filter. `block`, which sums up one block and writes it.
    """
    return (_four_rows if dense else _two_rows)(jit, target, real)


def _two_rows(jit: Callable[..., Any], target: str, real: str) -> SimpleNamespace:
    """Two output rows, with any list of taps.

    A tap is a place in the lines, so stride, dilation, channels and holes in the kernel are all in the list
    of places. For each there are two weights, one for each output row: a pixel is loaded once
    and used for both, and the sums stay in registers. `runs` says for which rows the next taps count (1 the
    first, 2 the second, 3 both) and where they end; each row meets its own taps in the order of the kernel,
    and no others, so a value does not depend on where it stands among the two.
    Measured on 4096 x 4096 float32, 7 x 7: two rows of four registers 18.9 ms, four rows of two 28.5.

    A `tolerance` above 0 says that the weights sum to 1: see `vectors.snapper`; behind the places of the taps
    stand those of the two pixels that a constant is recognised by.
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
    def find(offsets, taps, middle, centre, down, first, held, line, places, at):
        ring = held * line
        start = first * line
        for tap in range(taps):
            place = start + offsets[tap]
            places[at + tap] = place - ring if place >= ring else place
        places[at + taps] = (start + centre) % ring
        places[at + taps + 1] = (start + centre + down) % ring

    @jit
    def block(lines, x, places, at, weights, skip, runs, taps, columns, apart, middle, centre, tolerance,
              out, to, down):  # fmt: skip
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
                    pixels = load(lines, x + places[at + tap])
                    a = fma(splat(weights[2 * (skip + tap)]), pixels, a)
                    b = fma(splat(weights[2 * (skip + tap) + 1]), pixels, b)
                    tap += 1
            elif rows == 1:
                while tap < end:
                    a = fma(splat(weights[2 * (skip + tap)]), load(lines, x + places[at + tap]), a)
                    tap += 1
            else:
                while tap < end:
                    b = fma(splat(weights[2 * (skip + tap) + 1]), load(lines, x + places[at + tap]), b)
                    tap += 1
        if tolerance > 0:
            a = snap(a, load(lines, x + places[at + taps]), tolerance)
            b = snap(b, load(lines, x + places[at + taps + 1]), tolerance)
        store(a, out, to)
        store(b, out, to + down)

    return SimpleNamespace(rows=ROWS, count=count, find=find, block=block)


def _four_rows(jit: Callable[..., Any], target: str, real: str) -> SimpleNamespace:
    """Four output rows, by a kernel without holes.

    The kernel is `taps` rows by `columns`, its weights column by column; stride and dilation are 1. Four rows
    of it at a time meet four output rows: seven lines, loaded once, for sixteen multiply-adds of each
    register (`vectors.stair`). Measured on AVX2, 81 taps down a column: 0.085 cycles a tap and pixel, 0.10
    with `_two_rows`.

    A `tolerance` above 0 says that the weights sum to 1: see `vectors.snapper`; `middle` is the row of the
    kernel, `centre` the offset along the line, of the pixel that a constant is recognised by.
    """
    from cnnfilter.core.loops import vectors

    count = STEP_REGISTERS * vectors.register_lanes(real)
    sum_up = _climber(jit, real, STEPS, STEP_REGISTERS)
    rows = [vectors.row_of(real, STEPS, STEP_REGISTERS, row) for row in range(STEPS)]
    first_row, second_row, third_row, fourth_row = rows
    give = _giver(jit, target, real, count)

    @jit
    def find(offsets, taps, middle, centre, down, first, held, line, places, at):
        for i in range(taps + BEHIND):
            places[at + i] = (first + i) % held * line

    @jit
    def block(lines, x, places, at, weights, skip, runs, taps, columns, apart, middle, centre, tolerance,
              out, to, down):  # fmt: skip
        a = sum_up(lines, x, places, at, weights, skip, taps, columns, apart)
        give(first_row(a), 0, lines, x, places, at, middle, centre, tolerance, out, to)
        give(second_row(a), 1, lines, x, places, at, middle, centre, tolerance, out, to + down)
        give(third_row(a), 2, lines, x, places, at, middle, centre, tolerance, out, to + 2 * down)
        give(fourth_row(a), 3, lines, x, places, at, middle, centre, tolerance, out, to + 3 * down)

    return SimpleNamespace(rows=STEPS, count=count, find=find, block=block)


def rows_in_place(jit: Callable[..., Any], dense: bool, target: str, real: str) -> SimpleNamespace:
    """Return how two output rows are computed together from an image where it stands.

    Rows that lie a power of two apart share one set of the nearest cache, and four rows would read from more
    of them at once than it holds. Measured on AVX2, 3 x 3 float32: 4096 x 4096 0.47 ns a pixel by two rows
    and 0.68 by four; 4096 x 4000 0.42 and 0.38.

    Returns
    -------
    SimpleNamespace
        `rows`, `count` and `block` as those of `rows_together`, with the same sums to the last bit.
    """
    return _pair_of_rows(jit, target, real) if dense else _two_rows(jit, target, real)


def _pair_of_rows(jit: Callable[..., Any], target: str, real: str) -> SimpleNamespace:
    """Two output rows, by a kernel without holes; else as `_four_rows`."""
    from cnnfilter.core.loops import vectors

    count = REGISTERS * vectors.register_lanes(real)
    sum_up = _climber(jit, real, ROWS, REGISTERS)
    first_row, second_row = (vectors.row_of(real, ROWS, REGISTERS, row) for row in range(ROWS))
    give = _giver(jit, target, real, count)

    @jit
    def block(lines, x, places, at, weights, skip, runs, taps, columns, apart, middle, centre, tolerance,
              out, to, down):  # fmt: skip
        a = sum_up(lines, x, places, at, weights, skip, taps, columns, apart)
        give(first_row(a), 0, lines, x, places, at, middle, centre, tolerance, out, to)
        give(second_row(a), 1, lines, x, places, at, middle, centre, tolerance, out, to + down)

    return SimpleNamespace(rows=ROWS, count=count, block=block)


def _climber(jit: Callable[..., Any], real: str, rows: int, registers: int) -> Any:
    """Return `sum_up`, which correlates some rows with a kernel without holes, column by column."""
    from cnnfilter.core.loops import vectors

    splat = vectors.arithmetic(real, rows * registers * vectors.register_lanes(real)).splat
    one, two, three, four = (vectors.stair(real, rows, registers, rungs) for rungs in range(1, STEPS + 1))
    zero = NUMBERS[real](0)

    @jit
    def sum_up(lines, x, places, at, weights, skip, taps, columns, apart):
        a = splat(zero)
        for column in range(columns):
            here = x + column * apart
            first = skip + column * taps
            tap = 0
            while tap + STEPS <= taps:
                a = four(a, lines, here, places, at + tap, weights, first + tap)
                tap += STEPS
            if taps - tap == 3:
                a = three(a, lines, here, places, at + tap, weights, first + tap)
            elif taps - tap == 2:
                a = two(a, lines, here, places, at + tap, weights, first + tap)
            elif taps - tap == 1:
                a = one(a, lines, here, places, at + tap, weights, first + tap)
        return a

    return sum_up


def _giver(jit: Callable[..., Any], target: str, real: str, count: int) -> Any:
    """Return `give`, which writes one row of sums, or the constant that they are but for rounding."""
    from cnnfilter.core.loops import vectors

    load = vectors.loader(real, real, count)
    store = vectors.storer(target, real, count)
    snap = vectors.snapper(real, count)

    @jit
    def give(sums, row, lines, x, places, at, middle, centre, tolerance, out, to):
        if tolerance > 0:
            sums = snap(sums, load(lines, x + centre + places[at + row + middle]), tolerance)
        store(sums, out, to)

    return give
