"""Where the windows of a convolution or a pooling lie: pure integers, and views of arrays."""

from dataclasses import dataclass

import numpy as np

from cnnfilter.errors import DtypeError, ParameterError

Array = np.ndarray
Pair = int | tuple[int, int]
Padding = int | str | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def pair(value: Pair, name: str, least: int = 1) -> tuple[int, int]:
    """Return `value` as (rows, columns).

    Examples
    --------
    >>> pair(3, "stride"), pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    values = value if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2 or not all(isinstance(v, int | np.integer) and v >= least for v in values):
        raise ParameterError(f"{name} is {value!r}: give an integer >= {least}, or a pair (rows, columns)")
    return int(values[0]), int(values[1])


def padding_pairs(padding: Padding, extent: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return `padding` as ((top, bottom), (left, right)) for windows of `extent` pixels.

    An even extent has no middle: "same" then adds (K-1)//2 before and K//2 after.

    Examples
    --------
    >>> padding_pairs("same", (3, 4)), padding_pairs((0, 2), (3, 3))
    (((1, 1), (1, 2)), ((0, 0), (2, 2)))
    """
    if isinstance(padding, str):
        rows, columns = extent
        if padding in ("narrow", "valid"):
            return (0, 0), (0, 0)
        if padding in ("wide", "full"):
            return (rows - 1, rows - 1), (columns - 1, columns - 1)
        if padding in ("same", "equal"):
            return ((rows - 1) // 2, rows // 2), ((columns - 1) // 2, columns // 2)
        raise ParameterError(f'padding is {padding!r}: give "narrow", "wide", "same", or numbers of pixels')
    if isinstance(padding, tuple | list) and padding and isinstance(padding[0], tuple | list):
        if len(padding) != 2:
            raise ParameterError(f"padding is {padding!r}: give ((top, bottom), (left, right))")
        return pair(padding[0], "padding", 0), pair(padding[1], "padding", 0)
    rows, columns = pair(padding, "padding", 0)
    return (rows, rows), (columns, columns)


@dataclass(frozen=True)
class Windows:
    """The windows that slide over planes of `shape`: equation M' = floor((M - K + P) / S) + 1.

    Attributes
    ----------
    shape, size, stride, dilation, output : tuple of int
        Rows and columns of the input, the window, its steps, and the output.
    padding : tuple of tuple of int
        ((top, bottom), (left, right)) pixels around the input. The bottom and right parts may be
        more than was asked for when sizes are rounded up.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    output: tuple[int, int]

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        ceil: bool = False,
    ) -> "Windows":
        """Work out padding and output size; with `ceil` a partial last window counts (PyTorch's rule)."""
        rows, columns = int(shape[-2]), int(shape[-1])
        sizes, strides, dilations = pair(size, "size"), pair(stride, "stride"), pair(dilation, "dilation")
        extent = (dilations[0] * (sizes[0] - 1) + 1, dilations[1] * (sizes[1] - 1) + 1)
        asked = padding_pairs(padding, extent)
        row_padding, row_count = _axis(rows, extent[0], strides[0], asked[0], ceil)
        column_padding, column_count = _axis(columns, extent[1], strides[1], asked[1], ceil)
        return cls(
            (rows, columns), sizes, strides, dilations,
            (row_padding, column_padding), (row_count, column_count),
        )  # fmt: skip

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

    def view(self, padded: Array) -> Array:
        """Read-only view (..., U, V, *output): all windows of a padded array without a copy."""
        rows, columns = padded.strides[-2:]
        return np.lib.stride_tricks.as_strided(
            padded,
            (*padded.shape[:-2], *self.size, *self.output),
            (
                *padded.strides[:-2],
                rows * self.dilation[0], columns * self.dilation[1],
                rows * self.stride[0], columns * self.stride[1],
            ),
            writeable=False,
        )  # fmt: skip


def _axis(
    length: int, extent: int, stride: int, padding: tuple[int, int], ceil: bool
) -> tuple[tuple[int, int], int]:
    before, after = padding
    span = length - extent + before + after
    count = span // stride + 1
    if ceil and -(-span // stride) + 1 > count and count * stride < length + before:
        after += (count * stride) - span
        count += 1
    if length < 1 or span < 0:
        raise ParameterError(
            f"no window of {extent} pixels fits {length} pixels with padding {before} + {after}: "
            "the output would be empty"
        )
    return (before, after), count


def require_batch(x: Array, name: str = "x") -> Array:
    """Return `x` if it is a float32 or float64 batch of shape (N, D, H, W), else raise."""
    if not isinstance(x, np.ndarray) or x.dtype not in _FLOATS:
        found = getattr(x, "dtype", type(x).__name__)
        raise DtypeError(f"{name} is of type {found}: give a float32 or float64 array")
    if x.ndim != 4:
        raise ParameterError(f"{name} has shape {x.shape}: give a batch (N, D, H, W)")
    return x
