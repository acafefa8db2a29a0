"""The filters: what their documentation promises, and what other libraries compute."""

import numpy as np
import promise
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnfilter as cf

pytestmark = pytest.mark.usefixtures("fenced")

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


@pytest.fixture(scope="module")
def image():
    return promise.random_image(np.random.default_rng(0), (43, 67, 3), "uint8")


@pytest.mark.parametrize("dtype", DTYPES)
def test_types_of_results(image, dtype):
    pixels = image.astype(dtype)
    assert cf.mean(pixels).dtype == dtype
    assert cf.gaussian(pixels).dtype == dtype
    assert cf.max_pool(pixels).dtype == dtype
    assert cf.mean_pool(pixels).dtype == dtype
    assert cf.second_derivative(pixels).dtype == ("float64" if dtype == "float64" else "float32")
    assert cf.gaussian(pixels, dtype="float32").dtype == "float32"


@pytest.mark.parametrize(
    ("smooth", "kernel"),
    [
        (lambda image, **more: cf.mean(image, (5, 3), **more), cf.templates.mean((5, 3))),
        (lambda image, **more: cf.gaussian(image, 1.7, **more), cf.templates.gaussian(sigma=1.7)),
        (lambda image, **more: cf.gaussian(image, (1, 2), 7, **more), cf.templates.gaussian(7, (1, 2))),
        (lambda image, **more: cf.second_derivative(image, **more), cf.templates.named("laplacian-4")),
    ],
)
def test_a_filter_is_a_kernel_and_a_geometry(image, smooth, kernel):
    np.testing.assert_array_equal(
        smooth(image, stride=(2, 3), padding=2, boundary="wrap", dtype="float32"),
        cf.correlate(image, kernel, stride=(2, 3), padding=2, boundary="wrap", dtype="float32"),
    )


def test_filters_reflect_and_correlation_puts_zeros(image):
    """The two defaults: photographs keep their borders, and the textbook's sums are the textbook's."""
    kernel = cf.templates.gaussian(sigma=2)
    zeros = cf.correlate(image, kernel, dtype="uint8")
    np.testing.assert_array_equal(zeros, cf.correlate(image, kernel, boundary="zero", dtype="uint8"))
    np.testing.assert_array_equal(zeros, cf.gaussian(image, 2, boundary="zero"))
    for result, same in [
        (cf.gaussian(image, 2), cf.gaussian(image, 2, boundary="reflect")),
        (cf.mean(image), cf.mean(image, boundary="reflect")),
        (cf.second_derivative(image), cf.second_derivative(image, boundary="reflect")),
    ]:
        np.testing.assert_array_equal(result, same)
    bright = np.full((20, 20), 200, np.uint8)
    assert cf.correlate(bright, kernel, dtype="uint8")[0, 0] < 100
    assert cf.gaussian(bright, 2)[0, 0] == 200


def test_a_gaussian_is_cut_at_four_sigma():
    impulse = np.zeros((61, 61))
    impulse[30, 30] = 1
    for sigma, half in ((1, 4), (1.1, 5), (3, 12)):
        rows, columns = np.nonzero(cf.gaussian(impulse, sigma))
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30 - half, 30 + half) * 2
        np.testing.assert_allclose(cf.gaussian(impulse, sigma).sum(), 1, rtol=1e-12)


def test_sigma_and_size_are_rows_first():
    impulse = np.zeros((41, 41))
    impulse[20, 20] = 1
    rows, columns = np.nonzero(cf.gaussian(impulse, (1, 3)))
    assert (np.ptp(rows), np.ptp(columns)) == (8, 24)
    rows, columns = np.nonzero(cf.mean(impulse, (5, 7)))
    assert (np.ptp(rows), np.ptp(columns)) == (4, 6)


def test_second_derivative_of_a_parabola():
    """Equation 7: x'' of t^2 is 2, along each axis and in their sum."""
    rows, columns = np.mgrid[:9, :12].astype(np.float64)
    inside = (slice(1, -1), slice(1, -1))
    parabola = 3 * rows**2 + 5 * columns**2
    assert (cf.second_derivative(parabola, "y")[inside] == 6).all()
    assert (cf.second_derivative(parabola, "x")[inside] == 10).all()
    assert (cf.second_derivative(parabola)[inside] == 16).all()
    dark = np.zeros((5, 5), np.uint8)
    dark[2, 2] = 200
    assert cf.second_derivative(dark).min() == -800


def test_convolution_slides_the_impulse_response():
    """Equations 1 to 5: an impulse gives back the kernel, which correlation turns."""
    signal = np.zeros(7)
    signal[3] = 1
    assert cf.convolve(signal, [1, 2, 3]).tolist() == [0, 0, 1, 2, 3, 0, 0]
    assert cf.correlate(signal, [1, 2, 3]).tolist() == [0, 0, 3, 2, 1, 0, 0]


def test_translation_equivariance(image):
    shifted = np.roll(image, (3, 5), axis=(0, 1))
    for smooth in (lambda x: cf.gaussian(x, 1.5, boundary="wrap"), lambda x: cf.mean(x, 5, boundary="wrap")):
        np.testing.assert_array_equal(smooth(shifted), np.roll(smooth(image), (3, 5), axis=(0, 1)))


@pytest.mark.parametrize("sigma", [5, 12, 40])
def test_the_fast_gaussian_is_near(sigma):
    impulse = np.zeros((160, 230), np.float32)
    impulse[80, 115] = 255
    photograph = pytest.importorskip("skimage.data").camera()
    for pixels in (impulse, photograph[:301, :333].astype(np.float32)):
        near, exact = cf.gaussian(pixels, sigma, accuracy="fast"), cf.gaussian(pixels, sigma)
        assert np.abs(near - exact).max() <= 0.5


# Outside witnesses


SCIPY_MODES = {
    "zero": "constant",
    "edge": "nearest",
    "reflect": "mirror",
    "symmetric": "reflect",
    "wrap": "wrap",
}


@pytest.mark.parametrize("boundary", SCIPY_MODES)
def test_scipy(image, boundary):
    ndimage = pytest.importorskip("scipy.ndimage")
    grey = image[:, :, 0].astype(np.float64)
    weights = promise.random_weights(np.random.default_rng(1), (5, 7), "signed")
    mode = SCIPY_MODES[boundary]
    np.testing.assert_allclose(
        cf.correlate(grey, weights, boundary=boundary),
        ndimage.correlate(grey, weights, mode=mode),
        atol=1e-10,
    )
    np.testing.assert_allclose(
        cf.convolve(grey, weights, boundary=boundary), ndimage.convolve(grey, weights, mode=mode), atol=1e-10
    )
    np.testing.assert_allclose(
        cf.gaussian(grey, 2, boundary=boundary),
        ndimage.gaussian_filter(grey, 2, mode=mode, truncate=4),
        atol=1e-10,
    )
    np.testing.assert_allclose(
        cf.mean(grey, (3, 5), boundary=boundary), ndimage.uniform_filter(grey, (3, 5), mode=mode), atol=1e-10
    )


def test_scipy_signal():
    signal = pytest.importorskip("scipy.signal")
    generator = np.random.default_rng(2)
    x, w = generator.standard_normal((9, 11)), generator.standard_normal((4, 3))
    for padding, mode in (("narrow", "valid"), ("wide", "full")):
        np.testing.assert_allclose(
            cf.convolve(x, w, padding=padding), signal.convolve2d(x, w, mode), atol=1e-12
        )


def test_opencv(image):
    cv2 = pytest.importorskip("cv2")
    pixels = image.astype(np.float32)
    weights = promise.random_weights(np.random.default_rng(1), (5, 7), "signed")
    close = {"rtol": 0, "atol": 2e-4}
    np.testing.assert_allclose(
        cf.correlate(pixels, weights, boundary="reflect"), cv2.filter2D(pixels, -1, weights), **close
    )
    np.testing.assert_allclose(cf.mean(pixels, (3, 5)), cv2.blur(pixels, (5, 3)), **close)
    np.testing.assert_allclose(cf.gaussian(pixels, 2, 17), cv2.GaussianBlur(pixels, (17, 17), 2), **close)
    np.testing.assert_allclose(cf.second_derivative(pixels), cv2.Laplacian(pixels, cv2.CV_32F), **close)
    sobel = cf.correlate(pixels, cf.templates.named("sobel-x"), boundary="reflect")
    np.testing.assert_allclose(sobel, cv2.Sobel(pixels, cv2.CV_32F, 1, 0), **close)


def test_scikit_image(image):
    filters = pytest.importorskip("skimage.filters")
    grey = image[:, :, 0].astype(np.float64)
    np.testing.assert_allclose(
        cf.gaussian(grey, 2), filters.gaussian(grey, 2, mode="mirror", truncate=4), atol=1e-10
    )


@pytest.mark.parametrize("geometry", [
    {"padding": 0}, {"padding": (2, 1)}, {"stride": (2, 3), "padding": 1}, {"dilation": (2, 1), "padding": 2},
])  # fmt: skip
def test_pytorch(image, geometry):
    torch = pytest.importorskip("torch")
    weights = promise.random_weights(np.random.default_rng(1), (3, 5), "signed")
    x = torch.from_numpy(np.moveaxis(image, -1, 0)[:, None].astype(np.float64))
    wanted = torch.nn.functional.conv2d(x, torch.from_numpy(weights)[None, None], **geometry)
    found = cf.correlate(image.astype(np.float64), weights, **geometry)
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), wanted[:, 0].numpy(), atol=1e-10)


# Pooling


@st.composite
def poolings(draw):
    """An image, a window, a stride and a padding of at most half the window."""
    dtype = draw(st.sampled_from(DTYPES))
    dimensions = draw(st.sampled_from([1, 2, 3]))
    side = st.one_of(st.integers(1, 12), st.sampled_from([33, 70]))
    shape = (draw(side), draw(side), draw(st.integers(1, 5)))[:dimensions]
    image = promise.random_image(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), shape, dtype)
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw(st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    padding = tuple(tuple(draw(st.integers(0, taps // 2)) for _ in range(2)) for taps in size)
    return image, size, stride, padding


def pooled(image, size, stride, padding, function):
    """Equations 36 and 37, window by window, over the pixels that are there."""
    flat = image.ndim == 1
    image = image[None] if flat else image
    if flat:
        size, stride, padding = (1, size[1]), (1, (stride or size)[1]), ((0, 0), padding[1])
    stride = stride or size
    windows = []
    for axis in (0, 1):
        outputs = (image.shape[axis] + sum(padding[axis]) - size[axis]) // stride[axis] + 1
        starts = [output * stride[axis] - padding[axis][0] for output in range(max(outputs, 0))]
        windows.append([slice(max(start, 0), start + size[axis]) for start in starts])
    rows = [[function(image[down, across], axis=(0, 1)) for across in windows[1]] for down in windows[0]]
    return np.array(rows)[0] if flat and rows else np.array(rows)


@given(poolings(), st.sampled_from([1, 2]))
@settings(deadline=None, max_examples=200)
def test_pooling(pooling, threads):
    image, size, stride, padding = pooling
    pads = padding[1] if image.ndim == 1 else padding
    for pool, function in ((cf.max_pool, np.max), (cf.mean_pool, np.mean)):
        wanted = pooled(image.astype(np.float64), size, stride, padding, function)
        if wanted.size == 0:
            with pytest.raises(cf.CnnFilterError, match="empty"):
                pool(image, size, stride, pads)
            continue
        found = pool(image, size, stride, pads, threads=threads)
        assert found.dtype == image.dtype and found.shape == wanted.shape
        if found.dtype.kind != "f":
            wanted = np.rint(wanted)
        scale = np.abs(image.astype(np.float64)).max()
        limit = {"f4": 1e-6, "f8": 1e-14}.get(found.dtype.str[1:], 0)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=limit * scale)


def test_pooling_windows_default_to_their_own_size():
    image = np.arange(36, dtype=np.uint8).reshape(6, 6)
    assert cf.max_pool(image).tolist() == [[7, 9, 11], [19, 21, 23], [31, 33, 35]]
    assert cf.max_pool(image, 3).tolist() == [[14, 17], [32, 35]]
    assert cf.max_pool(image, 3, 1).shape == (4, 4)


def test_max_pooling_of_negative_values_ignores_the_padding():
    image = np.full((4, 4), -5, np.int16)
    assert (cf.max_pool(image, 3, 2, 1) == -5).all()
    assert (cf.mean_pool(image, 3, 2, 1) == -5).all()


def test_max_pooling_keeps_what_is_not_a_number():
    image = np.zeros((4, 6), np.float32)
    image[1, 2] = np.nan
    assert np.isnan(cf.max_pool(image)).tolist() == [[False, True, False], [False, False, False]]


def test_pooling_pytorch(image):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(np.moveaxis(image, -1, 0).astype(np.float64))
    for size, stride, padding in (((2, 2), (2, 2), (0, 0)), ((3, 5), (2, 1), (1, 2))):
        found = np.moveaxis(cf.max_pool(image, size, stride, padding), -1, 0)
        wanted = torch.nn.functional.max_pool2d(x, size, stride, padding)
        np.testing.assert_array_equal(found, wanted.numpy())
        average = torch.nn.functional.avg_pool2d(x, size, stride, padding, count_include_pad=False)
        found = np.moveaxis(cf.mean_pool(image.astype(np.float64), size, stride, padding), -1, 0)
        np.testing.assert_allclose(found, average.numpy(), atol=1e-12)


def test_pooling_of_an_image_narrower_than_its_padding_writes_its_output_alone():
    """A window at the side began behind the last output, and the row after it was overwritten."""
    for shape in ((3,), (4, 3), (3, 4, 5)):
        image = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
        pads = (2, 0) if image.ndim == 1 else ((0, 0), (2, 0)) if shape[1] == 3 else ((2, 0), (0, 0))
        size = (5, 1) if shape[0] == 3 and image.ndim > 1 else (1, 5)
        for pool in (cf.mean_pool, cf.max_pool):
            assert pool(image, size, 1, pads).size == image.size // 3


def test_sizes_and_paddings_of_a_signal():
    """Of pairs the columns' number counts, and all filters read them alike."""
    signal = np.arange(20.0)
    np.testing.assert_array_equal(cf.gaussian(signal, 1, [3, 5]), cf.gaussian(signal, 1, (3, 5)))
    np.testing.assert_array_equal(cf.gaussian(signal, 1, (3, 5)), cf.gaussian(signal, 1, 5))
    with pytest.raises(cf.CnnFilterError, match="has 3 numbers"):
        cf.gaussian(signal, 1, (3, 5, 7))
    with pytest.raises(cf.CnnFilterError, match="has 3 numbers"):
        cf.correlate(signal, [1, 2], stride=(1, 2, 3))
    for padding in (1, (1, 1), ((0, 0), (1, 1))):
        assert len(cf.max_pool(signal, 3, 1, padding)) == len(
            cf.correlate(signal, [1, 2, 1], padding=padding)
        )
