"""Two pictures that are to be a pair made alike, where that is safe; otherwise refused with the way out."""

from typing import Any

import numpy as np

from cnnfilter.errors import DtypeError, ParameterError

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]

_CUT = 2  # rows or columns that one picture may have more than the other


def matched(
    before: Array, after: Array, name: str, stride: int = 1
) -> tuple[Array, Array, int, tuple[str, ...]]:
    """Bring two images to one depth, one number of channels and one size.

    Parameters
    ----------
    before, after : ndarray of shape (H, W) or (H, W, C)
    name : str
        What messages call the pair.
    stride : int
        By which factor `after` is smaller: its values are then repeated to the size of `before`.

    Returns
    -------
    before, after : ndarray
    step : int
        One level of `after`.
    remarks : tuple of str
        What was done.

    Examples
    --------
    >>> wide, narrow = np.full((4, 6), 1000, np.uint16), np.full((4, 5), 9, np.uint8)
    >>> before, after, step, remarks = matched(wide, narrow, "a and b")
    >>> before.shape, int(after[0, 0, 0]), step
    ((4, 5, 1), 2313, 257)
    >>> print(*remarks, sep=", ")
    a and b: 16 and 8 bits, a and b: 4x6 and 4x5, cut to 4x5 at the right and below
    """
    before, after, step, remarks = _depths(before, after, name)
    before, after, more = _channels(before, after, name)
    remarks += more
    if stride > 1:
        after = _spread(before, after, name, stride)
    if before.shape[:2] != after.shape[:2]:
        before, after, more = _sizes(before, after, name)
        remarks += more
    return before, after, step, tuple(remarks)


def _depths(before: Array, after: Array, name: str) -> tuple[Array, Array, int, list[str]]:
    kinds = [image.dtype for image in (before, after)]
    if kinds[0] == kinds[1]:
        return before, after, 1, []
    if set(kinds) != {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise DtypeError(f"{name}: before is {before.dtype}, after is {after.dtype}: give equal depths")
    deep = before if before.dtype == np.uint16 else after
    if deep.size and deep.max() <= 255:
        raise DtypeError(
            f"{name}: before is {before.dtype}, after is {after.dtype}, and the one of 16 bits holds no "
            "value above 255: convert it to 8 bits"
        )
    step = 257 if after.dtype == np.uint8 else 1
    before, after = (
        image * np.uint16(257) if image.dtype == np.uint8 else image for image in (before, after)
    )
    bits = "16 and 8" if step > 1 else "8 and 16"
    return before, after, step, [f"{name}: {bits} bits"]


def _channels(before: Array, after: Array, name: str) -> tuple[Array, Array, list[str]]:
    first, second = (image.shape[2] if image.ndim == 3 else 1 for image in (before, after))
    if first == second:
        return before.reshape(*before.shape[:2], first), after.reshape(*after.shape[:2], first), []
    if second == 1:
        after = np.repeat(after.reshape(*after.shape[:2], 1), first, axis=2)
        return before, after, [f"{name}: after is grey and taken as {first} equal channels"]
    if first == 1 and all(np.array_equal(after[..., 0], after[..., c]) for c in range(1, second)):
        before = before.reshape(*before.shape[:2], 1)
        return before, after[..., :1], [f"{name}: the channels of after are equal and taken as one"]
    way = "convert before to as many channels as after has" if first == 1 else "give equal channels"
    raise ParameterError(f"{name}: before has {first} channels, after {second}: {way}")


def _spread(before: Array, after: Array, name: str, stride: int) -> Array:
    wanted = tuple(-(-length // stride) for length in before.shape[:2])
    found = after.shape[:2]
    if any(not have - 1 <= want <= have + 1 for have, want in zip(found, wanted, strict=True)):
        raise ParameterError(
            f"{name}: with stride {stride} before of {_size(before)} gives {wanted[0]}x{wanted[1]}, but "
            f"after is {_size(after)}: give another stride"
        )
    high, wide = before.shape[:2]
    return after.repeat(stride, axis=0).repeat(stride, axis=1)[:high, :wide]


def _sizes(before: Array, after: Array, name: str) -> tuple[Array, Array, list[str]]:
    (high, wide), (low, narrow) = before.shape[:2], after.shape[:2]
    if max(abs(high - low), abs(wide - narrow)) <= _CUT:
        rows, columns = min(high, low), min(wide, narrow)
        said = f"{name}: {_size(before)} and {_size(after)}, cut to {rows}x{columns} at the right and below"
        return before[:rows, :columns], after[:rows, :columns], [said]
    way = "give equal sizes"
    factor = round(high / low) if low else 0
    if factor > 1 and abs(low - high / factor) < 1 and abs(narrow - wide / factor) < 1:
        way = f"--stride {factor} learns what makes it smaller"
    raise ParameterError(f"{name}: before has {_size(before)} pixels, after {_size(after)}: {way}")


def _size(image: Array) -> str:
    return "x".join(map(str, image.shape[:2]))
