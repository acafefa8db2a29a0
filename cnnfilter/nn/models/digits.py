"""Codes of the classes for LeNet-5's output: pictures of 7 x 12 pixels.

The paper shows its pictures but not their pixels; these were drawn for this project, with strokes two pixels
wide: any two of them differ in 14 pixels or more.
"""

import numpy as np

from cnnfilter.nn.functional.windows import Array

_PICTURES = """
..###.. ...##.. ..###.. ..###.. ....##. ####### ...###. ####### ..###.. ..###..
.##.##. ..###.. .##.##. .##.##. ....##. ##..... ..##... ####### .##.##. .##.##.
##...## .####.. ##...## ##...## ...###. ##..... .##.... .....## ##...## ##...##
##...## ##.##.. .....## .....## ...###. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## ..#.##. #####.. ##..... ....##. .##.##. ##...##
##...## ...##.. ....##. ...###. ..#.##. ##..##. #####.. ....##. ..###.. .##.###
##...## ...##.. ...##.. ....##. .#..##. .....## ##..##. ...##.. .##.##. ..##.##
##...## ...##.. ..##... .....## .#..##. .....## ##...## ...##.. ##...## .....##
##...## ...##.. .##.... .....## ####### .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## ....##.
.##.##. ...##.. ##..... .##.##. ....##. .##.##. .##.##. ..##... .##.##. ...##..
..###.. .###### ####### ..###.. ....##. ..###.. ..###.. ..##... ..###.. .###...
"""


def codes(classes: int) -> Array:
    """Codes of -1 and 1, shape (classes, 84): pictures of the digits, random codes for further classes.

    Examples
    --------
    >>> for row in codes(10)[7].reshape(12, 7)[:5]:
    ...     print("".join("#" if pixel > 0 else "." for pixel in row))
    #######
    #######
    .....##
    .....##
    ....##.
    """
    rows = [line.split() for line in _PICTURES.split("\n") if line]
    digits = ["".join(row[digit] for row in rows) for digit in range(10)]
    pictures = np.array([[1.0 if pixel == "#" else -1.0 for pixel in digit] for digit in digits])
    others = np.random.default_rng(84).choice([-1.0, 1.0], (max(0, classes - 10), 84))
    return np.concatenate([pictures[:classes], others])
