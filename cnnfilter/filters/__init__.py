"""Filters on arrays: each builds a kernel and hands it, with a geometry, to the core.

They are loaded at their first use: a command that only wants their names does not wait for NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnfilter.filters.derivative import second_derivative
    from cnnfilter.filters.pooling import max_pool, mean_pool
    from cnnfilter.filters.smoothing import gaussian, mean

__all__ = ["gaussian", "max_pool", "mean", "mean_pool", "second_derivative"]

_HOMES = {
    "gaussian": "smoothing",
    "max_pool": "pooling",
    "mean": "smoothing",
    "mean_pool": "pooling",
    "second_derivative": "derivative",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnfilter.filters' has no attribute {name!r}")
    value = getattr(import_module(f"cnnfilter.filters.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
