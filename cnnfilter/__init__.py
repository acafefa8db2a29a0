"""Exact, fast image filtering on NumPy arrays.

Everything here is loaded at its first use, so that `import cnnfilter` costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnfilter._version import __version__

if TYPE_CHECKING:
    from cnnfilter.core.correlate import convolve, correlate, explain
    from cnnfilter.core.plan import Plan
    from cnnfilter.errors import CnnFilterError
    from cnnfilter.filters.gaussian import gaussian
    from cnnfilter.filters.gradient import gradient
    from cnnfilter.filters.mean import mean
    from cnnfilter.filters.pool import max_pool, mean_pool
    from cnnfilter.filters.second_derivative import second_derivative
    from cnnfilter.filters.unsharp import unsharp
    from cnnfilter.kernels import templates
    from cnnfilter.kernels.kernel import Kernel
    from cnnfilter.seeing.arithmetic import arithmetic

__all__ = [
    "CnnFilterError",
    "Kernel",
    "Plan",
    "__version__",
    "arithmetic",
    "convolve",
    "correlate",
    "explain",
    "gaussian",
    "gradient",
    "max_pool",
    "mean",
    "mean_pool",
    "second_derivative",
    "templates",
    "unsharp",
]

_HOMES = {
    "CnnFilterError": "cnnfilter.errors",
    "Kernel": "cnnfilter.kernels.kernel",
    "Plan": "cnnfilter.core.plan",
    "arithmetic": "cnnfilter.seeing.arithmetic",
    "convolve": "cnnfilter.core.correlate",
    "correlate": "cnnfilter.core.correlate",
    "explain": "cnnfilter.core.correlate",
    "gaussian": "cnnfilter.filters.gaussian",
    "gradient": "cnnfilter.filters.gradient",
    "max_pool": "cnnfilter.filters.pool",
    "mean": "cnnfilter.filters.mean",
    "mean_pool": "cnnfilter.filters.pool",
    "second_derivative": "cnnfilter.filters.second_derivative",
    "templates": "cnnfilter.kernels",
    "unsharp": "cnnfilter.filters.unsharp",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'cnnfilter' has no attribute {name!r}")
    if name == "templates":
        return import_module("cnnfilter.kernels.templates")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
