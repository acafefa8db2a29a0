"""OME-Zarr images: which array is the image, what describes it, and the smaller levels beside it.

The metadata are those of https://ngff.openmicroscopy.org, versions 0.1 to 0.5.
"""

import copy
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from cnnfilter.core.arguments import stored
from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ImageFileError
from cnnfilter.lazy.planes import Places

Group: TypeAlias = Any
ZarrArray: TypeAlias = Any
Fill: TypeAlias = Callable[[ZarrArray, ZarrArray, list[int]], None]

_USUAL_AXES = ("t", "c", "z", "y", "x")
"""Those of versions 0.1 and 0.2, which do not name them."""


def _image(attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first image that attributes describe: under "ome" from version 0.5 on."""
    images = attributes.get("ome", attributes).get("multiscales")
    return images[0] if images else None


def paths(group: Group) -> list[str]:
    """Return the names of the levels in a group, the largest first."""
    image = _image(dict(group.attrs))
    if image is None:
        inside = sorted(name for name, _ in group.members())
        raise ImageFileError(
            "a group without an image: no multiscales of OME-Zarr; name one of its members: "
            f"{', '.join(inside[:9]) or 'it has none'}"
        )
    return [level["path"] for level in image["datasets"]]


def others(group: Group) -> list[str]:
    """Return the members of a group that are no levels of its image, such as labels."""
    first = {path.partition("/")[0] for path in paths(group)}
    return sorted(name for name, _ in group.members() if name not in first)


def level(group: Group, number: int = 0) -> ZarrArray:
    """Return an array of the image that a group holds."""
    path = paths(group)[number]
    try:
        return group[path]
    except KeyError as error:
        raise ImageFileError(f"level {path} is described, but it is not there") from error


def axes_of(group: Group) -> Sequence[str]:
    """Return the names of the axes."""
    image = _image(dict(group.attrs))
    assert image is not None, "looked for before"
    return [axis["name"] if isinstance(axis, dict) else axis for axis in image.get("axes", _USUAL_AXES)]


def changed(group: Group, axes: Pair, places: tuple[Places, Places]) -> dict[str, Any]:
    """Return the attributes of a group, with the scale and origin of a result that lies elsewhere."""
    attributes: dict[str, Any] = copy.deepcopy(dict(group.attrs))
    image = _image(attributes)
    assert image is not None, "looked for before"
    if all(place == (0, 1) for place in places):
        return attributes
    pixel: list[float] | None = None
    for dataset in image["datasets"]:
        told = dataset.setdefault("coordinateTransformations", [])
        scale = next((each["scale"] for each in told if each["type"] == "scale"), None)
        if scale is None:
            continue
        pixel = list(scale) if pixel is None else pixel
        shift = next((each["translation"] for each in told if each["type"] == "translation"), None)
        if shift is None and any(place.first for place in places):
            shift = [0.0] * len(scale)
            told.append({"type": "translation", "translation": shift})
        for axis, place in zip(axes, places, strict=True):
            scale[axis] *= place.step
            if shift is not None:
                shift[axis] += place.first * pixel[axis]
    return attributes


def make_levels(
    source: Group, result: Group, axes: Pair, made_like: Callable[..., ZarrArray], fill: Fill | None = None
) -> None:
    """Make the smaller levels of a result, each from the one before it by means over as many pixels.

    Parameters
    ----------
    source, result : Group
        The result has its level 0.
    axes : pair of int
        Rows and columns.
    made_like : callable
        Creates an array like another; see `cnnfilter.lazy.zarrstores`.
    fill : callable, optional
        Writes a level: called with the one before it, the level, and how many pixels of each axis become one.
    """
    names = paths(source)
    for number, name in enumerate(names[1:], 1):
        before, after, made = level(source, number - 1), level(source, number), result[names[number - 1]]
        sizes = [max(1, round(a / b)) for a, b in zip(before.shape, after.shape, strict=True)]
        up = [a * size > b for a, b, size in zip(after.shape, before.shape, sizes, strict=True)]
        shape = tuple(
            max(1, -(-length // size) if rounded_up else length // size)
            for length, size, rounded_up in zip(made.shape, sizes, up, strict=True)
        )
        smaller = made_like(after, axes, shape, made.dtype, result.create_array, name=name)
        (fill or _fill)(made, smaller, sizes)


def _fill(larger: ZarrArray, smaller: ZarrArray, sizes: list[int]) -> None:
    for start in starts_of(smaller):
        fill_chunk(larger, smaller, sizes, start)


def starts_of(array: ZarrArray) -> list[tuple[int, ...]]:
    """Return where the chunks of an array begin that are written as a whole."""
    written = array.shards or array.chunks
    return list(
        product(*(range(0, length, chunk) for length, chunk in zip(array.shape, written, strict=True)))
    )


def fill_chunk(larger: ZarrArray, smaller: ZarrArray, sizes: list[int], start: tuple[int, ...]) -> None:
    """Write means over windows into a chunk; the last window of an axis may be smaller."""
    written = smaller.shards or smaller.chunks
    stop = [min(s + chunk, length) for s, chunk, length in zip(start, written, smaller.shape, strict=True)]
    where = tuple(slice(*pair) for pair in zip(start, stop, strict=True))
    windows = tuple(slice(w.start * size, w.stop * size) for w, size in zip(where, sizes, strict=True))
    values = np.asarray(larger[windows], np.float64)
    for axis, size in enumerate(sizes):
        if size > 1:
            places = np.arange(0, values.shape[axis], size)
            counts = np.diff([*places, values.shape[axis]])
            sums = np.add.reduceat(values, places, axis)
            values = sums / counts.reshape([-1 if each == axis else 1 for each in range(sums.ndim)])
    smaller[where] = stored(values, np.dtype(smaller.dtype))
