"""Correlation of wide images row by row: the driver of `loops.rows`, and its threads.

Each result is the sum that `planes` makes, to the last bit; only the memory is another one.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from cnnfilter.core.jit.compiled import Loop, function
from cnnfilter.core.threads import run_strips
from cnnfilter.nn.blas import layer_threads
from cnnfilter.nn.functional.planes import LEAST, scratch
from cnnfilter.nn.functional.plans import LANES
from cnnfilter.nn.functional.windows import Array, Windows

_LOOPS = "cnnfilter.nn.functional.loops.rows"
_CORRELATE = (
    "void({0}*, " + ", ".join(["i64"] * 5) + ", {0}*, " + ", ".join(["i64"] * 4) + ", i64*, i64*, {0}*, {0}, "
    "{0}*, " + ", ".join(["i64"] * 7) + ", {0}*, {0}*)"
)

# Bytes of a row of results from which on rows lie on pages of their own, and how many rows under a window are
# worth a copy.
_WIDE, _PAGES = 2 << 10, 64

# Pixels of a row that are taken at a time, of so many bytes with all rows and channels.
_PIXELS, _CACHED = 96, 192 << 10


def is_faster(windows: Windows, weights: Array, groups: int) -> bool:
    """Tell whether a correlation is made faster this way."""
    dense = groups == 1 and windows.stride == (1, 1)
    wide = windows.output[1] * weights.itemsize >= _WIDE
    return dense and wide and weights.shape[1] * windows.size[0] >= _PAGES


def correlate(
    x: Array, weights: Array, windows: Windows, out: Array, bias: Array | None = None, floor: float = -np.inf
) -> None:
    """Write ``out[n, p] = max(bias[p] + sum over d of weights[p, d] (x) x[n, d], floor)``, of one group.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
        Contiguous.
    weights : ndarray of shape (P, D, U, V)
        Contiguous.
    windows : Windows
        Of stride 1.
    out : ndarray of shape (N, P, H', W')
        Contiguous.
    """
    batch, maps, rows, columns = out.shape
    channels, height, width = x.shape[1:]
    tall, across = (d * (k - 1) + 1 for d, k in zip(windows.dilation, windows.size, strict=True))
    taps = channels * windows.size[0] * windows.size[1]
    wide = min(columns, max(_PIXELS, _CACHED // (x.itemsize * channels * tall) // _PIXELS * _PIXELS))
    span = wide + across - 1
    row_apart = channels * span
    d, u, v = np.ogrid[:channels, : windows.size[0], : windows.size[1]]
    oldest = np.arange(tall)[:, None, None, None]
    down, right = u * windows.dilation[0], v * windows.dilation[1]
    offsets = (oldest + down) % tall * row_apart + d * span + right
    places = np.arange(taps)
    if bias is None:
        bias = np.zeros(maps, x.dtype)
    (top, _), (left, _) = windows.padding
    threads = min(layer_threads(), max(1, out.size * taps // LEAST))
    loop = _loop(x.dtype.char)

    def some(first: int, last: int) -> None:
        lines = scratch("lines", tall * row_apart + 3 * LANES, x.dtype)
        sums = scratch("sums", 8 * wide + 3 * LANES, x.dtype)
        loop(
            x.ctypes.data, channels, height, width, top, left, weights.ctypes.data, maps, taps, tall, across,
            places.ctypes.data, offsets.ctypes.data, bias.ctypes.data, floor, out.ctypes.data, rows, columns,
            first, last, wide, span, row_apart, lines.ctypes.data, sums.ctypes.data,
        )  # fmt: skip

    run_strips(some, batch * rows, threads, 1)


@lru_cache(4)
def _loop(char: str) -> Callable[..., None]:
    real = {"f": "f32", "d": "f64"}[char]
    return function(Loop(_LOOPS, "correlate", (real,), _CORRELATE.format(real)))
