"""Masked arrays, told from others without the import of `numpy.ma`, which takes 10 ms of every command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    import numpy as np


def is_masked(values: object) -> TypeGuard[np.ma.MaskedArray[Any, Any]]:
    """Tell whether something is a masked array: there is none before somebody imports `numpy.ma`.

    Examples
    --------
    >>> import numpy as np
    >>> is_masked(np.zeros(3)), is_masked(np.ma.zeros(3))
    (False, True)
    """
    kind = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    return kind is not None and isinstance(values, kind)
