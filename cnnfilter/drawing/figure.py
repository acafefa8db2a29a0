"""Figures that belong to no window, and how they become files."""

import os
from typing import Any

from cnnfilter.errors import CnnFilterError

DPI = 100


SUFFIXES = (".png", ".svg", ".pdf")
"""Of files that hold drawings."""


def require_matplotlib() -> None:
    """Raise CnnFilterError if nothing can be drawn; commands ask before the work."""
    new_figure(1, 1)


def new_figure(width: float, height: float, **options: Any) -> Any:
    """Return a figure of so many inches that belongs to no window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CnnFilterError("drawing needs matplotlib: pip install 'cnnfilter[plot]'") from error
    return Figure(figsize=(width, height), dpi=DPI, **options)


def save_figure(figure: Any, path: str) -> None:
    """Write a figure whole or not at all; the suffix tells the form."""
    from matplotlib import rc_context

    from cnnfilter.wholefile import whole_file

    form = os.path.splitext(path)[1][1:].lower()
    # Without a date and with names of its parts that are not drawn by lot, equal pictures are equal files.
    told = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    with whole_file(path) as file, rc_context({"svg.hashsalt": "cnnfilter"}):
        figure.savefig(file, format=form, metadata=told)
