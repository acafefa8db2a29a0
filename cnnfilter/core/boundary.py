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

from typing import TYPE_CHECKING

import numpy as np

from cnnfilter.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOUNDARIES = ("zero", "constant", "edge", "reflect", "symmetric", "wrap", "renormalize")


def check_boundary(name: object) -> str:
    """Return the boundary's name, or raise `ParameterError` with the list."""
    if not isinstance(name, str) or name not in BOUNDARIES:
        raise ParameterError(f"unknown boundary {name!r}; use one of {', '.join(BOUNDARIES)}")
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
    place = np.arange(-before, length + after, dtype=np.int64)
    if boundary == "edge":
        return np.clip(place, 0, length - 1)
    if boundary == "wrap":
        return place % length
    if boundary == "reflect":
        period = max(2 * (length - 1), 1)
        place = np.abs(place) % period
        return np.minimum(place, period - place) if length > 1 else np.zeros_like(place)
    if boundary == "symmetric":
        place %= 2 * length
        return np.minimum(place, 2 * length - 1 - place)
    place[(place < 0) | (place >= length)] = -1
    return place
