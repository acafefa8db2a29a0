"""How pixels lie in memory: RGB within four channels, contiguous copies, rows a slice at a time."""

from collections.abc import Callable

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

from cnnfilter.core.threads import count, run_strips
from cnnfilter.masked import is_masked
from cnnfilter.pixels.kinds import Array

# Values worked on at a time: few enough for the caches, enough for two threads not to wait for each other.
_SLICE = 1 << 18
# Slices that are worth a thread of their own.
_LEAST = 2


def four_channels(array: Array) -> Array | None:
    """Return the four interleaved channels that an RGB view of shape (H, W, 3) is a part of.

    JPEG and PNG decoders give pixels of four bytes, the last without meaning. To filter and to write
    all four is faster than to take the three apart and put them together again.

    Returns
    -------
    ndarray of shape (H, W, 4), or None if the array is no such view.

    Examples
    --------
    >>> four_channels(np.zeros((2, 5, 4), np.uint8)[..., :3]).shape
    (2, 5, 4)
    >>> four_channels(np.zeros((2, 5, 3), np.uint8))
    """
    if array.ndim != 3 or array.shape[-1] != 3 or not isinstance(array.base, np.ndarray):
        return None
    if is_masked(array):  # there is no mask for the fourth
        return None
    size = array.itemsize
    shape = (*array.shape[:2], 4)
    if array.strides != (shape[1] * 4 * size, 4 * size, size):
        return None
    start, end = array.ctypes.data, array.ctypes.data + size * shape[0] * shape[1] * 4
    lowest, highest = byte_bounds(array.base)
    if start < lowest or end > highest:
        return None
    return as_strided(array, shape, array.strides, writeable=array.flags.writeable)


def packed(array: Array) -> Array:
    """Return a contiguous array; RGB out of four channels is copied a pixel at a time, not a value."""
    if is_masked(array):
        return np.ma.MaskedArray(packed(array.data), np.ma.getmaskarray(array))
    padded = four_channels(array)
    if padded is None:
        return np.ascontiguousarray(array)
    size = array.itemsize
    pixels = np.ndarray(array.shape[:2], f"V{3 * size}", padded, 0, array.strides[:2])
    return np.ascontiguousarray(pixels).view(array.dtype).reshape(array.shape)


def copy_pixels(target: Array, source: Array) -> None:
    """Copy pixels; RGB from four channels to four channels is copied with the fourth, which is faster."""
    whole = four_channels(target), four_channels(source)
    if whole[0] is not None and whole[1] is not None:
        target, source = whole[0], whole[1]
    target[...] = source


def by_slices(function: Callable[[slice], None], array: Array, threads: int | None = None) -> None:
    """Call `function(rows)` for slices of the rows of an array, on several threads."""
    rows = max(1, _SLICE // max(1, array[:1].size))

    def work(first: int, last: int) -> None:
        for top in range(first, last, rows):
            function(slice(top, min(top + rows, last)))

    run_strips(work, len(array), count(threads), rows * _LEAST)
