"""What filters that are more than a sum make of their sums, in lines for the frames of an animation.

Written with the signs that the font of the frames has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.slide import Conclusion, signed


def concluded_magnitude(slopes: Sequence[float], pixel: float) -> list[str]:
    """Say how two slopes make a magnitude.

    Examples
    --------
    >>> concluded_magnitude([3, -4], 0)
    ['sqrt(3·3 + (-4)·(-4)) =']
    """
    x, y = map(signed, slopes)
    return [f"sqrt({x}·{x} + {y}·{y}) ="]


def concluded_direction(slopes: Sequence[float], pixel: float) -> list[str]:
    """Say how slopes, x and y of each channel, make one direction.

    Examples
    --------
    >>> concluded_direction([1, 1], 0), concluded_direction([1, 1, 3, 0], 0)
    (['arctan2(1, 1) ='], ['steepest: channel 1', 'arctan2(0, 3) ='])
    """
    pairs = list(zip(slopes[::2], slopes[1::2], strict=True))
    steepest = max(range(len(pairs)), key=lambda channel: math.hypot(*pairs[channel]))
    x, y = map(shown, pairs[steepest])
    which = [f"steepest: channel {steepest}"] if len(pairs) > 1 else []
    return [*which, f"arctan2({y}, {x}) ="]


def concluded_colour(white: float, slopes: Sequence[float], pixel: float) -> list[str]:
    """Say how slopes make a colour: the direction is its hue, the magnitude its value.

    Examples
    --------
    >>> concluded_colour(10, [3, 4], 0)
    ['value: sqrt(3·3 + 4·4) / 10 = 0.5', 'hue: arctan2(4, 3) = 53.1301°']
    """
    pairs = list(zip(slopes[::2], slopes[1::2], strict=True))
    x, y = max(pairs, key=lambda pair: math.hypot(*pair))
    value, hue = math.hypot(x, y) / white, math.degrees(math.atan2(y + 0.0, x + 0.0))
    (magnitude,), (*which, direction) = concluded_magnitude([x, y], 0), concluded_direction(slopes, 0)
    over = f" / {shown(white)}" if white != 1 else ""
    limited = ", so 1" if value > 1 else ""
    return [
        *which,
        f"value: {magnitude.removesuffix(' =')}{over} = {shown(value)}{limited}",
        f"hue: {direction} {shown(hue)}°",
    ]


def without_y(conclude: Conclusion, slopes: Sequence[float], pixel: float) -> list[str]:
    """Say what is made of the slope of a signal, which has none along y.

    Examples
    --------
    >>> without_y(concluded_direction, [-2], 0)
    ['arctan2(0, -2) =']
    """
    return conclude([*slopes, 0.0], pixel)


def concluded_sharp(amount: float, threshold: float, sums: Sequence[float], pixel: float) -> list[str]:
    """Say what of the difference from a Gaussian is added to a pixel.

    Examples
    --------
    >>> concluded_sharp(2, 0, [5], 9)
    ['9 + 2·(9 - 5) =']
    >>> concluded_sharp(2, 4, [5], 9)
    ['|9 - 5| = 4: within the threshold 4', '9 + 0 =']
    """
    (soft,), own = sums, shown(pixel)
    difference = f"{own} - {signed(soft)}"
    added = f"{own} + {signed(amount)}·({difference}) ="
    if not threshold:
        return [added]
    within = abs(pixel - soft) <= threshold
    decided = f"|{difference}| = {shown(abs(pixel - soft))}: {'within' if within else 'beyond'} the threshold"
    return [f"{decided} {shown(threshold)}", f"{own} + 0 =" if within else added]
