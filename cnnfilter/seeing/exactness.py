"""Results of typed numbers: where all sums are exact, each is rounded once, as with pencil and paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.core.linear import correlate
from cnnfilter.filters.filter import Filter, KernelFilter
from cnnfilter.seeing.slides import geometry_given

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.kernels.kernel import Kernel

FRACTION = 1024.0
"""Numbers that are whole when they are multiplied by it count as exact: so are halves and quarters."""

LARGEST = 2.0**33
"""Sums up to it are exact, in whatever order they are made."""


def exactly(steps: Sequence[Filter], given: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Return what filters make of a matrix, rounded once: the exact sum over the divisor.

    The core multiplies by the weights over the divisor, which are rounded, and so nine times 5 have a mean of
    4.999999999999999; that keeps the bound for floats, but a person who checks it with a pencil expects 5.

    Parameters
    ----------
    steps : sequence of Filter
    given : float64 array of shape (N,) or (H, W)
    values : array
        What the filters make of it: returned as it is unless all are kernels of whole weights, and the
        numbers are whole, or halves, quarters and so on down to 1/1024.

    Examples
    --------
    >>> from cnnfilter.filters.mean import Mean
    >>> exactly([Mean(size=3)], np.full((3, 3), 0.5), np.full((3, 3), 0.5 - 2**-53)).tolist()[0]
    [0.5, 0.5, 0.5]
    """
    if values.dtype != np.float64 or not _is_whole(given * FRACTION):
        return values
    sums, divisor = given.astype(np.float64), np.ones(())
    largest = float(np.abs(sums).max())
    for step in steps:
        kernel = _kernel(step, signal=given.ndim == 1)
        if kernel is None or divisor.ndim:
            return values
        # Sums have not been divided yet, and so stands the constant beside them.
        geometry = geometry_given(step)
        constant = geometry["constant"] = geometry.get("constant", 0.0) * float(divisor)
        if not _is_whole(np.float64(constant * FRACTION)):
            return values
        whole = float(kernel.weights.sum())
        largest = max(largest, abs(constant)) * float(np.abs(kernel.weights).sum())
        divisor = divisor * kernel.divisor
        if geometry["boundary"] == "renormalize":
            geometry["boundary"] = "zero"
            inside = correlate(np.ones_like(sums), kernel.weights, **geometry)
            largest *= abs(whole)
            sums, divisor = sums * whole, divisor * np.rint(inside)
        if not largest <= LARGEST:
            return values
        sums = correlate(sums, kernel.weights, **geometry)
    # A Fourier transform is off by less than the half of a fraction.
    exact: NDArray[Any] = np.rint(sums * FRACTION) / FRACTION / divisor
    return exact


def _kernel(step: Filter, *, signal: bool) -> Kernel | None:
    """Return the kernel of a filter that has one of whole weights."""
    if not isinstance(step, KernelFilter):
        return None
    kernel = step.line() if signal else step.kernel()
    return kernel if _is_whole(kernel.weights) else None


def _is_whole(numbers: NDArray[Any] | np.float64) -> bool:
    return bool(np.array_equal(numbers, np.rint(numbers)))
