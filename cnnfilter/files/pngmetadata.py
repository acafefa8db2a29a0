"""What a PNG file says beside its pixels: taken from the chunks that are made for it, never from text.

A text chunk may have any keyword, ``dpi`` or ``exif`` among them: it stays text.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnfilter.files.picture import METRES_PER_INCH, Metadata

if TYPE_CHECKING:
    from cnnfilter.files.png import Chunk

XMP = "XML:com.adobe.xmp"
_RAW_EXIF = "Raw profile type exif"
_UNPACKED = 1 << 26
"""Most bytes that one compressed text or profile may have: a few KiB can stand for gigabytes."""

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLOURS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
# Understood here or by the decoder, or said anew by every writer; of no use beside other pixels.
_KNOWN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", *_TEXTS, b"iCCP", b"eXIf")
_OUTDATED = (b"tIME", b"hIST", b"iDOT")
_PALETTE = 3
_LOWER_CASE = 0x20  # of the fourth letter: the chunk may be copied though the pixels are others


class _Unreadable(Exception):
    """A chunk that breaks the rules of its kind."""


def read(chunks: Sequence["Chunk"]) -> tuple[Metadata, list[str]]:
    """Return what is kept beside the pixels, and what of the file is lost, in words.

    The EXIF block still has its orientation.
    """
    kept, losses = Metadata(), []
    bits, kind = chunks[0].content[8:10]
    palette = next((bytes(content) for name, content, _ in chunks if name == b"PLTE"), b"")
    for name, content, _ in chunks:
        try:
            if name == b"bKGD":
                kept.chunks[name] = _background(bytes(content), bits, palette if kind == _PALETTE else None)
            elif name == b"sBIT":
                _check_bits(bytes(content), 8 if kind == _PALETTE else bits)
            else:
                _take(kept, name, bytes(content))
        except _Unreadable as error:
            losses.append(f"{error} left out")
    kept.exif = kept.exif or _exif_in_text(kept.text)
    return kept, losses


def _take(kept: Metadata, name: bytes, content: bytes) -> None:
    """Add to the metadata what one chunk says."""
    if name in _TEXTS:
        key, text = _text(name, content)
        if key == XMP:
            kept.xmp = text
        elif key in kept.text:
            raise _Unreadable(f"a second text {key!r}")
        elif key:
            kept.text[key] = text.decode("utf-8" if name == b"iTXt" else "latin-1", "replace")
    elif name == b"iCCP":
        kept.icc = _unpacked(_parts(content, 2)[1][1:], "colour profile") or None
    elif name == b"eXIf":
        kept.exif = content.removeprefix(b"Exif\0\0") or None
    elif name == b"pHYs":
        kept.dpi = _dpi(content)
    elif name in _KNOWN + _OUTDATED:
        return
    elif name == b"sPLT":
        raise _Unreadable("a suggested palette")
    elif name in kept.chunks or not (name in _COLOURS or name[3] & _LOWER_CASE):
        raise _Unreadable(f"chunk {name.decode('latin-1')!r}")
    else:
        kept.chunks[name] = content


def _background(content: bytes, bits: int, palette: bytes | None) -> bytes:
    """Return the samples of the background colour with 16 bits."""
    if palette is None:
        white, size, parts = 2**bits - 1, 2, content
    else:
        white, size, parts = 255, 1, palette[3 * content[0] :][:3] if len(content) == 1 else b""
    if len(parts) not in (size, 3 * size):
        raise _Unreadable("a damaged background colour")
    values = (int.from_bytes(parts[place : place + size], "big") for place in range(0, len(parts), size))
    return b"".join(((value & white) * 65535 // white).to_bytes(2, "big") for value in values)


def _check_bits(content: bytes, bits: int) -> None:
    """Tell that samples had fewer bits once: filtered, they use all that they have."""
    if set(content) != {bits}:
        raise _Unreadable(f"significant bits ({' '.join(map(str, content))})")


def _text(name: bytes, content: bytes) -> tuple[str, bytes]:
    """Return keyword and text of a tEXt, zTXt or iTXt chunk; the text as it is encoded."""
    if name == b"tEXt":
        key, _, text = content.partition(b"\0")
    elif name == b"zTXt":
        key, rest = _parts(content, 2)
        text = _unpacked(rest[1:], f"text {key.decode('latin-1')!r}")
    else:
        key, rest = _parts(content, 2)
        packed, (_, _, text) = rest[:1] == b"\1", _parts(rest[2:], 3)
        text = _unpacked(text, f"text {key.decode('latin-1')!r}") if packed else text
    return key.decode("latin-1"), text


def _parts(content: bytes, count: int) -> list[bytes]:
    """Split at NUL bytes."""
    parts = content.split(b"\0", count - 1)
    if len(parts) < count:
        raise _Unreadable("a damaged text or profile")
    return parts


def _unpacked(data: bytes, what: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(data, _UNPACKED)
    except zlib.error as error:
        raise _Unreadable(f"a damaged {what}") from error
    if unpacker.unconsumed_tail:
        raise _Unreadable(f"a {what} of more than {_UNPACKED >> 20} MiB")
    if not unpacker.eof:
        raise _Unreadable(f"a damaged {what}")
    return unpacked


def _dpi(content: bytes) -> tuple[float, float] | None:
    if len(content) != 9:
        raise _Unreadable("a damaged resolution")
    x, y, unit = struct.unpack(">LLB", content)
    if unit != 1 and x != y:
        raise _Unreadable(f"the shape of the pixels ({x}:{y})")
    return (x * METRES_PER_INCH, y * METRES_PER_INCH) if unit == 1 and x and y else None


def _exif_in_text(text: dict[str, str]) -> bytes | None:
    """Take the EXIF block out of a text, ImageMagick's way before PNG had a chunk for it."""
    try:
        block = bytes.fromhex("".join(text[_RAW_EXIF].split("\n")[3:]))
    except (KeyError, ValueError):
        return None
    del text[_RAW_EXIF]
    return block.removeprefix(b"Exif\0\0") or None
