"""Pooling of images (equations 36 and 37)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnfilter.errors import ParameterError
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
    threads: int | None = None,
) -> NDArray[Any]:
    """Keep the largest value of each window (equation 36).

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64; a NaN counts as the largest.
    size : int or pair of int, default 2
        Rows and columns of a window, in pixels.
    stride : int or pair of int, optional
        From one window to the next; `size` by default.
    padding : int, pair or pair of pairs, default 0
        How far windows may reach outside the image, at most half their size; only what is inside counts.
    dtype : dtype, optional
        Type of the result; that of the image by default. Integer types round and saturate.

    Returns
    -------
    array
        ``floor((M - size + P) / stride) + 1`` along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> max_pool(np.arange(16, dtype=np.uint8).reshape(4, 4))
    array([[ 5,  7],
           [13, 15]], dtype=uint8)
    """
    return _pool("maximum", image, size, stride, padding, dtype, threads)


def mean_pool(
    image: ArrayLike,
    size: Number = 2,
    stride: Number | None = None,
    padding: Padding = 0,
    *,
    dtype: Any = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Replace each window by its mean over the pixels inside the image (equation 37).

    The arguments are those of `max_pool`; integers are rounded half to even.

    Examples
    --------
    >>> import numpy as np
    >>> mean_pool(np.arange(16, dtype=np.float32).reshape(4, 4))
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    return _pool("average", image, size, stride, padding, dtype, threads)


def _pool(
    kind: str,
    image: ArrayLike,
    size: Number,
    stride: Number | None,
    padding: Padding,
    dtype: Any,
    threads: int | None,
) -> NDArray[Any]:
    import numpy as np

    from cnnfilter.core import threads as threading
    from cnnfilter.core.correlate import checked_dtype, checked_image, three_dimensional
    from cnnfilter.core.methods import pooling

    pixels = checked_image(image)
    target = pixels.dtype if dtype is None else checked_dtype("output", dtype)
    geometry = _windows(pixels.shape, size, stride, padding)
    source = three_dimensional(pixels)
    if kind == "average" and target != pixels.dtype and target.kind == "f":
        source = source.astype(target)
    out = pooling.run(kind, source, geometry, threading.count(threads))
    if out.dtype != target:
        if target.kind != "f":
            limits = np.iinfo(target)
            out = np.clip(np.rint(out), limits.min, limits.max)
        out = out.astype(target)
    return out.reshape(
        (geometry.columns.output,) if pixels.ndim == 1 else (*out.shape[:2], *pixels.shape[2:])
    )


def _windows(shape: tuple[int, ...], size: Number, stride: Number | None, padding: Padding) -> Geometry:
    from cnnfilter.core.geometry import make_geometry, number_pair

    sizes = number_pair("size", size, least=1)
    steps = sizes if stride is None else number_pair("stride", stride, least=1)
    if len(shape) == 1:
        side = padding if isinstance(padding, str) else number_pair("padding", padding, least=0)
        pads: Padding = side if isinstance(side, str) else ((0, 0), side)
        geometry = make_geometry((1, shape[0]), (1, sizes[1]), (1, steps[1]), pads)
    else:
        geometry = make_geometry((shape[0], shape[1]), sizes, steps, padding)
    for axis in (geometry.rows, geometry.columns):
        if max(axis.before, axis.after) > axis.kernel // 2:
            raise ParameterError(
                f"padding {padding!r} is more than half the window of {sizes[0]}x{sizes[1]}; "
                "a window would lie outside the image"
            )
    return geometry


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

        window = self.window()
        given = self.arguments
        return make_geometry(shape, window, given.get("stride", window), given.get("padding", 0))

    def plan(self, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
        """Say which windows there are."""
        rows, columns = self.window()
        geometry, shape = self.geometry((shape[0], shape[1])), self.shape(shape)
        text = (
            f"method   windows of {rows}x{columns}\n"
            f"output   {'x'.join(map(str, shape))} {output}\n"
            f"padding  {geometry.padding}\nstride   {geometry.stride}"
        )
        record = {"method": "windows", "output_shape": shape, "padding": geometry.padding, "dtype": output}
        return Planned(shape, record | {"stride": geometry.stride}, text)
