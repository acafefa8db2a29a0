"""Image files: reading and writing pixels, frames and metadata.

`read` recognises a file by its bytes, never by its name, and gives a `Picture`; `write` puts a
`Picture` into a file. Only this package imports Pillow. What cannot be read or written without
loss is refused with an `ImageFileError` that says what to do instead.
"""

from cnnfilter.imagefile.forms import FORMS, form_named, form_of, form_of_bytes
from cnnfilter.imagefile.limit import MAX_PIXELS
from cnnfilter.imagefile.picture import Metadata, Picture
from cnnfilter.imagefile.reading import read
from cnnfilter.imagefile.writing import write

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
