"""The only rules for dtype, colour, alpha, linear light, range and rounding. Arrays only, no files.

A filter works on numbers; an image file holds sRGB-coded integers with transparency beside them.
`apply` stands between them: it makes values that a linear filter may mix, calls the filter, and
makes pixels again, rounding once, half to even, at the very end.
"""

from cnnfilter.pixels.filtering import apply, check_kept_alpha, check_linear, rounds_itself, unit_of
from cnnfilter.pixels.kinds import DEPTHS, Applied, Array, Filter, ValueRange, depth_dtype, white_of
from cnnfilter.pixels.light import linear_to_srgb, srgb_to_linear
from cnnfilter.pixels.memory import copy_pixels, four_channels, packed
from cnnfilter.pixels.rounding import extremes, quantise

__all__ = [
    "DEPTHS",
    "Applied",
    "Array",
    "Filter",
    "ValueRange",
    "apply",
    "check_kept_alpha",
    "check_linear",
    "copy_pixels",
    "depth_dtype",
    "extremes",
    "four_channels",
    "linear_to_srgb",
    "packed",
    "quantise",
    "rounds_itself",
    "srgb_to_linear",
    "unit_of",
    "white_of",
]
