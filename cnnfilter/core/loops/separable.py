"""Separable correlation: down the columns into two short lines, then along them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfilter.core.loops.blocks import NUMBERS

RUNGS = 4
"""Most taps of a ladder: their weights, the sums and the pixels share 16 registers."""

REGISTERS = 8
"""Registers of sums along a row; as many chains hide the latency of a multiply-add."""


def strip(
    jit: Callable[..., Any], source: str, target: str, real: str, dense: bool, apart: int
) -> Callable[..., None]:
    """Return the loop that correlates the output rows `[first, last)` with a sum of `terms` products.

    A tile of `span` output columns and a chunk of output rows at a time are laid out as padded lines, as in
    the direct loop. A few output rows are summed down the columns, for every term, into lines of their own;
    then each is summed along its length and written. `dense` says that the columns have no holes, and row
    stride and dilation are 1; a column of one tap of 1 (`flat`) needs no first pass. Along the rows, taps
    that lie `apart` registers from each other go together (`vectors.ladder`); `ends` says where the ladders
    of 1, 2, 3 and 4 rungs end among the taps.

    Tolerances above 0 say that the factors sum to 1: see `vectors.snapper`.
    """
    from cnnfilter.core.loops.blocks import BEHIND, line_filler, rows_together

    fill = line_filler(jit, source, real)
    together = rows_together(jit, dense, real, real)
    steps, down_count, find, block = together.rows, together.count, together.find, together.block
    whole_line = _along_a_line(jit, target, real, apart)

    def run(
        image, image_stride, row_map, column_map, before, length, channels, step, reach, constant,
        row_step, row_reach, flat, terms,
        offsets_down, weights_down, runs, taps_down, middle_down, centre_down, tolerance_down,
        offsets_along, weights_along, ends, centre_along, tolerance_along,
        span, chunk, held, lines, line, plane, table, sums, spare, out, out_stride, first, last, width,
    ):  # fmt: skip
        down = row_step * line
        needed = step * plane
        for left in range(0, width, span):
            columns = min(span, width - left)
            elements = columns * channels
            places = (columns - 1) * step + reach
            done = first * row_step
            for top in range(first, last, chunk):
                rows = min(chunk, last - top)
                while done < (top + rows - 1) * row_step + row_reach:
                    row = row_map[done]
                    ahead = row_map[min(done + 2, (last - 1) * row_step + row_reach - 1)]
                    fill(image, row * image_stride, row < 0, max(ahead, 0) * image_stride, column_map,
                         left * step, places, before, length, channels, step, plane, constant, lines,
                         done % held * line)  # fmt: skip
                    done += 1
                if flat == 0:
                    for y in range(0, rows, steps):
                        find(offsets_down, taps_down, middle_down, centre_down, down,
                             (top + y) * row_step % held, held, line,
                             table, y * (taps_down + BEHIND))  # fmt: skip
                    # Down one block of columns before the next: its pixels stay in the first cache.
                    x = 0
                    while x < needed:
                        for y in range(0, rows, steps):
                            for term in range(terms):
                                block(lines, x, table, y * (taps_down + BEHIND), weights_down,
                                      term * taps_down, runs, taps_down, 1, 0, middle_down, 0,
                                      tolerance_down, sums, (term * chunk + y) * line + x, line)  # fmt: skip
                        x += down_count
                for y in range(rows):
                    whole_line(sums if flat == 0 else lines,
                               y * line if flat == 0 else (top + y) * row_step % held * line,
                               offsets_along, weights_along, ends, centre_along, tolerance_along,
                               spare, out, (top + y) * out_stride + left * channels, elements)  # fmt: skip

    return run


def in_place(jit: Callable[..., Any], target: str, real: str, dense: bool, apart: int) -> Callable[..., None]:
    """Return the loop of `strip` for images of type `real`, which are read where they stand.

    Two output rows at a time are summed down the columns of the image; the sums beside it are those of the
    columns that the boundary names, so nothing of the image is copied. A row beside it is one that the
    boundary names, or `empty`, which lies `nowhere` elements from the image and is `filled` with the
    constant. `rows` says how far down the taps lie, and the pixels that a constant is recognised by, `noted`
    of them. There are two rows at least, and as many elements as a block has.
    """
    from cnnfilter.core.loops.blocks import rows_in_place

    pair = rows_in_place(jit, dense, real, real)
    steps, count, block = pair.rows, pair.count, pair.block
    whole_line = _along_a_line(jit, target, real, apart)

    @jit
    def beside(sums, start, begin, end, column_map, before, length, channels, constant):
        """Fill in the sums of the padded columns `[begin, end)`, which lie beside the image."""
        for place in range(begin, end):
            column = column_map[place]
            for channel in range(channels):
                at = start + (before + column) * channels + channel
                sums[start + place * channels + channel] = constant if column < 0 else sums[at]

    def run(
        image, image_stride, row_map, column_map, before, length, padded, channels, row_step, rows, noted,
        terms, weights_down, runs, taps_down, middle_down, tolerance_down,
        offsets_along, weights_along, ends, centre_along, tolerance_along,
        empty, filled, constant, nowhere, table, sums, line, spare, out, out_stride, first, last, width,
    ):  # fmt: skip
        constants = 2 * terms * line
        for i in range(filled):
            empty[i] = constant
        for i in range(noted):
            table[i] = nowhere
        for term in range(terms):
            block(image, 0, table, 0, weights_down, term * taps_down, runs, taps_down, 1, 0, middle_down, 0,
                  tolerance_down, sums, constants + term * 2 * count, count)  # fmt: skip
        for top in range(first, last, steps):
            # The last two rows, and the last block of a row, may be made twice.
            y = min(top, last - steps)
            for i in range(noted):
                row = row_map[y * row_step + rows[i]]
                table[i] = row * image_stride if row >= 0 else nowhere
            for x in range(0, length * channels, count):
                at = min(x, length * channels - count)
                for term in range(terms):
                    block(image, at, table, 0, weights_down, term * taps_down, runs, taps_down, 1, 0,
                          middle_down, 0, tolerance_down, sums, term * 2 * line + before * channels + at,
                          line)  # fmt: skip
            for row in range(steps):
                for term in range(terms):
                    start = (2 * term + row) * line
                    of_constant = sums[constants + term * 2 * count]
                    beside(sums, start, 0, before, column_map, before, length, channels, of_constant)
                    beside(sums, start, before + length, padded, column_map, before, length, channels,
                           of_constant)  # fmt: skip
                whole_line(sums, row * line, offsets_along, weights_along, ends, centre_along,
                           tolerance_along, spare, out, (y + row) * out_stride, width)  # fmt: skip

    return run


def _along_a_line(jit: Callable[..., Any], target: str, real: str, apart: int) -> Any:
    """Return `whole_line`, which sums up one output row along a line of sums, and writes it."""
    from cnnfilter.core.loops import vectors

    count = REGISTERS * vectors.register_lanes(real)
    one, two, three, four = (vectors.ladder(real, REGISTERS, rungs, apart) for rungs in range(1, RUNGS + 1))
    splat = vectors.arithmetic(real, count).splat
    load = vectors.loader(real, real, count)
    store = vectors.storer(target, real, count)
    snap = vectors.snapper(real, count)
    zero = NUMBERS[real](0)

    @jit
    def along(lines, at, offsets, weights, ends, centre, tolerance, out, to):
        a = splat(zero)
        tap = 0
        while tap < ends[0]:
            a = one(a, lines, at + offsets[tap], weights, tap)
            tap += 1
        while tap < ends[1]:
            a = two(a, lines, at + offsets[tap], weights, tap)
            tap += 2
        while tap < ends[2]:
            a = three(a, lines, at + offsets[tap], weights, tap)
            tap += 3
        while tap < ends[3]:
            a = four(a, lines, at + offsets[tap], weights, tap)
            tap += 4
        if tolerance > 0:
            a = snap(a, load(lines, at + centre), tolerance)
        store(a, out, to)

    @jit
    def whole_line(lines, start, offsets, weights, ends, centre, tolerance, spare, out, to, elements):
        x = 0
        while x < elements:
            if elements >= count:
                at = min(x, elements - count)
                along(lines, start + at, offsets, weights, ends, centre, tolerance, out, to + at)
            else:
                # Less than a block: what has no room in the output goes to `spare` first.
                along(lines, start, offsets, weights, ends, centre, tolerance, spare, 0)
                for i in range(elements):
                    out[to + i] = spare[i]
            x += count

    return whole_line
