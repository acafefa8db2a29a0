"""PNG: chunks are checked and kept here; Pillow inflates; writing is done here on several threads.

Pillow cannot hold 16 bits of colour: it is made to decode such an image twice, once for the high and
once for the low bytes.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pillow
from cnnfilter.files.deflate import FAST, png_stream
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Metadata, Picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP")
_INCHES_PER_METRE = 1 / 0.0254
_XMP = "XML:com.adobe.xmp"
_RAW_EXIF = "Raw profile type exif"


class _Header(NamedTuple):
    width: int
    height: int
    bits: int
    kind: int
    compression: int
    filtering: int
    interlace: int


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read every pixel form, and all frames of an animation."""
    data = file.read()
    chunks = dict(_chunks(data))
    if len(chunks.get(b"IHDR", b"")) != 13:
        raise ImageFileError("damaged PNG file (no header); get a whole copy")
    header = _Header(*struct.unpack(">LLBBBBB", chunks[b"IHDR"]))
    if b"acTL" in chunks:
        if header.bits == 16:
            raise ImageFileError("an animation of 16 bits is not read; make it one of 8 bits")
        from cnnfilter.files import animation  # 5 ms that a still image need not pay

        picture = animation.read(io.BytesIO(data), "PNG", limit)
    else:
        limit.spend(header.width, header.height)
        picture = _still(data, header, chunks.get(b"tRNS"))
    picture.metadata.colour_chunks = {name: chunks[name] for name in _COLOUR_CHUNKS if name in chunks}
    return pillow.stand_upright(picture)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks that are needed here, having checked that all are whole."""
    place = len(_SIGNATURE)
    view = memoryview(data)
    name = b""
    while name != b"IEND":
        if place + 12 > len(data):
            raise ImageFileError("truncated PNG file (its end is missing); get a whole copy")
        length, name = int.from_bytes(view[place : place + 4], "big"), bytes(view[place + 4 : place + 8])
        end = place + 8 + length
        # Pillow looks at no sums, and not always at that of the inflated bytes. This costs 4 % of decoding.
        if zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            what = "truncated" if end + 4 > len(data) else "damaged"
            raise ImageFileError(f"{what} PNG file (checksum of chunk {name!r}); get a whole copy")
        if name not in (b"IDAT", b"fdAT"):
            yield name, bytes(view[place + 8 : end])
        place = end + 4


def _still(data: bytes, header: _Header, key: bytes | None) -> Picture:
    """Read the one frame; `key` is what says which pixels are transparent."""
    image = PngImagePlugin.PngImageFile(io.BytesIO(data))
    notes: list[str] = []
    if header.kind != _PALETTE:
        image.info.pop("transparency", None)  # applied here, as Pillow forgets to scale it
    if header.kind == _PALETTE or image.mode == "1":
        frame = np.asarray(pillow.expanded(image, notes))
    elif header.bits == 16 and header.kind != _GREY:
        frame = _deep(data, image, header.kind)
    else:
        frame = pillow.pixels(image)
    if key is not None and header.kind in (_GREY, _RGB):
        frame = _with_alpha(frame, key, header.bits)
    model, alpha = pillow.MODELS["L" if frame.ndim == 2 else ("LA", "RGB", "RGBA")[frame.shape[-1] - 2]]
    kept = pillow.metadata(image.info)
    kept.text = {str(name): str(text) for name, text in image.text.items() if name != _XMP}
    kept.exif = kept.exif or _exif_in_text(kept.text.pop(_RAW_EXIF, ""))
    return Picture([frame], model, alpha, metadata=kept, notes=notes)


def _exif_in_text(text: str) -> bytes | None:
    """Return the EXIF block of a text chunk, ImageMagick's way before PNG had a chunk for it."""
    try:
        block = bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        return None
    return block.removeprefix(b"Exif\0\0") or None


def _deep(data: bytes, image: Image.Image, kind: int) -> Array:
    """Decode 16 bits of more than one channel, high byte first in the file."""
    if kind == _GREY_ALPHA:
        # Four bytes a pixel, whatever they mean: read them as RGBA.
        both = _decoded(image, "RGBA", "RGBA")
        return both.view(">u2").astype(np.uint16)
    mode = "RGB" if kind == _RGB else "RGBA"
    frame = _decoded(image, mode, f"{mode};16B").astype(np.uint16)
    frame <<= 8
    # The unpacker of little-endian pixels takes the second byte of each pair: here the low one.
    frame |= _decoded(PngImagePlugin.PngImageFile(io.BytesIO(data)), mode, f"{mode};16L")
    return frame


def _decoded(image: Any, mode: str, rawmode: str) -> Array:
    """Decode with an unpacker of our choice."""
    image.info.pop("transparency", None)
    image._mode = mode
    image.tile = [tile._replace(args=rawmode) for tile in image.tile]
    return np.asarray(image)


def _with_alpha(frame: Array, key: bytes, bits: int) -> Array:
    """Add alpha to a frame: nothing where a pixel has the colour that the file calls transparent."""
    top = np.iinfo(frame.dtype).max
    colour = np.frombuffer(key, ">u2").astype(np.uint32)
    if bits < 8:
        colour = colour * (255 // (2**bits - 1))
    channels = frame.reshape(*frame.shape[:2], -1)
    hidden = (channels == colour[: channels.shape[-1]]).all(-1, keepdims=True)
    return np.concatenate([channels, np.where(hidden, 0, top).astype(frame.dtype)], axis=-1)


def write(picture: Picture, file: IO[bytes], compression: int | None, threads: int | None) -> None:
    """Write one frame, or an animation of whole frames."""
    level = FAST if compression is None else compression
    frames = picture.frames
    first = frames[0]
    channels = first.shape[-1] if first.ndim == 3 else 1
    kind = {1: _GREY, 2: _GREY_ALPHA, 3: _RGB, 4: _RGB_ALPHA}[channels]
    header = (first.shape[1], first.shape[0], first.itemsize * 8, kind, 0, 0, 0)
    file.write(_SIGNATURE)
    _put(file, b"IHDR", struct.pack(">LLBBBBB", *header))
    for name, content in _ancillary(picture.metadata):
        _put(file, name, content)
    if len(frames) == 1:
        _put_stream(file, b"IDAT", png_stream(first, level, threads))
    else:
        _put_frames(file, picture, level, threads)
    _put(file, b"IEND", b"")


def _put(file: IO[bytes], name: bytes, content: bytes) -> None:
    file.write(len(content).to_bytes(4, "big") + name)
    file.write(content)
    file.write(zlib.crc32(content, zlib.crc32(name)).to_bytes(4, "big"))


def _put_stream(file: IO[bytes], name: bytes, parts: Iterator[bytes], number: int = 0) -> int:
    """Write the parts of a stream as chunks, those of later frames numbered; return the next number."""
    for part in parts:
        numbered = struct.pack(">L", number) if name == b"fdAT" else b""
        number += name == b"fdAT"
        _put(file, name, numbered + part)
    return number


def _put_frames(file: IO[bytes], picture: Picture, level: int, threads: int | None) -> None:
    height, width = picture.frames[0].shape[:2]
    delays = picture.delays or [100.0] * len(picture.frames)
    _put(file, b"acTL", struct.pack(">LL", len(picture.frames), picture.loop))
    number = 0
    for index, frame in enumerate(picture.frames):
        delay = min(round(delays[index]), 0xFFFF)
        # Nothing is disposed of, nothing blended: every frame is whole.
        control = struct.pack(">LLLLLHHBB", number, width, height, 0, 0, delay, 1000, 0, 0)
        _put(file, b"fcTL", control)
        name = b"fdAT" if index else b"IDAT"
        number = _put_stream(file, name, png_stream(frame, level, threads), number + 1)


def _ancillary(kept: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks that say what the pixels mean, in the order that PNG asks for."""
    if kept.icc:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(kept.icc)
    for name, content in kept.colour_chunks.items():
        if not (kept.icc and name == b"sRGB"):  # only one of the two may be there
            yield name, content
    if kept.dpi:
        per_metre = (min(round(value * _INCHES_PER_METRE), 2**31 - 1) for value in kept.dpi)
        yield b"pHYs", struct.pack(">LLB", *per_metre, 1)
    if kept.exif:
        yield b"eXIf", kept.exif
    if kept.xmp:
        yield b"iTXt", _XMP.encode() + bytes(5) + kept.xmp
    for key, text in kept.text.items():
        keyword = re.sub(rb"[^\x20-\x7e\xa1-\xff]", b"", key.encode("latin-1", "ignore")).strip()[:79]
        yield b"iTXt", (keyword or b"Comment") + b"\0\0\0\0\0" + text.encode()
