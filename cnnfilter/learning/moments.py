"""The sums that least squares needs, gathered without laying out the patches.

With z = (patch, target, 1) the normal equations are parts of the matrix sum(z zᵀ). Its largest part, the
Gram matrix of the patches, holds for each pair of taps the sum of products of two shifted images. Taps in
rows u and u' with the same difference share their row products, so one small matrix product for each image
row, (V, columns) by (columns, U V), gives all of them: U times less work than multiplying patches, and
equation 27's b = Y (x) X falls out of the same products.

Sums of integer images are exact: values are centred, and a float32 product over at most 512 columns
of 8-bit values stays below 2**24 (16-bit values: float64).
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfilter.learning.pairs import Array, Pair, offset_of
from cnnfilter.nn.blas import single_threaded

_COLUMNS = 512  # largest run that is exact: 512 * 128**2 <= 2**24
_ROWS = 64  # a panel of 64 rows of 7 taps is 1 MiB; 16 rows take a third longer


@dataclass(frozen=True)
class Moments:
    """sum(z zᵀ) for z = (patch, target, 1); moments of two regions add up.

    Attributes
    ----------
    total : ndarray of shape (K + P + 1, K + P + 1), int64 or float64
        K taps ordered (channel, row, column), P targets, and the constant 1.
    size : (U, V)
    targets : int
        P.
    """

    total: Array
    size: tuple[int, int]
    targets: int

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.total + other.total, self.size, self.targets)

    @property
    def taps(self) -> int:
        """K: input channels times rows times columns."""
        return len(self.total) - self.targets - 1

    @property
    def count(self) -> int:
        """Number of target pixels."""
        return round(float(self.total[-1, -1]))

    def cropped(self, size: tuple[int, int]) -> "Moments":
        """Return the moments of a smaller kernel with the same centre and the same target pixels."""
        tops = [(self.size[k] - 1) // 2 - (size[k] - 1) // 2 for k in (0, 1)]
        channels = self.taps // (self.size[0] * self.size[1])
        index = np.arange(self.taps).reshape(channels, *self.size)
        kept = index[:, tops[0] : tops[0] + size[0], tops[1] : tops[1] + size[1]].ravel()
        kept = np.concatenate([kept, np.arange(self.taps, len(self.total))])
        return Moments(self.total[np.ix_(kept, kept)], size, self.targets)


def gather_moments(
    pair: Pair,
    size: tuple[int, int],
    inputs: Sequence[int],
    targets: Sequence[int],
    bands: Sequence[slice],
    threads: int,
) -> list[Moments]:
    """Moments of each band of target rows, saturated targets left out.

    Parameters
    ----------
    pair : Pair
    size : (U, V)
    inputs, targets : channel numbers
    bands : slices of rows of ``pair.targets(size)``
    threads : int

    Returns
    -------
    list of Moments, one for each band
    """
    pieces = [
        (k, slice(top, min(top + 256, band.stop)))
        for k, band in enumerate(bands)
        for top in range(band.start, band.stop, 256)
    ]

    def work(piece: tuple[int, slice]) -> tuple[int, Array]:
        return piece[0], _piece(pair, size, list(inputs), list(targets), piece[1])

    length = len(inputs) * size[0] * size[1] + len(targets) + 1
    dtype = np.int64 if np.issubdtype(pair.before.dtype, np.integer) else np.float64
    totals = [np.zeros((length, length), dtype) for _ in bands]
    with single_threaded() as alone, ThreadPoolExecutor(threads if alone else 1) as pool:
        for k, total in pool.map(work, pieces):  # in order: float sums are repeatable, too
            totals[k] += total.astype(dtype)
    offset = offset_of(pair.before.dtype)
    return [Moments(_uncentred(total, offset), size, len(targets)) for total in totals]


def _uncentred(total: Array, offset: int) -> Array:
    """Moments of z from those of z - offset, whose last element is still 1."""
    # With e = (1, ..., 1, 0), s = sum(z): (z + o e)(z + o e)' sums to total + o (e s' + s e') + o² n e e'.
    ones, sums = np.ones(len(total), total.dtype), total[-1] * offset
    ones[-1] = 0
    moved = total + np.outer(ones, sums) + np.outer(sums, ones)
    moved[:-1, :-1] += offset * offset * total[-1, -1]
    return np.asarray(moved)


def _piece(pair: Pair, size: tuple[int, int], inputs: list[int], targets: list[int], rows: slice) -> Array:
    usable = pair.usable(size, targets, rows)
    if pair.stride > 1:  # few have a value
        i, j = np.nonzero(usable)
        return _some_pixels(pair, size, inputs, targets, i + rows.start, j)
    total = _all_pixels(pair, size, inputs, targets, rows)
    left_out = ~usable
    if left_out.any():
        i, j = np.nonzero(left_out)
        total -= _some_pixels(pair, size, inputs, targets, i + rows.start, j)
    return total


def _all_pixels(
    pair: Pair, size: tuple[int, int], inputs: list[int], targets: list[int], rows: slice
) -> Array:
    high, wide = size
    wanted = pair.targets(size)
    columns = wanted.shape[1]
    last = rows.stop + high - 1  # one past the last input row
    depth, maps = len(inputs) * wide, len(targets)
    work = _work_dtype(pair)
    offset = work(offset_of(pair.before.dtype))
    main = np.zeros((depth, high * depth))
    head, tail = np.zeros((2, high - 1, depth, high * depth))
    cross = np.zeros((maps + 1, high * depth))
    own = np.zeros((maps + 1, maps + 1))
    panel = np.empty((_ROWS + high - 1, depth, _COLUMNS), work)
    answer = np.empty((_ROWS, maps + 1, _COLUMNS), work)
    for left, top in itertools.product(range(0, columns, _COLUMNS), range(rows.start, last, _ROWS)):
        width, bottom = min(_COLUMNS, columns - left), min(top + _ROWS, last)
        filled = min(bottom + high - 1, last)
        source = pair.before[top:filled, left : left + width + wide - 1].transpose(2, 0, 1)
        for k, c in enumerate(inputs):
            plane = source[c].astype(work) - offset
            for v in range(wide):
                panel[: filled - top, k * wide + v, :width] = plane[:, v : v + width]
        panel[filled - top :] = 0
        count = bottom - top
        window = np.lib.stride_tricks.as_strided(
            panel, (count, high * depth, width), panel.strides, writeable=False
        ).swapaxes(1, 2)
        # 'iax,ixb->iab': products of image row i with rows i, i+1, ... i+U-1
        products = np.matmul(panel[:count, :, :width], window)
        inside = slice(0, max(0, min(bottom, rows.stop) - top))
        main += products[inside].sum(axis=0, dtype=np.float64)
        _keep(head, products, top - rows.start)
        _keep(tail, products, top - rows.stop)
        if inside.stop:
            part = answer[inside, :, :width]
            aim = wanted[top : top + inside.stop, left : left + width]
            part[:, :maps] = aim[..., targets].transpose(0, 2, 1).astype(work) - offset
            part[:, maps] = 1
            cross += np.matmul(part, window[inside]).sum(axis=0, dtype=np.float64)
            own += np.matmul(part, part.swapaxes(1, 2)).sum(axis=0, dtype=np.float64)
    gram = _gram(main, head, tail, high, depth)
    order = np.arange(high * depth).reshape(high, len(inputs), wide).transpose(1, 0, 2).ravel()
    cross = cross[:, order]
    return np.block([[gram[np.ix_(order, order)], cross.T], [cross, own]])


def _keep(rows: Array, products: Array, first: int) -> None:
    """Add to `rows` those of its row products that are among `products`, which begin at row `first`."""
    low, high = max(0, first), min(len(rows), first + len(products))
    if low < high:
        rows[low:high] += products[low - first : high - first]


def _gram(main: Array, head: Array, tail: Array, high: int, depth: int) -> Array:
    """Sum over the rows that tap row u sees: the region moved down by u rows."""
    gram = np.empty((high, depth, high, depth))
    for u in range(high):
        moved = (main - head[:u].sum(axis=0) + tail[:u].sum(axis=0)).reshape(depth, high, depth)
        for w in range(u, high):
            gram[u, :, w] = moved[:, w - u]
            gram[w, :, u] = moved[:, w - u].T
    return gram.reshape(high * depth, high * depth)


def _some_pixels(
    pair: Pair, size: tuple[int, int], inputs: list[int], targets: list[int], i: Array, j: Array
) -> Array:
    """Moments of single target pixels (i, j): patches gathered tap by tap, a block at a time."""
    work = _work_dtype(pair)
    offset = work(offset_of(pair.before.dtype))
    _, width, channels = pair.before.shape
    taps = [
        (u * width + v) * channels + c
        for c, u, v in itertools.product(inputs, range(size[0]), range(size[1]))
    ]
    length = len(taps) + len(targets) + 1
    total = np.zeros((length, length))
    pixels, block = pair.before.reshape(-1), _ROWS * _COLUMNS
    wanted = pair.targets(size)
    for first in range(0, len(i), block):
        rows, columns = i[first : first + block], j[first : first + block]
        corners = (rows * width + columns) * channels
        panel = np.zeros((length, block), work)
        for k, tap in enumerate(taps):
            panel[k, : len(rows)] = pixels[tap:].take(corners)
        for k, c in enumerate(targets, len(taps)):
            panel[k, : len(rows)] = wanted[rows, columns, c]
        panel[:-1, : len(rows)] -= offset
        panel[-1, : len(rows)] = 1
        runs = panel.reshape(length, _ROWS, _COLUMNS).transpose(1, 0, 2)
        total += np.matmul(runs, runs.swapaxes(1, 2)).sum(axis=0, dtype=np.float64)
    return total


def _work_dtype(pair: Pair) -> type[np.floating[Any]]:
    return np.float32 if pair.before.dtype == np.uint8 else np.float64
