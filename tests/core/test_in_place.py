"""Images that are read where they stand: the bits of those that are copied into padded lines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnfilter as cf
from cnnfilter.core import keeping
from cnnfilter.core.methods import direct, work

METHODS = ("direct", "separable", "low rank")
TYPES = (("float32", "float32"), ("float32", "uint8"), ("float64", "float64"))

pytestmark = pytest.mark.usefixtures("fenced")


def both_ways(image, kernel, **how):
    """Return the result from the image where it stands, and that from lines."""
    results = []
    for least, rows in ((0, 99), (2**62, 0)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(direct, "LEAST_ELEMENTS", least)
            patch.setattr(work, "MOST_IN_PLACE", rows)
            patch.setattr(work, "CACHE_WAYS", rows)
            keeping.forget()
            results.append(cf.correlate(image, kernel, **how))
    keeping.forget()
    return results


@st.composite
def filterings(draw):
    seed, (dtype, target) = draw(st.integers(0, 2**32)), draw(st.sampled_from(TYPES))
    numbers = np.random.default_rng(seed)
    shape = draw(st.tuples(st.integers(1, 40), st.integers(20, 90), st.sampled_from([1, 3])))
    size, method = draw(st.tuples(st.integers(1, 5), st.integers(1, 9))), draw(st.sampled_from(METHODS))
    kernel = numbers.normal(size=size)
    if method == "separable":
        kernel = np.outer(kernel[:, 0], kernel[0])
    elif method == "low rank":
        kernel = np.outer(kernel[:, 0], kernel[0]) + np.outer(
            numbers.normal(size=size[0]), np.arange(size[1])
        )
    if draw(st.booleans()):
        kernel[numbers.random(size[0]) < 0.4] = 0
        kernel[:, numbers.random(size[1]) < 0.4] = 0
    if draw(st.booleans()) and kernel.sum():
        kernel = np.abs(kernel) / np.abs(kernel).sum()
    image = numbers.normal(size=shape).astype(dtype)
    if draw(st.booleans()):
        image[numbers.random(shape[:2]) < 0.1] = draw(st.sampled_from([np.nan, np.inf, 1e30, -3.4e38]))
    if draw(st.booleans()):
        image = np.pad(image, ((0, 0), (3, 2), (0, 0)))[:, 3:-2]
    how = {
        "method": method,
        "stride": (draw(st.integers(1, 3)), 1),
        "dilation": (draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        "padding": draw(st.sampled_from(["same", "wide", "narrow", ((3, 0), (0, 5))])),
        "boundary": draw(st.sampled_from(["constant", "reflect", "renormalize"])),
        "dtype": target,
        "constant": 0.7,
        "threads": draw(st.integers(1, 3)),
    }
    return image, kernel, how


@given(filterings())
def test_in_place_are_the_bits_of_lines(filtering):
    image, kernel, how = filtering
    try:
        in_place, copied = both_ways(image, kernel, **how)
    except cf.CnnFilterError:
        return
    assert copied.tobytes() == in_place.tobytes()


def test_large_images_are_read_in_place(monkeypatch):
    made = []
    monkeypatch.setattr(direct._Inside, "run", lambda self, *_: made.append(self) or [((0, 800), (0, 700))])
    image, kernel = np.ones((800, 700), np.float32), np.arange(9.0).reshape(3, 3)
    keeping.forget()
    cf.correlate(image, kernel, threads=1)
    assert made
    cf.correlate(image[:100], kernel, threads=1)
    cf.correlate(image.astype(np.uint8), kernel, threads=1)
    assert len(made) == 1
    keeping.forget()
