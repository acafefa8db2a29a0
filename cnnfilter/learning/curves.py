"""Learn a tone curve and a kernel together from before/after pairs: the commonest edit of photographs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.learning.convolutionlayer import ConvolutionLayer
from cnnfilter.learning.evaluation import decibels
from cnnfilter.learning.judging import judged
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.linear import AUTO_SIZES, GAINS, Learned, size_of, smallest_of_the_best
from cnnfilter.learning.pairs import Array, Split, hold_out, pairs_of
from cnnfilter.learning.registration import find_shift
from cnnfilter.learning.report import LinearReport, rim_share
from cnnfilter.learning.tonecurve import PLACES, ToneCurve
from cnnfilter.learning.toning import KNOTS, Sample, Toned, fit_toned, toned_error
from cnnfilter.nn.blas import single_threaded
from cnnfilter.pixels.kinds import full_scale

_LEARN, _JUDGE = 12_000, 8_000  # values of a curve's own
_EMPTY = 0.02  # share of the kernel's absolute weight that may lie on its rim
_FIRST = 5, 5  # size by which the place of the curve is decided


def learn_curve(
    before: Array | Sequence[Array],
    after: Array | Sequence[Array],
    *,
    size: int | tuple[int, int] | str = "auto",
    channels: str = "shared",
    place: str | None = None,
    register: bool = True,
    names: Sequence[str] | None = None,
) -> Learned:
    """Learn a monotone tone curve and a kernel, before or after it, that make `after` from `before`.

    Parameters
    ----------
    before, after : ndarray of shape (H, W) or (H, W, C), or equally long sequences of them
        As for `learn_kernel`; floats are shares of white.
    size : int, (rows, columns) or "auto", default "auto"
        Of the kernel.
    channels : "shared" or "separate"
        One kernel and one curve for all channels, or a pair of them for each.
    place : "before" or "after", optional
        Where the curve stands; default where it does better.
    register : bool, default True
    names : sequence of str, optional

    Returns
    -------
    Learned

    Raises
    ------
    ParameterError, DtypeError
        As `learn_kernel`.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((60, 60))
    >>> y = ((np.roll(x, 1, 1) + 2 * x + np.roll(x, -1, 1)) / 4) ** 2
    >>> learned = learn_curve(x, y, size=3)
    >>> learned.filter.curve.place, np.round(learned.filter.layers[0].weights[0, 0, 1], 2).tolist()
    ('after', [0.25, 0.5, 0.25])
    """
    with single_threaded():  # threads of BLAS wait for each other at small products
        return _learned(before, after, size, channels, place, register, names)


def _learned(
    before: Array | Sequence[Array],
    after: Array | Sequence[Array],
    size: int | tuple[int, int] | str,
    channels: str,
    place: str | None,
    register: bool,
    names: Sequence[str] | None,
) -> Learned:
    if channels not in ("shared", "separate"):
        raise ParameterError(f"channels is {channels!r}: a tone curve is shared or separate")
    if place not in (None, *PLACES):
        raise ParameterError(f"place is {place!r}: a tone curve stands before or after the kernel")
    auto = size == "auto"
    sizes = [(side, side) for side in AUTO_SIZES[0]] if auto else [size_of(size)]
    pairs = pairs_of(before, after, names)
    if register:
        pairs = [pair.moved(find_shift(pair, _FIRST)) for pair in pairs]
    depth = pairs[0].before.shape[2]
    groups = [[c] for c in range(depth)] if channels == "separate" else [list(range(depth))]
    largest = (AUTO_SIZES[1][-1],) * 2 if auto else sizes[0]
    splits = hold_out(pairs, largest)
    samples = [_Samples(splits, largest, group) for group in groups]
    if place is None:
        first = _FIRST if auto else sizes[0]
        errors = {where: sum(one.fit(first, where)[1] for one in samples) for where in PLACES}
        place = min(errors, key=errors.__getitem__)
    tried = {one: _Tried.of(samples, one, place) for one in sizes}
    chosen = smallest_of_the_best({one: found.quality for one, found in tried.items()})
    gained = tried[sizes[-1]].quality - tried[sizes[-2 if auto else -1]].quality
    full = rim_share(_weights(tried[chosen].fits, chosen)) > _EMPTY
    if chosen == sizes[-1] and full and gained > GAINS:
        tried |= {(side, side): _Tried.of(samples, (side, side), place) for side in AUTO_SIZES[1]}
        chosen = smallest_of_the_best({one: found.quality for one, found in tried.items()}, GAINS)
    fits = tried[chosen].fits
    layer = ConvolutionLayer(_weights(fits, chosen), groups=len(groups))
    curve = ToneCurve(place, KNOTS, np.stack([fit.values for fit in fits]))
    notes = {"size": list(chosen), "channels": channels, "curve": place, "pairs": len(pairs)}
    notes["shifts"] = [list(pair.shift) for pair in pairs]
    learned = LearnedFilter((layer,), channels == "shared", notes=notes, curve=curve)
    dtype = pairs[0].before.dtype
    peak = full_scale(dtype)
    report = LinearReport.of(judged(learned, splits, largest, peak), learned, peak)
    report.shifts = [pair.shift for pair in pairs]
    report.remarks = [remark for pair in pairs for remark in pair.remarks]
    report.method, report.channels, report.tone = "Gauss-Newton", channels, place
    report.pixels = sum(len(one.learn.targets) for one in samples)
    report.sizes = {f"{u}x{v}": one.quality for (u, v), one in tried.items()}
    report.tones = curve.values
    return Learned(learned, report)


class _Tried(NamedTuple):
    """Kernels and curves of one size, and their held-out PSNR."""

    fits: list[Toned]
    quality: float

    @classmethod
    def of(cls, samples: "list[_Samples]", size: tuple[int, int], place: str) -> "_Tried":
        """Fit each sample."""
        found = [one.fit(size, place) for one in samples]
        return cls([fit for fit, _ in found], decibels(float(np.mean([error for _, error in found])), 1.0))


class _Samples:
    """Patches of the largest size and their targets, to learn from and to judge by."""

    def __init__(self, splits: list[Split], size: tuple[int, int], channels: list[int]) -> None:
        self.size = size
        generator = np.random.default_rng(0)
        bands = [(split, band) for split in splits for band in split.learn]
        self.learn = _drawn(bands, size, channels, _LEARN, generator)
        bands = [(split, band) for split in splits for band in split.judge]
        self.judge = _drawn(bands, size, channels, _JUDGE, generator)

    def fit(self, size: tuple[int, int], place: str) -> tuple[Toned, float]:
        """Fit kernel and curve; return them and the held-out error."""
        learn, judge = self._cropped(self.learn, size), self._cropped(self.judge, size)
        fit = fit_toned(learn, (size[0] - 1) // 2 * size[1] + (size[1] - 1) // 2, place)
        return fit, toned_error(judge, fit.kernel, fit.values, place)

    def _cropped(self, sample: Sample, size: tuple[int, int]) -> Sample:
        tops = [(self.size[k] - 1) // 2 - (size[k] - 1) // 2 for k in (0, 1)]
        index = np.arange(self.size[0] * self.size[1]).reshape(self.size)
        kept = index[tops[0] : tops[0] + size[0], tops[1] : tops[1] + size[1]].ravel()
        return sample._replace(patches=np.ascontiguousarray(sample.patches[:, kept]))


def _drawn(
    bands: list[tuple[Split, slice]],
    size: tuple[int, int],
    channels: list[int],
    count: int,
    generator: np.random.Generator,
) -> Sample:
    """Draw `count` values of some channels from bands of target rows."""
    patches, wanted, ends = [], [], None
    areas = np.array([(band.stop - band.start) * split.pair.before.shape[1] for split, band in bands], float)
    for (split, band), share in zip(bands, areas / areas.sum(), strict=True):
        pair = split.pair
        scale = full_scale(pair.before.dtype)
        ends = pair.ends and (pair.ends[0] / scale, pair.ends[1] / scale)
        targets = pair.targets(size)
        many = max(1, round(count * share))
        rows = generator.integers(band.start, band.stop, many)
        columns = generator.integers(0, targets.shape[1], many)
        planes = np.array(channels)[generator.integers(0, len(channels), many)]
        windows = np.lib.stride_tricks.sliding_window_view(pair.before, size, (0, 1))
        patches.append(windows[rows, columns, planes].reshape(many, -1) / scale)
        wanted.append(targets[rows, columns, planes] / scale)
    return Sample(np.concatenate(patches).astype(float), np.concatenate(wanted).astype(float), ends)


def _weights(fits: list[Toned], size: tuple[int, int]) -> Any:
    return np.stack([fit.kernel.reshape(1, *size) for fit in fits])
