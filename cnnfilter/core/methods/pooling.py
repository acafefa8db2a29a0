"""Pooling of an image: windows, their largest value, their mean or their sum."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from cnnfilter.core import threads
from cnnfilter.core.geometry import Geometry
from cnnfilter.core.jit import compiled
from cnnfilter.core.keeping import kept
from cnnfilter.core.memory import Scratch, aligned_empty
from cnnfilter.core.methods.work import FORMS, Array, address, row_stride

Kind = Literal["maximum", "average", "sum"]

USUAL = ((2, 1), (0, 1), (0, 3), (0, 4))
"""Steps along a row (0 for any) and channels for which there is a loop of its own.

Measured on 4096 x 4096 8-bit pixels, largest and mean of 2 x 2: 1.3 and 2.7 ms; with the loop for one channel
and any step 2.3 and 4.1 ms, with the one for any channels 16 and 35 ms.
"""

LINE = 1024
"""Elements of a row that are pooled together, so that what is between is in the nearest cache."""

LEAST_WORK = 200_000
"""Pixels that are worth a thread."""


@kept
def prepare(
    kind: Kind, geometry: Geometry, channels: int, source: np.dtype[Any], target: np.dtype[Any]
) -> Pooling:
    """Make ready to pool images of one shape.

    `target` is the image's type for the largest, float64 for the sum, the image's or a float for the mean.
    """
    return Pooling(kind, geometry, channels, source, target)


class Pooling:
    """Windows made ready; images of their shape may come."""

    def __init__(
        self, kind: Kind, geometry: Geometry, channels: int, source: np.dtype[Any], target: np.dtype[Any]
    ) -> None:
        rows, columns = geometry.rows, geometry.columns
        area = rows.kernel * columns.kernel
        self.loop, line_type = _loop(kind, source, target, area, columns.stride, channels)
        self.target, self.shape = target, (rows.output, columns.output, channels)
        together = max(1, LINE // (columns.stride * channels))
        length = ((together - 1) * columns.stride + columns.kernel) * channels
        self.before = (
            rows.length, columns.length, channels, rows.kernel, columns.kernel, rows.stride, columns.stride,
            rows.before, columns.before, *columns.interior, together,
        )  # fmt: skip
        self.scratch = Scratch((length, line_type), (length, line_type))

    def run(self, image: Array, workers: int) -> Array:
        """Pool an (H, W, C) image."""
        out = aligned_empty(self.shape, self.target)
        start, stride, to = address(image), row_stride(image), address(out)

        def strip(first: int, last: int) -> None:
            _held, lines = self.scratch.places()
            self.loop(start, stride, *self.before, *lines, to, first, last, self.shape[1])

        useful = max(1, min(workers, image.size // LEAST_WORK))
        threads.run_strips(strip, self.shape[0], useful, 16)
        return out


@lru_cache(maxsize=256)
def _loop(
    kind: Kind, source: np.dtype[Any], target: np.dtype[Any], area: int, step: int, channels: int
) -> tuple[Callable[..., None], np.dtype[Any]]:
    """Return the loop, and the type of the lines that it works in."""
    form, out_form = FORMS[source.name], FORMS[target.name]
    line = source if kind == "maximum" else _sums(source, area)
    line_form = {**FORMS, "int32": "i32"}[line.name]
    # Sums of fewer than 256 pixels are exact in float32, and so is the rounding of their quotient: it is
    # 1 / (2 area) or more away from a tie, which is more than half the distance between two floats there.
    real = "f64" if target == np.float64 or source.kind == "f" or area > 255 else "f32"
    shape = next((usual for usual in USUAL if usual[0] in (step, 0) and usual[1] == channels), (0, 0))
    loop = compiled.Loop(
        "pooling",
        "windows",
        (kind, form, line_form, real, out_form, *shape),
        f"void({form}*, {', '.join(['i64'] * 13)}, {line_form}*, {line_form}*, {out_form}*, i64, i64, i64)",
    )
    return compiled.function(loop), line


def _sums(source: np.dtype[Any], area: int) -> np.dtype[Any]:
    """Return the narrowest type that holds the sum of a window of `area` pixels."""
    if source == np.uint8 and area * 255 < 2**16:
        return np.dtype(np.uint16)
    return np.dtype(np.float64 if source.kind == "f" or area * 2**16 > 2**31 else np.int32)
