"""Everything on disk: image files, weights, learned filters.

`read` recognises an image file by its bytes, never by its name, and gives a `Picture`; `write` puts a
`Picture` into a file. Only this package imports Pillow. What cannot be read or written without
loss is refused with an `ImageFileError` that says what to do instead.

The names here are loaded at their first use: weights do not wait for images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnfilter._lazy import loaded_at_first_use

if TYPE_CHECKING:
    from cnnfilter.files.forms import FORMS, form_named, form_of, form_of_bytes
    from cnnfilter.files.limit import MAX_PIXELS
    from cnnfilter.files.picture import Metadata, Picture
    from cnnfilter.files.reading import read
    from cnnfilter.files.writing import write

__all__ = [
    "FORMS",
    "MAX_PIXELS",
    "Metadata",
    "Picture",
    "form_named",
    "form_of",
    "form_of_bytes",
    "read",
    "write",
]

_HOMES = {
    "FORMS": "forms",
    "MAX_PIXELS": "limit",
    "Metadata": "picture",
    "Picture": "picture",
    "form_named": "forms",
    "form_of": "forms",
    "form_of_bytes": "forms",
    "read": "reading",
    "write": "writing",
}

__getattr__ = loaded_at_first_use(__name__, _HOMES)
