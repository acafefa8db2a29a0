"""The loops, compiled once for this machine, and called through ctypes, which releases the GIL.

A loop is looked for in this process, then among the objects on disk, and only then compiled. A process that
finds its loops on disk never imports Numba, which takes longer than most filters. Where Numba's inner parts
or the memory of this system do not allow that, Numba's public functions compile the loop for this process
alone, with the same results; ``CNNFILTER_JIT=plain`` asks for it.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import struct
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from cnnfilter._version import __version__
from cnnfilter.core.jit import machinecode, notice, objectcache, processor
from cnnfilter.errors import ParameterError

VARIABLE = "CNNFILTER_JIT"

_CTYPES = MappingProxyType(
    {
        "u8": ctypes.c_uint8,
        "u16": ctypes.c_uint16,
        "i16": ctypes.c_int16,
        "i32": ctypes.c_int32,
        "i64": ctypes.c_int64,
        "f32": ctypes.c_float,
        "f64": ctypes.c_double,
    }
)
_RECORD = MappingProxyType(
    {"u8": "B7x", "u16": "H6x", "i16": "h6x", "i32": "i4x", "i64": "q", "f32": "f4x", "f64": "d"}
)
_HERE = os.path.dirname(__file__)
_LOOPS = os.path.join(os.path.dirname(_HERE), "loops")
_COMPILER = [os.path.join(_HERE, name) for name in ("compiling.py", "machinecode.py", "processor.py")]


class Loop(NamedTuple):
    """One loop: the factory that makes it, and what it is made with.

    Attributes
    ----------
    module : str
        Name of a module in `cnnfilter.core.loops`, or a dotted path.
    factory : str
        Name of the function in it that takes a `jit` decorator and the constants, and returns the loop.
    constants : tuple
        What the loop is specialised for: strings and numbers.
    signature : str
        ``"void(u8*, i64, f32*)"``: u8, u16, i16, i32, i64, f32, f64 and pointers to them.
    """

    module: str
    factory: str
    constants: tuple[Any, ...]
    signature: str

    @property
    def name(self) -> str:
        """All of it in words. Equal loops may have different ones: a constant 1 is not True."""
        return f"{self.module}.{self.factory}{self.constants!r} {self.signature}"

    @property
    def path(self) -> str:
        """The whole name of the module."""
        return self.module if "." in self.module else f"cnnfilter.core.loops.{self.module}"

    @property
    def arguments(self) -> list[str]:
        """The types of the arguments."""
        return [part.strip() for part in self.signature[len("void(") : -1].split(",")]


_functions: dict[str, Callable[..., None]] = {}
_lock = threading.Lock()
_reason: str | None = None
_refused = False


def function(loop: Loop) -> Callable[..., None]:
    """Return the compiled loop; pointers are given as addresses."""
    name = loop.name
    found = _functions.get(name)
    if found is None:
        with _lock:
            found = _functions.get(name)
            if found is None:
                found = _functions[name] = _callable(loop, _program(loop))
    return found


def note() -> str | None:
    """Return why a loop was compiled for this process alone or not kept on disk, or None."""
    return _reason or objectcache.note()


def _program(loop: Loop) -> Any:
    global _reason, _refused
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", "plain"):
        raise ParameterError(f"{VARIABLE}={wanted!r} is unknown; use 'plain', or leave it unset")
    if wanted == "plain":
        _reason = f"{VARIABLE}=plain"
        return _plain(loop)
    if not _refused:
        try:
            return _kept(loop)
        except Exception as error:  # whatever Numba's inner parts do, its public ones decide
            _reason = f"{type(error).__name__}: {error}"
            _refused = True  # what failed once would fail for every loop, each then compiled twice
    return _plain(loop)


def _kept(loop: Loop) -> machinecode.Program:
    key = objectcache.digest("\0".join([loop.name, _sources(loop.path), *_circumstances()]).encode())
    code = objectcache.load(key)
    if code is None:
        with notice.around():
            from cnnfilter.core.jit import compiling

            code = compiling.object_code(_factory(loop), loop.constants, loop.arguments)
        objectcache.store(key, code)
    return machinecode.load(code)


def _plain(loop: Loop) -> Any:
    with notice.around():
        from cnnfilter.core.jit import compiling

        return compiling.function(_factory(loop), loop.constants, loop.arguments)


def _factory(loop: Loop) -> Callable[..., Any]:
    factory: Callable[..., Any] = getattr(importlib.import_module(loop.path), loop.factory)
    return factory


def _callable(loop: Loop, program: Any) -> Callable[..., None]:
    if isinstance(program, machinecode.Program):
        return _recorded(loop, program)
    forms: list[Any] = [ctypes.c_void_p if form.endswith("*") else _CTYPES[form] for form in loop.arguments]
    result = ctypes.CFUNCTYPE(None, *forms)(program.address)
    result.program = program  # type: ignore[attr-defined]  # keeps the machine code in memory
    return result


def _recorded(loop: Loop, program: machinecode.Program) -> Callable[..., None]:
    """Call machine code whose arguments lie in a record, eight bytes each."""
    record = struct.Struct(
        "=" + "".join(_RECORD["i64" if form.endswith("*") else form] for form in loop.arguments)
    )
    pack, entry = record.pack, ctypes.CFUNCTYPE(None, ctypes.c_char_p)(program.address)

    def call(*arguments: Any) -> None:
        entry(pack(*arguments))

    call.entry = entry  # type: ignore[attr-defined]
    call.program = program  # type: ignore[attr-defined]  # keeps the machine code in memory
    return call


@lru_cache
def _sources(path: str) -> str:
    """Return the hash of all source files that decide what the loops of a module become.

    Those of all modules beside it: loops import each other.
    """
    files = [*_modules(_LOOPS), *_COMPILER]
    if not path.startswith("cnnfilter.core.loops."):
        specification = importlib.util.find_spec(path)
        if specification is None or specification.origin is None:
            raise ModuleNotFoundError(f"no source of {path}")
        files += _modules(os.path.dirname(specification.origin))
    return objectcache.digest(b"\0".join(map(_content, files))).hex()


def _modules(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".py")]


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@lru_cache
def _circumstances() -> tuple[str, ...]:
    """Return versions, system and processor: whatever else decides the machine code."""
    return (
        __version__,
        sys.version,
        sys.platform,
        _version("numba"),
        _version("llvmlite"),
        processor.description(),
        *(f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")),
    )


def _version(package: str) -> str:
    """Return the text that holds a package's version; to import it would take longer than to filter."""
    specification = importlib.util.find_spec(package)
    for folder in (specification and specification.submodule_search_locations) or ():
        file = os.path.join(folder, "_version.py")
        if os.path.exists(file):
            return _content(file).decode()
    from importlib.metadata import version

    return version(package)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # Another thread may have held the lock when this process was copied.
    os.register_at_fork(after_in_child=_after_fork)
