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
from typing import Any

import numpy as np

from cnnfilter.core.threads import count, run_strips

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]

# Multiplications that are worth a thread: 0.1 ms where the weights come from memory, as with one image.
_LEAST = 400_000

_PREFIXES = ("scipy_openblas_", "openblas_")
_SUFFIXES = ("64_", "", "_64")

_lock = threading.Lock()
_depth = 0
_before = 1
_held = 0


@contextmanager
def single_threaded() -> Iterator[bool]:
    """Hold BLAS and the layers to one thread each within the block; yield whether that is certain.

    For callers that run several layers beside each other in threads of their own.

    Examples
    --------
    >>> with single_threaded() as certain:
    ...     workers = 2 if certain else 1
    """
    global _held
    with _lock:
        _held += 1
    try:
        with blas_alone() as certain:
            yield certain
    finally:
        with _lock:
            _held -= 1


def layer_threads() -> int:
    """How many threads a layer may use now: `core.threads.count`, or 1 within `single_threaded`."""
    return 1 if _held else count()


@contextmanager
def blas_alone() -> Iterator[bool]:
    """Hold BLAS to one thread within the block, not the layers, which call it from theirs."""
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


def product(a: Array, b: Array) -> Array:
    """Return ``a @ b`` of two matrices, the columns of the result divided among the layers' threads."""
    out = np.empty((a.shape[0], b.shape[1]), np.result_type(a, b))
    threads = layer_threads() if out.size * b.shape[0] > _LEAST else 1

    def some(first: int, last: int) -> None:
        np.matmul(a, b[:, first:last], out=out[:, first:last])

    with blas_alone():
        run_strips(some, b.shape[1], threads, 16)
    return out


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
