"""Correlation and convolution against `scipy.signal`, whose conventions are the textbooks' own."""

import numpy as np
import promise
import pytest
from scipy import signal

import cnnfilter as cf

SIZES = [((20, 31), (3, 3)), ((17, 12), (4, 5)), ((9, 40), (1, 8)), ((33, 8), (7, 2)), ((64, 50), (21, 17))]
BOUNDARIES = {"zero": "fill", "constant": "fill", "symmetric": "symm", "wrap": "wrap"}


def noise(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("mode", ["full", "valid"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_two_dimensions(shape, size, boundary, mode, dtype):
    image = promise.random_image(np.random.default_rng(0), shape, dtype)
    weights = noise(1, size)
    options = {"mode": mode, "boundary": BOUNDARIES[boundary]}
    more = {}
    if boundary == "constant":
        options["fillvalue"] = more["constant"] = 7
    scale = np.abs(image.astype(float)).max() * np.abs(weights).sum()
    for ours, theirs in ((cf.correlate, signal.correlate2d), (cf.convolve, signal.convolve2d)):
        found = ours(image, weights, padding=mode, boundary=boundary, dtype="float64", **more)
        wanted = theirs(image.astype(float), weights, **options)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= 1e-6 * scale


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_same_size(shape, size):
    """With even kernels SciPy's middle of a correlation is the other one of the two in the middle."""
    image, weights = noise(2, shape), noise(3, size)
    wanted = signal.convolve2d(image, weights, mode="full")
    top, left = (n // 2 for n in size)
    middle = wanted[top : top + shape[0], left : left + shape[1]]
    np.testing.assert_allclose(cf.convolve(image, weights), middle, atol=1e-11)
    if all(n % 2 for n in size):
        np.testing.assert_allclose(
            cf.convolve(image, weights), signal.convolve2d(image, weights, "same"), atol=1e-11
        )


@pytest.mark.parametrize("length", [1, 2, 50, 1000])
@pytest.mark.parametrize("taps", [1, 2, 7, 64])
@pytest.mark.parametrize("mode", ["full", "valid"])
def test_one_dimension(length, taps, mode):
    image, weights = noise(4, length), noise(5, taps)
    if mode == "valid" and taps > length:
        with pytest.raises(cf.CnnFilterError, match="empty"):
            cf.convolve(image, weights, padding="valid")
        return
    for ours, theirs in ((cf.correlate, signal.correlate), (cf.convolve, signal.convolve)):
        found, wanted = ours(image, weights, padding=mode), theirs(image, weights, mode=mode)
        np.testing.assert_allclose(found, wanted, atol=1e-11)


@pytest.mark.parametrize("method", ["auto", "direct", "fft"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_large_kernels(method, dtype):
    image = promise.random_image(np.random.default_rng(6), (150, 211), dtype)
    weights = noise(7, (63, 40))
    wanted = signal.oaconvolve(image.astype(float), weights, mode="full")
    found = cf.convolve(image, weights, padding="full", method=method, dtype="float64")
    scale = np.abs(image.astype(float)).max() * np.abs(weights).sum()
    assert np.abs(found - wanted).max() <= (1e-12 if dtype == "float64" else 1e-6) * scale


@pytest.mark.parametrize(("down", "taps"), [(2, 5), (3, 4), (5, 16), (7, 3)])
def test_strides_are_polyphase_filters(down, taps):
    image, weights = noise(8, 200), noise(9, taps)
    wanted = signal.upfirdn(weights, image, down=down)
    np.testing.assert_allclose(cf.convolve(image, weights, padding="full", stride=down), wanted, atol=1e-12)


@pytest.mark.parametrize("apart", [2, 3, 5])
def test_dilations_are_zeros_between_the_taps(apart):
    image, weights = noise(10, (40, 50)), noise(11, (3, 4))
    spread = np.zeros([(n - 1) * apart + 1 for n in weights.shape])
    spread[::apart, ::apart] = weights
    wanted = signal.correlate2d(image, spread, mode="valid")
    np.testing.assert_allclose(
        cf.correlate(image, weights, padding="valid", dilation=apart), wanted, atol=1e-12
    )


@pytest.mark.parametrize(("size", "sigma"), [(9, 1.0), (10, 2.2), (31, 4.0), (7, 0.4)])
def test_gaussian_windows(size, sigma):
    window = signal.windows.gaussian(size, sigma)
    np.testing.assert_allclose(cf.templates.gaussian_taps(size, sigma), window / window.sum(), atol=1e-15)


@pytest.mark.parametrize("shape", [(40, 50), (41, 33)])
def test_separable_filters(shape):
    image = noise(12, shape)
    column, row = np.array([1.0, 2.0, 5.0, 2.0, 1.0]), np.array([-1.0, 3.0, -1.0])
    wanted = signal.sepfir2d(image, row, column)
    found = cf.correlate(image, np.outer(column, row), boundary="symmetric")
    np.testing.assert_allclose(found, wanted, atol=1e-11)
