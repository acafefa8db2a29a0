"""The boxes of a JPEG XL, JPEG 2000 or AVIF file: where its pixels lie, and what describes them.

ISO 15444-1, I.4 to I.7, and ISO 18181-2, 9. A file without boxes is the codestream itself.
"""

from collections.abc import Iterator
from typing import NamedTuple

_PARTS = {"JXL": (b"jxlc", b"jxlp"), "JP2": (b"jp2c",)}
# How the file is built and what the decoder applies to the pixels; `jbrd` is for the bytes of an old JPEG.
_LAYOUT = frozenset((
    b"JXL ", b"jP  ", b"ftyp", b"jxll", b"jxli", b"jbrd", b"jp2h", b"ihdr", b"bpcc", b"pclr", b"cmap",
    b"cdef", b"colr", b"rreq", b"free", b"skip", *_PARTS["JXL"], *_PARTS["JP2"],
))  # fmt: skip
_WORDS = {b"Exif": "EXIF", b"xml ": "XMP", b"res ": "resolution"}
_IDENTIFIED = {
    b"JpgTiffExif->JP2": "EXIF",
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "XMP",
    bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e"): "EXIF",
    bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb"): "Photoshop's resources (IPTC)",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "IPTC",
    bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03"): "georeference",
}
_ENUMERATED, _PROFILES = b"\1", (b"\2", b"\3")  # ways to say which colours they are


class Box(NamedTuple):
    """The name of a box, and where its content begins and ends."""

    name: bytes
    start: int
    end: int


def boxes(data: bytes) -> Iterator[Box]:
    """Yield every box, also those in the header of a JPEG 2000; none of a bare codestream."""
    place = 0 if data[4:8] in _LAYOUT else len(data)
    while place + 8 <= len(data):
        length, head = int.from_bytes(data[place : place + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        end = len(data) if length == 0 else min(len(data), place + max(head, length))
        box = Box(data[place + 4 : place + 8], place + head, end)
        yield box
        place = box.start if box.name == b"jp2h" else end


def joined_associations(data: bytes) -> bytes:
    """Join the items of an AVIF with their properties in one box, as ISO 23008-12, 9.3.1 wants it.

    Early writers made a box for each item, which decoders refuse. No other byte changes its place.
    """
    meta = next((box for box in boxes(data) if box.name == b"meta"), Box(b"", 0, 0))
    inside = _inside(data, meta.start + 4, meta.end)  # version and flags come first
    properties = next((box for box in inside if box.name == b"iprp"), Box(b"", 0, 0))
    parts = [box for box in _inside(data, properties.start, properties.end) if box.name == b"ipma"]
    alike = {data[box.start : box.start + 4] for box in parts}
    first = parts[0].start - 8 if parts else 0
    if (
        len(alike) != 1
        or len(parts) < 2
        or sum(box.end - box.start + 8 for box in parts) != (properties.end - first)
    ):
        return data
    count = sum(int.from_bytes(data[box.start + 4 : box.start + 8], "big") for box in parts)
    entries = b"".join(data[box.start + 8 : box.end] for box in parts)
    joined = _box(b"ipma", alike.pop() + count.to_bytes(4, "big") + entries)
    filling = _box(b"free", bytes(16 * (len(parts) - 1) - 8))  # length, name, version and count of the others
    before = data[properties.start : first]
    return data[: properties.start - 8] + _box(b"iprp", before + joined) + filling + data[properties.end :]


def _inside(data: bytes, place: int, end: int) -> Iterator[Box]:
    while place + 8 <= end:
        length = int.from_bytes(data[place : place + 4], "big") or end - place
        box = Box(data[place + 4 : place + 8], place + 8, min(end, place + max(8, length)))
        yield box
        place = box.end


def _box(name: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + name + content


def codestream(data: bytes, form: str, length: int) -> bytes:
    """Return the first bytes of the codestream, which several boxes of a JPEG XL may hold."""
    parts = [box for box in boxes(data) if box.name in _PARTS[form]]
    if not parts:
        return data[:length]
    numbers = {b"jxlp": 4}  # that stand before a part
    pieces = ((box.start + numbers.get(box.name, 0), box.end) for box in parts)
    return b"".join(data[start : min(end, start + length)] for start, end in pieces)[:length]


def apart_from_profile(data: bytes) -> tuple[bytes, bytes | None]:
    """Return a JPEG 2000 whose profiles are hidden, and the first of them: the decoder would apply it."""
    hidden, profile = bytearray(data), None
    for box in boxes(data):
        way = data[box.start : box.start + 1]
        if box.name == b"colr" and way != _ENUMERATED:
            name = data.rfind(b"colr", 0, box.start)
            hidden[name : name + 4] = b"free"
            if profile is None and way in _PROFILES:
                profile = data[box.start + 3 : box.end]
    return bytes(hidden), profile or None


def described(data: bytes) -> list[str]:
    r"""Name what the boxes say of the pixels, each once.

    Examples
    --------
    >>> described(bytes.fromhex("0000000c") + b"JXL \r\n\x87\n" + bytes.fromhex("0000000a") + b"Exif..")
    ['EXIF']
    """
    words = [_word(data, box) for box in boxes(data) if box.name not in _LAYOUT]
    return list(dict.fromkeys(word for word in words if word))


def _word(data: bytes, box: Box) -> str:
    name = data[box.start : box.start + 4] if box.name == b"brob" else box.name  # packed by Brotli
    if name == b"uuid":
        return _IDENTIFIED.get(data[box.start : box.start + 16], "metadata")
    return _WORDS.get(name, f"box {name.decode('latin-1')!r}")
