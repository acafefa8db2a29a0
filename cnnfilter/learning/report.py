"""What was learned, in words and numbers; `cnnfilter.drawing.reports` draws it."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnfilter.learning.pairs import Array

_EXPLAINED_DB = 48.0  # an error of one grey level in 255; rounding to 8 bits alone leaves 58.9 dB
_MOST, _PART = 0.9, 0.5  # of the change
_HELPS_DB = 3.0
_PERFECT_DB = 100.0  # beyond it a constant explains the rounding of sums, and nothing of the picture


@dataclass
class LinearReport:
    """How a learned kernel does, on regions that it was not learned from.

    Attributes
    ----------
    weights : ndarray of shape (P, D / groups, U, V)
    bias : ndarray of shape (P,) or None
        In shares of the full range.
    psnr, psnr_identity, ssim, ssim_identity : float
        Of our image, rounded and clipped, and of the unfiltered one. SSIM on at most half a megapixel.
    psnr_usable : float
        Of the unrounded result on the pixels that are not saturated.
    psnr_with_bias : float
        The same, had a bias been learned too.
    r2 : float
        Share of the variance of `after` that is explained; 1 - error / variance.
    explained : float
        Share of the squared change from `before` to `after` that is explained; NaN if there is none.
    share : float
        The less of `r2` and `explained`, with the error that rounding alone makes left out of both.
    rank, taps : int
        Directions the images say something about, of how many weights.
    condition : float
        Largest over smallest eigenvalue of the Gram matrix.
    masked, clipped : int
        Targets left out as saturated (of all); results that clipping changed (of the judged).
    shifts : list of (int, int)
        Rows and columns that each `after` was moved by, taken out before learning.
    sizes : dict of str to float
        Held-out PSNR in dB of each size that was tried, before rounding.
    curve : list of float
        Mean squared error at steps 0, 1, 2, 4, 8... of a descent.
    detail : (before, after, ours) or None
    """

    weights: Array
    bias: Array | None
    peak: float
    pixels: int
    shifts: list[tuple[int, int]]
    rank: int
    taps: int
    condition: float
    r2: float
    explained: float
    share: float
    psnr_usable: float
    psnr_with_bias: float
    curve: list[float] = field(default_factory=list)
    sizes: dict[str, float] = field(default_factory=dict)
    method: str = "least-squares"
    channels: str = "shared"
    ridge: float = 0.0
    masked: int = 0
    clipped: int = 0
    judged: int = 0
    psnr: float = math.nan
    psnr_identity: float = math.nan
    ssim: float = math.nan
    ssim_identity: float = math.nan
    detail: tuple[Array, ...] | None = field(default=None, repr=False)

    @property
    def verdict(self) -> str:
        """Say in a plain sentence whether a linear filter explains the pair."""
        if math.isnan(self.share):
            return "Beside a shift and rounding nothing was changed: there is no filter to learn."
        share = f"{100 * max(0.0, self.share):.1f} % of the change"
        if self.psnr_usable >= _EXPLAINED_DB and self.share >= _MOST:
            return (
                f"A linear filter explains this pair: where nothing is saturated, the error is "
                f"{self.peak * 10 ** (-self.psnr_usable / 20):.3g} of {self.peak:g}."
            )
        if self.share >= _MOST:
            return f"A linear filter explains most of this pair, {share}, but not all of it."
        if self.share >= _PART:
            return f"A linear filter explains only a part of this pair, {share}."
        return (
            f"A linear filter does not explain this pair ({share}): the change depends on the picture, "
            "as a median, a gamma curve or noise does."
        )

    def text(self) -> str:
        """Return the report as lines of text."""
        rows, columns = self.weights.shape[2:]
        lines = [
            self.verdict,
            "",
            f"method        {self.method}, {rows}x{columns}, channels {self.channels}, ridge {self.ridge:g}; "
            f"{self.pixels} values",
            f"PSNR          {self.psnr:.2f} dB held out; unfiltered {self.psnr_identity:.2f} dB",
            f"SSIM          {self.ssim:.4f} held out; unfiltered {self.ssim_identity:.4f}",
            f"R2            {self.r2:.6f}; of the change "
            f"{'-' if math.isnan(self.explained) else f'{self.explained:.6f}'}",
            f"rank          {self.rank} of {self.taps}, condition {self.condition:.3g}",
            f"saturated     {self.masked} targets masked; {self.clipped} of {self.judged} results clipped",
        ]
        if len(self.sizes) > 1:
            tried = ", ".join(f"{name} {quality:.2f} dB" for name, quality in self.sizes.items())
            lines.append(f"sizes tried   {tried}")
        moved = [(k, shift) for k, shift in enumerate(self.shifts, 1) if shift != (0, 0)]
        lines += [f"shift         pair {k}: after lies {_moved(*shift)}; taken out" for k, shift in moved]
        if self.rank < self.taps:
            lines.append("note          the images leave weights undetermined: those stay as in the identity")
        if self.psnr_usable + _HELPS_DB < min(self.psnr_with_bias, _PERFECT_DB):
            lines.append(
                f"note          a constant is missing: --bias would reach {self.psnr_with_bias:.2f} dB, not "
                f"{self.psnr_usable:.2f}, where nothing is saturated"
            )
        if self._rim() > 0.25 and not self.verdict.startswith("A linear filter explains this pair"):
            lines.append(
                "note          much of the kernel lies on its rim: try a larger size, or align the pair"
            )
        lines.append("")
        for p, d in np.ndindex(*self.weights.shape[:2]):
            if self.weights.shape[:2] != (1, 1):
                lines.append(f"output {p}, input {d}")
            lines += ["  ".join(f"{value:9.5f}" for value in row) for row in self.weights[p, d]]
        if self.bias is not None:
            lines.append("bias  " + "  ".join(f"{value:.6f}" for value in self.bias))
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return the report as plain values for JSON; infinite numbers become None."""
        names = (
            "method channels ridge pixels rank taps condition r2 explained share psnr psnr_identity ssim "
            "ssim_identity psnr_usable psnr_with_bias masked clipped judged curve sizes verdict"
        )
        record = {name: _plain(getattr(self, name)) for name in names.split()}
        bias = None if self.bias is None else self.bias.tolist()
        return record | {"weights": self.weights.tolist(), "bias": bias, "shifts": [*map(list, self.shifts)]}

    def _rim(self) -> float:
        """Share of the kernel's absolute weight on its rim, the identity's share left out."""
        size = np.abs(self.weights).sum(axis=(0, 1))
        if min(size.shape) < 3 or not size.any():
            return 0.0
        return float(1 - size[1:-1, 1:-1].sum() / size.sum()) if min(size.shape) > 3 else 0.0


def _moved(down: int, right: int) -> str:
    """Say where a picture lies, without negative numbers.

    Examples
    --------
    >>> _moved(3, -4)
    '3 rows lower, 4 columns to the left'
    """
    rows = f"{abs(down)} rows {'lower' if down >= 0 else 'higher'}"
    return f"{rows}, {abs(right)} columns to the {'right' if right >= 0 else 'left'}"


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


@dataclass
class StackReport:
    """How a trained stack of layers does, on regions that it was not trained on.

    Attributes
    ----------
    psnr, psnr_identity, psnr_linear : float
        Held out: of the stack, of the unfiltered image, and of the best single kernel of up to 7 x 7.
    curve : list of (int, float)
        Steps and the held-out PSNR at each.
    weights : int
        How many numbers were learned.
    kernel : ndarray of shape (P, D, U, V)
        The first layer.
    """

    options: dict[str, Any]
    weights: int
    kernel: Array
    peak: float
    steps: int
    seconds: float
    curve: list[tuple[int, float]]
    psnr: float
    psnr_identity: float
    psnr_linear: float
    shifts: list[tuple[int, int]]
    ssim: float = math.nan
    ssim_identity: float = math.nan
    detail: tuple[Array, ...] | None = field(default=None, repr=False)

    @property
    def verdict(self) -> str:
        """Say in a plain sentence what the layers are worth."""
        gain = self.psnr - self.psnr_linear
        if gain > 0.1:
            return f"The stack is {gain:.2f} dB better than the best single kernel of the same pairs."
        return "The stack is no better than a single kernel: learn one kernel instead, or train for longer."

    def text(self) -> str:
        """Return the report as lines of text."""
        options = self.options
        return "\n".join(
            [
                self.verdict,
                "",
                f"stack         {options['layers']} layers of {options['maps']} maps, kernels of "
                f"{options['size']}x{options['size']}, {options['activation']}, {options['channels']}",
                f"training      {self.weights} weights, {self.steps} steps, seed {options['seed']}, "
                f"{self.seconds:.0f} s",
                f"PSNR          {self.psnr:.2f} dB held out; one kernel {self.psnr_linear:.2f} dB; "
                f"unfiltered {self.psnr_identity:.2f} dB",
                f"SSIM          {self.ssim:.4f} held out; unfiltered {self.ssim_identity:.4f}",
            ]
        )

    def record(self) -> dict[str, Any]:
        """Return the report as plain values for JSON; infinite numbers become None."""
        names = "options weights steps seconds psnr psnr_identity psnr_linear ssim ssim_identity verdict"
        record = {name: _plain(getattr(self, name)) for name in names.split()}
        return record | {"curve": [[step, _plain(value)] for step, value in self.curve]}
