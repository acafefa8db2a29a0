"""What else may explain a pair, tried on a part of it: a constant, other channels, linear light, a curve."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.learning.curves import learn_curve
from cnnfilter.learning.linear import Learned, learn_kernel
from cnnfilter.learning.pairs import Array
from cnnfilter.learning.report import LinearReport

_SIDE = 512  # rows and columns of the middle of a picture that are tried
_PAIRS = 4
_ENOUGH = 0.5  # of the change, for what explains a part to be worth telling
_TRIED: tuple[dict[str, Any], ...] = (
    {"bias": True},
    {"channels": "separate"},
    {"channels": "separate", "bias": True},
    {"channels": "mixed"},
    {"channels": "mixed", "bias": True},
    {"linear": True},
    {"linear": True, "channels": "separate"},
    {"linear": True, "channels": "mixed"},
    {"curve": True},
    {"curve": True, "channels": "separate"},
)


@dataclass(frozen=True)
class Alternative:
    """Options of `learn_kernel`, or with `curve` of `learn_curve`, and what they learn of a part.

    Attributes
    ----------
    options : mapping
        `bias`, `linear`, `curve` and `channels`, those that are not as by default.
    learned : Learned
    """

    options: Mapping[str, Any]
    learned: Learned

    @property
    def report(self) -> LinearReport:
        """How it does."""
        return self.learned.report

    @property
    def words(self) -> tuple[str, ...]:
        """The options as they are typed."""
        words: list[str] = []
        if "channels" in self.options:
            words += ["--colour", self.options["channels"]]
        return (*words, *(f"--{name}" for name in ("bias", "linear", "curve") if self.options.get(name)))


def find_alternative(
    before: Sequence[Array], after: Sequence[Array], found: LinearReport, stride: int = 1
) -> Alternative | None:
    """Find what explains pairs that a learned filter does not, or at least twice as well.

    Parameters
    ----------
    before, after : sequences of ndarray
        As for `learn_kernel`.
    found : LinearReport
        Of the filter that does not.
    stride : int, default 1

    Returns
    -------
    Alternative or None
        The first that explains the pairs; else the best, if it leaves less than half of what the filter left.
    """
    befores, afters = ([image[_middle(image)] for image in side[:_PAIRS]] for side in (before, after))
    if stride > 1:
        befores, afters = list(before[:_PAIRS]), list(after[:_PAIRS])
    best = None
    for one in _learned(befores, afters, found, stride):
        if one.report.explains:
            return one
        if best is None or one.report.explained > best.report.explained:
            best = one
    if best is None or best.report.lowers_ssim or best.report.explained < _ENOUGH:
        return None
    return best if 1 - best.report.explained < (1 - found.explained) / 2 else None


def _learned(
    befores: list[Array], afters: list[Array], found: LinearReport, stride: int
) -> Iterator[Alternative]:
    """Learn with each of the options that were not learned with."""
    rows, columns = found.weights.shape[2:]
    colours = befores[0].ndim == 3 and befores[0].shape[2] > 1
    given = {"linear": found.linear, "bias": found.bias is not None, "curve": bool(found.tone)}
    for options in _TRIED:
        channels = options.get("channels", "shared")
        same = channels == found.channels and all(
            options.get(name, False) == on for name, on in given.items()
        )
        if same or (channels != "shared" and not colours) or (options.get("curve") and stride > 1):
            continue
        most = 7 if channels == "mixed" else 15
        size = min(rows, most), min(columns, most)
        taken = {name: value for name, value in options.items() if name != "curve"}
        try:
            if options.get("curve"):
                learned = learn_curve(befores, afters, **taken)
            else:
                learned = learn_kernel(befores, afters, size=size, stride=stride, **taken)
        except (ParameterError, np.linalg.LinAlgError):  # too many weights, or too few pixels for them
            continue
        yield Alternative(options, learned)


def _middle(image: Array) -> tuple[slice, slice]:
    top, left = (max(0, (length - _SIDE) // 2) for length in image.shape[:2])
    return slice(top, top + _SIDE), slice(left, left + _SIDE)
