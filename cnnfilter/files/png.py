"""Reading PNG: the chunks are checked and understood here, libpng (through imagecodecs) unpacks the pixels.

libpng is handed nothing but the chunks that hold pixels: no text, profile or private chunk can mislead it,
and it refuses a picture whose rows are missing, where Pillow leaves them as they were in memory.
"""

import logging
import struct
import zlib
from typing import IO, NamedTuple

import imagecodecs
import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pngmetadata
from cnnfilter.files.depth import ONE_BIT
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Picture, stand_upright

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGB_ALPHA: (8, 16),
}
_ONCE = (b"IHDR", b"PLTE", b"tRNS", b"acTL", b"IEND")
_ANCILLARY = 0x20  # of the first letter
_OF_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")

# libpng's warnings would reach the user's terminal, and what they are about is checked here.
logging.getLogger("imagecodecs").addHandler(logging.NullHandler())


class Header(NamedTuple):
    """What IHDR says."""

    width: int
    height: int
    bits: int
    kind: int
    compression: int
    filtering: int
    interlace: int

    @property
    def bytes(self) -> int:
        """Bytes of a pixel in memory, where RGB lies within four channels."""
        return {GREY: 1, GREY_ALPHA: 2}.get(self.kind, 4) * (2 if self.bits == 16 else 1)


class Chunk(NamedTuple):
    """A chunk of the file: its name, what it holds, and all of it, from its length to its checksum."""

    name: bytes
    content: memoryview
    whole: memoryview


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read every pixel form, and all frames of an animation."""
    data = memoryview(file.read())
    chunks, end, broken = chunks_in(data)
    header = header_in(chunks)
    picture = Picture([])
    frames: list[Array] = []
    if is_animated(chunks):
        from cnnfilter.files import apng  # a still image need not pay for it

        try:
            frames = apng.read(header, chunks, picture, limit)
        except apng.BrokenAnimation as error:  # the still picture is to be shown then
            picture.losses.append(f"the animation, which is damaged ({error}), is left out")
    if not frames:
        limit.spend(header.width, header.height, bytes_a_pixel=header.bytes)
        frames = [pixels(header, chunks, [chunk.whole for chunk in chunks if chunk.name == b"IDAT"])]
    picture.frames = frames
    samples = frames[0].shape[-1] if frames[0].ndim == 3 else 1
    picture.model, picture.alpha = ("grey" if samples < 3 else "rgb"), samples in (2, 4)
    if header.kind == PALETTE:
        picture.notes.append("palette expanded to colours")
    elif header.bits == 1:
        picture.notes.append(ONE_BIT)
    picture.metadata, picture.losses[:0] = pngmetadata.read(chunks)
    picture.losses += broken
    if end < len(data):
        picture.losses.append(what_follows(bytes(data[end : end + 8]), len(data) - end))
    return stand_upright(picture)


def chunks_in(data: memoryview) -> tuple[list[Chunk], int, list[str]]:
    """Return the chunks that are whole, where the last one ends, and what is left out.

    A chunk with a wrong checksum is left out if no pixel needs it; any other is damage.
    """
    place = len(SIGNATURE)
    chunks: list[Chunk] = []
    broken: list[str] = []
    while not chunks or chunks[-1].name != b"IEND":
        if place + 12 > len(data):
            raise ImageFileError("truncated PNG file (its end is missing); get a whole copy")
        length, name = int.from_bytes(data[place : place + 4], "big"), bytes(data[place + 4 : place + 8])
        end = place + 8 + length
        # Decoders skip most of these sums. Looking at all of them costs 4 % of decoding.
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            if end + 4 <= len(data) and name[0] & _ANCILLARY and name not in _OF_PIXELS:
                broken.append(f"chunk {name.decode('latin-1')!r}, whose checksum is wrong, left out")
                place = end + 4
                continue
            what = "truncated" if end + 4 > len(data) else "damaged"
            raise ImageFileError(f"{what} PNG file (checksum of chunk {name!r}); get a whole copy")
        if name in _ONCE and any(chunk.name == name for chunk in chunks):
            raise ImageFileError(f"damaged PNG file (a second chunk {name!r}); get a whole copy")
        chunks.append(Chunk(name, data[place + 8 : end], data[place : end + 4]))
        place = end + 4
    return chunks, place, broken


def header_in(chunks: list[Chunk]) -> Header:
    """Return the header, which comes first."""
    if chunks[0].name != b"IHDR" or len(chunks[0].content) != 13:
        raise ImageFileError("damaged PNG file (no header); get a whole copy")
    header = Header(*struct.unpack(">LLBBBBB", chunks[0].content))
    if not (header.width and header.height and header.bits in _DEPTHS.get(header.kind, ())):
        raise ImageFileError("damaged PNG file (impossible size or depth); get a whole copy")
    return header


def is_animated(chunks: list[Chunk]) -> bool:
    """Tell whether there are several frames."""
    return any(chunk.name == b"acTL" and any(chunk.content[:4]) for chunk in chunks)


def what_follows(start: bytes, size: int) -> str:
    """Say what is left out of a file of which so many bytes follow the image."""
    if start == SIGNATURE:
        return "another image follows the first one and is left out; split the file"
    return f"{size} bytes that follow the image are left out"


def pixels(header: Header, chunks: list[Chunk], stream: list[memoryview | bytes]) -> Array:
    """Decode one image: (H, W) or (H, W, C), with alpha if the file has it or names transparent colours.

    Parameters
    ----------
    header : Header
        Of the image, which may be a frame smaller than its file.
    chunks : list of Chunk
        Of the file: its palette and its transparent colours count.
    stream : list of bytes
        The whole IDAT chunks of the image.
    """
    if not stream:  # libpng's message of that is no text
        raise ImageFileError("damaged PNG file (no pixels); get a whole copy")
    start = chunk_of(b"IHDR", struct.pack(">LLBBBBB", *header))
    colours = {chunk.name: chunk for chunk in chunks if chunk.name in (b"PLTE", b"tRNS")}
    if header.kind != PALETTE:
        colours.pop(b"PLTE", None)  # a suggestion for poorer displays
    key = colours.pop(b"tRNS", None) if header.kind in (GREY, RGB) else colours.get(b"tRNS")
    parts = [SIGNATURE, start, *(chunk.whole for chunk in colours.values()), *stream, chunk_of(b"IEND", b"")]
    try:
        frame: Array = imagecodecs.png_decode(b"".join(parts))
    except imagecodecs.PngError as error:
        what = "truncated" if "Not enough" in str(error) else "damaged"
        raise ImageFileError(f"{what} PNG file ({error}); get a whole copy") from error
    if key is not None and header.kind in (GREY, RGB):
        return with_alpha(frame, bytes(key.content), header)
    return frame


def chunk_of(name: bytes, content: bytes) -> bytes:
    """Return a chunk: length, name, content, checksum."""
    checksum = zlib.crc32(content, zlib.crc32(name))
    return b"".join([len(content).to_bytes(4, "big"), name, content, checksum.to_bytes(4, "big")])


def with_alpha(frame: Array, key: bytes, header: Header) -> Array:
    """Add alpha to a frame: nothing where a pixel has the colour that the file calls transparent."""
    count = 1 if header.kind == GREY else 3
    if len(key) != 2 * count:
        raise ImageFileError("damaged PNG file (its transparent colour); get a whole copy")
    depth = 2**header.bits - 1
    colour = np.frombuffer(key, ">u2").astype(np.uint32) & depth  # the other bits are to be ignored
    white = np.iinfo(frame.dtype).max
    channels = frame.reshape(*frame.shape[:2], count)
    hidden = (channels == colour * (white // depth)).all(-1, keepdims=True)
    return np.concatenate([channels, np.where(hidden, 0, white).astype(frame.dtype)], axis=-1)
