"""Writing PNG: one frame or an animation of whole frames, compressed here on several threads."""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO

from cnnfilter.files.deflate import FAST, png_stream
from cnnfilter.files.picture import METRES_PER_INCH, Metadata, Picture
from cnnfilter.files.png import GREY, GREY_ALPHA, RGB, RGB_ALPHA, SIGNATURE
from cnnfilter.files.pngmetadata import XMP


def write(picture: Picture, file: IO[bytes], compression: int | None, threads: int | None) -> None:
    """Write one frame, or an animation of whole frames."""
    level = FAST if compression is None else compression
    write_head(picture, file)
    if len(picture.frames) == 1:
        _put_stream(file, b"IDAT", png_stream(picture.frames[0], level, threads))
    else:
        _put_frames(file, picture, level, threads)
    put(file, b"IEND", b"")


def write_head(picture: Picture, file: IO[bytes]) -> None:
    """Write what stands before the pixels."""
    first = picture.frames[0]
    channels = first.shape[-1] if first.ndim == 3 else 1
    kind = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGB_ALPHA}[channels]
    header = (first.shape[1], first.shape[0], first.itemsize * 8, kind, 0, 0, 0)
    file.write(SIGNATURE)
    put(file, b"IHDR", struct.pack(">LLBBBBB", *header))
    for name, content in _ancillary(picture.metadata):
        put(file, name, content)
    if b"bKGD" in picture.metadata.chunks:
        if background := _background(picture.metadata.chunks[b"bKGD"], kind, first.itemsize):
            put(file, b"bKGD", background)
        else:
            picture.lose("the background colour is left out, for the image is grey")


def put(file: IO[bytes], name: bytes, content: bytes) -> None:
    """Write a chunk."""
    file.write(len(content).to_bytes(4, "big") + name)
    file.write(content)
    file.write(zlib.crc32(content, zlib.crc32(name)).to_bytes(4, "big"))


def _put_stream(file: IO[bytes], name: bytes, parts: Iterator[bytes], number: int = 0) -> int:
    """Write the parts of a stream as chunks, those of later frames numbered; return the next number."""
    for part in parts:
        numbered = struct.pack(">L", number) if name == b"fdAT" else b""
        number += name == b"fdAT"
        put(file, name, numbered + part)
    return number


def _put_frames(file: IO[bytes], picture: Picture, level: int, threads: int | None) -> None:
    height, width = picture.frames[0].shape[:2]
    delays = picture.delays or [100.0] * len(picture.frames)
    put(file, b"acTL", struct.pack(">LL", len(picture.frames), picture.loop))
    number = 0
    for index, frame in enumerate(picture.frames):
        delay = min(round(delays[index]), 0xFFFF)
        # Nothing is disposed of, nothing blended: every frame is whole.
        control = struct.pack(">LLLLLHHBB", number, width, height, 0, 0, delay, 1000, 0, 0)
        put(file, b"fcTL", control)
        name = b"fdAT" if index else b"IDAT"
        number = _put_stream(file, name, png_stream(frame, level, threads), number + 1)


def _ancillary(kept: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks that say what the pixels mean, in the order that PNG asks for."""
    if kept.icc:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(kept.icc)
    for name, content in kept.chunks.items():
        if name != b"bKGD" and not (kept.icc and name == b"sRGB"):  # only one of the two may be there
            yield name, content
    if kept.dpi:
        per_metre = (min(round(value / METRES_PER_INCH), 2**31 - 1) for value in kept.dpi)
        yield b"pHYs", struct.pack(">LLB", *per_metre, 1)
    if kept.exif:
        yield b"eXIf", kept.exif
    if kept.xmp:
        yield b"iTXt", XMP.encode() + bytes(5) + kept.xmp
    for key, text in kept.text.items():
        keyword = re.sub(rb"[^\x20-\x7e\xa1-\xff]", b"", key.encode("latin-1", "ignore")).strip()[:79]
        yield b"iTXt", (keyword or b"Comment") + b"\0\0\0\0\0" + _utf8(text)


def _background(content: bytes, kind: int, size: int) -> bytes:
    """Return the background colour in samples of `size` bytes; nothing if a grey image has no such colour."""
    values = list(struct.unpack(f">{len(content) // 2}H", content))
    if kind in (GREY, GREY_ALPHA):
        values = values[:1] if len(set(values)) == 1 else []
    elif len(values) == 1:
        values *= 3
    return struct.pack(f">{len(values)}H", *(value >> (16 - 8 * size) for value in values))


def _utf8(text: str) -> bytes:
    """Encode a text; bytes of a comment that were not UTF-8 are taken for Latin-1."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1").encode()
