"""One pool of threads at a time: BLAS keeps to one thread while ours run beside each other.

NumPy's wheels bring an OpenBLAS whose own threads spin and queue when several of ours call it at once: a
training step then takes ten times as long. Its number of threads can be set while it runs.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

_PREFIXES = ("scipy_openblas_", "openblas_")
_SUFFIXES = ("64_", "", "_64")

_lock = threading.Lock()
_depth = 0
_before = 1


@contextmanager
def single_threaded() -> Iterator[bool]:
    """Hold BLAS to one thread within the block; yield whether that is certain.

    Examples
    --------
    >>> with single_threaded() as certain:
    ...     workers = 2 if certain else 1
    """
    global _depth, _before
    calls = _openblas()
    if calls is None:
        yield False
        return
    get, put = calls
    with _lock:
        if _depth == 0:
            _before = get()
            put(1)
        _depth += 1
    try:
        yield True
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                put(_before)


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Find the OpenBLAS that NumPy's wheel has loaded; None where NumPy has another BLAS."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                library = ctypes.CDLL(str(path))
            except OSError:
                continue
            for name in (f"{prefix}{{}}_num_threads{suffix}" for prefix in _PREFIXES for suffix in _SUFFIXES):
                if hasattr(library, name.format("set")) and hasattr(library, name.format("get")):
                    return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None
