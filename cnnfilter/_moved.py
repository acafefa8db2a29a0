"""Modules that have moved: their old names go on working for one version, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def forwarded(old: str, new: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module whose content has moved from `old` to `new`."""

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        value = getattr(import_module(new), name)
        message = f"{old} is now {new}; the old name goes after 0.2"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return value

    return __getattr__
