"""The arithmetic of one value: the same numbers as `correlate`, and what its tables say."""

import itertools
import re

import numpy as np
import promise
import pytest

import cnnfilter as cf
from cnnfilter.core.boundary import BOUNDARIES
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.seeing.numbers import shown

PADDINGS = ("narrow", "same", "wide", 2, (0, 3), ((1, 0), (2, 4)))
STRIDES = (1, 2, (3, 1))
DILATIONS = (1, (2, 3))


@pytest.fixture
def random():
    return np.random.default_rng(13)


def places(shape):
    """Return the corners, the middle, and one place beside each."""
    rows, columns = ({0, size // 2, size - 1} for size in shape[:2])
    return itertools.product(sorted(rows), sorted(columns))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("dilation", DILATIONS, ids=str)
def test_the_sum_is_what_correlate_computes(random, boundary, padding, dilation):
    """Whatever the geometry, for two channels and a kernel without symmetry."""
    image = random.standard_normal((8, 9, 2))
    kernel = cf.Kernel(random.integers(1, 9, (2, 3)), divisor=7)
    for stride in STRIDES:
        geometry = dict(stride=stride, padding=padding, boundary=boundary, dilation=dilation)
        if boundary == "constant":
            geometry["constant"] = 2.5
        try:
            expected = cf.correlate(image, kernel, **geometry)
        except ParameterError:  # renormalize, where no tap lies on the image
            assert boundary == "renormalize"
            continue
        for at in places(expected.shape):
            found = cf.arithmetic(image, kernel, at, **geometry)
            np.testing.assert_allclose(found.sum, expected[at], rtol=0, atol=1e-13)
            assert found.value.tobytes() == expected[at].tobytes()
            assert found.products.sum() == pytest.approx(found.total.sum(), abs=1e-12)
            assert found.inside.shape == found.kernel.shape == (2, 3)


@pytest.mark.parametrize(("source", "target"), promise.PAIRS)
def test_types(random, source, target):
    """The sum, rounded half to even and limited, is the value stored."""
    image = promise.random_image(random, (7, 6), source)
    weights = promise.random_weights(random, (3, 3), "whole")
    for at in places((7, 6)):
        found = cf.arithmetic(image, weights, at, dtype=target)
        if np.dtype(target).kind == "f":
            bound = 1e-6 * np.abs(weights).sum() * np.abs(image.astype(np.float64)).max()
            assert abs(found.sum[0] - found.value[0]) <= bound
        else:
            limits = np.iinfo(target)
            nearest = np.clip(np.rint(found.sum[0]), limits.min, limits.max)
            near_tie = abs(abs(found.sum[0] - np.floor(found.sum[0])) - 0.5) < 0.02
            assert abs(found.value[0] - nearest) <= near_tie


def test_a_signal_and_its_kernel(random):
    signal = random.standard_normal(20)
    for kernel in ([1.0, 2, 4], [[1.0], [2], [4]]):
        expected = cf.correlate(signal, kernel, stride=3, padding=2, dilation=2)
        for at in range(expected.size):
            found = cf.arithmetic(signal, kernel, at, stride=3, padding=2, dilation=2)
            assert found.sum[0] == pytest.approx(expected[at], abs=1e-14)
            assert found.at == (0, at)


def test_infinities_pass():
    image = np.array([[np.inf, 1.0, -np.inf]])
    assert cf.arithmetic(image, [1, 1], (0, 0)).sum[0] == np.inf
    assert np.isnan(cf.arithmetic(image, [1, 1, 1], (0, 1)).sum[0])


@pytest.mark.parametrize("at", [(3, 0), (0, 4), (3, 4)])
def test_a_place_outside_the_output_is_told_its_size(at):
    with pytest.raises(ParameterError, match=r"outside the output of 3x4 .*; the last place is 2,3"):
        cf.arithmetic(np.zeros((3, 4)), [1, 1], at)


def test_places_that_are_none():
    with pytest.raises(ParameterError, match="-1"):
        cf.arithmetic(np.zeros((3, 4)), [1, 1], (-1, 0))
    with pytest.raises(DtypeError, match=r"1\.5"):
        cf.arithmetic(np.zeros((3, 4)), [1, 1], (1.5, 0))
    with pytest.raises(ParameterError, match="outside the output of 5 values; the last place is 4"):
        cf.arithmetic(np.zeros(5), [1, 1], 5)


def test_the_text_shows_boundary_divisor_and_rounding():
    image = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)
    blur = cf.Kernel.parse("1 2 1; 2 4 2; 1 2 1 / 16")
    text = str(cf.arithmetic(image, blur, (0, 0), dtype="uint8"))
    assert "[beside the image]: boundary zero" in text
    assert re.search(r"\[0\] +10 +20 +× +2 4 2".replace(" 4 2", "  4  2"), text)
    assert "sum of products  210" in text and "over 16          13.125" in text
    assert "stored as uint8  13: rounded, half to even" in text
    limited = str(cf.arithmetic(image, [[9]], (2, 2), dtype="uint8"))
    assert "stored as uint8  255: limited to 0 to 255" in limited


def test_renormalize_drops_and_rescales():
    text = str(cf.arithmetic(np.ones((3, 3)), [[1, 2, 1]], (0, 0), boundary="renormalize"))
    assert "[-]" in text and "times 4/3" in text and "stored as float64  4" in text


def test_channels_come_one_after_the_other():
    text = str(cf.arithmetic(np.arange(12.0).reshape(2, 2, 3), [[1]], (1, 1)))
    assert [line for line in text.splitlines() if line.startswith("channel")] == [
        "channel 0", "channel 1", "channel 2"]  # fmt: skip


def test_large_kernels_are_shortened_and_wide_tables_stacked():
    found = cf.arithmetic(np.ones((60, 60)), np.ones((51, 51)), (30, 30))
    text = str(found)
    assert "…" in text and len(text.splitlines()) < 100
    assert max(map(len, text.splitlines())) <= 110
    assert "sum of products    2601" in text


def test_colour_only_when_asked_for():
    found = cf.arithmetic(np.ones((3, 3)), np.ones((3, 3)), (0, 0))
    assert "\x1b" not in str(found)
    plain = re.sub(r"\x1b\[\d+m", "", found.text(color=True))
    assert [line.rstrip() for line in plain.splitlines()] == str(found).splitlines()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (1 / 3, "0.333333"), (2.0**53 - 1, "9.007199255e15"), (123456.789012, "123456.789"),
     (-2.5, "-2.5"), (1e300, "1e300"), (1.5e-7, "1.5e-7"), (float("nan"), "NaN"), (-0.0, "0")],
)  # fmt: skip
def test_numbers_for_people(value, text):
    assert shown(value) == text
