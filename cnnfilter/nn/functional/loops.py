"""The bare loops of convolution layers.

A convolution reads its input as planes whose rows lie end to end, with zeros between them. There a tap is an
offset from the pixel above which it stands, wherever a row ends; so the sums of equation 35 are a product of
matrices whose right one is never written out. A tile of sums (maps x neighbouring pixels) stays in registers
while the taps go by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


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
    """Return the loop that makes some maps of one sample.

    Some rows at a time and of these a block of maps at a time: `sums` holds them as the planes lie, from
    where the pixels that are no output (between the rows) are left out. What is below `floor` becomes it.
    """
    lanes, most, _ = shape(real)
    full, half, two, single = (_sweep(jit, real, lanes, maps) for maps in (most, most // 2, 2, 1))

    def run(  # type: ignore[no-untyped-def]
        planes, begin, offsets, taps, weights, first, last, step, places, bias, has_bias, floor,
        out, out_map, out_row, out_column, pitch, rows, columns, chunk, sums, span,
    ):  # fmt: skip
        for top in range(0, rows, chunk):
            high = min(chunk, rows - top)
            length = (high - 1) * pitch + columns
            at = begin + top * pitch
            p = first
            while p < last:
                if p + most <= last:
                    count = most
                    full(planes, at, offsets, taps, weights, p * step, step, places, sums, length, span)
                elif p + most // 2 <= last:
                    count = most // 2
                    half(planes, at, offsets, taps, weights, p * step, step, places, sums, length, span)
                elif p + 2 <= last:
                    count = 2
                    two(planes, at, offsets, taps, weights, p * step, step, places, sums, length, span)
                else:
                    count = 1
                    single(planes, at, offsets, taps, weights, p * step, step, places, sums, length, span)
                for k in range(count):
                    shift = bias[p + k] if has_bias else bias[0] * 0
                    for i in range(high):
                        come = k * span + i * pitch
                        go = (p + k) * out_map + (top + i) * out_row
                        if out_column == 1:
                            for j in range(columns):
                                y = sums[come + j] + shift
                                out[go + j] = floor if y < floor else y
                        else:
                            for j in range(columns):
                                y = sums[come + j] + shift
                                out[go + j * out_column] = floor if y < floor else y
                p += count

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
    def sweep(planes, begin, offsets, taps, weights, place, step, places, sums, length, span):
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
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    bits = 32 if real == "f32" else 64
    scalar = ir.FloatType() if bits == 32 else ir.DoubleType()
    vector, word = ir.VectorType(scalar, lanes), ir.IntType(64)
    same = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    nothing, zero = ir.Constant(vector, ir.Undefined), ir.Constant(word, 0)

    def address(builder: Any, pointer: Any, index: Any) -> Any:
        return builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())

    def body(module: Any, kind: Any) -> Any:
        """Return the tile as a function of its own, where all registers are free for it."""
        name = f"tile_{real}_{maps}_{spans}"
        if name in module.globals:
            return module.globals[name]
        function = ir.Function(module, kind, name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        function.attributes.add("optsize")
        builder = ir.IRBuilder(function.append_basic_block())
        planes, begin, offsets, taps, weights, place, step, places, sums, at, span = function.args
        fused = ir.FunctionType(vector, [vector] * 3)
        fma = cgutils.get_or_insert_function(module, fused, f"llvm.fma.v{lanes}f{bits}")
        steps = [builder.mul(step, ir.Constant(word, p)) for p in range(maps)]
        before = builder.block
        loop, after = builder.append_basic_block("taps"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        tap = builder.phi(word)
        tap.add_incoming(zero, before)
        totals = [builder.phi(vector) for _ in range(maps * spans)]
        start = builder.add(begin, builder.load(builder.gep(offsets, [tap])))
        pixels = []
        for n in range(spans):
            value = builder.load(address(builder, planes, builder.add(start, ir.Constant(word, n * lanes))))
            value.align = bits // 8
            pixels.append(value)
        weight = builder.gep(weights, [builder.add(place, builder.load(builder.gep(places, [tap])))])
        results = []
        for p in range(maps):
            one = builder.load(builder.gep(weight, [steps[p]]))
            splat = builder.shuffle_vector(
                builder.insert_element(nothing, one, ir.Constant(ir.IntType(32), 0)), nothing, same
            )
            for n in range(spans):
                results.append(builder.call(fma, [splat, pixels[n], totals[p * spans + n]]))
        following = builder.add(tap, ir.Constant(word, 1))
        tap.add_incoming(following, loop)
        for total, result in zip(totals, results, strict=True):
            total.add_incoming(ir.Constant(vector, [0.0] * lanes), before)
            total.add_incoming(result, loop)
        builder.cbranch(builder.icmp_signed("<", following, taps), loop, after)
        builder.position_at_end(after)
        for p in range(maps):
            row = builder.add(at, builder.mul(span, ir.Constant(word, p)))
            for n in range(spans):
                go = address(builder, sums, builder.add(row, ir.Constant(word, n * lanes)))
                builder.store(results[p * spans + n], go).align = bits // 8
        builder.ret_void()
        return function

    @intrinsic
    def tile(context, planes, begin, offsets, taps, weights, place, step, places, sums, at, span):
        def build(context, builder, signature, arguments):
            kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
            builder.call(body(builder.module, kind), arguments)
            return context.get_dummy_value()

        whole = types.int64
        return types.void(
            planes, whole, offsets, whole, weights, whole, whole, places, sums, whole, whole
        ), build

    return tile


def gather(jit: Callable[..., Any]) -> Callable[..., None]:
    """Return the loop that fills a panel (planes, U, V, rows, columns) with the windows of planes.

    Zeros where a window hangs over. One plane with its taps at a time: what windows share stays in the L1
    cache. A row of a plane holds first all columns 0, S, 2S..., then 1, S+1..., each run `span` long, so that
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
                        for j in range(low if inside else columns):
                            panel[at + j] = 0
                        if inside:
                            for j in range(end, columns):
                                panel[at + j] = 0
                            for j in range(low, end):
                                panel[at + j] = image[start + j]
                        at += columns

    return run
