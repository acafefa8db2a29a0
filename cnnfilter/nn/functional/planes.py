"""Correlation over planes whose rows lie end to end: the driver of `loops.correlate`, and its threads.

Nothing is added up across threads: each output is one sum over its taps in their order, so results are the
same to the last bit for every number of threads.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.jit.compiled import Loop, function
from cnnfilter.core.threads import run_strips
from cnnfilter.nn.blas import layer_threads
from cnnfilter.nn.functional.plans import LANES, Part, Planes
from cnnfilter.nn.functional.windows import Array

_LOOPS = "cnnfilter.nn.functional.loops.convolution"
_REALS = {"f": "f32", "d": "f64"}
_LAY = "void({0}*, {0}*, " + ", ".join(["i64"] * 12) + ")"
_CORRELATE = (
    "void({0}*, i64, i64, i64, i64*, i64, {0}*, i64, i64, i64, i64*, {0}*, i64, {0}, {0}*, "
    + ", ".join(["i64"] * 8)
    + ", {0}*, i64)"
)
_WEIGHTS = "void({0}*, i64, i64, {0}*, i64, i64, i64, i64, i64, i64, i64*, i64, i64, {0}*, i64, i64, {0}*)"

# Rows of sums that are made before they are written out: of so many pixels, so that they and what they are
# made of stay in the second cache. With fewer rows than a kernel has, pieces of one row stay there instead.
_LEAST_PIXELS, _PIXELS, _CHUNK_BYTES, _ROWS = 256, 2048, 512 << 10, 3

# Maps of a tile.
_MAPS = 8

# Multiplications, and pixels to copy, that are worth a thread: LeNet-5, which has fewer, trains in a quarter
# less time on one thread than on two.
LEAST, _COPIED = 10_000_000, 50_000

# Planes that are laid out at a time; what a tile of `loops.weights_gradient` holds at most, and the pixels
# after which it goes on to the next maps and taps.
_LAID_BYTES = 512 << 10
_BLOCK, _TAPS, _DELTA_PIXELS = 4, 6, 1024


class _Scratch(threading.local):
    """Memory of each thread, kept: touching fresh pages costs as much as what is done there."""

    def __init__(self) -> None:
        self.pieces: dict[str, Array] = {}


_SCRATCH = _Scratch()
_KEPT_BYTES = 4 << 20


def scratch(name: str, elements: int, dtype: np.dtype[Any]) -> Array:
    """Return memory that is valid until the next call with this name in this thread."""
    size = elements * dtype.itemsize
    if size > _KEPT_BYTES:
        return np.empty(elements, dtype)
    kept = _SCRATCH.pieces.get(name)
    if kept is None or kept.size < size:
        kept = _SCRATCH.pieces[name] = np.empty(size, np.uint8)
    return kept[:size].view(dtype)


class Bank(NamedTuple):
    """Weights as they lie: contiguous, those of map p of group g from ``p * step + g * jump`` on."""

    weights: Array
    step: int
    jump: int
    groups: int


def correlate(
    x: Array, planes: Planes, parts: Iterable[Part], bank: Bank, out: Array, bias: Array | None = None,
    floor: float = -np.inf,
) -> None:  # fmt: skip
    """Write ``out[n, p] = max(bias[p] + sum of taps, floor)``.

    Parameters
    ----------
    x : ndarray of shape (N, channels, *planes.image)
        Contiguous.
    planes, parts
        Of a plan.
    bank : Bank
    out : ndarray of shape (N, maps, ...)
        Contiguous.
    """
    parts = tuple(parts)
    batch, maps = out.shape[:2]
    if not (batch and maps and parts):
        return
    if any(not part.offsets.size for part in parts):  # no window ever reads these pixels, or any channel
        out[...] = 0 if bias is None else np.maximum(bias, floor)[:, None, None]
        parts = tuple(part for part in parts if part.offsets.size)
    work = sum(part.rows * part.columns * part.offsets.size for part in parts) * maps
    threads = min(layer_threads(), max(1, batch * work // LEAST))
    task = _Task(x, planes, bank, out, bias, floor)
    if batch >= threads:

        def some(first: int, last: int) -> None:
            for n, m, laid in laid_out(x, planes, first, last, 1):
                task.run(n, m, laid, parts, 0, maps)

        run_strips(some, batch, threads, 1)
        return
    for n in range(batch):
        [(_, _, laid)] = laid_out(x, planes, n, n + 1, threads)
        task.divided(n, laid, parts, threads)


def laid_out(
    x: Array, planes: Planes, first: int, last: int, threads: int, *, beyond: bool = False,
    at_once: bool = False,
) -> Iterator[tuple[int, int, Array]]:  # fmt: skip
    """Yield samples n to m of `x` as planes, `planes.size` apart: so many as fit the cache, or all.

    They are read where they stand if that is possible. With `beyond` a register may be read beyond the last
    pixel, so that the very last samples are copied all the same: one, or more if they are smaller than that.
    """
    if planes.is_the_image and not at_once:
        ends = -(-(planes.room - planes.size) // max(1, planes.size))
        if beyond and last - first > ends:
            yield first, last - ends, x[first : last - ends]
            first = last - ends
        elif not beyond and (planes.pitch >= LANES or LANES <= planes.plane <= _LEAST_PIXELS):
            yield first, last, x[first:last]
            return
    loop, name = _lay(x.dtype.char), "deltas" if at_once else "planes"
    many = last - first if at_once else max(1, _LAID_BYTES // (planes.size * x.itemsize + 1))
    spare = planes.room - planes.size + at_once * _BLOCK * planes.plane
    for n in range(first, last, many):
        m = min(n + many, last)
        size = (m - n) * planes.size
        memory, source = scratch(name, size + spare, x.dtype), x[n:m]
        memory[size:] = 0

        def some(low: int, high: int, source: Array = source, memory: Array = memory) -> None:
            loop(
                source.ctypes.data, memory.ctypes.data, low, high, *planes.image, *planes.before,
                *planes.stride, *planes.phases, planes.rows, planes.pitch,
            )  # fmt: skip

        channels = (m - n) * planes.channels
        run_strips(some, channels, threads, max(1, _COPIED * channels // (size + 1)))
        yield n, m, memory


@dataclass(frozen=True)
class _Task:
    """What all strips of one call share."""

    x: Array
    planes: Planes
    bank: Bank
    out: Array
    bias: Array | None
    floor: float

    def divided(self, n: int, laid: Array, parts: tuple[Part, ...], threads: int) -> None:
        """Make sample n with several threads: each some maps, or some parts, or some rows of each."""
        maps = self.out.shape[1]

        def some_maps(first: int, last: int) -> None:
            self.run(n, n + 1, laid, parts, first * _MAPS, min(last * _MAPS, maps))

        def some_parts(first: int, last: int) -> None:
            self.run(n, n + 1, laid, parts[first:last], 0, maps)

        def some_rows(part: Part, first: int, last: int) -> None:
            self.run(n, n + 1, laid, [part], 0, maps, (first, last))

        if maps // self.bank.groups >= _MAPS * threads or self.planes.pitch < LANES:
            run_strips(some_maps, -(-maps // _MAPS), threads, 1)
        elif len(parts) >= threads:
            run_strips(some_parts, len(parts), threads, 1)
        else:
            for part in parts:
                run_strips(partial(some_rows, part), part.rows, threads, 1)

    def run(
        self, n: int, m: int, laid: Array, parts: Iterable[Part], first: int, last: int,
        strip: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """Make maps `first` to `last` of samples n to m, of each part the rows of `strip`, default all."""
        planes, out, size = self.planes, self.out[n:m], self.out.itemsize
        weights, step, jump, groups = self.bank
        maps, channels = out.shape[1] // groups, planes.channels // groups
        per_channel = planes.phases[0] * planes.phases[1] * planes.plane
        most = _CHUNK_BYTES // (size * max(1, channels))
        bias = self.bias if self.bias is not None else weights
        loop = _correlate(out.dtype.char)
        for part in parts:
            top, bottom = strip or (0, part.rows)
            chunk, wide = _chunk(bottom - top, part.columns, planes.pitch, most)
            span = (chunk - 1) * planes.pitch + wide + LANES
            sums = scratch("sums", _MAPS * span, out.dtype)
            for g in range(first // maps, -(-last // maps)):
                begin = g * channels * per_channel + part.begin + top * planes.pitch
                at = part.at + top * part.row
                for left in range(0, part.columns, wide):
                    loop(
                        laid.ctypes.data, begin + left, planes.size, m - n, part.offsets.ctypes.data,
                        part.offsets.size, weights.ctypes.data + g * jump * size, max(first, g * maps),
                        min(last, (g + 1) * maps), step, part.places.ctypes.data, bias.ctypes.data,
                        self.bias is not None, self.floor,
                        out.ctypes.data + (at + left * part.column) * size, out[0].size, out[0, 0].size,
                        part.row, part.column, planes.pitch, bottom - top,
                        min(wide, part.columns - left), chunk, sums.ctypes.data, span,
                    )  # fmt: skip


def _chunk(rows: int, columns: int, pitch: int, most: int) -> tuple[int, int]:
    """Return rows and columns of sums to make at a time, if `most` pixels of all channels stay in the cache.

    Of wide images a piece of a row, for the rows that it is made of are as long.
    """
    chunk = max(_LEAST_PIXELS, min(_PIXELS, most)) // pitch
    if chunk >= _ROWS or columns <= _LEAST_PIXELS:
        return -(-rows // -(-rows // max(1, chunk))), columns
    wide = max(_LEAST_PIXELS, min(_PIXELS, most // _ROWS))
    return 1, -(-columns // -(-columns // wide))


def gradient_of_weights(x: Array, delta: Array, planes: Planes, part: Part, groups: int) -> Array:
    """Return the gradient (P, K) of `correlate`'s weights for the one part of a forward plan.

    Threads divide maps or taps, so that each gradient is one sum over samples and pixels in their order.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
    delta : ndarray of shape (N, P, H', W')
        Both contiguous.
    planes, part
        Of the forward plan.
    """
    batch, maps = delta.shape[:2]
    taps = part.offsets.size
    gradient = np.zeros((maps, taps), x.dtype)
    if not (gradient.size and batch):
        return gradient
    loop = _weights_gradient(x.dtype.char)
    length = -(-((part.rows - 1) * planes.pitch + part.columns) // LANES) * LANES
    rows = -(-length // planes.pitch)
    deltas = Planes(maps, (part.rows, part.columns), (0, 0), (1, 1), (1, 1), rows, planes.pitch)
    offsets = np.concatenate([part.offsets, np.repeat(part.offsets[-1:], _TAPS)])
    threads = min(layer_threads(), max(1, batch * maps * taps * length // LEAST))
    per_map = maps >= _BLOCK * threads
    per_group = planes.channels // groups * planes.phases[0] * planes.phases[1] * planes.plane
    for n, m, laid in laid_out(x, planes, 0, batch, threads, beyond=True):
        [(_, _, spread)] = laid_out(delta, deltas, n, m, threads, at_once=True)

        def some(
            first: int, last: int, many: int = m - n, laid: Array = laid, spread: Array = spread
        ) -> None:
            begin, end = (first * _BLOCK, min(last * _BLOCK, maps)) if per_map else (0, maps)
            tap, last_tap = (0, taps) if per_map else (first * _TAPS, min(last * _TAPS, taps))
            sums, of_group = scratch("sums", _BLOCK * _TAPS + LANES, x.dtype), maps // groups
            for g in range(begin // of_group, -(-end // of_group)):
                loop(
                    laid.ctypes.data, g * per_group, planes.size, spread.ctypes.data, deltas.size,
                    deltas.plane, many, length, max(begin, g * of_group), min(end, (g + 1) * of_group),
                    offsets.ctypes.data, tap, last_tap, gradient.ctypes.data, taps, _DELTA_PIXELS,
                    sums.ctypes.data,
                )  # fmt: skip

        run_strips(some, -(-maps // _BLOCK) if per_map else -(-taps // _TAPS), threads, 1)
    return gradient


@lru_cache(4)
def _lay(char: str) -> Callable[..., None]:
    return function(Loop(_LOOPS, "lay", (), _LAY.format(_REALS[char])))


@lru_cache(4)
def _correlate(char: str) -> Callable[..., None]:
    return function(Loop(_LOOPS, "correlate", (_REALS[char],), _CORRELATE.format(_REALS[char])))


@lru_cache(4)
def _weights_gradient(char: str) -> Callable[..., None]:
    return function(Loop(_LOOPS, "weights_gradient", (_REALS[char],), _WEIGHTS.format(_REALS[char])))
