"""All filters, for those who look them up by name: a line for each, and nothing of them is imported for it.

To add a filter, write its file (see `cnnfilter.filters.filter`), and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnfilter.filters.filter import Filter

FILTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mean": ("filters.mean:Mean", "Average over a window."),
        "gaussian": ("filters.gaussian:Gaussian", "Smooth with a Gaussian."),
        "second-derivative": ("filters.second_derivative:SecondDerivative", "Find edges and lines."),
        "gradient": ("filters.gradient:Gradient", "Show how steeply brightness changes."),
        "unsharp": ("filters.unsharp:Unsharp", "Sharpen with an unsharp mask."),
        "convolve": ("filters.correlation:Convolve", "Convolve with a kernel (turned by 180 degrees)."),
        "correlate": ("filters.correlation:Correlate", "Correlate with a kernel (as it is written)."),
        "learned": ("learning.application:Learned", "Apply a filter that was learned."),
        "pool": ("filters.pool:Pool", "Take the maximum or mean of each window."),
    }
)
"""Of each filter its ``module:class`` in this package, and the line that lists it."""


def filter_named(name: str) -> type[Filter]:
    """Import a filter.

    Examples
    --------
    >>> filter_named("mean")(size=5)
    Mean(size=5)
    """
    module, attribute = FILTERS[name][0].split(":")
    found: type[Filter] = getattr(import_module(f"cnnfilter.{module}"), attribute)
    return found
