"""The bare loops of what takes a maximum: pooling, and the gradient of a rectifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def maximum(jit: Callable[..., Any], right: int, places: bool) -> Callable[..., None]:
    """Return the loop that keeps the largest value of each window, and with `places` where it was.

    Of each row of windows one tap after the other, so that the windows in which no tap hangs over, all but a
    few, are compared side by side; a constant step `right` of the columns lets LLVM do that. A NaN is larger
    than every number.
    """

    @jit
    def tap(image, start, k, fresh, out, where, to, low, high, shift):  # type: ignore[no-untyped-def]
        if fresh:
            for j in range(low, high):
                out[to + j] = image[start + j * right + shift]
                if places:
                    where[to + j] = k
        else:
            for j in range(low, high):
                value = image[start + j * right + shift]
                best = out[to + j]
                larger = (not value <= best) and best == best
                out[to + j] = value if larger else best
                if places:
                    where[to + j] = k if larger else where[to + j]

    def run(  # type: ignore[no-untyped-def]
        image, planes, height, width, high, wide, down, top, left, out, where, rows, columns
    ):
        for plane in range(planes):
            for i in range(rows):
                first = i * down - top
                to = (plane * rows + i) * columns
                u_low = max(0, -first)
                u_high = min(high, height - first)
                # windows that lie within the columns; those before and after begin with a later tap
                begin = min(columns, (left + right - 1) // right)
                end = max(
                    begin, min(columns, (width - wide + left) // right + 1 if width + left >= wide else 0)
                )
                for u in range(u_low, u_high):
                    start = (plane * height + first + u) * width
                    for v in range(wide):
                        k = u * wide + v
                        tap(image, start, k, u == u_low and v == 0, out, where, to, begin, end, v - left)
                for j in range(begin):
                    v_low = max(0, left - j * right)
                    v_high = min(wide, width + left - j * right)
                    for u in range(u_low, u_high):
                        start = (plane * height + first + u) * width
                        for v in range(v_low, v_high):
                            k = u * wide + v
                            tap(
                                image, start, k, u == u_low and v == v_low, out, where, to, j, j + 1, v - left
                            )
                for j in range(end, columns):
                    v_low = max(0, left - j * right)
                    v_high = min(wide, width + left - j * right)
                    for u in range(u_low, u_high):
                        start = (plane * height + first + u) * width
                        for v in range(v_low, v_high):
                            k = u * wide + v
                            tap(
                                image, start, k, u == u_low and v == v_low, out, where, to, j, j + 1, v - left
                            )

    return run


def spread(jit: Callable[..., Any]) -> Callable[..., None]:
    """Return the loop that adds each gradient to where the maximum was; `steps` tells how far tap k is."""

    def run(  # type: ignore[no-untyped-def]
        delta, where, steps, planes, height, width, down, right, top, left, out, rows, columns
    ):
        for i in range(planes * height * width):
            out[i] = 0
        for plane in range(planes):
            for i in range(rows):
                at = (plane * rows + i) * columns
                start = (plane * height + i * down - top) * width - left
                for j in range(columns):
                    out[start + j * right + steps[where[at + j]]] += delta[at + j]

    return run


def gate(jit: Callable[..., Any]) -> Callable[..., None]:
    """Return the loop that passes the gradients of positive outputs."""

    def run(y, delta, out, count):  # type: ignore[no-untyped-def]
        for i in range(count):
            out[i] = delta[i] if y[i] > 0 else delta[i] * 0

    return run
