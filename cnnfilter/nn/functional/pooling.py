"""Pooling forward and backward: maximum, mean, and the trainable pooling of equation 38."""

from collections.abc import Callable

import numpy as np

from cnnfilter.core.geometry import Number, Padding
from cnnfilter.core.jit.compiled import Loop, function
from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.threads import run_strips
from cnnfilter.errors import ParameterError
from cnnfilter.nn.blas import layer_threads
from cnnfilter.nn.functional.windows import Array, Windows, require_batch

_LOOPS = "cnnfilter.nn.functional.poolloops"
_MAXIMUM = "void({0}*, " + ", ".join(["i64"] * 8) + ", {0}*, i32*, i64, i64)"
_SPREAD = "void({0}*, i32*, i64*, " + ", ".join(["i64"] * 7) + ", {0}*, i64, i64)"

# Pixels that are worth a thread.
_LEAST = 400_000


def max_pooling(
    x: Array, size: Number, *, stride: Number | None = None, padding: Padding = 0, ceil: bool = False
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
        Counts as minus infinity; less than `size`, so that every window holds a pixel.
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
    y, argmax = _maxima(x, _windows(require_batch(x), size, stride, padding, ceil), True)
    return y, argmax


def maxima(
    x: Array, size: Number, *, stride: Number | None = None, padding: Padding = 0, ceil: bool = False
) -> Array:
    """`max_pooling` without the positions."""
    return _maxima(x, _windows(require_batch(x), size, stride, padding, ceil), False)[0]


def _maxima(x: Array, windows: Windows, places: bool) -> tuple[Array, Array]:
    x = np.ascontiguousarray(x)
    planes, (rows, columns), (top, left) = (
        x.shape[0] * x.shape[1],
        windows.output,
        (side[0] for side in windows.padding),
    )
    best = aligned_empty((*x.shape[:2], *windows.output), x.dtype)
    argmax = np.empty(best.shape if places else (0,), np.int32)
    run = _loop("maximum", (windows.stride[1], places), _MAXIMUM, x.dtype.char)

    def some(first: int, last: int) -> None:
        run(
            x.ctypes.data + first * windows.shape[0] * windows.shape[1] * x.itemsize, last - first,
            *windows.shape, *windows.size, windows.stride[0], top, left,
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
    ceil: bool = False,
) -> Array:
    """Route each gradient to the stored maximum (equation 47); overlapping windows accumulate."""
    windows = _windows(require_batch(delta, "delta"), size, stride, padding, ceil, input_shape)
    _require_shape(delta, input_shape, windows)
    out = aligned_empty(input_shape, delta.dtype)
    delta, argmax = np.ascontiguousarray(delta), np.ascontiguousarray(argmax, np.int32)
    steps = (np.arange(windows.size[0])[:, None] * windows.shape[1] + np.arange(windows.size[1])).ravel()
    planes, (top, left) = input_shape[0] * input_shape[1], (side[0] for side in windows.padding)
    run, (rows, columns) = _loop("spread", (), _SPREAD, delta.dtype.char), windows.output
    pixels, size = windows.shape[0] * windows.shape[1], delta.itemsize

    def some(first: int, last: int) -> None:
        at = first * rows * columns
        run(
            delta.ctypes.data + at * size, argmax.ctypes.data + at * argmax.itemsize, steps.ctypes.data,
            last - first, *windows.shape, *windows.stride, top, left,
            out.ctypes.data + first * pixels * size, rows, columns,
        )  # fmt: skip

    run_strips(some, planes, layer_threads(), max(1, _LEAST * planes // (out.size + 1)))
    return out


def mean_pooling(
    x: Array,
    size: Number,
    *,
    stride: Number | None = None,
    padding: Padding = 0,
    ceil: bool = False,
    count_padding: bool = True,
) -> Array:
    """Average each window: equation 37.

    Parameters
    ----------
    x, size, stride, padding, ceil
        As in `max_pooling`; the padding counts as zero.
    count_padding : bool, default True
        Divide by the window's area within the padded plane (columns that only rounding up adds never
        count); with False, by the number of pixels of `x` in it.

    Returns
    -------
    ndarray of shape (N, D, H', W')

    Examples
    --------
    >>> mean_pooling(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    windows = _windows(require_batch(x), size, stride, padding, ceil)
    areas = _areas(windows, count_padding).astype(x.dtype)
    return np.asarray(_window_sums(x, windows) / areas)


def mean_pooling_backward(
    delta: Array,
    input_shape: tuple[int, ...],
    size: Number,
    *,
    stride: Number | None = None,
    padding: Padding = 0,
    ceil: bool = False,
    count_padding: bool = True,
) -> Array:
    """Share each gradient among its window (equation 48); overlapping windows accumulate."""
    windows = _windows(require_batch(delta, "delta"), size, stride, padding, ceil, input_shape)
    _require_shape(delta, input_shape, windows)
    shares = delta / _areas(windows, count_padding).astype(delta.dtype)
    return _spread_evenly(shares, input_shape, windows)


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
    windows = _windows(require_batch(x), size, stride, 0, False)
    for name, values in (("weights", weights), ("bias", bias)):
        if values.shape != (x.shape[1],) or values.dtype != x.dtype:
            raise ParameterError(
                f"{name} is {values.dtype} {values.shape}: give {x.dtype} of shape ({x.shape[1]},)"
            )
    return np.asarray(_window_sums(x, windows) * weights[:, None, None] + bias[:, None, None])


def trainable_pooling_backward(
    x: Array, weights: Array, delta: Array, size: Number, *, stride: Number | None = None
) -> tuple[Array, Array, Array]:
    """Gradients of `trainable_pooling` with respect to input, weights and bias."""
    windows = _windows(require_batch(x), size, stride, 0, False)
    _require_shape(require_batch(delta, "delta"), x.shape, windows)
    return (
        _spread_evenly(delta * weights[:, None, None], x.shape, windows),
        np.einsum("ndij,ndij->d", delta, _window_sums(x, windows)),
        delta.sum(axis=(0, 2, 3)),
    )


def _loop(factory: str, constants: tuple[int | bool, ...], signature: str, char: str) -> Callable[..., None]:
    return function(Loop(_LOOPS, factory, constants, signature.format({"f": "f32", "d": "f64"}[char])))


def _windows(
    x: Array,
    size: Number,
    stride: Number | None,
    padding: Padding,
    ceil: bool,
    shape: tuple[int, ...] | None = None,
) -> Windows:
    windows = Windows.of(shape or x.shape, size, size if stride is None else stride, padding, 1, ceil)
    if any(side >= k for k, sides in zip(windows.size, windows.asked, strict=True) for side in sides):
        raise ParameterError(f"padding {padding!r} must be less than the window, {windows.size}")
    return windows


def _require_shape(delta: Array, input_shape: tuple[int, ...], windows: Windows) -> None:
    shape = (*input_shape[:2], *windows.output)
    if delta.shape != shape:
        raise ParameterError(f"delta has shape {delta.shape}: give {shape}")


def _window_sums(x: Array, windows: Windows) -> Array:
    padded = windows.pad(x)
    (rows, columns), (down, right) = windows.output, windows.stride
    row_sums = padded[..., : (rows - 1) * down + 1 : down, :].copy()
    for u in range(1, windows.size[0]):  # separable: U + V additions a window, not U * V
        row_sums += padded[..., u : u + (rows - 1) * down + 1 : down, :]
    sums = row_sums[..., : (columns - 1) * right + 1 : right].copy()
    for v in range(1, windows.size[1]):
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
    lengths = []
    for axis in range(2):
        before = windows.padding[axis][0]
        first = np.arange(windows.output[axis]) * windows.stride[axis] - before
        low, high = (-before, windows.asked[axis][1]) if count_padding else (0, 0)
        last = np.minimum(first + windows.size[axis], windows.shape[axis] + high)
        lengths.append(last - np.maximum(first, low))
    return np.outer(lengths[0], lengths[1])
