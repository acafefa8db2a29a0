"""The sRGB curve, both ways."""

import numpy as np

from cnnfilter.pixels.kinds import Array


def srgb_to_linear(values: Array) -> Array:
    """Undo the sRGB curve (IEC 61966-2-1): coded values, 1 for white, become linear light.

    Negative values are treated as their absolute value, with the sign put back.

    Examples
    --------
    >>> srgb_to_linear(np.array([0.0, 0.5, 1.0, -1.0])).round(4)
    array([ 0.   ,  0.214,  1.   , -1.   ])
    """
    size = np.abs(values)
    curve = ((size + 0.055) / 1.055) ** 2.4
    return np.copysign(np.where(size <= 0.04045, size / 12.92, curve), values)


def linear_to_srgb(values: Array) -> Array:
    """Apply the sRGB curve: linear light, 1 for white, becomes coded values.

    Examples
    --------
    >>> linear_to_srgb(np.array([0.0, 0.214, 1.0])).round(3)
    array([0. , 0.5, 1. ])
    """
    size = np.abs(values)
    curve = 1.055 * size ** (1 / 2.4) - 0.055
    return np.copysign(np.where(size <= 0.0031308, size * 12.92, curve), values)
