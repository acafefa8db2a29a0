"""Exactness: constants stay, every 8-bit value is the rounded sum, on real photographs too."""

import numpy as np
import promise
import pytest
import skimage.data

import cnnfilter as cf
from cnnfilter.core.boundary import BOUNDARIES

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")

VALUES = {
    "uint8": (0, 1, 77, 255),
    "uint16": (0, 1, 777, 65535),
    "int16": (-32768, -1, 0, 32767),
    "float32": (0.0, 0.1, -1e30, 3.4e38, 1e-40),
    "float64": (0.0, 0.1, -1e300, 1e-310),
}

SMOOTHINGS = {
    "mean 3": lambda image, **more: cf.mean(image, 3, **more),
    "mean 5x4": lambda image, **more: cf.mean(image, (5, 4), **more),
    "mean 31": lambda image, **more: cf.mean(image, 31, **more),
    "gaussian 0.8": lambda image, **more: cf.gaussian(image, 0.8, **more),
    "gaussian 2.3": lambda image, **more: cf.gaussian(image, 2.3, **more),
    "gaussian 0.5x7": lambda image, **more: cf.gaussian(image, (0.5, 7.0), **more),
    "gaussian 1.4, integer 5": lambda image, **more: cf.gaussian(image, 1.4, 5, template="integer", **more),
    "gaussian 1, integer 5x3": lambda image, **more: cf.gaussian(
        image, 1, (5, 3), template="integer", **more
    ),
}


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_stays_the_same(smoothing, dtype):
    smooth = SMOOTHINGS[smoothing]
    for value in VALUES[dtype]:
        for shape in ((21, 70), (33, 24, 3), (3, 2), (65,)):
            image = np.full(shape, value, dtype)
            for boundary in BOUNDARIES:
                if boundary != "zero":
                    result = smooth(image, boundary=boundary, constant=float(image.flat[0]))
                    np.testing.assert_array_equal(result, image, err_msg=f"{value} {shape} {boundary}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_stays_the_same_by_every_method(dtype):
    for weights in (np.full((3, 5), 1 / 15), np.outer([0.2, 0.5, 0.3], [0.1, 0.7, 0.2])):
        for method in ("direct", "separable", "fft", "running sums"):
            for value in VALUES[dtype][:4]:
                image = np.full((40, 70), value, dtype)
                try:
                    result = cf.correlate(image, weights, boundary="reflect", dtype=dtype, method=method)
                except cf.CnnFilterError:
                    continue
                np.testing.assert_array_equal(result, image, err_msg=f"{method} {value}")


@pytest.mark.parametrize("beyond", [3e-5, -3e-8, 3e-11])
@pytest.mark.parametrize("method", ["auto", "direct", "separable", "fft"])
def test_a_kernel_that_almost_sums_to_1_is_not_taken_for_one_that_does(method, beyond):
    weights = np.outer([0.2, 0.5, 0.3], [0.1, 0.7, 0.2]) * (1 + beyond)
    result = cf.correlate(np.full((40, 70), 3.0), weights, boundary="reflect", method=method)
    np.testing.assert_allclose(result, 3 * (1 + beyond), rtol=1e-14)


def test_almost_means_are_no_means():
    weights = np.full((3, 3), (1 + 3e-8) / 9)
    with pytest.raises(cf.CnnFilterError, match="sum 1"):
        cf.explain((40, 70), "float32", weights, method="running sums")


@pytest.mark.parametrize("shape", [(90, 121), (64, 65, 3)])
def test_a_constant_colour_stays_the_same(shape):
    image = np.empty(shape, np.uint8)
    image[...] = (13, 200, 77) if len(shape) == 3 else 13
    for smooth in SMOOTHINGS.values():
        np.testing.assert_array_equal(smooth(image), image)


@pytest.fixture(scope="module")
def photographs():
    """The public-domain portrait and the cameraman's successor, cut to odd sizes."""
    return skimage.data.astronaut()[:301, 101:338], skimage.data.camera()[100:377, 40:333]


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1, 1.7, 2, 3, 4, 6.5, 10])
def test_gaussians_of_photographs_are_the_rounded_sums(photographs, sigma):
    kernel = cf.templates.gaussian(sigma=sigma).array
    column, row = kernel.sum(axis=1)[:, None], kernel.sum(axis=0)[None]
    for image in photographs:
        half = kernel.shape[0] // 2
        padded = np.pad(
            image.astype(np.float64), [(half, half), (half, half), (0, 0)][: image.ndim], "reflect"
        )
        wanted = promise.exact(promise.exact(padded, column, padding="narrow"), row, padding="narrow")
        for threads in (1, 2):
            promise.assert_kept(cf.gaussian(image, sigma, threads=threads), wanted, 255, 0)


@pytest.mark.parametrize("size", [3, 4, 5, 15, 31, (7, 2)])
def test_means_of_photographs_are_the_rounded_sums(photographs, size):
    kernel = cf.templates.mean(size).array
    for image in photographs:
        whole = promise.exact(image, np.ones(kernel.shape), boundary="reflect")
        # Whole sums, so that ties are known and go to the even neighbour.
        np.testing.assert_array_equal(cf.mean(image, size), np.rint(whole / kernel.size))


def test_integer_templates_of_photographs_are_the_rounded_sums(photographs):
    template = cf.templates.gaussian(3, 0.8, "integer")
    for image in photographs:
        whole = promise.exact(image, template.weights, boundary="reflect")
        result = cf.gaussian(image, 0.8, 3, template="integer")
        np.testing.assert_array_equal(result, np.rint(whole / template.divisor))


@pytest.mark.parametrize("name", ["sobel-x", "laplacian-8", "sharpen", "emboss", "kirsch-n"])
def test_whole_kernels_of_photographs_are_exact(photographs, name):
    kernel = cf.templates.named(name)
    for image in photographs:
        whole = promise.exact(image, kernel.array)
        np.testing.assert_array_equal(cf.correlate(image, kernel), whole)
        np.testing.assert_array_equal(cf.correlate(image, kernel, dtype="uint8"), np.clip(whole, 0, 255))


def test_sums_that_grow_before_they_shrink_are_rounded_right():
    """Partial sums of 2000 with a result of 100: float32 sums would be off by more than 1e-3 here."""
    generator = np.random.default_rng(0)
    weights = generator.uniform(0.5, 1, (40, 41))
    weights[:20] *= 8.2 / weights[:20].sum()
    weights[20:] *= -7.8 / weights[20:].sum()
    image = generator.integers(240, 256, (300, 300), np.uint8)
    wanted = promise.exact(image, weights, padding="narrow")
    for method in ("auto", "direct"):
        result = cf.correlate(image, weights, padding="narrow", dtype="uint8", method=method)
        promise.assert_kept(result, wanted, 0)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_very_tall_and_very_wide_kernels(dtype):
    image = promise.random_image(np.random.default_rng(0), (20, 150), dtype)
    tall = np.outer(cf.templates.gaussian(sigma=(300, 1)).array.sum(axis=1), [0.2, 0.7, 0.1])
    for pixels, weights in ((image, tall), (np.ascontiguousarray(image.T), tall.T)):
        scale = np.abs(pixels.astype(np.float64)).max()
        for method in ("separable", "direct"):
            result = cf.correlate(pixels, weights, boundary="reflect", dtype=dtype, method=method)
            wanted = promise.exact(pixels, weights, boundary="reflect")
            promise.assert_kept(result, wanted, scale)


@pytest.mark.parametrize("source", ["uint8", "float32"])
def test_long_float32_sums_keep_the_promise(source):
    """As long as sums in float32 ever are."""
    generator = np.random.default_rng(2)
    image = promise.random_image(generator, (130, 300), source)
    for method, weights in (
        ("direct", promise.random_weights(generator, (23, 22), "mean")),
        ("direct", promise.random_weights(generator, (31, 33), "signed")),
        ("separable", cf.templates.gaussian(sigma=31).array),
        ("separable", cf.templates.mean(255).array),
    ):
        scale = np.abs(weights).sum() * np.abs(image.astype(np.float64)).max()
        if method == "separable":
            column, row = weights.sum(axis=1)[:, None], weights.sum(axis=0)[None]
            wanted = promise.exact(promise.exact(image, column, boundary="wrap"), row, boundary="wrap")
        else:
            wanted = promise.exact(image, weights, boundary="wrap")
        result = cf.correlate(image, weights, boundary="wrap", method=method)
        promise.assert_kept(result, wanted, scale)


def test_16_bit_results_are_the_rounded_sums(photographs):
    image = photographs[1].astype(np.uint16) * 257
    for sigma in (0.8, 2, 4):
        wanted = promise.exact(image, cf.templates.gaussian(sigma=sigma).array, boundary="reflect")
        assert np.abs(cf.gaussian(image, sigma) - wanted).max() <= 0.51


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", [(0, 0), (25, 60), (49, 119)])
def test_what_is_not_finite_stays_near(value, dtype, place):
    clean = promise.random_image(np.random.default_rng(0), (50, 120), dtype)
    image = clean.copy()
    image[place] = value
    for smooth, reach in [
        (lambda x: cf.mean(x, 5), 2),
        (lambda x: cf.gaussian(x, 2), 8),
        (lambda x: cf.second_derivative(x), 1),
        (lambda x: cf.correlate(x, promise.random_weights(np.random.default_rng(1), (9, 9), "signed")), 4),
        (lambda x: cf.correlate(x, promise.random_weights(np.random.default_rng(1), (25, 25), "signed")), 12),
    ]:
        with np.errstate(invalid="ignore"):
            result = smooth(image)
        rows, columns = np.indices(image.shape)
        # A mirrored boundary shows the pixel a second time, but never farther than the kernel reaches.
        far = np.maximum(abs(rows - place[0]), abs(columns - place[1])) > reach
        assert np.isfinite(result[far]).all()
        np.testing.assert_allclose(result[far], smooth(clean)[far], rtol=0, atol=1e-3)
        assert not np.isfinite(result[place])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
@pytest.mark.parametrize("size", [(2, 3), 4, (6, 1), 10])
@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
def test_ties_of_means_go_to_the_even_neighbour(dtype, size, stride):
    """Sums of even numbers of pixels have ties; weights of 1/6 miss them by a rounding."""
    generator = np.random.default_rng(11)
    limits = np.iinfo(dtype)
    for low, high in ((0, 4), (limits.min, limits.max)):
        image = generator.integers(low, high, (61, 67), dtype, endpoint=True)
        kernel = cf.templates.mean(size)
        steps = stride if isinstance(stride, tuple) else (stride, stride)
        whole = promise.exact(image, np.ones(kernel.shape), boundary="reflect", stride=steps)
        result = cf.mean(image, size, stride=stride)
        np.testing.assert_array_equal(result, np.rint(whole / kernel.weights.size))


def test_what_float32_does_not_hold_is_infinite_without_a_warning():
    image = np.float32([[0.5, 2, 3, -3.4e38]])
    sums = cf.correlate(image, [[0.35, 0.82]], boundary="renormalize")
    assert np.isfinite(sums[0, :3]).all() and sums[0, 3] == -np.inf
