"""Dense kernels as sums of a few (column, row) products; windows that are not finite are summed directly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core.methods import direct, separable
from cnnfilter.core.methods.work import Array, Prepared, Task
from cnnfilter.core.threads import Workers


def prepare(task: Task, terms: separable.Terms, weights: NDArray[np.float64]) -> Prepared:
    """Make ready to correlate with `weights`, the sum of `outer(column, row)` over the terms.

    A term has weights of its own signs: what is infinite in the sum of all may be infinite minus infinite in
    the sum of terms. Such results, and they alone, are computed again by the direct method, so that a value
    depends on its window and on nothing else. The result is of floats, or the image of whole numbers.
    """
    if not task.source.startswith("f"):
        return separable.prepare(task, terms, snapping=False)
    return _Correlation(task, terms, weights)


class _Correlation:
    def __init__(self, task: Task, terms: separable.Terms, weights: NDArray[np.float64]) -> None:
        self.terms = separable.prepare(task, terms, snapping=False)
        self.direct = direct.prepare(task, weights, snapping=False)
        self.nbytes = self.terms.nbytes + self.direct.nbytes

    def run(self, image: Array, out: Array, workers: int | Workers) -> None:
        self.terms.run(image, out, workers)
        wrong = ~np.isfinite(out)
        if not wrong.any():
            return
        rows, columns = (np.flatnonzero(wrong.any(axis=axes)) for axes in ((1, 2), (0, 2)))
        again = np.empty_like(out)
        left, right = int(columns[0]), int(columns[-1]) + 1
        for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
            self.direct.run_part(image, again, (int(run[0]), int(run[-1]) + 1), (left, right))
        np.copyto(out, again, where=wrong)
