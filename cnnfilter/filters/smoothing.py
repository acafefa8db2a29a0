"""Smoothing: the mean and the Gaussian. A constant image comes out unchanged."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core.correlate import checked_image, filtered
from cnnfilter.core.geometry import Number, Padding
from cnnfilter.errors import ParameterError
from cnnfilter.kernels import templates
from cnnfilter.kernels.kernel import Kernel


def mean(
    image: ArrayLike,
    size: int | tuple[int, int] = 3,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: str = "reflect",
    constant: float = 0.0,
    dtype: Any = None,
    accuracy: str = "exact",
    method: str = "auto",
    threads: int | None = None,
) -> NDArray[Any]:
    """Replace each pixel by the mean of its neighbourhood: all weights are 1 / (U V) (equation 10).

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64.
    size : int or pair of int, default 3
        Rows and columns of the neighbourhood, in pixels.
    dtype : dtype, optional
        Type of the result; that of the image by default.

    The other arguments are those of `cnnfilter.correlate`, but `boundary` is "reflect".

    Returns
    -------
    array

    Examples
    --------
    >>> import numpy as np
    >>> mean(np.array([0, 0, 9, 0, 0], np.uint8), 3)
    array([0, 3, 3, 3, 0], dtype=uint8)
    """
    pixels = checked_image(image)
    rows, columns = templates.size_pair(size)
    kernel = templates.mean((1, columns) if pixels.ndim == 1 else (rows, columns))
    return filtered(
        pixels, kernel, stride=stride, padding=padding, boundary=boundary, constant=constant, dilation=1,
        dtype=pixels.dtype if dtype is None else dtype, accuracy=accuracy, method=method, threads=threads,
    )  # fmt: skip


def gaussian(
    image: ArrayLike,
    sigma: float | tuple[float, float] = 1.0,
    size: int | tuple[int, int] | None = None,
    *,
    template: Literal["float", "integer"] = "float",
    stride: Number = 1,
    padding: Padding = "same",
    boundary: str = "reflect",
    constant: float = 0.0,
    dtype: Any = None,
    accuracy: str = "exact",
    method: str = "auto",
    threads: int | None = None,
) -> NDArray[Any]:
    """Smooth with a Gaussian template whose weights sum to 1 (equations 11 and 12).

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64.
    sigma : float or pair of float, default 1
        Standard deviation in pixels, or `(rows, columns)`.
    size : int or pair of int, optional
        Rows and columns of the template; ``2 * ceil(4 * sigma) + 1`` by default.
    template : {"float", "integer"}
        "integer" takes the integer template of the notes over its sum.
    dtype : dtype, optional
        Type of the result; that of the image by default.
    accuracy : {"exact", "fast"}
        "fast" allows a recursive filter for large `sigma`, within 0.5 of 255 grey levels.

    The other arguments are those of `cnnfilter.correlate`, but `boundary` is "reflect".

    Returns
    -------
    array

    Examples
    --------
    >>> import numpy as np
    >>> gaussian(np.array([[0, 0, 0], [0, 16, 0], [0, 0, 0]], np.uint8), 0.8, 3, template="integer",
    ...          boundary="zero")
    array([[1, 2, 1],
           [2, 4, 2],
           [1, 2, 1]], dtype=uint8)
    """
    pixels = checked_image(image)
    sigmas = templates.sigma_pair(sigma)
    if pixels.ndim == 1:
        kernel = _line(size, sigmas[1], template)
        sigmas = (0.0, sigmas[1])
    else:
        kernel = _template(size if size is None else templates.size_pair(size), sigmas, template)
    return filtered(
        pixels, kernel, stride=stride, padding=padding, boundary=boundary, constant=constant, dilation=1,
        dtype=pixels.dtype if dtype is None else dtype, accuracy=accuracy, method=method, threads=threads,
        sigmas=sigmas if template == "float" else None,
    )  # fmt: skip


@lru_cache(maxsize=32)
def _template(size: tuple[int, int] | None, sigmas: tuple[float, float], template: str) -> Kernel:
    return templates.gaussian(size, sigmas, template)  # type: ignore[arg-type]  # checked there


def _line(size: int | tuple[int, int] | None, sigma: float, template: str) -> Kernel:
    """Return the template of a 1-D signal."""
    length = size[-1] if isinstance(size, tuple) else size
    if template == "float":
        return Kernel(templates.gaussian_taps(length, sigma))
    if template != "integer":
        raise ParameterError(f"unknown template {template!r}; use float or integer")
    square = templates.gaussian(length, sigma, "integer")
    return Kernel(square.weights[:1], float(np.sum(square.weights[:1])))
