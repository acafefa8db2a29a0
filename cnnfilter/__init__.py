"""Exact, fast image filtering on NumPy arrays."""

from cnnfilter._version import __version__

__all__ = ["__version__"]
