"""The sums of least squares, against patches laid out one by one; registration; bad pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.learning.moments import gather_moments
from cnnfilter.learning.pairs import Pair
from cnnfilter.learning.registration import find_shift


def naive(pair, size, channels, rows):
    """Lay every patch out: rows z = (patch, target, 1) and their products."""
    high, wide = size
    target = pair.targets(size).astype(float)
    usable = pair.usable(size, channels, slice(None))
    found = [
        np.concatenate(
            [
                pair.before[i : i + high, j : j + wide, channels].transpose(2, 0, 1).ravel().astype(float),
                target[i, j, channels],
                [1.0],
            ]
        )
        for i in range(rows.start, rows.stop)
        for j in range(target.shape[1])
        if usable[i, j]
    ]
    z = np.array(found).reshape(len(found), len(channels) * (high * wide + 1) + 1)
    return z.T @ z


@given(
    st.sampled_from([np.uint8, np.uint16, np.int16, np.float32, np.float64]),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from([[0], [2], [0, 1, 2]]),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_moments_equal_the_patches(dtype, size, channels, seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(size[0], 30)) + 4, int(rng.integers(size[1], 30)) + 2, 3)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        before, after = rng.integers(limits.min, limits.max, (2, *shape), dtype, endpoint=True)
        after[rng.random(shape) < 0.2] = limits.max
    else:
        before, after = rng.random((2, *shape)).astype(dtype)
    pair = Pair.of(before, after)
    last = len(pair.targets(size))
    bands = [slice(0, last // 2), slice(last // 2, last)]
    for band, moments in zip(bands, gather_moments(pair, size, channels, channels, bands, 2), strict=True):
        expected = naive(pair, size, channels, band)
        if np.issubdtype(dtype, np.integer):
            assert moments.total.dtype == np.int64
        np.testing.assert_allclose(moments.total, expected, rtol=1e-11, atol=1e-9)


def test_sums_of_8_bits_are_exact_across_panels():
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 256, (2, 180, 1200), np.uint8)
    pair = Pair.of(before, after)
    (moments,) = gather_moments(pair, (3, 3), [0], [0], [slice(0, 178)], 2)
    windows = np.lib.stride_tricks.sliding_window_view(before.astype(np.int64), (3, 3)).reshape(-1, 9)
    target = after[1:-1, 1:-1].astype(np.int64).ravel()
    keep = (target > 0) & (target < 255)
    z = np.column_stack([windows, target, np.ones_like(target)])[keep]
    np.testing.assert_array_equal(moments.total, z.T @ z)


def test_a_smaller_kernel_is_a_part():
    rng = np.random.default_rng(1)
    before, after = rng.random((2, 30, 30))
    (large,) = gather_moments(Pair.of(before, after), (7, 7), [0], [0], [slice(0, 24)], 1)
    inner = Pair.of(before[1:-1, 2:-2], after[1:-1, 2:-2])
    (small,) = gather_moments(inner, (5, 3), [0], [0], [slice(0, 24)], 1)
    np.testing.assert_allclose(large.cropped((5, 3)).total, small.total, rtol=1e-12)


@pytest.mark.parametrize("shift", [(0, 0), (2, -3), (-1, 7)])
def test_shifts_are_found(shift):
    from sklearn.datasets import load_sample_image

    image = load_sample_image("flower.jpg")
    blurred = np.mean([np.roll(image, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)
    after = np.roll(np.rint(blurred), shift, (0, 1)).astype(np.uint8)
    pair = Pair.of(image, after)
    assert find_shift(pair, (3, 3)) == shift
    moved = pair.moved(shift)
    assert moved.shift == shift
    error = (
        moved.after[8:-8, 8:-8]
        - np.rint(blurred)[max(0, -shift[0]) :][8:, max(0, -shift[1]) :][:, 8:][
            : moved.after.shape[0] - 16, : moved.after.shape[1] - 16
        ]
    )
    assert not error.any()


@pytest.mark.parametrize(("noise", "shift"), [(0.25, (0, 0)), (0.19, (0, 0)), (0.13, (0, 2)), (0.01, (0, 2))])
def test_a_shift_is_taken_where_it_more_than_halves_the_squared_error(noise, shift):
    """Of pixels one, two and three places to the left, a kernel of 1x3 holds the first alone.

    Of white noise, where no pixel tells of another, that leaves a squared error of 0.32² + 0.24² = 0.16.
    More noise is there with and without the shift, which halves the error where this has less than 0.16.
    """
    random = np.random.default_rng(5)
    before = random.standard_normal((300, 300))
    after = sum(weight * np.roll(before, place, 1) for place, weight in ((1, 0.6), (2, 0.32), (3, 0.24)))
    after += random.standard_normal(before.shape) * noise**0.5
    assert find_shift(Pair.of(before, after), (1, 3)) == shift


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (np.zeros((9, 9)), np.zeros((9, 6)), "before has 9x9 pixels, after 9x6: give equal sizes"),
        (np.zeros((9, 9)), np.zeros((4, 5)), "after 4x5: --stride 2 learns what makes it smaller"),
        (np.zeros((9, 9)), np.arange(243.0).reshape(9, 9, 3), "1 channels, after 3: convert before"),
        (np.zeros((9, 9, 2)), np.zeros((9, 9, 3)), "2 channels, after 3: give equal channels"),
        (np.zeros((9, 9), np.uint16), np.eye(9, dtype=np.uint8), "no value above 255: convert it to 8 bits"),
        (np.zeros((9, 9)), np.zeros((9, 9), np.float32), "before is float64, after is float32"),
        (np.zeros((9, 9), np.int64), np.ones((9, 9), np.int64), "before is int64: give one of uint8"),
        (np.eye(9), np.eye(9), "identical: there is no filter to learn"),
        (np.ones((9, 9)), np.eye(9), "before is flat, every value is 1.0"),
        (np.eye(9), np.full((9, 9), np.nan), "after holds NaN or infinite values"),
        (np.full((9, 9), np.inf), np.eye(9), "before holds NaN or infinite values"),
        (np.eye(9), np.eye(9) * -1e80, r"after holds values of up to 1e\+80: give pixels of at most 1e\+75"),
        (np.zeros((0, 9)), np.zeros((0, 9)), "no pixels"),
        (np.zeros(9), np.ones(9), r"before has shape \(9,\)"),
    ],
)
def test_bad_pairs_are_named(before, after, words):
    with pytest.raises((ParameterError, DtypeError), match=words):
        Pair.of(before, after)
