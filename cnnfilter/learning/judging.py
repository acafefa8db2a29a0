"""How well learned kernels do, on regions that they were not learned from."""

import math

import numpy as np

from cnnfilter.core.linear import correlate
from cnnfilter.learning.evaluation import SHOWN, busiest, decibels, ssim
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter, sequence_of
from cnnfilter.learning.moments import Moments
from cnnfilter.learning.pairs import Array, Pair, Split
from cnnfilter.learning.report import LinearReport
from cnnfilter.learning.solution import Solution, determination, solve
from cnnfilter.pixels.kinds import full_scale

_SSIM_PIXELS = 1 << 19  # of the held-out region: SSIM costs more than all the rest


def judged(
    learned: LearnedFilter,
    solutions: list[Solution],
    splits: list[Split],
    size: tuple[int, int],
    learn: list[Moments],
    judge: list[Moments],
    peak: float,
) -> LinearReport:
    """Report on kernels by the bands of `splits` that are held out.

    Parameters
    ----------
    learned : LearnedFilter
    solutions : list of Solution
        The same kernels, in pixel values.
    splits : list of Split
    size : (U, V)
        Of the largest kernel that was tried; it decides which pixels are targets.
    learn, judge : list of Moments
        For each kernel.
    peak : float
        What PSNR is measured against.

    Returns
    -------
    LinearReport
    """
    cropped = [moments.cropped(_kernel_size(learned)) for moments in judge]
    error = mean_square(solutions, cropped)
    still = mean_square([_identity_solution(m) for m in cropped], cropped)
    spread = float(np.average([_variance(m) for m in cropped], weights=[m.count for m in cropped]))
    floor = 1 / 12 if np.issubdtype(splits[0].pair.before.dtype, np.integer) else 0.0
    known = [determination(m.cropped(_kernel_size(learned)), bool(learned.notes["bias"])) for m in learn]
    biased = [solve(moments.cropped(_kernel_size(learned)), bias=True) for moments in learn]
    report = LinearReport(
        weights=learned.layers[0].weights,
        bias=learned.layers[0].bias,
        peak=peak,
        pixels=sum(m.count * m.targets for m in learn),
        shifts=[split.pair.shift for split in splits],
        rank=min(rank for rank, _ in known),
        taps=learn[0].cropped(_kernel_size(learned)).taps,
        condition=max(condition for _, condition in known),
        r2=1 - error / spread if spread else math.nan,
        explained=1 - error / still if still else math.nan,
        share=_share(error, min(still, spread), floor),
        psnr_with_bias=decibels(mean_square(biased, cropped), peak),
        psnr_usable=decibels(error, peak),
        curve=solutions[0].curve,
        masked=sum(split.pair.targets(size).size for split in splits)
        - sum(m.count * m.targets for m in learn + judge),
    )
    _judge_pixels(report, learned, splits, size)
    return report


def _share(error: float, baseline: float, floor: float) -> float:
    """Share of the error of a baseline that is explained, the variance of rounding left out; NaN for none."""
    return 1 - max(0.0, error - floor) / (baseline - floor) if baseline > 1.05 * floor else math.nan


def _kernel_size(learned: LearnedFilter) -> tuple[int, int]:
    rows, columns = learned.layers[0].weights.shape[2:]
    return int(rows), int(columns)


def _identity_solution(moments: Moments) -> Solution:
    rows, columns = moments.size
    weights = np.zeros((moments.targets, moments.taps // (rows * columns), rows, columns))
    for p in range(moments.targets):
        weights[p, min(p, weights.shape[1] - 1), (rows - 1) // 2, (columns - 1) // 2] = 1
    return Solution(weights, np.zeros(moments.targets))


def _variance(moments: Moments) -> float:
    count = float(moments.count)
    means = moments.total[-1, moments.taps : -1] / count
    squares = np.diag(moments.total)[moments.taps : -1] / count
    return float(np.mean(squares - means * means))


def _judge_pixels(
    report: LinearReport, learned: LearnedFilter, splits: list[Split], size: tuple[int, int]
) -> None:
    """PSNR and SSIM as a user would see them: rounded and clipped, saturated pixels included."""
    ours, still, count, alike = 0.0, 0.0, 0, []
    for split in splits:
        for band in split.judge:
            for top in range(band.start, band.stop, 256):
                rows = slice(top, min(top + 256, band.stop))
                guess, given, wanted, clipped = _predicted(learned, split.pair, size, rows)
                report.clipped += clipped
                report.judged += guess.size
                ours += _sum_of_squares(guess, wanted)
                still += _sum_of_squares(given, wanted)
                if count < _SSIM_PIXELS and min(guess.shape[:2]) >= 11:
                    part = slice(0, max(11, (_SSIM_PIXELS - count) // guess.shape[1] + 1))
                    sides = [ssim(x[part], wanted[part], report.peak) for x in (guess, given)]
                    alike.append((*sides, guess[part].size))
                    count += guess[part, :, 0].size
    report.detail = _detail(learned, next(split.pair for split in splits if split.judge), size)
    report.psnr, report.psnr_identity = (
        decibels(total / report.judged, report.peak) for total in (ours, still)
    )
    if alike:
        values = np.array(alike)
        report.ssim, report.ssim_identity = (values[:, :2] * values[:, 2:]).sum(axis=0) / values[:, 2].sum()


def _detail(learned: LearnedFilter, pair: Pair, size: tuple[int, int]) -> tuple[Array, ...]:
    """Before, after and ours where the pair changes most."""
    wanted, given = pair.targets(size), Pair(pair.after, pair.before).targets(size)
    rows, columns = busiest(given, wanted, SHOWN)
    guess = _predicted(learned, pair, size, rows)[0]
    return given[rows, columns], wanted[rows, columns], guess[:, columns]


def _sum_of_squares(image: Array, wanted: Array) -> float:
    # The square of what float32 holds is more than float32 holds.
    return float(np.square(image.astype(np.float64) - wanted).sum())


def _predicted(
    learned: LearnedFilter, pair: Pair, size: tuple[int, int], rows: slice
) -> tuple[Array, Array, Array, int]:
    """Our image, the given one and the wanted one on some target rows, and how many values were clipped."""
    wanted = pair.targets(size)[rows]
    given = Pair(pair.after, pair.before).targets(size)[rows]
    kernel = _kernel_size(learned)
    top, left = ((size[k] - 1) // 2 - (kernel[k] - 1) // 2 for k in (0, 1))
    height, width = wanted.shape[:2]
    source = pair.before[
        rows.start + top : rows.start + top + height + kernel[0] - 1, left : left + width + kernel[1] - 1
    ]
    plain = learned.kernel()
    if plain is not None:
        guess = correlate(source, plain, padding="narrow")
        guess += guess.dtype.type(learned.bias * full_scale(source.dtype))
        return _rounded(guess, given, wanted)
    x = source.transpose(2, 0, 1)[None].astype(np.float64 if source.dtype == np.float64 else np.float32)
    layer = learned.layers[0]
    if learned.each_channel:
        x = x.transpose(1, 0, 2, 3)
    bias = None if layer.bias is None else layer.bias * full_scale(source.dtype)
    in_pixels = ConvolutionLayer(layer.weights, bias, groups=layer.groups)
    y = sequence_of([in_pixels], x.dtype).forward(x)
    return _rounded(y.reshape(-1, height, width).transpose(1, 2, 0), given, wanted)


def _rounded(guess: Array, given: Array, wanted: Array) -> tuple[Array, Array, Array, int]:
    if not np.issubdtype(wanted.dtype, np.integer):
        return guess.astype(wanted.dtype), given, wanted, 0
    limits = np.iinfo(wanted.dtype)
    whole = np.rint(guess)
    clipped = int(np.count_nonzero((whole < limits.min) | (whole > limits.max)))
    return np.clip(whole, limits.min, limits.max).astype(wanted.dtype), given, wanted, clipped


def mean_square(solutions: list[Solution], moments: list[Moments]) -> float:
    """Mean squared error of the kernels of all channels, each on its moments."""
    weights = [m.count * m.targets for m in moments]
    errors = [s.mean_square(m) for s, m in zip(solutions, moments, strict=True)]
    return float(np.average(errors, weights=weights))
