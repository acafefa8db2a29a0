"""What makes maps larger: transposed convolution, and pixels shuffled out of depth and back into it."""

import numpy as np

from cnnfilter.core.geometry import Number, Padding, number_pair
from cnnfilter.errors import ParameterError
from cnnfilter.nn.functional.arrays import in_order, require_batch, require_count, require_like
from cnnfilter.nn.functional.convolution import (
    convolution,
    convolution_bias_gradient,
    convolution_input_gradient,
    convolution_weights_gradient,
    require_bank,
)
from cnnfilter.nn.functional.windows import Array, Windows


def transposed_convolution(
    x: Array,
    weights: Array,
    bias: Array | None = None,
    *,
    stride: Number = 1,
    padding: Padding = 0,
    output_padding: Number = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> Array:
    """Spread each pixel over the window of a kernel: what carries gradients back through `convolution`.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
        float32 or float64.
    weights : ndarray of shape (D, P / groups, U, V)
        Same dtype as `x`; PyTorch's form, inputs first.
    bias : ndarray of shape (P,), optional
    stride, dilation : int or (rows, columns), default 1
        Rows and columns from one window, or tap, to the next.
    padding : as in `convolution`, default 0
        Taken off the output.
    output_padding : int or (rows, columns), default 0
        Rows and columns more at the bottom and right, less than `stride`: of the sizes that `convolution`
        takes to that of `x`, which one it is.
    groups : int, default 1

    Returns
    -------
    ndarray of shape (N, P, H', W')
        ``H' = (H - 1) stride - padding + (U - 1) dilation + 1 + output_padding``, both sides' padding.

    Raises
    ------
    ParameterError
        If shapes do not fit, or the output would be empty.
    DtypeError
        If a dtype is not float32 or float64, or dtypes differ.

    Examples
    --------
    >>> x = np.array([[[[1.0, 2.0]]]])
    >>> transposed_convolution(x, np.ones((1, 1, 2, 2)), stride=2)
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    maps = _maps(x, weights, groups)
    plane = transposed_shape(x.shape, weights.shape[2:], stride, padding, output_padding, dilation)
    if bias is not None:
        require_like(bias, "bias", (maps,), x.dtype)
    y = convolution_input_gradient(
        x, weights, (len(x), maps, *plane), stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    if bias is not None:
        y += bias[:, None, None]
    return y


def transposed_convolution_backward(
    x: Array,
    weights: Array,
    delta: Array,
    *,
    stride: Number = 1,
    padding: Padding = 0,
    output_padding: Number = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Gradients of `transposed_convolution` with respect to input, weights and bias.

    Parameters
    ----------
    x : ndarray of shape (N, D, M, N')
        What `transposed_convolution` was given, as were the geometry and `weights`.
    delta : ndarray of shape (N, P, M', N'')
        The gradient with respect to its result.

    Returns
    -------
    dx, dw, db : ndarrays
        Of the shapes of `x`, `weights` and (P,).

    Raises
    ------
    ParameterError
        Shapes that do not fit each other.
    DtypeError
        Arrays that are not float32 or float64, or not all of one type.

    Examples
    --------
    >>> x, w = np.ones((1, 1, 1, 2)), np.ones((1, 1, 2, 2))
    >>> dx, dw, db = transposed_convolution_backward(x, w, np.ones((1, 1, 2, 4)), stride=2)
    >>> dx.ravel().tolist(), dw.ravel().tolist(), db.tolist()
    ([4.0, 4.0], [2.0, 2.0, 2.0, 2.0], [8.0])
    """
    maps = _maps(x, weights, groups)
    plane = transposed_shape(x.shape, weights.shape[2:], stride, padding, output_padding, dilation)
    require_like(delta, "delta", (len(x), maps, *plane), x.dtype)
    size = weights.shape[2], weights.shape[3]
    dx = convolution(delta, weights, stride=stride, padding=padding, dilation=dilation, groups=groups)
    dw = convolution_weights_gradient(
        delta, x, size, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return dx, dw, convolution_bias_gradient(delta)


def _maps(x: Array, weights: Array, groups: int) -> int:
    """Return how many maps come out, if the weights fit what goes in."""
    require_bank(require_batch(x), weights)
    depth = len(weights)
    if x.shape[1] != depth or depth % require_count(groups, "groups"):
        raise ParameterError(
            f"weights of shape {weights.shape} in {groups} group(s) take {depth} channels, a multiple of the "
            f"groups, but x has shape {x.shape}"
        )
    return int(weights.shape[1]) * groups


def transposed_shape(
    shape: tuple[int, ...],
    size: Number,
    stride: Number = 1,
    padding: Padding = 0,
    output_padding: Number = 0,
    dilation: Number = 1,
) -> tuple[int, int]:
    """Rows and columns that `transposed_convolution` makes of those of `shape`.

    Examples
    --------
    >>> transposed_shape((4, 5), 3, stride=2, padding=1, output_padding=1)
    (8, 10)
    """
    sizes, steps = number_pair("size", size, 1), number_pair("stride", stride, 1)
    apart = number_pair("dilation", dilation, 1)
    reach = [(k - 1) * d + 1 for k, d in zip(sizes, apart, strict=True)]
    asked = Windows.of((reach[0], reach[1]), sizes, 1, padding, apart).asked
    more = number_pair("output_padding", output_padding, 0)
    if any(extra >= step for extra, step in zip(more, steps, strict=True)):
        raise ParameterError(f"output_padding {output_padding!r} must be less than the stride, {steps}")
    rows, columns = (
        (side - 1) * step - sum(taken) + k + extra
        for side, step, taken, k, extra in zip(shape[-2:], steps, asked, reach, more, strict=True)
    )
    if rows < 1 or columns < 1:
        raise ParameterError(
            f"padding {padding!r} leaves nothing: the output of {tuple(shape[-2:])} would have {rows} rows "
            f"and {columns} columns"
        )
    return rows, columns


def pixel_shuffle(x: Array, factor: int) -> Array:
    """Lay ``factor * factor`` maps of depth side by side as pixels of one map of as many times the size.

    Parameters
    ----------
    x : ndarray of shape (N, D * factor * factor, H, W)
        float32 or float64.
    factor : int

    Returns
    -------
    ndarray of shape (N, D, H * factor, W * factor)
        ``y[n, d, i * factor + a, j * factor + b] = x[n, (d * factor + a) * factor + b, i, j]``.
        Its gradient is `pixel_unshuffle`.

    Examples
    --------
    >>> pixel_shuffle(np.arange(4.0).reshape(1, 4, 1, 1), 2)
    array([[[[0., 1.],
             [2., 3.]]]])
    """
    n, depth, rows, columns = require_batch(x).shape
    r = require_count(factor, "factor")
    if depth % (r * r):
        raise ParameterError(f"x has {depth} maps: give a multiple of factor * factor, {r * r}")
    parts = in_order(x).reshape(n, depth // (r * r), r, r, rows, columns).transpose(0, 1, 4, 2, 5, 3)
    return np.ascontiguousarray(parts).reshape(n, depth // (r * r), rows * r, columns * r)


def pixel_unshuffle(x: Array, factor: int) -> Array:
    """Undo `pixel_shuffle`: every `factor`-th pixel becomes a map of its own. Its gradient is that.

    Parameters
    ----------
    x : ndarray of shape (N, D, H * factor, W * factor)
        float32 or float64.
    factor : int

    Returns
    -------
    ndarray of shape (N, D * factor * factor, H, W)

    Examples
    --------
    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 1, 2, 2), 2).ravel().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    n, depth, rows, columns = require_batch(x).shape
    r = require_count(factor, "factor")
    if rows % r or columns % r:
        raise ParameterError(f"x has {rows}x{columns} pixels: give multiples of factor, {r}")
    parts = x.reshape(n, depth, rows // r, r, columns // r, r).transpose(0, 1, 3, 5, 2, 4)
    return np.ascontiguousarray(parts).reshape(n, depth * r * r, rows // r, columns // r)
