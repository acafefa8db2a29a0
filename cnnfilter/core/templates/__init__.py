"""Moved to `cnnfilter.kernels.templates`; the old name goes after 0.2."""

from cnnfilter._moved import forwarded

__getattr__ = forwarded("cnnfilter.core.templates", "cnnfilter.kernels.templates")
