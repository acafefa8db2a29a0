"""The mean of a neighbourhood (equation 10). A constant image comes out unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnfilter.core.keeping import kept
from cnnfilter.filters.filter import ACCURACY, GEOMETRY, KernelFilter, Option

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.geometry import Number, Padding, Pair
    from cnnfilter.core.linear import Boundary
    from cnnfilter.kernels.kernel import Kernel


def mean(
    image: ArrayLike,
    size: int | tuple[int, int] = 3,
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
    """Replace each pixel by the mean of its neighbourhood: all weights are 1 / (U V) (equation 10).

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        Of any real type of up to 64 bits; lists become float64.
    size : int or pair of int, default 3
        Rows and columns of the neighbourhood, in pixels.
    dtype : dtype, optional
        Type of the result; that of the image by default, float32 for bool.
    stride, padding, boundary, constant, missing, fill, accuracy, method, threads, out
        As those of `cnnfilter.correlate`, but `boundary` is "reflect".

    Returns
    -------
    array

    Raises
    ------
    ParameterError, DtypeError
        As `cnnfilter.correlate`, and for a size that is not made of positive integers.

    Examples
    --------
    >>> import numpy as np
    >>> mean(np.array([0, 0, 9, 0, 0], np.uint8), 3)
    array([0, 3, 3, 3, 0], dtype=uint8)
    """
    # A `from` would take three times as long, at every call.
    import cnnfilter.core.arguments as arguments
    import cnnfilter.core.linear as linear
    import cnnfilter.kernels.gaussian as templates

    pixels = arguments.as_pixels(image)
    rows, columns = templates.size_pair(size)
    kernel = _template(1 if pixels.ndim == 1 else rows, columns)
    return linear.filter_image(
        pixels, kernel, stride=stride, padding=padding, boundary=boundary, constant=constant, dilation=1,
        dtype=dtype, missing=missing, fill=fill, accuracy=accuracy, method=method, threads=threads, out=out,
        smoothing=True,
    )  # fmt: skip


@kept
def _template(rows: int, columns: int) -> Kernel:
    from cnnfilter.kernels import formulas

    return formulas.mean((rows, columns))


class Mean(KernelFilter):
    """The mean as a filter of a chain."""

    name = "mean"
    help = "Replace each pixel by the mean of the window around it."
    examples = (
        "cnnfilter mean --size 5x7 photo.jpg -o soft.jpg",
        "cnnfilter mean photos/*.png -o soft/ --jobs 2",
    )
    options = (
        Option("size", "size", "Rows x columns of the window, in pixels. [3]", "3"),
        *GEOMETRY,
        ACCURACY,
    )
    gain = 1.0
    bounded = True

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `mean`."""
        return mean(image, **how)

    def kernel(self) -> Kernel:
        """Make the kernel: equal weights."""
        from cnnfilter.kernels import formulas

        return formulas.mean(self.window())

    def line(self) -> Kernel:
        """Make the kernel of a signal: its columns alone."""
        from cnnfilter.kernels import formulas

        return formulas.mean((1, self.window()[1]))

    def window(self) -> Pair:
        """Return rows and columns of the neighbourhood."""
        from cnnfilter.kernels.gaussian import size_pair

        return size_pair(self.arguments.get("size", 3))
