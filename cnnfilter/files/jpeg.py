"""JPEG: quantisation tables and subsampling are kept, so that a filtered copy is as good as its original."""

import io
import struct
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import Image, JpegImagePlugin

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pillow
from cnnfilter.files.depth import to_full_white
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Picture, stand_upright

_SCAN, _MOST_SCANS = b"\xff\xda", 200
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
_PHOTOSHOP = b"Photoshop 3.0\0"
_UNDERSTOOD = (
    _PHOTOSHOP,
    b"JFIF",
    b"Exif\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"ICC_PROFILE\0",
    b"MPF\0",
    b"Adobe",
)
# JFXX thumbnails, quality settings and the like speak of the old bytes alone.
_OF_THE_ENCODER = {"APP0", "APP12", "APP14"}

QUALITY = 90
"""Of a JPEG that was none before."""

_LONGEST = {"exif": 65_533, "xmp": 65_533 - len(b"http://ns.adobe.com/xap/1.0/\0"), "comment": 65_533}
"""Bytes of a block that one segment holds; with its length it has 65535."""


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read grey, RGB or CMYK."""
    data = file.read()
    segments = list(_before_the_pixels(data))
    start = segments[-1][1] if segments else 0  # what comes before may hold any bytes
    if data.count(_SCAN, start) > _MOST_SCANS:  # each of them costs the time of a whole image
        raise ImageFileError(f"damaged JPEG file (more than {_MOST_SCANS} scans); get a whole copy")
    if deep := next((place for marker, place in segments if _is_deep(data, marker, place)), 0):
        return _read_deep(data, deep, limit)
    with pillow.decoding("JPEG"):
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        limit.spend(*image.size)
        encoding: dict[str, Any] = {
            "qtables": dict(image.quantization),
            "subsampling": _subsampling(image),
            "progressive": bool(image.info.get("progressive")),
        }
        kept = pillow.metadata(image.info)
        kept.dpi = _dpi(image.info)
        model, _ = pillow.MODELS[image.mode]
        frame = pillow.pixels(image)
    picture = Picture([frame], model, metadata=kept, encoding=encoding)
    x, y = image.info.get("jfif_density", (1, 1))
    if image.info.get("jfif_unit") == 0 and x != y:
        picture.losses.append(f"the shape of the pixels ({x}:{y}) left out")
    _take_blocks(picture, image.applist)
    if "mp" in image.info:
        picture.losses.append("only the first picture of this multi-picture JPEG is kept")
    else:
        picture.losses += _what_follows(data, segments[-1][1] if segments else 0)
    return stand_upright(picture)


def _subsampling(image: Any) -> int:
    """Return Pillow's number of 4:4:4, 4:2:2 or 4:2:0; it writes no other, and 4:4:4 loses nothing."""
    return max(0, JpegImagePlugin.get_sampling(image)) if len(image.layer) == 3 else -1


def _take_blocks(picture: Picture, blocks: list[tuple[str, bytes]]) -> None:
    """Keep Photoshop's resources and the first comment, and tell what else is left out."""
    resources = b"".join(block[len(_PHOTOSHOP) :] for _, block in blocks if block.startswith(_PHOTOSHOP))
    if resources:
        from cnnfilter.files.photoshop import without_thumbnails

        picture.metadata.photoshop = without_thumbnails(resources) or None
    comments = [block for name, block in blocks if name == "COM"]
    if comments:
        picture.metadata.text["Comment"] = comments[0].decode("utf-8", "surrogateescape")
    picture.losses += ["a second comment is left out"] * (len(comments) > 1)
    others = {name for name, block in blocks if name != "COM" and not block.startswith(_UNDERSTOOD)}
    picture.losses += [f"the {name} block is left out" for name in sorted(others - _OF_THE_ENCODER)]


def _before_the_pixels(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker of each segment before the pixels, and the place of its content."""
    place = 2
    while data[place : place + 1] == b"\xff" and data[place : place + 2] != _SCAN:
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


def write(picture: Picture, file: IO[bytes], quality: int | None) -> None:
    """Write one frame of 8 bits without alpha."""
    frame = picture.frames[0]
    options = pillow.options(picture.metadata, "icc_profile", "exif", "xmp", "dpi", "comment")
    for name, most in _LONGEST.items():
        if len(options.get(name, b"")) > most:
            raise ImageFileError(
                f"the {name} block of {len(options[name])} bytes is too long for JPEG; write .png"
            )
    options["extra"] = _segments(picture.metadata.photoshop or b"")
    image = pillow.image_of(frame)
    if picture.model == "cmyk":
        image = Image.frombuffer("CMYK", image.size, frame.tobytes(), "raw", "CMYK", 0, 1)
    encoding = picture.encoding
    if quality is None and picture.form == "JPEG" and _fits(encoding, image):
        options |= {"qtables": encoding["qtables"], "subsampling": encoding["subsampling"]}
    else:
        options["quality"] = QUALITY if quality is None else quality
    pillow.save(image, file, "JPEG", progressive=encoding.get("progressive", False), **options)


def _segments(resources: bytes) -> bytes:
    """Return Photoshop's resources as APP13 segments."""
    most = 65_533 - len(_PHOTOSHOP)
    pieces = [_PHOTOSHOP + resources[place : place + most] for place in range(0, len(resources), most)]
    return b"".join(b"\xff\xed" + (len(piece) + 2).to_bytes(2, "big") + piece for piece in pieces)


def _fits(encoding: dict[str, Any], image: Image.Image) -> bool:
    """Tell whether the tables that were read can be written for this image."""
    tables = encoding.get("qtables", {})
    return bool(tables) and max(map(max, tables.values())) < 256 and list(tables) == list(range(len(tables)))
