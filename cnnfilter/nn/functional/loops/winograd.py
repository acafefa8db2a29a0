"""The loops of Winograd's form of a 3x3 correlation, F(2x2, 3x3).

Four neighbouring results share the 4x4 pixels that they look at. Taken together, as a tile, they need 16
multiplications a channel in place of 36: of ``G w G'`` with ``B' d B``, and ``A' m A`` makes the results of
the 16 sums m over the channels, where::

         1    0    0           1  0 -1  0
    G = 1/2  1/2  1/2     B' = 0  1  1  0     A' = 1  1  1  0
        1/2 -1/2  1/2          0 -1  1  0          0  1 -1 -1
         0    0    1           0  1  0 -1

A result depends on the nine pixels under its kernel and on no other pixel of its tile, even in its last bits:
the others are in terms that are not its own. So a tile may hang over, and what is there may be anything.

References
----------
A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfilter.nn.functional.loops.lines import framing, writing
from cnnfilter.nn.functional.loops.registers import apart
from cnnfilter.nn.functional.loops.tiles import block, shape


def spread_kernels(jit: Callable[..., Any]) -> Callable[..., None]:
    """Return the loop that makes ``G w G'`` of maps `first` to `last`, in float64 up to the last rounding.

    Of 16 matrices (maps, channels), `matrix` apart. From map to map there are `step` weights, from channel to
    channel `jump`; with `turned` kernels are read from the last weight to the first.
    """

    @jit
    def along(a, b, c, room, at, step):  # type: ignore[no-untyped-def]
        room[at] = a
        room[at + step] = 0.5 * (a + b + c)
        room[at + 2 * step] = 0.5 * (a - b + c)
        room[at + 3 * step] = c

    def run(weights, first, last, channels, step, jump, turned, room, out, matrix):  # type: ignore[no-untyped-def]
        tap = -1 if turned else 1
        for p in range(first, last):
            for c in range(channels):
                w = p * step + c * jump + (8 if turned else 0)
                for v in range(3):
                    top, middle, bottom = weights[w], weights[w + 3 * tap], weights[w + 6 * tap]
                    along(1.0 * top, 1.0 * middle, 1.0 * bottom, room, v, 3)
                    w += tap
                for u in range(4):
                    along(room[3 * u], room[3 * u + 1], room[3 * u + 2], room, 12 + 4 * u, 1)
                for k in range(16):
                    out[k * matrix + p * channels + c] = room[12 + k]

    return run


def correlate(jit: Callable[..., Any], real: str) -> Callable[..., None]:
    """Return the loop that makes rows `first` to `last` of tiles, those of all samples counted through.

    A block of tiles at a time, `high` rows of `wide`, so that what is made of it stays in the second cache:
    `spread` holds 16 matrices (channels, tiles), `sums` 16 matrices (maps, tiles), all rows `span` apart. The
    first window lies `top` rows and `left` columns in front of the image. What is below `floor` becomes it.
    """
    lanes, _, _ = shape(real)
    some, spread_tiles, gather_tiles = block(jit, real), _spread(real, lanes), _gather(real, lanes)
    frame, write = framing(jit), writing(jit)

    @jit
    def spread_rows(  # type: ignore[no-untyped-def]
        image, sample, channels, height, width, low, end, column, top, across, lines, length, spread, matrix,
        span, size,
    ):  # fmt: skip
        reads = 2 * across + 2
        for c in range(channels):
            for i in range(low, end):
                row = 2 * i - top
                at = sample + (c * height + row) * width + column
                to = c * span + (i - low) * across
                there = 0 <= row <= height - 4 and 0 <= column <= width - reads
                if there and at + 3 * width + reads + 4 * lanes <= size:  # whole registers are read
                    spread_tiles(image, at, width, spread, to, matrix, across)
                else:
                    for r in range(4):
                        inside = 0 <= row + r < height
                        frame(image, at + r * width, column, width, inside, reads, lines, r * length)
                    spread_tiles(lines, 0, length, spread, to, matrix, across)

    @jit
    def gather_rows(  # type: ignore[no-untyped-def]
        sums, matrix, span, maps, low, end, across, lines, length, bias, floor, out, sample, rows, columns,
        column,
    ):  # fmt: skip
        count = min(2 * across, columns - column)
        for p in range(maps):
            for i in range(low, end):
                gather_tiles(sums, p * span + (i - low) * across, matrix, lines, length, across)
                for a in range(min(2, rows - 2 * i)):
                    go = sample + (p * rows + 2 * i + a) * columns + column
                    write(lines, a * length, count, bias[p], floor, out, go)

    def run(  # type: ignore[no-untyped-def]
        image, size, channels, height, width, top, left, weights, matrix, offsets, places, bias, floor,
        out, maps, rows, columns, first, last, high, wide, lines, length, spread, spread_matrix, sums,
        sums_matrix, span,
    ):  # fmt: skip
        tile_rows, tile_columns = (rows + 1) // 2, (columns + 1) // 2
        low = first
        while low < last:
            n = low // tile_rows
            end = min(last, low + high, (n + 1) * tile_rows)
            begin, stop = low - n * tile_rows, end - n * tile_rows
            for at in range(0, tile_columns, wide):
                across = min(wide, tile_columns - at)
                spread_rows(
                    image, n * channels * height * width, channels, height, width, begin, stop,
                    2 * at - left, top, across, lines, length, spread, spread_matrix, span, size,
                )  # fmt: skip
                for k in range(16):
                    p = 0
                    while p < maps:
                        p += some(
                            spread, k * spread_matrix, offsets, channels, weights, k * matrix + p * channels,
                            maps - p, channels, places, sums, k * sums_matrix + p * span,
                            (stop - begin) * across, span,
                        )  # fmt: skip
                gather_rows(
                    sums, sums_matrix, span, maps, begin, stop, across, lines, length, bias, floor, out,
                    n * maps * rows * columns, rows, columns, 2 * at,
                )  # fmt: skip
            low = end

    return run


def _spread(real: str, lanes: int) -> Any:
    """Return the function that makes ``B' d B`` of a row of `count` tiles; rows of pixels are `width` apart.

    To each of the 16 matrices, `matrix` apart, it writes up to a whole register.
    """
    from numba import types
    from numba.extending import intrinsic

    def body(ir: Any, builder: Any, vectors: Any, arguments: Any) -> None:
        pixels, begin, width, spread, to, matrix, count = arguments
        rows = [builder.add(begin, builder.mul(width, vectors.whole(r))) for r in range(4)]
        places = [builder.add(to, builder.mul(matrix, vectors.whole(k))) for k in range(16)]

        def along(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any, Any, Any]:
            return builder.fsub(a, c), builder.fadd(b, c), builder.fsub(c, b), builder.fsub(b, d)

        def turn(i: Any, nothing: list[Any]) -> list[Any]:
            here = [builder.add(row, builder.add(i, i)) for row in rows]
            columns = [
                along(*(vectors.load(pixels, builder.add(row, vectors.whole(n))) for row in here))
                for n in (0, lanes, 2, lanes + 2)
            ]
            for r, (low, high, low_on, high_on) in enumerate(zip(*columns, strict=True)):
                four = along(*vectors.parted(low, high), *vectors.parted(low_on, high_on))
                for k, value in enumerate(four):
                    vectors.store(value, spread, builder.add(places[4 * r + k], i))
            return nothing

        vectors.loop(count, lanes, [], turn)

    call = apart(f"spread_{real}", real, lanes, body)

    @intrinsic
    def tiles(context, pixels, begin, width, spread, to, matrix, count):  # type: ignore[no-untyped-def]
        i64 = types.int64
        return types.void(pixels, i64, i64, spread, i64, i64, i64), call

    return tiles


def _gather(real: str, lanes: int) -> Any:
    """Return the function that makes ``A' m A`` of a row of `count` tiles: two lines of pixels.

    Of the 16 matrices, `matrix` apart, it reads up to a whole register.
    """
    from numba import types
    from numba.extending import intrinsic

    def body(ir: Any, builder: Any, vectors: Any, arguments: Any) -> None:
        sums, begin, matrix, lines, length, count = arguments
        places = [builder.add(begin, builder.mul(matrix, vectors.whole(k))) for k in range(16)]

        def along(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
            return builder.fadd(builder.fadd(a, b), c), builder.fsub(builder.fsub(b, c), d)

        def turn(i: Any, nothing: list[Any]) -> list[Any]:
            columns = [
                along(*(vectors.load(sums, builder.add(place, i)) for place in places[k::4]))
                for k in range(4)
            ]
            for a, row in enumerate(zip(*columns, strict=True)):
                to = builder.add(builder.mul(length, vectors.whole(a)), builder.add(i, i))
                for n, value in enumerate(vectors.alternating(*along(*row))):
                    vectors.store(value, lines, builder.add(to, vectors.whole(n * lanes)))
            return nothing

        vectors.loop(count, lanes, [], turn)

    call = apart(f"gather_{real}", real, lanes, body)

    @intrinsic
    def tiles(context, sums, begin, matrix, lines, length, count):  # type: ignore[no-untyped-def]
        i64 = types.int64
        return types.void(sums, i64, i64, lines, i64, i64), call

    return tiles
