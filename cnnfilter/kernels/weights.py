"""What may be the weights and the divisor of a kernel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cnnfilter.errors import DtypeError, ParameterError, real_number
from cnnfilter.masked import is_masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MAX_SIDE = 4097
"""Largest number of rows or columns: the default size of a Gaussian of sigma 512."""


def frozen(values: Floats) -> Floats:
    """Return a copy backed by bytes, so that nobody can switch writing on again."""
    return np.frombuffer(values.tobytes(), dtype=np.float64).reshape(values.shape)


def checked_weights(weights: ArrayLike) -> Floats:
    """Return weights as a float64 array of shape (U, V), or say what they are that they cannot be."""
    if is_masked(weights) and np.ma.getmaskarray(weights).any():
        raise ParameterError("the kernel has masked weights; give every weight a number, such as filled(0)")
    try:
        values = np.asarray(weights)
    except ValueError as error:
        raise ParameterError("the kernel's rows differ in length; every row needs as many weights") from error
    if values.dtype.kind not in "iuf" or values.dtype.itemsize > 8:
        raise DtypeError(
            f"kernel weights of type {values.dtype} are not usable; give integers or floats of up to 64 bits"
        )
    if values.ndim not in (1, 2):
        raise ParameterError(f"a kernel has 1 or 2 dimensions, not {values.ndim} (shape {values.shape})")
    values = np.atleast_2d(values)
    if values.size == 0:
        raise ParameterError(f"the kernel is empty (shape {values.shape}); it needs at least one weight")
    if max(values.shape) > MAX_SIDE:
        rows, columns = values.shape
        raise ParameterError(f"a kernel of {rows}x{columns} is too large; at most {MAX_SIDE}x{MAX_SIDE}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            u, v = np.argwhere(~np.isfinite(values))[0]
            raise ParameterError(
                f"the kernel holds {values[u, v]} at row {u + 1}, column {v + 1}; every weight must be finite"
            )
    elif int(values.max()) > 2**53 or int(values.min()) < -(2**53):
        raise ParameterError("integer weights beyond 2**53 are not exact in float64; scale them down")
    return np.ascontiguousarray(values, dtype=np.float64)


def checked_divisor(divisor: float) -> float:
    """Return a divisor as a float, or say why it is none."""
    value = real_number("divisor", divisor)
    if value == 0 or not math.isfinite(value):
        raise ParameterError(f"divisor {divisor!r} cannot be used; give a finite number other than 0")
    return value


def refuse_ragged(rows: Sequence[Sequence[object]]) -> None:
    """Refuse rows that differ in length."""
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise ParameterError(f"row {number} has {len(row)} values, and row 1 has {len(rows[0])}")
