"""Direct correlation: every tap of the kernel at every place, a few output rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def strip(jit: Callable[..., Any], source: str, target: str, real: str, dense: bool) -> Callable[..., None]:
    """Return the loop that correlates the output rows `[first, last)` and columns `[begin, end)`.

    A tile of `span` output columns and a chunk of output rows at a time: the padded rows that they need are
    laid out as lines of type `real`, boundary and all, in a ring of `held` lines that stays in the second
    cache while every tap passes over it (`blocks.rows_together`). `dense` says that the kernel has no holes,
    and that stride and dilation are 1.
    """
    from cnnfilter.core.loops.blocks import line_filler, rows_together

    fill = line_filler(jit, source, real)
    together = rows_together(jit, dense, target, real)
    steps, count, find, block = together.rows, together.count, together.find, together.block

    def run(
        image, image_stride, row_map, column_map, before, length, channels, step, reach, constant,
        row_step, row_reach, offsets, weights, runs, taps, kernel_columns, middle, centre, tolerance,
        span, chunk, held, lines, line, plane, table, spare, out, out_stride, first, last, begin, end,
    ):  # fmt: skip
        down = row_step * line
        for left in range(begin, end, span):
            columns = min(span, end - left)
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
                for y in range(0, rows, steps):
                    to = (top + y) * out_stride + left * channels
                    there = min(steps, rows - y)
                    find(
                        offsets, taps, middle, centre, down, (top + y) * row_step % held, held, line, table, 0
                    )
                    x = 0
                    while x < elements:
                        at = min(x, max(elements - count, 0))
                        if elements < count or there < steps:
                            # What has no room in the output goes to `spare` first.
                            block(lines, at, table, 0, weights, 0, runs, taps, kernel_columns, channels,
                                  middle, centre, tolerance, spare, 0, count)  # fmt: skip
                            for row in range(there):
                                for i in range(min(count, elements)):
                                    out[to + row * out_stride + at + i] = spare[row * count + i]
                        else:
                            block(lines, at, table, 0, weights, 0, runs, taps, kernel_columns, channels,
                                  middle, centre, tolerance, out, to + at, out_stride)  # fmt: skip
                        x += count

    return run
