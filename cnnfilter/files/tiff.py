"""Reading TIFF: every page, with 8, 16, 32 or 64 bits a sample, which Pillow cannot do.

Strips and tiles without compression or with deflate are unpacked here; other compressions of bytes
(LZW, PackBits, Zstandard) by Pillow's libtiff, which is told that the bytes are a grey image. What is
not rows of whole bytes (bi-level, palette, JPEG) Pillow reads as it is.
"""

import io
import zlib
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import TiffImagePlugin

from cnnfilter.errors import ImageFileError
from cnnfilter.files import exif, ifd, pillow
from cnnfilter.files.deflate import in_order
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Metadata, Model, Picture

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_SIZES = 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR = 282, 283, 284, 296, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_SIZES, EXTRA_SAMPLES, SAMPLE_FORMAT = 322, 323, 324, 325, 338, 339
XMP, ICC = 700, 34675

NO_COMPRESSION, DEFLATE, OLD_DEFLATE = 1, 8, 32946
_BYTE_COMPRESSIONS = {
    NO_COMPRESSION: "",
    DEFLATE: "",
    OLD_DEFLATE: "",
    5: "LZW",
    32773: "PackBits",
    34925: "LZMA",
    50000: "Zstandard",
}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, SEPARATED = 0, 1, 2, 5
_DTYPES = {(8, 1): "u1", (16, 1): "u2", (16, 2): "i2", (32, 3): "f4", (64, 3): "f8"}
_UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
TEXTS = {270: "ImageDescription", 305: "Software", 306: "DateTime", 315: "Artist", 33432: "Copyright"}
_REDUCED_OR_MASK = 0b101


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read every page, but no reduced copies and no masks."""
    block = ifd.Block(file.read())
    picture = Picture([])
    offset, seen = block.first, set()
    index = 0
    while offset and offset not in seen:
        seen.add(offset)
        page = _Page(block, block.directory(offset))
        if not page.number(SUBFILE, 0) & _REDUCED_OR_MASK:
            limit.spend(page.width, page.height)
            _add(picture, page, index)
        offset = block.next(offset)
        index += 1
    if not picture.frames:
        raise ImageFileError("damaged TIFF file (no page in it); get a whole copy")
    return picture


def _add(picture: Picture, page: "_Page", index: int) -> None:
    """Read one page into a picture."""
    page.check_whole()
    if page.is_bytes:
        frame, model, alpha = page.read(picture.notes)
    else:
        frame, model, alpha = _read_with_pillow(page, index, picture.notes)
    frame = np.ascontiguousarray(exif.turn(frame, page.number(ORIENTATION, 1)))
    if not picture.frames:
        picture.model, picture.alpha = model, alpha
        picture.metadata = page.metadata()
        picture.encoding["compressed"] = page.compression != NO_COMPRESSION
    elif (picture.model, picture.alpha, picture.dtype) != (model, alpha, frame.dtype):
        raise ImageFileError(
            f"page {index + 1} has another kind of pixels than page 1; split the file into pages"
        )
    picture.frames.append(frame)


def _read_with_pillow(page: "_Page", index: int, notes: list[str]) -> tuple[Array, Model, bool]:
    if max(page.bits) > 8 or page.format not in (1, 4):
        raise ImageFileError(
            f"TIFF of {max(page.bits)} bits a sample (format {page.format}, compression {page.compression}, "
            f"photometric {page.photometric}) is not read; convert it to plain 8 or 16 bits, or to float"
        )
    pillow.silence_libtiff()
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(page.block.data))
    image.seek(index)
    image._size = (page.width, page.height)
    expanded = image.convert("RGB") if image.mode == "RGBX" else pillow.expanded(image, notes)
    return np.asarray(expanded), *pillow.MODELS[expanded.mode]


@dataclass
class _Page:
    """One directory of a TIFF file and the pixels that it points to."""

    block: ifd.Block
    tags: ifd.Directory

    def number(self, tag: int, default: int | None = None) -> int:
        return self.numbers(tag, None if default is None else (default,))[0]

    def numbers(self, tag: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        if tag in self.tags and len(self.tags[tag].values):
            return tuple(int(value) for value in self.tags[tag].values.ravel())
        if default is None:
            raise ImageFileError(f"damaged TIFF file (tag {tag} is missing); get a whole copy")
        return default

    @property
    def width(self) -> int:
        return self.number(WIDTH)

    @property
    def height(self) -> int:
        return self.number(HEIGHT)

    @property
    def samples(self) -> int:
        return self.number(SAMPLES, 1)

    @property
    def bits(self) -> tuple[int, ...]:
        return self.numbers(BITS, (1,))

    @property
    def format(self) -> int:
        return self.number(SAMPLE_FORMAT, 1)

    @property
    def photometric(self) -> int:
        return self.number(PHOTOMETRIC, WHITE_IS_ZERO)

    @property
    def compression(self) -> int:
        return self.number(COMPRESSION, NO_COMPRESSION)

    @property
    def dtype(self) -> np.dtype[Any] | None:
        name = _DTYPES.get((self.bits[0], self.format))
        return np.dtype(name) if name and len(set(self.bits)) == 1 else None

    @property
    def is_bytes(self) -> bool:
        """Whether the pixels are rows of whole bytes that are unpacked here."""
        return (
            self.dtype is not None
            and self.compression in _BYTE_COMPRESSIONS
            and self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, SEPARATED)
            and self.number(FILL_ORDER, 1) == 1
            and self.number(PREDICTOR, 1) in (1, 2, 3)
        )

    @property
    def tiled(self) -> bool:
        return TILE_OFFSETS in self.tags

    def segments(self) -> list[tuple[int, int]]:
        """Return ``(offset, length)`` of every strip or tile."""
        offsets = self.numbers(TILE_OFFSETS if self.tiled else STRIP_OFFSETS)
        sizes = self.numbers(TILE_SIZES if self.tiled else STRIP_SIZES, ())
        if not sizes and len(offsets) == 1 and self.compression == NO_COMPRESSION:
            sizes = (len(self.block.data) - offsets[0],)
        if len(sizes) != len(offsets):
            raise ImageFileError("damaged TIFF file (sizes of strips are missing); get a whole copy")
        return list(zip(offsets, sizes, strict=True))

    def check_whole(self) -> None:
        """Refuse a page without pixels, or with pixels beyond the end of the file."""
        if self.width < 1 or self.height < 1 or not 1 <= self.samples <= 64:
            raise ImageFileError("damaged TIFF file (impossible size); get a whole copy")
        if any(offset + size > len(self.block.data) for offset, size in self.segments()):
            raise ImageFileError("truncated TIFF file (pixels beyond its end); get a whole copy")

    def read(self, notes: list[str]) -> tuple[Array, Model, bool]:
        """Return the pixels, what their channels mean, and whether the last is alpha."""
        segments = self.segments()
        if self.number(PLANAR, 1) == 2 and self.samples > 1:
            each = len(segments) // self.samples
            planes = [self._plane(segments[i * each : (i + 1) * each], 1) for i in range(self.samples)]
            frame = np.concatenate(planes, axis=-1)
        else:
            frame = self._plane(segments, self.samples)
        return self._meaning(frame, notes)

    def _plane(self, segments: list[tuple[int, int]], samples: int) -> Array:
        """Unpack segments to (H, W, samples)."""
        if self.tiled:
            width, height = self.number(TILE_WIDTH), self.number(TILE_HEIGHT)
            across = -(-self.width // max(1, width))
            rows = height * across * -(-self.height // max(1, height))
        else:
            width, height = self.width, min(self.number(ROWS_PER_STRIP, self.height), self.height)
            across, rows = 1, self.height
        assert self.dtype is not None
        row = width * samples * self.dtype.itemsize
        if min(width, height) < 1 or len(segments) < -(-rows // height) or rows * row > 1 << 40:
            raise ImageFileError("damaged TIFF file (strips do not cover the image); get a whole copy")
        unpacked = self._unpacked(segments[: -(-rows // height)], rows, row, height)
        pixels = self._values(unpacked, width, samples)
        if self.tiled:
            tiles = pixels.reshape(-1, across, height, width, samples)
            pixels = tiles.swapaxes(1, 2).reshape(-1, across * width, samples)
        return pixels[: self.height, : self.width]

    def _unpacked(self, segments: list[tuple[int, int]], rows: int, row: int, each: int) -> Array:
        """Return the bytes of all segments, one above the other: (rows, row)."""
        view = memoryview(self.block.data)
        heights = [min(each, rows - top) for top in range(0, rows, each)]
        if self.compression not in (NO_COMPRESSION, DEFLATE, OLD_DEFLATE):
            return _unpacked_by_libtiff(view, segments, rows, row, each, self.compression)

        def unpack(item: tuple[tuple[int, int], int]) -> bytes | memoryview:
            (offset, size), height = item
            data: bytes | memoryview = view[offset : offset + size]
            if self.compression != NO_COMPRESSION:
                data = zlib.decompressobj().decompress(data, height * row)
            if len(data) < height * row:
                raise ImageFileError("truncated TIFF file (a strip is too short); get a whole copy")
            return data[: height * row]

        parts = in_order(unpack, list(zip(segments, heights, strict=True)))
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        return np.frombuffer(data, np.uint8).reshape(rows, row)

    def _values(self, unpacked: Array, width: int, samples: int) -> Array:
        """Undo the predictor and the byte order: (rows, width, samples)."""
        assert self.dtype is not None
        size, predictor = self.dtype.itemsize, self.number(PREDICTOR, 1)
        if predictor == 3:
            steps = unpacked.reshape(len(unpacked), -1, samples)
            planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(len(unpacked), size, -1)
            values = np.ascontiguousarray(planes.swapaxes(1, 2)).view(self.dtype.newbyteorder(">"))
        else:
            values = unpacked.view(self.dtype.newbyteorder(self.block.order))
        pixels = values.reshape(len(unpacked), width, samples).astype(self.dtype, copy=False)
        if predictor == 2:
            unsigned = pixels.view(f"u{size}")
            pixels = np.cumsum(unsigned, axis=1, dtype=unsigned.dtype).view(self.dtype)
        return pixels

    def _meaning(self, frame: Array, notes: list[str]) -> tuple[Array, Model, bool]:
        colours = {RGB: 3, SEPARATED: 4}.get(self.photometric, 1)
        # One more channel than colours and not a word about it: alpha, as OpenCV writes it.
        untold = (
            (UNASSOCIATED,) if self.samples == colours + 1 else (_UNSPECIFIED,) * (self.samples - colours)
        )
        extra = self.numbers(EXTRA_SAMPLES, untold)
        if self.samples < colours or len(extra) != self.samples - colours:
            raise ImageFileError("damaged TIFF file (number of channels); get a whole copy")
        if self.photometric == WHITE_IS_ZERO and self.dtype is not None:
            if self.dtype.kind != "u":
                raise ImageFileError("signed or float TIFF with white at zero is not read; invert it first")
            frame = ~frame
        if len(extra) == 1 and extra[0] in (ASSOCIATED, UNASSOCIATED):
            if extra[0] == ASSOCIATED:
                frame = _divided(frame)
                notes.append("alpha was multiplied into the colours; written apart from them")
            return frame, ("rgb" if colours == 3 else "grey" if colours == 1 else "cmyk"), True
        if colours > 1:
            if extra:
                notes.append(f"{len(extra)} channels without a stated meaning left out")
            return frame[..., :colours], ("rgb" if colours == 3 else "cmyk"), False
        return (frame, "channels", False) if extra else (frame[..., 0], "grey", False)

    def metadata(self) -> Metadata:
        """Return what is kept beside the pixels."""
        unit = {2: 1.0, 3: 2.54}.get(self.number(RESOLUTION_UNIT, 2))
        dpi = None
        if unit and X_RESOLUTION in self.tags and Y_RESOLUTION in self.tags:
            x, y = (self.numbers(tag) for tag in (X_RESOLUTION, Y_RESOLUTION))
            if len(x) == len(y) == 2 and min(*x, *y) > 0:
                dpi = (x[0] / x[1] * unit, y[0] / y[1] * unit)
        return Metadata(
            icc=self.tags[ICC].bytes if ICC in self.tags else None,
            exif=exif.from_tags(self.tags, self.block),
            xmp=exif.upright_xmp(self.tags[XMP].bytes) if XMP in self.tags else None,
            dpi=dpi,
            text={name: self.tags[tag].text for tag, name in TEXTS.items() if tag in self.tags},
        )


def _divided(frame: Array) -> Array:
    """Take alpha, the last channel, out of the colours."""
    white = float(np.iinfo(frame.dtype).max) if frame.dtype.kind == "u" else 1.0
    alpha = frame[..., -1:].astype(np.float64)
    colours = np.divide(frame[..., :-1] * white, alpha, out=np.zeros(frame[..., :-1].shape), where=alpha > 0)
    if frame.dtype.kind != "f":
        colours = np.minimum(np.rint(colours), white)
    return np.concatenate([colours.astype(frame.dtype), frame[..., -1:]], axis=-1)


def _unpacked_by_libtiff(
    view: memoryview, segments: list[tuple[int, int]], rows: int, row: int, each: int, compression: int
) -> Array:
    """Unpack by means of a TIFF of our own, whose strips are the segments and whose pixels are bytes."""
    pillow.silence_libtiff()
    sizes = [size for _, size in segments]
    tags = {
        WIDTH: ifd.long(row),
        HEIGHT: ifd.long(rows),
        BITS: ifd.short(8),
        COMPRESSION: ifd.short(compression),
        PHOTOMETRIC: ifd.short(BLACK_IS_ZERO),
        SAMPLES: ifd.short(1),
        ROWS_PER_STRIP: ifd.long(each),
        STRIP_SIZES: ifd.long(*sizes),
        STRIP_OFFSETS: ifd.long(*sizes),
    }
    start = 8 + len(ifd.pack(tags, 8))
    ends = np.cumsum([start, *sizes])
    tags[STRIP_OFFSETS] = ifd.long(*map(int, ends[:-1]))
    strips = (view[offset : offset + size] for offset, size in segments)
    data = b"".join([b"II*\0\x08\0\0\0", ifd.pack(tags, 8), *strips])
    return np.asarray(TiffImagePlugin.TiffImageFile(io.BytesIO(data)))
