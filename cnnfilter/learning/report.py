"""What was learned, in words and numbers; `cnnfilter.drawing.reports` draws it."""

import math
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from cnnfilter.learning.judging import Judgement
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.naming import described
from cnnfilter.learning.pairs import Array
from cnnfilter.learning.toning import KNOTS

_EXPLAINED_DB = 48.0  # an error of one grey level in 255; rounding to 8 bits alone leaves 58.9 dB
_MOST, _PART = 0.9, 0.5  # of the change
_HELPS_DB = 3.0
_PERFECT_DB = 100.0  # beyond it a constant explains the rounding of sums, and nothing of the picture
_LESS_ALIKE = 1e-3  # by which SSIM may fall
_MANY = 2e-4  # of the saturated targets, that are told in the first line if they contradict


@dataclass
class LinearReport(Judgement):
    """How a learned kernel does, on regions that it was not learned from.

    Attributes
    ----------
    weights : ndarray of shape (P, D / groups, U, V)
    bias : ndarray of shape (P,) or None
        In shares of the full range.
    peak : float
        What PSNR is measured against.
    psnr_with_bias : float
        What `psnr_usable` would be, had a bias been learned too.
    pixels : int
        Values that were learned from.
    rank, taps : int
        Directions the images say something about, of how many weights.
    condition : float
        Largest over smallest eigenvalue of the Gram matrix.
    shifts : list of (int, int)
        Rows and columns that each `after` was moved by, taken out before learning.
    remarks : list of str
        What was done to make pairs alike.
    sizes : dict of str to float
        Held-out PSNR in dB of each size that was tried, before rounding.
    curve : list of float
        Mean squared error at steps 0, 1, 2, 4, 8... of a descent.
    tone : str
        "before" or "after" if a tone curve was learned with the kernel.
    tones : ndarray of shape (C, M) or None
        The curve, at `cnnfilter.learning.toning.KNOTS`.
    edit : str
        What the weights are known as, such as a negative; empty if they have no such name.
    otherwise : str
        What explains the pair, where this filter does not, and the command that learns it.
    """

    weights: Array = field(kw_only=True)
    bias: Array | None = field(kw_only=True)
    peak: float = field(kw_only=True)
    psnr_with_bias: float = math.nan
    pixels: int = 0
    rank: int = 0
    taps: int = 0
    condition: float = math.nan
    shifts: list[tuple[int, int]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    sizes: dict[str, float] = field(default_factory=dict)
    curve: list[float] = field(default_factory=list)
    method: str = "least-squares"
    channels: str = "shared"
    ridge: float = 0.0
    linear: bool = False
    stride: int = 1
    tone: str = ""
    tones: Array | None = None
    edit: str = ""
    otherwise: str = ""

    @classmethod
    def of(cls, judgement: Judgement, learned: LearnedFilter, peak: float) -> Self:
        """Make a report of what a filter was found to do."""
        layer = learned.layers[0]
        return cls(
            **vars(judgement), weights=layer.weights, bias=layer.bias, peak=peak, edit=described(learned)
        )

    @property
    def explains(self) -> bool:
        """Whether the filter makes `after` of `before`, where nothing is saturated."""
        return self.psnr_usable >= _EXPLAINED_DB and self.explained >= _MOST and not self.lowers_ssim

    @property
    def lowers_ssim(self) -> bool:
        """Whether the unfiltered picture is more like the wanted one."""
        return self.ssim < self.ssim_identity - _LESS_ALIKE

    @property
    def form(self) -> str:
        """What kind of filter it is, in words."""
        which = {"separate": " for each channel", "mixed": " that mixes the channels"}.get(self.channels, "")
        tone = {"before": " after a tone curve", "after": " before a tone curve"}.get(self.tone, "")
        return f"A linear filter{which}{tone}{' in linear light' if self.linear else ''}"

    @property
    def verdict(self) -> str:
        """Say in plain sentences whether the filter explains the pair, or what does."""
        return f"{self.otherwise} {self._own_verdict}".strip()

    @property
    def _own_verdict(self) -> str:
        if math.isnan(self.explained):
            return "Beside a shift and rounding nothing was changed: there is no filter to learn."
        form, share = self.form, f"{100 * max(0.0, self.explained):.1f} % of the change"
        known = f" ({self.edit})" if self.edit else ""
        if self.explains:
            error = f"{self.peak * 10 ** (-self.psnr_usable / 20):.3g} of {self.peak:g}"
            line = f"{form} explains this pair{known}: where nothing is saturated, the error is {error}."
            if self.contradicted > _MANY * (self.masked + self.pixels):
                line += f" But {self._contradiction}: something is drawn over the picture there."
            return line
        if self.lowers_ssim:
            return (
                f"{form} does not explain this pair ({share}): it makes the picture less like the wanted, "
                f"SSIM {self.ssim:.4f}, unfiltered {self.ssim_identity:.4f}."
            )
        if self.explained >= _MOST:
            return f"{form} explains most of this pair, {share}, but not all of it."
        if self.explained >= _PART:
            return f"{form} explains only a part of this pair, {share}."
        nature = "" if self.otherwise else ": the change depends on the picture, as a median or noise does"
        return f"{form} does not explain this pair ({share}){nature}."

    @property
    def _contradiction(self) -> str:
        return f"{self.contradicted} of {self.masked} saturated targets contradict it"

    def text(self) -> str:
        """Return the report as lines of text."""
        lines = [
            *filter(None, (self.otherwise, self._own_verdict)),
            "",
            *self._figures(),
            *self._notes(),
            "",
            *self._weights(),
        ]
        return "\n".join(lines)

    def _figures(self) -> list[str]:
        rows, columns = self.weights.shape[2:]
        changed = "-" if math.isnan(self.explained) else f"{100 * self.explained:.2f} % of the change"
        ridge = "" if self.tone else f", ridge {self.ridge:g}"
        lines = [
            f"method        {self.method}, {rows}x{columns}, channels {self.channels}{ridge}; "
            f"{self.pixels} values",
            f"explained     {changed}, held out; of the picture's variance R2 {self.r2:.6f}",
            f"PSNR          {self.psnr:.2f} dB held out; unfiltered {self.psnr_identity:.2f} dB",
            f"SSIM          {self.ssim:.4f} held out; unfiltered {self.ssim_identity:.4f}",
            f"saturated     {self.masked} targets masked; {self.clipped} of {self.judged} results clipped",
        ]
        if self.taps:
            lines.insert(-1, f"rank          {self.rank} of {self.taps}, condition {self.condition:.3g}")
        if self.contradicted:
            lines.append(f"contradicted  {self._contradiction}")
        if len(self.sizes) > 1:
            tried = ", ".join(f"{name} {quality:.2f} dB" for name, quality in self.sizes.items())
            lines.append(f"sizes tried   {tried}")
        return lines

    def _notes(self) -> list[str]:
        moved = [(k, shift) for k, shift in enumerate(self.shifts, 1) if shift != (0, 0)]
        lines = [
            f"shift         pair {k}: after lies {_moved(*shift)}; taken out, the filter moves nothing"
            for k, shift in moved
        ]
        lines += [f"note          {remark}" for remark in self.remarks]
        if self.stride > 1:
            lines.append(f"note          apply it with --stride {self.stride}")
        if self.rank < self.taps:
            lines.append("note          the images leave weights undetermined: those stay as in the identity")
        if self.psnr_usable + _HELPS_DB < min(self.psnr_with_bias, _PERFECT_DB):
            lines.append(
                f"note          a constant is missing: --bias would reach {self.psnr_with_bias:.2f} dB, not "
                f"{self.psnr_usable:.2f}, where nothing is saturated"
            )
        if min(self.weights.shape[2:]) > 3 and rim_share(self.weights) > 0.25 and not self.explains:
            lines.append(
                "note          much of the kernel lies on its rim: try a larger size, or align the pair"
            )
        return lines

    def _weights(self) -> list[str]:
        lines = []
        for p, d in np.ndindex(*self.weights.shape[:2]):
            if self.weights.shape[:2] != (1, 1):
                lines.append(f"output {p}, input {d}")
            lines += ["  ".join(f"{value:9.5f}" for value in row) for row in self.weights[p, d]]
        if self.bias is not None:
            lines.append("bias  " + "  ".join(f"{value:.6f}" for value in self.bias))
        if self.tones is not None:
            shown = np.linspace(0, 1, 9)
            lines += ["tone curve", "  ".join(f"{value:9.5f}" for value in shown)]
            for tones in self.tones:
                lines.append("  ".join(f"{value:9.5f}" for value in np.interp(shown, KNOTS, tones)))
        return lines

    def record(self) -> dict[str, Any]:
        """Return the report as plain values for JSON; infinite numbers become None.

        `share` is `explained` under its name of version 0.1.
        """
        names = (
            "method channels ridge pixels rank taps condition r2 explained psnr psnr_identity ssim "
            "ssim_identity psnr_usable psnr_with_bias masked contradicted clipped judged curve sizes "
            "linear stride tone edit remarks explains verdict"
        )
        record = {name: plain(getattr(self, name)) for name in names.split()}
        bias = None if self.bias is None else self.bias.tolist()
        shifts = [*map(list, self.shifts)]
        tones = None if self.tones is None else [KNOTS.tolist(), self.tones.tolist()]
        more = {"weights": self.weights.tolist(), "bias": bias, "shifts": shifts, "tones": tones}
        return record | {"share": record["explained"]} | more


def rim_share(weights: Array) -> float:
    """Share of the absolute weight of kernels (P, D, U, V) that lies on their rim; 0 where all is rim.

    Examples
    --------
    >>> rim_share(np.ones((1, 1, 5, 5)))
    0.64
    """
    size = np.abs(weights).sum(axis=(0, 1))
    if min(size.shape) < 3 or not size.any():
        return 0.0
    return float(1 - size[1:-1, 1:-1].sum() / size.sum())


def _moved(down: int, right: int) -> str:
    """Say where a picture lies, without negative numbers.

    Examples
    --------
    >>> _moved(3, -4)
    '3 rows lower, 4 columns to the left'
    """
    rows = f"{abs(down)} rows {'lower' if down >= 0 else 'higher'}"
    return f"{rows}, {abs(right)} columns to the {'right' if right >= 0 else 'left'}"


def plain(value: Any) -> Any:
    """Return what JSON holds of a value: None for numbers that are infinite or none."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
