"""The bare loops of convolution layers.

A convolution reads its input as planes whose rows lie end to end, with zeros between them. There a tap is an
offset from the pixel above which it stands, wherever a row ends; so the sums of equation 35 are a product of
matrices whose right one is never written out. A tile of sums (maps x neighbouring pixels) stays in registers
while the taps go by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    lanes, most, _ = shape(real)
    sizes = most, most * 3 // 4, most // 2, 2, 1
    full, most_of_it, half, two, single = (_sweep(jit, real, lanes, maps) for maps in sizes)

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
                    w = p * step
                    if p + most <= last:
                        count = most
                        full(planes, at, offsets, taps, weights, w, step, places, sums, length, span)
                    elif p + most * 3 // 4 <= last:
                        count = most * 3 // 4
                        most_of_it(planes, at, offsets, taps, weights, w, step, places, sums, length, span)
                    elif p + most // 2 <= last:
                        count = most // 2
                        half(planes, at, offsets, taps, weights, w, step, places, sums, length, span)
                    elif p + 2 <= last:
                        count = 2
                        two(planes, at, offsets, taps, weights, w, step, places, sums, length, span)
                    else:
                        count = 1
                        single(planes, at, offsets, taps, weights, w, step, places, sums, length, span)
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
    tile = _dots(real, lanes, maps, taps)

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


def shape(real: str) -> tuple[int, int, int]:
    """Return lanes of a register, maps and registers of pixels of a tile on this processor.

    With 32 registers 8 x 3 sums leave room for three registers of pixels and a weight; with 16, 4 x 3.
    """
    import llvmlite.binding as llvm

    wide = llvm.get_host_cpu_features().get("avx512f")
    bits = 512 if wide else 256
    return bits // (32 if real == "f32" else 64), 8 if wide else 4, 3


def _sweep(jit: Callable[..., Any], real: str, lanes: int, maps: int) -> Any:
    """Return the function that makes the sums of `maps` maps along `length` pixels.

    The last tile lies over the one before, so that nothing beyond is read, if there is a register of pixels.
    """
    three, two, one = (_tile(real, lanes, maps, n) for n in (3, 2, 1))

    @jit
    def sweep(planes, begin, offsets, taps, weights, place, step, places, sums, length, span):  # type: ignore[no-untyped-def]
        at = 0
        while at < length:
            if length - at > 2 * lanes:
                here = max(0, min(at, length - 3 * lanes))
                three(planes, begin + here, offsets, taps, weights, place, step, places, sums, here, span)
                at += 3 * lanes
            elif length - at > lanes:
                here = max(0, min(at, length - 2 * lanes))
                two(planes, begin + here, offsets, taps, weights, place, step, places, sums, here, span)
                at += 2 * lanes
            else:
                here = max(0, min(at, length - lanes))
                one(planes, begin + here, offsets, taps, weights, place, step, places, sums, here, span)
                at += lanes

    return sweep


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

    call = _apart(f"tile_{real}_{maps}_{spans}", real, lanes, body)

    @intrinsic
    def tile(context, planes, begin, offsets, taps, weights, place, step, places, sums, at, span):  # type: ignore[no-untyped-def]
        i64 = types.int64
        return types.void(planes, i64, offsets, i64, weights, i64, i64, places, sums, i64, i64), call

    return tile


def _dots(real: str, lanes: int, maps: int, taps: int) -> Any:
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

    call = _apart(f"dots_{real}_{maps}_{taps}", real, lanes, body)

    @intrinsic
    def dots(  # type: ignore[no-untyped-def]
        context, planes, begin, sample, offsets, tap, deltas, at, apart, delta_sample, samples, count, sums
    ):
        i64 = types.int64
        return types.void(planes, i64, i64, offsets, i64, deltas, i64, i64, i64, i64, i64, sums), call

    return dots


def _apart(name: str, real: str, lanes: int, body: Callable[..., None]) -> Any:
    """Return the code of a call of `body` as a function of its own.

    There all registers are free for its sums. It is marked as small, or LLVM would unroll its loop and find
    no registers any more: that made it three times slower.
    """
    from llvmlite import ir

    def call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        module = builder.module
        if name not in module.globals:
            kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
            function = ir.Function(module, kind, name)
            function.linkage = "internal"
            for attribute in ("noinline", "nounwind", "optsize"):
                function.attributes.add(attribute)
            inner = ir.IRBuilder(function.append_basic_block())
            body(ir, inner, _Vectors(inner, real, lanes), function.args)
            inner.ret_void()
        builder.call(module.globals[name], arguments)
        return context.get_dummy_value()

    return call


class _Vectors:
    """The operations of LLVM on registers that tiles are made of."""

    def __init__(self, builder: Any, real: str, lanes: int) -> None:
        from llvmlite import ir

        self._ir, self._builder, self._bytes = ir, builder, 4 if real == "f32" else 8
        self._scalar = ir.FloatType() if real == "f32" else ir.DoubleType()
        self._vector = ir.VectorType(self._scalar, lanes)
        self._lanes, self._suffix = lanes, f"v{lanes}{real}"

    def whole(self, value: int) -> Any:
        """Return a constant index."""
        return self._ir.Constant(self._ir.IntType(64), value)

    def load(self, pointer: Any, index: Any) -> Any:
        """Read neighbouring elements, from any address."""
        builder = self._builder
        value = builder.load(builder.bitcast(builder.gep(pointer, [index]), self._vector.as_pointer()))
        value.align = self._bytes
        return value

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        """Write neighbouring elements, to any address."""
        builder = self._builder
        address = builder.bitcast(builder.gep(pointer, [index]), self._vector.as_pointer())
        builder.store(value, address).align = self._bytes

    def splat(self, one: Any) -> Any:
        """Return a register full of one number."""
        ir, word = self._ir, self._ir.IntType(32)
        nothing = ir.Constant(self._vector, ir.Undefined)
        first = self._builder.insert_element(nothing, one, ir.Constant(word, 0))
        same = ir.Constant(ir.VectorType(word, self._lanes), [0] * self._lanes)
        return self._builder.shuffle_vector(first, nothing, same)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return ``a * b + c``, rounded once."""
        return self._call(f"llvm.fma.{self._suffix}", self._vector, [a, b, c])

    def totals(self, values: list[Any]) -> list[Any]:
        """Return registers with the sums of all elements of each value, one after the other."""
        ir, builder, lanes = self._ir, self._builder, self._lanes
        even, odd = (
            ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(first, 2 * lanes, 2)))
            for first in (0, 1)
        )
        nothing = ir.Constant(self._vector, [0.0] * lanes)
        for _ in range(lanes.bit_length() - 1):  # neighbours are added, in two values at a time
            pairs = zip(values[::2], [*values[1::2], *[nothing] * (len(values) % 2)], strict=True)
            values = [
                builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
                for a, b in pairs
            ]
        return values

    def zeros(self, count: int) -> list[Any]:
        """Return registers of zeros."""
        return [self._ir.Constant(self._vector, [0.0] * self._lanes)] * count

    def loop(
        self, end: Any, step: int, start: list[Any], turn: Callable[[Any, list[Any]], list[Any]]
    ) -> list[Any]:
        """Run `turn(i, totals)` for i = 0, step... below `end`, once at least; return the last totals."""
        ir, builder = self._ir, self._builder
        before = builder.block
        inside, after = builder.append_basic_block(), builder.append_basic_block()
        builder.branch(inside)
        builder.position_at_end(inside)
        i = builder.phi(ir.IntType(64))
        totals = [builder.phi(self._vector) for _ in start]
        results = turn(i, totals)
        following = builder.add(i, self.whole(step))
        i.add_incoming(self.whole(0), before)
        i.add_incoming(following, builder.block)
        for total, first, result in zip(totals, start, results, strict=True):
            total.add_incoming(first, before)
            total.add_incoming(result, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, end), inside, after)
        builder.position_at_end(after)
        return results

    def _call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        module = self._builder.module
        if name not in module.globals:
            kind = self._ir.FunctionType(result, [argument.type for argument in arguments])
            self._ir.Function(module, kind, name)
        return self._builder.call(module.globals[name], arguments)
