"""The loop of correlations on wide images, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfilter.nn.functional.loops.lines import framing, writing
from cnnfilter.nn.functional.loops.registers import moved
from cnnfilter.nn.functional.loops.tiles import block


def correlate(jit: Callable[..., Any], real: str) -> Callable[..., None]:
    """Return the loop that makes rows `first` to `last` of results, those of all samples counted through.

    In a wide image of many channels each tap of a tile lies on a page of memory of its own, and to find them
    takes longer than to multiply. So pieces of as many rows as a kernel reaches over, `tall`, are copied to
    `lines`, where they lie side by side: row r at the place ``r % tall``, which the next one takes. `offsets`
    holds, for each place of the oldest row, where the taps are; row 0 begins `top` rows above the image.

    `wide` columns of results are made at a time; the first window begins `left` columns before the image, and
    a kernel reaches over `across` columns. Channels of `lines` are `span` apart, rows `row_apart`. What is
    below `floor` becomes it.
    """
    some, further, frame, write = block(jit, real), moved(), framing(jit), writing(jit)

    def run(  # type: ignore[no-untyped-def]
        image, channels, height, width, top, left, weights, maps, taps, tall, across, places, offsets, bias,
        floor, out, rows, columns, first, last, wide, span, row_apart, lines, sums,
    ):  # fmt: skip
        low = first
        while low < last:
            n = low // rows
            begin, end = low - n * rows, min(last, (n + 1) * rows) - n * rows
            for at in range(0, columns, wide):
                count = min(wide, columns - at)
                for r in range(begin, end + tall - 1):
                    row, to = r - top, r % tall * row_apart
                    for c in range(channels):
                        start = ((n * channels + c) * height + row) * width + at - left
                        inside = 0 <= row < height
                        frame(
                            image, start, at - left, width, inside, count + across - 1, lines, to + c * span
                        )
                    i = r - tall + 1
                    p = 0
                    while p < (maps if i >= begin else 0):
                        many = some(
                            lines, 0, further(offsets, i % tall * taps), taps, weights, p * taps, maps - p,
                            taps, places, sums, 0, count, wide,
                        )  # fmt: skip
                        for k in range(many):
                            go = ((n * maps + p + k) * rows + i) * columns + at
                            write(sums, k * wide, count, bias[p + k], floor, out, go)
                        p += many
            low += end - begin

    return run
