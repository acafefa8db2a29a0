"""Luminance and chroma of OpenEXR, the chroma at every second pixel of every second row, as R, G and B."""

from collections.abc import Sequence

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files.picture import Array

_REC_709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
# Of the samples 1, 3, 5 … pixels away, on both sides: OpenEXR's ImfRgbaYca, reconstructChroma.
_TAPS = (0.627123, -0.186077, 0.087929, -0.043159, 0.019597, -0.007540, 0.002128)


def to_rgb(y: Array, by: Array, ry: Array, chromaticities: Sequence[float] | None) -> tuple[Array, ...]:
    """Return R, G and B: RY is (R - Y) / Y, BY is (B - Y) / Y, and Y their weighted sum.

    Examples
    --------
    >>> y, chroma = np.full((2, 4), 0.5, np.float32), np.zeros((1, 2), np.float32)
    >>> [plane[0, 0].round(6).item() for plane in to_rgb(y, chroma, chroma, None)]
    [0.5, 0.5, 0.5]
    """
    y = y.astype(np.float32)
    red, blue = ((_whole(plane, y.shape) + 1) * y for plane in (ry, by))
    weights = _weights(_REC_709 if chromaticities is None else chromaticities)
    return red, (y - weights[0] * red - weights[2] * blue) / weights[1], blue


def _whole(chroma: Array, shape: tuple[int, ...]) -> Array:
    """Put samples between those that there are, down and across."""
    if chroma.shape == shape:
        return chroma.astype(np.float32)
    if chroma.shape != tuple(-(-side // 2) for side in shape):
        raise ImageFileError(
            "EXR whose chroma is neither whole nor halved is not read; convert it to R, G, B"
        )
    return _doubled(_doubled(chroma.astype(np.float32), shape[0]).T, shape[1]).T


def _doubled(rows: Array, count: int) -> Array:
    reach = len(_TAPS)
    padded = np.pad(rows, ((reach, reach), (0, 0)), "edge")
    between = sum(
        np.float32(tap) * (padded[reach - k : len(padded) - reach - k] + padded[reach + 1 + k :][: len(rows)])
        for k, tap in enumerate(_TAPS)
    )
    return np.stack([rows, between], axis=1).reshape(-1, rows.shape[1])[:count]


def _weights(chromaticities: Sequence[float]) -> Array:
    """Return what red, green and blue of 1 weigh in the luminance, 1 together."""
    x, y = np.array(chromaticities, np.float64).reshape(4, 2).T
    colours = np.stack([x, y, 1 - x - y])
    try:
        amounts = np.linalg.solve(colours[:, :3], colours[:, 3])
    except np.linalg.LinAlgError as error:
        raise ImageFileError("damaged EXR file (impossible chromaticities); get a whole copy") from error
    weights: Array = y[:3] * amounts
    if not (np.isfinite(weights).all() and weights[1] and weights.sum()):
        raise ImageFileError("damaged EXR file (impossible chromaticities); get a whole copy")
    weights /= weights.sum()
    return weights
