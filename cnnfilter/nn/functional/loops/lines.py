"""Rows of pixels before sums are made of them, and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def framing(jit: Callable[..., Any]) -> Any:
    """Return the function that copies `count` pixels from `column` of a row on, and zeros where it is not.

    The first one is that at `at` of the image. A row that is not `inside` it is all zeros.
    """

    @jit
    def frame(image, at, column, width, inside, count, lines, to):  # type: ignore[no-untyped-def]
        low = min(count, max(0, -column))
        end = max(low, min(count, width - column)) if inside else low
        for j in range(low):
            lines[to + j] = 0
        for j in range(low, end):
            lines[to + j] = image[at + j]
        for j in range(end, count):
            lines[to + j] = 0

    return frame


def writing(jit: Callable[..., Any]) -> Any:
    """Return the function that writes `count` sums plus `shift`, and `floor` for what is below it."""

    @jit
    def write(sums, at, count, shift, floor, out, to):  # type: ignore[no-untyped-def]
        for j in range(count):
            y = sums[at + j] + shift
            out[to + j] = floor if y < floor else y

    return write
