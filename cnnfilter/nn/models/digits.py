"""Codes of the classes for LeNet-5's output: pictures of 7 x 12 pixels, drawn for this project."""

import numpy as np

from cnnfilter.nn.functional.windows import Array

# Segments of a seven-segment digit: top, upper left and right, middle, lower left and right, bottom.
_SEGMENTS = {
    "top": (slice(0, 2), slice(0, 7)), "upper left": (slice(0, 6), slice(0, 2)),
    "upper right": (slice(0, 6), slice(5, 7)), "middle": (slice(5, 7), slice(0, 7)),
    "lower left": (slice(6, 12), slice(0, 2)), "lower right": (slice(6, 12), slice(5, 7)),
    "bottom": (slice(10, 12), slice(0, 7)),
}  # fmt: skip
_DIGITS = ("1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010", "1111111",
           "1111011")  # fmt: skip


def codes(classes: int) -> Array:
    """Codes of -1 and 1, shape (classes, 84): pictures of the digits, random codes for further classes.

    Examples
    --------
    >>> codes(10).shape, int(codes(10)[8].sum())
    ((10, 84), 48)
    """
    pictures = np.full((min(classes, 10), 12, 7), -1.0)
    for picture, lit in zip(pictures, _DIGITS, strict=False):
        for on, where in zip(lit, _SEGMENTS.values(), strict=True):
            if on == "1":
                picture[where] = 1
    others = np.random.default_rng(84).choice([-1.0, 1.0], (max(0, classes - 10), 84))
    return np.concatenate([pictures.reshape(-1, 84), others])
