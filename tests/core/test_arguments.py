"""What the filters take: types, lists, outputs, a boundary for each axis, constants, sigma 0."""

import tracemalloc

import naive
import numpy as np
import promise
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnfilter as cf

WIDE = ("int32", "uint32", "int64", "uint64")
OTHERS = ("bool", "int8", "float16", *WIDE)
BOUNDARIES = ("zero", "constant", "edge", "reflect", "symmetric", "wrap")
SMOOTH = (
    lambda image, **more: cf.mean(image, (3, 5), **more),
    lambda image, **more: cf.gaussian(image, 1.3, **more),
)


def image_of(dtype, shape=(19, 23)):
    generator = np.random.default_rng(4)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return generator.random(shape) < 0.5
    if dtype.itemsize == 8 and dtype.kind in "iu":
        return generator.integers(-(2**53) if dtype.kind == "i" else 0, 2**53, shape, dtype, endpoint=True)
    return promise.random_image(generator, shape, dtype)


@pytest.mark.parametrize("dtype", OTHERS)
def test_correlation_of_other_types(dtype):
    image = image_of(dtype)
    weights = promise.random_weights(np.random.default_rng(1), (3, 5), "signed")
    found = cf.correlate(image, weights)
    assert found.dtype == ("float64" if dtype in WIDE else "float32")
    wanted = promise.exact(image, weights)
    scale = np.abs(weights).sum() * np.abs(image.astype(np.float64)).max()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=(1e-12 if dtype in WIDE else 1e-6) * scale)
    assert cf.convolve(image, weights).dtype == found.dtype == cf.second_derivative(image).dtype
    assert cf.explain(image.shape, dtype, weights).dtype == found.dtype


@pytest.mark.parametrize("smooth", SMOOTH)
@pytest.mark.parametrize("dtype", OTHERS)
def test_smoothing_keeps_the_type(dtype, smooth):
    image = image_of(dtype)
    found, exact = smooth(image), smooth(image.astype(np.float64))
    assert found.dtype == ("float32" if dtype == "bool" else dtype)
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, exact, rtol=1e-3 if dtype == "float16" else 1e-6, atol=1e-5)
    else:
        np.testing.assert_array_equal(found.astype(np.float64), np.rint(exact))


@pytest.mark.parametrize("smooth", SMOOTH)
@pytest.mark.parametrize("dtype", OTHERS)
def test_constants_pass_unchanged(dtype, smooth):
    for value in {bool: [1], np.dtype("float16"): [0.1, 65504]}.get(np.dtype(dtype).type, [1, 113]):
        image = np.full((9, 11), value, dtype)
        np.testing.assert_array_equal(smooth(image), image)


@pytest.mark.parametrize("target", [*OTHERS, "uint8", "uint16", "int16"])
@pytest.mark.parametrize("source", ["uint8", "int32", "float32", "float64"])
def test_integer_results_round_half_to_even_and_saturate(source, target):
    signal = np.array([0, 1, 2, 3, 5, 7, 250], source)
    halves = np.array([0, 0.5, 1, 1.5, 2.5, 3.5, 125])
    if target == "float16":
        np.testing.assert_array_equal(cf.correlate(signal, [0.5], dtype=target), halves.astype(target))
        return
    limits = (0, 1) if target == "bool" else (np.iinfo(target).min, np.iinfo(target).max)
    found = cf.correlate(signal, [0.5], dtype=target)
    assert found.dtype == target
    assert found.tolist() == [min(int(value), limits[1]) for value in np.rint(halves)]
    for sign, limit in zip((-1, 1), limits, strict=True):
        assert (cf.correlate(signal[1:], [sign * 1e30], dtype=target) == limit).all()


def test_lists_are_float64():
    assert cf.mean([1, 2, 6]).tolist() == [cf.mean(np.array([1.0, 2, 6]))[0], 3, cf.mean([1.0, 2, 6])[2]]
    for numbers in ([[1, 2], [3, 4]], ((True, False), (True, True)), [[1, 2.5]], [[2**53, -(2**53)]]):
        for function in (cf.mean, cf.gaussian, cf.max_pool if len(numbers) == 2 else cf.mean):
            found = function(numbers)
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found, function(np.array(numbers, np.float64)))


def test_byte_order_and_layout_do_not_matter():
    image = image_of("int32")
    wanted = cf.mean(image)
    for same in (
        image.astype(">i4"),
        np.asfortranarray(image),
        image[::-1][::-1],
        np.repeat(image, 2, 1)[:, ::2],
    ):
        np.testing.assert_array_equal(cf.mean(same), wanted)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int32", "float16"])
def test_output_array(dtype):
    image = image_of(dtype, (30, 40, 3))
    wanted = cf.gaussian(image, 2)
    out = np.zeros_like(wanted)
    assert cf.gaussian(image, 2, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    strided = np.zeros((60, 80, 3), dtype)[::2, ::2]
    np.testing.assert_array_equal(cf.gaussian(image, 2, out=strided), wanted)
    # An output that overlaps the image, exactly or shifted by a row.
    taken = image.copy()
    np.testing.assert_array_equal(cf.gaussian(taken, 2, out=taken), wanted)
    room = np.concatenate((image, image[:1]))
    assert np.array_equal(cf.gaussian(room[:-1], 2, out=room[1:]), wanted)
    pooled = np.zeros((15, 20, 3), dtype)
    assert cf.max_pool(image, out=pooled) is pooled and pooled.any()


def test_the_result_is_made_in_the_output_array():
    image, out = np.ones((1000, 1000, 3), np.float32), np.zeros((1000, 1000, 3), np.float32)
    cf.gaussian(image, 2, out=out)
    cf.release_memory()
    tracemalloc.start()
    try:
        cf.gaussian(image, 2, out=out)
        assert tracemalloc.get_traced_memory()[1] < out.nbytes / 2
    finally:
        tracemalloc.stop()


def test_a_hard_mask_is_no_place_for_a_result():
    out = np.ma.masked_all((3, 3))
    out.harden_mask()
    with pytest.raises(cf.CnnFilterError, match=r"hard mask.*soften_mask"):
        cf.correlate(np.ones((3, 3)), [[1]], out=out)


def test_masked_output():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    out = np.ma.zeros(image.shape, np.uint8)
    assert cf.mean(image, missing=image == 5, out=out) is out
    np.testing.assert_array_equal(out.mask, image == 5)


@given(
    st.tuples(st.integers(1, 8), st.integers(1, 8)), st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.sampled_from(BOUNDARIES), st.sampled_from(BOUNDARIES)),
    st.sampled_from([0, 9, -3.25, 1e5]), st.sampled_from(["uint8", "float32", "int64"]),
    st.tuples(st.integers(1, 2), st.integers(1, 3)), st.integers(0, 9), st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_a_boundary_for_each_axis(shape, taps, boundaries, constant, dtype, stride, padding, seed):
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 100, shape).astype(dtype)
    weights = generator.integers(-3, 4, taps).astype(np.float64)
    padded = image.astype(np.float64)
    for axis, name in enumerate(boundaries):
        padded = np.moveaxis(
            naive.padded(np.moveaxis(padded, axis, 0), padding, padding, name, constant), 0, axis
        )
    if any(size < tap for size, tap in zip(padded.shape, taps, strict=True)):
        return
    found = cf.correlate(
        image,
        weights,
        stride=stride,
        padding=padding,
        boundary=boundaries,
        constant=constant,
        dtype="float64",
    )
    np.testing.assert_allclose(found, naive.correlate(padded, weights, stride), rtol=1e-12, atol=1e-9)


def test_one_axis_may_be_renormalized():
    image = np.random.default_rng(2).random((12, 9))
    kernel = cf.templates.gaussian(sigma=1.5)
    for boundaries, axis in ((("renormalize", "wrap"), 1), (("wrap", "renormalize"), 0)):
        around = np.concatenate([image] * 3, axis)
        wide = cf.correlate(around, kernel, boundary="renormalize")
        part = (slice(None),) * axis + (slice(image.shape[axis], 2 * image.shape[axis]),)
        np.testing.assert_allclose(cf.correlate(image, kernel, boundary=boundaries), wide[part], rtol=1e-12)


def test_of_a_pair_of_boundaries_a_signal_has_the_second():
    signal = np.arange(5.0)
    np.testing.assert_array_equal(
        cf.mean(signal, boundary=("zero", "wrap")), cf.mean(signal, boundary="wrap")
    )


def test_constants_need_not_be_pixels():
    image = np.full((3, 4), 10, np.uint8)
    around = {"boundary": "constant", "constant": -2.5}
    assert cf.mean(image, 3, **around)[0, 0] == np.rint((4 * 10 - 5 * 2.5) / 9)
    assert cf.correlate(image, [[1, 0, 0]], **around).tolist() == [[-2.5, 10, 10, 10]] * 3
    assert cf.correlate(image, [[1, 0, 0]], **around).dtype == np.float32
    # A constant that is not a number of the type is used where it is asked for only.
    np.testing.assert_array_equal(cf.mean(image, constant="?"), cf.mean(image))


def test_sigma_0_smooths_nothing():
    for dtype in ("uint8", "float32", "float64", "int8"):
        image = image_of(dtype, (20, 30, 3))
        close = {"rtol": 1e-5 if dtype[0] == "f" else 0}
        np.testing.assert_allclose(cf.gaussian(image, 0), image, **close)
        np.testing.assert_allclose(cf.gaussian(image, (0, 0), accuracy="fast"), image, **close)
        columns = cf.templates.gaussian_taps(sigma=2)
        for sigma, weights in (((0, 2), columns[None]), ((2, 0), columns[:, None])):
            found, wanted = (
                cf.gaussian(image, sigma),
                cf.correlate(image, weights, boundary="reflect", dtype=dtype),
            )
            np.testing.assert_allclose(found, wanted, **close)
    assert cf.gaussian(np.arange(4.0), 0).tolist() == [0, 1, 2, 3]


def test_a_printed_plan_is_its_text():
    plan = cf.explain((480, 640), "int32", [[1, 2, 1]], boundary=("wrap", "edge"))
    assert str(plan) == plan.text()
    assert "wrap of rows, edge of columns" in str(plan) and "float64" in str(plan)
