"""Train a small stack of convolution layers end to end on before/after pairs: equations 33 to 46, with Adam.

With `residual` the stack learns after - before (equation 50), which for noise or blur is small and centred.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.learning.convolutionlayer import ConvolutionLayer
from cnnfilter.learning.degrading import MEMORY, CleanPatches, Degradation
from cnnfilter.learning.evaluation import SHOWN, busiest, decibels, psnr, ssim
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.linear import learn_kernel
from cnnfilter.learning.pairs import Array, Pair, Split, hold_out, pairs_of
from cnnfilter.learning.patches import PairPatches
from cnnfilter.learning.registration import find_shift
from cnnfilter.learning.stackreport import StackReport
from cnnfilter.learning.training import Run, StackOptions, shown

__all__ = ["LearnedStack", "StackOptions", "learn_stack", "learn_stack_from_clean"]


@dataclass(frozen=True)
class LearnedStack:
    """A filter and the report on how well it does."""

    filter: LearnedFilter
    report: StackReport


def learn_stack(
    before: Array | Sequence[Array],
    after: Array | Sequence[Array],
    options: StackOptions | None = None,
    *,
    register: bool = True,
    names: Sequence[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Callable[[int, int, float], None] | None = None,
    threads: int | None = None,
) -> LearnedStack:
    """Train a stack of convolution layers that makes `after` from `before`.

    The same images, options and seed give the same filter, interrupted or not.

    Parameters
    ----------
    before, after : ndarray of shape (H, W) or (H, W, C), or equally long sequences of them
    options : StackOptions, optional
    register : bool, default True
        Search for a shift by whole pixels.
    names : sequence of str, optional
        What messages call the pairs.
    checkpoint : path, optional
        Where the state is kept at each look at the held-out region.
    resume : bool, default False
        Go on from `checkpoint`.
    progress : callable, optional
        Called at each look with (step, steps, held-out PSNR in dB).
    threads : int, optional

    Returns
    -------
    LearnedStack
        With the weights of the best look.

    Raises
    ------
    ParameterError, DtypeError
        If a pair or an option cannot be used.
    FilterFileError
        If `checkpoint` cannot be read, or belongs to other options or images.
    """
    options = options or StackOptions()
    if options.grey:
        raise ParameterError(f"grey is {options.grey}: pairs are taken as they are; give clean pictures")
    pairs = pairs_of(before, after, names)
    reach = options.reach
    if register:
        pairs = [pair.moved(find_shift(pair, (5, 5))) for pair in pairs]
    splits = hold_out(pairs, (reach, reach), options.patch)
    _require_room(splits, options, reach)
    run = Run(options, PairPatches(splits), reach, threads)
    seconds = _trained(run, checkpoint, resume, progress)
    linear = learn_kernel(before, after, size=_linear_size(run), bias=True).report
    return LearnedStack(run.filter(run.best), _report(run, linear.psnr_identity, linear.psnr, seconds))


def learn_stack_from_clean(
    files: Sequence[Path],
    how: Sequence[Degradation],
    options: StackOptions | None = None,
    *,
    memory: int = MEMORY,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Callable[[int, int, float], None] | None = None,
    threads: int | None = None,
) -> LearnedStack:
    """Train a stack that undoes what spoils pictures: pairs are made of clean ones as they are needed.

    Parameters
    ----------
    files : sequence of Path
        Of two clean pictures or more; every fifth is held out.
    how : sequence of Degradation
        Applied one after the other, with levels drawn anew for each patch.
    options, checkpoint, resume, progress, threads
        As for `learn_stack`.
    memory : int
        Bytes of decoded pictures that are held; those beyond take turns.

    Returns
    -------
    LearnedStack

    Raises
    ------
    ParameterError
        If a picture or an option cannot be used.
    """
    options = options or StackOptions()
    source = CleanPatches(files, how, options.reach, memory)
    if options.grey and source.channels != 3:
        raise ParameterError(
            f"grey is {options.grey}, but the pictures have {source.channels} channel(s): give RGB ones"
        )
    run = Run(options, source, options.reach, threads)
    seconds = _trained(run, checkpoint, resume, progress)
    pairs = source.samples()
    befores, afters = [pair.before for pair in pairs], [pair.after for pair in pairs]
    kernel = learn_kernel(befores, afters, size=_linear_size(run), bias=True, register=False).filter
    still = LearnedFilter((ConvolutionLayer(np.ones((1, 1, 1, 1))),), each_channel=True)
    report = _report(run, run.quality_of(still), run.quality_of(kernel), seconds)
    return LearnedStack(run.filter(run.best), report)


def _linear_size(run: Run) -> int:
    return min(7, max(3, run.reach))


def _trained(
    run: Run,
    checkpoint: str | os.PathLike[str] | None,
    resume: bool,
    progress: Callable[[int, int, float], None] | None,
) -> float:
    """Train to the end; return the seconds that it took."""
    if resume:
        if checkpoint is None:
            raise ParameterError("resume needs the checkpoint to go on from")
        run.restore(checkpoint)
    start = time.perf_counter()
    while not run.finished:
        run.run_round()
        if checkpoint is not None:
            run.save(checkpoint)
        if progress is not None:
            progress(run.step, run.options.steps, run.qualities[-1])
    return time.perf_counter() - start


def _require_room(splits: list[Split], options: StackOptions, reach: int) -> None:
    for split in splits:
        height, width = split.pair.before.shape[:2]
        least = options.patch + reach - 1
        if min(height, width) < least:
            raise ParameterError(
                f"an image of {height}x{width} is too small: patches of {options.patch} pixels and "
                f"a reach of {reach} need {least}x{least}"
            )
        for band in split.learn:
            if len(splits) == 1 and band.stop - band.start < options.patch:
                raise ParameterError(
                    f"an image of {height} rows is too small to hold a part of it out: with patches of "
                    f"{options.patch} rows give a taller image, several pairs, or smaller patches"
                )


def _detail(learned: LearnedFilter, pair: Pair, reach: int) -> tuple[Array, ...]:
    """Before, after and ours where the pair shows most."""
    wanted = pair.targets((reach, reach))
    rows, columns = busiest(pair.given((reach, reach)), wanted, SHOWN)
    guess, given, wanted = shown(learned, pair, rows, reach)
    return given[:, columns], wanted[:, columns], guess[:, columns]


def _report(run: Run, psnr_identity: float, psnr_linear: float, seconds: float) -> StackReport:
    pair, band = run.judge[0]
    learned = run.filter(run.best)
    guess, given, wanted = shown(
        learned, pair, slice(band.start, min(band.stop, band.start + 1024)), run.reach
    )
    sides = {}
    if min(guess.shape[:2]) >= 11:
        sides = {"ssim": ssim(guess, wanted), "ssim_identity": ssim(given, wanted)}
    return StackReport(
        options=vars(run.options),
        weights=sum(value.size for value in run.parameters.values()),
        kernel=learned.layers[0].weights,
        peak=run.peak,
        steps=run.step,
        seconds=seconds,
        curve=run.curve,
        psnr=max((quality for _, quality in run.curve), default=psnr(guess, wanted)),
        psnr_identity=psnr_identity,
        psnr_linear=psnr_linear,
        psnr_grey=decibels(float(wanted.var(dtype=float)), run.peak),
        waited=run.waited,
        shifts=run.shifts,
        detail=_detail(learned, pair, run.reach),
        **sides,
    )
