"""Filters on arrays: each builds a kernel and hands it, with a geometry, to the core."""

from cnnfilter.filters.derivative import second_derivative
from cnnfilter.filters.pooling import max_pool, mean_pool
from cnnfilter.filters.smoothing import gaussian, mean

__all__ = ["gaussian", "max_pool", "mean", "mean_pool", "second_derivative"]
