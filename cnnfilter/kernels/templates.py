"""Ready kernels, all written for correlation: the Gaussian, the mean, derivatives, and every named one."""

from cnnfilter.kernels.formulas import mean, second_derivative
from cnnfilter.kernels.gaussian import (
    MAX_SIGMA,
    TemplateWarning,
    checked_sigma,
    default_size,
    gaussian,
    gaussian_cutoff,
    gaussian_taps,
    order_pair,
    sigma_pair,
    size_pair,
)
from cnnfilter.kernels.named import named, names

__all__ = [
    "MAX_SIGMA",
    "TemplateWarning",
    "checked_sigma",
    "default_size",
    "gaussian",
    "gaussian_cutoff",
    "gaussian_taps",
    "mean",
    "named",
    "names",
    "order_pair",
    "second_derivative",
    "sigma_pair",
    "size_pair",
]
