"""Direct correlation: every tap of the kernel at every place, two output rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def strip(
    jit: Callable[..., Any], source: str, target: str, real: str, snapping: bool
) -> Callable[..., None]:
    """Return the loop that correlates the output rows `[first, last)` and columns `[begin, end)`.

    A tile of `span` output columns and a chunk of output rows at a time: the padded rows that they need are
    laid out as lines of type `real`, boundary and all, which stay in the second cache while every tap passes
    over them (`blocks.two_rows`).
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import REGISTERS, ROWS, line_filler, two_rows

    count = REGISTERS * vectors.register_lanes(real)
    fill = line_filler(jit, source, real)
    block = two_rows(jit, target, real, snapping)

    def run(
        image, image_stride, row_map, column_map, before, length, channels, step, reach, constant,
        row_step, row_reach, offsets, weights, runs, taps, centre, tolerance,
        span, chunk, lines, line, plane, spare, out, out_stride, first, last, begin, end,
    ):  # fmt: skip
        down = row_step * line
        for left in range(begin, end, span):
            columns = min(span, end - left)
            elements = columns * channels
            places = (columns - 1) * step + reach
            for top in range(first, last, chunk):
                rows = min(chunk, last - top)
                for i in range((rows - 1) * row_step + row_reach):
                    row = row_map[top * row_step + i]
                    ahead = row_map[min(top * row_step + i + 2, last * row_step - row_step + row_reach - 1)]
                    fill(image, row * image_stride, row < 0, max(ahead, 0) * image_stride, column_map,
                         left * step, places, before, length, channels, step, plane, constant, lines,
                         i * line)  # fmt: skip
                for y in range(0, rows, ROWS):
                    to = (top + y) * out_stride + left * channels
                    below = out_stride
                    if elements < count or y + 1 == rows:
                        # What has no room in the output goes to `spare` first.
                        x = 0
                        while x < elements:
                            at = min(x, max(elements - count, 0))
                            block(lines, y * down + at, offsets, weights, 0, runs, taps, down, centre,
                                  tolerance, spare, 0, count)  # fmt: skip
                            for i in range(min(count, elements)):
                                out[to + at + i] = spare[i]
                                if y + 1 < rows:
                                    out[to + at + below + i] = spare[count + i]
                            x += count
                    else:
                        x = 0
                        while x < elements:
                            at = min(x, elements - count)
                            block(lines, y * down + at, offsets, weights, 0, runs, taps, down, centre,
                                  tolerance, out, to + at, to + at + below)  # fmt: skip
                            x += count

    return run
