"""Deflate on several threads: rows are filtered and compressed a strip at a time, the strips joined.

Each strip is compressed by itself and ended on a byte (`zlib.Z_SYNC_FLUSH`), so that the strips one
after another are a valid stream; their checksums are combined. zlib gives up Python's lock, so strips
run side by side.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from cnnfilter.core.threads import count, run_strips
from cnnfilter.files.picture import Array
from cnnfilter.pixels import packed

FAST = 1
"""Level unless asked for another: higher ones cost several times the time for a few per cent of size."""

# Bytes of a strip: small enough for every thread to have some, large enough to be worth its start.
_LEAST, _MOST = 1 << 17, 1 << 20
_SAMPLED = 32  # one byte of so many is packed in two ways before the strip is
_SUB, _UP, _AVERAGE = 1, 2, 3
_FILTERS = (_SUB, _UP, _AVERAGE)  # Paeth's predictor doubles the time in NumPy and gains 2 % after a blur
_ADLER = 65521

T = TypeVar("T")
R = TypeVar("R")


def png_stream(image: Array, level: int = FAST, threads: int | None = None) -> Iterator[bytes]:
    """Yield in parts the zlib stream that holds the rows of a PNG.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
        uint8 or uint16.
    level : int, optional
        0 (stored) to 9.
    threads : int, optional
        Default: one for each processor of this process.
    """
    stream = PngStream(level)
    yield PngStream.HEAD
    yield from stream.packed(image, 0, rows_of(image.shape, image[0, 0].nbytes), threads, ends=True)
    yield stream.checksum.to_bytes(4, "big")


def rows_of(shape: tuple[int, ...], pixel: int) -> int:
    """Return the rows of a strip of an image of a shape whose pixels have so many bytes."""
    line = shape[1] * pixel
    return max(1, min(_MOST, max(_LEAST, shape[0] * line // 8)) // line)


class PngStream:
    """The stream of a PNG, packed some rows at a time.

    Parameters
    ----------
    level : int
        Of zlib.
    checksum : int, default 1
        Of the rows that have been packed.
    """

    HEAD = b"\x78\x01"
    """What stands before the first part; the checksum stands behind the last."""

    def __init__(self, level: int, checksum: int = 1) -> None:
        self.level, self.checksum = level, checksum

    def packed(
        self, image: Array, first: int, rows: int, threads: int | None, *, ends: bool
    ) -> Iterator[bytes]:
        """Yield the parts of the rows of an image from the `first` on, which is 0 or has the one above it.

        A part has so many `rows`; the last of all `ends` the stream.
        """
        height, pixel = len(image), image[0, 0].nbytes

        def compress(top: int) -> tuple[bytes, int, int]:
            data = _filtered(image, top, top + rows, pixel, self.level)
            packer = _packer(self.level, _strategy_of(data, self.level))
            ending = zlib.Z_FINISH if ends and top + rows >= height else zlib.Z_SYNC_FLUSH
            return packer.compress(data.data) + packer.flush(ending), zlib.adler32(data.data), data.size

        for part, strip, size in in_order(compress, range(first, height, rows), threads):
            self.checksum = _adler_of_both(self.checksum, strip, size)
            yield part


def in_order(function: Callable[[T], R], items: Sequence[T], threads: int | None = None) -> list[R]:
    """Return the results of a function of each item, worked out on several threads."""
    results: dict[int, R] = {}

    def work(first: int, last: int) -> None:
        for index in range(first, last):
            results[index] = function(items[index])

    run_strips(work, len(items), count(threads), 1)
    return [results[index] for index in range(len(items))]


def _filtered(image: Array, top: int, bottom: int, pixel: int, level: int) -> Array:
    """Return rows as a PNG stores them: one byte names the filter, the residuals follow."""
    lines = _bytes(image[max(0, top - 1) : bottom])
    if top == 0:
        lines = np.concatenate([np.zeros_like(lines[:1]), lines])
    data = np.empty((len(lines) - 1, 1 + lines.shape[1]), np.uint8)
    if level == 0:
        data[:, 0], data[:, 1:] = 0, lines[1:]
        return data
    best = min(_FILTERS, key=lambda kind: _cost(lines, kind, pixel))
    data[:, 0] = best
    _residuals(lines[1:], lines[:-1], best, pixel, data[:, 1:])
    return data


def _bytes(rows: Array) -> Array:
    """Return rows of pixels as rows of bytes, the high byte first."""
    rows = packed(rows)
    return rows.astype(rows.dtype.newbyteorder(">"), copy=False).reshape(len(rows), -1).view(np.uint8)


def _residuals(rows: Array, above: Array, kind: int, pixel: int, out: Array) -> None:
    """Write what remains of rows when each byte is predicted from those to the left and above."""
    left, here = rows[:, :-pixel], rows[:, pixel:]
    if kind == _SUB:
        out[:, :pixel] = rows[:, :pixel]
        np.subtract(here, left, out=out[:, pixel:])
    elif kind == _UP:
        np.subtract(rows, above, out=out)
    else:
        up = above[:, pixel:]
        mean: Array = left ^ up  # floor((left + up) / 2) without a ninth bit: (a & b) + ((a ^ b) >> 1)
        mean >>= 1
        mean += left & up
        out[:, :pixel] = rows[:, :pixel] - (above[:, :pixel] >> 1)
        np.subtract(here, mean, out=out[:, pixel:])


def _cost(lines: Array, kind: int, pixel: int) -> int:
    """Return the sum of the sizes of the residuals over some of the rows, libpng's measure."""
    step = max(1, len(lines) // 8)
    rows, above = lines[1::step], lines[:-1:step]
    residuals = np.empty_like(rows)
    _residuals(rows, above, kind, pixel, residuals)
    return int(np.abs(residuals.view(np.int8).astype(np.int16)).sum())


def _strategy_of(data: Array, level: int) -> int:
    """Choose whether to look for repeats in a strip: on the residuals of photographs runs alone are faster.

    The smaller of both on a sample from its middle decides: that of the strip, so that a file that is packed
    from top to bottom has the bytes of one whose image is held whole. Measured on 24 Mpx RGB, two threads: a
    noisy photograph takes 350 ms and 44.7 MB with runs, 570 ms and 48.2 MB with repeats; a tiled one 250 ms
    and 28.8 MB with runs, 130 ms and 4.8 MB with repeats.
    """
    if level != FAST:
        return zlib.Z_DEFAULT_STRATEGY
    count = max(1, len(data) // _SAMPLED)
    sample = data[(len(data) - count) // 2 :][:count]

    def size(strategy: int) -> int:
        packer = _packer(level, strategy)
        return len(packer.compress(sample.data) + packer.flush())

    return min((zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE), key=size)


def _packer(level: int, strategy: int) -> "zlib._Compress":
    return zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)


def _adler_of_both(first: int, second: int, length: int) -> int:
    """Return the Adler-32 checksum of two pieces one after the other; `length` is that of the second."""
    low, high = first & 0xFFFF, first >> 16
    low_2, high_2 = second & 0xFFFF, second >> 16
    return (high + high_2 + length * (low - 1)) % _ADLER << 16 | (low + low_2 - 1) % _ADLER
