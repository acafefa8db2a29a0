"""Filters against OpenCV: exactly where its own results are exact, within its error where they are not."""

import cv2
import numpy as np
import promise
import pytest
import skimage.data

import cnnfilter as cf

BORDERS = {
    "zero": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "symmetric": cv2.BORDER_REFLECT,
    "reflect": cv2.BORDER_REFLECT_101,
}
SHAPES = [(37, 53), (40, 31, 3), (17, 64, 4)]
BINOMIALS = {1: [1], 3: [1, 2, 1], 5: [1, 4, 6, 4, 1]}


def picture(shape, dtype, seed=0):
    return promise.random_image(np.random.default_rng(seed), shape, dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("boundary", BORDERS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_dense_kernels(boundary, shape, dtype):
    image = picture(shape, dtype)
    for size in ((3, 3), (1, 5), (4, 3), (7, 2), (9, 11)):
        weights = promise.random_weights(np.random.default_rng(sum(size)), size, "signed")
        centre = (size[1] - 1) // 2, (size[0] - 1) // 2
        wanted = cv2.filter2D(
            image.astype(np.float64), cv2.CV_64F, weights, anchor=centre, borderType=BORDERS[boundary]
        )
        found = cf.correlate(image, weights, boundary=boundary, dtype="float64")
        scale = np.abs(image.astype(float)).max() * np.abs(weights).sum()
        assert np.abs(found - wanted).max() <= 1e-6 * scale


@pytest.mark.parametrize("boundary", BORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_whole_kernels_of_8_bits_are_equal(boundary, shape):
    """Sums of whole numbers: both are exact, both saturate."""
    image = picture(shape, "uint8")
    for name in ("sobel-x", "sobel-y", "scharr-x", "scharr-y", "prewitt-x", "laplacian-8", "sharpen"):
        kernel = cf.templates.named(name)
        assert kernel.divisor == 1
        for depth, dtype in ((cv2.CV_16S, "int16"), (cv2.CV_32F, "float32"), (cv2.CV_8U, "uint8")):
            wanted = cv2.filter2D(image, depth, kernel.weights, borderType=BORDERS[boundary])
            found = cf.correlate(image, kernel, boundary=boundary, dtype=dtype)
            np.testing.assert_array_equal(found, wanted, err_msg=f"{name} {dtype}")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_named_derivatives_are_opencv_s(shape, dtype):
    image = picture(shape, dtype)
    depth = cv2.CV_16S if dtype == "uint8" else cv2.CV_32F
    for name, wanted in (
        ("sobel-x", cv2.Sobel(image, depth, 1, 0)),
        ("sobel-y", cv2.Sobel(image, depth, 0, 1)),
        ("scharr-x", cv2.Scharr(image, depth, 1, 0)),
        ("scharr-y", cv2.Scharr(image, depth, 0, 1)),
    ):
        found = cf.correlate(image, cf.templates.named(name), boundary="reflect")
        np.testing.assert_allclose(found, wanted, atol=1e-3 * (dtype != "uint8"), err_msg=name)
    np.testing.assert_allclose(
        cf.second_derivative(image), cv2.Laplacian(image, depth, ksize=1), atol=1e-3 * (dtype != "uint8")
    )


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (5, 5), (5, 3), (1, 5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_binomials_of_8_bits_are_equal_but_for_ties(shape, rows, columns):
    """OpenCV's table of small Gaussians is exact and rounds halves up, we to the even neighbour."""
    image = picture(shape, "uint8")
    weights = np.outer(BINOMIALS[rows], BINOMIALS[columns])
    wanted = cv2.GaussianBlur(image, (columns, rows), 0, borderType=cv2.BORDER_REFLECT_101)
    whole = cf.correlate(image, weights, boundary="reflect", dtype="float64")
    np.testing.assert_array_equal(np.floor(whole / weights.sum() + 0.5), wanted)
    kernel = cf.Kernel(weights, weights.sum())
    found = cf.correlate(image, kernel, boundary="reflect", dtype="uint8")
    ties = whole / weights.sum() % 1 == 0.5
    np.testing.assert_array_equal(found[~ties], wanted[~ties])
    assert ties.any() and (found[ties] % 2 == 0).all()


@pytest.mark.parametrize("size", [(3, 3), (5, 5), (3, 7), (15, 15), (31, 31)])
@pytest.mark.parametrize("shape", SHAPES)
def test_means_of_8_bits_are_equal(shape, size):
    """Odd windows have no ties."""
    image = picture(shape, "uint8")
    for boundary in ("edge", "symmetric", "reflect"):
        wanted = cv2.blur(image, size[::-1], borderType=BORDERS[boundary])
        np.testing.assert_array_equal(cf.mean(image, size, boundary=boundary), wanted)


@pytest.mark.parametrize("size", [(3, 3), (4, 6), (15, 9)])
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_means_of_other_types(size, dtype):
    image = picture((50, 61, 3), dtype)
    centre = (size[1] - 1) // 2, (size[0] - 1) // 2
    wanted = cv2.boxFilter(
        image.astype(np.float64), cv2.CV_64F, size[::-1], anchor=centre, borderType=cv2.BORDER_REFLECT_101
    )
    scale = np.abs(image.astype(float)).max()
    limit = {"float32": 1e-6 * scale, "float64": 1e-12 * scale}.get(dtype, 0.501)
    assert np.abs(cf.mean(image, size) - wanted).max() <= limit


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.4, 2.0, (1.0, 2.5), 5.0])
@pytest.mark.parametrize("boundary", ["edge", "symmetric", "reflect"])
def test_gaussians(sigma, boundary):
    rows, columns = cf.templates.gaussian(sigma=sigma).shape
    sigmas = cf.templates.sigma_pair(sigma)
    options = {"sigmaX": sigmas[1], "sigmaY": sigmas[0], "borderType": BORDERS[boundary]}
    for dtype, limit in (("float32", 1e-6), ("float64", 1e-12)):
        image = picture((70, 83, 3), dtype)
        wanted = cv2.GaussianBlur(image, (columns, rows), **options)
        found = cf.gaussian(image, sigma, boundary=boundary)
        assert np.abs(found - wanted).max() <= 2 * limit * np.abs(image).max()
    image = skimage.data.astronaut()[100:300, 50:307]
    wanted = cv2.GaussianBlur(image, (columns, rows), **options)
    off = np.abs(cf.gaussian(image, sigma, boundary=boundary).astype(int) - wanted)
    assert off.max() <= 1 and (off > 0).mean() < 0.1, "for 8 bits OpenCV rounds the weights"


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.3])
def test_taps_of_a_gaussian(sigma):
    size = cf.templates.default_size(sigma)
    wanted = cv2.getGaussianKernel(size, sigma, cv2.CV_64F).ravel()
    np.testing.assert_allclose(cf.templates.gaussian_taps(size, sigma), wanted, rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize("shape", [(64, 48), (63, 47, 3), (5, 70)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_a_pyramid_is_a_binomial_with_stride(shape, dtype):
    image = picture(shape, dtype)
    kernel = cf.Kernel(np.outer(BINOMIALS[5], BINOMIALS[5]), 256)
    wanted = cv2.pyrDown(image, borderType=cv2.BORDER_REFLECT_101)
    found = cf.correlate(image, kernel, stride=2, boundary="reflect", dtype="float64")
    if dtype == "uint8":
        np.testing.assert_array_equal(np.floor(found + 0.5), wanted)
    else:
        np.testing.assert_allclose(found, wanted, atol=1e-4 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize("size", [(3, 3), (5, 2), (1, 7), (4, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_maxima_are_dilations(size, dtype):
    image = picture((33, 41), dtype)
    sides = tuple(((n - 1) // 2, n // 2) for n in size)
    centre = (size[1] - 1) // 2, (size[0] - 1) // 2
    wanted = cv2.dilate(image, np.ones(size, np.uint8), anchor=centre)
    np.testing.assert_array_equal(cf.max_pool(image, size, 1, sides), wanted)


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (4, 5), (8, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_means_of_windows_are_areas(size, dtype):
    image = picture((size[0] * 9, size[1] * 11, 3), dtype)
    wanted = cv2.resize(image.astype(np.float64), (11, 9), interpolation=cv2.INTER_AREA)
    found = cf.mean_pool(image, size)
    assert np.abs(found - wanted).max() <= (0.5 + 1e-4 if dtype == "uint8" else 1e-4)


@pytest.mark.parametrize("boundary", BORDERS)
def test_separable_kernels(boundary):
    generator = np.random.default_rng(5)
    image = picture((60, 77), "float64")
    for rows, columns in ((3, 9), (13, 1), (7, 7), (31, 5)):
        column, row = generator.uniform(-1, 1, rows), generator.uniform(-1, 1, columns)
        wanted = cv2.sepFilter2D(image, cv2.CV_64F, row, column, borderType=BORDERS[boundary])
        found = cf.correlate(image, np.outer(column, row), boundary=boundary)
        np.testing.assert_allclose(found, wanted, atol=1e-10)
