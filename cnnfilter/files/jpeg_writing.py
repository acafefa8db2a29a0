"""Writing JPEG: with the tables that were read, and a large image in strips that are encoded side by side.

Each strip is encoded as an image of its own, and the strips are parted by restart markers, as standard
decoders know them: coefficients, and so pixels, are those of an image that is encoded in one piece.
"""

import io
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import Image

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pillow
from cnnfilter.files.deflate import in_order
from cnnfilter.files.jpeg import PHOTOSHOP, SCAN, segments_in
from cnnfilter.files.picture import Array, Picture

QUALITY = 90
"""Of a JPEG that was none before."""

_LONGEST = {"exif": 65_533, "xmp": 65_533 - len(b"http://ns.adobe.com/xap/1.0/\0"), "comment": 65_533}
"""Bytes of a block that one segment holds; with its length it has 65535."""

LARGE = 1 << 22
"""Pixels of an image that is worth the few bytes of its strips."""

_STRIP = 1 << 20
_UNIT = 16  # rows of the blocks that are encoded together divide it
_FRAME, _RESTARTS, _RESTART, _END = 0xC0, b"\xff\xdd\0\4", 0xD0, b"\xff\xd9"


def write(picture: Picture, file: IO[bytes], quality: int | None, threads: int | None = None) -> None:
    """Write one frame of 8 bits without alpha."""
    frame = picture.frames[0]
    if goes_in_strips(picture):
        stream = JpegStream(picture, quality)
        file.write(stream.head)
        file.writelines(stream.encoded(frame, 0, threads))
        file.write(stream.END)
        return
    image = pillow.image_of(frame)
    if picture.model == "cmyk":
        image = Image.frombuffer("CMYK", image.size, frame.tobytes(), "raw", "CMYK", 0, 1)
    progressive = picture.encoding.get("progressive", False)
    options = _coding(picture, quality) | _beside(picture)
    pillow.save(image, file, "JPEG", progressive=progressive, **options)


def goes_in_strips(picture: Picture) -> bool:
    """Tell whether an image is written in strips."""
    height, width = picture.frames[0].shape[:2]
    whole = picture.model == "cmyk" or picture.encoding.get("progressive", False)
    return height * width >= LARGE and not whole


class JpegStream:
    """A JPEG that is encoded some rows at a time.

    Parameters
    ----------
    picture : Picture
        Of whose only frame shape and type count.
    quality : int, optional

    Attributes
    ----------
    head : bytes
        What stands before the first strip.
    rows : int
        Of a strip.
    """

    END = _END
    """What stands behind the last strip."""

    def __init__(self, picture: Picture, quality: int | None) -> None:
        height, width, *channels = picture.frames[0].shape
        self.rows = max(_STRIP // width // _UNIT, 1) * _UNIT
        self.coding = _coding(picture, quality)
        row = np.zeros((1, width, *channels), np.uint8)
        encoded = _encoded(row, **self.coding, **_beside(picture))
        self.head = _with_restarts(encoded[: _pixels_of(encoded)], height, self.rows)

    def encoded(self, image: Array, first: int, threads: int | None = None) -> list[bytes]:
        """Return the strips of some rows of the image, the first of which is one of a strip."""

        def encode(top: int) -> bytes:
            strip = _encoded(image[top : top + self.rows], **self.coding)
            number = (first + top) // self.rows
            marker = bytes((0xFF, _RESTART + (number - 1) % 8)) if number else b""
            return marker + strip[_pixels_of(strip) : -len(_END)]

        return in_order(encode, range(0, len(image), self.rows), threads)


def _encoded(image: Array, **options: Any) -> bytes:
    file = io.BytesIO()
    pillow.save(pillow.image_of(image), file, "JPEG", **options)
    return file.getvalue()


def _pixels_of(data: bytes) -> int:
    """Return where the pixels of an encoded image begin."""
    *_, (_, last) = segments_in(data)
    scan = data.index(SCAN, last) + len(SCAN)
    return scan + int.from_bytes(data[scan : scan + 2], "big")


def _with_restarts(head: bytes, height: int, rows: int) -> bytes:
    """Return the head of an image of another height than the one encoded, and of strips of so many rows."""
    frame = next(place for marker, place in segments_in(head) if marker == _FRAME)
    width, components = int.from_bytes(head[frame + 3 : frame + 5], "big"), head[frame + 5]
    factors = [divmod(head[frame + 7 + 3 * index], 16) for index in range(components)]
    # Blocks of 8x8 are encoded together that are those of all colours of 8x8, 16x8 or 16x16 pixels.
    across, down = max(wide for wide, _ in factors), max(high for _, high in factors)
    units = -(-width // (8 * across)) * (rows // (8 * down))
    sized = head[: frame + 1] + height.to_bytes(2, "big") + head[frame + 3 :]
    scan = len(sized) - (len(head) - head.rindex(SCAN))
    return sized[:scan] + _RESTARTS + units.to_bytes(2, "big") + sized[scan:]


def _coding(picture: Picture, quality: int | None) -> dict[str, Any]:
    """Return what Pillow is told of how to encode: the tables that were read, or a quality."""
    encoding = picture.encoding
    if quality is None and picture.form == "JPEG" and _fits(encoding):
        return {"qtables": encoding["qtables"], "subsampling": encoding["subsampling"]}
    return {"quality": QUALITY if quality is None else quality}


def _fits(encoding: dict[str, Any]) -> bool:
    """Tell whether the tables that were read can be written."""
    tables = encoding.get("qtables", {})
    return bool(tables) and max(map(max, tables.values())) < 256 and list(tables) == list(range(len(tables)))


def _beside(picture: Picture) -> dict[str, Any]:
    """Return what Pillow is told to write beside the pixels."""
    options = pillow.options(picture.metadata, "icc_profile", "exif", "xmp", "dpi", "comment")
    for name, most in _LONGEST.items():
        if len(options.get(name, b"")) > most:
            raise ImageFileError(
                f"the {name} block of {len(options[name])} bytes is too long for JPEG; write .png"
            )
    return options | {"extra": b"".join(_photoshop(picture.metadata.photoshop or b""))}


def _photoshop(resources: bytes) -> Iterator[bytes]:
    """Yield Photoshop's resources as APP13 segments."""
    most = 65_533 - len(PHOTOSHOP)
    for place in range(0, len(resources), most):
        piece = PHOTOSHOP + resources[place : place + most]
        yield b"\xff\xed" + (len(piece) + 2).to_bytes(2, "big") + piece
