"""Unsharp masking: what a Gaussian takes away is added."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cnnfilter.errors import ParameterError, real_number, shown
from cnnfilter.filters.filter import ACCURACY, BOUNDARY, Filter, Option, Planned, planned
from cnnfilter.masked import is_masked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.geometry import Number, Padding, Pair
    from cnnfilter.core.linear import Boundary
    from cnnfilter.kernels.kernel import Kernel


def unsharp(
    image: ArrayLike,
    sigma: float | tuple[float, float] = 1.0,
    amount: float = 1.0,
    threshold: float = 0.0,
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
    """Sharpen: ``image + amount * (image - blurred)`` where that difference exceeds a threshold.

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        Of any real type of up to 64 bits; lists become float64.
    sigma : float or pair of float, default 1
        Of the Gaussian that blurs, in pixels, or `(rows, columns)`.
    amount : float, default 1
        How much of the difference is added; below 0 it is taken away.
    threshold : float, default 0
        In pixel values: smaller differences, such as noise, are left as they are.
    stride, padding : 1 and "same"
        There is no other: every pixel is compared with its own surroundings.
    dtype : dtype, optional
        Type of the result; that of the image by default. An integer type rounds half to even and saturates.
    accuracy : {"exact", "fast"}
        See `cnnfilter.gaussian`.
    boundary, constant, missing, fill, method, threads, out
        As those of `cnnfilter.correlate`, but `boundary` is "reflect". With `fill` a missing pixel becomes
        what the Gaussian makes of those around it.

    Returns
    -------
    array

    Raises
    ------
    ParameterError
        A stride or padding, a threshold below 0, or an amount or a sigma that cannot be.
    DtypeError
        An image, a result or a number of a type that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> unsharp(np.array([10, 10, 10, 90, 90, 90], np.uint8))
    array([  9,   5,   0, 114,  95,  91], dtype=uint8)
    """
    from cnnfilter.core.arguments import as_pixels, is_chunked, result_type
    from cnnfilter.core.geometry import number_pair

    same = isinstance(padding, str) and padding in ("same", "equal")
    if number_pair("stride", stride, least=1) != (1, 1) or not same:
        given = f"stride {shown(stride)} and padding {shown(padding)}"
        raise ParameterError(f"unsharp keeps the size: {given} must be 1 and 'same'")
    pixels = as_pixels(image)
    how = {
        "sigma": sigma, "amount": amount, "threshold": threshold, "boundary": boundary, "constant": constant,
        "dtype": result_type(pixels.dtype, dtype, smoothing=True), "missing": missing, "fill": fill,
        "accuracy": accuracy, "method": method, "threads": threads,
    }  # fmt: skip
    if is_chunked(pixels):
        from cnnfilter.core.chunked import linear_in_chunks

        _checked(amount, threshold)
        blur, output = _blur(pixels.ndim, sigma), _work(pixels.dtype)
        return linear_in_chunks("unsharp", _completed, pixels, blur, how, out=out, output=output)
    return _completed(pixels, out=out, **how)


def _completed(
    image: NDArray[Any], *, dtype: Any, missing: Any, out: NDArray[Any] | None = None, **how: Any
) -> NDArray[Any]:
    """Sharpen an image in which pixels may be missing, and give the result its type."""
    import numpy as np

    from cnnfilter.core.missing import completed_from, find_missing

    missed = find_missing(image, missing)
    if missed is not None:
        image = np.ma.MaskedArray(np.asarray(image), missed.where)
    return completed_from(_sharpened(image, **how), missed, dtype, out)


def _sharpened(
    pixels: NDArray[Any],
    sigma: float | tuple[float, float],
    amount: float,
    threshold: float,
    padding: Any = "same",
    **how: Any,
) -> NDArray[Any]:
    """Return floats, masked if the pixels are; pixels beside those of the result may stand for padding."""
    import numpy as np

    from cnnfilter.filters.gaussian import gaussian

    amount, threshold = _checked(amount, threshold)
    work = _work(pixels.dtype)
    blurred = gaussian(pixels, sigma, padding=padding, dtype=work, **how)
    if padding != "same":
        firsts = [side // 2 - before for side, (before, _) in zip(_window(sigma), padding, strict=True)]
        sides = zip(firsts[-pixels.ndim :], blurred.shape, strict=False)  # a signal has columns alone
        pixels = pixels[tuple(slice(first, first + length) for first, length in sides)]
    values = np.asarray(pixels).astype(work)
    if is_masked(blurred):
        # A pixel that was missing becomes what is around it, where that is asked for.
        where = np.ma.getmaskarray(pixels)
        values = np.ma.MaskedArray(np.where(where, blurred.data, values), blurred.mask)
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large for the type is infinite in it
        difference = np.subtract(values, blurred)
        if threshold:
            difference[np.abs(difference) <= work.type(threshold)] = 0
        difference *= work.type(amount)
        values += difference
    return values


def _checked(amount: float, threshold: float) -> tuple[float, float]:
    amount, threshold = real_number("amount", amount), real_number("threshold", threshold)
    if not math.isfinite(amount):
        raise ParameterError(f"amount {amount} is out of range; give a finite number")
    if not 0 <= threshold < math.inf:
        raise ParameterError(f"threshold {threshold} is out of range; give a number of at least 0")
    return amount, threshold


def _work(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which is sharpened."""
    import numpy as np

    from cnnfilter.core.arguments import result_type

    if dtype.name in ("uint16", "int16"):
        return np.dtype(np.float64)  # times the amount, the rounding of float32 would show in 16 bits
    return result_type(dtype, None)


def _blur(dimensions: int, sigma: float | tuple[float, float]) -> Kernel:
    from cnnfilter.kernels import gaussian as templates

    rows, columns = templates.sigma_pair(sigma)
    return templates.gaussian(sigma=(rows if dimensions > 1 else 0, columns))


def _window(sigma: float | tuple[float, float]) -> Pair:
    from cnnfilter.kernels import gaussian as templates

    rows, columns = templates.sigma_pair(sigma)
    return templates.default_size(rows), templates.default_size(columns)


class Unsharp(Filter):
    """Unsharp masking as a filter of a chain."""

    name = "unsharp"
    help = "Sharpen by unsharp masking: add what a Gaussian would take away, --amount times."
    examples = (
        "cnnfilter unsharp photo.jpg -o sharp.jpg",
        "cnnfilter unsharp --sigma 2 --threshold 4 photo.jpg -o sharp.jpg",
    )
    options = (
        Option("sigma", "lengths", "Of the Gaussian, in pixels. [1.0]", "1.0", "S|SYxSX"),
        Option("amount", "number", "How much of the difference is added. [1.0]", "1.0"),
        Option("threshold", "number", "Pixel values that differ less stay. [0]", "0"),
        BOUNDARY,
        ACCURACY,
    )

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `unsharp`."""
        return unsharp(image, **how)

    def run(
        self,
        image: NDArray[Any],
        dtype: Any,
        threads: int | None = None,
        padding: Any = None,
        unit: float = 1.0,
        fill: bool = False,
        constant: float | None = None,
    ) -> NDArray[Any]:
        """Filter an array of pixels, or of shares of white, by which the threshold is to be divided too."""
        given = dict(self.arguments)
        if constant is not None:
            given["constant"] = constant
        sigma, amount = given.pop("sigma", 1.0), given.pop("amount", 1.0)
        threshold = given.pop("threshold", 0.0) * unit
        values = _sharpened(
            image, sigma, amount, threshold, padding or "same", fill=fill, threads=threads, **given
        )
        return values.astype(dtype, copy=False)

    def window(self) -> Pair:
        """Return rows and columns of the Gaussian."""
        return _window(self.arguments.get("sigma", 1.0))

    def plan(self, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
        """Say how the core will blur."""
        return planned(self, _blur(len(shape), self.arguments.get("sigma", 1.0)), shape, dtype, output)
