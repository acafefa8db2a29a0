"""Filters over strips of rows give what they give on the whole frame."""

import itertools
import re
import tracemalloc
from unittest.mock import patch

import numpy as np
import promise
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import cnnfilter as cf
from cnnfilter import Kernel
from cnnfilter.errors import ParameterError
from cnnfilter.filters import plan
from cnnfilter.filters.chain import run_apart, run_chain
from cnnfilter.filters.correlation import Convolve, Correlate
from cnnfilter.filters.filter import KernelFilter
from cnnfilter.filters.gaussian import Gaussian
from cnnfilter.filters.gradient import Gradient
from cnnfilter.filters.mean import Mean
from cnnfilter.filters.plan import plan_chain
from cnnfilter.filters.pool import Pool
from cnnfilter.filters.second_derivative import SecondDerivative
from cnnfilter.filters.unsharp import Unsharp
from cnnfilter.registry import filter_named

SKEW = Kernel([[1, -2, 3], [0, 4, -1], [2, 0, 1], [-3, 1, 2]])

BOUNDARIES = ("zero", "edge", "reflect", "symmetric", "wrap")


@st.composite
def linear_steps(draw):
    geometry = {
        "stride": draw(st.sampled_from([1, 1, 2, (3, 1)])),
        "padding": draw(st.sampled_from(["same", "same", "narrow", "wide", (2, 1), ((0, 3), (1, 0))])),
        "boundary": draw(st.sampled_from(BOUNDARIES)),
    }
    kind = draw(st.sampled_from(["mean", "gaussian", "second-derivative", "correlate", "convolve"]))
    own = {
        "mean": {"size": draw(st.sampled_from([2, 3, (5, 1)]))},
        "gaussian": {"sigma": draw(st.sampled_from([0.5, 1.2])), "template": "float"},
        "second-derivative": {"axis": draw(st.sampled_from(["x", "y", "both"]))},
        "correlate": {"kernel": SKEW, "dilation": draw(st.sampled_from([1, 2]))},
        "convolve": {"kernel": SKEW},
    }[kind]
    value_range = draw(st.sampled_from([None, "clip", "abs", "offset"]))
    return filter_named(kind)(value_range, **geometry, **own)


pools = st.builds(
    Pool,
    kind=st.sampled_from(["max", "mean"]),
    size=st.sampled_from([2, 3]),
    stride=st.sampled_from([None, 1, 4]),
    padding=st.sampled_from([0, 1]),
)


def run(steps, frame, *, overwrite=False, **how):
    return run_chain(plan_chain(steps, frame.shape, frame.dtype, **how), frame, overwrite=overwrite)


def whole(*arguments, **named):
    with patch.object(plan, "STRIP", 1 << 60):
        return run(*arguments, **named)


def in_strips(*arguments, **named):
    with patch.object(plan, "STRIP", 1):
        return run(*arguments, **named)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(linear_steps(), pools), min_size=1, max_size=3),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.sampled_from([None, "8", "16", "f32"]),
    st.sampled_from([None, "clip", "abs", "offset", "stretch"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 3]),
    st.integers(0, 99),
)
def test_strips_give_the_whole_result(steps, dtype, depth, value_range, alpha, linear, threads, seed):
    random = np.random.default_rng(seed)
    frame = random.integers(0, 256, (230, 60, 4)).astype(dtype)
    if dtype == "uint16":
        frame *= 257
    linear = linear and dtype != "float32"
    if alpha:  # signed kernels make alphas around 0, by which colours cannot be divided with any precision
        frame[..., 3] = frame[..., 3] // 2 + frame.max() // 2
        steps = [step for step in steps if step.bounded]
        assume(steps)
    settings_ = {"alpha": alpha, "linear": linear, "value_range": value_range, "depth": depth}
    try:
        expected = whole(steps, frame, **settings_)
    except ParameterError as error:  # the kernels do not fit
        with pytest.raises(ParameterError, match=re.escape(str(error))):
            in_strips(steps, frame, threads=threads, **settings_)
        return
    original = frame.copy()
    result = in_strips(steps, frame, threads=threads, **settings_)
    np.testing.assert_array_equal(frame, original)
    overwritten = in_strips(steps, frame, threads=threads, overwrite=True, **settings_)
    np.testing.assert_array_equal(overwritten.array, result.array)
    assert overwritten.clipped == result.clipped
    assert result.array.dtype == expected.array.dtype
    assert result.array.shape == expected.array.shape
    found, wanted = result.array.astype(np.float64), expected.array.astype(np.float64)
    tolerance = 2e-6 * reach_of_values(steps, expected.array.dtype, frame)
    if alpha:
        # Colours of what can hardly be seen are quotients of two sums near 0.
        hidden = wanted[..., -1] < 0.1 * wanted[..., -1].max()
        found[hidden], wanted[hidden] = 0, 0
        tolerance *= 100
    if linear:
        tolerance *= 13  # the curve's slope at black
    if value_range == "stretch":
        tolerance *= 4
    if result.array.dtype.kind != "f":
        tolerance += 1  # floats with another first pixel to differ from fall on the other side of a tie
    assert np.abs(found - wanted).max() <= tolerance


def reach_of_values(steps, dtype, frame):
    """How large a sum may become on the way, in units of the result: what its rounding is relative to."""
    largest = float(np.iinfo(dtype).max if dtype.kind == "u" else max(1, frame.max()))
    for step in steps:
        kernel = step.kernel() if isinstance(step, KernelFilter) else None
        largest *= 1 if kernel is None else float(np.abs(kernel.array).sum())
    return largest


def test_the_limited_values_are_counted_once():
    frame = np.random.default_rng(3).integers(0, 256, (300, 40, 3)).astype(np.uint8)
    steps = [Correlate(kernel=SKEW), Gaussian(sigma=3.0, template="float")]
    expected = whole(steps, frame).clipped
    assert expected > 0
    for threads in (1, 2, 5):
        assert in_strips(steps, frame, threads=threads).clipped == expected


def test_a_stretch_knows_the_whole_image():
    frame = np.zeros((500, 30), np.uint8)
    frame[3, 4], frame[490, 20] = 200, 100
    steps = [Correlate("stretch", kernel=Kernel([[1.0]]))]
    result = in_strips(steps, frame).array
    assert result.max() == 255
    assert result[490, 20] == 128


def test_a_stretch_of_directions_is_the_same_in_strips():
    """Directions become shares of white where they are given a range, and their extremes with them."""
    frame = np.random.default_rng(5).integers(0, 256, (300, 40)).astype(np.uint8)
    steps = [Gradient("stretch", show="direction")]
    for dtype, depth in itertools.product((np.uint8, np.int16, np.float32), (None, "8", "16")):
        if dtype == np.float32 and depth is None:
            continue
        expected = whole(steps, frame.astype(dtype), depth=depth)
        result = in_strips(steps, frame.astype(dtype), depth=depth)
        assert expected.array.max() > 250
        np.testing.assert_array_equal(result.array, expected.array)
        assert result.clipped == expected.clipped


@pytest.mark.parametrize("after", [[], [Gaussian(sigma=1.0)]])
def test_transforms_have_the_bits_of_the_whole_in_strips(after):
    """Their tiles begin at the same rows whatever the strips are."""
    generator = np.random.default_rng(6)
    kernel = Kernel(generator.random((15, 13)))
    frame = generator.random((700, 90), dtype=np.float32)
    for value_range in ("clip", "abs"):
        steps = [Correlate("clip", kernel=kernel, boundary="reflect"), *after]
        how = {"value_range": value_range}
        planned = plan_chain(steps, frame.shape, frame.dtype, **how)
        assert planned.described()[0].record["method"] == "fft"
        expected = whole(steps, frame, **how).array
        for threads in (1, 3):
            np.testing.assert_array_equal(in_strips(steps, frame, threads=threads, **how).array, expected)


def test_a_pair_of_boundaries_wraps_where_one_of_them_does():
    frame = np.random.default_rng(7).integers(0, 256, (400, 30)).astype(np.uint8)
    steps = [Gaussian(sigma=1.0, boundary=("wrap", "edge")), SecondDerivative()]
    np.testing.assert_array_equal(in_strips(steps, frame).array, whole(steps, frame).array)


def test_a_chain_looked_into_is_the_chain_that_runs():
    frame = np.random.default_rng(5).integers(0, 256, (300, 40, 3)).astype(np.uint8)
    steps = [Correlate(kernel=SKEW), Gaussian(sigma=3.0, template="float")]
    given, values = run_apart(plan_chain(steps, frame.shape, frame.dtype), frame)
    assert given.min() >= 0 and given.max() <= 255 and values.dtype == np.float64
    np.testing.assert_array_equal(np.rint(values), in_strips(steps, frame).array)


def test_floats_are_never_there_for_the_whole_frame():
    frame = np.zeros((12000, 500, 3), np.uint8)
    steps = [Gaussian(sigma=2.0, template="float"), SecondDerivative(axis="both")]
    run(steps, frame[:600])
    tracemalloc.start()
    run(steps, frame, threads=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.7 * 4 * frame.size


def peak_of(planned, frame):
    """Return the bytes that a chain takes at the most, once its loops are there."""
    run_chain(planned, frame)
    tracemalloc.start()
    run_chain(planned, frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("whole", [True, False])
def test_the_plan_says_how_much_memory_it_takes(whole):
    frame = np.zeros((4000, 500, 3), np.uint8)
    steps = [Gaussian(sigma=2.0, template="float"), SecondDerivative(axis="both")]
    planned = plan_chain(steps, frame.shape, frame.dtype, threads=1)
    if whole:
        with patch.object(plan, "STRIP", 1 << 60):
            assert planned.strips == 1
    assert 0.3 * planned.memory < peak_of(planned, frame) < 1.1 * planned.memory


@pytest.mark.parametrize("strip", [plan.STRIP, 1 << 60])
@pytest.mark.parametrize("made", [Gradient(show="direction"), Gradient(), Unsharp(sigma=2.0)])
def test_floats_of_filters_of_several_passes_are_planned_too(made, strip):
    """Their own floats lie beside the result, also where the frame is one of floats already."""
    frame = np.random.default_rng(4).random((4000, 500, 3), np.float32)
    planned = plan_chain([made], frame.shape, frame.dtype, threads=1)
    with patch.object(plan, "STRIP", strip):
        assert (planned.strips > 1) == (strip < 1 << 60)
    assert peak_of(planned, frame) < 1.1 * planned.memory


@pytest.mark.parametrize("made", [Gradient(show="direction"), Unsharp(sigma=2.0), Gaussian(sigma=2.0)])
def test_floats_have_the_bits_of_the_whole_in_strips(made):
    frame = np.random.default_rng(4).random((700, 50, 3), np.float32)
    np.testing.assert_array_equal(in_strips([made], frame).array, whole([made], frame).array)


@pytest.mark.parametrize("depth", ["8", "16"])
def test_directions_of_floats_fill_the_range_of_pixels(depth):
    frame = np.random.default_rng(5).random((60, 40)).astype(np.float32)
    pixels = run([Gradient(show="direction")], frame, depth=depth).array
    directions, white = cf.gradient(frame, output="direction"), np.iinfo(pixels.dtype).max
    wanted = directions / (2 * np.pi) * white + (white + 1) / 2
    np.testing.assert_allclose(pixels, np.clip(wanted, 0, white), atol=0.51)


@pytest.mark.parametrize(
    ("made", "shape", "dtype", "options", "words"),
    [
        (Gradient(show="direction"), (9, 9), "uint8", {"linear": True}, "are no brightness"),
        (Mean(size=3), (9, 9), "float32", {"linear": True}, "whose white is unknown"),
        (Gradient(show="colour", stride=2), (9, 9, 4), "uint8", {"alpha": True}, "would be 5x5"),
    ],
)
def test_what_a_run_refuses_is_refused_when_it_is_planned(made, shape, dtype, options, words):
    with pytest.raises(ParameterError, match=words):
        plan_chain([made], shape, dtype, **options)


def test_the_result_may_take_the_memory_of_the_frame():
    frame = np.random.default_rng(4).integers(0, 256, (900, 300, 4)).astype(np.uint8)[..., :3]
    steps = [Correlate(kernel=SKEW)]
    expected = run(steps, frame).array
    result = in_strips(steps, frame, overwrite=True).array
    assert result is frame
    np.testing.assert_array_equal(result, expected)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(linear_steps(), pools, st.builds(Unsharp), st.builds(Gradient)), min_size=1, max_size=3
    ),
    st.sampled_from(
        [("uint8", 7), ("int16", -32768), ("float32", -9999), ("float32", np.nan), ("float64", -1e38)]
    ),
    st.sampled_from([None, "f32"]),
    st.sampled_from([None, "clip", "abs", "offset", "stretch"]),
    st.booleans(),
    st.integers(0, 99),
)
def test_missing_pixels_are_so_in_strips_too(steps, kind, depth, value_range, fill, seed):
    dtype, marker = kind
    random = np.random.default_rng(seed)
    frame = random.integers(10, 250, (230, 30, 2)).astype(dtype)
    frame[random.random(frame.shape) < 0.02] = marker
    frame[60:130, 5:20] = marker
    how = {"depth": depth, "value_range": value_range, "missing": marker, "fill": fill}
    try:
        expected = whole(steps, frame, **how)
    except ParameterError:  # the kernels do not fit, or float32 does not hold the value
        assume(False)
    original = frame.copy()
    for overwrite in (False, True):
        result = in_strips(steps, frame, threads=3, overwrite=overwrite, **how)
        np.testing.assert_array_equal(result.array, expected.array)
        assert result.mistaken == expected.mistaken
        if promise.needs_all(plan_chain(steps, frame.shape, frame.dtype, **how).geometries[1:]):
            assert result.clipped == expected.clipped
        if not overwrite:
            np.testing.assert_array_equal(frame, original)


def test_what_is_missing_after_a_filter_is_missing_for_the_next():
    frame = np.random.default_rng(6).normal(size=(40, 30)).astype(np.float32)
    frame[5:20, 5:20] = -1e30
    gone = frame == np.float32(-1e30)
    once = cf.mean(np.ma.MaskedArray(frame, gone), fill=True)
    assert 0 < once.mask.sum() < gone.sum()
    twice = cf.gradient(once, fill=True).filled(-1e30)
    for strips in (whole, in_strips):
        result = strips([filter_named("mean")(), Gradient()], frame, missing=-1e30, fill=True)
        np.testing.assert_array_equal(result.array, twice)


def test_results_that_have_the_value_of_missing_ones_are_counted():
    frame = np.full((200, 20), 9, np.uint8)
    frame[50, 5] = 0
    gone = cf.second_derivative(frame, missing=frame == 0).mask
    for strips in (whole, in_strips):
        result = strips([SecondDerivative()], frame, missing=0)
        assert result.mistaken == np.count_nonzero(~gone)
        assert strips([SecondDerivative()], frame, missing=0, depth="f32").mistaken == result.mistaken
        assert strips([Pool(kind="max")], frame, missing=0).mistaken == 0


def test_the_memory_of_missing_pixels_is_planned():
    frame = np.zeros((4000, 500, 3), np.float32)
    frame[::7, ::5] = -1
    for steps in ([Gaussian(sigma=2.0)], [Gaussian(sigma=2.0), SecondDerivative(axis="both")]):
        planned = plan_chain(steps, frame.shape, frame.dtype, threads=1, missing=-1)
        assert 0.3 * planned.memory < peak_of(planned, frame) < 1.1 * planned.memory


def test_a_frame_that_transforms_still_read_is_not_overwritten():
    """The rows that are computed together reach beyond the strip, whose result another thread had written."""
    generator = np.random.default_rng(0)
    frame = generator.random((1500, 1100, 3)).astype(np.float32)
    weights = generator.random((43, 43))
    filters = [Convolve(kernel=Kernel(weights / weights.sum())), Gaussian(sigma=1.0)]
    plan = plan_chain(filters, frame.shape, frame.dtype, threads=3)
    assert plan.strips > 3 and any(grid != (1, 1) for grid in plan.grids)
    wanted = run_chain(plan, frame).array
    np.testing.assert_array_equal(run_chain(plan, frame.copy(), overwrite=True).array, wanted)
    assert not plan.keeps_the_frame
