"""Winograd's form of 3x3 correlations: the driver of `loops.winograd`, and its threads.

Tiles lie at even rows and columns of the result, and a result is one sum over the channels in their order
wherever its tile stands. So results are the same to the last bit for every number of threads and samples, and
for a part of a map that begins at an even row and column of it.

In float32 a result of D channels lies within ``(D + 9) 2^-24 S`` of the exact one. S is made as the result
is, of absolute values: of the matrices of `loops.winograd`, of weights, pixels and bias. Where these are all
equal it is 7.1 times the sum of the products, and the bound of a plain sum over 9 D taps is
``(9 D + 1) 2^-24`` times that. Mean errors are smaller than those of a plain sum: there are fewer roundings.
Pixels beyond a quarter of the largest float may become infinite.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.core.jit.compiled import Loop, function
from cnnfilter.core.threads import run_strips
from cnnfilter.nn.blas import layer_threads
from cnnfilter.nn.functional.planes import LEAST, scratch
from cnnfilter.nn.functional.plans import LANES
from cnnfilter.nn.functional.windows import Array

_LOOPS = "cnnfilter.nn.functional.loops.winograd"
_KERNELS = "void(f32*, i64, i64, i64, i64, i64, i64, f64*, f32*, i64)"
_CORRELATE = (
    "void(f32*, i64, i64, i64, i64, i64, i64, f32*, i64, i64*, i64*, f32*, f32, f32*, "
    + ", ".join(["i64"] * 7)
    + ", f32*, i64, f32*, i64, f32*, i64, i64)"
)

TILE = 2
"""Rows and columns of results that are made together."""

# Maps on both sides with which fewer multiplications are worth what they cost, and with which the weights,
# which become 16 for 9, still stay in the second cache.
_LEAST_MAPS, _MOST_WEIGHTS = 12, 128 * 128

# Tiles that are taken together: as many as floats of their matrices stay in the second cache, but so many at
# least that registers are full, and so many of a row at most.
_CACHED, _FEWEST, _WIDE = 64 << 10, 48, 96

# Between two matrices: were they a power of 2 apart, all 16 would share a few lines of the first cache. A
# register is written there at the end of the last row; at that of another one it is written over by the next.
_BESIDE = LANES


def is_faster(bank: tuple[int, ...]) -> bool:
    """Tell whether kernels of shape (P, D, U, V) are correlated faster this way, in one group, step by step.

    It depends on nothing else, so that a part of a map is made as the whole one is.

    Examples
    --------
    >>> is_faster((48, 48, 3, 3)), is_faster((48, 3, 3, 3)), is_faster((48, 48, 5, 5))
    (True, False, False)
    """
    maps, channels, *size = bank
    return size == [3, 3] and min(maps, channels) >= _LEAST_MAPS and maps * channels <= _MOST_WEIGHTS


def correlate(
    x: Array, weights: Array, before: Pair, out: Array, bias: Array | None = None, floor: float = -np.inf,
    turned: bool = False,
) -> None:  # fmt: skip
    """Write ``out[n, p] = max(bias[p] + sum over d of weights[p, d] (x) x[n, d], floor)``.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
        float32, contiguous.
    weights : ndarray of shape (P, D, 3, 3), or (D, P, 3, 3) if they are `turned`
        Those are rotated as well: the gradient of the input is made with them.
    before : pair of int
        Rows and columns from the first window to the first pixel.
    out : ndarray of shape (N, P, H', W')
        Contiguous.
    """
    batch, maps, rows, columns = out.shape
    channels, height, width = x.shape[1:]
    tile_rows, tile_columns = -(-rows // TILE), -(-columns // TILE)
    work = out.size * channels * 9
    threads = min(layer_threads(), max(1, work // LEAST))
    kernels, matrix = _spread(weights, turned, threads)
    tiles = max(_FEWEST, _CACHED // (16 * (maps + channels)))
    wide = min(_WIDE, tiles, tile_columns)
    high = min(tiles // wide, tile_rows)
    span, length = high * wide, TILE * wide + 4 * LANES
    spread_matrix, sums_matrix = channels * span + _BESIDE, maps * span + _BESIDE
    offsets, places = np.arange(channels) * span, np.arange(channels)
    if bias is None:
        bias = np.zeros(maps, x.dtype)
    loop = _loop("correlate", ("f32",), _CORRELATE)

    def some(first: int, last: int) -> None:
        lines = scratch("lines", 4 * length, x.dtype)
        spread = scratch("spread", 16 * spread_matrix, x.dtype)
        sums = scratch("products", 16 * sums_matrix, x.dtype)
        loop(
            x.ctypes.data, x.size, channels, height, width, *before, kernels.ctypes.data, matrix,
            offsets.ctypes.data, places.ctypes.data, bias.ctypes.data, floor, out.ctypes.data, maps, rows,
            columns, first, last, high, wide, lines.ctypes.data, length, spread.ctypes.data, spread_matrix,
            sums.ctypes.data, sums_matrix, span,
        )  # fmt: skip

    run_strips(some, batch * tile_rows, threads, 1)


def _spread(weights: Array, turned: bool, threads: int) -> tuple[Array, int]:
    """Return the 16 matrices of the kernels (maps, channels), and how far they are apart."""
    maps, channels = weights.shape[:2]
    step, jump = channels * 9, 9
    if turned:
        maps, channels, step, jump = channels, maps, jump, step
    matrix = maps * channels + _BESIDE
    out = np.empty(16 * matrix, weights.dtype)
    loop = _loop("spread_kernels", (), _KERNELS)

    def some(first: int, last: int) -> None:
        room = np.empty(28)
        loop(
            weights.ctypes.data, first, last, channels, step, jump, turned, room.ctypes.data,
            out.ctypes.data, matrix,
        )  # fmt: skip

    run_strips(some, maps, threads, 1)
    return out, matrix


@lru_cache(2)
def _loop(name: str, constants: tuple[str, ...], signature: str) -> Callable[..., None]:
    return function(Loop(_LOOPS, name, constants, signature))
