"""TIFF files by tifffile, and pixels to put into them."""

import io

import numpy as np
import tifffile


def values(rng, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(0, 100, shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def made(*pages, **options):
    """A TIFF file by tifffile."""
    file = io.BytesIO()
    file_options = {name: options.pop(name) for name in ("bigtiff", "byteorder") if name in options}
    with tifffile.TiffWriter(file, **file_options) as writer:
        for page in pages:
            writer.write(page, metadata=None, **options)
    return file.getvalue()
