"""Exact, fast image filtering on NumPy arrays.

Everything here is loaded at its first use, so that `import cnnfilter` costs almost nothing.

Filters, of arrays (H, W), (H, W, C) or (N,)
    mean, gaussian            smooth with a window or a Gaussian
    second_derivative         edges and lines
    gradient                  slopes: their magnitude, direction, or part along an axis
    unsharp                   sharpen
    max_pool, mean_pool       the largest value or the mean of each window
    correlate, convolve       any kernel, as it is written or turned by 180 degrees

Kernels
    Kernel                    weights and a divisor; `load`, `save`, `parse`, `rank`, `factors`
    templates                 ready ones: `gaussian`, `mean`, `second_derivative`, `named`, `names`

Plans
    explain                   which method computes a filter, its cost, and why: a `Plan`
    arithmetic                the window, weights, products and sum behind one value

Memory
    release_memory            give back what is kept for the next results

Errors
    CnnFilterError            what all errors are, each a ValueError or TypeError as well

`cnnfilter.learning` makes filters of before/after pairs, `cnnfilter.nn` has layers and networks.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnfilter._version import __version__

if TYPE_CHECKING:
    from cnnfilter.core.linear import convolve, correlate, explain
    from cnnfilter.core.memory import release_memory
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
    "release_memory",
    "second_derivative",
    "templates",
    "unsharp",
]

_HOMES = {
    "CnnFilterError": "cnnfilter.errors",
    "Kernel": "cnnfilter.kernels.kernel",
    "Plan": "cnnfilter.core.plan",
    "arithmetic": "cnnfilter.seeing.arithmetic",
    "convolve": "cnnfilter.core.linear",
    "correlate": "cnnfilter.core.linear",
    "explain": "cnnfilter.core.linear",
    "gaussian": "cnnfilter.filters.gaussian",
    "gradient": "cnnfilter.filters.gradient",
    "max_pool": "cnnfilter.filters.pool",
    "mean": "cnnfilter.filters.mean",
    "mean_pool": "cnnfilter.filters.pool",
    "release_memory": "cnnfilter.core.memory",
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
