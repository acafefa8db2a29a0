"""How well a filter does on regions that it was not learned from, applied as it is saved."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cnnfilter.learning.evaluation import SHOWN, busiest, decibels, ssim
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.moments import Moments
from cnnfilter.learning.pairs import Array, Pair, Split
from cnnfilter.learning.solution import Solution
from cnnfilter.pixels.kinds import full_scale

_SSIM_PIXELS = 1 << 19  # of the held-out region: SSIM costs more than all the rest
_ROWS = 256  # are judged at a time
_CONTRADICTS = 4.0  # times the usual error, and two levels, within its range: the target is not clipping's


@dataclass
class Judgement:
    """What a filter makes of held-out regions, beside what is wanted there.

    Attributes
    ----------
    psnr, psnr_identity, ssim, ssim_identity : float
        Of our image, rounded and clipped, and of the unfiltered one. SSIM on at most half a megapixel.
    psnr_usable : float
        Of the unrounded result on the values that are not saturated.
    r2 : float
        Share of the variance of `after` that is explained there.
    explained : float
        Share of the squared change, or of the variance if that is less, which is explained there, with what
        rounding makes left out; NaN if beside rounding nothing was changed.
    clipped, judged : int
        Results that clipping changed, of how many.
    masked, contradicted : int
        Targets at the ends of the range, of all regions, and those of them where the filter stays well
        within it: they are not what clipping made of its results.
    detail : (before, after, ours)
        Where the pair changes most.
    """

    psnr: float
    psnr_identity: float
    psnr_usable: float
    r2: float
    explained: float
    clipped: int
    judged: int
    masked: int
    contradicted: int
    ssim: float
    ssim_identity: float
    detail: tuple[Array, ...] = field(repr=False)


class _Part(NamedTuple):
    """Some rows of targets: what the filter makes there, unrounded, beside what is given and wanted."""

    guess: Array
    given: Array
    wanted: Array
    usable: Array

    @property
    def image(self) -> Array:
        """What the filter makes, rounded and clipped."""
        if self.wanted.dtype.kind not in "iu":
            return self.guess.astype(self.wanted.dtype)
        limits = np.iinfo(self.wanted.dtype)
        return np.clip(np.rint(self.guess), limits.min, limits.max).astype(self.wanted.dtype)


def judged(learned: LearnedFilter, splits: list[Split], size: tuple[int, int], peak: float) -> Judgement:
    """Apply a filter to the bands of `splits` that are held out.

    Parameters
    ----------
    learned : LearnedFilter
    splits : list of Split
    size : (U, V)
        Of the largest kernel that was tried; it decides which pixels are targets.
    peak : float
        What PSNR is measured against.

    Returns
    -------
    Judgement
    """
    ours, still, values = 0.0, 0.0, 0
    sums, alike, looked = np.zeros(5), [], 0
    clipped = 0
    for split in splits:
        for rows in _bands(split.judge):
            part = _part(learned, split.pair, size, rows)
            image = part.image
            if image.dtype.kind in "iu":
                clipped += int(np.count_nonzero(np.rint(part.guess) != image))
            values += image.size
            ours += _sum_of_squares(image, part.wanted)
            still += _sum_of_squares(part.given, part.wanted)
            sums += _usable_sums(part)
            if looked < _SSIM_PIXELS and min(image.shape[:2]) >= 11:
                some = slice(0, max(11, (_SSIM_PIXELS - looked) // image.shape[1] + 1))
                sides = [ssim(x[some], part.wanted[some], peak) for x in (image, part.given)]
                alike.append((*sides, image[some].size))
                looked += image[some, :, 0].size
    weighed = np.array(alike)
    likeness = (
        (weighed[:, :2] * weighed[:, 2:]).sum(axis=0) / weighed[:, 2].sum() if alike else (math.nan, math.nan)
    )
    count = max(1.0, sums[0])
    error, change = sums[1] / count, sums[2] / count
    spread = max(0.0, sums[4] / count - (sums[3] / count) ** 2)
    floor = splits[0].pair.floor
    saturated, contradicted = _contradictions(learned, splits, size, _CONTRADICTS * math.sqrt(error))
    return Judgement(
        psnr=decibels(ours / values, peak),
        psnr_identity=decibels(still / values, peak),
        psnr_usable=decibels(error, peak),
        r2=float(1 - error / spread) if spread else math.nan,
        explained=_share(error, min(change, spread), floor),
        clipped=clipped,
        judged=values,
        masked=saturated,
        contradicted=contradicted,
        ssim=float(likeness[0]),
        ssim_identity=float(likeness[1]),
        detail=_detail(learned, next(split.pair for split in splits if split.judge), size),
    )


def _share(error: float, baseline: float, floor: float) -> float:
    """Share of the error of a baseline that is explained, the variance of rounding left out; NaN for none."""
    return float(1 - max(0.0, error - floor) / (baseline - floor)) if baseline > 1.05 * floor else math.nan


def _usable_sums(part: _Part) -> Array:
    """Where nothing is saturated: count, squares of error and change, targets and their squares."""
    wanted = part.wanted[part.usable].astype(np.float64)
    error = part.guess[part.usable] - wanted
    change = part.given[part.usable] - wanted
    sums = wanted.size, np.square(error).sum(), np.square(change).sum(), wanted.sum(), np.square(wanted).sum()
    return np.array(sums, float)


def _contradictions(
    learned: LearnedFilter, splits: list[Split], size: tuple[int, int], usual: float
) -> tuple[int, int]:
    """Count saturated targets, and those that the filter does not reach by more than the `usual` error."""
    saturated = contradicted = 0
    for split in splits:
        if split.pair.ends is None:
            continue
        (low, high), least = split.pair.ends, usual + 2 * split.pair.step
        for rows in _bands(split.learn + split.judge):
            wanted = split.pair.targets(size)[rows][split.pair.grid(size, rows)]
            dark, bright = wanted <= low, wanted >= high
            found = int(np.count_nonzero(dark)) + int(np.count_nonzero(bright))
            if not found:
                continue
            guess = _part(learned, split.pair, size, rows).guess
            saturated += found
            contradicted += int(np.count_nonzero(guess[dark] > low + least))
            contradicted += int(np.count_nonzero(guess[bright] < high - least))
    return saturated, contradicted


def _detail(learned: LearnedFilter, pair: Pair, size: tuple[int, int]) -> tuple[Array, ...]:
    """Before, after and ours where the pair changes most."""
    grid = pair.grid(size, slice(0, 0))
    wanted, given = (image(size)[grid] for image in (pair.targets, pair.given))
    rows, columns = busiest(given, wanted, SHOWN)
    first = grid[0].start + rows.start * pair.stride
    part = _part(learned, pair, size, slice(first, first + (rows.stop - rows.start) * pair.stride))
    return given[rows, columns], wanted[rows, columns], part.image[:, columns]


def _bands(bands: list[slice]) -> Iterator[slice]:
    for band in bands:
        for top in range(band.start, band.stop, _ROWS):
            yield slice(top, min(top + _ROWS, band.stop))


def _part(learned: LearnedFilter, pair: Pair, size: tuple[int, int], rows: slice) -> _Part:
    """Apply a filter to the rows that some targets need, and nothing beside them."""
    grid = pair.grid(size, rows)
    wanted, given = (image(size)[rows] for image in (pair.targets, pair.given))
    kernel = learned.layers[0].weights.shape[2:]
    top, left = ((size[k] - 1) // 2 - (kernel[k] - 1) // 2 for k in (0, 1))
    height, width = wanted.shape[:2]
    source = pair.before[
        rows.start + top : rows.start + top + height + kernel[0] - 1, left : left + width + kernel[1] - 1
    ]
    guess = learned.maps(source, padding=((0, 0), (0, 0)))
    guess *= guess.dtype.type(full_scale(source.dtype))
    channels = range(wanted.shape[2])
    usable = np.stack([pair.usable(size, [c], rows)[grid] for c in channels], axis=-1)
    return _Part(guess[grid], given[grid], wanted[grid], usable)


def _sum_of_squares(image: Array, wanted: Array) -> float:
    # The square of what float32 holds is more than float32 holds.
    return float(np.square(image.astype(np.float64) - wanted).sum())


def mean_square(solutions: list[Solution], moments: list[Moments]) -> float:
    """Mean squared error of the kernels of all channels, each on its moments."""
    weights = [m.count * m.targets for m in moments]
    errors = [s.mean_square(m) for s, m in zip(solutions, moments, strict=True)]
    return float(np.average(errors, weights=weights))
