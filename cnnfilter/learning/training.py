"""The training of a stack: its options, its batches of patches, and its looks at what is held out.

The layers are narrow, so a patch of S pixels is made from S + reach pixels and no invented border enters.
A target at the end of its range says only that the true value lies there or beyond, so a result beyond it
is no error: what is learned is the filter before another program's clipping, not the clipping.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cnnfilter.core.threads import Workers, count, run_strips
from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.learning.beginning import CENTRE, Parameters, first_parameters, from_zero
from cnnfilter.learning.convolutionlayer import ConvolutionLayer, sequence_of
from cnnfilter.learning.evaluation import decibels
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.pairs import Array, Pair
from cnnfilter.learning.patches import PatchSource, shares, turned
from cnnfilter.nn.blas import single_threaded
from cnnfilter.nn.fit import DivergenceError
from cnnfilter.nn.functional import activation, pixel_unshuffle
from cnnfilter.nn.layers_joining import walk
from cnnfilter.nn.loop import TrainingLoop
from cnnfilter.nn.losses import absolute_error, squared_error
from cnnfilter.nn.optimisers import Adam, half_cosine
from cnnfilter.pixels.kinds import full_scale

MEAN = "mean."
CHECKPOINT, VERSION = "cnnfilter-checkpoint", "1"
_LOOKS = 40  # at the held-out region, about
_JUDGED_PIXELS = 1 << 19  # at most, at each look at the held-out region
_NEW = "augment", "average", "block", "loss", "grey", "begin"  # options since version 0.1
_RISE = 20  # the part of all steps, one in so many, in which a rate rises
_SHARDS = 4  # parts of a batch, whose gradients are added in order: the result does not depend on threads

LOSSES = {"squared": squared_error, "absolute": absolute_error}
Ends = tuple[float, float]


@dataclass(frozen=True)
class StackOptions:
    """Everything that decides the result of `learn_stack`, besides the images.

    Attributes
    ----------
    layers, maps, size : int
        Layers, maps between them, and rows and columns of their kernels.
    activation : str
        After every layer but the last.
    channels : "shared" or "mixed"
        One stack for every channel alone, or all channels in and out of one stack.
    residual : bool
        Learn what is to be added to the image.
    steps, batch, patch : int
        Steps of Adam, patches a step, rows and columns of a patch of results.
    rate : float
        First learning rate; it falls to zero as half a cosine.
    patience : int
        Looks at the held-out region without a better PSNR after which to stop.
    seed : int
    augment : bool
        Mirror and turn each patch in one of eight ways.
    average : float
        Share that a running mean of the weights keeps at each step, such as 0.999; the mean is judged and
        kept. 0: the weights themselves.
    block : int
        Rows and columns of pixels that are taken together, see `LearnedFilter`: two make layers a quarter
        as much work, and let them look twice as far.
    loss : "squared" or "absolute"
        Error to make small. The absolute one gives pictures of little noise as much weight as others.
    grey : float
        Share of the patches of clean pictures that are made grey: three equal channels, spoiled as one.
    begin : "random" or "identity"
        Where the weights begin. Near the identity, with values taken from mid-grey and a rate that rises for
        the first twentieth of the steps, wide stacks of blocks learn in a tenth of the time.
    """

    layers: int = 3
    maps: int = 16
    size: int = 3
    activation: str = "relu"
    channels: str = "shared"
    residual: bool = True
    steps: int = 4000
    batch: int = 16
    patch: int = 40
    rate: float = 3e-3
    patience: int = 10
    seed: int = 0
    augment: bool = False
    average: float = 0.0
    block: int = 1
    loss: str = "squared"
    grey: float = 0.0
    begin: str = "random"

    def __post_init__(self) -> None:
        for name, most in (("layers", 64), ("maps", 1024), ("size", 31), ("steps", 10**8), ("batch", 4096)):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= most:
                raise ParameterError(f"{name} is {value!r}: give an integer from 1 to {most}")
        if not 8 <= self.patch <= 1024:
            raise ParameterError(f"patch is {self.patch!r}: give an integer from 8 to 1024")
        if self.channels not in ("shared", "mixed"):
            raise ParameterError(f'channels is {self.channels!r}: a stack takes "shared" or "mixed"')
        if self.seed < 0 or self.patience < 1 or not 0 < self.rate < 1:
            raise ParameterError(
                f"seed {self.seed}, patience {self.patience}, rate {self.rate}: give a seed >= 0, a patience "
                ">= 1 and a rate between 0 and 1"
            )
        if not 0 <= self.average < 1:
            raise ParameterError(f"average is {self.average!r}: give a share from 0 to less than 1, as 0.999")
        if self.activation in ("softmax", "log_softmax"):
            raise ParameterError(
                f"activation {self.activation!r} couples the maps: use relu, tanh or another"
            )
        if not (1 <= self.block <= 8 and self.patch % self.block == 0):
            raise ParameterError(
                f"block is {self.block!r}: give 1 to 8 that divides the patch of {self.patch} pixels"
            )
        if self.loss not in LOSSES:
            raise ParameterError(f"loss is {self.loss!r}: give {' or '.join(map(repr, LOSSES))}")
        if not 0 <= self.grey <= 1 or (self.grey and self.channels != "mixed"):
            raise ParameterError(
                f"grey is {self.grey!r}: give a share from 0 to 1, of a stack whose channels are mixed"
            )
        if self.begin not in ("random", "identity"):
            raise ParameterError(f"begin is {self.begin!r}: give 'random' or 'identity'")
        activation(self.activation)

    @property
    def reach(self) -> int:
        """Rows and columns that one result depends on, if its block begins with it."""
        return self.block * self.layers * (self.size - 1) + 1

    def told(self) -> dict[str, Any]:
        """Return the options by name, without those that version 0.1 did not have and that are off."""
        off = {field.name: field.default for field in fields(self) if field.name in _NEW}
        return {k: v for k, v in vars(self).items() if k not in off or v != off[k]}


class Run(TrainingLoop[tuple[Array, Array]]):
    """The training of a stack: steps on patches, and looks at the bands that are held out.

    Attributes
    ----------
    step : int
        Steps that are done.
    curve : list of (int, float)
        For each look: the steps by then, and the PSNR.
    """

    PARTS = "now.", "best.", "adam."

    def __init__(
        self, options: StackOptions, source: PatchSource, reach: int, threads: int | None = None
    ) -> None:
        super().__init__(Adam(options.rate), options.patience)
        self.options, self.source, self.reach, self.threads = options, source, reach, count(threads)
        self.depth = 1 if options.channels == "shared" else source.channels
        dtype = source.dtype
        self.peak = full_scale(dtype)
        self.ends: Ends | None = None
        if np.issubdtype(dtype, np.integer):
            low, high = (np.float32(end) / np.float32(self.peak) for end in _ends(dtype))
            self.ends = float(low), float(high)
        self.judge, self.shifts = source.judge, source.shifts
        self.generator = np.random.default_rng(options.seed)
        self.parameters = first_parameters(options, self.depth, self.generator)
        averaged = self.parameters if options.average else {}
        self.means = {f"{MEAN}{name}": value.copy() for name, value in averaged.items()}
        self.step = 0
        self.curve: list[tuple[int, float]] = []

    def run_round(self) -> None:
        """Go on to the next look, and judge the parameters by what is held out."""
        every = max(1, self.options.steps // _LOOKS)
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is judged
            self._learn(self._batches(min(every - self.step % every, self.options.steps - self.step)))
            quality = self._quality()
        if math.isnan(quality) and not self.curve:
            raise DivergenceError(
                f"the weights are no numbers after {self.step} steps at rate {self.options.rate:g}: "
                "a lower rate, or images of smaller values, may help"
            )
        self.curve.append((self.step, quality))
        self._keep()

    def tensors(self) -> Parameters:
        """Weights and biases of all layers, and their running means."""
        return self.parameters | self.means

    def gradients(self, batch: tuple[Array, Array]) -> tuple[float, Parameters]:
        """Of the squared error of a batch, whose parts are worked on beside each other."""
        x, wanted = batch
        parts = np.array_split(np.arange(len(x)), min(_SHARDS, len(x)))
        scale = 2 / wanted.size
        found: list[Any] = [None] * len(parts)

        def work(first: int, last: int) -> None:
            for k in range(first, last):
                part = parts[k]
                found[k] = gradients_of(
                    self.parameters, self.options, x[part], wanted[part], scale, self.ends
                )

        with single_threaded() as alone:
            run_strips(work, len(parts), Workers(self.threads if alone else 1, len(parts)), 1)
        loss, gradients = found[0]
        for also, more in found[1:]:
            loss += also
            for name, gradient in more.items():
                gradients[name] += gradient
        return loss, gradients

    @property
    def rate(self) -> float:
        """Half a cosine, from the first rate to zero."""
        options = self.options
        rate = options.rate * half_cosine(math.pi * self.step / options.steps) + 1e-12
        if options.begin == "identity":
            rate *= min(1.0, (self.step + 1) * _RISE / options.steps)
        return rate

    @property
    def qualities(self) -> list[float]:
        """The PSNR of each look."""
        return [quality for _, quality in self.curve]

    @property
    def complete(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.options.steps

    def filter(self, tensors: Parameters) -> LearnedFilter:
        """Make a filter of `tensors`: of the running means, if there are any."""
        means = {n.removeprefix(MEAN): value for n, value in tensors.items() if n.startswith(MEAN)}
        options, parameters = self.options, means or tensors
        layers = layers_of(from_zero(parameters) if options.begin == "identity" else parameters, options)
        notes = {"options": options.told(), "steps": self.step, "shifts": [*map(list, self.shifts)]}
        return LearnedFilter(
            layers, options.channels == "shared", options.residual, notes,
            block=options.block, takes_grey=options.grey > 0,
        )  # fmt: skip

    def _quality(self) -> float:
        """Return the PSNR of what is trained on the held-out region."""
        return self.quality_of(self.filter(self.tensors()))

    def quality_of(self, learned: LearnedFilter) -> float:
        """Return the PSNR of a filter on the held-out region."""
        error, size, room = 0.0, 0, _JUDGED_PIXELS
        for pair, band in self.judge:
            rows = max(1, min(band.stop - band.start, room // pair.before.shape[1]))
            guess, _, wanted = shown(learned, pair, slice(band.start, band.start + rows), self.reach)
            error += float(np.square(guess.astype(np.float64) - wanted).sum())
            size, room = size + wanted.size, room - rows * pair.before.shape[1]
            if room <= 0:
                break
        return decibels(error / size, self.peak)

    def _batches(self, steps: int) -> Iterator[tuple[Array, Array]]:
        for _ in range(steps):
            batch = self.source.drawn(self.options, self.reach, self.step, self.generator)
            if self.options.augment:
                batch = turned(batch, self.generator)
            yield shares(batch, self.source.dtype)
            self.step += 1
            self._follow()

    def _follow(self) -> None:
        """Let the running means of the parameters follow them: faster at first, when those are far off."""
        kept = min(self.options.average, (1 + self.step) / (10 + self.step))
        for name, mean in self.means.items():
            mean *= np.float32(kept)
            mean += np.float32(1 - kept) * self.parameters[name.removeprefix(MEAN)]

    def _metadata(self) -> dict[str, str]:
        state = {
            "fits": self._fits(),
            "step": self.step,
            "worse": self.waited,
            "curve": self.curve,
            "generator": self.generator.bit_generator.state,
        }
        return {"format": CHECKPOINT, "version": VERSION, "state": json.dumps(state)}

    def _resume(self, path: str | os.PathLike[str], metadata: Mapping[str, str]) -> None:
        """Take up step, curve and generator, if options and images are the same."""
        if (metadata.get("format"), metadata.get("version")) != (CHECKPOINT, VERSION):
            raise FilterFileError(f"{path}: not a checkpoint of version {VERSION}")
        state = json.loads(metadata["state"])
        if state["fits"] != self._fits():
            raise FilterFileError(f"{path}: the checkpoint belongs to other options or images")
        self.generator.bit_generator.state = state["generator"]
        self.step = int(state["step"])
        self.curve = [(int(step), float(quality)) for step, quality in state["curve"]]

    def _load(self, tensors: Mapping[str, Array]) -> None:
        for name, value in self.tensors().items():
            value[...] = tensors[name]

    def _fits(self) -> dict[str, Any]:
        return {"options": self.options.told(), "depth": self.depth, "images": self.source.marks()}


def layers_of(parameters: Parameters, options: StackOptions) -> tuple[ConvolutionLayer, ...]:
    """Make layers of parameters, which are not copied."""
    activations = [options.activation] * (options.layers - 1) + ["identity"]
    return tuple(
        ConvolutionLayer(parameters[f"{k}.weight"], parameters[f"{k}.bias"], name)
        for k, name in enumerate(activations)
    )


def _ends(dtype: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def gradients_of(
    parameters: Parameters,
    options: StackOptions,
    x: Array,
    wanted: Array,
    scale: float,
    ends: Ends | None = None,
) -> tuple[float, Parameters]:
    """Return the loss that the options name, and the gradients of `scale` times it.

    Where `wanted` lies at one of the `ends`, a result beyond it is no error.
    """
    if options.begin == "identity":
        x, wanted = x - CENTRE, wanted - CENTRE
        ends = ends and (ends[0] - float(CENTRE), ends[1] - float(CENTRE))
    stack = sequence_of(layers_of(parameters, options), x.dtype, options.block)
    y = stack.forward(pixel_unshuffle(x, options.block), train=True)
    if options.residual:
        margin = (x.shape[2] - wanted.shape[2]) // 2
        y += x[..., margin : margin + wanted.shape[2], margin : margin + wanted.shape[3]]
    mask = None
    if ends is not None:
        mask = ((wanted > ends[0]) | (y >= wanted)) & ((wanted < ends[1]) | (y <= wanted))
    loss, delta = LOSSES[options.loss](y, wanted, mask)
    stack.backward(delta * np.float32(scale))
    return loss, {f"{k}.{key}": value for k, layer in walk(stack) for key, value in layer.gradients.items()}


def shown(learned: LearnedFilter, pair: Pair, rows: slice, reach: int) -> tuple[Array, Array, Array]:
    """Our result, the given and the wanted image on some target rows, rounded and clipped."""
    before = pair.given((reach, reach))
    source = pair.before[rows.start : rows.stop + reach - 1]
    top = (reach - 1) // 2
    width = before.shape[1]
    guess = learned.apply(source)[top : top + rows.stop - rows.start, top : top + width]
    return guess, before[rows], pair.targets((reach, reach))[rows]
