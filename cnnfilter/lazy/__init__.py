"""Images larger than memory: filters on files that are never in memory as a whole.

Everything here is loaded at its first use.

    run                       filters from file to file, within a bound of memory
    xarray                    the filters, for arrays with labels: `xarray.gaussian`, ...
    Source, Sink              what else can be read and written in parts: objects with `read`, with `write`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnfilter._lazy import loaded_at_first_use

if TYPE_CHECKING:
    from cnnfilter.lazy import dataarrays as xarray
    from cnnfilter.lazy.engine import Sink, Source
    from cnnfilter.lazy.running import run

__all__ = ["Sink", "Source", "run", "xarray"]

_HOMES = {"Sink": "engine", "Source": "engine", "run": "running", "xarray": "dataarrays:"}

__getattr__ = loaded_at_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
