"""Pooling forward and backward: maximum, mean, and the trainable pooling of equation 38."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfilter.core.geometry import LARGEST, Number, Padding
from cnnfilter.core.jit.compiled import Loop, function
from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.threads import run_strips
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.nn.blas import layer_threads
from cnnfilter.nn.functional.arrays import (
    in_order,
    require_batch,
    require_flag,
    require_like,
    require_shape,
)
from cnnfilter.nn.functional.windows import Array, Windows

_LOOPS = "cnnfilter.nn.functional.loops.pooling"
_MAXIMUM = "void({0}*, " + ", ".join(["i64"] * 10) + ", {0}*, i32*, i64, i64)"
_SPREAD = "void({0}*, i32*, i64*, " + ", ".join(["i64"] * 11) + ", {0}*, i64, i64, i64*)"

_POSITIONS = np.dtype(np.int32)

# Pixels that are worth a thread.
_LEAST = 400_000


def max_pooling(
    x: Array,
    size: Number,
    *,
    stride: Number | None = None,
    padding: Padding = 0,
    dilation: Number = 1,
    ceil: bool = False,
) -> tuple[Array, Array]:
    """Keep the largest value of each window: equation 36.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
        float32 or float64. A NaN in a window is its maximum.
    size : int or (rows, columns)
    stride : int or (rows, columns), optional
        Default `size`: windows that do not overlap.
    padding : as in `convolution`, default 0
        Counts as minus infinity; less than a window reaches, and every window must hold a pixel.
    dilation : int or (rows, columns), default 1
        From one pixel of a window to the next.
    ceil : bool, default False
        Round the output size up: a partial last window counts, unless it lies in the padding alone.

    Returns
    -------
    y : ndarray of shape (N, D, H', W')
    argmax : ndarray of int32, same shape
        Position ``u * V + v`` of the first maximum within its window, row-major; for `max_pooling_backward`.

    Examples
    --------
    >>> y, argmax = max_pooling(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    >>> y[0, 0].tolist(), argmax[0, 0].tolist()
    ([[5.0, 7.0], [13.0, 15.0]], [[3, 3], [3, 3]])
    """
    return _maxima(x, _windows(require_batch(x).shape, size, stride, padding, dilation, ceil), True)


def maxima(
    x: Array,
    size: Number,
    *,
    stride: Number | None = None,
    padding: Padding = 0,
    dilation: Number = 1,
    ceil: bool = False,
) -> Array:
    """`max_pooling` without the positions: its arguments, its errors, and the first of its results."""
    return _maxima(x, _windows(require_batch(x).shape, size, stride, padding, dilation, ceil), False)[0]


def _maxima(x: Array, windows: Windows, places: bool) -> tuple[Array, Array]:
    x = in_order(x)
    planes, (rows, columns) = x.shape[0] * x.shape[1], windows.output
    (top, _), (left, _) = windows.padding
    if places and windows.size[0] * windows.size[1] > LARGEST:
        raise ParameterError(f"size {windows.size} is out of range; give windows of at most {LARGEST} pixels")
    best = aligned_empty((*x.shape[:2], *windows.output), x.dtype)
    argmax = aligned_empty(best.shape, _POSITIONS) if places else np.empty(0, _POSITIONS)
    run = _loop("maximum", (windows.stride[1], places), _MAXIMUM, x.dtype.char)

    def some(first: int, last: int) -> None:
        run(
            x.ctypes.data + first * windows.shape[0] * windows.shape[1] * x.itemsize, last - first,
            *windows.shape, *windows.size, *windows.dilation, windows.stride[0], top, left,
            best.ctypes.data + first * rows * columns * x.itemsize,
            argmax.ctypes.data + places * first * rows * columns * 4, rows, columns,
        )  # fmt: skip

    run_strips(some, planes, layer_threads(), max(1, _LEAST * planes // (x.size + 1)))
    return best, argmax


def max_pooling_backward(
    delta: Array,
    argmax: Array,
    input_shape: tuple[int, ...],
    size: Number,
    *,
    stride: Number | None = None,
    padding: Padding = 0,
    dilation: Number = 1,
    ceil: bool = False,
) -> Array:
    """Route each gradient to the stored maximum (equation 47); overlapping windows accumulate.

    Parameters
    ----------
    delta : ndarray of shape (N, D, H', W')
        Gradient of the loss with respect to the output.
    argmax : ndarray of int32, same shape
        As `max_pooling` returns it; not PyTorch's indices, which count along the whole plane.
    input_shape : tuple
        Shape (N, D, H, W) of the input.
    size, stride, padding, dilation, ceil
        As given to `max_pooling`.

    Returns
    -------
    ndarray of shape (N, D, H, W)

    Raises
    ------
    ParameterError
        If shapes do not fit, or a position in `argmax` lies outside its window or the image.
    DtypeError
        If a dtype differs.
    """
    shape = require_shape(input_shape)
    windows = _windows(shape, size, stride, padding, dilation, ceil)
    delta = in_order(_require_delta(delta, shape, windows))
    argmax = in_order(_require_positions(argmax, delta.shape))
    out = aligned_empty(shape, delta.dtype)
    planes, ((top, _), (left, _)) = shape[0] * shape[1], windows.padding
    run, (rows, columns) = _loop("spread", (), _SPREAD, delta.dtype.char), windows.output
    pixels, steps = windows.shape[0] * windows.shape[1], _steps(windows)

    def some(first: int, last: int) -> None:
        at, wrong = first * rows * columns, np.full(1, -1, np.int64)
        run(
            delta.ctypes.data + at * delta.itemsize, argmax.ctypes.data + at * argmax.itemsize,
            steps.ctypes.data, last - first, *windows.shape, *windows.size, *windows.dilation,
            *windows.stride, top, left, out.ctypes.data + first * pixels * out.itemsize, rows, columns,
            wrong.ctypes.data,
        )  # fmt: skip
        if wrong[0] >= 0:
            place = np.unravel_index(at + int(wrong[0]), argmax.shape)
            raise ParameterError(
                f"argmax is {argmax[place]} at {tuple(map(int, place))}: give the positions that max_pooling "
                f"returns, u * {windows.size[1]} + v of a pixel within its window of {windows.size}"
            )

    run_strips(some, planes, layer_threads(), max(1, _LEAST * planes // (out.size + 1)))
    return out


def mean_pooling(
    x: Array,
    size: Number,
    *,
    stride: Number | None = None,
    padding: Padding = 0,
    dilation: Number = 1,
    ceil: bool = False,
    count_padding: bool = True,
) -> Array:
    """Average each window: equation 37.

    Parameters
    ----------
    x, size, stride, padding, dilation, ceil
        As in `max_pooling`; the padding counts as zero.
    count_padding : bool, default True
        Divide by the pixels of the window within the padded plane (columns that only rounding up adds
        never count); with False, by the number of pixels of `x` in it.

    Returns
    -------
    ndarray of shape (N, D, H', W')

    Examples
    --------
    >>> mean_pooling(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    windows = _windows(require_batch(x).shape, size, stride, padding, dilation, ceil)
    areas = _areas(windows, count_padding).astype(x.dtype)
    return np.asarray(_window_sums(x, windows) / areas)


def mean_pooling_backward(
    delta: Array,
    input_shape: tuple[int, ...],
    size: Number,
    *,
    stride: Number | None = None,
    padding: Padding = 0,
    dilation: Number = 1,
    ceil: bool = False,
    count_padding: bool = True,
) -> Array:
    """Share each gradient among its window (equation 48); overlapping windows accumulate.

    Parameters
    ----------
    delta : ndarray of shape (N, D, M', N'')
        The gradient with respect to the result of `mean_pooling`, whose windows the other arguments are.
    input_shape : tuple of int
        ``(N, D, M, N')``, the shape of what it was given.

    Returns
    -------
    ndarray of shape `input_shape`
        With respect to what it was given.

    Raises
    ------
    ParameterError
        Shapes that do not fit each other.
    DtypeError
        Arrays that are not float32 or float64, or not all of one type.
    """
    shape = require_shape(input_shape)
    windows = _windows(shape, size, stride, padding, dilation, ceil)
    _require_delta(delta, shape, windows)
    shares = delta / _areas(windows, count_padding).astype(delta.dtype)
    return _spread_evenly(shares, shape, windows)


def trainable_pooling(
    x: Array, weights: Array, bias: Array, size: Number, *, stride: Number | None = None
) -> Array:
    """Sum each window, times one weight a map, plus one bias a map: equation 38 before its activation.

    LeNet's subsampling sums its windows; the mean of the notes is the same with weights over the area.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
    weights, bias : ndarray of shape (D,)
    size, stride
        As in `max_pooling`.

    Returns
    -------
    ndarray of shape (N, D, H', W')

    Examples
    --------
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> trainable_pooling(x, np.array([0.25]), np.array([1.0]), 2)[0, 0].tolist()
    [[3.5, 5.5], [11.5, 13.5]]
    """
    windows = _windows(require_batch(x).shape, size, stride, 0, 1, False)
    for name, values in (("weights", weights), ("bias", bias)):
        require_like(values, name, x.shape[1:2], x.dtype)
    return np.asarray(_window_sums(x, windows) * weights[:, None, None] + bias[:, None, None])


def trainable_pooling_backward(
    x: Array, weights: Array, delta: Array, size: Number, *, stride: Number | None = None
) -> tuple[Array, Array, Array]:
    """Gradients of `trainable_pooling` with respect to input, weights and bias.

    Parameters
    ----------
    x : ndarray of shape (N, D, M, N')
        What `trainable_pooling` was given, as were `size`, `stride` and `weights`, of shape (D,).
    delta : ndarray of shape (N, D, M', N'')
        The gradient with respect to its result.

    Returns
    -------
    dx, dw, db : ndarrays
        Of the shapes of `x`, (D,) and (D,).

    Raises
    ------
    ParameterError
        Shapes that do not fit each other.
    DtypeError
        Arrays that are not float32 or float64, or not all of one type.
    """
    windows = _windows(require_batch(x).shape, size, stride, 0, 1, False)
    require_like(weights, "weights", x.shape[1:2], x.dtype)
    require_like(delta, "delta", (*x.shape[:2], *windows.output), x.dtype)
    x, delta = in_order(x), in_order(delta)
    return (
        _spread_evenly(delta * weights[:, None, None], x.shape, windows),
        np.einsum("ndij,ndij->d", delta, _window_sums(x, windows)),
        delta.sum(axis=(0, 2, 3)),
    )


def _loop(factory: str, constants: tuple[int | bool, ...], signature: str, char: str) -> Callable[..., None]:
    return function(Loop(_LOOPS, factory, constants, signature.format({"f": "f32", "d": "f64"}[char])))


def _windows(
    shape: tuple[int, ...],
    size: Number,
    stride: Number | None,
    padding: Padding,
    dilation: Number,
    ceil: bool,
) -> Windows:
    windows = Windows.of(shape, size, size if stride is None else stride, padding, dilation, ceil, "window")
    for axis, (k, apart, length) in enumerate(
        zip(windows.size, windows.dilation, windows.shape, strict=True)
    ):
        if max(windows.asked[axis]) >= (k - 1) * apart + 1:
            raise ParameterError(f"padding {padding!r} must be less than the window, {windows.size}")
        if apart > length and not _taps(windows, axis, 0, 0).all():  # they can step over the image
            raise ParameterError(
                f"padding {padding!r} with dilation {dilation!r}: a window of {windows.size} on an image of "
                f"{windows.shape} would hold no pixel"
            )
    return windows


def _require_delta(delta: Array, shape: tuple[int, ...], windows: Windows) -> Array:
    require_batch(delta, "delta")
    return require_like(delta, "delta", (*shape[:2], *windows.output), delta.dtype)


def _require_positions(argmax: Any, shape: tuple[int, ...]) -> Array:
    if not isinstance(argmax, np.ndarray) or argmax.dtype != _POSITIONS:
        found = getattr(argmax, "dtype", type(argmax).__name__)
        raise DtypeError(f"argmax is of type {found}: give the int32 array that max_pooling returns")
    if argmax.shape != shape:
        raise ParameterError(f"argmax has shape {argmax.shape}: give {shape}")
    return argmax


def _steps(windows: Windows) -> Array:
    """How far each tap of a window is from its first, of windows that can lie on the image whole."""
    (high, wide), (down, right) = windows.size, windows.dilation
    if (high - 1) * down >= windows.shape[0] or (wide - 1) * right >= windows.shape[1]:
        return np.empty(0, np.int64)
    return (np.arange(high)[:, None] * (down * windows.shape[1]) + np.arange(wide) * right).ravel()


def _window_sums(x: Array, windows: Windows) -> Array:
    padded = windows.pad(x)
    (rows, columns), (down, right), (tall, apart) = windows.output, windows.stride, windows.dilation
    row_sums = padded[..., : (rows - 1) * down + 1 : down, :].copy()
    for u in range(tall, windows.size[0] * tall, tall):  # separable: U + V additions a window, not U * V
        row_sums += padded[..., u : u + (rows - 1) * down + 1 : down, :]
    sums = row_sums[..., : (columns - 1) * right + 1 : right].copy()
    for v in range(apart, windows.size[1] * apart, apart):
        sums += row_sums[..., v : v + (columns - 1) * right + 1 : right]
    return sums


def _spread_evenly(shares: Array, shape: tuple[int, ...], windows: Windows) -> Array:
    padded = np.zeros((*shape[:2], *windows.padded), shares.dtype)
    for u in range(windows.size[0]):
        for v in range(windows.size[1]):
            windows.tap(padded, u, v)[...] += shares
    return np.ascontiguousarray(padded[..., windows.interior[0], windows.interior[1]])


def _areas(windows: Windows, count_padding: bool) -> Array:
    """Divisor of each window, shape `windows.output`."""
    around = windows.asked if require_flag(count_padding, "count_padding") else ((0, 0), (0, 0))
    rows, columns = (_taps(windows, axis, *around[axis]) for axis in (0, 1))
    return np.outer(rows, columns)


def _taps(windows: Windows, axis: int, before: int, after: int) -> Array:
    """How many taps of each window along an axis lie on the image and so many pixels around it."""
    apart, top = windows.dilation[axis], windows.padding[axis][0]
    first = np.arange(windows.output[axis]) * windows.stride[axis] - top
    low = np.maximum(0, -((first + before) // apart))
    high = np.minimum(windows.size[axis], -((first - windows.shape[axis] - after) // apart))
    return np.asarray(np.maximum(0, high - low))
