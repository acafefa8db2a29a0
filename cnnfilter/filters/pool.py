"""Pooling of images (equations 36 and 37)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnfilter.filters.filter import PADDING, STRIDE, Filter, Option, Planned

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.geometry import Geometry, Number, Padding, Pair


def max_pool(
    image: ArrayLike,
    size: Number = 2,
    stride: Number | None = None,
    padding: Padding = 0,
    *,
    dtype: Any = None,
    missing: Any = None,
    threads: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Keep the largest value of each window (equation 36).

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        Of any real type of up to 64 bits; lists become float64. A NaN counts as the largest.
    size : int or pair of int, default 2
        Rows and columns of a window, in pixels.
    stride : int or pair of int, optional
        From one window to the next; `size` by default.
    padding : int, pair or pair of pairs, default 0
        How far windows may reach outside the image, at most half their size; only what is inside counts.
    dtype : dtype, optional
        Type of the result; that of the image by default. Integer types round and saturate.
    missing : "nan", number or bool array, optional
        Which pixels are not there, as in `cnnfilter.correlate`: they count nothing, and a window without any
        other pixel is missing. A result is a window and no pixel, so that there is nothing to `fill`.
    threads : int, optional
        Default: ``CNNFILTER_THREADS``, else all cores.
    out : array, optional
        Where to put the result, of its shape and type. It may overlap the image.

    Returns
    -------
    array
        ``floor((M - size + P) / stride) + 1`` along each axis.

    Raises
    ------
    DtypeError
        An image, result, size or stride of a type that cannot be used.
    ParameterError
        Windows larger than the padded image, or padding of more than half a window.

    Examples
    --------
    >>> import numpy as np
    >>> max_pool(np.arange(16, dtype=np.uint8).reshape(4, 4))
    array([[ 5,  7],
           [13, 15]], dtype=uint8)
    """
    from cnnfilter.core.pool import pool

    return pool(
        "maximum", image, size=size, stride=stride, padding=padding, dtype=dtype, missing=missing,
        threads=threads, out=out,
    )  # fmt: skip


def mean_pool(
    image: ArrayLike,
    size: Number = 2,
    stride: Number | None = None,
    padding: Padding = 0,
    *,
    dtype: Any = None,
    missing: Any = None,
    threads: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Replace each window by its mean over the pixels inside the image (equation 37).

    The arguments are those of `max_pool`; integers are rounded half to even, and bool gives float32.

    Returns
    -------
    array

    Raises
    ------
    ParameterError, DtypeError
        As `max_pool`.

    Examples
    --------
    >>> import numpy as np
    >>> mean_pool(np.arange(16, dtype=np.float32).reshape(4, 4))
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    >>> mean_pool([[1, 3, -1, -1], [5, -1, -1, -1]], missing=-1)
    array([[ 3., -1.]])
    """
    from cnnfilter.core.pool import pool

    return pool(
        "average", image, size=size, stride=stride, padding=padding, dtype=dtype, missing=missing,
        threads=threads, out=out,
    )  # fmt: skip


class Pool(Filter):
    """Pooling as a filter of a chain."""

    name = "pool"
    help = "Take the maximum or the mean of each window; the image shrinks by --stride."
    examples = (
        "cnnfilter pool max photo.png -o small.png",
        "cnnfilter pool mean --size 4 photo.jpg -o quarter.jpg",
    )
    options = (
        Option("kind", ("max", "mean"), required=True, positional=True),
        Option("size", "size", "Rows x columns of the window, in pixels. [2]", "2"),
        STRIDE._replace(help="Pixels from one output to the next. [the size]"),
        PADDING._replace(help="same, narrow, wide or pixels a side. [0]"),
    )
    bounded = True
    writes_itself = True
    default_boundary = "renormalize"  # only what is inside counts
    fills = False

    @property
    def title(self) -> str:
        """Its name and what it takes of each window."""
        return f"{self.name} {self.arguments['kind']}"

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `max_pool` or `mean_pool`."""
        return {"max": max_pool, "mean": mean_pool}[how.pop("kind")](image, **how)

    def window(self) -> Pair:
        """Return rows and columns of a window."""
        from cnnfilter.core.geometry import number_pair

        return number_pair("size", self.arguments.get("size", 2), least=1)

    def geometry(self, shape: Pair) -> Geometry:
        """Return which rows and columns of an image of `shape` each window covers."""
        from cnnfilter.core.geometry import make_geometry

        window, given = self.window(), self.arguments
        stride, padding = given.get("stride", window), given.get("padding", 0)
        return make_geometry(shape, window, stride, padding, called="window")

    def line_geometry(self, length: int) -> Geometry:
        """Return which values of a signal each window covers."""
        from cnnfilter.core.pool import pool_geometry

        given = self.arguments
        return pool_geometry((length,), self.window(), given.get("stride"), given.get("padding", 0))

    def plan(self, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
        """Say which windows there are."""
        signal, made = len(shape) == 1, self.shape(shape)
        geometry = self.line_geometry(shape[0]) if signal else self.geometry((shape[0], shape[1]))
        windows = f"{geometry.rows.kernel}x{geometry.columns.kernel}"
        text = (
            f"method   windows of {windows}\n"
            f"output   {'x'.join(map(str, made))} {output}\n"
            f"padding  {geometry.padding}\nstride   {geometry.stride}"
        )
        record = {"method": "windows", "output_shape": made, "padding": geometry.padding, "dtype": output}
        return Planned(made, record | {"stride": geometry.stride}, text)
