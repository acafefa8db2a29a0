"""Separable correlation with few taps: down the columns from the image itself, then along short lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def strip(jit: Callable[..., Any], source: str, target: str, real: str, pivot: bool) -> Callable[..., None]:
    """Return the loop that correlates a strip of rows with one separable kernel of few rows.

    Four output rows and `span` elements at a time: down the columns the rows are read where they stand, as in
    the direct loop, into four lines that stay in the first cache; what lies beside the image is copied within
    the lines; then along the lines. Nothing is kept from one block of rows to the next, so there is no ring
    to fill (measured in `methods.short`).
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import ROWS, four_rows

    count = vectors.lanes(real)
    math = vectors.arithmetic(real, count)
    splat, fma, add, sub = math.splat, math.fma, math.add, math.sub
    load = vectors.loader(real, real, count)
    store = vectors.storer(target, real, count)
    stream = vectors.storer(target, real, count, streaming=True) if target == real else store
    down = four_rows(jit, source, real, real, pivot)
    number = np.float32 if real == "f32" else np.float64

    @jit
    def along(lines, start, offsets, weights, taps, pivots, channels, out, to, span, streaming):
        i = 0
        while i < span:
            at = min(i, span - count)
            centre = load(pivots, at % channels)
            a = splat(number(0))
            for tap in range(taps):
                pixels = load(lines, start + at + offsets[tap])
                if pivot:
                    pixels = sub(pixels, centre)
                a = fma(splat(weights[tap]), pixels, a)
            if pivot:
                a = add(a, centre)
            if streaming and at == i:
                stream(a, out, to + at)
            else:
                store(a, out, to + at)
            i += count

    @jit
    def beside(lines, line, column_map, at, before, channels, begin, end):
        for i in range(begin, end):
            column = column_map[(at + i) // channels] + before
            lines[line + i] = lines[line + column * channels + (at + i) % channels - at]

    def run(
        image, row_starts, column_map, before, image_elements, channels,
        offsets_across, weights_across, taps_across, pivots, rows_down, weights_down, ends, row_step,
        offsets, lines, line_stride, span, halo, out, out_stride, rows, columns, streaming,
    ):  # fmt: skip
        outside = before * channels
        y = 0
        while y < rows:
            row = min(y, rows - ROWS)
            for tap in range(ends[8]):
                offsets[tap] = row_starts[row * row_step + rows_down[tap]]
            x = 0
            while x < columns:
                at = min(x, columns - span)
                first = max(at - outside, 0)
                last = min(at + span + halo - outside, image_elements)
                e = first
                while e < last:
                    here = min(e, last - count)
                    down(image, here, offsets, weights_down, ends, pivots, here % channels,
                         lines, here + outside - at, line_stride, False)  # fmt: skip
                    e += count
                for r in range(ROWS):
                    line = r * line_stride
                    beside(lines, line, column_map, at, before, channels, 0, first + outside - at)
                    beside(lines, line, column_map, at, before, channels, last + outside - at, span + halo)
                    along(lines, line, offsets_across, weights_across, taps_across, pivots, channels,
                          out, (row + r) * out_stride + at, span, streaming != 0 and at == x)  # fmt: skip
                x += span
            y += ROWS

    return run
