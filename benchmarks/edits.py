"""Forty edits of photographs, and whether `learn` says the truth about each.

Each edit is a function of a photograph of 8 bits, with what is expected of it: the options with which a
filter explains it, or none if no filter does.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from cnnfilter.pixels import linear_to_srgb, srgb_to_linear
from cnnfilter.pixels.kinds import Array

LUMA = np.array([0.299, 0.587, 0.114])
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


class Edit(NamedTuple):
    """An edit and the options that explain it; None if nothing does, and how far a shift is."""

    make: Callable[[Array], Array]
    options: tuple[str, ...] | None
    shift: tuple[int, int] = (0, 0)


def rounded(image: Array) -> Array:
    """Round and clip to 8 bits."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def blurred(image: Array, sigma: float) -> Array:
    """Blur by a Gaussian, unrounded."""
    return ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="mirror")


def correlated(image: Array, kernel: object) -> Array:
    """Correlate each channel, unrounded."""
    weights = np.array(kernel, float)
    planes = [ndimage.correlate(image[..., c].astype(float), weights, mode="mirror") for c in range(3)]
    return np.stack(planes, -1)


def disc(radius: float) -> Array:
    """Return an averaging disc."""
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = (x * x + y * y <= radius * radius).astype(float)
    return inside / inside.sum()


def grey(image: Array) -> Array:
    """Return luminance as a plane (H, W, 1)."""
    return (image @ LUMA)[..., None]


def saturated(image: Array, amount: float) -> Array:
    """Move colours from or to their grey."""
    return amount * image + (1 - amount) * grey(image)


def toned(image: Array, power: float) -> Array:
    """Raise shares of white to a power."""
    return 255 * (image / 255) ** power


def smoothstep(image: Array) -> Array:
    """More contrast by an S-curve."""
    share = np.clip(image / 255, 0, 1)
    return 255 * share * share * (3 - 2 * share)


def in_linear_light(image: Array, change: Callable[[Array], Array]) -> Array:
    """Apply a change to linear light."""
    return 255 * linear_to_srgb(change(srgb_to_linear(image / 255)))


def jpeg(image: Array, quality: int) -> Array:
    """Write and read as JPEG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def noisy(image: Array, sigma: float) -> Array:
    """Add Gaussian noise."""
    return image + np.random.default_rng(7).normal(0, sigma, image.shape)


def captioned(image: Array) -> Array:
    """Sharpen, and draw a white caption."""
    out = rounded(correlated(image, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]))
    out[10:40, 20:200:3] = 255
    return out


def half_a_pixel(image: Array) -> Array:
    """Move by half a pixel, as the mean of neighbours."""
    return correlated(image, [[0.5, 0.5, 0]])


PLAIN: tuple[str, ...] = ()
EDITS = {
    "disc of radius 2.5": Edit(lambda x: correlated(x, disc(2.5)), PLAIN),
    "disc of radius 5": Edit(lambda x: correlated(x, disc(5)), PLAIN),
    "motion of 7": Edit(lambda x: correlated(x, np.full((1, 7), 1 / 7)), PLAIN),
    "half a pixel": Edit(half_a_pixel, PLAIN),
    "Gaussian 0.7": Edit(lambda x: blurred(x, 0.7), PLAIN),
    "Gaussian 1.5": Edit(lambda x: blurred(x, 1.5), PLAIN),
    "Gaussian 2.5": Edit(lambda x: blurred(x, 2.5), PLAIN),
    "sharpen": Edit(lambda x: correlated(x, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]), PLAIN),
    "unsharp mask": Edit(lambda x: x + 0.8 * (x - blurred(x, 1)), PLAIN),
    "emboss": Edit(lambda x: correlated(x, [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]), PLAIN),
    "Sobel": Edit(lambda x: correlated(x, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]), PLAIN),
    "darker by a third": Edit(lambda x: x * 0.667, PLAIN),
    "moved by 3, -5": Edit(lambda x: np.roll(blurred(x, 0.7), (3, -5), (0, 1)), PLAIN, (3, -5)),
    "moved by 40, -33": Edit(lambda x: np.roll(blurred(x, 0.7), (40, -33), (0, 1)), PLAIN, (40, -33)),
    "negative": Edit(lambda x: 255.0 - x, ("--bias",)),
    "brighter by 30": Edit(lambda x: x + 30.0, ("--bias",)),
    "less contrast": Edit(lambda x: 0.7 * x + 40, ("--bias",)),
    "relief on grey": Edit(
        lambda x: correlated(x, [[-1, -0.5, 0], [-0.5, 0, 0.5], [0, 0.5, 1]]) + 128, ("--bias",)
    ),
    "white balance": Edit(lambda x: x * [1.15, 1, 0.8], ("--colour", "separate")),
    "chromatic blur": Edit(
        lambda x: np.stack([blurred(x, s)[..., c] for c, s in enumerate((0.6, 1, 1.4))], -1),
        ("--colour", "separate"),
    ),
    "split toning": Edit(lambda x: 0.9 * x + [5, 0, 20.0], ("--colour", "separate", "--bias")),
    "saturation 1.4": Edit(lambda x: saturated(x, 1.4), ("--colour", "mixed")),
    "saturation 0.5": Edit(lambda x: saturated(x, 0.5), ("--colour", "mixed")),
    "sepia": Edit(lambda x: x @ SEPIA.T, ("--colour", "mixed")),
    "grey": Edit(lambda x: np.repeat(grey(x), 3, 2), ("--colour", "mixed")),
    "channels exchanged": Edit(lambda x: x[..., [2, 1, 0]], ("--colour", "mixed")),
    "sharper luminance": Edit(
        lambda x: x + 0.8 * (grey(x) - blurred(np.repeat(grey(x), 3, 2), 1)), ("--colour", "mixed")
    ),
    "matrix and lift": Edit(lambda x: saturated(x, 0.7) + 25, ("--colour", "mixed", "--bias")),
    "Gaussian in linear light": Edit(
        lambda x: in_linear_light(x, lambda light: blurred(light, 1.5)), ("--linear",)
    ),
    "motion in linear light": Edit(
        lambda x: in_linear_light(x, lambda light: correlated(light, np.full((1, 9), 1 / 9))), ("--linear",)
    ),
    "gamma 2.2": Edit(lambda x: toned(x, 1 / 2.2), ("--curve",)),
    "gamma 2.2 of a blur": Edit(lambda x: toned(blurred(x, 1), 1 / 2.2), ("--curve",)),
    "blur of a gamma": Edit(lambda x: blurred(toned(x, 1 / 2.2), 1), ("--curve",)),
    "S-curve of a sharpening": Edit(lambda x: smoothstep(x + 0.8 * (x - blurred(x, 1))), ("--curve",)),
    "a curve for each channel": Edit(
        lambda x: np.stack([toned(x, p)[..., c] for c, p in enumerate((0.7, 1, 1.4))], -1),
        ("--colour", "separate", "--curve"),
    ),
    "caption": Edit(captioned, PLAIN),
    "median of 3": Edit(lambda x: ndimage.median_filter(x, (3, 3, 1)), None),
    "noise of 15": Edit(lambda x: noisy(x, 15), None),
    "JPEG of quality 30": Edit(lambda x: jpeg(x, 30), None),
    "maximum of 3": Edit(lambda x: ndimage.maximum_filter(x, (3, 3, 1)), None),
}  # fmt: skip
