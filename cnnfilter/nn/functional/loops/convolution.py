"""The bare loops of convolution layers.

A convolution reads its input as planes whose rows lie end to end, with zeros between them. There a tap is an
offset from the pixel above which it stands, wherever a row ends; so the sums of equation 35 are a product of
matrices whose right one is never written out. A tile of sums (maps x neighbouring pixels) stays in registers
while the taps go by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfilter.nn.functional.loops.tiles import block, dots, shape

CACHED = 1 << 16
"""Elements of samples that are added up in registers together: so many stay in the second cache."""


def lay(jit: Callable[..., Any]) -> Callable[..., None]:
    """Return the loop that copies images to planes, every `down`-th row and `right`-th column in one run.

    A channel becomes `high` x `wide` planes: those that begin at row a < `high` and column b < `wide` of the
    padded image. Each has `rows` rows, `pitch` apart.
    """

    def run(  # type: ignore[no-untyped-def]
        image, planes, first, last, height, width, top, left, down, right, high, wide, rows, pitch
    ):
        at = first * high * wide * rows * pitch
        for channel in range(first, last):
            for a in range(high):
                for b in range(wide):
                    low = min(pitch, max(0, (left - b + right - 1) // right))
                    end = max(low, min(pitch, (width - 1 + left - b) // right + 1))
                    for i in range(rows):
                        row = i * down + a - top
                        inside = 0 <= row < height
                        start = (channel * height + row) * width + b - left
                        for j in range(low if inside else pitch):
                            planes[at + j] = 0
                        if inside:
                            if right == 1:
                                for j in range(low, end):
                                    planes[at + j] = image[start + j]
                            else:
                                for j in range(low, end):
                                    planes[at + j] = image[start + j * right]
                            for j in range(end, pitch):
                                planes[at + j] = 0
                        at += pitch

    return run


def correlate(jit: Callable[..., Any], real: str) -> Callable[..., None]:
    """Return the loop that makes some maps of some samples.

    Some rows at a time and of these a block of maps at a time: `sums` holds them as the planes lie, from
    where the pixels that are no output (between the rows) are left out. What is below `floor` becomes it.
    """
    some = block(jit, real)

    @jit
    def write(sums, length, pitch, rows, columns, shift, floor, out, go, row, column):  # type: ignore[no-untyped-def]
        for i in range(rows):
            come = i * pitch
            to = go + i * row
            if column == 1:
                for j in range(columns):
                    y = sums[length + come + j] + shift
                    out[to + j] = floor if y < floor else y
            else:
                for j in range(columns):
                    y = sums[length + come + j] + shift
                    out[to + j * column] = floor if y < floor else y

    def run(  # type: ignore[no-untyped-def]
        planes, begin, sample, samples, offsets, taps, weights, first, last, step, places, bias, has_bias,
        floor, out, out_sample, out_map, out_row, out_column, pitch, rows, columns, chunk, sums, span,
    ):  # fmt: skip
        for n in range(samples):
            for top in range(0, rows, chunk):
                high = min(chunk, rows - top)
                length = (high - 1) * pitch + columns
                at = begin + n * sample + top * pitch
                p = first
                while p < last:
                    count = some(
                        planes, at, offsets, taps, weights, p * step, last - p, step, places, sums, 0,
                        length, span,
                    )  # fmt: skip
                    for k in range(count):
                        shift = bias[p + k] if has_bias else bias[0] * 0
                        go = n * out_sample + (p + k) * out_map + top * out_row
                        write(
                            sums, k * span, pitch, high, columns, shift, floor, out, go, out_row, out_column
                        )
                    p += count

    return run


def weights_gradient(jit: Callable[..., Any], real: str) -> Callable[..., None]:
    """Return the loop that adds to ``gradient[p, k]`` the sum over i of ``deltas[p, i] * planes[i + k]``.

    Of some samples, for some maps and some blocks of taps. The deltas lie as the planes do, zeros between
    the rows, up to a whole register. `offsets` and `deltas` go on to a whole block: what comes of that is
    left out.
    """
    lanes, most, _ = shape(real)
    maps, taps = (4, 6) if most == 8 else (2, 4)
    tile = dots(real, lanes, maps, taps)

    def run(  # type: ignore[no-untyped-def]
        planes, begin, sample, deltas, delta_sample, delta_map, samples, length, first, last,
        offsets, first_tap, last_tap, gradient, step, chunk, sums,
    ):  # fmt: skip
        together = max(1, CACHED // sample)
        for n in range(0, samples, together):
            many = min(together, samples - n)
            for start in range(0, length, chunk):
                count = min(chunk, length - start)
                at = begin + n * sample + start
                for p in range(first, last, maps):
                    d = n * delta_sample + p * delta_map + start
                    for k in range(first_tap, last_tap, taps):
                        tile(
                            planes, at, sample, offsets, k, deltas, d, delta_map, delta_sample, many, count,
                            sums,
                        )  # fmt: skip
                        if k + taps <= last_tap:
                            for q in range(min(maps, last - p)):
                                to = (p + q) * step + k
                                for t in range(taps):
                                    gradient[to + t] += sums[q * taps + t]
                        else:
                            for q in range(min(maps, last - p)):
                                to = (p + q) * step + k
                                for t in range(last_tap - k):
                                    gradient[to + t] += sums[q * taps + t]

    return run
