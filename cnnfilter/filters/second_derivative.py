"""The second difference of images (equation 7): signed results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cnnfilter.core.keeping import kept
from cnnfilter.errors import ParameterError
from cnnfilter.filters.filter import ACCURACY, GEOMETRY, KernelFilter, Option

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.geometry import Number, Padding
    from cnnfilter.core.linear import Boundary
    from cnnfilter.kernels.kernel import Kernel


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
    stride, padding, boundary, constant, missing, fill, accuracy, method, threads, out
        As those of `cnnfilter.correlate`, but `boundary` is "reflect".

    Returns
    -------
    array

    Raises
    ------
    ParameterError, DtypeError
        As `cnnfilter.correlate`, and for an axis that there is not.

    Examples
    --------
    >>> import numpy as np
    >>> second_derivative(np.array([0, 0, 1, 4, 9], np.uint8))
    array([ 0.,  1.,  2.,  2., -10.], dtype=float32)
    """
    # A `from` would take three times as long, at every call.
    import cnnfilter.core.arguments as arguments
    import cnnfilter.core.linear as linear

    pixels = arguments.as_pixels(image)
    kernel = _template(axis)
    if pixels.ndim == 1 and axis != "x":
        if axis == "y":
            raise ParameterError("a 1-D signal has no axis 'y'; use 'x' or 'both'")
        kernel = _template("x")
    return linear.filter_image(
        pixels, kernel, stride=stride, padding=padding, boundary=boundary, constant=constant, dilation=1,
        dtype=dtype, missing=missing, fill=fill, accuracy=accuracy, method=method, threads=threads, out=out,
    )  # fmt: skip


@kept
def _template(axis: Literal["x", "y", "both"]) -> Kernel:
    from cnnfilter.kernels import formulas

    return formulas.second_derivative(axis)


class SecondDerivative(KernelFilter):
    """The second difference as a filter of a chain."""

    name = "second-derivative"
    help = (
        "Show where brightness bends: edges and lines. --range is abs by default; for signed values "
        "write --depth f32 to .tif or .npy."
    )
    examples = (
        "cnnfilter second-derivative --axis x photo.jpg -o edges.png",
        "cnnfilter second-derivative photo.jpg --depth f32 -o edges.npy",
    )
    options = (
        Option("axis", ("x", "y", "both"), "Along columns, rows, or their sum. [both]", "both"),
        *GEOMETRY,
        ACCURACY,
    )
    default_range = "abs"
    gain = 0.0
    bounded = False

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `second_derivative`."""
        return second_derivative(image, **how)

    def kernel(self) -> Kernel:
        """Make the kernel."""
        from cnnfilter.kernels import formulas

        return formulas.second_derivative(self.arguments.get("axis", "both"))

    def line(self) -> Kernel:
        """Make the kernel of a signal, which has no axis but x."""
        from cnnfilter.kernels import formulas

        return formulas.second_derivative("x")
