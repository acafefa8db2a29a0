"""Convolution layers forward and backward: cross-correlation as matrix products over tiles.

Layout is (N, D, H, W) for batches and (P, D/groups, U, V) for weights. Channels come before pixels
because then a matrix product of the weights (P, K) with a panel of windows (K, pixels) writes each
output plane in place, and weights of PyTorch load as they are.
"""

import math
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.compiled import Loop, function
from cnnfilter.core.geometry import Number, Padding, number_pair
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.nn.functional.windows import Array, Windows, require_batch

# Panels of windows are made in tiles of about this size so that they are still in the L2/L3 cache
# when the matrix product reads them; benchmarks/layers.py shows less below 1 MiB and no gain above 2.
_PANEL_BYTES = 2 << 20

# Up to so many maps BLAS is faster with the taps as rows of the product (2.9 ms, not 3.5, for 64 maps of
# 56 x 56); beyond, turning the result round costs more than that.
_NARROW = 96

_LOOPS = "cnnfilter.nn.functional.loops"
_SIGNATURES = {
    char: f"void({real}*, {real}*, {', '.join(['i64'] * 15)})" for char, real in (("f", "f32"), ("d", "f64"))
}


def convolution(
    x: Array,
    weights: Array,
    bias: Array | None = None,
    *,
    stride: Number = 1,
    padding: Padding = 0,
    dilation: Number = 1,
    groups: int = 1,
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

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> convolution(x, np.ones((1, 1, 2, 2)), stride=2)
    array([[[[10., 18.],
             [42., 50.]]]])
    """
    windows = _fit(x, weights, stride, padding, dilation, groups)
    maps = weights.shape[0]
    if bias is not None and (bias.shape != (maps,) or bias.dtype != x.dtype):
        raise ParameterError(f"bias is {bias.dtype} {bias.shape}: give {x.dtype} of shape ({maps},)")
    matrices = weights.reshape(groups, maps // groups, -1)  # 'gpk'
    out = np.empty((x.shape[0], maps, *windows.output), x.dtype)
    planes = out.reshape(x.shape[0], groups, maps // groups, windows.pixels)  # 'ngpi'
    for tile, panel in _panels(x, windows, groups):
        part = planes[tile.samples, :, :, tile.pixels]
        np.matmul(matrices, panel, out=part)  # 'gpk,ngki->ngpi'
        if bias is not None:  # while the tile is in the cache
            part += bias.reshape(groups, -1, 1)
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
    blank = np.broadcast_to(np.zeros((), delta.dtype), input_shape)
    windows = _fit(blank, weights, stride, padding, dilation, groups)
    _require_delta(delta, (input_shape[0], weights.shape[0], *windows.output), blank)
    return _spread(delta, weights, input_shape, windows, groups)


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
    maps = delta.shape[1] if isinstance(delta, np.ndarray) and delta.ndim == 4 else groups
    sizes = number_pair("size", size, least=1)
    blank = np.broadcast_to(np.zeros((), x.dtype), (maps, x.shape[1] // groups, *sizes))
    windows = _fit(x, blank, stride, padding, dilation, groups)
    _require_delta(delta, (x.shape[0], maps, *windows.output), x)
    planes = np.ascontiguousarray(delta).reshape(x.shape[0], groups, maps // groups, windows.pixels)
    narrow = maps // groups <= _NARROW
    shape = (blank[0].size, maps // groups) if narrow else (maps // groups, blank[0].size)
    gradient = np.zeros((groups, *shape), x.dtype)
    target = gradient  # the first product is written where it belongs, the others are added in order
    for tile, panel in _panels(x, windows, groups):
        parts = planes[tile.samples, :, :, tile.pixels]
        for sample, windows_of_sample in zip(parts, panel, strict=True):
            if narrow:  # 'gki,gpi->gkp', else 'gpi,gki->gpk'
                np.matmul(windows_of_sample, sample.swapaxes(-1, -2), out=target)
            else:
                np.matmul(sample, windows_of_sample.swapaxes(-1, -2), out=target)
            if target is gradient:
                target = np.empty_like(gradient)
            else:
                gradient += target
    return (gradient.swapaxes(-1, -2) if narrow else gradient).reshape(blank.shape)


def convolution_bias_gradient(delta: Array) -> Array:
    """Gradient with respect to the bias: equations 43 and 44, the sum of `delta` over a map."""
    return np.asarray(require_batch(delta, "delta").sum(axis=(0, 2, 3)))


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

    Examples
    --------
    >>> x, w = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> dx, dw, db = convolution_backward(x, w, np.ones((1, 1, 2, 2)))
    >>> dx[0, 0].tolist(), dw.ravel().tolist(), db.tolist()
    ([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]], [4.0, 4.0, 4.0, 4.0], [4.0])
    """
    size = (weights.shape[-2], weights.shape[-1])
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        convolution_input_gradient(delta, weights, x.shape, **geometry),  # type: ignore[arg-type]
        convolution_weights_gradient(x, delta, size, **geometry),  # type: ignore[arg-type]
        convolution_bias_gradient(delta),
    )


def _fit(
    x: Array, weights: Array, stride: Number, padding: Padding, dilation: Number, groups: int
) -> Windows:
    require_batch(x)
    require_batch(weights, "weights")
    if x.dtype != weights.dtype:
        raise DtypeError(f"x is {x.dtype} but weights are {weights.dtype}: give both the same dtype")
    if groups < 1 or x.shape[1] % groups or weights.shape[0] % groups:
        raise ParameterError(
            f"groups is {groups}: it must divide the {x.shape[1]} input channels "
            f"and the {weights.shape[0]} output maps"
        )
    if weights.shape[1] * groups != x.shape[1]:
        raise ParameterError(
            f"weights of shape {weights.shape} in {groups} group(s) take {weights.shape[1] * groups} "
            f"channels, but x has shape {x.shape}"
        )
    return Windows.of(x.shape, (weights.shape[2], weights.shape[3]), stride, padding, dilation)


def _require_delta(delta: Array, shape: tuple[int, ...], like: Array) -> None:
    require_batch(delta, "delta")
    if delta.dtype != like.dtype or delta.shape != shape:
        raise ParameterError(f"delta is {delta.dtype} {delta.shape}: give {like.dtype} of shape {shape}")


class _Tile(NamedTuple):
    """A part of the output: some samples whole, or some rows of one sample."""

    samples: slice
    rows: slice
    pixels: slice


def _tiles(batch: int, windows: Windows, row_bytes: int) -> list[_Tile]:
    """Cut the output so that a panel stays within its bytes; the first tile is the largest."""
    rows, columns = windows.output
    samples = max(1, _PANEL_BYTES // (row_bytes * rows))
    most = rows if samples > 1 else min(rows, max(1, _PANEL_BYTES // row_bytes))
    step = -(-rows // -(-rows // most))  # equal tiles: a thin last one would waste the matrix product
    return [
        _Tile(slice(n, min(n + samples, batch)), slice(top, bottom), slice(top * columns, bottom * columns))
        for n in range(0, batch, samples)
        for top in range(0, rows, step)
        for bottom in [min(top + step, rows)]
    ]


def _panels(x: Array, windows: Windows, groups: int) -> Iterator[tuple[_Tile, Array]]:
    """Yield tiles with their panels (samples, groups, K, pixels) of input windows: im2col."""
    batch, channels = x.shape[:2]
    if _is_pointwise(windows):
        whole = _Tile(slice(0, batch), slice(0, windows.output[0]), slice(0, None))
        yield whole, x.reshape(batch, groups, channels // groups, windows.pixels)
        return
    row = channels * windows.size[0] * windows.size[1] * windows.output[1]
    tiles = _tiles(batch, windows, row * x.itemsize)
    if not tiles:
        return
    buffer = _panel_buffer(tiles, row, x.dtype)
    runs = _runs(x, windows.stride[1])
    for tile in tiles:
        part = runs[tile.samples]
        pixels = tile.pixels.stop - tile.pixels.start
        sizes = (len(part), groups, row // windows.output[1] // groups, pixels)
        panel = buffer[: math.prod(sizes)].reshape(sizes)
        _move(part, panel, windows, tile, gather=True)
        yield tile, panel


def _spread(delta: Array, weights: Array, shape: tuple[int, ...], windows: Windows, groups: int) -> Array:
    """Transpose of `_panels` and its product: weights' @ delta, each tap added where it was read."""
    batch, channels = shape[:2]
    matrices = weights.reshape(groups, weights.shape[0] // groups, -1).swapaxes(-1, -2)  # 'gkp'
    sizes = (batch, groups, weights.shape[0] // groups, windows.pixels)
    planes = np.ascontiguousarray(delta).reshape(sizes)  # 'ngpi'
    if _is_pointwise(windows):
        return np.asarray(np.matmul(matrices, planes)).reshape(shape)
    row = channels * windows.size[0] * windows.size[1] * windows.output[1]
    tiles = _tiles(batch, windows, row * delta.itemsize)
    right = windows.stride[1]
    runs = np.zeros((*shape[:3], right, -(-shape[3] // right)), delta.dtype)
    if not tiles:
        return runs.reshape(shape)
    buffer = _panel_buffer(tiles, row, delta.dtype)
    for tile in tiles:
        part = planes[tile.samples, :, :, tile.pixels]
        sizes = (len(part), groups, matrices.shape[1], part.shape[-1])
        panel = buffer[: math.prod(sizes)].reshape(sizes)
        np.matmul(matrices, part, out=panel)  # 'gkp,ngpi->ngki'
        _move(runs[tile.samples], panel, windows, tile, gather=False)
    if right == 1:
        return runs.reshape(shape)
    rows = runs.swapaxes(-1, -2).reshape(*shape[:3], -1)
    return np.ascontiguousarray(rows[..., : shape[3]])


class _Scratch(threading.local):
    """One panel of memory for each thread, kept: touching fresh pages costs as much as the copy."""

    memory: Array = np.empty(0, np.uint8)


_SCRATCH = _Scratch()


def _panel_buffer(tiles: list[_Tile], row: int, dtype: np.dtype[Any]) -> Array:
    """Room for the largest panel of `tiles`, valid until the next call in this thread."""
    samples, rows, _ = tiles[0]
    size = (samples.stop - samples.start) * (rows.stop - rows.start) * row * dtype.itemsize
    if size > _PANEL_BYTES:
        return np.empty(size, np.uint8).view(dtype)
    if _SCRATCH.memory.size < _PANEL_BYTES:
        _SCRATCH.memory = np.empty(_PANEL_BYTES, np.uint8)
    return _SCRATCH.memory[:size].view(dtype)


def _runs(x: Array, step: int) -> Array:
    """Return `x` as (N, D, H, step, columns / step): every `step`-th column in one run, zeros to fill."""
    *sizes, width = x.shape
    span = -(-width // step)
    if step == 1:
        return np.ascontiguousarray(x).reshape(*sizes, 1, span)
    if width % step:
        x = np.concatenate([x, np.zeros((*sizes, span * step - width), x.dtype)], axis=-1)
    return np.ascontiguousarray(x.reshape(*sizes, span, step).swapaxes(-1, -2))


def _move(planes: Array, panel: Array, windows: Windows, tile: _Tile, gather: bool) -> None:
    """Fill a panel from the windows of planes laid out by `_runs`, or add it to them."""
    loop = function(Loop(_LOOPS, "move", (gather,), _SIGNATURES[planes.dtype.char]))
    loop(
        planes.ctypes.data, panel.ctypes.data,
        planes.shape[0] * planes.shape[1], *windows.shape, planes.shape[4],
        *windows.size, *windows.stride, *windows.dilation, windows.padding[0][0], windows.padding[1][0],
        tile.rows.start, tile.rows.stop - tile.rows.start, windows.output[1],
    )  # fmt: skip


def _is_pointwise(windows: Windows) -> bool:
    return windows.size == windows.stride == (1, 1) and windows.padded == windows.shape
