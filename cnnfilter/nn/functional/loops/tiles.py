"""Tiles of sums that stay in registers: what the loops of convolution layers spend their time in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfilter.nn.functional.loops.registers import apart


def shape(real: str) -> tuple[int, int, int]:
    """Return lanes of a register, maps and registers of pixels of a tile on this processor.

    With 32 registers 8 x 3 sums leave room for three registers of pixels and a weight; with 16, 4 x 3.
    """
    import llvmlite.binding as llvm

    wide = llvm.get_host_cpu_features().get("avx512f")
    bits = 512 if wide else 256
    return bits // (32 if real == "f32" else 64), 8 if wide else 4, 3


def block(jit: Callable[..., Any], real: str) -> Any:
    """Return the function that makes the sums of some maps along `length` pixels, and tells of how many.

    So many as a tile has, `left` at most: ``sums[into + p * span + i] = sum over k < taps of
    weights[place + p * step + places[k]] * planes[begin + offsets[k] + i]``.
    """
    lanes, most, _ = shape(real)
    sizes = most, most * 3 // 4, most // 2, 2, 1
    full, most_of_it, half, two, single = (_sweep(jit, real, lanes, maps) for maps in sizes)

    @jit
    def run(planes, begin, offsets, taps, weights, place, left, step, places, sums, into, length, span):  # type: ignore[no-untyped-def]
        if left >= most:
            full(planes, begin, offsets, taps, weights, place, step, places, sums, into, length, span)
            return most
        if left >= most * 3 // 4:
            most_of_it(planes, begin, offsets, taps, weights, place, step, places, sums, into, length, span)
            return most * 3 // 4
        if left >= most // 2:
            half(planes, begin, offsets, taps, weights, place, step, places, sums, into, length, span)
            return most // 2
        if left >= 2:
            two(planes, begin, offsets, taps, weights, place, step, places, sums, into, length, span)
            return 2
        single(planes, begin, offsets, taps, weights, place, step, places, sums, into, length, span)
        return 1

    return run


def _sweep(jit: Callable[..., Any], real: str, lanes: int, maps: int) -> Any:
    """Return the function that makes the sums of `maps` maps along `length` pixels.

    The last tile lies over the one before, so that nothing beyond is read, if there is a register of pixels.
    Of one or two maps long tiles come first: sums in fewer registers would wait for each other.
    """
    long = 8 // maps if maps <= 2 else 3
    many, three, two, one = (_tile(real, lanes, maps, n) for n in (long, 3, 2, 1))

    @jit
    def run(planes, begin, offsets, taps, weights, place, step, places, sums, into, length, span):  # type: ignore[no-untyped-def]
        i = 0
        while long > 3 and length - i >= long * lanes:
            many(planes, begin + i, offsets, taps, weights, place, step, places, sums, into + i, span)
            i += long * lanes
        while i < length:
            if length - i > 2 * lanes:
                here = max(0, min(i, length - 3 * lanes))
                at, to = begin + here, into + here
                three(planes, at, offsets, taps, weights, place, step, places, sums, to, span)
                i += 3 * lanes
            elif length - i > lanes:
                here = max(0, min(i, length - 2 * lanes))
                at, to = begin + here, into + here
                two(planes, at, offsets, taps, weights, place, step, places, sums, to, span)
                i += 2 * lanes
            else:
                here = max(0, min(i, length - lanes))
                at, to = begin + here, into + here
                one(planes, at, offsets, taps, weights, place, step, places, sums, to, span)
                i += lanes

    return run


def _tile(real: str, lanes: int, maps: int, spans: int) -> Any:
    """Return the function of one tile: ``sums[p, i] = sum over k of weights[p, k] * planes[i + k]``."""
    from numba import types
    from numba.extending import intrinsic

    def body(ir: Any, builder: Any, vectors: Any, arguments: Any) -> None:
        planes, begin, offsets, taps, weights, place, step, places, sums, at, span = arguments
        steps = [builder.mul(step, vectors.whole(p)) for p in range(maps)]

        def turn(tap: Any, totals: list[Any]) -> list[Any]:
            start = builder.add(begin, builder.load(builder.gep(offsets, [tap])))
            pixels = [
                vectors.load(planes, builder.add(start, vectors.whole(n * lanes))) for n in range(spans)
            ]
            weight = builder.gep(weights, [builder.add(place, builder.load(builder.gep(places, [tap])))])
            results = []
            for p in range(maps):
                one = vectors.splat(builder.load(builder.gep(weight, [steps[p]])))
                results += [
                    vectors.fma(one, pixel, total)
                    for pixel, total in zip(pixels, totals[p * spans : (p + 1) * spans], strict=True)
                ]
            return results

        results = vectors.loop(taps, 1, vectors.zeros(maps * spans), turn)
        for p in range(maps):
            row = builder.add(at, builder.mul(span, vectors.whole(p)))
            for n in range(spans):
                vectors.store(results[p * spans + n], sums, builder.add(row, vectors.whole(n * lanes)))

    call = apart(f"tile_{real}_{maps}_{spans}", real, lanes, body)

    @intrinsic
    def tile(context, planes, begin, offsets, taps, weights, place, step, places, sums, at, span):  # type: ignore[no-untyped-def]
        i64 = types.int64
        return types.void(planes, i64, offsets, i64, weights, i64, i64, places, sums, i64, i64), call

    return tile


def dots(real: str, lanes: int, maps: int, taps: int) -> Any:
    """Return the function ``sums[p, t] = sum over i < count of deltas[p, i] * planes[i + offsets[t]]``.

    Of `samples` samples together: to add up the registers takes as long as dozens of pixels.
    """
    from numba import types
    from numba.extending import intrinsic

    def body(ir: Any, builder: Any, vectors: Any, arguments: Any) -> None:
        planes, begin, sample, offsets, tap, deltas, at, apart, delta_sample, samples, count, sums = arguments
        starts = [
            builder.add(begin, builder.load(builder.gep(offsets, [builder.add(tap, vectors.whole(t))])))
            for t in range(taps)
        ]
        rows = [builder.add(at, builder.mul(apart, vectors.whole(p))) for p in range(maps)]

        def one_sample(n: Any, totals: list[Any]) -> list[Any]:
            shift, delta_shift = builder.mul(n, sample), builder.mul(n, delta_sample)
            here = [builder.gep(planes, [builder.add(start, shift)]) for start in starts]
            delta_here = [builder.gep(deltas, [builder.add(row, delta_shift)]) for row in rows]

            def turn(i: Any, totals: list[Any]) -> list[Any]:
                pixels = [vectors.load(start, i) for start in here]
                results = []
                for p in range(maps):
                    delta = vectors.load(delta_here[p], i)
                    results += [
                        vectors.fma(delta, pixel, total)
                        for pixel, total in zip(pixels, totals[p * taps : (p + 1) * taps], strict=True)
                    ]
                return results

            after: list[Any] = vectors.loop(count, lanes, totals, turn)
            return after

        totals = vectors.totals(vectors.loop(samples, 1, vectors.zeros(maps * taps), one_sample))
        for i, total in enumerate(totals):
            vectors.store(total, sums, vectors.whole(i * lanes))

    call = apart(f"dots_{real}_{maps}_{taps}", real, lanes, body)

    @intrinsic
    def tile(  # type: ignore[no-untyped-def]
        context, planes, begin, sample, offsets, tap, deltas, at, apart, delta_sample, samples, count, sums
    ):
        i64 = types.int64
        return types.void(planes, i64, i64, offsets, i64, deltas, i64, i64, i64, i64, i64, sums), call

    return tile
