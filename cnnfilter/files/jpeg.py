"""Reading JPEG: quantisation tables and subsampling are kept, for a filtered copy as good as its original."""

import io
import struct
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import JpegImagePlugin

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pillow
from cnnfilter.files.depth import to_full_white
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Picture, stand_upright

SCAN, _MOST_SCANS = b"\xff\xda", 200
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
PHOTOSHOP = b"Photoshop 3.0\0"
_UNDERSTOOD = (
    PHOTOSHOP,
    b"JFIF",
    b"Exif\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"ICC_PROFILE\0",
    b"MPF\0",
    b"Adobe",
)
# JFXX thumbnails, quality settings and the like speak of the old bytes alone.
_OF_THE_ENCODER = {"APP0", "APP12", "APP14"}

_PIECE = 1 << 19
"""Bytes of the file that are decoded at a time: between two pieces other threads may hold Python's lock."""


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read grey, RGB or CMYK."""
    data = file.read()
    if deep := deep_in(data):
        return _read_deep(data, deep, limit)
    image, picture = undecoded(data)
    limit.spend(*image.size)
    with pillow.decoding("JPEG"):
        picture.frames = [pillow.pixels(image)]
    return stand_upright(picture)


def deep_in(data: bytes) -> int:
    """Return where the header is of an image that Pillow does not read: without loss, or of 12 bits; or 0.

    Files of more scans than any encoder writes are refused.
    """
    segments = list(segments_in(data))
    start = segments[-1][1] if segments else 0  # what comes before may hold any bytes
    if data.count(SCAN, start) > _MOST_SCANS:  # each of them costs the time of a whole image
        raise ImageFileError(f"damaged JPEG file (more than {_MOST_SCANS} scans); get a whole copy")
    return next((place for marker, place in segments if _is_deep(data, marker, place)), 0)


def undecoded(data: bytes) -> tuple[Any, Picture]:
    """Return an image of Pillow that is yet to be decoded, and what is known of it: no frames."""
    with pillow.decoding("JPEG"):
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        image.decodermaxblock = _PIECE
        encoding: dict[str, Any] = {
            "qtables": dict(image.quantization),
            "subsampling": _subsampling(image),
            "progressive": bool(image.info.get("progressive")),
        }
        kept = pillow.metadata(image.info)
        kept.dpi = _dpi(image.info)
        model, _ = pillow.MODELS[image.mode]
    picture = Picture([], model, metadata=kept, encoding=encoding)
    x, y = image.info.get("jfif_density", (1, 1))
    if image.info.get("jfif_unit") == 0 and x != y:
        picture.losses.append(f"the shape of the pixels ({x}:{y}) left out")
    _take_blocks(picture, image.applist)
    if "mp" in image.info:
        picture.losses.append("only the first picture of this multi-picture JPEG is kept")
    else:
        picture.losses += _what_follows(data, max((place for _, place in segments_in(data)), default=0))
    return image, picture


def _subsampling(image: Any) -> int:
    """Return Pillow's number of 4:4:4, 4:2:2 or 4:2:0; it writes no other, and 4:4:4 loses nothing."""
    return max(0, JpegImagePlugin.get_sampling(image)) if len(image.layer) == 3 else -1


def _take_blocks(picture: Picture, blocks: list[tuple[str, bytes]]) -> None:
    """Keep Photoshop's resources and the first comment, and tell what else is left out."""
    resources = b"".join(block[len(PHOTOSHOP) :] for _, block in blocks if block.startswith(PHOTOSHOP))
    if resources:
        from cnnfilter.files.photoshop import without_thumbnails

        picture.metadata.photoshop = without_thumbnails(resources) or None
    comments = [block for name, block in blocks if name == "COM"]
    if comments:
        picture.metadata.text["Comment"] = comments[0].decode("utf-8", "surrogateescape")
    picture.losses += ["a second comment is left out"] * (len(comments) > 1)
    others = {name for name, block in blocks if name != "COM" and not block.startswith(_UNDERSTOOD)}
    picture.losses += [f"the {name} block is left out" for name in sorted(others - _OF_THE_ENCODER)]


def segments_in(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment of a JPEG before its pixels, and the place of its content."""
    place = 2
    while data[place : place + 1] == b"\xff" and data[place : place + 2] != SCAN:
        yield data[place + 1] if place + 1 < len(data) else 0, place + 4
        place += 2 + max(2, int.from_bytes(data[place + 2 : place + 4], "big"))


def _is_deep(data: bytes, marker: int, place: int) -> bool:
    """Whether a segment is the header of an image that Pillow does not read: without loss, or of 12 bits."""
    header = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
    return header and (marker in _LOSSLESS or data[place : place + 1] != b"\x08")


def _read_deep(data: bytes, place: int, limit: Limit) -> Picture:
    """Read 2 to 16 bits, with or without loss, as 8 or 16 bits; nothing but the pixels."""
    bits, height, width = struct.unpack_from(">BHH", data.ljust(place + 5, b"\0"), place)
    limit.spend(width, height, bytes_a_pixel=8)
    if data.find(b"\xff\xd9", place) < 0:  # the decoder would make up what is missing
        raise ImageFileError("truncated JPEG file (its end is missing); get a whole copy")
    import imagecodecs  # not needed by the JPEG of every day

    try:
        frame: Array = np.asarray(imagecodecs.jpeg_decode(data, bitspersample=bits))
    except (RuntimeError, ValueError) as error:
        raise ImageFileError(f"damaged or truncated JPEG file ({error}); get a whole copy") from error
    if frame.shape[:2] != (height, width) or frame.ndim not in (2, 3):
        raise ImageFileError("damaged JPEG file (another size than its header says); get a whole copy")
    picture = Picture([], "rgb" if frame.ndim == 3 else "grey")
    picture.frames = [to_full_white(frame, 2**bits - 1, picture.notes)]
    picture.losses.append(f"what a JPEG of {bits} bits or without loss holds beside its pixels is left out")
    return picture


def _what_follows(data: bytes, place: int) -> list[str]:
    """Tell what the file holds behind the end of its first image, fill bytes but for."""
    end = data.find(b"\xff\xd9", place)
    rest = data[end + 2 :].strip(b"\0\r\n ") if end >= 0 else b""
    if rest.startswith(b"\xff\xd8\xff"):
        return ["another image follows the first one and is left out; split the file"]
    return [f"{len(rest)} bytes that follow the image are left out"] if rest else []


def _dpi(info: dict[Any, Any]) -> tuple[float, float] | None:
    """Return the resolution of the JFIF header; that of EXIF stays in its block, and Pillow makes one up."""
    inches = {1: 1.0, 2: 2.54}.get(info.get("jfif_unit", 0))
    x, y = info.get("jfif_density", (0, 0))
    return (x * inches, y * inches) if inches and x and y else None
