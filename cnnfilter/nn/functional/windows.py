"""Where the windows of a convolution or a pooling lie: pure integers, and views of arrays."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cnnfilter.core.geometry import Number, Padding, make_geometry, number_pair
from cnnfilter.errors import ParameterError
from cnnfilter.nn.functional.arrays import require_flag

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]


@dataclass(frozen=True)
class Windows:
    """The windows that slide over planes of `shape`: equation M' = floor((M - K + P) / S) + 1.

    Attributes
    ----------
    shape, size, stride, dilation, output : tuple of int
        Rows and columns of the input, the window, its steps, and the output.
    padding : tuple of tuple of int
        ((top, bottom), (left, right)) pixels around the input, so that every window fits. The bottom and
        right parts are more than was asked for where sizes are rounded up.
    asked : tuple of tuple of int
        The padding that was asked for.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    output: tuple[int, int]
    asked: tuple[tuple[int, int], tuple[int, int]]

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        size: Number,
        stride: Number = 1,
        padding: Padding = 0,
        dilation: Number = 1,
        ceil: bool = False,
        called: str = "kernel",
    ) -> "Windows":
        """Work out padding and output size; with `ceil` a partial last window counts (PyTorch's rule).

        `called` is what messages call that which slides.
        """
        if not isinstance(shape, tuple | list) or len(shape) < 2:
            raise ParameterError(f"shape is {shape!r}: give (..., H, W)")
        ceil = require_flag(ceil, "ceil")
        plane = shape[-2], shape[-1]
        try:
            return _windows(plane, size, stride, padding, dilation, ceil, called)
        except TypeError:  # of a list there is no hash; what is wrong otherwise is told again
            return _windows.__wrapped__(plane, size, stride, padding, dilation, ceil, called)

    @property
    def pixels(self) -> int:
        """Number of windows, which is the number of pixels of an output plane."""
        return self.output[0] * self.output[1]

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns of the padded plane."""
        (top, bottom), (left, right) = self.padding
        return self.shape[0] + top + bottom, self.shape[1] + left + right

    @property
    def interior(self) -> tuple[slice, slice]:
        """Where the input lies in the padded plane."""
        (top, _), (left, _) = self.padding
        return slice(top, top + self.shape[0]), slice(left, left + self.shape[1])

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """Return `x` with its last two axes padded by `value`; `x` itself where there is no padding."""
        if self.padded == self.shape:
            return x
        out = np.full((*x.shape[:-2], *self.padded), value, x.dtype)
        out[..., self.interior[0], self.interior[1]] = x
        return out

    def tap(self, padded: Array, u: int, v: int) -> Array:
        """View of the pixel under position (u, v) of every window, shape (..., *output)."""
        top, left = u * self.dilation[0], v * self.dilation[1]
        return padded[
            ...,
            top : top + (self.output[0] - 1) * self.stride[0] + 1 : self.stride[0],
            left : left + (self.output[1] - 1) * self.stride[1] + 1 : self.stride[1],
        ]


@lru_cache(512, typed=True)
def _windows(
    plane: tuple[int, int],
    size: Number,
    stride: Number,
    padding: Padding,
    dilation: Number,
    ceil: bool,
    called: str,
) -> Windows:
    plane, sizes = number_pair("shape", plane, least=0), number_pair("size", size, least=1)
    geometry = make_geometry(plane, sizes, stride, padding, dilation, called)
    padded, output = [], []
    for axis in (geometry.rows, geometry.columns):
        begin = axis.output * axis.stride  # of one more window, a partial one
        more = ceil and axis.reach + begin - axis.stride < axis.padded and begin < axis.length + axis.before
        output.append(axis.output + more)
        after = axis.after + (begin + axis.reach - axis.padded if more else 0)
        padded.append((axis.before, after))
    return Windows(
        plane, sizes, geometry.stride, geometry.dilation,
        (padded[0], padded[1]), (output[0], output[1]), geometry.padding,
    )  # fmt: skip
