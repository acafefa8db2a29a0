"""Moved to `cnnfilter.kernels.kernel`; the old name goes after 0.2."""

from cnnfilter._moved import forwarded

__getattr__ = forwarded("cnnfilter.core.kernel", "cnnfilter.kernels.kernel")
