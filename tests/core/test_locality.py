"""Locality: a value depends on the pixels under the kernel, and on nothing else, to the last bit."""

import numpy as np
import promise
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import cnnfilter as cf
from cnnfilter.core.boundary import index_map
from cnnfilter.core.geometry import make_geometry
from cnnfilter.errors import ParameterError

pytestmark = pytest.mark.usefixtures("fenced", "as_many_threads_as_asked_for")

METHODS = ("auto", "direct", "separable", "low rank", "running sums")
OUTLIERS = {"float32": -3.4e38, "float64": -1e300, "uint8": 255, "uint16": 65535, "int16": -32768}


@st.composite
def filterings(draw):
    """Draw an image, a kernel of any kind, and how it is laid over the image."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(sorted(OUTLIERS)))
    shape = draw(st.tuples(st.integers(1, 70), st.integers(1, 150)))
    channels = draw(st.sampled_from([None, None, 2, 3]))
    image = promise.random_image(generator, shape if channels is None else (*shape, channels), dtype)
    rows, columns = draw(st.tuples(st.integers(1, 11), st.integers(1, 11)))
    weights = {
        "dense": lambda: generator.standard_normal((rows, columns)),
        "holes": lambda: (
            generator.standard_normal((rows, columns)) * (generator.random((rows, columns)) < 0.4)
        ),
        "separable": lambda: np.outer(generator.random(rows), generator.random(columns)),
        "mean": lambda: np.full((rows, columns), 1 / (rows * columns)),
        "sum 1": lambda: promise.random_weights(generator, (rows, columns), "mean"),
    }[draw(st.sampled_from(["dense", "holes", "separable", "mean", "sum 1"]))]()
    geometry = {
        "stride": draw(st.tuples(*[st.integers(1, 3)] * 2)),
        "dilation": draw(st.tuples(*[st.integers(1, 2)] * 2)),
        "padding": draw(st.sampled_from(["same", "narrow", "wide"])),
        "boundary": draw(st.sampled_from(["zero", "edge", "reflect", "symmetric", "wrap", "renormalize"])),
    }
    target = draw(st.sampled_from([None, "float64", "uint8", "int16"]))
    return image, weights, {**geometry, "dtype": target, "method": draw(st.sampled_from(METHODS))}


def result_of(image, weights, **call):
    """Filter, or leave out what no method or geometry allows, and transforms, which promise less."""
    options = {name: value for name, value in call.items() if name not in ("dtype", "threads")}
    try:
        plan = cf.explain(image.shape, image.dtype, weights, output=call["dtype"], **options)
        assume(plan.method != "fft")
        with np.errstate(over="ignore"):
            return cf.correlate(image, weights, **call)
    except ParameterError:
        assume(False)


@given(filterings(), st.integers(2, 5))
@settings(deadline=None, max_examples=150)
def test_bits_are_the_same_for_every_number_of_threads(filtering, threads):
    image, weights, call = filtering
    alone = result_of(image, weights, threads=1, **call)
    np.testing.assert_array_equal(result_of(image, weights, threads=threads, **call), alone)


@given(filterings(), st.data())
@settings(deadline=None, max_examples=300)
def test_a_changed_pixel_changes_nothing_beyond_the_kernel(filtering, data):
    image, weights, call = filtering
    before = result_of(image, weights, **call)
    place = tuple(data.draw(st.integers(0, side - 1)) for side in image.shape[:2])
    changed = image.copy()
    changed[place] = OUTLIERS[image.dtype.name]
    after = result_of(changed, weights, **call)
    # Where the reach of the kernel meets the pixel, by the same geometry and a boundary that tells.
    touched = np.zeros(image.shape[:2])
    touched[place] = 1
    geometry = {name: call[name] for name in ("stride", "dilation", "padding", "boundary")}
    if geometry["boundary"] == "renormalize":
        geometry["boundary"] = "zero"
    # A sum of separable terms meets the zeros of a kernel too; the others do not even read there.
    options = {name: value for name, value in call.items() if name != "dtype"}
    plan = cf.explain(image.shape, image.dtype, weights, output=call["dtype"], **options)
    support = np.ones(weights.shape) if plan.method == "low rank" else (weights != 0).astype(float)
    far = cf.correlate(touched, support, method="direct", **geometry) == 0
    np.testing.assert_array_equal(after[far], before[far])


@given(filterings(), st.data())
@settings(deadline=None, max_examples=200)
def test_tiles_have_the_bits_of_the_whole(filtering, data):
    """A tile is filtered from the padded pixels that it needs, with no word of its place."""
    image, weights, call = filtering
    assume(call["boundary"] != "renormalize")
    whole = result_of(image, weights, **call)
    geometry = make_geometry(
        image.shape[:2], weights.shape, call["stride"], call["padding"], call["dilation"]
    )
    cuts = []
    for axis, size in zip((geometry.rows, geometry.columns), whole.shape, strict=False):
        first = data.draw(st.integers(0, size - 1))
        last = data.draw(st.integers(first + 1, size))
        places = index_map(axis.length, axis.before, axis.after, call["boundary"])
        start = first * axis.stride
        cuts.append(
            (slice(first, last), places[start : start + (last - first - 1) * axis.stride + axis.reach])
        )
    (rows, down), (columns, across) = cuts
    pixels = image[np.maximum(down, 0)][:, np.maximum(across, 0)]
    pixels[down < 0] = 0
    pixels[:, across < 0] = 0
    tile = cf.correlate(pixels, weights, **{**call, "padding": "narrow", "boundary": "zero"})
    np.testing.assert_array_equal(tile, whole[rows, columns])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outlier", [-3.4e38, -9999.0, np.nan, np.inf])
def test_one_value_in_a_corner_harms_no_pixel_beyond_its_reach(dtype, outlier):
    generator = np.random.default_rng(5)
    clean = (generator.random((120, 150)) * 40 + 300).astype(dtype)
    image = clean.copy()
    image[:3, :4] = outlier
    for reach, smooth in (
        (8, lambda x: cf.gaussian(x, 2)),
        (40, lambda x: cf.gaussian(x, 10)),
        (7, lambda x: cf.mean(x, 15)),
        (15, lambda x: cf.mean(x, 31)),
        (1, lambda x: cf.second_derivative(x)),
        (8, lambda x: cf.gaussian(x, 2, boundary="renormalize")),
    ):
        with np.errstate(all="ignore"):
            result, wanted = smooth(image), smooth(clean)
        np.testing.assert_array_equal(result[3 + reach :], wanted[3 + reach :])
        np.testing.assert_array_equal(result[:, 4 + reach :], wanted[:, 4 + reach :])


@pytest.mark.parametrize("outlier", [-3.4e38, 1e9, np.nan, -np.inf])
def test_transforms_keep_to_two_reaches(outlier):
    generator = np.random.default_rng(6)
    weights = promise.random_weights(generator, (21, 25), "signed")
    clean = generator.random((400, 380)).astype(np.float32)
    image = clean.copy()
    image[200, 190] = outlier
    with np.errstate(all="ignore"):
        result = cf.correlate(image, weights, boundary="reflect", method="fft")
    wanted = promise.exact(clean, weights, boundary="reflect")
    far = np.ones(image.shape, bool)
    far[200 - 40 : 200 + 41, 190 - 48 : 190 + 49] = False
    bound = cf.explain(image.shape, "float32", weights, method="fft").error * np.abs(weights).sum()
    assert np.abs(result - wanted)[far].max() <= bound


def test_transforms_leave_dark_places_dark():
    """Rounding of bright pixels in the same tile is no part of an answer of 0."""
    weights = promise.random_weights(np.random.default_rng(7), (19, 19), "signed")
    image = np.zeros((500, 300), np.float32)
    image[:100] = 1e6
    result = cf.correlate(image, weights, method="fft")
    assert not result[100 + 40 :].any()


def test_transforms_are_the_same_for_every_number_of_threads():
    generator = np.random.default_rng(8)
    weights = promise.random_weights(generator, (15, 17), "signed")
    for shape in ((700, 530), (333, 210, 3)):
        image = generator.random(shape, dtype=np.float32)
        results = [cf.correlate(image, weights, method="fft", threads=threads) for threads in (1, 2, 3)]
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("shape", [(20, 30), (300, 400)])
def test_whole_numbers_are_exact_whatever_the_size(shape):
    generator = np.random.default_rng(9)
    image = generator.integers(0, 256, shape, np.uint8)
    mean = cf.mean(image, 5, dtype="float64")
    wanted = promise.exact(image, np.ones((5, 5)), boundary="reflect") / 25
    np.testing.assert_allclose(mean, wanted, rtol=1e-15)
    weights = generator.integers(-9, 10, (9, 9)).astype(float)
    for target in ("float64", "int16", "uint8"):
        result = cf.correlate(image, weights, dtype=target)
        wanted = promise.exact(image, weights)
        if target != "float64":
            limits = np.iinfo(target)
            wanted = np.clip(wanted, limits.min, limits.max)
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("size", [(9, 9), (31, 31), (25, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_a_kernel_of_sum_0_gives_0_on_a_constant_of_whole_numbers(dtype, size):
    weights = np.random.default_rng(10).integers(-9, 10, size).astype(float)
    weights[0, 0] -= weights.sum()
    image = np.full((90, 120), 201, dtype)
    for target in (None, "float64", "int16"):
        assert not cf.correlate(image, weights, boundary="reflect", dtype=target).any()
