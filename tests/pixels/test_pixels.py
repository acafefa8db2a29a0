"""The rules for pixels: rounding, range, depth, alpha and linear light, against float64 sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from cnnfilter import pixels
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.pixels.hidden import filled

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
BOX = np.ones((3, 3)) / 9
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], float)
LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], float)


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def correlated(values, kernel, mode="mirror"):
    """Each channel against a kernel, in float64."""
    channels = np.atleast_3d(values).astype(float)
    result = np.stack([ndimage.correlate(c, kernel, mode=mode) for c in np.moveaxis(channels, -1, 0)], -1)
    return result.reshape(values.shape)


def filter_of(kernel, mode="mirror"):
    """A filter as `pixels.apply` takes it."""

    def function(values, dtype):
        result = correlated(values, kernel, mode)
        return (np.rint(result) if dtype.kind in "iu" else result).astype(dtype)

    return function


def identity(values, dtype):
    return values.astype(dtype)


def image(rng, dtype, shape=(12, 15, 3)):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(0, 1, shape).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)


class TestPlain:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("bounded", [False, True])
    def test_a_mean_keeps_its_dtype(self, dtype, bounded, rng):
        source = image(rng, dtype)
        result, clipped = pixels.apply(source, filter_of(BOX), bounded=bounded)
        assert result.dtype == dtype
        assert clipped == 0
        expected = correlated(source, BOX)
        if result.dtype.kind == "f":
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
        else:
            assert np.abs(result - expected).max() <= 0.51

    def test_a_bounded_filter_is_asked_for_integers_and_any_other_for_floats(self, rng):
        asked = []

        def function(values, dtype):
            asked.append((values.dtype, dtype))
            return values.astype(dtype)

        source = image(rng, "uint8")
        pixels.apply(source, function, bounded=True)
        pixels.apply(source, function)
        pixels.apply(source, function, bounded=True, value_range="offset")
        pixels.apply(source, function, bounded=True, depth="16")
        assert asked == [("uint8", "uint8"), ("uint8", "float32"), ("uint8", "float32"), ("uint8", "float32")]

    def test_four_channels_are_handed_over_whole_and_three_come_back(self, rng):
        shapes = []

        def function(values, dtype):
            shapes.append(values.shape)
            return filter_of(BOX)(values, dtype)

        whole = image(rng, "uint8", (9, 8, 4))
        result, _ = pixels.apply(whole[..., :3], function, bounded=True)
        assert shapes == [(9, 8, 4)]
        assert result.shape == (9, 8, 3)
        np.testing.assert_array_equal(result, filter_of(BOX)(whole[..., :3].copy(), np.dtype("uint8")))
        assert pixels.four_channels(result) is not None
        result, _ = pixels.apply(whole[..., :3], function, value_range="abs")
        assert shapes[-1] == (9, 8, 3)

    def test_other_dtypes_and_words_are_refused(self):
        with pytest.raises(DtypeError, match="image of int32; use one of uint8"):
            pixels.apply(np.zeros((2, 2), np.int32), identity)
        with pytest.raises(ParameterError, match="range 'wrap'; use one of clip"):
            pixels.apply(np.zeros((2, 2), np.uint8), identity, value_range="wrap")
        with pytest.raises(ParameterError, match="depth '12'; use one of 8, 16, f32"):
            pixels.apply(np.zeros((2, 2), np.uint8), identity, depth="12")


class TestRange:
    VALUES = np.array([[-300.0, -1.0, -0.4, 0.5, 1.5, 100.2, 254.5, 255.4, 255.6, 999.0]])

    @pytest.mark.parametrize(
        ("value_range", "expected", "clipped"),
        [
            (None, [0, 0, 0, 0, 2, 100, 254, 255, 255, 255], 4),
            ("clip", [0, 0, 0, 0, 2, 100, 254, 255, 255, 255], 4),
            ("abs", [255, 1, 0, 0, 2, 100, 254, 255, 255, 255], 3),
            ("offset", [0, 127, 128, 128, 130, 228, 255, 255, 255, 255], 5),
        ],
    )
    def test_into_8_bits(self, value_range, expected, clipped):
        result = pixels.quantise(self.VALUES, np.dtype(np.uint8), value_range)
        np.testing.assert_array_equal(result.array, [expected])
        assert result.clipped == clipped

    @given(arrays.arrays(np.float64, (4, 5), elements=st.floats(-1e6, 1e6)))
    def test_stretch_goes_from_end_to_end(self, values):
        result, clipped = pixels.quantise(values, np.dtype(np.uint8), "stretch")
        assert clipped == 0
        if np.ptp(values) > 1e-3:
            assert (result.min(), result.max()) == (0, 255)
            order = np.argsort(values, axis=None, kind="stable")
            assert (np.diff(result.ravel()[order].astype(int)) >= 0).all()

    def test_what_is_no_number(self):
        values = np.array([[np.nan, np.inf, -np.inf, 7.0]], np.float32)
        result = pixels.quantise(values, np.dtype(np.uint8))
        np.testing.assert_array_equal(result.array, [[0, 255, 0, 7]])
        assert result.clipped == 3
        np.testing.assert_array_equal(pixels.quantise(values, np.dtype(np.uint8), "stretch").array[0, 3], 0)

    def test_floats_are_kept_unless_a_range_is_asked_for(self, rng):
        source = image(rng, "uint8")
        result, clipped = pixels.apply(source, filter_of(LAPLACIAN), depth="f32")
        np.testing.assert_allclose(result, correlated(source, LAPLACIAN), atol=1e-3)
        assert clipped == 0
        limited, clipped = pixels.apply(source, filter_of(LAPLACIAN), depth="f32", value_range="clip")
        assert clipped == np.count_nonzero((result < 0) | (result > 255))
        np.testing.assert_array_equal(limited, np.clip(result, 0, 255))

    def test_the_count_is_that_of_values_beyond_the_range(self, rng):
        source = image(rng, "uint8", (200, 300))
        exact = np.rint(correlated(source, SHARPEN))
        result, clipped = pixels.apply(source, filter_of(SHARPEN))
        assert clipped == np.count_nonzero((exact < 0) | (exact > 255))
        np.testing.assert_array_equal(result, np.clip(exact, 0, 255))


class TestDepth:
    def test_8_bits_and_16_are_a_factor_of_257_apart(self):
        source = np.arange(256, dtype=np.uint8).reshape(16, 16)
        wide, _ = pixels.apply(source, identity, depth="16")
        np.testing.assert_array_equal(wide, source.astype(np.uint16) * 257)
        narrow, _ = pixels.apply(wide, identity, depth="8")
        np.testing.assert_array_equal(narrow, source)
        every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
        narrow, _ = pixels.apply(every, identity, depth="8")
        np.testing.assert_array_equal(narrow, np.rint(every / 257))

    def test_rounding_happens_once(self, rng):
        """A mean of 8 bits written with 16 keeps what 8 bits would lose."""
        source = image(rng, "uint8")
        result, _ = pixels.apply(source, filter_of(BOX), bounded=True, depth="16")
        assert np.abs(result - correlated(source, BOX) * 257).max() <= 0.51

    def test_floats_stand_for_themselves(self, rng):
        values = np.array([[0.4, 100.6, 300.0]], np.float32)
        result = pixels.apply(values, identity, depth="8")
        np.testing.assert_array_equal(result.array, [[0, 101, 255]])
        assert result.clipped == 1
        kept, _ = pixels.apply(np.array([[7, 255]], np.uint8), identity, depth="f32")
        np.testing.assert_array_equal(kept, np.array([[7, 255]], np.float32))

    def test_two_filters_with_floats_between_them(self, rng):
        """With its white told, a float image is as good as the integers that it came from."""
        source = image(rng, "uint8", (12, 13, 4))
        for options in ({}, {"linear": True}, {"alpha": True}, {"linear": True, "alpha": True}):
            first, _ = pixels.apply(source, filter_of(BOX), depth="f32", **options)
            second, _ = pixels.apply(first, filter_of(BOX), depth="16", white=255.0, **options)
            halfway, _ = pixels.apply(source, filter_of(BOX), depth="16", **options)
            expected, _ = pixels.apply(halfway, filter_of(BOX), **options)
            assert np.abs(second.astype(int) - expected).max() <= 2


class TestAlpha:
    def test_hidden_colour_never_bleeds(self, rng):
        """Whatever colour hides where alpha is 0, the result is the same."""
        seen = image(rng, "uint8", (20, 20, 4))
        seen[..., 3] = np.where(rng.random((20, 20)) < 0.5, 0, seen[..., 3])
        other = seen.copy()
        other[seen[..., 3] == 0, :3] = [255, 0, 255]
        for kernel, gain in ((BOX, 1.0), (SHARPEN, 1.0), (LAPLACIAN, 0.0)):
            first = pixels.apply(seen, filter_of(kernel), alpha=True, gain=gain)
            second = pixels.apply(other, filter_of(kernel), alpha=True, gain=gain)
            np.testing.assert_array_equal(first.array, second.array)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_hidden_colours_that_are_no_numbers_never_bleed(self, dtype, value, rng):
        seen = rng.random((20, 20, 4)).astype(dtype)
        seen[..., 3] = rng.random((20, 20)) < 0.5
        other = seen.copy()
        other[seen[..., 3] == 0, :3] = value
        first, second = (pixels.apply(x, filter_of(BOX), alpha=True).array for x in (seen, other))
        np.testing.assert_array_equal(first, second)
        assert np.isfinite(second).all()

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_against_the_formula(self, dtype, rng):
        white = np.iinfo(dtype).max
        source = image(rng, dtype, (16, 17, 4))
        result, _ = pixels.apply(source, filter_of(BOX), alpha=True, bounded=True)
        colour, alpha = source[..., :3] / white, source[..., 3:] / white
        smooth = correlated(alpha, BOX)
        expected = np.concatenate([correlated(colour * alpha, BOX) / smooth, smooth], -1) * white
        assert np.abs(result - expected).max() <= 0.5 + 0.01 * white / 255

    def test_one_colour_under_any_alpha_stays(self, rng):
        source = np.full((15, 15, 4), 200, np.uint8)
        source[..., 3] = rng.integers(0, 256, (15, 15))
        result, _ = pixels.apply(source, filter_of(BOX), alpha=True, bounded=True)
        assert (result[..., :3][result[..., 3] > 0] == 200).all()

    def test_opaque_pixels_are_filtered_as_if_alpha_were_not_there(self, rng):
        source = image(rng, "uint8", (15, 15, 4))
        source[..., 3] = 255
        plain, _ = pixels.apply(source[..., :3].copy(), filter_of(BOX), bounded=True)
        for bounded in (True, False):
            result, _ = pixels.apply(source, filter_of(BOX), alpha=True, bounded=bounded)
            np.testing.assert_array_equal(result[..., :3], plain)
            assert (result[..., 3] == 255).all()

    def test_zeros_outside_make_the_border_translucent_and_not_dark(self):
        source = np.full((8, 8, 4), 255, np.uint8)
        result, _ = pixels.apply(source, filter_of(BOX, "constant"), alpha=True, bounded=True)
        assert (result[..., :3] == 255).all()
        assert result[0, 0, 3] == round(255 * 4 / 9)

    def test_a_kernel_with_another_sum_leaves_opaque_what_was(self, rng):
        source = image(rng, "uint8", (9, 9, 2))
        source[..., 1] = 255
        result, _ = pixels.apply(source, filter_of(BOX * 3), alpha=True, gain=3.0)
        assert (result[..., 1] == 255).all()
        expected = np.clip(np.rint(correlated(source[..., 0], BOX * 3)), 0, 255)
        assert np.abs(result[..., 0] - expected).max() <= 1

    @pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
    def test_a_kernel_with_another_sum_leaves_translucent_what_was(self, gain):
        source = np.full((9, 9, 4), (40, 60, 80, 90), np.uint8)
        result, _ = pixels.apply(source, filter_of(BOX * gain), alpha=True, gain=gain)
        np.testing.assert_array_equal(result, np.full((9, 9, 4), (40 * gain, 60 * gain, 80 * gain, 90)))

    def test_a_derivative_is_opaque(self, rng):
        source = image(rng, "uint8", (9, 9, 4))
        result, _ = pixels.apply(source, filter_of(LAPLACIAN), alpha=True, gain=0.0, value_range="abs")
        assert (result[..., 3] == 255).all()
        premultiplied = source[..., :3] * (source[..., 3:] / 255)
        expected = np.clip(np.abs(correlated(premultiplied, LAPLACIAN)), 0, 255)
        assert np.abs(result[..., :3] - expected).max() <= 0.51

    def test_the_range_is_not_applied_to_alpha(self, rng):
        source = image(rng, "uint8", (9, 9, 4))
        for value_range in ("offset", "stretch", "abs"):
            result, _ = pixels.apply(source, identity, alpha=True, value_range=value_range)
            np.testing.assert_array_equal(result[..., 3], source[..., 3])


class TestHidden:
    def test_blocks_at_the_edge_count_the_pixels_that_are_there(self):
        """By hand: halves of 0.2 over nothing and of 0.8, their mean 0.6, and 0.2 half over that."""
        seen = np.array([[1.0, 0.0, 1.0]])[..., None]
        colours = np.array([[0.2, 0.0, 0.8]])[..., None]
        for turned in (False, True):
            source, alpha = (np.swapaxes(a, 0, 1) if turned else a for a in (colours, seen))
            np.testing.assert_allclose(filled(source, alpha).ravel(), [0.2, 0.4, 0.8])

    def test_what_is_seen_at_all_keeps_its_colour(self, rng):
        alpha = rng.choice([0, 1 / 255, 0.5, 1], (9, 8, 1))
        colours = rng.random((9, 8, 3))
        found = filled(alpha * colours, alpha)
        seen = np.broadcast_to(alpha > 0, colours.shape)
        np.testing.assert_allclose(found[seen], colours[seen])

    def test_one_colour_shows_through_everywhere(self, rng):
        alpha = rng.random((7, 5, 1)) * (rng.random((7, 5, 1)) < 0.3)
        np.testing.assert_allclose(filled(alpha * [0.3, 0.6], alpha), np.full((7, 5, 2), [0.3, 0.6]))


class TestLinear:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_every_value_comes_back(self, dtype):
        every = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(-1, 256)
        result, clipped = pixels.apply(every, identity, linear=True)
        np.testing.assert_array_equal(result, every)
        assert clipped == 0

    def test_the_curve_is_that_of_the_standard(self):
        """IEC 61966-2-1, at its ends, at its knee and at middle grey."""
        coded = np.array([0.0, 0.04045, 0.5, 1.0])
        linear = np.array([0.0, 0.04045 / 12.92, ((0.5 + 0.055) / 1.055) ** 2.4, 1.0])
        np.testing.assert_allclose(pixels.srgb_to_linear(coded), linear, rtol=1e-12)
        np.testing.assert_allclose(pixels.linear_to_srgb(linear), coded, rtol=1e-6, atol=1e-12)

    def test_a_mean_of_black_and_white_is_half_the_light(self):
        source = np.zeros((8, 8), np.uint8)
        source[:, ::2] = 255
        half = np.array([[0.25, 0.5, 0.25]])
        result, _ = pixels.apply(source, filter_of(half), linear=True, bounded=True)
        assert set(result.ravel().tolist()) == {188}

    def test_alpha_is_not_on_the_curve(self, rng):
        source = image(rng, "uint8", (6, 6, 4))
        result, _ = pixels.apply(source, filter_of(BOX), linear=True, alpha=True)
        np.testing.assert_array_equal(result[..., 3], np.rint(correlated(source[..., 3], BOX)))

    def test_floats_without_a_white_are_refused(self):
        with pytest.raises(
            ParameterError, match="linear light of an image of float32, whose white is unknown"
        ):
            pixels.apply(np.zeros((2, 2), np.float32), identity, linear=True)


class TestMemory:
    @given(st.integers(1, 5), st.integers(1, 6), st.sampled_from(["uint8", "uint16", "float32"]))
    def test_a_view_of_four_channels_is_known(self, height, width, dtype):
        whole = np.arange(height * width * 4).reshape(height, width, 4).astype(dtype)
        view = whole[..., :3]
        np.testing.assert_array_equal(pixels.four_channels(view), whole)
        packed = pixels.packed(view)
        assert packed.flags.c_contiguous
        np.testing.assert_array_equal(packed, view)

    def test_other_views_are_not(self):
        whole = np.zeros((6, 7, 4), np.uint8)
        for view in (
            whole,
            whole[..., 1:],
            whole[:, ::2, :3],
            whole[:, :5, :3],
            whole[::2, :, :3],
            whole[..., 0],
        ):
            assert pixels.four_channels(view) is None
        assert pixels.four_channels(whole[..., :3].copy()) is None
        assert pixels.four_channels(whole[2:4, :, :3]) is not None

    def test_the_source_is_never_changed(self, rng):
        for dtype in ("uint8", "float32"):
            source = image(rng, dtype, (5, 5, 4))
            source.flags.writeable = False
            for options in ({}, {"alpha": True}, {"linear": dtype == "uint8"}, {"bounded": True}):
                pixels.apply(source, identity, **options)
