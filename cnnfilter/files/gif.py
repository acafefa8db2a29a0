"""GIF: the blocks of a file, and frames of at most 256 colours."""

import io
import math
import struct
from collections.abc import Iterator
from typing import IO

import numpy as np
from PIL import Image

from cnnfilter.core.threads import Workers, count, run_strips
from cnnfilter.errors import ImageFileError
from cnnfilter.files.picture import Array, Picture

_EXTENSION, _FRAME, _TRAILER = 0x21, 0x2C, 0x3B
_APPLICATION = 0xFF
_OF_THE_FRAMES = {b"NETSCAPE2.0", b"ANIMEXTS1.0"}
_WORDS = {b"XMP DataXMP": "XMP", b"ICCRGBG1012": "colour profile"}
_KEEP, _CLEAR = 1, 2
_SEEN = 128  # the least alpha of a pixel that is shown
_SORTED = 1 << 16
"""Most pixels that the 256 colours are sought among; of more, some in each row and column stand for all.

Median cut sorts every distinct colour: 512 x 512 of a photograph take 299 ms, a ninth of them 44, and the
colours found are as near (4.9 and 5.0 of 255 root mean square, 3.5 and 3.4, 4.3 and 4.3).
"""


def check_whole(file: IO[bytes]) -> list[str]:
    """Refuse a file that ends before its trailer; Pillow would silently leave out the last frames.

    What applications wrote down beside the frames is returned in words: it is left out. The file is put back
    to its beginning.
    """
    data = file.read()
    file.seek(0)
    blocks = [start for kind, start, _ in _parts(data) if kind == _EXTENSION]
    names = {data[start + 3 : start + 14] for start in blocks if data[start + 1] == _APPLICATION}
    words = [_WORDS.get(name, f"block {name.decode('latin-1')!r}") for name in sorted(names - _OF_THE_FRAMES)]
    return [f"{', '.join(words)} of a GIF file left out"] if words else []


def _frames(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the blocks of pixels of each frame begin and end."""
    return ((start, end) for kind, start, end in _parts(data) if kind == _FRAME)


def _parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield extensions and frames: which it is, where it begins (the pixels of a frame), and ends."""
    place = 13 + _table_size(data, 10)
    while True:
        kind = _byte(data, place)
        if kind == _TRAILER:
            return
        if kind == _EXTENSION:
            start, place = place, _after_blocks(data, place + 2)
            yield kind, start, place
        elif kind == _FRAME:
            start = place + 10 + _table_size(data, place + 9)
            place = _after_blocks(data, start + 1)
            yield kind, start, place
        else:
            raise ImageFileError("damaged GIF file (an unknown block); get a whole copy")


def _table_size(data: bytes, place: int) -> int:
    flags = _byte(data, place)
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, place: int) -> int:
    while length := _byte(data, place):
        place += 1 + length
    return place + 1


def _byte(data: bytes, place: int) -> int:
    if place >= len(data):
        raise ImageFileError("truncated GIF file (its end is missing); get a whole copy")
    return data[place]


def write(picture: Picture, file: IO[bytes], threads: int | None = None) -> None:
    """Write whole frames, each with the 256 colours that suit it best; several at a time."""
    height, width = picture.frames[0].shape[:2]
    file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
    if len(picture.frames) > 1 and picture.loop != 1:
        again = min(max(picture.loop - 1, 0), 0xFFFF)  # times after the first, 0 for ever
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", again, 0))
    comment = picture.metadata.text.get("Comment", "").encode("utf-8", "surrogateescape")
    if comment:
        file.write(b"\x21\xfe" + _blocks(comment) + b"\0")
    delays = picture.delays or [0.0] * len(picture.frames)
    # A frame is taken away where the next one lets it show through; otherwise it stays.
    clears = [picture.alpha and bool((frame[..., -1] < _SEEN).any()) for frame in picture.frames[1:]]
    disposals = [_CLEAR if cleared else _KEEP for cleared in (*clears, False)]
    made: list[tuple[bytes, list[str]]] = [(b"", [])] * len(delays)

    def make(first: int, last: int) -> None:
        for k in range(first, last):
            made[k] = _frame(picture.frames[k], picture.alpha, delays[k], disposals[k])

    run_strips(make, len(made), Workers(count(threads), len(made)), 1)
    for data, losses in made:
        file.write(data)
        for words in losses:
            picture.lose(words)
    file.write(b"\x3b")


def _blocks(data: bytes) -> bytes:
    pieces = (data[place : place + 255] for place in range(0, len(data), 255))
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def _frame(frame: Array, has_alpha: bool, delay: float, disposal: int) -> tuple[bytes, list[str]]:
    """Return a frame as control block, table of colours and compressed indices; and what is lost of it."""
    height, width = frame.shape[:2]
    losses: list[str] = []
    indices, table, hidden = _indexed(frame, has_alpha, disposal == _CLEAR, losses)
    image = Image.frombuffer("P", (width, height), indices, "raw", "P", 0, 1)
    image.putpalette(table.tobytes())
    single = io.BytesIO()
    image.save(single, "GIF", optimize=False, interlace=0)
    start, end = next(_frames(single.getvalue()))
    flags = disposal << 2 | (hidden is not None)
    control = struct.pack("<BHBB", flags, min(round(delay / 10), 0xFFFF), hidden or 0, 0)
    descriptor = struct.pack("<HHHHB", 0, 0, width, height, 0x87)
    colours = descriptor + table.tobytes()
    return b"\x21\xf9\x04" + control + b"\x2c" + colours + single.getvalue()[start:end], losses


def _indexed(
    frame: Array, has_alpha: bool, clears: bool, losses: list[str]
) -> tuple[Array, Array, int | None]:
    """Return indices, a table of 256 colours, and the index of the pixels that are not seen."""
    height, width = frame.shape[:2]
    channels = frame.reshape(height, width, -1)
    grey = channels.shape[-1] < 3
    colours = np.ascontiguousarray(channels[..., [0, 0, 0]] if grey else channels[..., :3])
    alpha = frame[..., -1] if has_alpha else np.full((height, width), 255, np.uint8)
    unseen = alpha < _SEEN
    if ((alpha > 0) & (alpha < 255)).any():
        losses.append("GIF holds no partial transparency: such pixels are shown whole or not at all")
    # Some programs clear a frame to nothing only if it has a colour for nothing.
    hidden = 255 if clears or unseen.any() else None
    most = 256 if hidden is None else 255
    words = (colours.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32))[~unseen]
    table = np.zeros((256, 3), np.uint8)
    result = np.full((height, width), 255, np.uint8)
    # Most photographs have too many colours in their first pixels already: a third of the time of a frame.
    if len(np.unique(words[:_SORTED])) <= most and len(distinct := np.unique(words)) <= most:
        indices = np.searchsorted(distinct, words)
        table[: len(distinct)] = distinct[:, None] >> np.array([16, 8, 0], np.uint32) & 255
        result[~unseen] = indices
        return result, table, hidden
    losses.append("GIF holds 256 colours a frame: more are mixed of dots")
    image = Image.frombuffer("RGB", (width, height), colours, "raw", "RGB", 0, 1)
    apart = 1 if height * width <= _SORTED else math.isqrt(height * width // _SORTED * 2) + 1
    few = Image.fromarray(colours[::apart, ::apart]).quantize(most, Image.Quantize.MEDIANCUT)
    few = image.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG)
    entries = np.frombuffer(bytes(few.getpalette() or []), np.uint8).reshape(-1, 3)[:most]
    table[: len(entries)] = entries
    result[~unseen] = np.asarray(few)[~unseen]
    return result, table, hidden
