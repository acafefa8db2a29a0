"""Boundaries: as numpy.pad does it, as the pictures draw it, and as the reference walks it."""

import re

import naive
import numpy as np
import promise
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnfilter as cf
from cnnfilter.core import boundary
from cnnfilter.errors import ParameterError

MODES = {"edge": "edge", "reflect": "reflect", "symmetric": "symmetric", "wrap": "wrap"}


@given(st.integers(1, 9), st.integers(0, 40), st.integers(0, 40), st.sampled_from(sorted(MODES)))
def test_maps_are_those_of_numpy_pad(length, before, after, name):
    wanted = np.pad(np.arange(length), (before, after), MODES[name])
    np.testing.assert_array_equal(boundary.index_map(length, before, after, name), wanted)


@given(st.integers(1, 9), st.integers(0, 20), st.integers(0, 20), st.sampled_from(boundary.BOUNDARIES))
def test_maps_are_those_of_the_reference(length, before, after, name):
    if name != "renormalize":
        pixels = np.arange(1.0, length + 1)
        wanted = naive.padded(pixels, before, after, name, 99.0)
        found = boundary.index_map(length, before, after, name)
        outside = {"zero": 0.0, "constant": 99.0}.get(name)
        np.testing.assert_array_equal(np.where(found < 0, outside or 0, pixels[found]), wanted)


@pytest.mark.parametrize("name", boundary.BOUNDARIES)
def test_the_pictures_are_right(name):
    """Filter the letters of the picture with a kernel that moves the image."""
    line = re.search(rf"^ +{name} +(.*?)(  .*)?$", boundary.__doc__, re.MULTILINE).group(1)
    left, inside, right = (part.split() for part in line.split("|"))
    assert inside == list("abcd") and len(left) == len(right) == 3
    if name == "renormalize":
        assert {*left, *right} == {"-"}
        return
    values = {"a": 1, "b": 2, "c": 3, "d": 4, "k": 9, "0": 0}
    shown = cf.correlate(np.array([1, 2, 3, 4], np.uint8), [1], padding=3, boundary=name,
                         constant=9 if name == "constant" else 0)  # fmt: skip
    assert shown.tolist() == [values[letter] for letter in [*left, *inside, *right]]


def test_renormalize_divides_by_the_weights_inside():
    result = cf.correlate(np.array([4, 8, 12], np.float64), [1, 2, 1], boundary="renormalize")
    np.testing.assert_allclose(result, [(2 * 4 + 8) * 4 / 3, 4 + 16 + 12, (8 + 24) * 4 / 3])


def test_renormalized_integers_saturate_and_round_to_even():
    image = np.array([200, 200, 200], np.uint8)
    doubled = cf.correlate(image, [0.5, 1, 0.5], boundary="renormalize", dtype="uint8")
    assert doubled.tolist() == [255, 255, 255]
    signed = cf.correlate(image, [-0.5, -1, -0.5], boundary="renormalize", dtype="uint8")
    assert signed.tolist() == [0, 0, 0]
    halves = cf.correlate(np.array([1, 2, 3], np.uint8), [1, 1, 0], boundary="renormalize", dtype="int16")
    assert halves.tolist() == [2, 3, 5]
    means = cf.correlate(np.array([5, 2, 1], np.uint8), [0, 0.5, 0.5], boundary="renormalize", dtype="uint8")
    assert means.tolist() == [4, 2, 1]  # 3.5, 1.5, 1


@pytest.mark.parametrize("name", ["mirror", "Reflect", "", None, 3, ["zero"]])
def test_unknown_boundaries(name):
    with pytest.raises(ParameterError) as caught:
        cf.correlate(np.zeros((3, 3)), [[1]], boundary=name)
    assert repr(name) in str(caught.value) and "symmetric" in str(caught.value)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_renormalize_of_rows_that_share_memory(dtype):
    """Copied in the order of its memory, such an image came out with its rows and columns interchanged."""
    row = np.array([95, 130, 7], dtype)
    image = np.broadcast_to(row, (4, 3))
    weights = np.array([[0.5, 0.3, 0.2]])
    found = cf.correlate(image, weights, boundary="renormalize")
    np.testing.assert_array_equal(found, cf.correlate(image.copy(), weights, boundary="renormalize"))


@pytest.mark.parametrize("taps", [3, 11, 40])
@pytest.mark.parametrize("padding", ["same", "wide"])
def test_renormalize_keeps_constants_and_equals_the_quotient(taps, padding):
    """Sums of weights that were differences of running sums lost the small ones beside the large."""
    weights = np.random.default_rng(taps).uniform(0.1, 1, (taps, taps)) ** 9
    image = np.random.default_rng(1).uniform(1, 2, (13, 17))
    geometry = {"padding": padding, "boundary": "renormalize"}
    kept = cf.correlate(np.full((13, 17), 0.1), weights / weights.sum(), **geometry)
    assert (cf.gaussian(np.full((13, 17), 0.1), taps / 10, taps, **geometry) == 0.1).all()
    np.testing.assert_allclose(kept, 0.1, rtol=1e-15)
    inside = promise.exact(np.ones_like(image), weights, padding=padding)
    quotient = promise.exact(image, weights, padding=padding) / inside * weights.sum()
    np.testing.assert_allclose(cf.correlate(image, weights, **geometry), quotient, rtol=1e-13)


def test_renormalize_takes_small_weights_beside_large_ones():
    found = cf.correlate(np.array([1.0, 2, 3]), [1e10, 0, 1], boundary="renormalize")
    np.testing.assert_allclose(found[0], 2 * (1e10 + 1), rtol=1e-15)
    with pytest.raises(ParameterError, match="cancel"):
        cf.correlate(np.array([1.0, 2, 3]), [5, 1, -1], boundary="renormalize")
