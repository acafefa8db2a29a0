"""Images of several planes, which are filtered one after the other; where the results lie in their plane."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from cnnfilter.core.geometry import Axis, Geometry
from cnnfilter.errors import ParameterError
from cnnfilter.files.forms import names_zarr
from cnnfilter.lazy.engine import Sink, Source

Axes: TypeAlias = Sequence[int | str]


def is_zarr(store: object) -> bool:
    """Tell whether something is a Zarr array or group, or names one."""
    if not isinstance(store, str | os.PathLike):
        return type(store).__module__.partition(".")[0] == "zarr"
    return names_zarr(store)


def pairs_of(source: Source, sink: Sink) -> Iterable[tuple[Source, Sink]]:
    """Pair the planes of a source with those of a sink; what has no planes is one.

    Raises
    ------
    ParameterError
        More planes than the sink takes.
    """
    planes: Sequence[Source] = getattr(source, "stacked", (source,))
    places: Sequence[Sink] = getattr(sink, "stacked", (sink,))
    if len(planes) != len(places):
        raise ParameterError(
            f"the input has {len(planes)} plane(s), but the output takes {len(places)}; write .zarr"
        )
    return zip(planes, places, strict=True)


class Places(NamedTuple):
    """Where the values of a result lie along one axis of the image: at ``first + step * index``."""

    first: float
    step: int


def places_of(geometries: Iterable[Geometry]) -> tuple[Places, Places]:
    """Return where the results of filters one after the other lie along the rows and columns of the image.

    A result lies in the middle of the pixels that it is made of, but on its own pixel where the filter keeps
    the size.

    Examples
    --------
    >>> from cnnfilter.core.geometry import make_geometry
    >>> places_of([make_geometry((8, 8), (2, 3), 2, "narrow"), make_geometry((4, 3), (3, 3))])
    (Places(first=0.5, step=2), Places(first=1.0, step=2))
    """
    found = list(geometries)
    return _places(each.rows for each in found), _places(each.columns for each in found)


def _places(axes: Iterable[Axis]) -> Places:
    first, step = 0.0, 1
    for axis in axes:
        if axis.stride != 1 or axis.output != axis.length:
            first += step * ((axis.reach - 1) / 2 - axis.before)
            step *= axis.stride
    return Places(first, step)


def plane_axes(axes: Axes | None, names: Sequence[Any] | None, dimensions: int) -> tuple[int, int]:
    """Return which axes of an array are the rows and the columns of its planes.

    Parameters
    ----------
    axes : pair of int or str, optional
        What the user says.
    names : sequence, optional
        Of the axes of the array, if they are known.
    dimensions : int
        How many axes the array has.

    Examples
    --------
    >>> plane_axes(None, None, 3), plane_axes(None, ("t", "y", "x"), 3), plane_axes((-1, 0), None, 3)
    ((0, 1), (1, 2), (2, 0))
    """
    known = list(names or ())
    if axes is None and {"y", "x"} <= {*known}:
        axes = ("y", "x")
    if axes is None and dimensions in (2, 3):
        return 0, 1
    if axes is None:
        raise ParameterError(
            f"an array of {dimensions} dimensions; say which are rows and columns, such as axes=(-2, -1)"
        )
    if isinstance(axes, str) or len(axes) != 2:
        raise ParameterError(f"axes {axes!r} are no pair; give rows and columns, such as (-2, -1)")
    found = []
    for axis in axes:
        if isinstance(axis, str) and axis not in known:
            raise ParameterError(
                f"there is no axis {axis!r}; the axes are {', '.join(map(str, known)) or 'unnamed'}"
            )
        number = known.index(axis) if isinstance(axis, str) else axis
        if not -dimensions <= number < dimensions:
            raise ParameterError(f"axis {number} is out of range; the array has {dimensions} dimensions")
        found.append(number % dimensions)
    if found[0] == found[1]:
        raise ParameterError(f"axes {axes!r} are one and the same; give rows and columns")
    return found[0], found[1]
