"""The gradient: how steeply brightness rises, and whereto. A root of two squared sums, so no kernel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from cnnfilter.errors import ParameterError, shown
from cnnfilter.filters.filter import ACCURACY, GEOMETRY, Filter, Option, Planned, Range, planned

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.geometry import Number, Padding, Pair
    from cnnfilter.core.linear import Boundary
    from cnnfilter.kernels.kernel import Kernel

SMOOTHING = {"sobel": (1, 2, 1), "scharr": (3, 10, 3), "prewitt": (1, 1, 1), "central": (0, 1, 0)}
"""Across the difference: Sobel and Feldman 1968, Scharr 2000, Prewitt 1970, and none."""

OUTPUTS = ("magnitude", "direction", "x", "y")


def gradient(
    image: ArrayLike,
    operator: Literal["sobel", "scharr", "prewitt", "central"] = "sobel",
    output: Literal["magnitude", "direction", "x", "y"] = "magnitude",
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
    """Take first differences along rows and columns, and from them the gradient.

    The kernels are scaled so that a ramp that rises by 1 from pixel to pixel gives 1.

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        Of any real type of up to 64 bits; each channel on its own. A signal has no y.
    operator : {"sobel", "scharr", "prewitt", "central"}
        How differences are smoothed across their direction: by 1 2 1, 3 10 3, 1 1 1, or not.
    output : {"magnitude", "direction", "x", "y"}
        The root of both squared; the angle in radians, from -pi to pi: 0 where it grows brighter to the
        right, pi/2 where it grows brighter downwards, 0 where nothing changes; the part along columns (x);
        along rows (y). Of each channel; the command shows one direction a pixel (see `Gradient`).
    dtype : dtype, optional
        Type of the result; signed, as in `cnnfilter.correlate`, by default. An integer type rounds half to
        even and saturates.
    stride, padding, boundary, constant, missing, fill, accuracy, method, threads, out
        As those of `cnnfilter.correlate`, but `boundary` is "reflect".

    Returns
    -------
    array

    Raises
    ------
    ParameterError
        An unknown operator or output, or y of a signal.

    Examples
    --------
    >>> import numpy as np
    >>> falling = np.arange(12, 0, -3, dtype=np.uint8)
    >>> gradient(falling, boundary="edge")
    array([1.5, 3. , 3. , 1.5], dtype=float32)
    >>> gradient(np.tile(falling, (3, 1)), "scharr", "x")[1]
    array([ 0., -3., -3.,  0.], dtype=float32)
    """
    from cnnfilter.core.arguments import as_pixels, is_chunked, result_type
    from cnnfilter.core.missing import completed_from, find_missing

    if not isinstance(output, str) or output not in OUTPUTS:
        raise ParameterError(f"output {shown(output)} is not known; choose {', '.join(OUTPUTS)}")
    pixels = as_pixels(image)
    target = result_type(pixels.dtype, dtype)
    how = {
        "stride": stride, "padding": padding, "boundary": boundary, "constant": constant, "missing": missing,
        "fill": fill, "accuracy": accuracy, "method": method, "threads": threads,
    }  # fmt: skip
    if is_chunked(pixels):
        from cnnfilter.core.chunked import linear_in_chunks

        del how["padding"]
        how |= {"operator": operator, "output": output, "dtype": target}
        kernel = _kernel(pixels, operator, "y" if output == "y" else "x")
        return linear_in_chunks("gradient", gradient, pixels, kernel, how, padding=padding, out=out)
    missed = find_missing(pixels, missing)
    how["missing"] = missed and missed.where
    if output in ("x", "y"):
        values = _difference(pixels, operator, output, **how)
    else:
        x, y = _differences(pixels, operator, **how)
        values = _magnitude(x, y) if output == "magnitude" else _direction(x, y)
    return completed_from(values, missed, target, out)


def kernel_of(operator: str, axis: str) -> Kernel:
    """Make the kernel of one axis, over the sum of its absolute weights.

    Examples
    --------
    >>> kernel_of("sobel", "y").weights, kernel_of("sobel", "y").divisor
    (array([[-1., -2., -1.],
           [ 0.,  0.,  0.],
           [ 1.,  2.,  1.]]), 8.0)
    """
    import numpy as np

    from cnnfilter.kernels.kernel import Kernel

    if not isinstance(operator, str) or operator not in SMOOTHING:
        raise ParameterError(f"operator {shown(operator)} is not known; choose {', '.join(SMOOTHING)}")
    weights = np.outer(SMOOTHING[operator], (-1, 0, 1))
    return Kernel(weights if axis == "x" else weights.T, float(np.abs(weights).sum()), f"{operator}-{axis}")


def line_of(operator: str) -> Kernel:
    """Make the kernel of a signal: there is nothing to smooth across it, so that all operators are one.

    Examples
    --------
    >>> line_of("sobel").weights, line_of("sobel").divisor
    (array([[-1.,  0.,  1.]]), 2.0)
    """
    from cnnfilter.kernels.kernel import Kernel

    return Kernel([-1.0, 0.0, 1.0], 2.0, kernel_of(operator, "x").name)


def _kernel(pixels: NDArray[Any], operator: str, axis: str) -> Kernel:
    if pixels.ndim > 1:
        return kernel_of(operator, axis)
    _refuse_of_signal(axis)
    return line_of(operator)


def _refuse_of_signal(output: str) -> None:
    """Refuse what a signal has not."""
    if output == "y":
        raise ParameterError("a 1-D signal has no output 'y'; use 'x' or 'magnitude'")
    if output == "colour":
        raise ParameterError("a 1-D signal has no colours; use 'x' or 'magnitude'")


def _difference(pixels: NDArray[Any], operator: str, axis: str, **how: Any) -> NDArray[Any]:
    from cnnfilter.core.linear import correlate

    kernel = _kernel(pixels, operator, axis)
    # Sums of whole numbers are exact, so that what rises along x alone is 0 along y. A power of two, which
    # is exact as well, keeps sums of the largest floats from overflowing where their difference is small.
    scale = 2.0 ** math.frexp(kernel.divisor)[1]
    values = correlate(pixels, kernel.weights / scale, **how)
    values /= values.dtype.type(kernel.divisor / scale)
    return values


def _differences(pixels: NDArray[Any], operator: str, **how: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the differences along x and y, floats; a signal has no slope along y."""
    import numpy as np

    x = _difference(pixels, operator, "x", **how)
    return x, np.zeros_like(x) if pixels.ndim == 1 else _difference(pixels, operator, "y", **how)


def _magnitude(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    magnitude: NDArray[Any] = np.hypot(x, y)  # masked where one of them is
    return magnitude


def _direction(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    # -0 has an angle of its own; a 0 of Python would make float64 of a masked array.
    zero = x.dtype.type(0)
    direction: NDArray[Any] = np.arctan2(y + zero, x + zero)
    return direction


def _steepest(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return of each pixel the differences of the channel with the steepest slope, the first of equals.

    Where a channel is missing, nothing is known of the steepest.
    """
    import numpy as np

    from cnnfilter.masked import is_masked

    # Squares of float32 do not overflow in float64, and those of 8 and 16 bits are exact.
    squares = np.square(x, dtype=np.float64)
    squares += np.square(y, dtype=np.float64)
    steepest = np.argmax(np.asarray(squares), axis=2)[..., None]
    found = [np.take_along_axis(np.asarray(part), steepest, axis=2)[..., 0] for part in (x, y)]
    if is_masked(squares):
        gone = np.ma.getmaskarray(squares).any(axis=2)
        found = [np.ma.MaskedArray(part, gone) for part in found]
    return found[0], found[1]


def _colours(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Show the direction as hue, red to the right, and the magnitude as brightness; white is 1."""
    import numpy as np

    hue = _direction(x, y) * x.dtype.type(3 / math.pi)  # sixths of the circle
    channels = [np.clip(np.abs((hue + shift) % 6 - 3) - 1, 0, 1) for shift in (0, 4, 2)]
    return np.asarray(np.stack(channels, axis=-1) * np.minimum(_magnitude(x, y), 1)[..., None])


class Gradient(Filter):
    """The gradient as a filter of a chain.

    A pixel has one direction: of several channels that of the steepest slope, as Dalal and Triggs take it
    ("Histograms of oriented gradients for human detection", 2005, section 6.2). With x_c and y_c the
    differences of channel c, and s the channel whose x_s^2 + y_s^2 is the largest, the direction is
    arctan2(y_s, x_s). As a colour it is the hue, and the magnitude of the same channel is the value.
    """

    name = "gradient"
    help = (
        "Show how steeply brightness changes, or whereto: with --depth f32 in radians, 0 to the right, pi/2 "
        "downwards; else one turn is the range, and mid-grey is 0. Of several channels the direction is that "
        "of the steepest; as a colour it is the hue, and the steepness is the brightness. --range stretch "
        "makes small slopes visible."
    )
    examples = (
        "cnnfilter gradient --range stretch photo.jpg -o edges.png",
        "cnnfilter gradient --show colour --range stretch photo.jpg -o directions.png",
    )
    options = (
        Option(
            "operator",
            tuple(SMOOTHING),
            "sobel, scharr, prewitt or central. [sobel]",
            "sobel",
            "NAME",
        ),
        Option(
            "show",
            (*OUTPUTS[:2], "colour", *OUTPUTS[2:]),
            "magnitude, direction, colour, x or y. [magnitude]",
            "magnitude",
            "WHAT",
            keyword="output",
        ),
        *GEOMETRY,
        ACCURACY,
    )
    gain = 0.0

    @property
    def show(self) -> str:
        """What of the gradient is shown."""
        return str(self.arguments.get("show", "magnitude"))

    @property
    def range(self) -> Range:
        """What becomes of values outside the pixels' range: directions are signed."""
        return self.value_range or ("offset" if self.show == "direction" else self.default_range)

    @property
    def span(self) -> float | None:
        """A direction goes once round."""
        return 2 * math.pi if self.show == "direction" else None

    @property
    def colours_only(self) -> bool:
        """Whether there will be other channels than those of the image."""
        return self.show == "colour"

    @property
    def joins(self) -> bool:
        """Whether the steepest channel alone is shown."""
        return self.show == "direction"

    @property
    def local(self) -> bool:
        """Whether strips will do, and the result has the channels of the image."""
        return super().local and not self.colours_only

    @property
    def floats(self) -> int:
        """How many it holds for each value of its result while it runs: one direction is made of many."""
        return {"colour": 8, "direction": 20}.get(self.show, super().floats)

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `gradient`, or show the direction of the steepest channel."""
        if not (self.colours_only or self._joins(image.shape)):
            return gradient(image, **how)
        if image.ndim == 1:
            _refuse_of_signal("colour")
        from cnnfilter.pixels.kinds import full_scale

        operator, dtype = how.pop("operator", "sobel"), how.pop("dtype")
        how = {"boundary": self.default_boundary, **how}
        del how["output"]
        x, y = _differences(image, operator, **how)
        if image.ndim == 3:
            x, y = _steepest(x, y)
        if not self.colours_only:
            return _direction(x, y).astype(dtype)
        scale = full_scale(image.dtype)
        x, y = (part / part.dtype.type(scale) for part in (x, y))
        return (_colours(x, y) * scale).astype(dtype)

    def window(self) -> Pair:
        """Return rows and columns of both kernels."""
        return 3, 3

    def channels(self, channels: int) -> int:
        """Return the channels of the result: one for a direction, three for colour."""
        return {"colour": 3, "direction": 1}.get(self.show, channels)

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the result: the directions of several channels are one plane."""
        found = super().shape(shape)
        return found[:2] if self._joins(shape) else found

    def _joins(self, shape: tuple[int, ...]) -> bool:
        return self.joins and len(shape) == 3 and shape[2] > 1

    def plan(self, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
        """Say how the core will compute the differences."""
        operator, signal = self.arguments.get("operator", "sobel"), len(shape) == 1
        if signal:
            _refuse_of_signal(self.show)
        found = {
            axis: planned(
                self, line_of(operator) if signal else kernel_of(operator, axis), shape, dtype, output
            )
            for axis in ("x", "y")
            if self.show in (axis, *OUTPUTS[:2], "colour") and not (signal and axis == "y")
        }
        text = "\n".join(f"{axis}: {line}" for axis, plan in found.items() for line in plan.text.splitlines())
        record = {"method": "differences", "output_shape": self.shape(shape), "dtype": output}
        return Planned(self.shape(shape), record | {axis: plan.record for axis, plan in found.items()}, text)
