"""Derivatives of images: signed results."""

from __future__ import annotations

from typing import Any, Literal

from numpy.typing import ArrayLike, NDArray

from cnnfilter.core import templates
from cnnfilter.core.arguments import as_pixels
from cnnfilter.core.geometry import Number, Padding
from cnnfilter.core.linear import Boundary, filter_image
from cnnfilter.errors import ParameterError


def second_derivative(
    image: ArrayLike,
    axis: Literal["x", "y", "both"] = "both",
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: Boundary = "reflect",
    constant: float = 0.0,
    dtype: Any = None,
    missing: Any = None,
    fill: bool = False,
    accuracy: str = "exact",
    method: str = "auto",
    threads: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Take the second difference ``x(t+1) - 2 x(t) + x(t-1)`` (equation 7).

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        Of any real type of up to 64 bits; lists become float64.
    axis : {"both", "x", "y"}
        Along the columns, the rows, or their sum, the Laplacian of four neighbours. A signal has only x.
    dtype : dtype, optional
        Type of the result; signed, as in `cnnfilter.correlate`, by default.

    The other arguments are those of `cnnfilter.correlate`, but `boundary` is "reflect".

    Returns
    -------
    array

    Examples
    --------
    >>> import numpy as np
    >>> second_derivative(np.array([0, 0, 1, 4, 9], np.uint8))
    array([ 0.,  1.,  2.,  2., -10.], dtype=float32)
    """
    pixels = as_pixels(image)
    kernel = templates.second_derivative(axis)
    if pixels.ndim == 1:
        if axis == "y":
            raise ParameterError("a 1-D signal has no axis 'y'; use 'x' or 'both'")
        kernel = templates.second_derivative("x")
    return filter_image(
        pixels, kernel, stride=stride, padding=padding, boundary=boundary, constant=constant, dilation=1,
        dtype=dtype, missing=missing, fill=fill, accuracy=accuracy, method=method, threads=threads, out=out,
    )  # fmt: skip
