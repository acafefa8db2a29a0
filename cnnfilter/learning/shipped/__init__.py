"""Learned filters that come with the tool, by their names. `training/` of the repository makes them."""

from difflib import get_close_matches
from pathlib import Path

from cnnfilter.errors import ParameterError
from cnnfilter.learning.learnedfilter import LearnedFilter

_FOLDER = Path(__file__).parent
_SUFFIX = ".safetensors"


def shipped_names() -> tuple[str, ...]:
    """Return the names of the filters that come along.

    Examples
    --------
    >>> "denoise-fast" in shipped_names()
    True
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}")))


def shipped_filter(name: str) -> LearnedFilter:
    """Load one of them.

    Raises
    ------
    ParameterError
        If there is none of that name; the nearest is told.

    Examples
    --------
    >>> shipped_filter("denoise-fast")
    <LearnedFilter of 6 layers, 3 to 3 channels, added to the image>
    """
    if name not in shipped_names():
        near = get_close_matches(name.lower(), shipped_names(), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else "."
        raise ParameterError(f"no filter {name!r} comes along{meant} There are {', '.join(shipped_names())}")
    return LearnedFilter.load(_FOLDER / f"{name}{_SUFFIX}")
