"""Correlation over planes whose rows lie end to end: the driver of `loops.correlate`, and its threads.

Nothing is added up across threads: each output is one sum over its taps in their order, so results are the
same to the last bit for every number of threads.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from cnnfilter.core.compiled import Loop, function
from cnnfilter.core.threads import run_strips
from cnnfilter.nn.blas import layer_threads
from cnnfilter.nn.functional.windows import Array, Windows

_LOOPS = "cnnfilter.nn.functional.loops"
_REALS = {"f": "f32", "d": "f64"}
_LAY = "void({0}*, {0}*, " + ", ".join(["i64"] * 12) + ")"
_CORRELATE = (
    "void({0}*, i64, i64, i64, i64*, i64, {0}*, i64, i64, i64, i64*, {0}*, i64, {0}, {0}*, "
    + ", ".join(["i64"] * 8)
    + ", {0}*, i64)"
)
_WEIGHTS = "void({0}*, i64, i64, {0}*, i64, i64, i64, i64, i64, i64, i64*, i64, i64, {0}*, i64, i64, {0}*)"

# Rows of sums that are made before they are written out: of so many pixels, so that they and what they are
# made of stay in the second cache.
_LEAST_PIXELS, _PIXELS, _CHUNK_BYTES = 256, 2048, 512 << 10

# Pixels of the widest register, which a plane must hold to be read where it stands; and maps of a tile.
_LANES, _MAPS = 16, 8

# Multiplications that are worth a thread: 0.05 ms of them, about what it takes to wake one. In that time a
# sixteenth of so many pixels can be copied.
_LEAST = 2_000_000

# Planes that are laid out at a time; what a tile of `loops.weights_gradient` holds at most, and the pixels
# after which it goes on to the next maps and taps.
_LAID_BYTES = 512 << 10
_BLOCK, _TAPS, _DELTA_PIXELS = 4, 6, 1024


@dataclass(frozen=True)
class Planes:
    """How the images of a batch are laid out.

    The zeros to the right of a row are those to the left of the next: `pitch` is less than a padded row.

    Attributes
    ----------
    channels : int
    image, before, stride : tuple of int
        Rows and columns of the image, zeros in front of it, steps.
    phases : tuple of int
        A channel becomes so many planes: all rows (columns) of one remainder by `stride` lie together.
    rows, pitch : int
        Rows of a plane, and how far apart they are.
    """

    channels: int
    image: tuple[int, int]
    before: tuple[int, int]
    stride: tuple[int, int]
    phases: tuple[int, int]
    rows: int
    pitch: int

    @property
    def plane(self) -> int:
        """Elements of a plane."""
        return self.rows * self.pitch

    @property
    def size(self) -> int:
        """Elements of a sample."""
        return self.channels * self.phases[0] * self.phases[1] * self.plane

    @property
    def is_the_image(self) -> bool:
        """Whether there is nothing to lay out."""
        return self.phases == (1, 1) and (self.rows, self.pitch) == self.image and self.before == (0, 0)

    @property
    def room(self) -> int:
        """Elements of a sample and of what is read after it: zeros to the right, and a register's rest."""
        return self.size + self.before[1] + _LANES

    def offset(self, channel: Any, row: Any, column: Any) -> Any:
        """Where a pixel of the padded image stands."""
        (down, right), (high, wide) = self.stride, self.phases
        plane = (channel * high + row % down) * wide + column % right
        return plane * self.plane + row // down * self.pitch + column // right


@dataclass(frozen=True)
class Part:
    """Outputs that are made with the same taps.

    Attributes
    ----------
    begin : int
        Where the first tap of the first output would be if its offset were 0.
    offsets, places : ndarray of int64
        Of each tap: from there to its pixel, and from the first weight of a map to its weight.
    rows, columns : int
    at, row, column : int
        Where the first output goes within its map, and how far apart rows and columns are there.
    """

    begin: int
    offsets: Array
    places: Array
    rows: int
    columns: int
    at: int
    row: int
    column: int


@lru_cache(256)
def forward_plan(windows: Windows, channels: int, groups: int) -> tuple[Planes, tuple[Part, ...]]:
    """Return planes and taps of `convolution`."""
    reach = [d * (k - 1) + 1 for d, k in zip(windows.dilation, windows.size, strict=True)]
    (down, right), (top, left) = windows.stride, (side[0] for side in windows.padding)
    read = [(n - 1) * s + r for n, s, r in zip(windows.output, windows.stride, reach, strict=True)]
    rows = windows.output[0] + (reach[0] - 1) // down
    pitch = max(min(left + windows.shape[1], read[1]), read[1] - left, windows.output[1])
    if right > 1:  # the zeros that follow the last row would be those of another remainder
        pitch = -(-read[1] // right)
    if windows.padded == windows.shape and windows.stride == (1, 1):
        rows, pitch = windows.shape  # as the image is, so that it need not be copied
    phases = min(down, reach[0]), min(right, reach[1])
    planes = Planes(channels, windows.shape, (top, left), windows.stride, phases, rows, pitch)
    d, u, v = np.ogrid[: channels // groups, : windows.size[0], : windows.size[1]]
    offsets = planes.offset(d, u * windows.dilation[0], v * windows.dilation[1]).ravel()
    places = np.arange(offsets.size)
    return planes, (Part(0, offsets, places, *windows.output, 0, windows.output[1], 1),)


@lru_cache(256)
def backward_plan(windows: Windows, maps: int, group: int, depth: int) -> tuple[Planes, tuple[Part, ...]]:
    """Return planes and taps of `convolution_input_gradient`, for `group` maps that see `depth` channels.

    Input pixels whose padded row and column leave the same remainders by the stride see the same weights,
    and what they see moves by one when they move by a stride: each remainder is a correlation of its own.
    """
    axes = list(
        zip(windows.shape, windows.size, windows.stride, windows.dilation, windows.padding, strict=True)
    )
    before = [(k - 1) * d // s for _, k, s, d, _ in axes]
    read = [(n - 1 + pad[0]) // s + 1 + b for (n, _, s, _, pad), b in zip(axes, before, strict=True)]
    most = [-(-n // s) for n, _, s, _, _ in axes]
    pitch = max(min(before[1] + windows.output[1], read[1]), read[1] - before[1], most[1])
    planes = Planes(maps, windows.output, (before[0], before[1]), (1, 1), (1, 1), read[0], pitch)
    across = [
        [_remainder(phase, *axis[:4], axis[4][0], b) for phase in range(axis[2])]
        for axis, b in zip(axes, before, strict=True)
    ]
    p = np.arange(group)[:, None, None]
    area, parts = windows.size[0] * windows.size[1], []
    for begin_row, first_row, rows, row_shifts, row_taps in across[0]:
        for begin, first, columns, shifts, taps in across[1]:
            if rows <= 0 or columns <= 0:
                continue
            offsets = planes.offset(p, row_shifts[:, None], shifts)
            places = p * (depth * area) + row_taps[:, None] * windows.size[1] + taps
            parts.append(
                Part(
                    begin_row * planes.pitch + begin,
                    offsets.ravel(),
                    places.ravel(),
                    rows,
                    columns,
                    first_row * windows.shape[1] + first,
                    windows.stride[0] * windows.shape[1],
                    windows.stride[1],
                )
            )
    return planes, tuple(parts)


def _remainder(
    phase: int, length: int, size: int, stride: int, dilation: int, padding: int, before: int
) -> tuple[int, int, int, Array, Array]:
    """Along one axis: first plane index, first input pixel, how many, shifts of the taps, and the taps."""
    start = -(-(padding - phase) // stride)  # the first pixel of the image: stride * start + phase >= padding
    first = stride * start + phase - padding
    count = -(-(length - first) // stride)
    taps = np.array([k for k in range(size) if (phase - k * dilation) % stride == 0], np.int64)
    return start, first, count, (phase - taps * dilation) // stride + before, taps


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


def correlate(
    x: Array, planes: Planes, parts: Iterable[Part], weights: Array, step: int, jump: int, groups: int,
    out: Array, bias: Array | None = None, floor: float = -np.inf,
) -> None:  # fmt: skip
    """Write ``out[n, p] = max(bias[p] + sum of taps, floor)``.

    Parameters
    ----------
    x : ndarray of shape (N, channels, *planes.image)
    planes, parts
        Of a plan.
    weights : ndarray
        Contiguous; those of map p of group g begin at ``p * step + g * jump``.
    out : ndarray of shape (N, maps, ...)
        Contiguous.
    """
    x, parts = np.ascontiguousarray(x), tuple(parts)
    batch, maps = out.shape[:2]
    if not (batch and maps and parts):
        return
    if any(not part.offsets.size for part in parts):  # no window ever reads these pixels
        out[...] = 0
        parts = tuple(part for part in parts if part.offsets.size)
    work = sum(part.rows * part.columns * part.offsets.size for part in parts) * maps
    threads = min(layer_threads(), max(1, batch * work // _LEAST))
    task = _Task(x, planes, weights, step, jump, groups, out, bias, floor)
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
    pixel, so that the very last sample is copied all the same.
    """
    if planes.is_the_image and not at_once:
        if beyond and last - first > 1:
            yield first, last - 1, x[first : last - 1]
            first = last - 1
        elif not beyond and (planes.pitch >= _LANES or _LANES <= planes.plane <= _LEAST_PIXELS):
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
        run_strips(some, channels, threads, max(1, _LEAST // 16 * channels // (size + 1)))
        yield n, m, memory


@dataclass(frozen=True)
class _Task:
    """What all strips of one call share."""

    x: Array
    planes: Planes
    weights: Array
    step: int
    jump: int
    groups: int
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

        if maps // self.groups >= _MAPS * threads or self.planes.pitch < _LANES:
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
        maps, channels = out.shape[1] // self.groups, planes.channels // self.groups
        per_channel = planes.phases[0] * planes.phases[1] * planes.plane
        chunk_pixels = max(_LEAST_PIXELS, min(_PIXELS, _CHUNK_BYTES // (size * max(1, channels))))
        bias = self.bias if self.bias is not None else self.weights
        loop = _correlate(out.dtype.char)
        for part in parts:
            top, bottom = strip or (0, part.rows)
            chunk = max(1, chunk_pixels // planes.pitch)
            chunk = -(-(bottom - top) // -(-(bottom - top) // chunk))
            span = chunk * planes.pitch + _LANES
            sums = scratch("sums", _MAPS * span, out.dtype)
            for g in range(first // maps, -(-last // maps)):
                loop(
                    laid.ctypes.data, g * channels * per_channel + part.begin + top * planes.pitch,
                    planes.size, m - n, part.offsets.ctypes.data, part.offsets.size,
                    self.weights.ctypes.data + g * self.jump * size,
                    max(first, g * maps), min(last, (g + 1) * maps), self.step, part.places.ctypes.data,
                    bias.ctypes.data, self.bias is not None, self.floor,
                    out.ctypes.data + (part.at + top * part.row) * size,
                    out[0].size, out[0, 0].size, part.row, part.column, planes.pitch, bottom - top,
                    part.columns, chunk, sums.ctypes.data, span,
                )  # fmt: skip


def gradient_of_weights(x: Array, delta: Array, planes: Planes, part: Part, groups: int) -> Array:
    """Return the gradient (P, K) of `correlate`'s weights for the one part of a forward plan.

    Threads divide maps or taps, so that each gradient is one sum over samples and pixels in their order.

    Parameters
    ----------
    x : ndarray of shape (N, D, H, W)
    delta : ndarray of shape (N, P, H', W')
    planes, part
        Of the forward plan.
    """
    batch, maps = delta.shape[:2]
    taps = part.offsets.size
    gradient = np.zeros((maps, taps), x.dtype)
    if not (gradient.size and batch):
        return gradient
    loop = _weights_gradient(x.dtype.char)
    length = -(-((part.rows - 1) * planes.pitch + part.columns) // _LANES) * _LANES
    rows = -(-length // planes.pitch)
    deltas = Planes(maps, (part.rows, part.columns), (0, 0), (1, 1), (1, 1), rows, planes.pitch)
    offsets = np.concatenate([part.offsets, np.repeat(part.offsets[-1:], _TAPS)])
    threads = min(layer_threads(), max(1, batch * maps * taps * length // _LEAST))
    per_map = maps >= _BLOCK * threads
    per_group = planes.channels // groups * planes.phases[0] * planes.phases[1] * planes.plane
    x, delta = np.ascontiguousarray(x), np.ascontiguousarray(delta)
    for n, m, laid in laid_out(x, planes, 0, batch, threads, beyond=True):
        [(_, _, spread)] = laid_out(delta, deltas, n, m, threads, at_once=True)

        def some(
            first: int, last: int, many: int = m - n, laid: Array = laid, spread: Array = spread
        ) -> None:
            begin, end = (first * _BLOCK, min(last * _BLOCK, maps)) if per_map else (0, maps)
            tap, last_tap = (0, taps) if per_map else (first * _TAPS, min(last * _TAPS, taps))
            sums, of_group = scratch("sums", _BLOCK * _TAPS + _LANES, x.dtype), maps // groups
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
