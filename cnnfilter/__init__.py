"""Exact, fast image filtering on NumPy arrays.

Everything here is loaded at its first use, so that `import cnnfilter` costs almost nothing.

Filters, of arrays (H, W), (H, W, C) or (N,), those of dask too
    mean, gaussian            smooth with a window or a Gaussian
    second_derivative         edges and lines
    gradient                  slopes: their magnitude, direction, or part along an axis
    unsharp                   sharpen
    max_pool, mean_pool       the largest value or the mean of each window
    correlate, convolve       any kernel, as it is written or turned by 180 degrees

Kernels
    Kernel                    weights and a divisor; `load`, `save`, `parse`, `rank`, `factors`
    templates                 ready ones: `gaussian`, `mean`, `second_derivative`, `named`, `names`

Files
    read, write               image files, to a `Picture` and back: frames and all that describes them
    Picture                   `frames`, `model`, `alpha`, `form`, `delays`, `loop`, `metadata`, `notes`
    filter_files              many files through filters, as the command line does it

Larger than memory
    lazy                      filters from file to file, block by block: `lazy.run`; of xarray: `lazy.xarray`

Learning and networks
    learn                     the kernel that makes one picture of another
    learning                  stacks of layers as well, and how good a result is
    nn                        layers, losses, optimisers and networks

To look into
    explain                   which method computes a filter, its cost, and why: a `Plan`
    arithmetic                the window, weights, products and sum behind one value

Memory
    release_memory            give back what is kept for the next results

Errors
    CnnFilterError            what all errors are, each a ValueError, TypeError or OSError as well
"""

from __future__ import annotations

from cnnfilter._lazy import loaded_at_first_use
from cnnfilter._version import __version__

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from cnnfilter import lazy, learning, nn
    from cnnfilter._batches import filter_files
    from cnnfilter.core.linear import convolve, correlate, explain
    from cnnfilter.core.memory import release_memory
    from cnnfilter.core.plan import Plan
    from cnnfilter.errors import CnnFilterError
    from cnnfilter.files.picture import Picture
    from cnnfilter.files.reading import read
    from cnnfilter.files.writing import write
    from cnnfilter.filters.gaussian import gaussian
    from cnnfilter.filters.gradient import gradient
    from cnnfilter.filters.mean import mean
    from cnnfilter.filters.pool import max_pool, mean_pool
    from cnnfilter.filters.second_derivative import second_derivative
    from cnnfilter.filters.unsharp import unsharp
    from cnnfilter.kernels import templates
    from cnnfilter.kernels.kernel import Kernel
    from cnnfilter.learning.linear import learn_kernel as learn
    from cnnfilter.seeing.arithmetic import arithmetic

__all__ = [
    "CnnFilterError",
    "Kernel",
    "Picture",
    "Plan",
    "__version__",
    "arithmetic",
    "convolve",
    "correlate",
    "explain",
    "filter_files",
    "gaussian",
    "gradient",
    "lazy",
    "learn",
    "learning",
    "max_pool",
    "mean",
    "mean_pool",
    "nn",
    "read",
    "release_memory",
    "second_derivative",
    "templates",
    "unsharp",
    "write",
]

_HOMES = {
    "CnnFilterError": "errors",
    "Kernel": "kernels.kernel",
    "Picture": "files",
    "Plan": "core.plan",
    "arithmetic": "seeing.arithmetic",
    "convolve": "core.linear",
    "correlate": "core.linear",
    "explain": "core.linear",
    "filter_files": "_batches",
    "gaussian": "filters.gaussian",
    "gradient": "filters.gradient",
    "lazy": "lazy:",
    "learn": "learning.linear:learn_kernel",
    "learning": "learning:",
    "max_pool": "filters.pool",
    "mean": "filters.mean",
    "mean_pool": "filters.pool",
    "nn": "nn:",
    "read": "files",
    "release_memory": "core.memory",
    "second_derivative": "filters.second_derivative",
    "templates": "kernels.templates:",
    "unsharp": "filters.unsharp",
    "write": "files",
}

__getattr__ = loaded_at_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
