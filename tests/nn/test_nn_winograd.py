"""3x3 layers in tiles of 2x2: against float64, within their bound, and parts have the bits of the whole."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_nn_convolution import naive

from cnnfilter.nn import functional
from cnnfilter.nn.functional import winograd

pytestmark = pytest.mark.usefixtures("fenced")

FENCE = 64
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


@contextmanager
def tiles(finely=False):
    """Every 3x3 layer in tiles; `finely`: of threads, in blocks of few tiles, in memory with fences."""
    fenced = []

    def scratch(name, elements, dtype):
        memory = np.full(elements + 2 * FENCE, np.nan, dtype)
        fenced.append(memory)
        return memory[FENCE:-FENCE]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_LEAST_MAPS", 1)
        if finely:
            patch.setenv("CNNFILTER_THREADS", "3")
            for name, value in (
                ("LEAST", 1),
                ("_WIDE", 3),
                ("_CACHED", 16 * 40),
                ("_FEWEST", 1),
                ("scratch", scratch),
            ):
                patch.setattr(winograd, name, value)
        yield
    for memory in fenced:
        assert np.isnan(memory[:FENCE]).all() and np.isnan(memory[-FENCE:]).all()


@st.composite
def layers(draw):
    """A layer of 3x3 kernels without any symmetry, its input, its padding, and a seed."""
    side = st.tuples(st.integers(0, 3), st.integers(0, 3))
    padding = draw(st.tuples(side, side))
    shape = [max(1, 3 - sum(p)) + draw(st.integers(0, 30)) for p in padding]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = generator.standard_normal((draw(st.integers(1, 3)), draw(st.integers(1, 5)), *shape), np.float32)
    w = generator.standard_normal((draw(st.integers(1, 9)), x.shape[1], 3, 3), np.float32)
    return x, w, generator.standard_normal(len(w), np.float32), padding, generator


def bound(x, w, b, padding):
    """``(D + 9) 2^-24 S`` of `winograd`, the sums S tile by tile as the paper has them."""
    x = np.pad(x.astype(float), ((0, 0), (0, 0), *padding))
    rows, columns = x.shape[2] - 2, x.shape[3] - 2
    x = np.pad(x, ((0, 0), (0, 0), (0, 2), (0, 2)))
    kernels = np.abs(G) @ np.abs(w.astype(float)) @ np.abs(G).T
    s = np.empty((len(x), len(w), rows + rows % 2, columns + columns % 2))
    for i in range(0, rows, 2):
        for j in range(0, columns, 2):
            d = np.abs(B) @ np.abs(x[:, None, :, i : i + 4, j : j + 4]) @ np.abs(B).T
            s[..., i : i + 2, j : j + 2] = np.abs(A) @ (kernels * d).sum(axis=2) @ np.abs(A).T
    return (x.shape[1] + 9) * 2.0**-24 * (s[..., :rows, :columns] + np.abs(b)[:, None, None])


@given(layers(), st.booleans())
@settings(deadline=None, max_examples=100)
def test_forward_lies_within_the_bound_however_it_is_divided(layer, finely):
    x, w, b, padding, _ = layer
    with tiles(finely):
        y = functional.convolution(x, w, b, padding=padding)
        rectified = functional.convolution(x, w, b, padding=padding, rectify=True)
    exact = naive(x.astype(float), w.astype(float), b, (1, 1), padding, (1, 1), 1)
    assert y.dtype == np.float32 and (np.abs(y - exact) <= bound(x, w, b, padding)).all()
    np.testing.assert_array_equal(rectified, np.maximum(y, 0))


@given(layers(), st.booleans())
@settings(deadline=None, max_examples=100)
def test_the_gradient_of_the_input_is_that_of_float64(layer, finely):
    x, w, _, padding, generator = layer
    delta = generator.standard_normal(functional.convolution(x, w, padding=padding).shape, np.float32)
    with tiles(finely):
        dx = functional.convolution_input_gradient(delta, w, x.shape, padding=padding)
    wide = [a.astype(float) for a in (delta, w)]
    exact = functional.convolution_input_gradient(*wide, x.shape, padding=padding)
    np.testing.assert_allclose(dx, exact, atol=1e-4)


def test_errors_are_no_larger_than_those_of_the_plain_sum():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 48, 60, 61), np.float32)
    w, b = rng.standard_normal((16, 48, 3, 3), np.float32), np.zeros(16, np.float32)
    exact = functional.convolution(x.astype(float), w.astype(float))
    errors = []
    for least in (1, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(winograd, "_LEAST_MAPS", least)
            errors.append(np.abs(functional.convolution(x, w, b) - exact))
    assert errors[0].mean() < errors[1].mean() and errors[0].max() < errors[1].max()
    assert not np.array_equal(*errors)


@pytest.mark.parametrize("size", [(37, 61), (6, 5), (3, 120)])
def test_parts_samples_and_threads_have_the_bits_of_the_whole(size, monkeypatch):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 16, *size), np.float32)
    w, b = rng.standard_normal((13, 16, 3, 3), np.float32), rng.standard_normal(13, np.float32)
    monkeypatch.setenv("CNNFILTER_THREADS", "1")
    whole = functional.convolution(x, w, b)
    gradient = functional.convolution_input_gradient(whole, w, x.shape)
    for threads in "123":
        monkeypatch.setenv("CNNFILTER_THREADS", threads)
        monkeypatch.setattr(winograd, "LEAST", 1)
        np.testing.assert_array_equal(functional.convolution(x, w, b), whole)
        np.testing.assert_array_equal(functional.convolution_input_gradient(whole, w, x.shape), gradient)
        np.testing.assert_array_equal(functional.convolution(x[1:2], w, b), whole[1:2])
    for top in range(0, size[0] - 2, 2):
        for left in (0, 2, 36):
            for rows, columns in ((1, 1), (2, 3), (5, 30)):
                part = x[:, :, top : top + rows + 2, left : left + columns + 2]
                if part.shape[2] == rows + 2 and part.shape[3] == columns + 2 and rows * columns > 1:
                    there = whole[:, :, top : top + rows, left : left + columns]
                    np.testing.assert_array_equal(functional.convolution(part, w, b), there)


@pytest.mark.parametrize("value", [np.nan, np.inf, -3e38])
@pytest.mark.parametrize("at", [(4, 6), (4, 7), (5, 6), (5, 7), (0, 0), (10, 20)])
def test_a_pixel_counts_under_its_kernels_alone(value, at):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, 12, 11, 21), np.float32)
    w = rng.standard_normal((12, 12, 3, 3), np.float32)
    before = functional.convolution(x, w)
    x[0, 5, at[0], at[1]] = value
    after = functional.convolution(x, w)
    changed = (after != before)[0].any(axis=0)
    under = np.zeros_like(changed)
    under[max(0, at[0] - 2) : at[0] + 1, max(0, at[1] - 2) : at[1] + 1] = True
    np.testing.assert_array_equal(changed, under)


@pytest.mark.parametrize("pixels", [3, 4, 9, 18, 40])
def test_nothing_behind_the_last_pixel_counts(pixels):
    """What is read there times zero would be no number if it is none."""
    memory = np.full(12 * 5 * pixels + 256, np.nan, np.float32)
    x = memory[: 12 * 5 * pixels].reshape(1, 12, 5, pixels)
    x[...] = np.random.default_rng(4).standard_normal(x.shape)
    w = np.ones((12, 12, 3, 3), np.float32)
    for padding in (0, 1):
        y = functional.convolution(x, w, padding=padding)
        np.testing.assert_allclose(
            y, functional.convolution(x.astype(float), w.astype(float), padding=padding), atol=1e-4
        )


def test_float64_is_the_plain_sum():
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((1, 16, 9, 9)), rng.standard_normal((16, 16, 3, 3))
    usual = functional.convolution(x, w)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_LEAST_MAPS", 1000)
        np.testing.assert_array_equal(functional.convolution(x, w), usual)
