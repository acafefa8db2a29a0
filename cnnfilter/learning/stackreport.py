"""How a stack of layers was trained, in words and numbers; `cnnfilter.drawing.reports` draws it."""

import math
from dataclasses import dataclass, field
from typing import Any

from cnnfilter.learning.pairs import Array
from cnnfilter.learning.report import plain

_GAIN_DB, _CHANCE_DB = 0.1, 0.1
_POINTS = 6  # of the learning curve, in the text


@dataclass
class StackReport:
    """How a trained stack of layers does, on regions that it was not trained on.

    Attributes
    ----------
    psnr, psnr_identity, psnr_linear : float
        Held out: of the stack, of the unfiltered image, and of the best single kernel of up to 7 x 7.
    psnr_grey : float
        Of one grey, the mean of what is wanted: chance.
    waited : int
        Looks since the best one.
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
    waited: int
    curve: list[tuple[int, float]]
    psnr: float
    psnr_identity: float
    psnr_linear: float
    psnr_grey: float
    shifts: list[tuple[int, int]]
    ssim: float = math.nan
    ssim_identity: float = math.nan
    detail: tuple[Array, ...] | None = field(default=None, repr=False)

    @property
    def verdict(self) -> str:
        """Say in a plain sentence what the layers are worth."""
        if self.psnr <= max(self.psnr_identity, self.psnr_grey) + _CHANCE_DB:
            what = "the unfiltered picture" if self.psnr_identity >= self.psnr_grey else "one grey"
            return f"The training came to nothing: no better than {what}. Another --seed or --rate may do."
        gain = self.psnr - self.psnr_linear
        if gain > _GAIN_DB:
            return f"The stack is {gain:.2f} dB better than the best single kernel of the same pairs."
        way = "more --patience" if self.stopped else "more --steps"
        return f"The stack is no better than a single kernel: learn one kernel instead, or train with {way}."

    @property
    def stopped(self) -> bool:
        """Whether patience came to its end before the steps did."""
        return bool(self.steps < self.options["steps"])

    def text(self) -> str:
        """Return the report as lines of text."""
        options = self.options
        return "\n".join(
            [
                self.verdict,
                "",
                f"stack         {options['layers']} layers of {options['maps']} maps, kernels of "
                f"{options['size']}x{options['size']}, {options['activation']}, {options['channels']}",
                f"training      {self.weights} weights, {self._steps}, seed {options['seed']}, "
                f"{self.seconds:.0f} s",
                f"course        {self._course}",
                f"PSNR          {self.psnr:.2f} dB held out; one kernel {self.psnr_linear:.2f} dB; "
                f"unfiltered {self.psnr_identity:.2f} dB",
                f"SSIM          {self.ssim:.4f} held out; unfiltered {self.ssim_identity:.4f}",
            ]
        )

    @property
    def _steps(self) -> str:
        if not self.stopped:
            return f"{self.steps} steps"
        return (
            f"stopped after {self.steps} of {self.options['steps']} steps, {self.waited} looks after the best"
        )

    @property
    def _course(self) -> str:
        """Some points of the learning curve."""
        chosen = sorted({round(k * (len(self.curve) - 1) / (_POINTS - 1)) for k in range(_POINTS)})
        return ", ".join(f"{self.curve[k][0]}: {self.curve[k][1]:.2f} dB" for k in chosen if self.curve)

    def record(self) -> dict[str, Any]:
        """Return the report as plain values for JSON; infinite numbers become None."""
        names = (
            "options weights steps stopped seconds psnr psnr_identity psnr_linear psnr_grey ssim "
            "ssim_identity verdict"
        )
        record = {name: plain(getattr(self, name)) for name in names.split()}
        return record | {"curve": [[step, plain(value)] for step, value in self.curve]}
