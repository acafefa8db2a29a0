"""Code of LLVM for whole registers, as functions that loops call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def moved() -> Any:
    """Return the function that goes some elements on from a pointer."""
    from numba import types
    from numba.extending import intrinsic

    def call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, elements = arguments
        return builder.gep(pointer, [elements])

    @intrinsic
    def further(context, pointer, elements):  # type: ignore[no-untyped-def]
        return pointer(pointer, types.int64), call

    return further


def apart(name: str, real: str, lanes: int, body: Callable[..., None]) -> Any:
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
            body(ir, inner, Vectors(inner, real, lanes), function.args)
            inner.ret_void()
        builder.call(module.globals[name], arguments)
        return context.get_dummy_value()

    return call


class Vectors:
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

    def parted(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Return every other element of two registers on end: from the first, and from the second on."""
        first, second = (range(start, 2 * self._lanes, 2) for start in (0, 1))
        return self._chosen(low, high, first), self._chosen(low, high, second)

    def alternating(self, even: Any, odd: Any) -> tuple[Any, Any]:
        """Return the two registers of which `parted` makes these."""
        order = [n + k for n in range(self._lanes) for k in (0, self._lanes)]
        return self._chosen(even, odd, order[: self._lanes]), self._chosen(even, odd, order[self._lanes :])

    def totals(self, values: list[Any]) -> list[Any]:
        """Return registers with the sums of all elements of each value, one after the other."""
        nothing = self._ir.Constant(self._vector, [0.0] * self._lanes)
        for _ in range(self._lanes.bit_length() - 1):  # neighbours are added, in two values at a time
            pairs = zip(values[::2], [*values[1::2], *[nothing] * (len(values) % 2)], strict=True)
            values = [self._builder.fadd(*self.parted(a, b)) for a, b in pairs]
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

    def _chosen(self, a: Any, b: Any, order: Iterable[int]) -> Any:
        """Return the elements of two registers, counted through, in this order."""
        ir = self._ir
        places = ir.Constant(ir.VectorType(ir.IntType(32), self._lanes), list(order))
        return self._builder.shuffle_vector(a, b, places)

    def _call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        module = self._builder.module
        if name not in module.globals:
            kind = self._ir.FunctionType(result, [argument.type for argument in arguments])
            self._ir.Function(module, kind, name)
        return self._builder.call(module.globals[name], arguments)
