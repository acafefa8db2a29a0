"""The slide of each kind of filter: what an animation of it shows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial, singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.core.correlate import as_kernel, fitted
from cnnfilter.errors import ParameterError
from cnnfilter.filters.correlation import Convolve, Correlate
from cnnfilter.filters.filter import Filter, KernelFilter
from cnnfilter.filters.gaussian import Gaussian
from cnnfilter.filters.gradient import Gradient, kernel_of, line_of
from cnnfilter.filters.pool import Pool
from cnnfilter.filters.unsharp import Unsharp
from cnnfilter.learning.application import Learned
from cnnfilter.pixels.kinds import full_scale
from cnnfilter.seeing.conclusions import (
    concluded_colour,
    concluded_direction,
    concluded_magnitude,
    concluded_sharp,
    without_y,
)
from cnnfilter.seeing.slide import Conclusion, Slide, slide_title, three_dimensional, white_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.core.geometry import Geometry
    from cnnfilter.kernels.kernel import Kernel

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
    geometry = geometry_over(filter, image)
    boundary = filter.arguments.get("boundary", "reflect")
    constant = float(filter.arguments.get("constant", 0.0))
    return Slide(
        deep, None, 1.0, "value", geometry, boundary, constant, output, False,
        slide_title(filter.title, geometry, boundary), white_level(image),
    )  # fmt: skip


@slide_of.register(KernelFilter)
def _(filter: KernelFilter, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    return _of_kernel(filter, _kernel_over(filter, image), image, output)


@slide_of.register(Convolve)
def _(filter: Convolve, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    return _of_kernel(filter, _kernel_over(filter, image), image, output, turned=True)


@slide_of.register(Pool)
def _(filter: Pool, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    geometry = geometry_over(filter, image)
    size = geometry.rows.kernel, geometry.columns.kernel
    slide = Slide.of_pooling(image, filter.arguments["kind"], size, geometry.stride, geometry.padding)
    return replace(slide, output=three_dimensional(output))


@slide_of.register(Learned)
def _(filter: Learned, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    """Show one layer with one output as kernels, one for each channel; what is deeper as a window."""
    learned = filter.arguments["filter"]
    layer = learned.layers[0]
    alone = len(learned.layers) == 1 and learned.outputs == layer.groups == 1 and not learned.residual
    if not alone or layer.activation != "identity" or layer.bias is not None:
        return slide_of.dispatch(Filter)(filter, image, output)
    if learned.inputs == 1:
        return _of_kernel(filter, fitted(as_kernel(layer.weights[0, 0]), image.ndim), image, output)
    slide = Slide.of_channels(image, list(layer.weights[0]), **geometry_given(filter))
    return replace(slide, output=three_dimensional(output))


@slide_of.register(Gradient)
def _(filter: Gradient, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    """Show the kernels along x and y over each channel, and what is made of both sums."""
    operator = filter.arguments.get("operator", "sobel")
    if filter.show in ("x", "y"):
        kernel = line_of(operator) if image.ndim == 1 else kernel_of(operator, filter.show)
        return _of_kernel(filter, kernel, image, output)
    signal, white = image.ndim == 1, full_scale(np.asarray(image).dtype)
    kernels = [line_of(operator)] if signal else [kernel_of(operator, axis) for axis in ("x", "y")]
    conclusions: dict[str, Conclusion] = {
        "magnitude": concluded_magnitude,
        "direction": concluded_direction,
        "colour": partial(concluded_colour, white),
    }
    conclude = conclusions[filter.show]
    return replace(
        _of_kernel(filter, kernels[0], image, output),
        weights=np.stack([kernel.weights for kernel in kernels], axis=2),
        names=("x",) if signal else ("x", "y"),
        conclude=partial(without_y, conclude) if signal else conclude,
        hued=filter.colours_only,
    )


@slide_of.register(Unsharp)
def _(filter: Unsharp, image: NDArray[Any], output: NDArray[np.float64]) -> Slide:
    """Show the Gaussian, and what is added of the difference from it."""
    given = (filter.arguments.get(name, default) for name, default in (("amount", 1.0), ("threshold", 0.0)))
    amount, threshold = map(float, given)
    gaussian = _kernel_over(Gaussian(sigma=filter.arguments.get("sigma", 1.0)), image)
    slide = _of_kernel(filter, gaussian, image, output)
    return replace(slide, conclude=partial(concluded_sharp, amount, threshold))


def _of_kernel(
    filter: Filter, kernel: Any, image: NDArray[Any], output: NDArray[np.float64], turned: bool = False
) -> Slide:
    over = geometry_over(filter, image)
    given = geometry_given(filter) | {"stride": over.stride, "padding": over.padding}
    slide = Slide.of_kernel(image, kernel, turned=turned, **given | {"dilation": over.dilation})
    title = slide_title(filter.title, slide.geometry, slide.boundary)
    return replace(slide, title=title, output=three_dimensional(output))


def _kernel_over(filter: KernelFilter, image: NDArray[Any]) -> Kernel:
    return filter.line() if image.ndim == 1 else filter.kernel()


def geometry_over(filter: Filter, image: NDArray[Any]) -> Geometry:
    """Return the geometry of a filter over a signal of shape (N,) or an image."""
    if image.ndim == 1:
        return filter.line_geometry(image.size)
    return filter.geometry((image.shape[0], image.shape[1]))


def geometry_given(filter: Filter) -> dict[str, Any]:
    """Return stride, padding, boundary and dilation of a filter, with the default of its function."""
    given = {name: filter.arguments[name] for name in GEOMETRY if name in filter.arguments}
    return given if isinstance(filter, Correlate) else {"boundary": "reflect", **given}
