"""The filters of `cnnfilter` for xarray's arrays with labels: coordinates and attributes stay.

Each takes a ``DataArray`` and the arguments of its namesake, and `dims`, the names of rows and columns::

    cnnfilter.lazy.xarray.gaussian(temperature, 2, dims=("lat", "lon"))

An array of rows, columns and one axis more, in this order, is an image of channels; of all others each plane
is filtered by itself. Arrays of dask stay lazy. Where a stride or a padding changes the size, coordinates are
taken in the middle of the pixels that a value is made of; one that has no number there, such as a name, is
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from inspect import signature
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import linear
from cnnfilter.core.arguments import is_chunked
from cnnfilter.core.correlate import as_kernel
from cnnfilter.core.geometry import Geometry
from cnnfilter.errors import DtypeError, ParameterError, shown
from cnnfilter.filters import gaussian as gaussians
from cnnfilter.filters import gradient as gradients
from cnnfilter.filters import mean as means
from cnnfilter.filters import pool as pools
from cnnfilter.filters import second_derivative as second_derivatives
from cnnfilter.filters import unsharp as unsharps
from cnnfilter.filters.correlation import Convolve, Correlate
from cnnfilter.filters.filter import Filter
from cnnfilter.lazy.planes import Places, places_of

__all__ = [
    "convolve",
    "correlate",
    "gaussian",
    "gradient",
    "max_pool",
    "mean",
    "mean_pool",
    "second_derivative",
    "unsharp",
]

Array: TypeAlias = NDArray[Any]
DataArray: TypeAlias = Any
Dims: TypeAlias = tuple[Hashable, Hashable]


def _labelled(function: Callable[..., Array], kind: type[Filter], /, **more: Any) -> Callable[..., DataArray]:
    """Make the function for arrays with labels of one for arrays."""

    def of_labels(image: DataArray, *arguments: Any, dims: Dims = ("y", "x"), **how: Any) -> DataArray:
        array = _planes_last(image, dims)
        planes = 0 if array.dims[:2] == tuple(dims) else array.ndim - 2
        given = dict(signature(function).bind(image, *arguments, **how).arguments)
        del given["image"]
        if not (given.get("missing") is None or np.isscalar(given["missing"])):
            raise ParameterError('missing is "nan" or a number here; give missing pixels one of them')
        filter = kind(**{name: given[key] for name, key in _taken(kind).items() if key in given}, **more)
        result = _each_plane(partial(function, **given), array.data, planes)
        sides = array.sizes[dims[0]], array.sizes[dims[1]]
        places = dict(zip(dims, places_of([_geometry(filter, sides)]), strict=True))
        return _with_labels(result, array, places).transpose(*image.dims)

    of_labels.__name__ = of_labels.__qualname__ = function.__name__
    of_labels.__doc__ = (
        f"`cnnfilter.{function.__name__}` of a ``DataArray``, whose coordinates and attributes stay.\n\n"
        "    Its arguments are those of that function, and `dims`, the names of rows and columns.\n    "
    )
    return of_labels


def _taken(kind: type[Filter]) -> dict[str, str]:
    """Return what a filter takes, and what its function calls that."""
    keywords = {option.name: option.keyword or option.name for option in kind.options}
    return {name: keywords.get(name, name) for name in kind.takes()}


def _geometry(filter: Filter, sides: tuple[int, int]) -> Geometry:
    kernel = filter.arguments.get("kernel")
    return (filter if kernel is None else filter.changed(kernel=as_kernel(kernel))).geometry(sides)


def _planes_last(image: DataArray, dims: Dims) -> DataArray:
    """Return an array whose rows and columns come last, but in an image of channels."""
    import xarray

    if not isinstance(image, xarray.DataArray):
        raise DtypeError(f"{type(image).__name__} is no DataArray; of a Dataset, map() over its variables")
    if isinstance(dims, str) or len(dims) != 2 or dims[0] == dims[1]:
        raise ParameterError(f'dims {shown(dims)} are no pair of names; give rows and columns, ("y", "x")')
    for dim in dims:
        if dim not in image.dims:
            raise ParameterError(
                f"there is no dimension {shown(dim)}; the array has {', '.join(map(str, image.dims))}"
            )
    channels = image.ndim == 3 and image.dims[:2] == tuple(dims)
    return image if channels else image.transpose(..., *dims)


def _each_plane(function: Callable[[Array], Array], data: Array, planes: int) -> Array:
    """Filter an image, or one after the other those that lie along so many axes before rows and columns."""
    if not planes:
        return function(data)
    made = [_each_plane(function, plane, planes - 1) for plane in data]
    if is_chunked(made[0]):
        import dask.array

        stacked: Array = dask.array.stack(made)
        return stacked
    return np.stack(made)


def _with_labels(data: Array, array: DataArray, places: dict[Hashable, Places]) -> DataArray:
    """Return a result with the name and attributes of an array, and its coordinates where the values lie."""
    import xarray

    lengths = dict(zip(array.dims, data.shape, strict=True))
    moved = {
        dim: place.first + place.step * np.arange(lengths[dim])
        for dim, place in places.items()
        if place != (0, 1) or lengths[dim] != array.sizes[dim]
    }
    found = {name: _moved(coordinate, moved) for name, coordinate in array.coords.items()}
    coordinates = {name: coordinate for name, coordinate in found.items() if coordinate is not None}
    return xarray.DataArray(data, coordinates, array.dims, array.name, array.attrs)


def _moved(coordinate: DataArray, moved: dict[Hashable, Array]) -> Any:
    """Return a coordinate at other places, counted in pixels; None where it has no values there."""
    variable = coordinate.variable
    for dim, at in moved.items():
        if dim not in variable.dims:
            continue
        length = variable.sizes[dim]
        if (at == np.rint(at)).all() and at[0] >= 0 and at[-1] <= length - 1:
            variable = variable.isel({dim: at.astype(np.int64)})
            continue
        if variable.ndim > 1 or length < 2 or variable.dtype.kind not in "iufmM":
            return None
        values = variable.values.astype(np.float64) if variable.dtype.kind in "iu" else variable.values
        before = np.clip(np.floor(at), 0, length - 2).astype(np.int64)
        between = values[before] + (at - before) * (values[before + 1] - values[before])
        variable = type(coordinate.variable)(variable.dims, between, variable.attrs)
    return variable


mean = _labelled(means.mean, means.Mean)
gaussian = _labelled(gaussians.gaussian, gaussians.Gaussian)
second_derivative = _labelled(second_derivatives.second_derivative, second_derivatives.SecondDerivative)
gradient = _labelled(gradients.gradient, gradients.Gradient)
unsharp = _labelled(unsharps.unsharp, unsharps.Unsharp)
correlate = _labelled(linear.correlate, Correlate)
convolve = _labelled(linear.convolve, Convolve)
max_pool = _labelled(pools.max_pool, pools.Pool, kind="max")
mean_pool = _labelled(pools.mean_pool, pools.Pool, kind="mean")
