"""What is needed to do a run again, for ``--json``."""

import hashlib
from collections.abc import Iterable
from typing import Any

from cnnfilter._version import __version__
from cnnfilter.batch.process import Process
from cnnfilter.filters.filter import Filter
from cnnfilter.kernels.kernel import Kernel

SCHEMA = 1
"""Rises when a field changes its meaning or goes; new ones may come at any time."""


def record_of(process: Process) -> dict[str, Any]:
    """Return the version, the filters with all that they were given, and what was asked for the pixels.

    Examples
    --------
    >>> from cnnfilter.filters.mean import Mean
    >>> record_of(Process((Mean(size=5),), depth="16"))["filters"]
    [{'filter': 'mean', 'size': 5}]
    """
    asked = {name: getattr(process, name) for name in ("value_range", "linear", "depth", "missing", "fill")}
    return {
        "schema": SCHEMA,
        "version": __version__,
        "filters": list(_filters(process.steps)),
        "asked": {name: value for name, value in asked.items() if value not in (None, False)},
    }


def _filters(steps: Iterable[Filter]) -> Iterable[dict[str, Any]]:
    for step in steps:
        yield {"filter": step.name} | {name: _plain(value) for name, value in step.arguments.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Kernel):
        return {"name": value.name, "shape": value.shape, "sha256": _hash(value)}
    return value if isinstance(value, str | int | float | tuple | None) else repr(value)


def _hash(kernel: Kernel) -> str:
    """Return the SHA-256 of the weights times the divisor's inverse, as float64 in rows, little-endian."""
    return hashlib.sha256(kernel.array.astype("<f8").tobytes()).hexdigest()
