"""Convolution layers forward and backward: cross-correlation as sums of tiles over planes.

Layout is (N, D, H, W) for batches and (P, D/groups, U, V) for weights. Channels come before pixels because
then neighbours in memory are neighbours in a row, which all taps see at the same distance, and weights of
PyTorch load as they are. `rows` makes the same sums of wide images in less time, `winograd` others of 3x3
kernels. Results are the same to the last bit for every number of threads, but for layers whose one window is
the whole input, which are a product of BLAS.
"""

import math

import numpy as np

from cnnfilter.core.geometry import Number, Padding, number_pair
from cnnfilter.core.memory import aligned_empty
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.nn.blas import product
from cnnfilter.nn.functional import rows, winograd
from cnnfilter.nn.functional.arrays import (
    in_order,
    require_batch,
    require_count,
    require_flag,
    require_like,
    require_shape,
)
from cnnfilter.nn.functional.planes import Bank, correlate, gradient_of_weights
from cnnfilter.nn.functional.plans import backward_plan, forward_plan
from cnnfilter.nn.functional.windows import Array, Windows


def convolution(
    x: Array,
    weights: Array,
    bias: Array | None = None,
    *,
    stride: Number = 1,
    padding: Padding = 0,
    dilation: Number = 1,
    groups: int = 1,
    rectify: bool = False,
) -> Array:
    """Cross-correlate a batch with a bank of kernels: equations 13, 34 and 35 of the notes.

    ``y[n, p] = bias[p] + sum over d of weights[p, d] (x) x[n, d]``, the kernel not flipped.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
        float32 or float64.
    weights : ndarray of shape (P, D / groups, U, V)
        Same dtype as `x`.
    bias : ndarray of shape (P,), optional
    stride, dilation : int or (rows, columns), default 1
    padding : int, (rows, columns), ((top, bottom), (left, right)), "narrow", "wide" or "same"
        Zeros around the input, default 0. "same" adds (K-1)//2 before and K//2 after.
    groups : int, default 1
        Output maps ``p * groups // P`` see only the input channels of that group.
    rectify : bool, default False
        Return ``max(y, 0)``, while y is at hand.

    Returns
    -------
    ndarray of shape (N, P, H', W')
        ``H' = floor((H - U + padding) / stride) + 1``; the dtype of `x`.

    Raises
    ------
    ParameterError
        If shapes do not fit, or the output would be empty.
    DtypeError
        If a dtype is not float32 or float64, or dtypes differ.

    Notes
    -----
    Results are sums in the order of channels and taps. But in float32 kernels of 3 x 3 and stride 1, in one
    group and of 12 maps or more on both sides, are taken in tiles of 2 x 2 results: Winograd's form. Rounding
    errors are smaller in the mean, and at most ``(D + 9) 2^-24`` times what absolute values of all that is
    added would make: where weights and pixels are of one size, 7.1 times the sum of their products. A
    part of a map has the bits of the whole if it begins at an even row and column of it.

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> convolution(x, np.ones((1, 1, 2, 2)), stride=2)
    array([[[[10., 18.],
             [42., 50.]]]])
    """
    require_bank(require_batch(x), weights)
    groups = require_count(groups, "groups")
    windows = _fit(x.shape, weights.shape, stride, padding, dilation, groups)
    maps, taps = weights.shape[0], math.prod(weights.shape[1:])
    if bias is not None:
        bias = in_order(require_like(bias, "bias", (maps,), x.dtype))
    x, weights = in_order(x), in_order(weights)
    floor = 0.0 if require_flag(rectify, "rectify") else -np.inf
    if _is_dense(windows, groups):
        y = product(x.reshape(len(x), taps), weights.reshape(maps, taps).T)
        y += 0 if bias is None else bias
        if rectify:
            np.maximum(y, floor, out=y)
        return y.reshape(len(x), maps, 1, 1)
    out = aligned_empty((x.shape[0], maps, *windows.output), x.dtype)
    if _is_tiled(windows, weights, groups):
        before = windows.padding[0][0], windows.padding[1][0]
        winograd.correlate(x, weights, before, out, bias, floor)
        return out
    if rows.is_faster(windows, weights, groups):
        rows.correlate(x, weights, windows, out, bias, floor)
        return out
    planes, parts = forward_plan(windows, x.shape[1], groups)
    correlate(x, planes, parts, Bank(weights, taps, 0, groups), out, bias, floor)
    return out


def convolution_input_gradient(
    delta: Array,
    weights: Array,
    input_shape: tuple[int, ...],
    *,
    stride: Number = 1,
    padding: Padding = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> Array:
    """Gradient with respect to the input: equations 28 to 31 and the sum of 45 and 46.

    The wide correlation with the rotated kernels, for every stride, padding, dilation and group:
    each element of `delta` is spread over the window that it came from.

    Parameters
    ----------
    delta : ndarray of shape (N, P, H', W')
        Gradient of the loss with respect to the output.
    weights : ndarray of shape (P, D / groups, U, V)
    input_shape : tuple
        Shape (N, D, H, W) of the input: several input sizes can lead to the same output size.
    stride, padding, dilation, groups
        As given to `convolution`.

    Returns
    -------
    ndarray of shape (N, D, H, W)
    """
    require_batch(delta, "delta")
    require_bank(delta, weights, "delta")
    shape, groups = require_shape(input_shape), require_count(groups, "groups")
    windows = _fit(shape, weights.shape, stride, padding, dilation, groups)
    batch, maps = shape[0], weights.shape[0]
    delta = in_order(require_like(delta, "delta", (batch, maps, *windows.output), delta.dtype))
    weights = in_order(weights)
    if _is_dense(windows, groups):
        taps = math.prod(shape[1:])
        return product(delta.reshape(batch, maps), weights.reshape(maps, taps)).reshape(shape)
    out = aligned_empty(shape, delta.dtype)
    if _is_tiled(windows, weights, groups):
        (top, _), (left, _) = windows.padding
        winograd.correlate(delta, weights, (2 - top, 2 - left), out, turned=True)
        return out
    depth, area = weights.shape[1], windows.size[0] * windows.size[1]
    planes, parts = backward_plan(windows, maps, maps // groups, depth)
    jump = (maps // groups - 1) * depth * area  # group g begins at g * maps / groups * depth * area
    correlate(delta, planes, parts, Bank(weights, area, jump, groups), out)
    return out


def convolution_weights_gradient(
    x: Array,
    delta: Array,
    size: Number,
    *,
    stride: Number = 1,
    padding: Padding = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> Array:
    """Gradient with respect to the weights: equations 27 and 39 to 42, summed over the batch.

    ``dW[p, d] = delta[p] (x) x[d]``: a correlation of the input with the gradient, nothing flipped.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
    delta : ndarray of shape (N, P, H', W')
    size : int or (rows, columns)
        Size of the kernel.
    stride, padding, dilation, groups
        As given to `convolution`.

    Returns
    -------
    ndarray of shape (P, D / groups, U, V)
    """
    batch, channels = require_batch(x).shape[:2]
    maps, sizes = require_batch(delta, "delta").shape[1], number_pair("size", size, least=1)
    groups = require_count(groups, "groups")
    bank = (maps, channels // groups, *sizes)
    windows = _fit(x.shape, bank, stride, padding, dilation, groups)
    x, delta = in_order(x), in_order(require_like(delta, "delta", (batch, maps, *windows.output), x.dtype))
    if _is_dense(windows, groups):
        taps = math.prod(bank[1:])
        return product(delta.reshape(batch, maps).T, x.reshape(batch, taps)).reshape(bank)
    planes, [part] = forward_plan(windows, channels, groups)
    return gradient_of_weights(x, delta, planes, part, groups).reshape(bank)


def convolution_bias_gradient(delta: Array) -> Array:
    """Gradient with respect to the bias: equations 43 and 44, the sum of `delta` over a map.

    Parameters
    ----------
    delta : ndarray of shape (N, P, M, N')
        float32 or float64, else a `DtypeError`; of other dimensions a `ParameterError`.

    Returns
    -------
    ndarray of shape (P,)
    """
    return np.asarray(in_order(require_batch(delta, "delta")).sum(axis=(0, 2, 3)))


def convolution_backward(
    x: Array,
    weights: Array,
    delta: Array,
    *,
    stride: Number = 1,
    padding: Padding = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """All three gradients of `convolution`: with respect to input, weights and bias.

    Parameters
    ----------
    x : ndarray of shape (N, D, M, N')
        What `convolution` was given, as were the geometry and `weights`, of shape (P, D / groups, U, V).
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
    >>> x, w = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> dx, dw, db = convolution_backward(x, w, np.ones((1, 1, 2, 2)))
    >>> dx[0, 0].tolist(), dw.ravel().tolist(), db.tolist()
    ([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]], [4.0, 4.0, 4.0, 4.0], [4.0])
    """
    require_bank(require_batch(x), weights)
    size = (weights.shape[2], weights.shape[3])
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        convolution_input_gradient(delta, weights, x.shape, **geometry),  # type: ignore[arg-type]
        convolution_weights_gradient(x, delta, size, **geometry),  # type: ignore[arg-type]
        convolution_bias_gradient(delta),
    )


def require_bank(x: Array, weights: Array, name: str = "x") -> None:
    """Return if `weights` are a bank of kernels of the type of `x`, else raise."""
    require_batch(weights, "weights")
    if x.dtype != weights.dtype:
        raise DtypeError(f"{name} is {x.dtype} but weights are {weights.dtype}: give both the same dtype")


def _fit(
    shape: tuple[int, ...],
    bank: tuple[int, ...],
    stride: Number,
    padding: Padding,
    dilation: Number,
    groups: int,
) -> Windows:
    """Return the windows of kernels of shape `bank` on a batch of `shape`, if they fit."""
    if shape[1] % groups or bank[0] % groups:
        raise ParameterError(
            f"groups is {groups}: it must divide the {shape[1]} input channels and the {bank[0]} output maps"
        )
    if bank[1] * groups != shape[1]:
        raise ParameterError(
            f"weights of shape {bank} in {groups} group(s) take {bank[1] * groups} "
            f"channels, but x has shape {shape}"
        )
    return Windows.of(shape, (bank[2], bank[3]), stride, padding, dilation)


def _is_tiled(windows: Windows, weights: Array, groups: int) -> bool:
    """Tell whether results are made in tiles: by `winograd`."""
    dense = groups == 1 and windows.stride == windows.dilation == (1, 1)
    return dense and weights.dtype == np.float32 and winograd.is_faster(weights.shape)


def _is_dense(windows: Windows, groups: int) -> bool:
    """Tell whether the one window is the whole input."""
    return groups == 1 and windows.output == (1, 1) and windows.padded == windows.shape == windows.size
