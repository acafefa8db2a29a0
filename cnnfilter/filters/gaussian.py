"""The Gaussian (equations 11 and 12). A constant image comes out unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cnnfilter.core.keeping import kept
from cnnfilter.errors import ParameterError, shown
from cnnfilter.filters.filter import ACCURACY, GEOMETRY, KernelFilter, Numbers, Option, Range

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.geometry import Number, Padding, Pair
    from cnnfilter.core.linear import Boundary
    from cnnfilter.kernels.gaussian import Order
    from cnnfilter.kernels.kernel import Kernel


def gaussian(
    image: ArrayLike,
    sigma: float | tuple[float, float] = 1.0,
    size: int | tuple[int, int] | None = None,
    *,
    template: Literal["float", "integer"] = "float",
    order: Order = 0,
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
    """Smooth with a Gaussian template whose weights sum to 1 (equations 11 and 12).

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        Of any real type of up to 64 bits; lists become float64.
    sigma : float or pair of float, default 1
        Standard deviation in pixels, or `(rows, columns)`; 0 where nothing is to be smoothed.
    size : int or pair of int, optional
        Rows and columns of the template; ``2 * ceil(4 * sigma) + 1`` by default.
    template : {"float", "integer"}
        "integer" takes the integer template of the notes over its sum.
    order : {0, 1, 2} or pair of them, default 0
        Which derivative is taken of the Gaussian, along rows and columns: of a ramp of slope 1 the first is
        1, of half a square the second. One number stands for both, as for `sigma`.
    dtype : dtype, optional
        Type of the result; that of the image by default, float32 for bool; for derivatives signed, as in
        `cnnfilter.correlate`.
    accuracy : {"exact", "fast"}
        "fast" allows a recursive filter for large `sigma`, within 0.5 of 255 grey levels.
    stride, padding, boundary, constant, missing, fill, accuracy, method, threads, out
        As those of `cnnfilter.correlate`, but `boundary` is "reflect".

    Returns
    -------
    array

    Raises
    ------
    ParameterError, DtypeError
        As `cnnfilter.correlate`, and for a size, a sigma, a template or an order that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> gaussian(np.array([[0, 0, 0], [0, 16, 0], [0, 0, 0]], np.uint8), 0.8, 3, template="integer",
    ...          boundary="zero")
    array([[1, 2, 1],
           [2, 4, 2],
           [1, 2, 1]], dtype=uint8)
    """
    # A `from` would take three times as long, at every call.
    import cnnfilter.core.arguments as arguments
    import cnnfilter.core.linear as linear
    from cnnfilter.kernels import gaussian as templates

    pixels = arguments.as_pixels(image)
    sigmas, orders = templates.sigma_pair(sigma), templates.order_pair(order)
    if pixels.ndim == 1:
        if orders[0] and isinstance(order, tuple | list):
            raise ParameterError(f"a 1-D signal has no rows; order {order!r} must begin with 0")
        orders = (0, orders[1])
        kernel = _line(size, sigmas[1], template, orders[1])
    else:
        kernel = _template(size if size is None else templates.size_pair(size), sigmas, template, orders)
    return linear.filter_image(
        pixels, kernel, stride=stride, padding=padding, boundary=boundary, constant=constant, dilation=1,
        dtype=dtype, missing=missing, fill=fill, accuracy=accuracy, method=method, threads=threads, out=out,
        smoothing=not any(orders),
    )  # fmt: skip


@kept
def _template(
    size: tuple[int, int] | None, sigmas: tuple[float, float], template: str, orders: tuple[int, int]
) -> Kernel:
    from cnnfilter.kernels import gaussian as templates

    return templates.gaussian(size, sigmas, template, order=orders)  # type: ignore[arg-type]  # checked there


def _line(size: int | tuple[int, int] | None, sigma: float, template: str, order: int) -> Kernel:
    """Return the template of a 1-D signal."""
    from cnnfilter.kernels import gaussian as templates
    from cnnfilter.kernels.kernel import Kernel

    length = None if size is None else templates.size_pair(size)[1]
    if not isinstance(template, str) or template not in ("float", "integer"):
        raise ParameterError(f"unknown template {shown(template)}; use float or integer")
    if template == "float":
        return Kernel(templates.gaussian_taps(length, sigma, order))
    square = templates.gaussian(length, sigma, "integer", order=order)
    return Kernel(square.weights[:1], float(square.weights[0].sum()))


class Gaussian(KernelFilter):
    """The Gaussian as a filter of a chain."""

    name = "gaussian"
    help = "Smooth with a Gaussian; more sigma, more smoothing."
    examples = (
        "cnnfilter gaussian --sigma 2 photo.jpg -o soft.jpg",
        "cnnfilter gaussian < photo.png > soft.png",
    )
    options = (
        Option("sigma", "lengths", "In pixels. [1.0]", "1.0", "S|SYxSX"),
        Option("size", "size", "Rows x columns of the kernel. [2*ceil(4*sigma)+1]"),
        Option(
            "derivative",
            Numbers(int, 0, 2, "0, 1 or 2, or two of them"),
            "Of the Gaussian, along rows and columns. [0]",
            "0",
            keyword="order",
        ),
        Option("template", ("float", "integer"), "Weights: exact, or small integers. [float]", "float"),
        *GEOMETRY,
        ACCURACY,
    )

    @property
    def order(self) -> tuple[int, int]:
        """Which derivatives are taken along rows and columns."""
        from cnnfilter.kernels import gaussian as templates

        return templates.order_pair(self.arguments.get("derivative", 0))

    @property
    def gain(self) -> float:
        """What it makes of a constant 1: a derivative nothing."""
        return 0.0 if any(self.order) else 1.0

    @property
    def bounded(self) -> bool:
        """Whether results stay within the range of the input: not those of a derivative."""
        return not any(self.order)

    @property
    def range(self) -> Range:
        """What becomes of values outside the pixels' range; a derivative is signed."""
        return self.value_range or ("abs" if any(self.order) else self.default_range)

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `gaussian`."""
        return gaussian(image, **how)

    def kernel(self) -> Kernel:
        """Make the template."""
        from cnnfilter.kernels import gaussian as templates

        given = self.arguments
        return templates.gaussian(
            given.get("size"), given.get("sigma", 1.0), given.get("template", "float"), order=self.order
        )

    def line(self) -> Kernel:
        """Make the template of a signal."""
        from cnnfilter.kernels import gaussian as templates

        given = self.arguments
        sigma = templates.sigma_pair(given.get("sigma", 1.0))[1]
        return _line(given.get("size"), sigma, given.get("template", "float"), self.order[1])

    def window(self) -> Pair:
        """Return rows and columns of the template, without making it."""
        from cnnfilter.kernels import gaussian as templates

        if "size" in self.arguments:
            return templates.size_pair(self.arguments["size"])
        rows, columns = templates.sigma_pair(self.arguments.get("sigma", 1.0))
        return templates.default_size(rows), templates.default_size(columns)

    def remarks(self, *, linear: bool = False) -> tuple[str, ...]:
        """Tell when a size cuts off more than a hundredth: it is then no longer a Gaussian."""
        from cnnfilter.kernels.gaussian import cut_remark

        if "size" not in self.arguments or self.arguments.get("template") == "integer":
            return ()
        remark = cut_remark(self.arguments["size"], self.arguments.get("sigma", 1.0))
        return (remark,) if remark else ()
