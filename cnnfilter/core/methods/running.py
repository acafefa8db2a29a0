"""Means over rectangles, by running sums of whole numbers or by sums of sums of floats."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.jit import compiled
from cnnfilter.core.jit.processor import register_bytes
from cnnfilter.core.loops.running import REGISTERS, reciprocal
from cnnfilter.core.memory import Scratch
from cnnfilter.core.methods.work import (
    LINE_BYTES,
    SLACK,
    Array,
    Prepared,
    Task,
    address,
    row_stride,
)
from cnnfilter.core.threads import Workers

CHUNK = 16
"""Rows of floats that enter at a time."""

MOST_COLUMNS = 1024
"""Most elements of a row at a time."""

LEAST_ROWS = 16
"""Fewest rows for a thread: those above the first are summed up by each anew."""


def prepare(task: Task) -> Prepared:
    """Make ready to average over the kernel's rectangle; stride and dilation are 1."""
    return _Boxes(task) if task.source.startswith("f") else _Averages(task)


def sums_types(source: str, target: str, height: int, width: int) -> tuple[str, str]:
    """Name the types of the sums of whole numbers down a column and across a row; all of them are exact.

    Across, the sums of 8-bit pixels are kept in 16 bits where `reciprocal` divides them, else in float32 up
    to 2**24.
    """
    if source == "u8" and 255 * height < 1 << 16:
        if target == "u8" and reciprocal(height * width):
            return "u16", "u16"
        return "u16", "f32" if 255 * height * width <= 1 << 24 and target != "f64" else "f64"
    return "i32", "f64"


_NUMPY: dict[str, np.dtype[Any]] = {
    "u16": np.dtype(np.uint16),
    "i32": np.dtype(np.int32),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}


class _Averages:
    """Whole numbers: sums that run down the columns, exact whatever has passed through them."""

    def __init__(self, task: Task) -> None:
        self.task = task
        rows, columns = task.geometry.rows, task.geometry.columns
        height, width = rows.kernel, columns.kernel
        sums, across = sums_types(task.source, task.target, height, width)
        self.across = _NUMPY[across]
        area = height * width
        division = (reciprocal(area) if across == "u16" else None) or (area, 1 / area, 0)
        source, target = task.source, task.target
        self.loop = compiled.function(
            compiled.Loop(
                "running",
                "strip",
                (source, target, sums, across),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, i64, {sums}, i64, i64, i64, i64, "
                f"{across}, {across}, {across}, "
                f"{sums}*, {across}*, {across}*, {target}*, {target}*, i64, i64, i64, i64)",
            )
        )
        # A block at least; then no more than there is, so that nothing is written behind a row.
        block = REGISTERS * register_bytes() // self.across.itemsize
        self.span = max(min(_tile_elements(task.channels), columns.output * task.channels), block)
        constant = int(task.constant) if _NUMPY[sums].kind in "iu" else task.constant
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, columns.padded,
            task.channels, constant, height, width, 1 if width < 8 else math.isqrt(width), self.span,
            *division,
        )  # fmt: skip
        parts = self.span + width * task.channels + 2 * SLACK
        self.scratch = Scratch(
            (columns.padded * task.channels + self.span + 2 * SLACK, _NUMPY[sums]),
            (parts, self.across),
            (parts, self.across),
            (SLACK, task.target_type),
        )
        self.nbytes = task.row_map.nbytes + task.column_map.nbytes

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        geometry, channels = self.task.geometry, self.task.channels
        start, stride, to, to_stride = address(image), row_stride(image), address(out), row_stride(out)

        def strip(first: int, last: int) -> None:
            _held, lines = self.scratch.places()
            self.loop(
                start, stride, *self.before, *lines, to, to_stride, first, last,
                geometry.columns.output * channels,
            )  # fmt: skip

        least = max(LEAST_ROWS, geometry.rows.reach // 2)
        threads.run_strips(strip, geometry.rows.output, workers, least)


class _Boxes:
    """Floats: every output is the sum of its own window, so that nothing is carried along."""

    def __init__(self, task: Task) -> None:
        self.task = task
        rows, columns, channels = task.geometry.rows, task.geometry.columns, task.channels
        height, width = rows.kernel, columns.kernel
        down, along = addition_chain(height), addition_chain(width)
        self.down = _table((a, b, down[b]) for a, b, _ in _sums_of(down))
        self.along = _table((a, b, along[a] * channels, size) for a, b, size in _sums_of(along))
        depths = _depths(down, height - 1 - height // 2)
        halo = (width - 1) * channels
        lines = sum(depths) + len(along) - 1
        elements = LINE_BYTES // (lines * task.real_type.itemsize) - halo
        elements = max(min(elements, MOST_COLUMNS), 128, halo)
        self.span = min(-(-elements // channels), columns.output)
        # An odd number of cache lines, so that a column of lines does not fall into one cache set.
        block = REGISTERS * register_bytes() // task.real_type.itemsize
        self.line = ((self.span * channels + halo + block) // 16 | 1) * 16
        starts = np.cumsum([0, *depths]) * self.line
        self.rings = np.array(list(zip(starts[:-1], depths, strict=True)), np.int64)
        tolerance = (additions(height) + additions(width) + 4) * float(np.finfo(task.real_type).eps)
        scale = 0.5 ** (height * width).bit_length()
        source, target, real = task.source, task.target, task.real
        self.loop = compiled.function(
            compiled.Loop(
                "boxes",
                "strip",
                (source, target, real),
                f"void({source}*, i64, i64*, i64*, i64, i64, i64, {real}, i64, i64, i64*, i64, i64*, i64, "
                f"i64*, i64, i64, i64, {real}, {real}, {real}, i64, i64, {real}*, i64, i64*, {target}*, "
                f"{target}*, i64, i64, i64, i64)",
            )
        )
        self.before = (
            address(task.row_map), address(task.column_map), columns.before, columns.length, channels,
            task.constant, height, width, address(self.down), len(down) - 1, address(self.along),
            len(along) - 1, address(self.rings), int(starts[-1]), height // 2, width // 2,
            scale, 1 / (height * width * scale), tolerance, self.span, CHUNK,
        )  # fmt: skip
        self.scratch = Scratch(
            (lines * self.line + SLACK, task.real_type),
            (3 * CHUNK * len(down), np.dtype(np.int64)),
            (SLACK, task.target_type),
        )
        self.nbytes = task.row_map.nbytes + task.column_map.nbytes + 1000

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        geometry = self.task.geometry
        start, stride, to, to_stride = address(image), row_stride(image), address(out), row_stride(out)

        def strip(first: int, last: int) -> None:
            _held, (lines, table, spare) = self.scratch.places()
            self.loop(
                start, stride, *self.before, lines, self.line, table, spare, to, to_stride, first, last,
                geometry.columns.output,
            )  # fmt: skip

        threads.run_strips(strip, geometry.rows.output, workers, max(LEAST_ROWS, geometry.rows.kernel))


FACTORED = 256
"""Largest number whose chain comes from its factors; those of larger ones are doubled at last."""


def addition_chain(number: int) -> tuple[int, ...]:
    """Return how to reach a number by few additions: lengths, each the sum of two before it, from 1 on.

    Examples
    --------
    >>> addition_chain(15), addition_chain(601)[-3:]
    ((1, 2, 3, 6, 12, 15), (300, 600, 601))
    """
    doubled = []
    while number > FACTORED:
        doubled.append(number)
        number = number - 1 if number % 2 else number // 2
    return (*_factored()[number], *reversed(doubled))


def additions(number: int) -> int:
    """Return how many additions a sum of so many rows or pixels takes.

    Examples
    --------
    >>> additions(31)
    7
    """
    return len(addition_chain(number)) - 1


@cache
def _factored() -> list[tuple[int, ...]]:
    """Return the chains of 0 (which has none) to `FACTORED`.

    The shortest of the factor method (Knuth, The Art of Computer Programming 2, 4.6.3): a chain of the
    number before and 1, or of a factor, and then of that times the chain of the other.
    """
    chains: list[tuple[int, ...]] = [(), (1,)]
    for number in range(2, FACTORED + 1):
        found = [(*chains[number - 1], number)]
        for factor in range(2, math.isqrt(number) + 1):
            if number % factor == 0:
                for first in (factor, number // factor):
                    multiples = (first * length for length in chains[number // first][1:])
                    found.append((*chains[first], *multiples))
        chains.append(min(found, key=len))
    return chains


def _sums_of(chain: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Return for each length of a chain but 1 which two before it are added, the longer first, and itself."""
    places = {length: place for place, length in enumerate(chain)}
    sums = []
    for place, length in enumerate(chain[1:], 1):
        longer = next(a for a in reversed(chain[:place]) if length - a in places and 2 * a >= length)
        sums.append((places[longer], places[length - longer], length))
    return sums


def _table(steps: Iterable[tuple[int, ...]]) -> NDArray[np.int64]:
    """Write the steps down; where there are none one that is never taken."""
    rows = list(steps)
    return np.array(rows or [(0, 0, 0, 1)], np.int64)


def _depths(chain: tuple[int, ...], middle: int) -> list[int]:
    """Return how many rows of each sum of a chain are held, of the rows themselves `middle` more at least.

    A sum of rows is added to one that is complete as many rows later as that is long. Of what comes first and
    last the rows of a chunk are held together.
    """
    lags = [middle, *[0] * (len(chain) - 1)]
    for longer, shorter, _ in _sums_of(chain):
        lags[longer] = max(lags[longer], chain[shorter])
    depths = [lag + 1 for lag in lags]
    depths[0] += CHUNK
    depths[-1] = max(depths[-1], CHUNK)
    return depths


def _tile_elements(channels: int) -> int:
    """Return how many elements of a row are finished at a time: whole pixels and whole cache lines.

    A few lines of this length fit the first cache together.
    """
    least = math.lcm(channels, 64)
    return max(1024 // least, 1) * least
