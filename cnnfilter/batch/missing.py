"""Which pixels of a file are missing: those of a value that the user names, or that the file declares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cnnfilter.core.missing import is_held
from cnnfilter.errors import ParameterError
from cnnfilter.files import Picture
from cnnfilter.pixels import Array
from cnnfilter.pixels.hidden import seen_of


class MissingPixels(NamedTuple):
    """The missing pixels of one frame.

    Attributes
    ----------
    value : float
        What stands for them.
    declared : bool
        Whether the file says so, and not the user.
    found : int
        How many values of the frame are missing, channels counted each.
    """

    value: float
    declared: bool
    found: int

    def tell(self, picture: Picture, index: int, *, others: bool) -> None:
        """Put down what was taken for missing, and whether pixels have another value that is declared so."""
        kept = picture.kept(index)
        if others:
            picture.lose(f"pixels of {kept.missing:g}, declared missing, are filtered as numbers")
        kept.missing, kept.marked = self.value, True
        if self.found:
            picture.notes.append(f"{self.found} values of {self.value:g} taken for missing")

    @property
    def mistaken(self) -> str:
        """What is said where results have the value of missing ones."""
        return f"results that came out as {self.value:g} will be taken for missing ones"

    def __str__(self) -> str:
        source = "the file declares" if self.declared else "asked for"
        return f"{self.found} values of {self.value:g}, as {source}"


def find_missing(picture: Picture, index: int, asked: float | str | None) -> MissingPixels | None:
    """Find the missing pixels of a frame.

    Parameters
    ----------
    picture : Picture
    index : int
        Of the frame.
    asked : "none", "nan", number or None
        None for what the file declares.

    Returns
    -------
    MissingPixels or None
        None where no value stands for missing pixels, or none that the frame's type has.

    Raises
    ------
    ParameterError
        A number asked for that the frame's type does not have.

    Examples
    --------
    >>> find_missing(Picture([np.array([[1.0, -9999.0]])]), 0, -9999)
    MissingPixels(value=-9999, declared=False, found=1)
    """
    value = named_missing(picture, index, asked)
    if value is None:
        return None
    seen = seen_of(value, picture.frames[index], picture.alpha)
    return MissingPixels(value, asked is None, int(np.count_nonzero(seen)))


def named_missing(picture: Picture, index: int, asked: float | str | None) -> float | None:
    """Return the value that stands for missing pixels of a frame, whether or not it has some.

    As `find_missing`, but no pixel is looked at.
    """
    if asked == "none":
        return None
    dtype = picture.frames[index].dtype
    value = picture.kept(index).missing if asked is None else float("nan") if asked == "nan" else asked
    assert not isinstance(value, str), "there are no other words"
    if value is None or is_held(value, dtype):
        return value
    if asked is None:
        return None
    raise ParameterError(f"missing {value:g} is no value of {dtype}, the type of the image")


def overruled(picture: Picture, index: int, value: float) -> float | None:
    """Return another value that the file declares missing, if there is one."""
    declared = picture.kept(index).missing
    return None if declared is None or repr(declared) == repr(float(value)) else declared


def refuse_missing(picture: Picture, name: str) -> None:
    """Refuse a picture with pixels that its file declares missing, where they would be taken as numbers.

    Raises
    ------
    ParameterError
        With the number of them, and what fills them.
    """
    for index in range(len(picture.frames)):
        missing = find_missing(picture, index, None)
        if missing and missing.found:
            raise ParameterError(
                f"{name}: no missing pixels are taken here, and there are {missing}; fill them first, as by "
                "'cnnfilter gaussian --fill'"
            )


def is_overruled(picture: Picture, index: int, value: float) -> bool:
    """Whether pixels have another value that the file declares missing."""
    declared = overruled(picture, index, value)
    return declared is not None and has_pixels_of(declared, picture.frames[index], picture.alpha)


def has_pixels_of(value: float, frame: Array, alpha: bool) -> bool:
    """Whether a value is among those of a frame; never if its type does not hold it."""
    return is_held(value, frame.dtype) and bool(seen_of(value, frame, alpha).any())
