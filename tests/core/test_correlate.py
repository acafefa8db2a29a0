"""Correlation and convolution of any array that a caller may have, against the float64 reference."""

import threading

import numpy as np
import promise
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnfilter as cf
from cnnfilter.core.boundary import BOUNDARIES
from cnnfilter.errors import ParameterError

pytestmark = pytest.mark.usefixtures("fenced", "as_many_threads_as_asked_for")


LAYOUTS = (
    "plain", "rows reversed", "columns reversed", "every other column", "every third row", "transposed",
    "read-only", "byte-swapped", "unaligned", "channels first", "repeated",
)  # fmt: skip

SIDES = st.one_of(st.integers(1, 12), st.sampled_from([16, 31, 64, 65, 130]))
SMALL = st.integers(1, 3)


def laid_out(image, layout):
    """Return an equal array that lies in memory in another way."""
    if layout == "rows reversed":
        return np.ascontiguousarray(image[::-1])[::-1]
    if layout == "columns reversed" and image.ndim > 1:
        return np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    if layout == "every other column" and image.ndim > 1:
        return np.repeat(image, 2, axis=1)[:, ::2]
    if layout == "every third row":
        return np.repeat(image, 3, axis=0)[::3]
    if layout == "transposed":
        return np.asfortranarray(image)
    if layout == "read-only":
        copy = image.copy()
        copy.flags.writeable = False
        return copy
    if layout == "byte-swapped":
        return image.astype(image.dtype.newbyteorder())
    if layout == "unaligned":
        raw = np.zeros(image.nbytes + 1, np.uint8)
        view = raw[1:].view(image.dtype).reshape(image.shape)
        view[...] = image
        return view
    if layout == "channels first":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(image, -1, 0)), 0, -1)
    return image


@st.composite
def filterings(draw):
    """An image in some layout, weights, and a geometry, which may leave no output."""
    source, target = draw(st.sampled_from(promise.PAIRS))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dimensions = draw(st.sampled_from([1, 2, 2, 3]))
    shape = (draw(SIDES), draw(SIDES), draw(st.integers(1, 5)))[:dimensions]
    image = promise.random_image(generator, shape, source)
    layout = draw(st.sampled_from(LAYOUTS))
    if layout == "repeated":
        image = np.broadcast_to(image[:1], shape)
    kernel = (1 if dimensions == 1 else draw(st.integers(1, 6)), draw(st.integers(1, 7)))
    boundary = draw(st.sampled_from(BOUNDARIES))
    # Weights that are dropped at the border must leave a sum that is not 0.
    form = "mean" if boundary == "renormalize" else draw(st.sampled_from(["whole", "signed", "mean"]))
    weights = promise.random_weights(generator, kernel, form)
    names = st.sampled_from(["same", "wide", "narrow"])
    # Beside a renormalised image there is nothing to see farther out than the kernel reaches.
    side = st.tuples(st.integers(0, 4), st.integers(0, 4))
    padding = draw(names if boundary == "renormalize" else st.one_of(names, st.tuples(side, side)))
    geometry = {
        "stride": (draw(SMALL), draw(SMALL)),
        "padding": padding,
        "boundary": boundary,
        "constant": float(draw(st.integers(0, 200))) if boundary == "constant" else 0.0,
        # Taps that are apart may all miss the image, which leaves nothing to renormalise.
        "dilation": (1, 1) if boundary == "renormalize" else (draw(SMALL), draw(SMALL)),
    }
    return laid_out(image, layout), weights, geometry, target


def fits(image, weights, geometry):
    """Tell whether the kernel fits the padded image."""
    shape = (1, *image.shape) if image.ndim == 1 else image.shape[:2]
    padding, dilation = geometry["padding"], geometry["dilation"]
    for axis in (0, 1):
        if image.ndim == 1 and axis == 0:
            continue
        taps, apart = weights.shape[axis], dilation[axis]
        before, after = (
            promise.named_padding(padding, taps, apart) if isinstance(padding, str) else padding[axis]
        )
        if shape[axis] + before + after < (taps - 1) * apart + 1:
            return False
    return True


@given(filterings(), st.sampled_from([1, 2]))
@settings(deadline=None, max_examples=400)
def test_correlation_is_the_sum_of_the_notes(filtering, threads):
    image, weights, geometry, target = filtering
    before = image.copy()
    if not fits(image, weights, geometry):
        with pytest.raises(ParameterError, match="the output would be empty"):
            cf.correlate(image, weights, dtype=target, threads=threads, **geometry)
        return
    result = cf.correlate(image, weights, dtype=target, threads=threads, **geometry)
    assert result.dtype == target
    assert result.flags.c_contiguous and result.flags.writeable
    assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, before)
    largest = max(np.abs(image.astype(np.float64)).max(), geometry["constant"])
    scale = np.abs(weights).sum() * largest
    promise.assert_kept(result, promise.exact(image, weights, **geometry), scale)
    plan = cf.explain(image.shape, image.dtype, weights, output=target, **without_constant(geometry))
    assert plan.output_shape == result.shape


def without_constant(geometry):
    return {name: value for name, value in geometry.items() if name != "constant"}


@given(filterings())
@settings(deadline=None, max_examples=60)
def test_convolution_is_correlation_with_the_kernel_rotated(filtering):
    image, weights, geometry, target = filtering
    if fits(image, weights, geometry):
        convolved = cf.convolve(image, weights, dtype=target, **geometry)
        rotated = np.ascontiguousarray(weights[::-1, ::-1])
        np.testing.assert_array_equal(convolved, cf.correlate(image, rotated, dtype=target, **geometry))


@given(filterings())
@settings(deadline=None, max_examples=60)
def test_channels_are_filtered_each_on_its_own(filtering):
    image, weights, geometry, target = filtering
    if image.ndim < 3 or not fits(image, weights, geometry):
        return
    together = cf.correlate(image, weights, dtype=target, **geometry)
    for channel in range(image.shape[2]):
        alone = cf.correlate(image[:, :, channel], weights, dtype=target, **geometry)
        if alone.dtype.kind == "f":
            scale = np.abs(weights).sum() * np.abs(image.astype(np.float64)).max()
            np.testing.assert_allclose(together[:, :, channel], alone, rtol=0, atol=2e-6 * scale)
        else:
            difference = np.abs(together[:, :, channel].astype(np.float64) - alone)
            assert difference.max() <= 1


def test_equation_8_and_13_on_paper():
    image = np.array(
        [[1, 1, 1, 1, 1], [-1, 0, -3, 0, 1], [2, 1, 1, -1, 0], [0, -1, 1, 2, 1], [1, 2, 1, 1, 1]], np.float64
    )
    kernel = np.array([[1, 0, 0], [0, 0, 0], [0, 0, -1]], np.float64)
    wanted = np.array([[0, -2, -1], [2, 2, 4], [-1, 0, 0]], np.float64)
    np.testing.assert_array_equal(cf.convolve(image, kernel, padding="narrow"), wanted)
    np.testing.assert_array_equal(cf.correlate(image, kernel, padding="narrow"), -wanted)


def test_wide_correlation_of_swapped_operands_is_rotated():
    """Equation 21, and what becomes of it when the operands change places."""
    generator = np.random.default_rng(0)
    x, w = generator.standard_normal((6, 7)), generator.standard_normal((3, 4))
    wide = cf.correlate(x, w, padding="wide")
    inside_zeros = cf.correlate(np.pad(x, ((2, 2), (3, 3))), w, padding="narrow")
    np.testing.assert_allclose(wide, inside_zeros, atol=1e-12)
    np.testing.assert_allclose(wide, cf.correlate(w, x, padding="wide")[::-1, ::-1], atol=1e-12)


def test_wide_convolution_commutes():
    """Equation 22."""
    generator = np.random.default_rng(1)
    x, w = generator.standard_normal((6, 7)), generator.standard_normal((3, 4))
    np.testing.assert_allclose(
        cf.convolve(x, w, padding="wide"), cf.convolve(w, x, padding="wide"), atol=1e-12
    )


def test_gradients_of_a_correlation_are_correlations():
    """Equations 23 to 31: the gradients of sum(g * (W (*) X)), by finite differences."""
    generator = np.random.default_rng(2)
    x, w = generator.standard_normal((7, 6)), generator.standard_normal((3, 2))
    g = generator.standard_normal((5, 5))

    def value(x, w):
        return float((g * cf.correlate(x, w, padding="narrow")).sum())

    by_kernel = cf.correlate(x, g, padding="narrow")
    by_image = cf.correlate(g, w[::-1, ::-1], padding="wide")
    # Equation 30, the other way round: rot180(g) wide-correlated with W, which gives the same.
    np.testing.assert_allclose(by_image, cf.correlate(w, g[::-1, ::-1], padding="wide"), atol=1e-12)
    step = 1e-6
    for index in np.ndindex(w.shape):
        change = np.zeros_like(w)
        change[index] = step
        assert abs((value(x, w + change) - value(x, w - change)) / (2 * step) - by_kernel[index]) < 1e-7
    for index in np.ndindex(x.shape):
        change = np.zeros_like(x)
        change[index] = step
        assert abs((value(x + change, w) - value(x - change, w)) / (2 * step) - by_image[index]) < 1e-7


def test_renormalize_with_dilation():
    generator = np.random.default_rng(8)
    image = promise.random_image(generator, (20, 80), "float32")
    weights = promise.random_weights(generator, (3, 5), "mean")
    geometry = {"boundary": "renormalize", "dilation": (2, 3)}
    result = cf.correlate(image, weights, **geometry)
    promise.assert_kept(result, promise.exact(image, weights, **geometry), np.abs(image).max())
    with pytest.raises(ParameterError, match="renormalize"):
        cf.correlate(image[:1, :1], [[0.5, 0.5]], boundary="renormalize", dilation=2)


def test_default_types():
    image = np.zeros((3, 3))
    for dtype, wanted in [("uint8", "float32"), ("uint16", "float32"), ("int16", "float32"),
                          ("float32", "float32"), ("float64", "float64")]:  # fmt: skip
        assert cf.correlate(image.astype(dtype), [[1]]).dtype == wanted


@pytest.mark.parametrize("target", ["uint8", "uint16", "int16"])
def test_integer_results_round_half_to_even_and_saturate(target):
    limits = np.iinfo(target)
    values = np.array([-1e9, limits.min - 0.6, -0.5, 0.5, 1.5, 2.5, 254.5, limits.max + 0.4, 1e9], np.float64)
    result = cf.correlate(values, [1.0], dtype=target)
    np.testing.assert_array_equal(result, np.clip(np.rint(values), limits.min, limits.max))


def test_negative_strides_in_every_axis():
    image = promise.random_image(np.random.default_rng(3), (40, 90, 3), "uint8")
    view = image[::-2, ::-1, ::-1]
    np.testing.assert_array_equal(
        cf.correlate(view, [[1, 2], [3, 5]]), cf.correlate(view.copy(), [[1, 2], [3, 5]])
    )


def test_many_threads_at_once_give_the_same_results():
    generator = np.random.default_rng(5)
    images = [promise.random_image(generator, (60 + n, 90), "uint8") for n in range(8)]
    wanted = [cf.gaussian(image, 2, threads=1) for image in images]
    results = [None] * len(images)

    def work(number):
        results[number] = cf.gaussian(images[number], 2, threads=2)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(images))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result, expected in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(result, expected)


def test_results_do_not_share_memory_with_each_other():
    """Large results come from memory that is taken again when nobody holds it any more."""
    image = np.zeros((1100, 1000), np.uint8)
    held = cf.correlate(image, [[1]], dtype="uint8")
    row = held[5]
    other = cf.correlate(image + np.uint8(9), [[1]], dtype="uint8")
    assert not np.shares_memory(held, other)
    del held
    third = cf.correlate(image + np.uint8(7), [[1]], dtype="uint8")
    assert not np.shares_memory(row, third) and not row.any()
    del row, other, third
    again = [cf.correlate(image, [[1]], dtype="uint8") for _ in range(6)]
    for number, result in enumerate(again):
        assert not any(np.shares_memory(result, later) for later in again[number + 1 :])


def test_results_grow_and_shrink():
    """Memory that is taken again has room for what is stored in it."""
    for side in (1100, 1050, 1150, 1300, 1024, 1200):
        result = cf.correlate(np.full((side, side), 7, np.uint8), [[1]], dtype="uint8")
        assert result.shape == (side, side) and (result == 7).all()
        del result


@pytest.mark.parametrize(
    ("padding", "length"), [(2, 9), ((1, 2), 8), (((5, 5), (1, 2)), 8), ("wide", 9), ("same", 7), (0, 5)]
)
def test_padding_of_a_signal(padding, length):
    assert cf.correlate(np.arange(7.0), [1, 2, 1], padding=padding).shape == (length,)
