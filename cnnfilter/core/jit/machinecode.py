"""From object code to something that can be called: laid out in memory here, or by LLVM's own loader.

Importing llvmlite takes 40 ms, half of what a small command may take in all. A loop is one section of code,
a few constants, and at most a call of `memset` or `fmaf`; to lay that out takes less than a millisecond.
Where the object is of another kind (another system, another processor, a relocation that is not known here)
llvmlite does it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from typing import Any

ENTRY = "loop"
"""The name of the function that is called."""

_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01\x01"
_RELOCATABLE, _X86_64 = 1, 62
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_PROGRAM_BITS, _SYMBOLS, _RELOCATIONS = 1, 2, 4
_WRITE, _ALLOCATED, _THREAD_LOCAL = 1, 2, 0x400
_PC32, _PLT32 = 2, 4
_UNDEFINED = 0

_JUMP = b"\xff\x25\x00\x00\x00\x00"
"""`jmp *(%rip)`: jump to the address in the eight bytes that follow."""


class Unlinkable(Exception):
    """Object code that is not of the simple kind which is laid out here."""


class Program:
    """Machine code in memory; it stays there as long as this object lives.

    Attributes
    ----------
    address : int
        Where `ENTRY` begins.
    """

    def __init__(self, address: int, memory: Any) -> None:
        self.address = address
        self._memory = memory


def is_native() -> bool:
    """Tell whether the object code of this machine can be laid out here."""
    return sys.platform == "linux" and os.uname().machine == "x86_64" and sys.maxsize > 1 << 32


def load(code: bytes) -> Program:
    """Make object code ready to be called."""
    if is_native():
        try:
            return _mapped(*link(code))
        except Unlinkable:
            pass
    return _loaded_by_llvm(code)


def link(code: bytes) -> tuple[bytearray, int, dict[int, str]]:
    """Lay out the sections of an ELF object for x86-64 one after the other and fill in the distances.

    Parameters
    ----------
    code : bytes
        A relocatable object, compiled independent of its position.

    Returns
    -------
    image : bytearray
        The sections; wherever on a page boundary they are put, they work there.
    entry : int
        Offset of the function `ENTRY`.
    imports : dict of int to str
        Offset at which the address of a function of the C library is missing, and the name of it.
    """
    try:
        return _link(code)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise Unlinkable(f"the object code does not hold together: {error}") from error


def _link(code: bytes) -> tuple[bytearray, int, dict[int, str]]:
    sections = _sections(code)
    image = bytearray()
    starts: dict[int, int] = {}
    for index, (_, kind, flags, _, offset, size, _, _, alignment, _) in enumerate(sections):
        if kind != _PROGRAM_BITS or flags & (_ALLOCATED | _WRITE | _THREAD_LOCAL) != _ALLOCATED:
            continue
        if alignment > mmap.PAGESIZE:
            raise Unlinkable(f"a section is to begin at a multiple of {alignment}")
        image += bytes(-len(image) % max(alignment, 1))
        starts[index] = len(image)
        image += code[offset : offset + size]
    symbols, names = _symbols(code, sections)
    stubs: dict[str, int] = {}
    for _, kind, _, _, offset, size, _, target, _, _ in sections:
        if kind != _RELOCATIONS or target not in starts:
            continue
        for place, information, addend in _RELOCATION.iter_unpack(code[offset : offset + size]):
            number, form = information >> 32, information & 0xFFFFFFFF
            _, _, _, home, value, _ = symbols[number]
            if form not in (_PC32, _PLT32):
                raise Unlinkable(f"relocation {form} of {names[number]!r}")
            if home == _UNDEFINED and form == _PLT32:
                to = stubs.setdefault(names[number], len(image))
                if to == len(image):
                    image += _JUMP + bytes(10)
            elif home in starts:
                to = starts[home] + value
            else:
                raise Unlinkable(f"symbol {names[number]!r} is in no section that is kept")
            at = starts[target] + place
            struct.pack_into("<i", image, at, to + addend - at)
    entry = names.index(ENTRY)
    home, value = symbols[entry][3:5]
    if home not in starts:
        raise Unlinkable(f"{ENTRY!r} is not defined")
    return image, starts[home] + value, {stub + len(_JUMP): name for name, stub in stubs.items()}


def _sections(code: bytes) -> list[tuple[int, ...]]:
    identity, form, machine, _, _, _, offset, _, _, _, _, size, count, _ = _HEADER.unpack_from(code)
    if not identity.startswith(_ELF64_LITTLE_ENDIAN) or (form, machine) != (_RELOCATABLE, _X86_64):
        raise Unlinkable("not an ELF object for x86-64")
    return [_SECTION.unpack_from(code, offset + size * index) for index in range(count)]


def _symbols(code: bytes, sections: list[tuple[int, ...]]) -> tuple[list[tuple[int, ...]], list[str]]:
    for _, kind, _, _, offset, size, strings, _, _, _ in sections:
        if kind == _SYMBOLS:
            symbols = list(_SYMBOL.iter_unpack(code[offset : offset + size]))
            start = sections[strings][4]
            ends = [code.index(b"\0", start + symbol[0]) for symbol in symbols]
            names = [
                code[start + symbol[0] : end].decode("ascii")
                for symbol, end in zip(symbols, ends, strict=True)
            ]
            return symbols, names
    raise Unlinkable("no symbols")


def _mapped(image: bytearray, entry: int, imports: dict[int, str]) -> Program:
    for offset, name in imports.items():
        struct.pack_into("<Q", image, offset, _address_of(name))
    memory = mmap.mmap(-1, len(image), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[:] = bytes(image)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    # Never writeable and executable at the same time.
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if protect(base, len(image), mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise Unlinkable(f"the memory may not be executed: {os.strerror(ctypes.get_errno())}")
    return Program(base + entry, memory)


def _address_of(name: str) -> int:
    for library in (None, "libm.so.6"):
        try:
            function = getattr(ctypes.CDLL(library), name)
        except (OSError, AttributeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise Unlinkable(f"function {name!r} is not in the C library")


def _loaded_by_llvm(code: bytes) -> Program:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(ENTRY)
    if not address:
        raise Unlinkable(f"{ENTRY!r} is not defined")
    return Program(address, engine)
