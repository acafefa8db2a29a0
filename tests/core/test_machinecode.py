import ctypes
import os
import struct

import numpy as np
import pytest
from sampleloops import elementwise

from cnnfilter.core.jit import compiling, machinecode
from cnnfilter.core.jit.machinecode import _HEADER

native = pytest.mark.skipif(not machinecode.is_native(), reason="laid out by LLVM here")


@pytest.fixture(scope="module")
def codes():
    return {
        "affine": compiling.object_code(elementwise.affine, (2.0, 1.0), ["f32*", "i64", "f64*"]),
        "clear": compiling.object_code(elementwise.clear, (), ["i64", "f64*"]),
        "choice": compiling.object_code(elementwise.choice, (), ["i64*", "i64", "f64*"]),
    }


def called(program, *arguments):
    """Call machine code with whole numbers and addresses, eight bytes each."""
    record = struct.pack(f"={len(arguments)}q", *arguments)
    ctypes.CFUNCTYPE(None, ctypes.c_char_p)(program.address)(record)


def cleared(program):
    out = np.full(40, 7.0)
    called(program, 30, out.ctypes.data)
    return out.tolist() == [0.0] * 30 + [7.0] * 10


@pytest.mark.parametrize("loader", [machinecode.load, machinecode._loaded_by_llvm])
def test_both_loaders_give_the_same_program(codes, loader):
    program = loader(codes["choice"])
    image, out = np.array([3, 0, 2, 1, 6] * 7), np.zeros(35)
    called(program, image.ctypes.data, 35, out.ctypes.data)
    np.testing.assert_array_equal(out, [1e300, 0.1, -7.25, 2.5, 0.5] * 7)
    assert cleared(loader(codes["clear"]))


@native
def test_what_is_not_known_here_is_left_to_llvm(codes, monkeypatch):
    def refuse(code):
        raise machinecode.Unlinkable("a relocation of another kind")

    monkeypatch.setattr(machinecode, "link", refuse)
    assert cleared(machinecode.load(codes["clear"]))


@native
def test_functions_of_the_c_library_are_imported_by_name(codes):
    image, entry, imports = machinecode.link(codes["clear"])
    assert list(imports.values()) == ["memset"]
    assert 0 <= entry < len(image)
    assert all(image[place - 6 : place] == machinecode._JUMP for place in imports)


@native
def test_unknown_functions_are_told(codes):
    code = codes["clear"].replace(b"memset\0", b"nosuch\0")
    image, entry, imports = machinecode.link(code)
    with pytest.raises(machinecode.Unlinkable, match="'nosuch' is not in the C library"):
        machinecode._mapped(image, entry, imports)


@native
def test_memory_is_never_writeable_and_executable(codes):
    program = machinecode.load(codes["affine"])
    with open("/proc/self/maps") as file:
        for line in file:
            span, rights = line.split()[:2]
            first, last = (int(part, 16) for part in span.split("-"))
            if first <= program.address < last:
                assert rights == "r-xp"
                return
    raise AssertionError("the program is not in memory")


@native
def test_memory_that_may_not_be_executed_is_not(codes, monkeypatch):
    def refuse(*arguments):
        ctypes.set_errno(13)
        return -1

    class Library:
        mprotect = staticmethod(refuse)

    monkeypatch.setattr(machinecode, "_address_of", lambda name: 0)
    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: Library)
    refuse.argtypes = None
    with pytest.raises(machinecode.Unlinkable, match="may not be executed"):
        machinecode._mapped(*machinecode.link(codes["affine"]))


@native
@pytest.mark.parametrize("name", ["affine", "clear", "choice"])
def test_objects_cut_off_are_refused_or_whole(codes, name):
    code = codes[name]
    whole = machinecode.link(code)
    for length in range(0, len(code), 7):
        try:
            assert machinecode.link(code[:length]) == whole
        except machinecode.Unlinkable:
            pass
        else:
            raise AssertionError(f"{length} of {len(code)} bytes were enough")


@native
def test_other_relocations_are_refused(codes):
    code = bytearray(codes["choice"])
    sections = machinecode._sections(bytes(code))
    changed = 0
    for _, kind, _, _, offset, size, *_ in sections:
        if kind == machinecode._RELOCATIONS and size:
            (information,) = struct.unpack_from("<Q", code, offset + 8)
            struct.pack_into("<Q", code, offset + 8, information & ~0xFFFFFFFF | 1)
            changed += 1
    assert changed
    with pytest.raises(machinecode.Unlinkable, match="relocation 1 of"):
        machinecode.link(bytes(code))


@native
@pytest.mark.parametrize("alignment", [1, 64, 4096])
def test_sections_begin_where_they_ask_to(codes, alignment):
    code = bytearray(codes["choice"])
    whole = _HEADER.unpack_from(code)
    for index, (_, kind, flags, _, offset, size, *_) in enumerate(machinecode._sections(bytes(code))):
        if kind == machinecode._PROGRAM_BITS and flags == 2 | 0x10 and size:  # constants, to be merged
            place = whole[6] + whole[11] * index
            struct.pack_into("<Q", code, place + 48, alignment)
            image, _, _ = machinecode.link(bytes(code))
            assert image.find(code[offset : offset + size]) % alignment == 0
            struct.pack_into("<Q", code, place + 48, 1 << 40)
            with pytest.raises(machinecode.Unlinkable, match=f"multiple of {1 << 40}"):
                machinecode.link(bytes(code))
            return
    raise AssertionError("the loop has no constants")


@native
def test_objects_without_the_entry_are_refused(codes):
    with pytest.raises(machinecode.Unlinkable, match="loop"):
        machinecode.link(codes["affine"].replace(b"\0loop\0", b"\0pool\0"))


@pytest.mark.parametrize("data", [b"", b"\x7fELF", os.urandom(4096), b"\xcf\xfa\xed\xfe" + bytes(4000)])
def test_other_files_are_refused(data):
    with pytest.raises(machinecode.Unlinkable):
        machinecode.link(data)
