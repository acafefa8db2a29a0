"""Filters learned from before/after pairs: least squares, descent, and small stacks of layers.

Everything here is loaded at its first use.

Learning
    learn_kernel              the best kernel, solved for: a `Learned`
    learn_curve               a kernel and a tone curve, together
    learn_stack               a few layers, trained as `StackOptions` say: a `LearnedStack`

What is learned
    LearnedFilter             layers of kernels; `kernel`, `save`, `load`
    LinearReport, StackReport how good it is, and what the pairs can tell
    ToneCurve                 a monotone curve for each channel
    shipped_filter, shipped_names  those that come along: "denoise", "deblock"...
    apply                     run one on an image

Comparing images
    psnr, ssim                how near one is to another
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnfilter._lazy import loaded_at_first_use

if TYPE_CHECKING:
    from cnnfilter.learning.application import apply
    from cnnfilter.learning.curves import learn_curve
    from cnnfilter.learning.evaluation import psnr, ssim
    from cnnfilter.learning.learnedfilter import LearnedFilter
    from cnnfilter.learning.linear import Learned, learn_kernel
    from cnnfilter.learning.report import LinearReport
    from cnnfilter.learning.shipped import shipped_filter, shipped_names
    from cnnfilter.learning.stack import LearnedStack, learn_stack
    from cnnfilter.learning.stackreport import StackReport
    from cnnfilter.learning.tonecurve import ToneCurve
    from cnnfilter.learning.training import StackOptions

__all__ = [
    "Learned",
    "LearnedFilter",
    "LearnedStack",
    "LinearReport",
    "StackOptions",
    "StackReport",
    "ToneCurve",
    "apply",
    "learn_curve",
    "learn_kernel",
    "learn_stack",
    "psnr",
    "shipped_filter",
    "shipped_names",
    "ssim",
]

_HOMES = {
    "Learned": "linear",
    "LearnedFilter": "learnedfilter",
    "LearnedStack": "stack",
    "LinearReport": "report",
    "StackOptions": "training",
    "StackReport": "stackreport",
    "ToneCurve": "tonecurve",
    "apply": "application",
    "shipped_filter": "shipped",
    "shipped_names": "shipped",
    "learn_curve": "curves",
    "learn_kernel": "linear",
    "learn_stack": "stack",
    "psnr": "evaluation",
    "ssim": "evaluation",
}

__getattr__ = loaded_at_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
