"""Samples that fill no byte: brought to full white, and what is said of it."""

import numpy as np

from cnnfilter.files.picture import Array

ONE_BIT = "1-bit image filtered as grey, 0 and 255; written with 8 bits"


def to_full_white(frame: Array, white: int, notes: list[str]) -> Array:
    """Scale samples to white at 255, or at 65535 where 8 bits do not hold it; half to even.

    Parameters
    ----------
    frame : array of whole numbers
        Samples above white, as decoders may give, are white.
    white : int
        1 to 65535.
    notes : list of str
        Gets a line if anything is scaled.

    Examples
    --------
    >>> notes = []
    >>> to_full_white(np.array([0, 1, 1023]), 1023, notes), notes
    (array([    0,    64, 65535], dtype=uint16), ['white of 1023 scaled to 65535'])
    """
    full, dtype = (255, np.dtype(np.uint8)) if white < 256 else (65535, np.dtype(np.uint16))
    if white == full:
        return frame.astype(dtype, copy=False)
    notes.append(f"white of {white} scaled to {full}")
    scaled = frame.astype(np.float64)
    scaled *= full
    scaled /= white
    return np.rint(scaled, out=scaled).clip(0, full).astype(dtype)
