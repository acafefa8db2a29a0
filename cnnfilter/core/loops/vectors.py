"""Wide vectors inside Numba loops: the few operations of LLVM that the loops are made of.

Numba vectorises simple loops by itself, but it cannot be asked to keep a block of sums in registers while a
loop runs over the taps of a kernel, and that is what makes a filter fast. A `Block` is an LLVM vector wider
than a register; LLVM splits it into as many registers as the processor needs.

Imported only while a loop is compiled: this is the one module of the loops that needs Numba.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from cnnfilter.core.jit.processor import register_bytes

REAL_BITS = {"f32": 32, "f64": 64}
INTEGER_BITS = {"u8": 8, "u16": 16, "i16": 16, "i32": 32}
LIMITS = {"u8": (0, 255), "u16": (0, 65535), "i16": (-32768, 32767)}


class Block(types.Type):
    """Numba's name for an LLVM vector of `count` elements of type `form`."""

    def __init__(self, form: str, count: int) -> None:
        self.form, self.count = form, count
        super().__init__(name=f"Block({form} x {count})")


def _vector(form: str, count: int) -> ir.VectorType:
    floats = {"f32": ir.FloatType(), "f64": ir.DoubleType()}
    return ir.VectorType(floats.get(form) or ir.IntType(INTEGER_BITS[form]), count)


@register_model(Block)
class _BlockModel(models.PrimitiveModel):
    def __init__(self, manager: Any, block: Block) -> None:
        super().__init__(manager, block, _vector(block.form, block.count))


def lanes(real: str) -> int:
    """Return how many sums of type `real` one row of a block holds on this processor.

    Four registers a row and four rows leave half of AVX-512's 32 registers for pixels and weights; with the
    16 shorter registers of AVX2 two registers a row are what fits.
    """
    return (4 if register_bytes() == 64 else 2) * register_lanes(real)


def register_lanes(real: str) -> int:
    """Return how many elements of type `real` one register of this processor holds."""
    return register_bytes() * 8 // (REAL_BITS.get(real) or INTEGER_BITS[real])


def _constant(vector: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


def _call(builder: Any, name: str, vector: ir.VectorType, bits: int, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(vector, [vector] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{vector.count}f{bits}")
    return builder.call(function, arguments)


def arithmetic(form: str, count: int) -> SimpleNamespace:
    """Return `splat`, `add`, `sub`, `mul` and, for floats, `fma`, `larger`, `size` on blocks.

    The blocks hold `count` elements of type `form`.
    """
    block = Block(form, count)
    vector = _vector(form, count)
    real = form in REAL_BITS
    scalar = {"f32": types.float32, "f64": types.float64, "u16": types.uint16, "i32": types.int32}[form]

    @intrinsic
    def splat(context, value):
        def build(context, builder, signature, arguments):
            return _splat(builder, arguments[0], vector)

        return block(scalar), build

    @intrinsic
    def fma(context, a, b, c):
        def build(context, builder, signature, arguments):
            return _call(builder, "fma", vector, REAL_BITS[form], list(arguments))

        return block(block, block, block), build

    def binary(operation: str) -> Any:
        @intrinsic
        def function(context, a, b):
            def build(context, builder, signature, arguments):
                return getattr(builder, f"f{operation}" if real else operation)(*arguments)

            return block(block, block), build

        return function

    @intrinsic
    def larger(context, a, b):
        def build(context, builder, signature, arguments):
            return _call(builder, "maxnum", vector, REAL_BITS[form], list(arguments))

        return block(block, block), build

    @intrinsic
    def size(context, a):
        def build(context, builder, signature, arguments):
            return _call(builder, "fabs", vector, REAL_BITS[form], list(arguments))

        return block(block), build

    return SimpleNamespace(
        splat=splat, fma=fma, larger=larger, size=size,
        add=binary("add"), sub=binary("sub"), mul=binary("mul"),
    )  # fmt: skip


def snapper(real: str, count: int) -> Any:
    """Return `snap(sums, centre, tolerance)`: the centre where a sum differs from it by rounding alone.

    A weighted mean of equal pixels is that pixel, but its rounded sum may be some units in the last place
    away. `tolerance` bounds those units relative to the centre; a sum within them becomes the centre itself.
    Four operations an output, whatever the number of taps, and nothing but the pixels under the kernel
    decides. Differences between numbers near the least are absolute: `_LEAST` bounds theirs.
    """
    block = Block(real, count)
    vector = _vector(real, count)
    scalar = types.float32 if real == "f32" else types.float64

    @intrinsic
    def snap(context, sums, centre, tolerance):
        def build(context, builder, signature, arguments):
            sums, centre, tolerance = arguments
            bits = REAL_BITS[real]
            away = _call(builder, "fabs", vector, bits, [builder.fsub(sums, centre)])
            size = _call(builder, "fabs", vector, bits, [centre])
            allowed = builder.fmul(size, _splat(builder, tolerance, vector))
            allowed = _call(builder, "maxnum", vector, bits, [allowed, _constant(vector, _LEAST[real])])
            near = builder.fcmp_ordered("<=", away, allowed)
            return builder.select(near, centre, sums)

        return block(block, block, scalar), build

    return snap


_LEAST = {"f32": 2.0**-134, "f64": 2.0**-1059}


def ladder(real: str, registers: int, rungs: int, apart: int) -> Any:
    """Return `climb(sums, pointer, index, weights, first)`: `rungs` taps, `apart` registers from each other.

    The taps lie whole registers apart, so the pixels that one of them meets are those that another met
    `apart` registers before: each register of pixels is loaded once and multiplied by all of them. A tap
    alone needs a load, and every other one crosses a cache line, for each multiply-add.
    Measured along rows of 4096 float32 with 33 taps: 9.9 ms a 16 Mpx image, tap by tap 19.
    """
    lanes = register_lanes(real)
    block = Block(real, registers * lanes)
    vector = _vector(real, lanes)

    @intrinsic
    def climb(context, sums, pointer, index, weights, first):
        def build(context, builder, signature, arguments):
            sums, pointer, index, weights, first = arguments
            word = ir.IntType(64)
            parts = _registers(builder, sums, registers, lanes)
            by = []
            for rung in range(rungs):
                at = builder.add(first, ir.Constant(word, rung))
                by.append(_splat(builder, builder.load(builder.gep(weights, [at])), vector))
            for step in range(registers + apart * (rungs - 1)):
                met = [(step - apart * rung, rung) for rung in range(rungs)]
                met = [(part, rung) for part, rung in met if 0 <= part < registers]
                if met:
                    at = builder.add(index, ir.Constant(word, step * lanes))
                    pixels = builder.load(builder.bitcast(builder.gep(pointer, [at]), vector.as_pointer()))
                    pixels.align = 1
                for part, rung in met:
                    parts[part] = _call(
                        builder, "fma", vector, REAL_BITS[real], [by[rung], pixels, parts[part]]
                    )
            return _joined(builder, parts, lanes)

        return block(block, pointer, types.int64, weights, types.int64), build

    return climb


def stair(real: str, rows: int, registers: int, rungs: int) -> Any:
    """Return `climb(sums, pointer, x, places, at, weights, first)`: `rungs` taps down a column for some rows.

    Row `r` of the sums meets tap `t` in line `r + t`, which begins at `places[at + r + t]`: the registers of
    a line are loaded once and serve every row, and so do the weights. `sums` are `rows` times `registers`
    registers, row by row.
    """
    lanes = register_lanes(real)
    block = Block(real, rows * registers * lanes)
    vector = _vector(real, lanes)

    @intrinsic
    def climb(context, sums, pointer, x, places, at, weights, first):
        def build(context, builder, signature, arguments):
            sums, pointer, x, places, at, weights, first = arguments
            parts = _registers(builder, sums, rows * registers, lanes)
            by = [_splat(builder, builder.load(_element_at(builder, weights, first, i)), vector)
                  for i in range(rungs)]  # fmt: skip
            for line in range(rows + rungs - 1):
                start = builder.add(x, builder.load(_element_at(builder, places, at, line)))
                met = [(line - rung, rung) for rung in range(rungs) if 0 <= line - rung < rows]
                for register in range(registers):
                    place = _element_at(builder, pointer, start, register * lanes)
                    pixels = builder.load(builder.bitcast(place, vector.as_pointer()))
                    pixels.align = 1
                    for row, rung in met:
                        part = row * registers + register
                        parts[part] = _call(
                            builder, "fma", vector, REAL_BITS[real], [by[rung], pixels, parts[part]]
                        )
            return _joined(builder, parts, lanes)

        return block(block, pointer, types.int64, places, types.int64, weights, types.int64), build

    return climb


def row_of(real: str, rows: int, registers: int, row: int) -> Any:
    """Return `take(sums)`: one row of what `stair` sums up, as a block of `registers` registers."""
    count = registers * register_lanes(real)
    block, one = Block(real, rows * count), Block(real, count)

    @intrinsic
    def take(context, sums):
        def build(context, builder, signature, arguments):
            places = ir.VectorType(ir.IntType(32), count)
            lanes = ir.Constant(places, [row * count + lane for lane in range(count)])
            nothing = ir.Constant(_vector(real, rows * count), ir.Undefined)
            return builder.shuffle_vector(arguments[0], nothing, lanes)

        return one(block), build

    return take


def _element_at(builder: Any, pointer: Any, index: Any, further: int) -> Any:
    return builder.gep(pointer, [builder.add(index, ir.Constant(ir.IntType(64), further))])


def _registers(builder: Any, value: Any, registers: int, lanes: int) -> list[Any]:
    """Take a block apart into its registers."""
    nothing = ir.Constant(value.type, ir.Undefined)
    places = ir.VectorType(ir.IntType(32), lanes)
    return [
        builder.shuffle_vector(value, nothing, ir.Constant(places, [first + lane for lane in range(lanes)]))
        for first in range(0, registers * lanes, lanes)
    ]


def _joined(builder: Any, parts: list[Any], lanes: int) -> Any:
    """Put registers together again, two and two."""
    while len(parts) > 1:
        places = ir.VectorType(ir.IntType(32), 2 * lanes)
        order = ir.Constant(places, list(range(2 * lanes)))
        parts = [builder.shuffle_vector(a, b, order) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        lanes *= 2
    return parts[0]


def _splat(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    nothing = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, nothing, mask)


def prefetcher() -> Any:
    """Return `prefetch(pointer, index)`: ask for the cache line of an element that will be read soon."""

    @intrinsic
    def prefetch(context, pointer, index):
        def build(context, builder, signature, arguments):
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            address = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), byte)
            read, keep_near, data = (ir.Constant(word, value) for value in (0, 3, 1))
            builder.call(function, [address, read, keep_near, data])
            return context.get_dummy_value()

        return types.void(pointer, types.int64), build

    return prefetch


def quotient_storer(count: int) -> Any:
    """Return `store(sums, bias, magic, shift, pointer, index)` for sums of 8-bit pixels in 16 bits.

    Writes `(sums + bias) * magic >> 16 >> shift` as 8-bit pixels: the division by a constant as a product,
    exact where `running.reciprocal` says so. LLVM turns it into the processor's multiply-high.
    """
    block = Block("u16", count)
    sixteen, wide, stored = (ir.VectorType(ir.IntType(bits), count) for bits in (16, 32, 8))

    @intrinsic
    def store(context, sums, bias, magic, shift, pointer, index):
        def build(context, builder, signature, arguments):
            total, bias, magic, shift, pointer, index = arguments
            total = builder.add(total, _splat(builder, bias, sixteen))
            product = builder.mul(
                builder.zext(total, wide), builder.zext(_splat(builder, magic, sixteen), wide)
            )
            high = builder.trunc(builder.lshr(product, _constant(wide, 16)), sixteen)
            result = builder.trunc(builder.lshr(high, _splat(builder, shift, sixteen)), stored)
            address = builder.bitcast(builder.gep(pointer, [index]), stored.as_pointer())
            builder.store(result, address).align = 1
            return context.get_dummy_value()

        u16 = types.uint16
        return types.void(block, u16, u16, u16, pointer, types.int64), build

    return store


def loader(form: str, real: str, count: int) -> Any:
    """Return `load(pointer, index)`: `count` neighbouring pixels of type `form` as a block of `real`."""
    block = Block(real, count)
    vector, stored = _vector(real, count), _vector(form, count)

    @intrinsic
    def load(context, pointer, index):
        def build(context, builder, signature, arguments):
            address = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), stored.as_pointer())
            value = builder.load(address)
            value.align = 1
            return _to_real(builder, value, form, real, vector)

        return block(pointer, types.int64), build

    return load


def _to_real(builder: Any, value: Any, form: str, real: str, vector: ir.VectorType) -> Any:
    if form == real:
        return value
    if real not in REAL_BITS:
        return (builder.zext if form.startswith("u") else builder.sext)(value, vector)
    if form in REAL_BITS:
        return (builder.fpext if real == "f64" else builder.fptrunc)(value, vector)
    if INTEGER_BITS[form] < 32:
        wide = ir.VectorType(ir.IntType(32), vector.count)
        value = (builder.zext if form.startswith("u") else builder.sext)(value, wide)
    return builder.sitofp(value, vector)


def storer(form: str, real: str, count: int) -> Any:
    """Return `store(block, pointer, index)`: write as `form`, integers rounded half to even and saturated.

    NaN becomes 0 in an integer form. Stores past the caches were tried: of several rows at a time they took
    three times as long where rows lie a power of two apart.
    """
    block = Block(real, count)
    vector, stored = _vector(real, count), _vector(form, count)

    @intrinsic
    def store(context, value, pointer, index):
        def build(context, builder, signature, arguments):
            result = _from_real(builder, arguments[0], form, real, vector, stored)
            address = builder.bitcast(builder.gep(arguments[1], [arguments[2]]), stored.as_pointer())
            builder.store(result, address).align = 1
            return context.get_dummy_value()

        return types.void(block, pointer, types.int64), build

    return store


def _from_real(
    builder: Any, value: Any, form: str, real: str, vector: ir.VectorType, stored: ir.VectorType
) -> Any:
    if form == real:
        return value
    if form in REAL_BITS:
        return (builder.fpext if form == "f64" else builder.fptrunc)(value, stored)
    bits = REAL_BITS[real]
    low, high = LIMITS[form]
    if low < 0:  # else the lowest value, which takes the place of NaN, is 0 itself
        value = builder.select(builder.fcmp_unordered("ord", value, value), value, _constant(vector, 0.0))
    value = _call(builder, "maxnum", vector, bits, [value, _constant(vector, low)])
    value = _call(builder, "minnum", vector, bits, [value, _constant(vector, high)])
    # Added to 1.5 * 2**(digits), a number has no room for its fraction: the sum is rounded half to even, and
    # its last bits are the integer. One addition instead of a rounding and a conversion.
    value = builder.fadd(value, _constant(vector, 1.5 * 2.0 ** (23 if bits == 32 else 52)))
    whole = builder.bitcast(value, ir.VectorType(ir.IntType(bits), vector.count))
    return builder.trunc(whole, stored)
