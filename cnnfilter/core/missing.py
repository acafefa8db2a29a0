"""Missing values: which pixels of an image are not there, and how a result says so."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core.arguments import delivered, require_output, stored
from cnnfilter.errors import DtypeError, ParameterError, shown
from cnnfilter.masked import is_masked

Array: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]


class Missing(NamedTuple):
    """The missing pixels of one image.

    Attributes
    ----------
    where : bool array of the image's shape
        True where a pixel is missing.
    value : float or int, optional
        What a missing result holds; None for a masked array.
    """

    where: Mask
    value: float | None

    def require_held(self, dtype: np.dtype[Any], what: str) -> None:
        """Raise `ParameterError` if results of a type cannot hold the value."""
        if self.value is not None and not is_held(self.value, dtype):
            raise ParameterError(
                f"missing {self.value!r} is not a value of {dtype}, the type of the {what}; "
                f"{_REMEDIES[math.isnan(self.value)]}"
            )

    def marked(self, result: Array, where: Mask) -> Array:
        """Return the result with the value, or a mask, where results are missing."""
        if self.value is not None:
            # A number that a float type holds rounded, -9999 as -1e4 in float16, is found again as such.
            result[where] = np.asarray(self.value).astype(result.dtype)
            return result
        result[where] = np.nan if result.dtype.kind == "f" else 0
        return np.ma.MaskedArray(result, mask=where.copy())


def completed_from(values: Array, missed: Missing | None, dtype: np.dtype[Any], out: Array | None) -> Array:
    """Give back what was made of filtered images, in the type and with the missing values asked for.

    Parameters
    ----------
    values : array or masked array of floats
        Masked where a result is missing.
    missed : Missing, optional
        What the image was found to lack.
    dtype : dtype
        Of the result; integers are rounded half to even, and saturate.
    out : array, optional
        Where to put it.
    """
    require_output(out, values.shape, dtype, masked=missed is not None and missed.value is None)
    if missed is None:
        return delivered(stored(values, dtype), out)
    missed.require_held(dtype, "result")
    gone = np.ma.getmaskarray(values)
    return delivered(missed.marked(stored(np.asarray(values), dtype), gone), out)


_REMEDIES = {
    False: "name a value of that type, ask for another dtype, or give a boolean array",
    True: "only floats have a NaN: name another value, ask for a float dtype, or give a boolean array",
}


def find_missing(pixels: Array, missing: Any) -> Missing | None:
    """Find the missing pixels of an image.

    Parameters
    ----------
    pixels : array or masked array
        Of a type that `as_pixels` gives.
    missing : None, "nan", number or bool array
        None: the mask of a masked array, else nothing is missing. A number names the pixels that equal it in
        the image's type. An array is True where a pixel is missing; its shape is that of the image, or its
        rows and columns. What a mask hides is missing in any case.

    Returns
    -------
    Missing or None
        None if no pixel can be missing.

    Raises
    ------
    ParameterError
        A number that the image's type does not have, such as NaN for integers; a mask of another shape.
    DtypeError
        Anything else.

    Examples
    --------
    >>> find_missing(np.array([1, -9999], np.int16), -9999)
    Missing(where=array([False,  True]), value=-9999)
    """
    masked = is_masked(pixels)
    mask = np.ma.getmaskarray(pixels) if masked else None
    if missing is None:
        return None if mask is None else Missing(mask, None)
    found = _named(np.asarray(pixels), missing)
    if mask is None:
        return found
    return Missing(found.where | mask, None)


def parse_missing(text: str) -> float | str | None:
    """Read what a command line calls missing: ``none``, ``nan`` or a number.

    Examples
    --------
    >>> parse_missing("none"), parse_missing("nan"), parse_missing("-9999"), parse_missing("-3.4e38")
    (None, 'nan', -9999, -3.4e+38)
    """
    word = text.strip().lower()
    if word in ("none", "nan"):
        return None if word == "none" else "nan"
    for number in (int, float):
        with suppress(ValueError, OverflowError):
            value = number(word)
            return value if math.isfinite(value) else float(value)
    raise ParameterError(f"missing {shown(text)} is not a number; use none, nan or a number such as -9999")


def _named(pixels: Array, missing: Any) -> Missing:
    if isinstance(missing, str):
        if missing != "nan":
            raise ParameterError(f'missing {shown(missing)} is unknown; use "nan", a number or booleans')
        missing = math.nan
    given = _asarray(missing)
    if given.ndim and given.dtype == np.bool_:
        if given.shape not in (pixels.shape, pixels.shape[:2]):
            raise ParameterError(
                f"missing has the shape {given.shape}, but the image {pixels.shape}; give a boolean for each "
                "pixel"
            )
        extra = (1,) * (pixels.ndim - given.ndim)
        return Missing(np.broadcast_to(given.reshape(given.shape + extra), pixels.shape), None)
    if given.ndim or given.dtype.kind not in "iuf":
        raise DtypeError(f'missing {shown(missing)} is not usable; give "nan", a number or a boolean array')
    value = given.item()
    found = Missing(np.zeros(0, bool), value)
    found.require_held(pixels.dtype, "image")
    if math.isnan(value):
        return found._replace(where=np.isnan(pixels))
    return found._replace(where=pixels == np.asarray(value).astype(pixels.dtype))


def _asarray(missing: Any) -> Array:
    try:
        return np.asarray(missing)
    except ValueError as error:
        raise DtypeError(f"missing {shown(missing)} is not an array of booleans of one shape") from error


def is_held(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether a type has a value; a number that a float type holds rounded counts as held.

    Examples
    --------
    >>> [is_held(-9999, np.dtype(name)) for name in ("int16", "uint8", "float32")]
    [True, False, True]
    """
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.asarray(value).astype(dtype))) == math.isfinite(value)
    if not math.isfinite(value) or value != int(value):
        return False
    limits = np.iinfo(np.uint8) if dtype == np.bool_ else np.iinfo(dtype)
    return limits.min <= value <= (1 if dtype == np.bool_ else limits.max)
