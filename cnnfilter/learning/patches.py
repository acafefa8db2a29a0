"""Where the patches of a training come from: here from pairs in memory, cut out anew for each step."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.learning.pairs import Array, Pair, Split
from cnnfilter.pixels.kinds import full_scale

if TYPE_CHECKING:
    from cnnfilter.learning.training import StackOptions

Batch = tuple[Array, Array]


class PatchSource(ABC):
    """Batches of patches to learn from, and bands of pairs to judge by.

    Attributes
    ----------
    judge : list of (Pair, slice)
        Bands of target rows that are held out.
    shifts : list of (int, int)
        That were taken out of pairs.
    """

    judge: list[tuple[Pair, slice]]
    shifts: list[tuple[int, int]]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self.judge[0][0].before.dtype

    @property
    def channels(self) -> int:
        """Channels of the pictures."""
        return int(self.judge[0][0].before.shape[2])

    @abstractmethod
    def drawn(self, options: "StackOptions", reach: int, step: int, generator: np.random.Generator) -> Batch:
        """Draw inputs (N, D, S + reach - 1, ...) and results (N, D, S, S) of a step, in pixel values."""

    @abstractmethod
    def marks(self) -> Any:
        """Return plain values by which a checkpoint knows these pictures again."""


class PairPatches(PatchSource):
    """Patches of before/after pairs.

    Parameters
    ----------
    splits : list of Split
    """

    def __init__(self, splits: list[Split]) -> None:
        self.learn = [(split.pair, band) for split in splits for band in split.learn]
        self.judge = [(split.pair, band) for split in splits for band in split.judge]
        self.shifts = [split.pair.shift for split in splits]

    def drawn(self, options: "StackOptions", reach: int, step: int, generator: np.random.Generator) -> Batch:
        """Cut patches out of bands, as often as these are large."""
        areas = np.array(
            [(band.stop - band.start) * pair.before.shape[1] for pair, band in self.learn], float
        )
        side, margin = options.patch, reach - 1
        x, wanted = empty_batch(options, reach, self.channels)
        for n, k in enumerate(generator.choice(len(areas), options.batch, p=areas / areas.sum())):
            pair, band = self.learn[k]
            targets = pair.targets((reach, reach))
            top = band.start + generator.integers(max(1, band.stop - band.start - side + 1))
            top = min(int(top), targets.shape[0] - side)
            left = int(generator.integers(targets.shape[1] - side + 1))
            channels = drawn_channels(options, self.channels, generator)
            source = pair.before[top : top + side + margin, left : left + side + margin, channels]
            x[n] = source.transpose(2, 0, 1)
            wanted[n] = targets[top : top + side, left : left + side, channels].transpose(2, 0, 1)
        return x, wanted

    def marks(self) -> list[list[int]]:
        """Return the sums of the pixels of the first pairs."""
        return [[int(x.sum(dtype=np.float64)) for x in (p.before, p.after)] for p, _ in self.learn[:20]]


def empty_batch(options: "StackOptions", reach: int, channels: int) -> Batch:
    """Make room for the patches of a step."""
    depth = 1 if options.channels == "shared" else channels
    side = options.patch
    x = np.empty((options.batch, depth, side + reach - 1, side + reach - 1), np.float32)
    return x, np.empty((options.batch, depth, side, side), np.float32)


def drawn_channels(options: "StackOptions", channels: int, generator: np.random.Generator) -> slice:
    """Draw the channel of a patch, if a stack is for one."""
    if options.channels != "shared":
        return slice(None)
    channel = int(generator.integers(channels))
    return slice(channel, channel + 1)


def turned(batch: Batch, generator: np.random.Generator) -> Batch:
    """Mirror and turn each patch and its target alike, in one of eight ways.

    Examples
    --------
    >>> x = np.arange(8.0).reshape(2, 1, 2, 2)
    >>> turned((x, x), np.random.default_rng(1))[0][0, 0].tolist()
    [[3.0, 2.0], [1.0, 0.0]]
    """
    ways = generator.integers(8, size=len(batch[0]))
    for images in batch:
        for image, way in zip(images, ways.tolist(), strict=True):
            changed = image.swapaxes(1, 2) if way & 1 else image
            image[...] = changed[:, :: -1 if way & 2 else 1, :: -1 if way & 4 else 1].copy()
    return batch


def shares(batch: Batch, dtype: np.dtype[Any]) -> Batch:
    """Divide pixel values by white."""
    peak = np.float32(full_scale(dtype))
    return batch[0] / peak, batch[1] / peak
