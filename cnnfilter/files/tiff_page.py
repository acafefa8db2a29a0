"""One page of a TIFF file: how its samples lie in strips or tiles, and how they are unpacked.

The directories are read here and not by tifffile, which fills up short strips and skips what it does not
understand: here every byte is accounted for, and a page is refused when one is missing. All codecs are
those of imagecodecs.
"""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import imagecodecs
import numpy as np

from cnnfilter.core.missing import is_held
from cnnfilter.errors import ImageFileError
from cnnfilter.files import ifd
from cnnfilter.files.deflate import in_order
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_SIZES = 273, 274, 277, 278, 279
PLANAR, T4_OPTIONS, PREDICTOR, COLOUR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT = 284, 292, 317, 320, 338, 339
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_SIZES, JPEG_TABLES = 322, 323, 324, 325, 347
NODATA = 42113

NO_COMPRESSION, CCITT_RLE, CCITT_FAX3, CCITT_FAX4, LZW, OLD_JPEG, JPEG, DEFLATE = 1, 2, 3, 4, 5, 6, 7, 8
OLD_DEFLATE, PACKBITS, LZMA, ZSTD, WEBP, LERC = 32946, 32773, 34925, 50000, 50001, 34887
_JPEG_2000 = (33003, 33004, 33005, 34712)
_JPEG_XL = (50002, 52546)

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, SEPARATED, YCBCR = 0, 1, 2, 3, 4, 5, 6
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_FILLING = 1 << 16  # bytes that a strip may hold too many, beside as many again
_LARGEST_TILE = 1 << 22  # pixels beyond those of the image itself

_BYTE_CODECS: dict[int, Callable[..., Any]] = {
    LZW: lambda data, size: imagecodecs.lzw_decode(data, out=size),
    PACKBITS: lambda data, size: imagecodecs.packbits_decode(data, out=size),
    LZMA: lambda data, size: imagecodecs.lzma_decode(data, out=size),
    ZSTD: lambda data, size: imagecodecs.zstd_decode(data, out=size),
}
_IMAGE_CODECS: dict[int, Callable[..., Any]] = {
    WEBP: lambda data, page, shape: imagecodecs.webp_decode(data, hasalpha=page.samples == 4 or None),
    LERC: lambda data, page, shape: imagecodecs.lerc_decode(data),
    JPEG: lambda data, page, shape: page.jpeg(data, shape),
    CCITT_RLE: lambda data, page, shape: imagecodecs.ccittrle_decode(data, *shape),
    CCITT_FAX3: lambda data, page, shape: imagecodecs.ccittfax3_decode(
        data, *shape, t4options=page.number(T4_OPTIONS, 0)
    ),
    CCITT_FAX4: lambda data, page, shape: imagecodecs.ccittfax4_decode(data, *shape),
    **dict.fromkeys(_JPEG_2000, lambda data, page, shape: imagecodecs.jpeg2k_decode(data)),
    **dict.fromkeys(_JPEG_XL, lambda data, page, shape: imagecodecs.jpegxl_decode(data)),
}


@dataclass
class Page:
    """One directory of a TIFF file and the pixels that it points to."""

    block: ifd.Block
    tags: ifd.Directory

    def number(self, tag: int, default: int | None = None) -> int:
        """Return the first value of a tag."""
        return self.numbers(tag, None if default is None else (default,))[0]

    def numbers(self, tag: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Return the values of a tag as whole numbers."""
        if tag in self.tags and len(self.tags[tag].values):
            try:
                return tuple(int(value) for value in self.tags[tag].values.ravel())
            except (ValueError, OverflowError) as error:  # a float tag that holds no number
                raise ImageFileError(f"damaged TIFF file (tag {tag}); get a whole copy") from error
        if default is None:
            raise ImageFileError(f"damaged TIFF file (tag {tag} is missing); get a whole copy")
        return default

    @cached_property
    def width(self) -> int:
        """Columns."""
        return self.number(WIDTH)

    @cached_property
    def height(self) -> int:
        """Rows."""
        return self.number(HEIGHT)

    @cached_property
    def samples(self) -> int:
        """Samples a pixel."""
        return self.number(SAMPLES, 1)

    @cached_property
    def bits(self) -> int:
        """Bits a sample; 0 if they differ."""
        bits = set(self.numbers(BITS, (1,)))
        return bits.pop() if len(bits) == 1 else 0

    @cached_property
    def format(self) -> int:
        """What the bits of a sample mean."""
        formats = set(self.numbers(SAMPLE_FORMAT, (_UNSIGNED,)))
        only = formats.pop() if len(formats) == 1 else 0
        return _UNSIGNED if only == _UNDEFINED else only

    @cached_property
    def photometric(self) -> int:
        """What the samples of a pixel mean."""
        return self.number(PHOTOMETRIC, WHITE_IS_ZERO)

    @cached_property
    def compression(self) -> int:
        """The number of the codec."""
        return self.number(COMPRESSION, NO_COMPRESSION)

    @cached_property
    def dtype(self) -> np.dtype[Any] | None:
        """The type of the samples as they are unpacked; None for one that is not read."""
        sizes = {_UNSIGNED: (8, 16, 32, 64), _SIGNED: (8, 16, 32, 64), _FLOAT: (16, 32, 64)}
        if self.format == _UNSIGNED and 0 < self.bits <= 32:
            return np.dtype(f"u{next(size for size in sizes[_UNSIGNED] if size >= self.bits) // 8}")
        if self.bits in sizes.get(self.format, ()):
            return np.dtype(f"{'uif'[self.format - 1]}{self.bits // 8}")
        return None

    @cached_property
    def nodata(self) -> float | None:
        """The value that GDAL's tag declares missing, as floats of 16 bits hold it where samples are such."""
        try:
            value = float(self.tags[NODATA].text) if NODATA in self.tags else None
        except ValueError:
            return None
        if value is None or self.dtype != np.float16:
            return value
        with np.errstate(over="ignore"):
            return float(np.float16(value))

    @property
    def filling(self) -> float:
        """What left-out tiles hold: the missing value, or 0 where there is none that the samples can hold."""
        held = self.nodata is not None and self.dtype is not None and is_held(self.nodata, self.dtype)
        return self.nodata if held and self.nodata is not None else 0.0

    @property
    def is_read(self) -> bool:
        """Whether the pixels are unpacked here."""
        return (
            self.dtype is not None
            and (self.compression in (NO_COMPRESSION, DEFLATE, OLD_DEFLATE, *_BYTE_CODECS, *_IMAGE_CODECS))
            and (self.photometric != YCBCR or self.compression == JPEG)
        )

    @property
    def is_plain(self) -> bool:
        """Whether the samples lie in the file as in memory, row after row."""
        assert self.dtype is not None
        ends = [offset + size for offset, size in self.segments()]
        return (
            not self.tiled
            and self.compression == NO_COMPRESSION
            and self.bits == self.dtype.itemsize * 8
            and self.number(FILL_ORDER, 1) == 1
            and (self.number(PLANAR, 1) == 1 or self.samples == 1)
            and [offset for offset, _ in self.segments()[1:]] == ends[:-1]
            and sum(size for _, size in self.segments())
            == self.height * self.width * self.samples * self.dtype.itemsize
        )

    @property
    def tiled(self) -> bool:
        """Whether the pixels lie in tiles."""
        return TILE_OFFSETS in self.tags

    def segments(self) -> list[tuple[int, int]]:
        """Return ``(offset, length)`` of every strip or tile."""
        offsets = self.numbers(TILE_OFFSETS if self.tiled else STRIP_OFFSETS)
        sizes = self.numbers(TILE_SIZES if self.tiled else STRIP_SIZES, ())
        if not sizes and len(offsets) == 1 and self.compression == NO_COMPRESSION:
            sizes = (len(self.block.data) - offsets[0],)
        if len(sizes) != len(offsets):
            raise ImageFileError("damaged TIFF file (sizes of strips are missing); get a whole copy")
        if any(offset and not size for offset, size in zip(offsets, sizes, strict=True)):
            sizes = self._up_to_the_next(offsets, sizes)
        return list(zip(offsets, sizes, strict=True))

    def _up_to_the_next(self, offsets: Sequence[int], sizes: Sequence[int]) -> tuple[int, ...]:
        """Return sizes in place of those that a writer left at 0, though the segment is there."""
        ends = [*sorted(offsets), len(self.block.data)]
        return tuple(
            size if size or not offset else max(0, ends[bisect_right(ends, offset, hi=len(offsets))] - offset)
            for offset, size in zip(offsets, sizes, strict=True)
        )

    def check(self, limit: Limit) -> None:
        """Refuse a page without pixels, with more than is allowed, or with pixels beyond the end."""
        if self.width < 1 or self.height < 1 or not 1 <= self.samples <= 64:
            raise ImageFileError("damaged TIFF file (impossible size); get a whole copy")
        each = self.samples * (self.dtype.itemsize if self.dtype else 1)
        limit.spend(self.width, self.height, bytes_a_pixel=each)
        if any(offset + size > len(self.block.data) for offset, size in self.segments()):
            raise ImageFileError("truncated TIFF file (pixels beyond its end); get a whole copy")

    def read(self) -> Array:
        """Return the samples as they are in the file: (H, W, samples)."""
        assert self.dtype is not None
        planes = self.samples if self.number(PLANAR, 1) == 2 else 1
        width, height = self.segment_size()
        across, down = -(-self.width // width), -(-self.height // height)
        segments = self.segments()
        if len(segments) < planes * across * down:
            raise ImageFileError("damaged TIFF file (strips do not cover the image); get a whole copy")
        image = np.zeros((self.height, self.width, self.samples), self.dtype)
        each = self.samples // planes

        def place(index: int) -> None:
            plane, inside = divmod(index, across * down)
            top, left = inside // across * height, inside % across * width
            rows = height if self.tiled else min(height, self.height - top)
            part = image[top : top + height, left : left + width, plane * each : (plane + 1) * each]
            offset, size = segments[index]
            if size == 0:  # GDAL leaves out tiles that hold nothing
                part[...] = self.filling
                return
            data = memoryview(self.block.data)[offset : offset + size]
            part[...] = self.segment(data, rows, width, each)[: part.shape[0], : part.shape[1]]

        in_order(place, range(planes * across * down))
        return image

    def segment_size(self) -> tuple[int, int]:
        """Return width and height of a strip or tile."""
        if self.tiled:
            width, height = self.number(TILE_WIDTH), self.number(TILE_HEIGHT)
        else:
            width, height = self.width, min(self.number(ROWS_PER_STRIP, self.height), self.height)
        if min(width, height) < 1 or width * height > 4 * self.width * self.height + _LARGEST_TILE:
            raise ImageFileError("damaged TIFF file (impossible size of its tiles); get a whole copy")
        return width, height

    def segment(self, data: memoryview, rows: int, columns: int, samples: int) -> Array:
        """Unpack one strip or tile to (rows, columns, samples)."""
        if self.number(FILL_ORDER, 1) == 2 and self.compression != JPEG:
            data = memoryview(imagecodecs.bitorder_decode(bytes(data)))
        if self.compression in _IMAGE_CODECS:
            return self._decoded(data, rows, columns, samples)
        row = -(-columns * samples * self.bits // 8)
        unpacked = self._bytes(data, rows * row)
        if len(unpacked) < rows * row:
            raise ImageFileError("truncated TIFF file (a strip is too short); get a whole copy")
        return self._values(
            np.frombuffer(unpacked, np.uint8, rows * row).reshape(rows, row), columns, samples
        )

    def _decoded(self, data: memoryview, rows: int, columns: int, samples: int) -> Array:
        """Unpack a segment that is an image of its own."""
        assert self.dtype is not None
        with _decoding(self.compression):
            image = np.asarray(_IMAGE_CODECS[self.compression](bytes(data), self, (rows, columns)))
        if image.ndim not in (2, 3) or image.size == 0:
            raise ImageFileError("damaged TIFF file (a strip without pixels); get a whole copy")
        image = image.reshape(*image.shape[:2], -1)
        enough = image.shape[0] >= min(rows, self.height) and image.shape[1] >= min(columns, self.width)
        if not enough or image.shape[2] != samples or image.dtype.itemsize != self.dtype.itemsize:
            if image.dtype != bool:
                raise ImageFileError("damaged TIFF file (a strip of another kind); get a whole copy")
        return image

    def jpeg(self, data: bytes, shape: tuple[int, int]) -> Array:
        """Decode a strip or tile of JPEG, which may lean on tables that are shared."""
        tables = self.tags[JPEG_TABLES].bytes if JPEG_TABLES in self.tags else None
        space, out = {
            YCBCR: (None, "RGB"), RGB: ("RGB", "RGB"), SEPARATED: (None, "CMYK")
        }.get(self.photometric, (None, None))  # fmt: skip
        if b"JFIF" in data[:32]:
            space = None
        if self.photometric == RGB and self.samples == 4 and self.number(PLANAR, 1) == 1:
            space = out = "CMYK"  # four samples as they are, the last of which is alpha
        if b"\xff\xd9" not in data[-64:]:  # libjpeg would go on in grey
            raise ImageFileError("truncated TIFF file (a JPEG without end); get a whole copy")
        decoded: Array = imagecodecs.jpeg_decode(
            data, bitspersample=self.bits, tables=tables, colorspace=space, outcolorspace=out, shape=shape
        )
        return decoded

    def _bytes(self, data: memoryview, size: int) -> bytes | memoryview:
        """Unpack a segment whose codec knows nothing but bytes: `size` of them are needed."""
        if self.compression == NO_COMPRESSION:
            return data
        with _decoding(self.compression):
            if self.compression in (DEFLATE, OLD_DEFLATE):
                return _inflated(data, size)
            # Some writers fill up the last strip: there may be more than is needed.
            unpacked: bytes = _BYTE_CODECS[self.compression](bytes(data), 2 * size)
            return unpacked

    def _values(self, unpacked: Array, columns: int, samples: int) -> Array:
        """Undo byte order, packing of bits and predictor: (rows, columns, samples)."""
        assert self.dtype is not None
        shape, predictor = (len(unpacked), columns, samples), self.number(PREDICTOR, 1)
        if self.compression == NO_COMPRESSION:
            predictor = 1  # as libtiff has it
        if self.bits != self.dtype.itemsize * 8:
            if predictor != 1:
                raise ImageFileError(
                    f"TIFF of {self.bits} bits with predictor {predictor} is not read; unpack it"
                )
            packed = imagecodecs.packints_decode(
                unpacked.tobytes(), self.dtype, self.bits, runlen=columns * samples
            )
            return np.asarray(packed).reshape(shape)
        if predictor == 3:
            steps = unpacked.reshape(len(unpacked), -1, samples)
            planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(len(unpacked), self.dtype.itemsize, -1)
            values = np.ascontiguousarray(planes.swapaxes(1, 2)).view(self.dtype.newbyteorder(">"))
            return values.reshape(shape)
        values = unpacked.view(self.dtype.newbyteorder(self.block.order)).reshape(shape)
        if predictor == 2:
            unsigned = values.astype(self.dtype, copy=False).view(f"u{self.dtype.itemsize}")
            return np.asarray(imagecodecs.delta_decode(unsigned, axis=1)).view(self.dtype)  # 5 times cumsum
        if predictor != 1:
            raise ImageFileError(f"TIFF with predictor {predictor} is not read; convert it")
        return values


class _decoding:
    """Turn what the codecs raise into an `ImageFileError`."""

    def __init__(self, compression: int) -> None:
        self.compression = compression

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, RuntimeError | ValueError | zlib.error | OSError) and not isinstance(
            error, ImageFileError
        ):
            raise ImageFileError(
                f"damaged TIFF file (compression {self.compression}: {error}); get a whole copy"
            ) from error


def _inflated(data: memoryview, size: int) -> bytes:
    """Unpack deflated bytes, and compare the checksum at their end; a last strip may be filled up."""
    with suppress(imagecodecs.DeflateError):  # takes half the time, and does not say what is wrong
        return bytes(imagecodecs.deflate_decode(bytes(data), out=size))
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(data, size)
    if not unpacker.eof:
        unpacker.decompress(unpacker.unconsumed_tail, size + _FILLING)
    return unpacked
