"""Libraries that read a form and are installed by an extra of that name, such as ``cnnfilter[heic]``."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cnnfilter.errors import ImageFileError

LIBRARIES = {"HEIC": "pillow_heif", "EXR": "OpenEXR", "FITS": "astropy.io.fits"}
"""The module of each form; the extra is called as the form."""

# What they raise on bad bytes.
_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError,
    AttributeError, NotImplementedError,
)  # fmt: skip


def library(form: str) -> Any:
    """Import the library of a form.

    Raises
    ------
    ImageFileError
        If it is not installed; the message says how to install it.
    """
    try:
        return import_module(LIBRARIES[form])
    except ImportError as error:
        name = LIBRARIES[form].partition(".")[0]
        raise ImageFileError(f"{form} needs {name}: pip install 'cnnfilter[{form.lower()}]'") from error


def is_installed(form: str) -> bool:
    """Tell whether a form can be read; the library is looked for and not imported.

    Examples
    --------
    >>> is_installed("PNG")
    True
    """
    return form not in LIBRARIES or find_spec(LIBRARIES[form].partition(".")[0]) is not None


@contextmanager
def decoding(form: str) -> Iterator[None]:
    """Turn what a library raises on a damaged file into an `ImageFileError`."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageFileError:
        raise
    except _DAMAGE as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise ImageFileError(f"damaged {form} file, or of a kind not read ({reason})") from error
