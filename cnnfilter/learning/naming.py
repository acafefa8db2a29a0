"""What edits are known as: names for the weights of filters that mix or weigh channels."""

import numpy as np

from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.pairs import Array
from cnnfilter.learning.tonecurve import ToneCurve

_ELSEWHERE = 0.02  # of the absolute weight may lie beside the middle of a matrix of colours
_NEAR = 0.015  # by which weights of the middle may differ from those of a name


def described(learned: LearnedFilter) -> str:
    """Name the edit that a filter is, or return an empty text.

    Examples
    --------
    >>> from cnnfilter.learning.convolutionlayer import ConvolutionLayer
    >>> layer = ConvolutionLayer(-np.ones((1, 1, 1, 1)), np.ones(1))
    >>> described(LearnedFilter((layer,), each_channel=True))
    'a negative'
    """
    layer = learned.layers[0]
    outputs, depth, rows, columns = layer.weights.shape
    if len(learned.layers) > 1 or learned.residual:
        return ""
    if learned.curve is not None:
        return _of_curve(learned.curve)
    middle = layer.weights[..., (rows - 1) // 2, (columns - 1) // 2]
    beside = np.abs(layer.weights).sum() - np.abs(middle).sum()
    bias = np.zeros(outputs) if layer.bias is None else layer.bias
    if beside > _ELSEWHERE * np.abs(layer.weights).sum():
        return _sharpened_luminance(layer.weights) if depth == outputs == 3 else ""
    sums = layer.weights.sum(axis=(2, 3))  # what lies beside the middle is rounding's
    if depth == 1:
        return _of_gains(sums[:, 0], bias)
    return _of_matrix(sums, bias) if depth == outputs == 3 else ""


def _of_curve(curve: ToneCurve) -> str:
    """Say which power of the values all curves are, if they are one."""
    seen = (curve.knots > 0.05) & (curve.knots < 0.95)
    x, tones = np.log(curve.knots[seen]), curve.values[:, seen]
    if tones.min() <= 0:
        return ""
    power = float(np.sum(tones * np.log(tones) * x) / np.sum(tones * x * x))
    if np.abs(tones - np.exp(power * x)).max() > _NEAR:
        return ""
    return f"a gamma curve: values to the power {power:.3f}, which is 1 / {1 / power:.3f}"


def _of_gains(gains: Array, bias: Array) -> str:
    if np.allclose(gains, -1, atol=_NEAR) and np.allclose(bias, 1, atol=_NEAR):
        return "a negative"
    offsets = "" if np.allclose(bias, 0, atol=_NEAR / 4) else f", plus {_listed(255 * bias, 1)} of 255"
    if len(gains) == 1:
        return f"brightness x {gains[0]:.3f}{offsets}"
    return f"white balance: x {_listed(gains)}{offsets}"


def _of_matrix(matrix: Array, bias: Array) -> str:
    if np.allclose(bias, 0, atol=_NEAR):
        if np.allclose(matrix, matrix[0], atol=_NEAR):
            return f"grey: {_listed(matrix[0])} of red, green and blue"
        grey = _off_diagonal(matrix)
        amount = 1 - grey.sum()
        if np.allclose(matrix, amount * np.eye(3) + grey, atol=_NEAR):
            return f"saturation x {amount:.2f}"
        if abs(np.linalg.svd(matrix)[1][1]) < 0.05 * np.linalg.norm(matrix):
            return "sepia: shades of one colour"
    if np.allclose(matrix, np.diag(np.diag(matrix)), atol=_NEAR):
        return _of_gains(np.diag(matrix), bias)
    return "a matrix of colours"


def _off_diagonal(matrix: Array) -> Array:
    """Mean of each column beside the diagonal: what a change of saturation takes of each channel."""
    return np.asarray((matrix.sum(axis=0) - np.diag(matrix)) / (len(matrix) - 1))


def _sharpened_luminance(weights: Array) -> str:
    """Whether all outputs are changed by one and the same kernel of one mixture of the channels."""
    change = weights - np.eye(3)[..., None, None] * _impulse(weights.shape[2:])
    flat = change.reshape(3, 3, -1)
    mixed = flat.mean(axis=0)
    if np.abs(flat - mixed).max() > _NEAR:
        return ""
    left, singular, _ = np.linalg.svd(mixed)
    if singular[1] > 0.1 * singular[0]:
        return ""
    share = left[:, 0] / left[:, 0].sum()
    return f"a filter of luminance alone: {_listed(share)} of red, green and blue"


def _impulse(shape: tuple[int, ...]) -> Array:
    impulse = np.zeros(shape)
    impulse[(shape[0] - 1) // 2, (shape[1] - 1) // 2] = 1
    return impulse


def _listed(values: Array, digits: int = 3) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values.tolist())
