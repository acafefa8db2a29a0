"""Colours of CIE L*a*b*, which TIFF and PSD files may hold, as sRGB."""

import numpy as np

from cnnfilter.files.picture import Array
from cnnfilter.pixels.light import linear_to_srgb

TOLD = "colours of Lab are written as sRGB; those beyond it are limited"
_WHITE = np.array([0.9642, 1.0, 0.8249], np.float32)  # D50
# From D50 to the linear light of sRGB, whose white is D65, adapted after Bradford.
_TO_SRGB = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ],
    np.float32,
)
_KNEE = 6 / 29  # where the cube root becomes a line


def to_srgb(samples: Array, *, signed: bool) -> Array:
    """Return pixels of sRGB in the type of the samples.

    Parameters
    ----------
    samples : uint8 or uint16 array of shape (H, W, C)
        L*, a*, b*, and channels that stay as they are.
    signed : bool
        Whether a* and b* are signed numbers, as CIELab of TIFF has them; else 128 stands for 0.

    Examples
    --------
    >>> white_and_red = np.array([[[255, 128, 128, 7], [138, 209, 198, 7]]], np.uint8)
    >>> to_srgb(white_and_red, signed=False).tolist()
    [[[255, 255, 255, 7], [255, 0, 0, 7]]]
    """
    white = np.iinfo(samples.dtype).max
    unit = np.float32(1 << (8 * samples.itemsize - 8))  # of a* and b*
    lightness = samples[..., 0].astype(np.float32) / white * 100
    chroma = samples[..., 1:3]
    if signed:
        chroma = chroma.view(f"i{samples.itemsize}").astype(np.float32) / unit
    else:
        chroma = chroma.astype(np.float32) / unit - 128
    y = (lightness + 16) / 116
    roots = np.stack([y + chroma[..., 0] / 500, y, y - chroma[..., 1] / 200], axis=-1)
    xyz = np.where(roots > _KNEE, roots**3, 3 * _KNEE**2 * (roots - 4 / 29)) * _WHITE
    colours = linear_to_srgb(np.clip(xyz @ _TO_SRGB.T, 0, 1))
    coded = np.rint(colours * white).astype(samples.dtype)
    return np.concatenate([coded, samples[..., 3:]], axis=-1)
