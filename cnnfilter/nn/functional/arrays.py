"""What every function of layers asks of its arrays and numbers before a loop is told where they lie."""

from typing import Any

import numpy as np

from cnnfilter.core.geometry import number_pair
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.masked import is_masked

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def require_floats(x: Array, name: str = "x") -> Array:
    """Return `x` if it is a float32 or float64 array in the byte order of this machine, else raise."""
    if not isinstance(x, np.ndarray) or x.dtype not in _FLOATS:
        found = getattr(x, "dtype", type(x).__name__)
        raise DtypeError(f"{name} is of type {found}: give a float32 or float64 array")
    if is_masked(x):
        raise DtypeError(f"{name} is a masked array: layers know no missing values, give {name}.filled(...)")
    return x


def require_batch(x: Array, name: str = "x") -> Array:
    """Return `x` if it is a float32 or float64 batch of shape (N, D, H, W), else raise."""
    if require_floats(x, name).ndim != 4:
        raise ParameterError(f"{name} has shape {x.shape}: give a batch (N, D, H, W)")
    return x


def require_like(values: Array, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return `values` if they are an array of this shape and dtype, else raise."""
    require_floats(values, name)
    if values.dtype != dtype or values.shape != shape:
        error = ParameterError if values.dtype == dtype else DtypeError
        raise error(f"{name} is {values.dtype} {values.shape}: give {dtype} of shape {shape}")
    return values


def require_both(y: Array, delta: Array) -> None:
    """Refuse a gradient that has not the shape and dtype of the output."""
    require_like(delta, "delta", require_floats(y, "y").shape, y.dtype)


def require_count(value: object, name: str, least: int = 1) -> int:
    """Return an integer of at least `least`, else raise."""
    if isinstance(value, tuple | list):
        raise DtypeError(f"{name} is {value!r}: give one integer of at least {least}")
    return number_pair(name, value, least)[0]


def require_flag(value: object, name: str) -> bool:
    """Return True or False, else raise: the text "no" would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise DtypeError(f"{name} is {value!r}: give True or False")
    return bool(value)


def require_shape(shape: object, name: str = "input_shape") -> tuple[int, int, int, int]:
    """Return the shape of a batch, else raise."""
    if not isinstance(shape, tuple | list):
        raise DtypeError(f"{name} is {shape!r}: give (N, D, H, W)")
    if len(shape) != 4:
        raise ParameterError(f"{name} is {shape!r}: give (N, D, H, W)")
    batch, depth, height, width = (require_count(side, name, 0) for side in shape)
    return batch, depth, height, width


def in_order(x: Array) -> Array:
    """Return `x` if its elements lie one after the other at addresses of their size, else such a copy."""
    return x if x.flags.c_contiguous and x.flags.aligned else np.array(x, order="C")
