"""Pictures of what was learned: the kernel, how well it does, and before, after and ours side by side."""

import itertools
import os
import textwrap
from typing import Any

import numpy as np

from cnnfilter.drawing.figure import new_figure, save_figure
from cnnfilter.drawing.sheet import laid_out
from cnnfilter.learning.pairs import Array
from cnnfilter.learning.report import LinearReport
from cnnfilter.learning.stackreport import StackReport

_MOST_KERNELS = 64
_WRITTEN = 7  # rows or columns of a kernel whose weights can still be written into it


def draw_report(report: LinearReport | StackReport, path: str | os.PathLike[str]) -> None:
    """Draw what was learned: a kernel or a stack of layers; see there."""
    if isinstance(report, LinearReport):
        draw_kernel(report, path)
    else:
        draw_stack(report, path)


def draw_kernel(report: LinearReport, path: str | os.PathLike[str]) -> None:
    """Draw the kernel, the histogram of the residual or the learning curve, and the pictures.

    Raises
    ------
    CnnFilterError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    figure, kernels, course, residual, pictures = _parts()
    maps, depth = report.weights.shape[:2]
    _kernels(kernels, report.weights, "kernel" if maps * depth == 1 else "kernels: output, input")
    if report.curve:
        steps = [0, *(2**k for k in range(len(report.curve) - 1))]
        course.plot(steps, np.maximum(report.curve, 1e-12), marker=".", color="C0")
        course.set(title="learning curve: mean squared error", xlabel="step", xscale="symlog", yscale="log")
        course.set_xlim(0, steps[-1])
        course.grid(alpha=0.3)
    elif report.detail is not None:
        _histogram(course, *report.detail)
    if report.detail is not None:
        _residual(residual, *report.detail)
        _pictures(pictures, report.detail, report.peak)
    figures = (
        f"held out: ours {report.psnr:.2f} dB, unfiltered {report.psnr_identity:.2f} dB; "
        f"R2 {report.r2:.5f}; rank {report.rank} of {report.taps}"
    )
    _save(figure, report.verdict, figures, path)


def draw_stack(report: StackReport, path: str | os.PathLike[str]) -> None:
    """Draw the first layer's kernels, the learning curve, and the pictures.

    Raises
    ------
    CnnFilterError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    figure, kernels, course, residual, pictures = _parts()
    _kernels(kernels, report.kernel, "kernels of the first layer")
    if report.curve:
        course.plot(*zip(*report.curve, strict=True), marker=".", color="C0", label="stack")
    for name, value, colour in (
        ("one kernel", report.psnr_linear, "C1"),
        ("unfiltered", report.psnr_identity, "C3"),
    ):
        course.axhline(value, linestyle="--", color=colour, label=name)
    course.set(title="learning curve: held-out PSNR (dB)", xlabel="step")
    course.grid(alpha=0.3)
    course.legend(loc="center right")
    if report.detail is not None:
        _residual(residual, *report.detail)
        _pictures(pictures, report.detail, report.peak)
    figures = (
        f"held out: stack {report.psnr:.2f} dB, one kernel {report.psnr_linear:.2f} dB, "
        f"unfiltered {report.psnr_identity:.2f} dB; {report.weights} weights, {report.steps} steps"
    )
    _save(figure, report.verdict, figures, path)


def _parts() -> tuple[Any, Any, Any, Any, list[Any]]:
    """Return a figure, the axes of kernel, course and residual above, and three for pictures below."""
    figure = new_figure(13, 9, layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.08))
    kernels, course, residual = upper.subplots(1, 3)
    pictures = lower.subplots(1, 3)
    for place in (kernels, residual, *pictures):
        place.set_axis_off()
    return figure, kernels, course, residual, list(pictures)


def _save(figure: Any, verdict: str, figures: str, path: str | os.PathLike[str]) -> None:
    figure.suptitle("\n".join([*textwrap.wrap(verdict, 120), figures]), fontsize=11)
    save_figure(figure, os.fspath(path))


def _kernels(axes: Any, weights: Array, title: str) -> None:
    """Draw kernels (P, D, U, V) by one scale, symmetric about zero; a single small one with its weights."""
    maps, depth, high, wide = weights.shape
    planes = weights.reshape(-1, high, wide)[:_MOST_KERNELS]
    columns = depth if 1 < depth <= 4 else int(np.ceil(np.sqrt(len(planes))))
    sheet, corners = laid_out(planes, columns)
    limit, cut = _limit(planes)
    drawn = axes.imshow(sheet, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.figure.colorbar(drawn, ax=axes, shrink=0.8, extend="both" if cut else "neither")
    left_out = "" if len(planes) == maps * depth else f" (the first {_MOST_KERNELS} of {maps * depth})"
    axes.set_title(title + left_out)
    if len(planes) == 1 and max(high, wide) <= _WRITTEN:
        for u, v in np.ndindex(high, wide):
            dark = abs(sheet[u, v]) > 0.6 * limit
            text = f"{sheet[u, v]:.3f}".replace("0.", ".", 1)
            size = 14 - max(high, wide)
            axes.text(v, u, text, ha="center", va="center", fontsize=size, color="w" if dark else "k")
    elif maps > 1 and depth <= 4 and len(planes) <= 16:
        for k, (p, d) in enumerate(itertools.product(range(maps), range(depth))):
            top, left = corners[k]
            place = left - 0.3, top - 0.2
            axes.text(*place, f"{p},{d}" if depth > 1 else str(p), fontsize=8, va="top")


def _limit(planes: Array) -> tuple[float, bool]:
    """Return the end of a colour scale, and whether one weight beyond it is cut off to show the others."""
    *_, second, largest = [0.0, *np.sort(np.abs(planes), axis=None)]
    cut = 0 < 4 * second < largest
    return (2 * second if cut else largest) or 1.0, bool(cut)


def _histogram(axes: Any, before: Array, after: Array, ours: Array) -> None:
    """Draw how often each error occurs: ours, and that of the unfiltered image behind it."""
    errors = [image.astype(np.float64) - after for image in (before, ours)]
    reach = max(float(np.percentile(np.abs(errors[0]), 99)), 1e-6)
    if np.issubdtype(after.dtype, np.integer):
        reach = max(3.0, min(60.0, np.ceil(reach))) + 0.5
    bins = np.linspace(-reach, reach, int(2 * reach) + 1 if reach > 3 else 61)
    beyond = max(int(np.count_nonzero(np.abs(error) > reach)) for error in errors)
    label = "pixel values" if not beyond else f"pixel values; the ends hold {beyond} beyond"
    for error, name, colour in zip(errors, ("before - after", "ours - after"), ("C7", "C0"), strict=True):
        axes.hist(np.clip(error, -reach, reach).ravel(), bins, label=name, color=colour, alpha=0.7)
    axes.set(title="residual: how often each error occurs", yscale="log", xlabel=label)
    axes.legend()


def _residual(axes: Any, before: Array, after: Array, ours: Array) -> None:
    """Draw ours - after, the channels' mean, by a scale of its own."""
    error = (ours.astype(np.float64) - after).mean(axis=2)
    limit = float(np.abs(error).max()) or 1.0
    drawn = axes.imshow(error, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.figure.colorbar(drawn, ax=axes, shrink=0.8)
    axes.set_title("ours - after, in pixel values")


def _pictures(axes: list[Any], images: tuple[Array, ...], peak: float) -> None:
    for place, name, image in zip(axes, ("before", "after", "ours"), images, strict=True):
        shown = np.clip(image.astype(np.float64) / peak, 0, 1)
        shown = shown if shown.shape[2] == 3 else shown[..., 0]
        place.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        place.set_title(name)
