"""Reading PNG from top to bottom: some rows at a time, and never the whole image.

The stream is inflated here as far as it is needed. libpng undoes the prediction of some rows when it is
handed them as an image of its own, which begins with the row above them.
"""

import struct
import zlib
from typing import IO

import imagecodecs
import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pngmetadata
from cnnfilter.files.picture import Array, Picture, upright
from cnnfilter.files.png import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    SIGNATURE,
    Chunk,
    chunk_of,
    chunks_in,
    header_in,
    is_animated,
    pixels,
    what_follows,
    with_alpha,
)

_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
_READ = 1 << 18
"""Bytes of the file at a time."""

_STORED = 0xFFFF
"""Bytes of a block that is not packed."""


class PngRows:
    """The rows of a PNG, from top to bottom, as often as `rewind` is called.

    Parameters
    ----------
    file : binary file
        Seekable.

    Attributes
    ----------
    picture : Picture
        What is known of the image, with a frame of its shape and type, whose pixels do not count.

    Raises
    ------
    ImageFileError
        For an animation, interlaced or turned pixels, fewer than 8 bits, and damage.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.chunks, self.stream, losses = _outline(file)
        self.header = header_in(self.chunks)
        if is_animated(self.chunks) or self.header.interlace or self.header.bits < 8:
            raise ImageFileError(
                "PNG that is animated, interlaced or of fewer than 8 bits is not read by rows"
            )
        by_name = {chunk.name: bytes(chunk.content) for chunk in self.chunks}
        self.key = by_name.get(b"tRNS") if self.header.kind in (GREY, RGB) else None
        self.table = self._table(len(by_name.get(b"PLTE", b"")) // 3) if self.header.kind == PALETTE else None
        self.picture = self._described(losses)
        self.line = self.header.width * _CHANNELS[self.header.kind] * self.header.bits // 8
        self.rewind()

    def _described(self, losses: list[str]) -> Picture:
        header = self.header
        pixel = self._coloured(np.zeros((1, 1, _CHANNELS[header.kind]), "u2" if header.bits == 16 else "u1"))
        samples = pixel.shape[2] if pixel.ndim == 3 else 1
        picture = Picture([], "grey" if samples < 3 else "rgb", samples in (2, 4), form="PNG")
        picture.frames = [np.broadcast_to(pixel, (header.height, header.width, *pixel.shape[2:]))]
        if self.table is not None:
            picture.notes.append("palette expanded to colours")
        picture.metadata, picture.losses = pngmetadata.read(self.chunks)
        picture.losses += losses
        if upright(picture) != 1:
            raise ImageFileError("PNG whose pixels are turned is not read by rows")
        return picture

    def _table(self, count: int) -> Array:
        """Return the colours of a palette, as a decoder has them."""
        row = zlib.compress(b"\0" + bytes(range(count)))
        header = self.header._replace(width=max(1, count), height=1)
        colours: Array = pixels(header, self.chunks, [chunk_of(b"IDAT", row)])[0]
        return colours

    def rewind(self) -> None:
        """Begin anew at the top."""
        self.row = 0
        self.above = bytes(self.line)
        self.inflater = zlib.decompressobj()
        self.packed = b""
        self.chunk, self.place, self.checksum = 0, 0, zlib.crc32(b"IDAT")

    def next_rows(self, count: int) -> Array:
        """Return so many rows, those that follow the last ones."""
        header = self.header
        data = self._inflated(count * (1 + self.line))
        kind = GREY if header.kind == PALETTE else header.kind
        start = struct.pack(">LLBBBBB", header.width, count + 1, header.bits, kind, 0, 0, 0)
        rows = _stored(b"".join([b"\0", self.above, data]))
        parts = [SIGNATURE, chunk_of(b"IHDR", start), *rows, chunk_of(b"IEND", b"")]
        try:
            frame: Array = np.asarray(imagecodecs.png_decode(b"".join(parts)))[1:]
        except imagecodecs.PngError as error:
            raise ImageFileError(f"damaged PNG file ({error}); get a whole copy") from error
        self.above = frame[-1].astype(frame.dtype.newbyteorder(">")).tobytes()
        self.row += count
        if self.row == header.height:
            while self._read():  # for the checksums of what follows
                pass
        return self._coloured(frame)

    def _coloured(self, frame: Array) -> Array:
        """Return pixels of samples: (H, W) or (H, W, C)."""
        samples = frame.reshape(*frame.shape[:2], -1)
        if self.table is not None:
            if int(samples.max()) >= len(self.table):
                raise ImageFileError("damaged PNG file (a colour beyond its palette); get a whole copy")
            return np.asarray(self.table[samples[..., 0]])
        if self.key is not None:
            return with_alpha(samples, self.key, self.header)
        return samples[..., 0] if samples.shape[2] == 1 else samples

    def _inflated(self, size: int) -> bytes:
        """Inflate so many bytes."""
        parts, left = [], size
        try:
            while left:
                if not self.packed and not self.inflater.eof:
                    self.packed = self._read()
                if not self.packed or self.inflater.eof:
                    raise ImageFileError("truncated PNG file (Not enough image data); get a whole copy")
                parts.append(self.inflater.decompress(self.packed, left))
                self.packed = self.inflater.unconsumed_tail
                left -= len(parts[-1])
        except zlib.error as error:
            raise ImageFileError(f"damaged PNG file ({error}); get a whole copy") from error
        return b"".join(parts)

    def _read(self) -> bytes:
        """Return more of the stream; its checksums are compared where a chunk of it ends."""
        while self.chunk < len(self.stream):
            start, length, checksum = self.stream[self.chunk]
            if self.place < length:
                self.file.seek(start + self.place)
                data = self.file.read(min(_READ, length - self.place))
                if not data:
                    raise ImageFileError("was cut off while it was read; pixels are missing")
                self.place += len(data)
                self.checksum = zlib.crc32(data, self.checksum)
                return data
            if self.checksum != checksum:
                raise ImageFileError("damaged PNG file (checksum of chunk b'IDAT'); get a whole copy")
            self.chunk, self.place, self.checksum = self.chunk + 1, 0, zlib.crc32(b"IDAT")
        return b""


def _stored(data: bytes) -> list[bytes | memoryview]:
    """Return the parts of a chunk of pixels that are not packed: zlib takes three times as long for it."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = [b"IDAT\x78\x01"]
    for place in range(0, len(data), _STORED):
        block = view[place : place + _STORED]
        size = len(block).to_bytes(2, "little")
        ends = place + _STORED >= len(data)
        parts += [bytes((ends,)) + size + (len(block) ^ 0xFFFF).to_bytes(2, "little"), block]
    parts.append(imagecodecs.deflate_adler32(data).to_bytes(4, "big"))
    chunk = b"".join(parts)
    length, checksum = len(chunk) - 4, imagecodecs.deflate_crc32(chunk)
    return [length.to_bytes(4, "big"), chunk, checksum.to_bytes(4, "big")]


def _outline(file: IO[bytes]) -> tuple[list[Chunk], list[tuple[int, int, int]], list[str]]:
    """Return the chunks that hold no pixels; place, length and checksum of the others; and what is lost."""
    file.seek(0, 2)
    size, place, name = file.tell(), len(SIGNATURE), b""
    parts, stream = [SIGNATURE], list[tuple[int, int, int]]()
    while name != b"IEND":
        file.seek(place)
        head = file.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or place + length + 12 > size:
            raise ImageFileError("truncated PNG file (its end is missing); get a whole copy")
        if name == b"IDAT":
            file.seek(place + 8 + length)
            stream.append((place + 8, length, int.from_bytes(file.read(4), "big")))
        else:
            parts.append(head + file.read(length + 4))
        place += length + 12
    if not stream:
        raise ImageFileError("damaged PNG file (no pixels); get a whole copy")
    chunks, _, losses = chunks_in(memoryview(b"".join(parts)))
    if place < size:
        file.seek(place)
        losses.append(what_follows(file.read(len(SIGNATURE)), size - place))
    return chunks, stream, losses
