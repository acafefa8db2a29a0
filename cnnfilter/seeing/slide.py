"""A window that slides over an image: what an animation shows, step by step, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cnnfilter.core.correlate import as_kernel
from cnnfilter.core.geometry import Geometry, Number, Padding, make_geometry, number_pair
from cnnfilter.core.linear import correlate
from cnnfilter.errors import ParameterError
from cnnfilter.filters.pool import max_pool, mean_pool
from cnnfilter.pixels import white_of
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.window import inside_image, taps, values_at

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.correlate import KernelLike

    Floats = NDArray[np.float64]

Kind = Literal["sum", "max", "mean", "value"]

Conclusion: TypeAlias = Callable[[Sequence[float], float], list[str]]
"""Says in lines what becomes of the sums that make one output, and of the pixel in the middle."""


@dataclass(frozen=True, eq=False)
class Step:
    """One place of the window.

    Attributes
    ----------
    at : (int, int)
        Row and column of the output.
    rows, columns : int64 arrays of shape (U,) and (V,)
        Where the taps lie in the image.
    inside : bool array of shape (U, V)
        Which of them are pixels.
    values : float64 array of shape (U, V, C)
        What stands under them.
    result : float64 array of shape (K,)
        The output there.
    """

    at: tuple[int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    inside: NDArray[np.bool_]
    values: Floats
    result: Floats


@dataclass(frozen=True, eq=False)
class Slide:
    """An image, what slides over it, and what comes out.

    Attributes
    ----------
    image : float64 array of shape (H, W, C)
    weights : float64 array of shape (U, V, C or 1), or None
        As they lie over the image, before the divisor; a pooling has none. Those of several kernels over each
        channel, with `names`, lie behind one another.
    divisor : float
    kind : {"sum", "max", "mean", "value"}
        What is made of the window; "value" where that is more than a line can say.
    geometry : Geometry
    boundary : str
    constant : float
    output : float64 array of shape (rows, columns, K)
        One channel for each of the image, or 1 if they are joined.
    turned : bool
        Whether the weights were written turned by 180 degrees, as a convolution has them.
    title : str
    white : float
        Value of full intensity, where the image is to be seen as a picture.
    names : tuple of str
        Of several kernels that lie over each channel.
    conclude : Conclusion, optional
        What is made of the sums, if not one output of each.
    hued : bool
        Whether the channels of the output are one colour.
    """

    image: Floats
    weights: Floats | None
    divisor: float
    kind: Kind
    geometry: Geometry
    boundary: str
    constant: float
    output: Floats
    turned: bool
    title: str
    white: float
    names: tuple[str, ...] = ()
    conclude: Conclusion | None = None
    hued: bool = False

    @property
    def sums(self) -> int:
        """Sums of products of one step: of each channel with each of its kernels."""
        return int(self.image.shape[2]) * max(1, len(self.names))

    @property
    def together(self) -> int:
        """Sums that make one output."""
        if self.weights is None:
            return 1
        return self.sums // (1 if self.hued else int(self.output.shape[2]))

    @classmethod
    def of_kernel(
        cls, image: ArrayLike, kernel: KernelLike, *, turned: bool = False, title: str = "", **geometry: Any
    ) -> Slide:
        """Slide a kernel, as it lies over the image, over each channel on its own.

        Parameters
        ----------
        image : array of shape (N,), (H, W) or (H, W, C)
        kernel : Kernel or array of shape (U, V) or (V,)
            For a convolution the kernel that is turned already, with `turned` to have it shown turning.
        turned : bool, default False
        title : str, optional
            Default: what is done, and the geometry.
        **geometry
            stride, padding, boundary, constant and dilation, as `correlate` has them.

        Examples
        --------
        >>> slide = Slide.of_kernel([[1.0, 2, 3]], [[1, 1]], padding="narrow")
        >>> [float(slide.step(place).result[0]) for place in range(slide.steps)]
        [3.0, 5.0]
        """
        deep, made = three_dimensional(image), as_kernel(kernel)
        output = correlate(deep, made, **geometry)
        weights = made.weights[:, :, None]
        return cls._summing(
            deep, weights, made.divisor, output, turned, title, white_level(image), **geometry
        )

    @classmethod
    def of_channels(
        cls,
        image: ArrayLike,
        kernels: Sequence[KernelLike],
        *,
        turned: bool = False,
        title: str = "",
        **geometry: Any,
    ) -> Slide:
        """Slide a kernel for each channel, and add all products up, as a layer of a network does.

        Examples
        --------
        >>> image = np.arange(8.0).reshape(2, 2, 2)
        >>> Slide.of_channels(image, [[[1]], [[10]]]).output[:, :, 0]
        array([[10., 32.],
               [54., 76.]])
        """
        deep, made = three_dimensional(image), [as_kernel(kernel) for kernel in kernels]
        if len(made) != deep.shape[2]:
            raise ParameterError(f"{len(made)} kernels do not fit an image of {deep.shape[2]} channels")
        if len({kernel.shape for kernel in made}) > 1:
            sizes = ", ".join("x".join(map(str, kernel.shape)) for kernel in made)
            raise ParameterError(f"kernels of {sizes} do not fit together; all channels need the same size")
        planes = [correlate(deep[:, :, c], kernel, **geometry) for c, kernel in enumerate(made)]
        output = np.sum(planes, axis=0)[:, :, None]
        weights = np.stack([kernel.array for kernel in made], axis=2)
        slide = cls._summing(deep, weights, 1.0, output, turned, title, white_level(image), **geometry)
        return replace(slide, conclude=added_up)

    @classmethod
    def _summing(
        cls,
        deep: Floats,
        weights: Floats,
        divisor: float,
        output: Floats,
        turned: bool,
        title: str,
        white: float,
        **given: Any,
    ) -> Slide:
        boundary, constant = given.pop("boundary", "zero"), given.pop("constant", 0.0)
        geometry = make_geometry(deep.shape[:2], weights.shape[:2], **given)
        title = title or slide_title("convolution" if turned else "correlation", geometry, boundary)
        return cls(deep, weights, divisor, "sum", geometry, boundary, constant, output, turned, title, white)

    @classmethod
    def of_pooling(
        cls,
        image: ArrayLike,
        kind: Literal["max", "mean"],
        size: Number = 2,
        stride: Number | None = None,
        padding: Padding = 0,
        title: str = "",
    ) -> Slide:
        """Slide the window of a pooling; beside the image there is nothing that counts.

        Examples
        --------
        >>> Slide.of_pooling([[1.0, 2], [3, 4]], "max").step(0).result
        array([4.])
        """
        deep = three_dimensional(image)
        pool = max_pool if kind == "max" else mean_pool
        output = pool(deep, size, stride, padding)
        sizes = number_pair("size", size, least=1)
        geometry = make_geometry(deep.shape[:2], sizes, sizes if stride is None else stride, padding)
        title = title or slide_title(f"{'maximum' if kind == 'max' else 'mean'} pooling", geometry, "")
        return cls(
            deep,
            None,
            1.0,
            kind,
            geometry,
            "renormalize",
            0.0,
            output,
            False,
            title,
            white_level(image),
        )

    @property
    def steps(self) -> int:
        """Places of the window, one for each output."""
        rows, columns = self.geometry.output_shape
        return rows * columns

    def step(self, place: int) -> Step:
        """Return the step that fills the output `place`, counted along the rows."""
        row, column = divmod(place, self.geometry.columns.output)
        rows, columns = taps(self.geometry.rows, row), taps(self.geometry.columns, column)
        return Step(
            (row, column),
            rows,
            columns,
            inside_image((self.image.shape[0], self.image.shape[1]), rows, columns),
            values_at(self.image, rows, columns, self.boundary, self.constant),
            self.output[row, column],
        )

    def total(self, step: Step, number: int) -> float:
        """Return what one of the sums of a step comes to, over the divisor and rescaled."""
        assert self.weights is not None, "sums need weights"
        weights = self.weights[:, :, number % self.weights.shape[2]]
        counted = step.inside if self.boundary == "renormalize" else np.ones_like(step.inside)
        values = step.values[:, :, number // max(1, len(self.names))]
        share = float(weights.sum() / weights[counted].sum()) if not counted.all() else 1.0
        return float(np.where(counted, values * weights, 0.0).sum()) / self.divisor * share

    def concluded(self, step: Step, first: int) -> list[str]:
        """Say what is made of the sums of one output, of which the `first` is given."""
        assert self.conclude is not None, "there is a conclusion"
        totals = [self.total(step, number) for number in range(first, first + self.together)]
        rows, columns, _ = step.values.shape
        pixel = step.values[rows // 2, columns // 2, first // max(1, len(self.names))]
        return self.conclude(totals, float(pixel))

    def padded(self) -> Floats:
        """Return the image with its padding, float64 of shape (rows, columns, C)."""
        down, across = self.geometry.rows, self.geometry.columns
        rows = np.arange(-down.before, down.length + down.after, dtype=np.int64)
        columns = np.arange(-across.before, across.length + across.after, dtype=np.int64)
        return values_at(self.image, rows, columns, self.boundary, self.constant)


def added_up(totals: Sequence[float], pixel: float) -> list[str]:
    """Say that sums are added up.

    Examples
    --------
    >>> added_up([3, -1.5], 0)
    ['3 + (-1.5) =']
    """
    return [" + ".join(map(signed, totals)) + " ="]


def signed(value: float) -> str:
    """Write a number as it stands among others, the negative ones in brackets."""
    text = shown(value)
    return f"({text})" if text.startswith("-") else text


def three_dimensional(image: ArrayLike) -> Floats:
    """Return an image as float64 of shape (H, W, C); a signal becomes one row."""
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim not in (1, 2, 3) or 0 in pixels.shape:
        raise ParameterError(
            f"an image of shape {pixels.shape} cannot be shown; give (N,), (H, W) or (H, W, C)"
        )
    return pixels[None, :, None] if pixels.ndim == 1 else pixels[:, :, None] if pixels.ndim == 2 else pixels


def white_level(image: ArrayLike) -> float:
    """Return the value of white: that of an integer type, 1 for floats, or the largest above it."""
    pixels = np.asarray(image)
    return white_of(pixels.dtype) or max(1.0, float(np.nanmax(pixels)))


def slide_title(what: str, geometry: Geometry, boundary: str) -> str:
    """Write what is done, with all of the geometry that is not plain."""
    words = [what]
    for name, numbers in (("stride", geometry.stride), ("dilation", geometry.dilation)):
        if numbers != (1, 1):
            words.append(f"{name} {_pair(numbers)}")
    (top, bottom), (left, right) = geometry.padding
    if top or bottom or left or right:
        sides = str(top) if top == bottom == left == right else f"{top},{bottom} x {left},{right}"
        words.append(f"padding {sides}" + (f" ({boundary})" if boundary else ""))
    return ", ".join(words)


def _pair(numbers: tuple[int, int]) -> str:
    return str(numbers[0]) if numbers[0] == numbers[1] else f"{numbers[0]}x{numbers[1]}"
