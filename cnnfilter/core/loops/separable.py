"""Separable correlation: along the rows, then down the columns, through a ring of finished rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def strip(jit: Callable[..., Any], source: str, target: str, real: str, pivot: bool) -> Callable[..., None]:
    """Return the loop that correlates a strip of rows with a sum of `terms` separable kernels.

    Each padded input row is filtered along its length for every term, and kept in a ring
    that holds only the rows which the next four output rows need; so the image is read once, the output
    written once, and the rest stays in the caches. Down the columns four rows are summed side by side, as
    in the direct loop. With `pivot` (one term whose factors each sum to 1) both passes sum the differences
    from `pivots`.
    """
    from cnnfilter.core.loops import vectors
    from cnnfilter.core.loops.blocks import ROWS, four_rows, row_filler

    count = vectors.lanes(real)
    math = vectors.arithmetic(real, count)
    splat, fma, add, sub = math.splat, math.fma, math.add, math.sub
    load = vectors.loader(source, real, count)
    even = vectors.loader(real, real, count)
    store = vectors.storer(real, real, count)
    block = four_rows(jit, real, target, real, pivot)
    fill = row_filler(jit, source, source)
    number = np.float32 if real == "f32" else np.float64

    @jit
    def along(padded, offsets, weights, first, taps, pivots, channels, ring, to, columns):
        x = 0
        while x < columns:
            column = min(x, columns - count)
            a = splat(number(0))
            if pivot:
                centre = even(pivots, column % channels)
                for tap in range(taps):
                    a = fma(splat(weights[first + tap]), sub(load(padded, column + offsets[tap]), centre), a)
                a = add(a, centre)
            else:
                for tap in range(taps):
                    a = fma(splat(weights[first + tap]), load(padded, column + offsets[tap]), a)
            store(a, ring, to + column)
            x += count

    def run(
        image, image_stride, row_map, column_map, left, right, padded_columns, channels, step, plane,
        constant, across_offsets, across_weights, across_taps, pivots, terms,
        down_rows, down_terms, down_weights, ends, row_step, span,
        padded, ring, ring_stride, offsets,
        out, out_stride, rows, columns, streaming,
    ):  # fmt: skip
        ring_rows = span + (ROWS - 1) * row_step
        term_stride = ring_rows * ring_stride
        done = 0
        y = 0
        while y < rows:
            row = min(y, rows - ROWS)
            top = row * row_step
            done = max(done, top)
            while done < top + ring_rows:
                fill(image, row_map[done] * image_stride, row_map[done] < 0, column_map, left, right,
                     padded_columns, channels, step, plane, constant, padded, 0)  # fmt: skip
                for term in range(terms):
                    to = term * term_stride + (done % ring_rows) * ring_stride
                    along(padded, across_offsets, across_weights, term * across_taps, across_taps, pivots,
                          channels, ring, to, columns)  # fmt: skip
                done += 1
            for tap in range(ends[8]):
                offsets[tap] = (
                    down_terms[tap] * term_stride + ((top + down_rows[tap]) % ring_rows) * ring_stride
                )
            x = 0
            while x < columns:
                column = min(x, columns - count)
                block(ring, column, offsets, down_weights, ends, pivots, column % channels,
                      out, row * out_stride + column, out_stride, streaming != 0 and column == x)  # fmt: skip
                x += count
            y += ROWS

    return run
