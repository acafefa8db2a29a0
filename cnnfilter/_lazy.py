"""Names of a package that are imported at their first use, so that importing the package costs nothing."""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def loaded_at_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping of str to str
        Of each name the module in the package that defines it: ``module``, ``module:attribute`` where it
        has another name there, or ``module:`` where the module itself is meant.
    """

    def __getattr__(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, colon, attribute = homes[name].partition(":")
        found = import_module(f"{package}.{module}")
        if attribute or not colon:
            found = getattr(found, attribute or name)
        setattr(sys.modules[package], name, found)
        return found

    return __getattr__
