"""Loops through Numba: to object code that needs neither Numba nor Python, or simply to a function.

The one module of the core that imports Numba; it is imported only when a loop has to be compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types

from cnnfilter.core.jit.machinecode import ENTRY, is_native

FASTMATH = {"contract", "reassoc", "nsz"}
"""Freedoms that keep NaN and infinity what they are."""

_NUMBERS = {
    "u8": types.uint8,
    "u16": types.uint16,
    "i16": types.int16,
    "i32": types.int32,
    "i64": types.int64,
    "f32": types.float32,
    "f64": types.float64,
}
_OPTIONS = {"nopython": True, "fastmath": FASTMATH, "error_model": "numpy", "boundscheck": False}

Factory = Callable[..., Callable[..., None]]


def object_code(factory: Factory, constants: tuple[Any, ...], arguments: list[str]) -> bytes:
    """Compile the loop that the factory makes; its function in the object is `ENTRY`.

    This uses inner parts of Numba: `numba.cfunc` would wrap the loop in calls of Python that report an
    exception, and a loop raises none.
    """
    from numba.core.compiler_lock import global_compiler_lock

    with global_compiler_lock:
        library = _library(factory, constants, arguments)
        module = llvm.parse_assembly(library.get_llvm_str())
        _, name, features = library.codegen.magic_tuple()
        machine = llvm.Target.from_triple(module.triple).create_target_machine(
            cpu=name, features=features, opt=3, **_layout(module.triple)
        )
        return bytes(machine.emit_object(module))


def _layout(triple: str) -> dict[str, Any]:
    """Return what the loader of the object needs: ours one that works at any place, LLVM's one of its JIT."""
    if is_native():
        return {"reloc": "pic", "codemodel": "small"}
    return {"jit": True, "codemodel": "jitdefault", "reloc": "static" if triple[:3] == "x86" else "default"}


def _library(factory: Factory, constants: tuple[Any, ...], arguments: list[str]) -> Any:
    """Return Numba's library with the loop and `ENTRY`, optimised."""
    from numba.core import compiler
    from numba.core.registry import CPUDispatcher, cpu_target

    options = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    inside = {**options, "forceinline": True}
    loop = factory(lambda inner: CPUDispatcher(inner, targetoptions=inside), *constants)
    context = cpu_target.target_context
    flags = compiler.Flags()
    cpu_target.options.parse_as_flags(flags, options)
    flags.enable_pyobject = False
    flags.no_compile = True
    types_of_arguments = tuple(map(_type, arguments))
    result = compiler.compile_extra(
        cpu_target.typing_context, context, loop, types_of_arguments, types.void, flags, {}
    )
    result.library.add_ir_module(_entry(context, result.fndesc))
    # Called from nowhere else, so that it is optimised and kept once.
    result.library.get_function(result.fndesc.llvm_func_name).linkage = "internal"
    result.library.finalize()
    return result.library


def function(factory: Factory, constants: tuple[Any, ...], arguments: list[str]) -> Any:
    """Compile the loop with nothing but Numba's public functions; the result has an `address`."""
    jit = numba.njit(fastmath=FASTMATH, error_model="numpy", forceinline=True)
    compiled = numba.cfunc(types.void(*map(_type, arguments)), fastmath=FASTMATH, error_model="numpy")
    return compiled(factory(jit, *constants))


def _type(name: str) -> types.Type:
    return types.CPointer(_NUMBERS[name[:-1]]) if name.endswith("*") else _NUMBERS[name]


def _entry(context: Any, description: Any) -> ir.Module:
    """Return a module with the function `ENTRY`, which calls the loop with arguments out of a record.

    Each argument fills eight bytes of the record. To hand over one pointer takes a tenth of the time that
    ctypes needs for three dozen arguments, and of a filter of 64 x 64 pixels that was half.
    """
    module = context.create_module("entry")
    convention = context.call_conv
    kind = convention.get_function_type(description.restype, description.argtypes)
    loop = ir.Function(module, kind, description.llvm_func_name)
    record = ir.IntType(8).as_pointer()
    entry = ir.Function(module, ir.FunctionType(ir.VoidType(), [record]), ENTRY)
    builder = ir.IRBuilder(entry.append_basic_block())
    arguments = []
    for number, argument in enumerate(description.argtypes):
        place = builder.gep(entry.args[0], [ir.Constant(ir.IntType(64), 8 * number)])
        value = builder.load(builder.bitcast(place, context.get_value_type(argument).as_pointer()))
        value.align = 1
        arguments.append(value)
    convention.call_function(builder, loop, description.restype, description.argtypes, arguments)
    builder.ret_void()
    return module
