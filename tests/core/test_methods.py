"""Every method keeps the same promise: one test holds them all against the float64 reference."""

from functools import cache

import numpy as np
import promise
import pytest

import cnnfilter as cf
from cnnfilter.core.plan import METHODS
from cnnfilter.errors import ParameterError

pytestmark = pytest.mark.usefixtures("fenced", "as_many_threads_as_asked_for")


EXACT_METHODS = tuple(method for method in METHODS if method != "recursive")

PAIRS = (
    ("uint8", "uint8"),
    ("uint8", "float32"),
    ("uint16", "uint16"),
    ("int16", "float32"),
    ("float32", "float32"),
    ("float32", "uint8"),
    ("float64", "float64"),
)

SHAPES = (
    *[(height, 67) for height in range(1, 10)],
    (40, 1), (3, 5), (17, 63), (9, 64), (33, 65), (70, 131), (41, 513), (12, 1030),
    (1, 21, 3), (37, 22, 3), (19, 171, 3), (5, 40, 4), (8, 200, 2), (6, 3, 5),
)  # fmt: skip


def kernels():
    """Kernels of every kind that a method is made for; none is symmetric where its method allows that."""
    generator = np.random.default_rng(4)
    column, row = generator.uniform(-1, 1, 5), generator.uniform(-1, 1, 7)
    second = np.outer(generator.uniform(-1, 1, 5), generator.uniform(-1, 1, 7))
    yield "dense signed 3x4", promise.random_weights(generator, (3, 4), "signed")
    yield "dense mean 5x3", promise.random_weights(generator, (5, 3), "mean")
    yield "whole 3x3 with zeros", np.array([[-1.0, 0, 2], [0, 4, -3], [1, 0, 0]])
    yield "rank 1 signed 5x7", np.outer(column, row)
    yield "rank 1 mean 4x5", np.outer([0.1, 0.2, 0.3, 0.4], [0.3, 0.25, 0.2, 0.15, 0.1])
    yield "rank 2 signed 5x7", np.outer(column, row) + 0.3 * second
    yield "box 3x5", np.full((3, 5), 1 / 15)
    yield "box 6x1", np.full((6, 1), 1 / 6)
    yield "dense signed 21x18", promise.random_weights(generator, (21, 18), "signed")


KERNELS = dict(kernels())


@cache
def example(source, shape, kernel):
    """Return an image, a boundary and the float64 reference, which serves all methods."""
    number = SHAPES.index(shape)
    image = promise.random_image(np.random.default_rng(number), shape, source)
    boundary = ("zero", "reflect", "wrap", "edge")[number % 4]
    return image, boundary, promise.exact(image, KERNELS[kernel], boundary=boundary)


def applies(method, weights, image, target):
    """Tell whether a method can be forced; the message of one that cannot names it."""
    try:
        plan = cf.explain(image.shape, image.dtype, weights, output=target, method=method)
    except ParameterError as error:
        assert method in str(error)
        return False
    assert plan.method == method
    return True


@pytest.mark.parametrize("method", EXACT_METHODS)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_method_keeps_the_promise(method, source, target):
    tolerance = 1e-5 if method == "fft" else 1e-6
    tried = 0
    for shape in SHAPES:
        for name, weights in KERNELS.items():
            image, boundary, wanted = example(source, shape, name)
            if not applies(method, weights, image, target):
                continue
            tried += 1
            scale = np.abs(weights).sum() * np.abs(image.astype(np.float64)).max()
            for threads in (1, 2):
                result = cf.correlate(
                    image, weights, boundary=boundary, dtype=target, method=method, threads=threads
                )
                assert result.dtype == target
                promise.assert_kept(result, wanted, scale, tolerance)
    nowhere = (("running sums", "float64", "float64"), ("low rank", "float32", "uint8"))
    assert tried or (method, source, target) in nowhere


@pytest.mark.parametrize("method", EXACT_METHODS)
def test_every_method_obeys_the_geometry_or_says_that_it_cannot(method):
    generator = np.random.default_rng(7)
    image = promise.random_image(generator, (23, 70), "float32")
    tried = 0
    for weights in KERNELS.values():
        for stride in ((1, 1), (2, 3)):
            for dilation in ((1, 1), (2, 1)):
                for padding in ("same", "narrow", "wide", ((0, 3), (2, 1))):
                    geometry = {"stride": stride, "dilation": dilation, "padding": padding}
                    try:
                        result = cf.correlate(image, weights, method=method, **geometry)
                    except ParameterError as error:
                        assert "cannot be used here" in str(error) or "empty" in str(error)
                        continue
                    tried += 1
                    scale = np.abs(weights).sum() * np.abs(image).max()
                    wanted = promise.exact(image, weights, **geometry)
                    promise.assert_kept(result, wanted, scale, 1e-5 if method == "fft" else 1e-6)
    assert tried


@pytest.mark.parametrize("method", EXACT_METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_as_far_as_the_kernel(method, value):
    generator = np.random.default_rng(1)
    weights = np.full((3, 5), 1 / 15)
    if method == "low rank":
        weights = KERNELS["rank 2 signed 5x7"]
    clean = promise.random_image(generator, (30, 90), "float32")
    image = clean.copy()
    image[13, 41] = value
    rows, columns = (side // 2 for side in weights.shape)
    reached = np.zeros(image.shape, bool)
    reached[13 - rows : 13 + rows + 1, 41 - columns : 41 + columns + 1] = True
    for threads in (1, 2):
        result = cf.correlate(image, weights, method=method, threads=threads)
        assert not np.isfinite(result[reached]).any()
        with np.errstate(invalid="ignore"):
            # As far as there are weights of one sign only, an infinity is one, and not the lack of a number.
            infinite = promise.exact(image, weights)
        np.testing.assert_array_equal(np.isnan(result), np.isnan(infinite))
        wanted = promise.exact(clean, weights)
        scale = np.abs(weights).sum() * np.abs(clean).max()
        off = np.abs(result - wanted)[~reached]
        assert np.isfinite(off).all()
        assert off.max() <= (1e-5 if method == "fft" else 1e-6) * scale


@pytest.mark.parametrize("method", EXACT_METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int8", "int32"])
def test_nan_is_0_in_a_whole_number(method, dtype):
    image = np.full((20, 70), np.nan, np.float32)
    image[:, 50:] = 100
    if method == "low rank":
        with pytest.raises(ParameterError, match="a whole number does not show it"):
            cf.correlate(image, KERNELS["rank 2 signed 5x7"], method=method, dtype=np.uint8)
        return
    weights = np.full((3, 5), 1 / 15)
    result = cf.correlate(image, weights, method=method, dtype=dtype, boundary="edge")
    assert (result[:, :40] == 0).all() and (result[:, 60:] == 100).all()


def test_extreme_weights_are_summed_in_float64():
    """float32 held them as 0 or infinity."""
    for method in ("direct", "separable", "fft"):
        nothing = np.zeros((20, 30), np.float32)
        assert (cf.correlate(nothing, np.full((3, 3), 1e39), method=method) == 0).all()
        for weight, pixel in ((1e39, 1e-5), (1e-50, 1e30), (1e30, 1e-20)):
            image = np.full((20, 30), pixel, np.float32)
            found = cf.correlate(image, np.full((3, 3), weight), method=method)
            np.testing.assert_allclose(found[5:-5, 5:-5], 9 * weight * pixel, rtol=1e-6)
    column, row = np.array([1e-30, 2e-30, 1e-30]), np.array([1e30, 2e30, 3e30])
    found = cf.correlate(np.ones((9, 9), np.float32), np.outer(column, row), method="separable")
    assert found[4, 4] == pytest.approx(24)


@pytest.mark.parametrize("side", [1001, 257])
def test_means_of_floats_over_long_sides(side):
    image = np.random.default_rng(side).standard_normal((9, 11)).astype(np.float32)
    found = cf.mean(image, (3, side), method="running sums", boundary="wrap")
    weights = np.full((3, side), 1 / (3 * side))
    np.testing.assert_allclose(found, promise.exact(image, weights, boundary="wrap"), atol=1e-6)
