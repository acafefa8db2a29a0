"""Learn one layer of kernels from before/after pairs: equations 23 to 31, solved instead of descended."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, NamedTuple, TypeVar

import numpy as np

from cnnfilter.core.geometry import number_pair
from cnnfilter.core.threads import count
from cnnfilter.errors import ParameterError
from cnnfilter.learning.convolutionlayer import ConvolutionLayer
from cnnfilter.learning.evaluation import decibels
from cnnfilter.learning.judging import judged, mean_square
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.moments import Moments, gather_moments
from cnnfilter.learning.pairs import Array, Pair, Split, hold_out, pairs_of
from cnnfilter.learning.registration import find_shift
from cnnfilter.learning.report import LinearReport, rim_share
from cnnfilter.learning.solution import RIDGES, Solution, determination, solve
from cnnfilter.pixels.kinds import full_scale
from cnnfilter.pixels.light import srgb_to_linear

AUTO_SIZES = (3, 5, 7), (9, 11, 13, 15), (19, 23, 27, 31)
"""What "auto" tries: the next ones where the largest is the best and its rim is not empty."""
NEARLY = 0.05  # dB that nearly equal sizes may differ by
GAINS = 0.2  # dB that sizes beyond the first ones must gain
_EMPTY = 0.01  # share of a kernel's absolute weight that may lie on its rim
_PIXELS_PER_TAP = 10  # fewer and the fit follows the noise
_MOST_WEIGHTS = 31 * 31  # of one output: beyond, solving takes minutes
_CHANNELS = ("shared", "separate", "mixed")

_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Learned:
    """A filter and the report on how well it does."""

    filter: LearnedFilter
    report: LinearReport


def learn_kernel(
    before: Array | Sequence[Array],
    after: Array | Sequence[Array],
    *,
    size: int | tuple[int, int] | str = 5,
    channels: str = "shared",
    bias: bool = False,
    symmetric: bool = False,
    sum_to_one: bool = False,
    ridge: float | None = None,
    method: str = "least-squares",
    linear: bool = False,
    stride: int = 1,
    register: bool = True,
    names: Sequence[str] | None = None,
    threads: int | None = None,
) -> Learned:
    """Learn the kernel that best makes `after` from `before`.

    Saturated targets are masked, borders never enter, and a shift by whole pixels is found and taken out.
    Of one pair, every fifth band of rows is held out; of several, every fifth pair. Depths of 8 and 16 bits,
    a grey `after`, and sizes that differ by up to two pixels are made alike.

    Parameters
    ----------
    before, after : ndarray of shape (H, W) or (H, W, C), or equally long sequences of them
        uint8, uint16, int16, float32 or float64.
    size : int, (rows, columns) or "auto", default 5
        "auto" takes the one of 3, 5 and 7 with the best held-out PSNR, of nearly equals the smallest; and
        goes on to 15 and 31 while the largest is clearly the best and its rim is not empty.
    channels : "shared", "separate" or "mixed"
        One kernel for all channels; one for each; or every output from all inputs.
    bias : bool
        Add a constant to each output.
    symmetric, sum_to_one : bool
        Constrain the kernel; see `solve`.
    ridge : float, optional
        Pull towards the identity kernel, as a share of the mean diagonal element of the Gram matrix. Default:
        the one of 1e-9, 1e-6 and 1e-3 with the best held-out PSNR; of nearly equals the smallest.
    method : "least-squares" or "gradient"
    linear : bool
        Learn in linear light: the sRGB curve is undone before the kernel and applied after it.
    stride : int, default 1
        By which factor `after` is smaller; the filter is to be applied with the same stride.
    register : bool, default True
        Search for a shift of up to a quarter of the image (of its middle 768 pixels).
    names : sequence of str, optional
        What messages call the pairs.
    threads : int, optional
        Default: the processors of this process.

    Returns
    -------
    Learned
        ``.filter``, a LearnedFilter, and ``.report``, a LinearReport.

    Raises
    ------
    ParameterError, DtypeError
        If a pair cannot be used: unequal shapes or dtypes, identical or flat images, NaN, too few pixels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((40, 40))
    >>> y = 0.25 * np.roll(x, 1, 1) + 0.5 * x + 0.25 * np.roll(x, -1, 1)
    >>> learned = learn_kernel(x, y, size=3)
    >>> np.round(learned.filter.kernel().array[1], 3).tolist()
    [0.25, 0.5, 0.25]
    """
    if channels not in _CHANNELS:
        raise ParameterError(f"channels is {channels!r}: give {', '.join(_CHANNELS)}")
    if stride < 1:
        raise ParameterError(f"stride is {stride!r}: give an integer of 1 or more")
    stages = [list(map(_square, stage)) for stage in AUTO_SIZES] if size == "auto" else [[size_of(size)]]
    pairs = pairs_of(before, after, names, stride)
    if register:
        first = stages[0]
        pairs = [pair.moved(find_shift(pair, first[min(1, len(first) - 1)])) for pair in pairs]
    options: dict[str, Any] = {
        "bias": bias, "symmetric": symmetric, "sum_to_one": sum_to_one, "method": method,
    }  # fmt: skip
    task = _Task(pairs, channels, options, RIDGES if ridge is None else (ridge,), linear, count(threads))
    chosen, fits, sizes = _smallest(stages, task)
    fit = fits.tried[chosen]
    notes = _notes(options | {"ridge": fit.ridge}, chosen, channels, pairs, fits.learn)
    notes |= {"linear": True} if linear else {}
    notes |= {"stride": stride} if stride > 1 else {}
    scale = 1.0 if linear else full_scale(pairs[0].before.dtype)
    learned = LearnedFilter(
        _layers(fit.solutions, channels, scale), channels == "shared", notes=notes, linear=linear
    )
    judgement = judged(learned, fits.splits, max(sizes), task.peak)
    report = LinearReport.of(judgement, learned, task.peak)
    report.shifts = [pair.shift for pair in pairs]
    report.remarks = [remark for pair in pairs for remark in pair.remarks]
    report.sizes = {f"{u}x{v}": one.quality for (u, v), one in fits.tried.items()}
    report.method, report.channels, report.ridge = method, channels, fit.ridge
    report.linear, report.stride = linear, stride
    report.curve = fit.solutions[0].curve
    report.pixels = sum(moments.count * moments.targets for moments in fits.learn)
    known = [determination(moments.cropped(chosen), bias) for moments in fits.learn]
    report.rank, report.condition = min(rank for rank, _ in known), max(much for _, much in known)
    report.taps = fits.learn[0].cropped(chosen).taps
    if not linear:
        biased = [solve(moments.cropped(chosen), bias=True) for moments in fits.learn]
        held_out = [moments.cropped(chosen) for moments in fits.judge]
        report.psnr_with_bias = decibels(mean_square(biased, held_out), task.peak)
    return Learned(learned, report)


class _Task(NamedTuple):
    """What is to be learned, whatever the size."""

    pairs: list[Pair]
    channels: str
    options: dict[str, Any]
    ridges: Sequence[float]
    linear: bool
    threads: int

    @property
    def peak(self) -> float:
        """What PSNR is measured against: the range of an integer dtype, or of the values of floats."""
        if np.issubdtype(self.pairs[0].before.dtype, np.integer):
            return full_scale(self.pairs[0].before.dtype)
        return max(float(pair.after.max()) - float(pair.after.min()) for pair in self.pairs)


class _Fits(NamedTuple):
    """Kernels of several sizes on the same targets."""

    splits: list[Split]
    learn: list[Moments]
    judge: list[Moments]
    tried: "dict[tuple[int, int], _Fit]"


def _smallest(
    stages: list[list[tuple[int, int]]], task: _Task
) -> tuple[tuple[int, int], _Fits, list[tuple[int, int]]]:
    """Return the smallest of the best sizes, the kernels, and the sizes that were tried, stage by stage."""
    inputs = task.pairs[0].before.shape[2] if task.channels == "mixed" else 1
    sizes: list[tuple[int, int]] = []
    for number, stage in enumerate(stages):
        wanted = [*sizes, *(u for u in stage if number == 0 or u[0] * u[1] * inputs <= _MOST_WEIGHTS)]
        largest = _largest_that_fits(wanted, task.pairs)
        _require_few(largest, inputs)
        if largest in sizes:
            break
        sizes = [one for one in wanted if one[0] <= largest[0] and one[1] <= largest[1]]
        fits = _fits(sizes, largest, task)
        qualities = {one: fit.quality for one, fit in fits.tried.items()}
        chosen = smallest_of_the_best(qualities, GAINS if number else NEARLY)
        weights = np.concatenate([solution.weights for solution in fits.tried[chosen].solutions])
        if chosen != largest or rim_share(weights) <= _EMPTY or not _still_gains(fits, sizes):
            break
    return chosen, fits, sizes


def _still_gains(fits: _Fits, sizes: list[tuple[int, int]]) -> bool:
    """Whether the step to the largest size was worth as much as a step to a larger one would need to be."""
    return len(sizes) > 1 and fits.tried[sizes[-1]].quality - fits.tried[sizes[-2]].quality > GAINS


def _fits(sizes: list[tuple[int, int]], largest: tuple[int, int], task: _Task) -> _Fits:
    splits = hold_out(task.pairs, largest)
    groups = _channel_groups(task.pairs[0].before.shape[2], task.channels)
    seen = [replace(split, pair=_in_linear_light(split.pair)) for split in splits] if task.linear else splits
    learn, judge = _gathered(seen, largest, groups, task.channels, task.threads)
    peak = 1.0 if task.linear else task.peak
    tried = {one: _best_ridge(learn, judge, one, task.ridges, task.options, peak) for one in sizes}
    return _Fits(splits, learn, judge, tried)


def _in_linear_light(pair: Pair) -> Pair:
    """Return the pair as shares of white, the sRGB curve undone."""
    scale = full_scale(pair.before.dtype)
    work: Any = np.float64 if pair.before.dtype == np.float64 else np.float32
    before, after = (srgb_to_linear(image.astype(work) / work(scale)) for image in (pair.before, pair.after))
    low, high = (float(srgb_to_linear(np.array(end / scale, work))) for end in pair.ends or (0, 0))
    ends = pair.ends and (low, high)
    return pair.changed(before, after, ends)


class _Fit(NamedTuple):
    """Kernels of one size, the ridge that they were found with, and their held-out PSNR before rounding."""

    solutions: list[Solution]
    ridge: float
    quality: float


def _best_ridge(
    learn: list[Moments],
    judge: list[Moments],
    size: tuple[int, int],
    ridges: Sequence[float],
    options: dict[str, Any],
    peak: float,
) -> _Fit:
    learn, judge = ([moments.cropped(size) for moments in side] for side in (learn, judge))
    fits = {}
    for ridge in ridges:
        solutions = [solve(moments, ridge=ridge, **options) for moments in learn]
        fits[ridge] = _Fit(solutions, ridge, decibels(mean_square(solutions, judge), peak))
    return fits[smallest_of_the_best({ridge: fit.quality for ridge, fit in fits.items()})]


def smallest_of_the_best(qualities: Mapping[_Key, float], nearly: float = NEARLY) -> _Key:
    """Return the first key whose quality is within `nearly` dB of the best.

    Examples
    --------
    >>> smallest_of_the_best({3: 40.0, 5: 44.97, 7: 45.0})
    5
    """
    best = max(qualities.values())
    return next(key for key, quality in qualities.items() if quality >= best - nearly)


def _square(side: int) -> tuple[int, int]:
    return side, side


def size_of(size: object) -> tuple[int, int]:
    """Return rows and columns of a kernel to learn, if it is not too large.

    Examples
    --------
    >>> size_of(5)
    (5, 5)
    """
    if isinstance(size, str):
        raise ParameterError(f'size is {size!r}: give an odd number, (rows, columns) or "auto"')
    rows, columns = number_pair("size", size, least=1)
    if rows * columns > _MOST_WEIGHTS:
        raise ParameterError(f"size {rows}x{columns} has more than 961 weights to learn: give at most 31x31")
    return rows, columns


def _largest_that_fits(sizes: list[tuple[int, int]], pairs: list[Pair]) -> tuple[int, int]:
    for size in reversed(sizes):
        room = sum(
            max(0, p.before.shape[0] - size[0] + 1) * max(0, p.before.shape[1] - size[1] + 1) for p in pairs
        )
        if room >= 2 * _PIXELS_PER_TAP * size[0] * size[1]:
            return size
    rows, columns = sizes[0]
    height, width = pairs[0].before.shape[:2]
    raise ParameterError(
        f"too few pixels: {height}x{width} leaves {room} targets for the {rows * columns} weights of a "
        f"{rows}x{columns} kernel; {2 * _PIXELS_PER_TAP * rows * columns} are needed"
    )


def _require_few(size: tuple[int, int], inputs: int) -> None:
    weights = size[0] * size[1] * inputs
    if weights > _MOST_WEIGHTS:
        raise ParameterError(
            f"size {size[0]}x{size[1]} of {inputs} mixed channels has {weights} weights to learn: "
            f"give a smaller one, of at most {_MOST_WEIGHTS}"
        )


def _channel_groups(count: int, channels: str) -> list[list[int]]:
    return [list(range(count))] if channels == "mixed" else [[c] for c in range(count)]


def _gathered(
    splits: list[Split], size: tuple[int, int], groups: list[list[int]], channels: str, threads: int
) -> tuple[list[Moments], list[Moments]]:
    """Moments to learn from and to judge by, for each kernel (all channels together if it is shared)."""
    learn: list[list[Moments]] = [[] for _ in groups]
    judge: list[list[Moments]] = [[] for _ in groups]
    for split in splits:
        for k, group in enumerate(groups):
            found = gather_moments(split.pair, size, group, group, split.learn + split.judge, threads)
            learn[k] += found[: len(split.learn)]
            judge[k] += found[len(split.learn) :]
    if channels == "shared":
        learn, judge = ([list(itertools.chain(*side))] for side in (learn, judge))
    totals = [[reduce(add, parts) for parts in side] for side in (learn, judge)]
    for side in totals:
        for moments in side:
            if moments.count < _PIXELS_PER_TAP * moments.taps:
                raise ParameterError(
                    f"too few usable pixels: {moments.count} targets are not saturated, but "
                    f"{moments.taps} weights need {_PIXELS_PER_TAP * moments.taps} to learn and to judge"
                )
    return totals[0], totals[1]


def _layers(solutions: list[Solution], channels: str, scale: float) -> tuple[ConvolutionLayer, ...]:
    weights = np.concatenate([solution.weights for solution in solutions])
    bias = np.concatenate([solution.bias for solution in solutions]) / scale
    groups = len(solutions) if channels == "separate" else 1
    return (ConvolutionLayer(weights, bias if bias.any() else None, groups=groups),)


def _notes(
    options: dict[str, Any], size: tuple[int, int], channels: str, pairs: list[Pair], learn: list[Moments]
) -> dict[str, Any]:
    return {
        **options,
        "size": list(size),
        "channels": channels,
        "pairs": len(pairs),
        "pixels": sum(moments.count for moments in learn),
        "shifts": [list(pair.shift) for pair in pairs],
    }
