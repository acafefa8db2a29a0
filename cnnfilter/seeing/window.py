"""The window of one output: where its taps lie, and what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnfilter.core.boundary import index_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.core.geometry import Axis, Pair

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]


def taps(axis: Axis, index: int) -> Places:
    """Return where the taps of one output lie, in pixels of the image; beside it too.

    Examples
    --------
    >>> from cnnfilter.core.geometry import make_geometry
    >>> taps(make_geometry((5, 5), (3, 3), dilation=2).rows, 1)
    array([-1,  1,  3])
    """
    first = index * axis.stride - axis.before
    return first + axis.dilation * np.arange(axis.kernel, dtype=np.int64)


def inside_image(shape: Pair, rows: Places, columns: Places) -> NDArray[np.bool_]:
    """Tell for each pair of a row and a column whether it is a pixel of an image of `shape`."""
    return ((rows >= 0) & (rows < shape[0]))[:, None] & (columns >= 0) & (columns < shape[1])


def values_at(image: Floats, rows: Places, columns: Places, boundary: str, constant: float = 0.0) -> Floats:
    """Return what stands at rows and columns: pixels, or what the boundary puts beside them.

    Parameters
    ----------
    image : float64 array of shape (H, W, C)
    rows, columns : int64 arrays of shape (U,) and (V,)
    boundary : str
        Under "renormalize", which puts nothing there, the value is 0.

    Returns
    -------
    float64 array of shape (U, V, C)

    Examples
    --------
    >>> image = np.array([[1.0, 2.0, 3.0]])[:, :, None]
    >>> values_at(image, np.array([0]), np.arange(-2, 5), "wrap")[0, :, 0]
    array([2., 3., 1., 2., 3., 1., 2.])
    """
    outside = "zero" if boundary == "renormalize" else boundary
    y, x = (
        _pixels(places, length, outside)
        for places, length in zip((rows, columns), image.shape[:2], strict=True)
    )
    values = image[y[:, None], x]
    values[(y < 0)[:, None] | (x < 0)] = constant if boundary == "constant" else 0.0
    return values


def _pixels(places: Places, length: int, boundary: str) -> Places:
    before = max(0, -int(places.min()))
    after = max(0, int(places.max()) - length + 1)
    return index_map(length, before, after, boundary)[places + before]
