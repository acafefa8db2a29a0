"""Animated PNG: each frame is an image of its own, laid on the canvas as a viewer does it."""

import struct
from typing import NamedTuple

import numpy as np

from cnnfilter.files import png
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Picture

_CONTROL = struct.Struct(">LLLLLHHBB")
_TO_BACKGROUND, _TO_PREVIOUS = 1, 2
_OVER = 1


class BrokenAnimation(Exception):
    """Chunks of an animation that contradict each other, in a file that is whole."""


class _Frame(NamedTuple):
    """What fcTL says, and the IDAT chunks of the frame."""

    width: int
    height: int
    x: int
    y: int
    delay: float
    disposal: int
    blending: int
    stream: list[memoryview | bytes]


def read(header: png.Header, chunks: list[png.Chunk], picture: Picture, limit: Limit) -> list[Array]:
    """Return every frame whole, and put times and number of plays into the picture.

    The still image, if it is none of the frames, is for programs that show no animation: it is left out.
    """
    animation = next(chunk.content for chunk in chunks if chunk.name == b"acTL")
    frames, apart = _frames(chunks)
    if len(animation) != 8 or len(frames) != int.from_bytes(animation[:4], "big"):
        raise BrokenAnimation("frames are missing")
    if not all(frame.stream for frame in frames):
        raise BrokenAnimation("a frame without pixels")
    limit.spend(header.width, header.height, len(frames), bytes_a_pixel=header.bytes)
    shown = _shown(header, chunks, frames)
    if apart:
        picture.losses.append("the still image beside the animation is left out")
    picture.loop = int.from_bytes(animation[4:], "big")
    picture.delays = [frame.delay for frame in frames] if len(frames) > 1 else []
    if all(frame.shape[-1] in (2, 4) and _opaque(frame) for frame in shown):
        return [
            np.ascontiguousarray(frame[..., 0] if frame.shape[-1] == 2 else frame[..., :3]) for frame in shown
        ]
    return shown


def _frames(chunks: list[png.Chunk]) -> tuple[list[_Frame], bool]:
    """Return the frames in order, and whether the still image is none of them."""
    frames: list[_Frame] = []
    number, apart = 0, False
    for name, content, whole in chunks:
        if name in (b"fcTL", b"fdAT"):
            if len(content) < 4 or int.from_bytes(content[:4], "big") != number:
                raise BrokenAnimation("frames in wrong order")
            number += 1
        if name == b"fcTL":
            frames.append(_frame(content))
        elif name == b"fdAT" and frames:
            frames[-1].stream.append(png.chunk_of(b"IDAT", bytes(content[4:])))
        elif name == b"IDAT" and frames:
            frames[-1].stream.append(whole)
        elif name == b"IDAT":
            apart = True
    return frames, apart


def _frame(content: memoryview) -> _Frame:
    if len(content) != _CONTROL.size:
        raise BrokenAnimation("control of a frame")
    _, width, height, x, y, count, parts, disposal, blending = _CONTROL.unpack(content)
    return _Frame(width, height, x, y, 1000 * count / (parts or 100), disposal, blending, [])


def _shown(header: png.Header, chunks: list[png.Chunk], frames: list[_Frame]) -> list[Array]:
    """Return the canvas as each frame leaves it, with alpha."""
    canvas: Array | None = None
    shown = []
    for index, frame in enumerate(frames):
        if not (frame.x + frame.width <= header.width and frame.y + frame.height <= header.height):
            raise BrokenAnimation("a frame beyond the picture")
        size = header._replace(width=frame.width, height=frame.height)
        new = _with_alpha(png.pixels(size, chunks, frame.stream))
        if canvas is None:
            canvas = np.zeros((header.height, header.width, new.shape[-1]), new.dtype)
        place = np.s_[frame.y : frame.y + frame.height, frame.x : frame.x + frame.width]
        before = canvas[place].copy()
        canvas[place] = _over(new, before) if frame.blending == _OVER and not _opaque(new) else new
        shown.append(canvas.copy())
        if frame.disposal == _TO_BACKGROUND or (frame.disposal == _TO_PREVIOUS and index == 0):
            canvas[place] = 0
        elif frame.disposal == _TO_PREVIOUS:
            canvas[place] = before
    return shown


def _with_alpha(frame: Array) -> Array:
    frame = frame.reshape(*frame.shape[:2], -1)
    if frame.shape[-1] in (2, 4):
        return frame
    white = np.full_like(frame[..., :1], np.iinfo(frame.dtype).max)
    return np.concatenate([frame, white], axis=-1)


def _opaque(frame: Array) -> bool:
    return bool((frame[..., -1] == np.iinfo(frame.dtype).max).all())


def _over(new: Array, old: Array) -> Array:
    """Lay one image with alpha over another, neither of them multiplied by it."""
    white = float(np.iinfo(new.dtype).max)
    above, below = new[..., -1:] / white, old[..., -1:] / white
    behind = below * (1 - above)
    alpha = above + behind
    sums = new[..., :-1] * above + old[..., :-1] * behind
    colours = np.divide(sums, alpha, out=np.zeros_like(sums), where=alpha > 0)
    mixed = np.rint(np.concatenate([colours, alpha * white], axis=-1)).astype(new.dtype)
    return np.where(old[..., -1:] > 0, mixed, new)  # on nothing even hidden colours stay
