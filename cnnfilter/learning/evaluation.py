"""How near one image is to another: PSNR and SSIM."""

import itertools
import math

import numpy as np

from cnnfilter.core.linear import correlate
from cnnfilter.errors import ParameterError
from cnnfilter.kernels.templates import gaussian
from cnnfilter.learning.pairs import Array
from cnnfilter.pixels.kinds import full_scale

SHOWN = 192  # rows and columns of the detail that a report shows
_SIGMA, _RADIUS = 1.5, 5  # Wang et al. 2004: 11 taps of a Gaussian of sigma 1.5


def psnr(image: Array, reference: Array, peak: float | None = None) -> float:
    """Peak signal to noise ratio in dB; infinite for equal images.

    Parameters
    ----------
    image, reference : ndarray of equal shape
    peak : float, optional
        Default the range of the reference's dtype: 255 for uint8, 1 for floats.

    Examples
    --------
    >>> a = np.full((4, 4), 100, np.uint8)
    >>> round(psnr(a, a + 1), 2)
    48.13
    """
    difference = _pair(image, reference)
    error = float(np.mean(np.square(difference)))
    return decibels(error, full_scale(reference.dtype) if peak is None else peak)


def decibels(error: float, peak: float) -> float:
    """PSNR of a mean squared error; of one beyond all floats minus infinity.

    Examples
    --------
    >>> round(decibels(1 / 12, 255), 1)  # what rounding alone leaves
    58.9
    """
    if error == 0 or math.isinf(error):
        return -math.inf if error else math.inf
    return 10 * math.log10(peak * peak / error)


def ssim(image: Array, reference: Array, peak: float | None = None) -> float:
    """Mean structural similarity: Gaussian windows of sigma 1.5, population covariance, borders cut.

    Parameters
    ----------
    image, reference : ndarray of shape (H, W) or (H, W, C), at least 11 pixels high and wide
        The mean over channels of each channel's own value.
    peak : float, optional
        Default the range of the reference's dtype.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, IEEE Transactions on Image
    Processing 13 (2004), with K1 = 0.01 and K2 = 0.03.

    Examples
    --------
    >>> a = np.arange(400, dtype=np.uint8).reshape(20, 20)
    >>> ssim(a, a)
    1.0
    """
    _pair(image, reference)
    if min(image.shape[:2]) < 2 * _RADIUS + 1:
        raise ParameterError(f"an image of shape {image.shape} is smaller than SSIM's window of 11 x 11")
    scale = full_scale(reference.dtype) if peak is None else peak
    low, mid = (0.01 * scale) ** 2, (0.03 * scale) ** 2
    if image.ndim == 3:
        planes = [ssim(image[..., c], reference[..., c], scale) for c in range(image.shape[2])]
        return float(np.mean(planes))
    x, y = image.astype(np.float64), reference.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x = _blurred(x * x) - mean_x * mean_x
    var_y = _blurred(y * y) - mean_y * mean_y
    cov = _blurred(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + low) * (2 * cov + mid)
    return float(np.mean(top / ((mean_x * mean_x + mean_y * mean_y + low) * (var_x + var_y + mid))))


def busiest(before: Array, after: Array, side: int) -> tuple[slice, slice]:
    """Rows and columns of a square of at most `side` pixels that shows the most change and detail.

    Examples
    --------
    >>> a = np.zeros((40, 60, 1))
    >>> b = a.copy()
    >>> b[30:, 50:] = 1
    >>> busiest(a, b, 20)
    (slice(20, 40, None), slice(40, 60, None))
    """
    high, wide = (min(side, length) for length in before.shape[:2])
    rows, columns = (_spread(length, part) for length, part in zip(before.shape, (high, wide), strict=False))
    change, best = -1.0, (slice(0, high), slice(0, wide))
    for top, left in itertools.product(rows, columns):
        place = slice(top, top + high), slice(left, left + wide)
        difference = before[place][::4, ::4].astype(np.float64) - after[place][::4, ::4]
        detail = float(after[place][::4, ::4].var(dtype=np.float64))
        found = float(np.square(difference).sum()) * (1 + detail)
        if found > change:
            change, best = found, place
    return best


def _spread(length: int, part: int) -> list[int]:
    """Where parts begin that overlap by a half, as far as 16 of them can."""
    count = min(16, 2 * math.ceil(length / part) - 1)
    return sorted({round(k * (length - part) / max(1, count - 1)) for k in range(count)})


def _pair(image: Array, reference: Array) -> Array:
    if image.shape != reference.shape:
        raise ParameterError(f"images of shape {image.shape} and {reference.shape} cannot be compared")
    return np.asarray(image.astype(np.float64) - reference)


def _blurred(plane: Array) -> Array:
    return correlate(plane, gaussian(2 * _RADIUS + 1, _SIGMA), padding="narrow")
