"""Pooling of every type, with missing pixels; the bits of a window are its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnfilter as cf

TYPES = (
    *("bool", "uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", [2, (3, 4), 17])
def test_types(dtype, size):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 2 if dtype == "bool" else 120, (37, 41, 3)).astype(dtype)
    rows, columns = size if isinstance(size, tuple) else (size, size)
    height, width = image.shape[0] // rows, image.shape[1] // columns
    windows = image[: height * rows, : width * columns].reshape(height, rows, width, columns, 3)
    largest, mean = cf.max_pool(image, size), cf.mean_pool(image, size)
    assert largest.dtype == dtype and mean.dtype == ("float32" if dtype == "bool" else dtype)
    np.testing.assert_array_equal(largest, windows.max(axis=(1, 3)))
    wanted = windows.astype(np.float64).mean(axis=(1, 3))
    if mean.dtype.kind != "f":
        wanted = np.rint(wanted)
    np.testing.assert_allclose(mean, wanted, rtol=1e-3 if dtype == "float16" else 1e-6)


def test_means_of_another_type_are_rounded_once():
    image = np.array([[1, 2], [2, 2]], np.uint8)
    assert cf.mean_pool(image, dtype="float32") == 1.75 and cf.mean_pool(image, dtype="float16") == 1.75
    assert cf.mean_pool(image.astype("f8") * 1000, dtype="uint8") == 255
    assert cf.mean_pool(np.array([[5, 0]], np.uint8), (1, 2), dtype="int16") == 2
    assert cf.max_pool(np.array([[2.5, -7]]), (1, 2), dtype="int8") == 2
    assert cf.mean_pool(np.array([[1, 2, 2]], np.uint8), (1, 3), dtype="float64") == 5 / 3
    huge = np.full((300, 300), 255, np.uint8)
    assert (cf.mean_pool(huge, 300) == 255).all() and (
        cf.mean_pool(huge.astype("u2") * 257, 300) == 65535
    ).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [2, 3, 4, (5, 7)])
def test_a_channel_alone_has_the_same_bits(dtype, size):
    """And a part of an image has those of the whole: the order of a sum is that of its window."""
    image = (np.random.default_rng(1).standard_normal((61, 83, 5)) * 1e3).astype(dtype)
    for stride in (None, (1, 2), 3):
        whole = cf.mean_pool(image, size, stride, 1)
        for channels in ([0], [1, 2, 3], [0, 1, 2, 4], [3]):
            part = np.ascontiguousarray(image[:, :, channels])
            found = cf.mean_pool(part[:, :, 0] if len(channels) == 1 else part, size, stride, 1)
            np.testing.assert_array_equal(found.reshape(whole[:, :, channels].shape), whole[:, :, channels])
    part = cf.mean_pool(image[7:40, 11:50], size, 1)
    np.testing.assert_array_equal(part, cf.mean_pool(image, size, 1)[7:, 11:][: len(part), : part.shape[1]])


def test_wide_images_are_pooled_in_pieces():
    image = np.random.default_rng(2).integers(0, 256, (6, 5000, 3)).astype(np.uint8)
    for size, stride in ((2, 2), (3, 1), ((2, 9), (1, 5)), ((1, 4000), 1)):
        found = cf.max_pool(image, size, stride)
        rows, columns = np.broadcast_to(size, 2)
        view = np.lib.stride_tricks.sliding_window_view(image, (rows, columns), (0, 1))
        down, across = np.broadcast_to(stride, 2)
        np.testing.assert_array_equal(found, view[::down, ::across].max(axis=(-1, -2)))


@given(
    st.sampled_from([t for t in TYPES if t != "bool"]), st.sampled_from([(), (1,), (3,)]), st.integers(1, 9),
    st.integers(1, 9), st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)), st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_missing_pixels_count_nothing(dtype, channels, height, width, size, stride, share, seed):
    generator = np.random.default_rng(seed)
    image = generator.integers(1, 100, (height, width, *channels)).astype(dtype)
    where = generator.random(image.shape) < share
    image[where] = 111
    padding = tuple(tuple(generator.integers(0, taps // 2 + 1, 2).tolist()) for taps in size)
    step = stride or size
    outputs = [(length + sum(pads) - taps) // by + 1 for length, pads, taps, by in zip(
        image.shape, padding, size, step, strict=False)]  # fmt: skip
    if min(outputs) < 1:
        return
    largest = cf.max_pool(image, size, stride, padding, missing=111)
    mean = cf.mean_pool(image, size, stride, padding, missing=111)
    masked = cf.mean_pool(image, size, stride, padding, missing=where, dtype="float64")
    known = np.ma.MaskedArray(image.astype(np.float64), where)
    for place in np.ndindex(*outputs):
        window = known[tuple(
            slice(max(at * by - pads[0], 0), max(at * by - pads[0] + taps, 0))
            for at, by, pads, taps in zip(place, step, padding, size, strict=True)
        )]  # fmt: skip
        wanted, sums = window.max(axis=(0, 1)), window.mean(axis=(0, 1))
        np.testing.assert_array_equal(largest[place], np.ma.filled(wanted, 111))
        sums = np.ma.filled(sums, 111)
        near = np.rint(sums) if mean.dtype.kind != "f" else sums
        np.testing.assert_allclose(mean[place], near, rtol=1e-3 if dtype == "float16" else 1e-6)
        np.testing.assert_array_equal(
            np.ma.getmaskarray(masked)[place], np.ma.getmaskarray(window.sum((0, 1)))
        )


def test_a_nan_that_is_there_and_one_that_is_not():
    image = np.array([[1, np.nan, 3, -9], [2, 4, -9, np.nan]], np.float32)
    np.testing.assert_array_equal(cf.max_pool(image, missing="nan"), [[4, 3]])
    np.testing.assert_array_equal(cf.max_pool(image, missing=-9), [[np.nan, np.nan]])
    np.testing.assert_array_equal(cf.mean_pool(image, missing=image < 0).filled(0), [[np.nan, np.nan]])
    np.testing.assert_array_equal(cf.mean_pool(image[:, 2:], (1, 2), missing="nan"), [[-3], [-9]])
    np.testing.assert_array_equal(cf.max_pool(image[:1, 1:2], 1, missing="nan"), [[np.nan]])
    with pytest.raises(ValueError, match="nan is not a value of uint8"):
        cf.max_pool(np.zeros((2, 2), np.uint8), missing="nan")
    with pytest.raises(ValueError, match=r"-9 .*uint8.*result"):
        cf.mean_pool(image, missing=-9, dtype="uint8")
