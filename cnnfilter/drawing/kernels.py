"""A kernel drawn: its weights, its frequency response, and cuts through that."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.drawing.figure import SUFFIXES, new_figure
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.kernels.kernelview import frequency_response

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.kernels.kernel import Kernel

    Floats = NDArray[np.float64]


def plot(kernel: Kernel, path: str | os.PathLike[str]) -> None:
    """Draw a kernel, its frequency response and cuts through it into a file.

    Parameters
    ----------
    kernel : Kernel
    path : path
        Ending in ``.png``, ``.svg`` or ``.pdf``.

    Raises
    ------
    ParameterError
        Another suffix.
    CnnFilterError
        matplotlib is not installed.
    ImageFileError
        The file cannot be written.
    """
    from cnnfilter.wholefile import whole_file

    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ParameterError(f"{os.fspath(path)!r} is no drawing; it must end in .png, .svg or .pdf")
    content = io.BytesIO()
    _figure(kernel).savefig(content, format=suffix[1:], dpi=150)
    try:
        with whole_file(os.fspath(path)) as file:
            file.write(content.getvalue())
    except OSError as error:
        raise ImageFileError(f"{os.fspath(path)}: {error.strerror or error}") from error


def _figure(kernel: Kernel) -> Any:
    figure = new_figure(13, 4.2, layout="constrained")
    weights, response, cuts = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
    rows, columns = kernel.shape
    figure.suptitle(f"{kernel.name or 'kernel'}   {rows}x{columns}, sum {kernel.sum:.6g}, rank {kernel.rank}")
    _draw_weights(figure, weights, kernel)
    _draw_response(figure, response, cuts, frequency_response(kernel))
    return figure


def _draw_weights(figure: Any, axes: Any, kernel: Kernel) -> None:
    array = kernel.array
    peak = float(np.abs(array).max()) or 1.0
    figure.colorbar(axes.imshow(array, cmap="RdBu_r", vmin=-peak, vmax=peak), ax=axes, shrink=0.8)
    axes.set(title="weights", xlabel="column", ylabel="row")
    for axis, side in ((axes.xaxis, array.shape[1]), (axes.yaxis, array.shape[0])):
        axis.set_ticks(range(0, side, max(1, side // 8)))
    if max(array.shape) <= 7:
        for (row, column), value in np.ndenumerate(array):
            shade = "white" if abs(value) > 0.6 * peak else "black"
            axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=shade, fontsize=8)


def _draw_response(figure: Any, axes: Any, cuts: Any, response: Floats) -> None:
    edges = (-0.5, 0.5, 0.5, -0.5)
    figure.colorbar(axes.imshow(response, extent=edges, cmap="viridis", vmin=0), ax=axes, shrink=0.8)
    axes.set(title="frequency response", xlabel="x, cycles a pixel", ylabel="y, cycles a pixel")
    middle = response.shape[0] // 2
    frequencies = np.arange(middle + 1) / (2 * middle)
    # The last sample, half a cycle a pixel, is the first one of the other side.
    half = np.append(np.arange(middle, 2 * middle), 0)
    cuts.plot(frequencies, response[middle, half], label="along x")
    cuts.plot(frequencies, response[half, middle], "--", label="along y")
    cuts.plot(frequencies, response[half, half], ":", label="x = y")
    cuts.set(title="cuts", xlabel="cycles a pixel", ylabel="gain", xlim=(0, 0.5))
    cuts.set_ylim(bottom=0)
    cuts.grid(alpha=0.3)
    cuts.legend()
