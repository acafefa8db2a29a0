"""The slide of each kind of filter: what an animation of it shows."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.filters.correlation import Convolve, Correlate
from cnnfilter.filters.filter import Filter, KernelFilter
from cnnfilter.filters.pool import Pool
from cnnfilter.learning.application import Learned
from cnnfilter.seeing.slide import Slide, slide_title, three_dimensional, white_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

GEOMETRY = ("stride", "padding", "boundary", "constant", "dilation")


@singledispatch
def slide_of(filter: Filter, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    """Return what slides over an image: the kernel of a filter that has one, else the window alone.

    Parameters
    ----------
    filter : Filter
    image : array of shape (H, W) or (H, W, C)
        What the filter is given.
    output : float64 array of shape (rows, columns) or (rows, columns, K)
        What it makes of that; see `cnnfilter.filters.chain.run_apart`.

    Raises
    ------
    ParameterError
        For a filter that makes more channels than the image has.

    Examples
    --------
    >>> from cnnfilter.filters.mean import Mean
    >>> filter, image = Mean(size=3, stride=3, padding="narrow"), np.arange(9.0).reshape(3, 3)
    >>> slide_of(filter, image, np.array([[4.0]])).step(0).result
    array([4.])
    """
    deep, output = three_dimensional(image), three_dimensional(output)
    if output.shape[2] > deep.shape[2]:
        raise ParameterError(
            f"{filter.title} makes {output.shape[2]} channels of {deep.shape[2]}; "
            "filters that make more than the image has cannot be animated"
        )
    geometry = filter.geometry((deep.shape[0], deep.shape[1]))
    boundary = filter.arguments.get("boundary", "reflect")
    constant = float(filter.arguments.get("constant", 0.0))
    return Slide(
        deep, None, 1.0, "value", geometry, boundary, constant, output, False, False,
        slide_title(filter.title, geometry, boundary), white_level(image),
    )  # fmt: skip


@slide_of.register(KernelFilter)
def _(filter: KernelFilter, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    return _of_kernel(filter, filter.kernel(), image, output)


@slide_of.register(Convolve)
def _(filter: Convolve, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    return _of_kernel(filter, filter.kernel(), image, output, turned=True)


@slide_of.register(Pool)
def _(filter: Pool, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    given = dict(filter.arguments)
    return replace(Slide.of_pooling(image, given.pop("kind"), **given), output=three_dimensional(output))


@slide_of.register(Learned)
def _(filter: Learned, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    """Show one layer with one output as kernels, one for each channel; what is deeper as a window."""
    learned = filter.arguments["filter"]
    layer = learned.layers[0]
    alone = len(learned.layers) == 1 and learned.outputs == layer.groups == 1 and not learned.residual
    if not alone or layer.activation != "identity" or layer.bias is not None:
        return slide_of.dispatch(Filter)(filter, image, output)
    if learned.inputs == 1:
        return _of_kernel(filter, layer.weights[0, 0], image, output)
    slide = Slide.of_channels(image, list(layer.weights[0]), **geometry_given(filter))
    return replace(slide, output=three_dimensional(output))


def _of_kernel(
    filter: Filter, kernel: Any, image: NDArray[Any], output: NDArray[np.float64], turned: bool = False
) -> Slide:
    slide = Slide.of_kernel(image, kernel, turned=turned, **geometry_given(filter))
    title = slide_title(filter.title, slide.geometry, slide.boundary)
    return replace(slide, title=title, output=three_dimensional(output))


def geometry_given(filter: Filter) -> dict[str, Any]:
    """Return stride, padding, boundary and dilation of a filter, with the default of its function."""
    given = {name: filter.arguments[name] for name in GEOMETRY if name in filter.arguments}
    return given if isinstance(filter, Correlate) else {"boundary": "reflect", **given}
