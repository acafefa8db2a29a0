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
    "second_derivative",
    "sigma_pair",
    "size_pair",
]
