"""The bare loops of convolution layers: windows to panels, and panels back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def move(jit: Callable[..., Any], gather: bool) -> Callable[..., None]:
    """Return the loop between planes and a panel (planes, U, V, rows, columns) of their windows.

    With `gather` the panel is filled from the planes, zeros where a window hangs over; else the panel is
    added to the planes. One plane with its taps at a time: what windows share stays in the L1 cache.
    A row of a plane holds first all columns 0, S, 2S..., then 1, S+1..., each run `span` long, so that
    every copy is contiguous whatever the stride S.
    """

    def run(  # type: ignore[no-untyped-def]
        image, panel, planes, height, width, span, high, wide, down, right, apart, beside, top, left,
        first, rows, columns,
    ):  # fmt: skip
        at = 0
        for plane in range(planes):
            for u in range(high):
                for v in range(wide):
                    shift = v * beside - left
                    low = min(columns, max(0, -(shift // right)))
                    end = max(low, min(columns, (width - 1 - shift) // right + 1))
                    for i in range(first, first + rows):
                        row = i * down + u * apart - top
                        inside = 0 <= row < height
                        start = ((plane * height + row) * right + shift % right) * span + shift // right
                        if gather:
                            for j in range(low if inside else columns):
                                panel[at + j] = 0
                            for j in range(end, columns if inside else end):
                                panel[at + j] = 0
                        if inside:
                            for j in range(low, end):
                                if gather:
                                    panel[at + j] = image[start + j]
                                else:
                                    image[start + j] += panel[at + j]
                        at += columns

    return run
