"""Boundaries: what stands beside the image, as maps from padded places to pixels.

For the pixels ``a b c d`` the boundaries put, with NumPy's names (`numpy.pad`)::

    zero         0 0 0 | a b c d | 0 0 0
    constant     k k k | a b c d | k k k      with constant=k
    edge         a a a | a b c d | d d d
    reflect      d c b | a b c d | c b a      the edge pixel is not repeated
    symmetric    c b a | a b c d | d c b      the edge pixel is repeated
    wrap         b c d | a b c d | a b c
    renormalize  - - - | a b c d | - - -      weights that fall outside are dropped, the others rescaled

SciPy calls `symmetric` "reflect" and `reflect` "mirror"; OpenCV's default, BORDER_REFLECT_101, is `reflect`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.core.geometry import Geometry, Pair
from cnnfilter.errors import ParameterError, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOUNDARIES = ("zero", "constant", "edge", "reflect", "symmetric", "wrap", "renormalize")


def check_boundary(name: object) -> str:
    """Return the boundary's name, or raise `ParameterError` with the list."""
    if not isinstance(name, str) or name not in BOUNDARIES:
        raise ParameterError(f"unknown boundary {shown(name)}; use one of {', '.join(BOUNDARIES)}")
    return name


def index_map(length: int, before: int, after: int, boundary: str) -> NDArray[np.int64]:
    """Map each padded place to the pixel that stands there.

    Parameters
    ----------
    length : int
        Pixels along the axis, at least 1.
    before, after : int
        Places before the first and after the last pixel.
    boundary : str
        One of `BOUNDARIES`.

    Returns
    -------
    int64 array of shape (before + length + after,)
        Index of the pixel, or -1 where a constant stands (`zero`, `constant`, `renormalize`).

    Examples
    --------
    >>> pixels = np.array(list("abcd"))
    >>> for name in ("edge", "reflect", "symmetric", "wrap"):
    ...     print(name, "".join(pixels[index_map(4, 3, 3, name)]))
    edge aaaabcdddd
    reflect dcbabcdcba
    symmetric cbaabcddcb
    wrap bcdabcdabc
    >>> index_map(2, 1, 1, "zero")
    array([-1,  0,  1, -1])
    """
    return pixels_at(np.arange(-before, length + after, dtype=np.int64), length, boundary)


def pixels_at(place: NDArray[np.int64], length: int, boundary: str) -> NDArray[np.int64]:
    """Map places along an axis, counted from its first pixel, to the pixels that stand there.

    Parameters
    ----------
    place : int64 array
        Any places; those of the image are 0 to `length` - 1.
    length, boundary : int, str
        As in `index_map`.

    Returns
    -------
    int64 array
        As `index_map`.

    Examples
    --------
    >>> pixels_at(np.array([-7, -1, 2, 4]), 4, "wrap")
    array([1, 3, 2, 0])
    """
    if boundary == "edge":
        return np.clip(place, 0, length - 1)
    if boundary == "wrap":
        return place % length
    if boundary == "reflect":
        period = max(2 * (length - 1), 1)
        place = np.abs(place) % period
        return np.minimum(place, period - place) if length > 1 else np.zeros_like(place)
    if boundary == "symmetric":
        place = place % (2 * length)
        return np.minimum(place, 2 * length - 1 - place)
    return np.where((place < 0) | (place >= length), -1, place)


def boundary_pair(boundary: object) -> tuple[str, str]:
    """Return the boundaries of rows and of columns, given as one name or a pair of names.

    Examples
    --------
    >>> boundary_pair("wrap"), boundary_pair(("edge", "wrap"))
    (('wrap', 'wrap'), ('edge', 'wrap'))
    """
    if not isinstance(boundary, tuple | list):
        name = check_boundary(boundary)
        return name, name
    if len(boundary) != 2:
        raise ParameterError(
            f"boundary {shown(boundary)} has {len(boundary)} names; give one, or a pair (rows, columns), of "
            f"{', '.join(BOUNDARIES)}"
        )
    return check_boundary(boundary[0]), check_boundary(boundary[1])


def one_boundary(
    image: NDArray[Any], geometry: Geometry, boundaries: tuple[str, str], constant: float
) -> tuple[NDArray[Any], tuple[Pair, Pair], str]:
    """Put beside the image what stands there along one axis, so that one boundary is left for the other.

    Of two different boundaries that of the rows is put there first, so that in the corners the columns'
    holds; a `renormalize` holds in the corners in any case.

    Parameters
    ----------
    image : array of shape (H, W, C)
        Its type holds the constant.
    boundaries : pair of str
        Of rows and of columns.

    Returns
    -------
    image, padding, boundary
        What is left to do; nothing is copied where one boundary will do for both.
    """
    padding = geometry.padding
    names = {name for name, sides in zip(boundaries, padding, strict=True) if sides != (0, 0)}
    if len(names) < 2:
        return image, padding, names.pop() if names else boundaries[1]
    axis = 1 if boundaries[0] == "renormalize" else 0
    places = index_map(image.shape[axis], *padding[axis], boundaries[axis])
    image = image.take(places, axis)  # -1 takes the last pixel, which is replaced
    outside = (slice(None),) * axis + (places < 0,)
    image[outside] = constant if boundaries[axis] == "constant" else 0
    none = (0, 0)
    return image, (padding[0], none) if axis else (none, padding[1]), boundaries[1 - axis]
