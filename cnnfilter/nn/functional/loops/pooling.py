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
        image, planes, height, width, high, wide, tall, apart, down, top, left, out, where, rows, columns
    ):
        reach = (wide - 1) * apart + 1
        # windows that lie within the columns; those before and after begin with a later tap
        begin = min(columns, (left + right - 1) // right)
        end = max(begin, min(columns, (width - reach + left) // right + 1 if width + left >= reach else 0))
        within = wide if begin < end else 0
        for plane in range(planes):
            for i in range(rows):
                first = i * down - top
                to = (plane * rows + i) * columns
                u_low = max(0, (tall - 1 - first) // tall)
                u_high = min(high, (height - first + tall - 1) // tall)
                for u in range(u_low, u_high):
                    start = (plane * height + first + u * tall) * width - left
                    for v in range(within):
                        k = u * wide + v
                        tap(image, start, k, u == u_low and v == 0, out, where, to, begin, end, v * apart)
                for side in range(2):
                    low, stop = (0, begin) if side == 0 else (end, columns)
                    for j in range(low, stop):
                        v_low = max(0, (left - j * right + apart - 1) // apart)
                        v_high = min(wide, (width + left - j * right + apart - 1) // apart)
                        for u in range(u_low, u_high):
                            start = (plane * height + first + u * tall) * width - left
                            for v in range(v_low, v_high):
                                k = u * wide + v
                                fresh = u == u_low and v == v_low
                                tap(image, start, k, fresh, out, where, to, j, j + 1, v * apart)

    return run


def spread(jit: Callable[..., Any]) -> Callable[..., None]:
    """Return the loop that adds each gradient to where the maximum was; `steps` tells how far tap k is.

    Positions are checked on the way: at the first that is none of its window's pixels on the image the loop
    ends and says in `wrong` which it was.
    """

    @jit
    def hanging(  # type: ignore[no-untyped-def]
        delta, where, at, plane, first, height, width, high, wide, tall, apart, right, left, out, low, stop
    ):
        """Add those whose window hangs over the plane; return which position is wrong, or -1."""
        part = 1.0 / wide
        for j in range(low, stop):
            k = where[at + j]
            u = int((k + 0.5) * part)  # k // wide, exact below 2^31 and several times faster
            row, column = first + u * tall, j * right - left + (k - u * wide) * apart
            if k < 0 or k >= high * wide or not (0 <= row < height and 0 <= column < width):
                return at + j
            out[plane + row * width + column] += delta[at + j]
        return -1

    def run(  # type: ignore[no-untyped-def]
        delta, where, steps, planes, height, width, high, wide, tall, apart, down, right, top, left, out,
        rows, columns, wrong,
    ):  # fmt: skip
        for i in range(planes * height * width):
            out[i] = 0
        area = high * wide
        reach = (wide - 1) * apart + 1
        begin = min(columns, (left + right - 1) // right)
        end = max(begin, min(columns, (width - reach + left) // right + 1 if width + left >= reach else 0))
        for n in range(planes):
            plane = n * height * width
            for i in range(rows):
                at = (n * rows + i) * columns
                first = i * down - top
                whole = first >= 0 and first + (high - 1) * tall < height
                low, stop = (begin, end) if whole else (columns, columns)
                start = plane + first * width - left
                amiss = 0
                for j in range(low, stop):  # on its own, so that many are compared at once
                    amiss += where[at + j] < 0 or where[at + j] >= area
                if amiss:
                    for j in range(low, stop):
                        if where[at + j] < 0 or where[at + j] >= area:
                            wrong[0] = at + j
                            return
                for j in range(low, stop):
                    out[start + j * right + steps[where[at + j]]] += delta[at + j]
                bad = hanging(
                    delta, where, at, plane, first, height, width, high, wide, tall, apart, right, left, out,
                    0, low,
                )  # fmt: skip
                if bad < 0:
                    bad = hanging(
                        delta, where, at, plane, first, height, width, high, wide, tall, apart, right, left,
                        out, stop, columns,
                    )  # fmt: skip
                if bad >= 0:
                    wrong[0] = bad
                    return

    return run


def gate(jit: Callable[..., Any]) -> Callable[..., None]:
    """Return the loop that passes the gradients of positive outputs."""

    def run(y, delta, out, count):  # type: ignore[no-untyped-def]
        for i in range(count):
            out[i] = delta[i] if y[i] > 0 else delta[i] * 0

    return run
