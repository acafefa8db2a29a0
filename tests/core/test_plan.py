"""The plan: what is chosen, what is refused, and what it says about itself."""

import dataclasses
import json
import pickle

import numpy as np
import promise
import pytest

import cnnfilter as cf
from cnnfilter.core.plan import METHODS
from cnnfilter.errors import ParameterError

SHAPE = (1000, 1000)


@pytest.mark.parametrize(
    ("kernel", "method"),
    [
        (cf.templates.named("laplacian-8"), "direct"),
        (cf.templates.gaussian(sigma=4), "separable"),
        (cf.templates.mean(31), "separable"),
        (cf.templates.mean(255), "running sums"),
        (promise.random_weights(np.random.default_rng(0), (101, 101), "signed"), "fft"),
    ],
)
def test_the_cheapest_method_is_chosen(kernel, method):
    plan = cf.explain(SHAPE, "float32", kernel)
    assert plan.method == method
    for other in METHODS:
        try:
            forced = cf.explain(SHAPE, "float32", kernel, method=other)
        except ParameterError:
            continue
        assert forced.method == other
        assert forced.cost >= plan.cost


def test_low_rank_is_taken_where_it_pays():
    generator = np.random.default_rng(1)
    kernel = sum(np.outer(generator.uniform(-1, 1, 25), generator.uniform(-1, 1, 25)) for _ in range(2))
    plan = cf.explain(SHAPE, "uint8", kernel, method="low rank")
    assert "rank 2" in plan.reason
    assert plan.operations == 100


@pytest.mark.parametrize(
    ("method", "kernel", "more", "why"),
    [
        ("separable", [[1, 2], [3, 5]], {}, "product"),
        ("low rank", [[1, 2], [2, 4]], {}, "rank 1"),
        ("running sums", [[1, 2], [2, 4]], {}, "not all the same"),
        ("running sums", np.full((3, 3), 1 / 9), {"stride": 2}, "stride"),
        ("running sums", np.full((3, 3), 1 / 9), {"dilation": 2}, "dilation"),
        ("fft", [[1, 2], [3, 5]], {"stride": 2}, "stride"),
        ("recursive", [[1, 2], [3, 5]], {}, ""),
    ],
)
def test_a_forced_method_is_obeyed_or_refused_with_the_reason(method, kernel, more, why):
    with pytest.raises(ParameterError) as caught:
        cf.explain(SHAPE, "float32", kernel, method=method, **more)
    assert f"method {method!r} cannot be used here" in str(caught.value) and why in str(caught.value)
    with pytest.raises(ParameterError, match="cannot be used here"):
        cf.correlate(np.zeros((9, 9), np.float32), kernel, method=method, **more)


def test_nothing_approximate_is_chosen_unasked():
    for sigma in (1, 4, 30, 200):
        for dtype in ("uint8", "float32"):
            assert cf.explain((3000, 3000), dtype, cf.templates.gaussian(sigma=sigma)).method != "recursive"


@pytest.mark.parametrize(
    ("shape", "sigma", "method"),
    [
        ((512, 512, 3), 8, "separable"),
        ((512, 512, 3), 12, "recursive"),
        ((4000, 6000, 3), 12, "separable"),
        ((4000, 6000, 3), 20, "recursive"),
    ],
)
def test_an_approximation_is_taken_where_it_is_faster(shape, sigma, method):
    kernel = cf.templates.gaussian(sigma=sigma)
    assert cf.explain(shape, "uint8", kernel, output="uint8", accuracy="fast").method == method


def test_the_plan_is_about_the_geometry():
    plan = cf.explain(
        (480, 640, 3), "uint8", np.ones((4, 7)), stride=(2, 3), dilation=(1, 2), boundary="wrap"
    )
    assert plan.output_shape == (240, 214, 3)
    assert plan.padding == ((1, 2), (6, 6))
    assert (plan.stride, plan.dilation, plan.boundary, plan.dtype) == ((2, 3), (1, 2), "wrap", "float32")


def test_the_plan_of_a_signal():
    plan = cf.explain((100,), "float64", [1, 2, 1], padding="wide", stride=3)
    assert plan.output_shape == (34,)
    assert plan.padding == ((0, 0), (2, 2))
    assert plan.dtype == "float64"


def test_the_plan_reads_well():
    plan = cf.explain((480, 640), "uint8", cf.templates.gaussian(sigma=3), output="uint8")
    text = plan.text()
    for part in (
        plan.method,
        plan.reason,
        "25x25",
        "480x640 uint8",
        "top 12, bottom 12",
        "float",
        "multiply-adds",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 120
    assert json.loads(json.dumps(plan.as_dict()))["method"] == plan.method
    assert plan.cost > 0 and plan.operations > 0 and 0 < plan.error < 1e-5


def test_a_plan_never_changes():
    plan = cf.explain((9, 9), "uint8", [[1]])
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.method = "fft"


def test_zero_weights_cost_nothing():
    kernel = np.zeros((9, 9))
    kernel[::4, ::4] = [[1, 2, 3], [4, 6, 6], [7, 8, 9]]
    plan = cf.explain(SHAPE, "float32", kernel, method="direct")
    assert plan.operations == 9
    assert "72 zero weights" in plan.reason


@pytest.mark.parametrize("sigma", [0.8, 2, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_stated_error_holds(sigma, dtype):
    kernel = cf.templates.gaussian(sigma=sigma)
    image = promise.random_image(np.random.default_rng(0), (60, 80), dtype)
    wanted = promise.exact(image, kernel.array)
    scale = np.abs(kernel.array).sum() * np.abs(image).max()
    for method in METHODS:
        try:
            plan = cf.explain(image.shape, dtype, kernel, method=method)
        except ParameterError:
            continue
        off = np.abs(cf.correlate(image, kernel, method=method) - wanted).max()
        # The reference itself is float64.
        assert off <= (plan.error + 1e-15) * scale, method


@pytest.mark.parametrize("side", [31, 71, 301])
def test_float_sums_keep_four_digits_however_many_there_are(side):
    kernel = promise.random_weights(np.random.default_rng(0), (side, side), "signed")
    for method in ("auto", "direct"):
        assert cf.explain((4000, 4000), "float32", kernel, method=method).error < 1e-4


def test_a_recursive_gaussian_is_refused_where_it_is_off_by_more_than_half_a_grey_level():
    """The tails that a small template has not, it has."""
    kernel = cf.templates.gaussian(61, sigma=10)
    options = {"accuracy": "fast", "sigmas": (10, 10)}
    with pytest.raises(
        ParameterError, match=r"it would be off by up to 2\.3 of 255 grey levels; at most 0\.5"
    ):
        cf.explain(SHAPE, "uint8", kernel, method="recursive", **options)
    assert cf.explain(SHAPE, "uint8", kernel, **options).method != "recursive"


@pytest.mark.parametrize(
    ("more", "value"),
    [({"accuracy": "rough"}, "'rough'"), ({"method": "magic"}, "'magic'"), ({"boundary": "x"}, "'x'")],
)
def test_unknown_names(more, value):
    with pytest.raises(ParameterError, match=value):
        cf.explain((9, 9), "uint8", [[1]], **more)


def test_an_approximation_is_explained_as_it_runs():
    """A Gaussian kernel carries its sigmas, so that whoever is given it plans as the filter does."""
    kernel = cf.templates.gaussian(sigma=12)
    image = np.random.default_rng(0).integers(0, 256, (200, 210), np.uint8)
    for given in (kernel, kernel.rotated(), pickle.loads(pickle.dumps(kernel))):
        plan = cf.explain(image.shape, image.dtype, given, output="uint8", accuracy="fast")
        assert plan.method == "recursive"
    fast = cf.gaussian(image, 12, accuracy="fast")
    forced = cf.correlate(
        image, kernel, boundary="reflect", dtype="uint8", accuracy="fast", method="recursive"
    )
    np.testing.assert_array_equal(fast, forced)
    assert (fast != cf.gaussian(image, 12)).any()
    assert (
        cf.explain(image.shape, image.dtype, cf.Kernel(kernel.weights), accuracy="fast").method != "recursive"
    )
