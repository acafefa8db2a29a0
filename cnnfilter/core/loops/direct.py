"""Direct correlation: every tap of the kernel at every place, four output rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def strip(jit: Callable[..., Any], source: str, target: str, real: str, pivot: bool) -> Callable[..., None]:
    """Return the loop that correlates a strip of rows.

    The image is already padded where it has to be, and is read where it stands, without a copy: four rows
    and a block of columns at a time (`blocks.four_rows`).
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import ROWS, four_rows

    count = vectors.lanes(real)
    block = four_rows(jit, source, target, real, pivot)

    def run(
        image, image_step, offsets, weights, ends, pivots, channels, out, out_stride, rows, columns, streaming
    ):
        # The last block of a row and the last four rows overlap those before, so nothing is read or
        # written outside; a strip is therefore at least ROWS x count.
        y = 0
        while y < rows:
            row = min(y, rows - ROWS)
            x = 0
            while x < columns:
                column = min(x, columns - count)
                block(
                    image, row * image_step + column, offsets, weights, ends, pivots, column % channels,
                    out, row * out_stride + column, out_stride, streaming != 0 and column == x,
                )  # fmt: skip
                x += count
            y += ROWS

    return run
