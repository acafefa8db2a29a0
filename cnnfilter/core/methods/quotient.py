"""Means of whole numbers where no sums run: the exact sum of each window, divided once."""

from __future__ import annotations

import numpy as np

from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.methods import separable
from cnnfilter.core.methods.work import Array, Prepared, Task
from cnnfilter.core.threads import Workers


def prepare(task: Task) -> Prepared:
    """Make ready to average whole numbers over the kernel's rectangle into whole numbers, at any stride.

    The quotient of an exact sum is rounded half to even, which that of rounded weights is not in a tie.
    """
    return _Quotient(task)


class _Quotient:
    def __init__(self, task: Task) -> None:
        rows, columns = task.geometry.rows.kernel, task.geometry.columns.kernel
        self.area = rows * columns
        ones = [(np.ones(rows), np.ones(columns))]
        self.sums = separable.prepare(task._replace(target="f64", real="f64"), ones, snapping=False)
        self.nbytes = self.sums.nbytes

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        totals = aligned_empty(out.shape, np.dtype(np.float64))
        self.sums.run(image, totals, workers)
        totals /= self.area
        limits = np.iinfo(out.dtype)
        out[...] = np.clip(np.rint(totals, out=totals), limits.min, limits.max, out=totals)
