"""The exceptions of cnnfilter. Each is also the builtin that a caller would expect."""


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
