"""The loops, compiled: each once by Numba, then called through ctypes, which releases the GIL."""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FASTMATH = {"contract", "reassoc", "nsz"}
"""Freedoms that keep NaN and infinity what they are."""

_CTYPES = {
    "u16": ctypes.c_uint16,
    "i64": ctypes.c_int64,
    "f32": ctypes.c_float,
    "f64": ctypes.c_double,
}


@dataclass(frozen=True)
class Loop:
    """One loop: the factory that makes it, and what it is made with.

    Attributes
    ----------
    module : str
        Name of a module in `cnnfilter.core.loops`, or a dotted path.
    factory : str
        Name of the function in it that is called with a `jit` decorator and the constants, and returns the loop.
    constants : tuple
        What the loop is specialised for.
    signature : str
        ``"void(u8*, i64, f32*)"``: u8, u16, i16, i64, f32, f64 and pointers to them.
    """

    module: str
    factory: str
    constants: tuple[Any, ...]
    signature: str

    @property
    def arguments(self) -> list[str]:
        """The types of the arguments."""
        return [part.strip() for part in self.signature[len("void(") : -1].split(",")]


_functions: dict[Loop, Callable[..., None]] = {}
_lock = threading.Lock()


def function(loop: Loop) -> Callable[..., None]:
    """Return the compiled loop; pointers are given as addresses."""
    found = _functions.get(loop)
    if found is None:
        with _lock:
            found = _functions.get(loop)
            if found is None:
                found = _functions[loop] = _compiled(loop)
    return found


def _compiled(loop: Loop) -> Callable[..., None]:
    import numba
    from numba import types

    numbers = {"u8": types.uint8, "u16": types.uint16, "i16": types.int16, "i64": types.int64,
               "f32": types.float32, "f64": types.float64}  # fmt: skip
    path = loop.module if "." in loop.module else f"cnnfilter.core.loops.{loop.module}"
    factory = getattr(importlib.import_module(path), loop.factory)
    jit = numba.njit(fastmath=FASTMATH, error_model="numpy")
    arguments = [
        types.CPointer(numbers[form[:-1]]) if form.endswith("*") else numbers[form] for form in loop.arguments
    ]
    signature = types.void(*arguments)
    callback = numba.cfunc(signature, fastmath=FASTMATH, error_model="numpy")(factory(jit, *loop.constants))
    prototype = ctypes.CFUNCTYPE(
        None, *(ctypes.c_void_p if form.endswith("*") else _CTYPES[form] for form in loop.arguments)
    )
    result = prototype(callback.address)
    result.compiled = callback  # type: ignore[attr-defined]  # keeps the machine code alive
    return result
