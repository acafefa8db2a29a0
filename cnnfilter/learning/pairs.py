"""A before/after pair: checked, aligned, its saturated targets known."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.learning.matching import matched
from cnnfilter.pixels.kinds import DTYPES
from cnnfilter.pixels.memory import packed

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]

LARGEST = 1e75
"""Of a pixel: a kernel is judged by fourth powers, which float64 still holds of it."""


@dataclass(frozen=True)
class Pair:
    """Two images of the same shape (H, W, C) and dtype, channels last, C-contiguous.

    Attributes
    ----------
    before, after : ndarray of shape (H, W, C)
    shift : (int, int)
        Rows and columns that `after` had been moved by, already taken out.
    step : int
        One level of `after`: 257 if it came with 8 bits and `before` with 16.
    stride : int
        Every so many-th row and column of `after` holds a value of its own, the others repeat it.
    ends : (float, float) or None
        Values at which `after` may be saturated.
    remarks : tuple of str
        What was done to make the two alike.
    """

    before: Array
    after: Array
    shift: tuple[int, int] = (0, 0)
    step: int = 1
    stride: int = 1
    ends: tuple[float, float] | None = None
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, before: Array, after: Array, name: str = "the pair", stride: int = 1) -> "Pair":
        """Check two images, (H, W) or (H, W, C), make them alike where that is safe, and make them a pair.

        Raises
        ------
        DtypeError
            If a dtype is not one of the image dtypes, or the two differ by more than 8 and 16 bits.
        ParameterError
            If sizes or channels do not fit, a value is NaN, infinite or beyond `LARGEST`, the images are
            equal, or one of them is flat.
        """
        for side, image in (("before", before), ("after", after)):
            if getattr(image, "dtype", None) not in DTYPES:
                found = getattr(image, "dtype", type(image).__name__)
                raise DtypeError(f"{name}: {side} is {found}: give one of {', '.join(map(str, DTYPES))}")
            if image.ndim not in (2, 3):
                raise ParameterError(f"{name}: {side} has shape {image.shape}: give (H, W) or (H, W, C)")
        before, after, step, remarks = matched(before, after, name, stride)
        if before.size == 0:
            raise ParameterError(f"{name}: the images have shape {before.shape}: no pixels")
        before, after = packed(before), packed(after)
        ends = {"before": (before.min(), before.max()), "after": (after.min(), after.max())}
        for side, (low, high) in ends.items():
            if not np.isfinite(low) or not np.isfinite(high):
                raise ParameterError(f"{name}: {side} holds NaN or infinite values: give finite pixels")
            if max(-float(low), float(high)) > LARGEST:
                raise ParameterError(
                    f"{name}: {side} holds values of up to {max(-float(low), float(high)):g}: give pixels of "
                    f"at most {LARGEST:g}"
                )
        if all(np.array_equal(one, other) for one, other in zip(before, after, strict=True)):
            raise ParameterError(f"{name}: before and after are identical: there is no filter to learn")
        for side, (low, high) in ends.items():
            if low == high:
                raise ParameterError(
                    f"{name}: {side} is flat, every value is {low}: no kernel can be learned from it"
                )
        shape = (*before.shape[:2], before.shape[2] if before.ndim == 3 else 1)
        before, after = before.reshape(shape), after.reshape(shape)
        return cls(before, after, step=step, stride=stride, ends=_ends_of(after.dtype), remarks=remarks)

    @property
    def floor(self) -> float:
        """Mean square of what rounding alone leaves of an error."""
        return self.step**2 / 12 if self.after.dtype.kind in "iu" else 0.0

    def moved(self, shift: tuple[int, int]) -> "Pair":
        """Return the pair with `shift` rows and columns of `after` taken out: the common part of both."""
        (down, right), (height, width) = shift, self.before.shape[:2]
        source = self.before[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
        target = self.after[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
        before, after = np.ascontiguousarray(source), np.ascontiguousarray(target)
        return replace(self, before=before, after=after, shift=shift)

    def changed(self, before: Array, after: Array, ends: tuple[float, float] | None) -> "Pair":
        """Return the pair with other values in place of these."""
        return replace(self, before=before, after=after, ends=ends)

    def targets(self, size: tuple[int, int]) -> Array:
        """View of `after` where a whole window of `size` lies in `before`; empty if there is none."""
        return self.after[self._middle(size)]

    def given(self, size: tuple[int, int]) -> Array:
        """View of `before` at the places of the `targets`."""
        return self.before[self._middle(size)]

    def usable(self, size: tuple[int, int], channels: list[int], rows: slice) -> Array:
        """Mask of the targets of some `rows` that have a value and are not saturated in any of `channels`."""
        wanted = self.targets(size)[rows]
        usable = np.ones(wanted.shape[:2], np.bool_)
        if self.ends is not None:
            low, high = self.ends
            for c in channels:
                usable &= (wanted[..., c] > low) & (wanted[..., c] < high)
        if self.stride > 1:
            kept = np.zeros_like(usable)
            kept[self.grid(size, rows)] = True
            usable &= kept
        return usable

    def grid(self, size: tuple[int, int], rows: slice) -> tuple[slice, slice]:
        """Which of the targets of some `rows` have a value of their own."""
        top, left = self._middle(size)
        return (
            slice(-(top.start + rows.start) % self.stride, None, self.stride),
            slice(-left.start % self.stride, None, self.stride),
        )

    def _middle(self, size: tuple[int, int]) -> tuple[slice, slice]:
        (top, left), (height, width) = ((size[0] - 1) // 2, (size[1] - 1) // 2), self.after.shape[:2]
        bottom, right = top + max(0, height - size[0] + 1), left + max(0, width - size[1] + 1)
        return slice(top, bottom), slice(left, right)


@dataclass(frozen=True)
class Split:
    """Bands of target rows of one pair: those to learn from, those to judge by."""

    pair: Pair
    learn: list[slice]
    judge: list[slice]


def pairs_of(
    before: Array | Sequence[Array],
    after: Array | Sequence[Array],
    names: Sequence[str] | None = None,
    stride: int = 1,
) -> list[Pair]:
    """Check one pair of images, or two equally long sequences of them, all of one dtype and depth.

    Messages call the pairs by `names`.
    """
    befores, afters = ([x] if isinstance(x, np.ndarray) else list(x) for x in (before, after))
    if len(befores) != len(afters) or not befores:
        raise ParameterError(f"{len(befores)} images before, {len(afters)} after: give pairs")
    if names is None:
        names = [f"pair {k + 1}" if len(befores) > 1 else "the pair" for k in range(len(befores))]
    pairs = [Pair.of(x, y, name, stride) for x, y, name in zip(befores, afters, names, strict=True)]
    for pair, name in zip(pairs, names, strict=True):
        if pair.before.dtype != pairs[0].before.dtype or pair.before.shape[2] != pairs[0].before.shape[2]:
            raise ParameterError(
                f"{name} is {pair.before.dtype} of {pair.before.shape[2]} channels, the first is "
                f"{pairs[0].before.dtype} of {pairs[0].before.shape[2]}: give pairs of one kind"
            )
    return pairs


def hold_out(pairs: list[Pair], size: tuple[int, int], least: int = 16) -> list[Split]:
    """Judge by every fifth pair; of one pair alone, by every fifth band of at least `least` rows."""
    if len(pairs) > 1:
        rows = [slice(0, len(pair.targets(size))) for pair in pairs]
        held = [k for k in range(len(pairs)) if k % 5 == 1]
        return [
            Split(pair, [], [band]) if k in held else Split(pair, [band], [])
            for k, (pair, band) in enumerate(zip(pairs, rows, strict=True))
        ]
    height = len(pairs[0].targets(size))
    if height < 2:
        raise ParameterError(
            f"an image of {len(pairs[0].after)} rows leaves {height} rows of targets, and none to judge by: "
            "give a taller image, or several pairs"
        )
    count = min(10, max(2, height // least))
    edges = np.linspace(0, height, count + 1).astype(int).tolist()
    bands = [slice(top, bottom) for top, bottom in itertools.pairwise(edges)]
    held = [k for k in range(count) if k % 5 == 1]
    learn = [band for k, band in enumerate(bands) if k not in held]
    return [Split(pairs[0], learn, [bands[k] for k in held])]


def _ends_of(dtype: np.dtype[Any]) -> tuple[float, float] | None:
    if dtype.kind not in "iu":
        return None
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def offset_of(dtype: np.dtype[Any]) -> int:
    """Middle of the range of an unsigned dtype; 0 for signed and float ones.

    Examples
    --------
    >>> offset_of(np.dtype(np.uint8)), offset_of(np.dtype(np.float64))
    (128, 0)
    """
    if not np.issubdtype(dtype, np.unsignedinteger):
        return 0
    return (int(np.iinfo(dtype).max) + 1) // 2
