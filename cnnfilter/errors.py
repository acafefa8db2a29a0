"""The exceptions of cnnfilter, each also the builtin that a caller would expect, and what messages share."""

import math


class CnnFilterError(Exception):
    """Root of every error that cnnfilter raises on purpose."""


class ParameterError(CnnFilterError, ValueError):
    """A value that cannot be used; the message holds the value and what would be accepted."""


class DtypeError(CnnFilterError, TypeError):
    """A type that cannot be used; the message holds the type and what would be accepted."""


class ImageFileError(CnnFilterError, OSError):
    """An image file that cannot be read or written."""


class FilterFileError(CnnFilterError, OSError):
    """A kernel, filter or weights file that cannot be read or written."""


def shown(value: object) -> str:
    """Return a value as messages show it: on one line, and not endless.

    Examples
    --------
    >>> shown("mirror"), shown(10**100)
    ("'mirror'", '100000000000000000000000000000000000000000000000000000000...')
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def real_number(name: str, value: object) -> float:
    """Return a number as a float, infinite if it is too large for one; text is no number.

    Raises
    ------
    DtypeError
        Anything else.

    Examples
    --------
    >>> real_number("amount", 2)
    2.0
    >>> real_number("amount", "2")
    Traceback (most recent call last):
    cnnfilter.errors.DtypeError: amount '2' is not a number
    """
    try:
        return math.fsum((value,))  # type: ignore[arg-type]  # unlike float(), this takes no text
    except OverflowError:
        return math.inf
    except (TypeError, ValueError) as error:
        raise DtypeError(f"{name} {shown(value)} is not a number") from error
