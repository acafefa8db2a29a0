"""Pooling of an image: windows, their largest value or their mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core import threads
from cnnfilter.core.geometry import Geometry
from cnnfilter.core.jit import compiled
from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.methods.work import FORMS, Array, row_stride


def run(kind: str, image: Array, geometry: Geometry, workers: int) -> NDArray[Any]:
    """Pool an (H, W, C) image; `kind` is "maximum" or "average", the result has the image's dtype."""
    rows, columns = geometry.rows, geometry.columns
    channels = image.shape[2]
    out = aligned_empty((rows.output, columns.output, channels), image.dtype)
    form = FORMS[image.dtype.name]
    line_form = form if kind == "maximum" else "f64"
    line_type = image.dtype if kind == "maximum" else np.dtype(np.float64)
    loop = compiled.function(
        compiled.Loop(
            "pooling",
            kind,
            (form,),
            f"void({form}*, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, "
            f"{line_form}*, {form}*, i64, i64, i64, i64)",
        )
    )

    def strip(first: int, last: int) -> None:
        line = np.empty(columns.length * channels, line_type)
        loop(
            image.ctypes.data, row_stride(image), rows.length, columns.length, channels,
            rows.kernel, columns.kernel, rows.stride, columns.stride, rows.before, columns.before,
            line.ctypes.data, out.ctypes.data, columns.output * channels, first, last, columns.output,
        )  # fmt: skip

    threads.run_strips(strip, rows.output, workers, 16)
    return out
