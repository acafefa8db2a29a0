"""Stacks that take blocks of pixels, grey pictures, and shares of a change: the filters that come along."""

import itertools
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnfilter as cf
from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.plan import plan_chain
from cnnfilter.lazy.engine import filter_blocks
from cnnfilter.learning.application import Learned
from cnnfilter.learning.degrading import CleanPatches, Degradation
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
from cnnfilter.learning.shipped import shipped_filter, shipped_names
from cnnfilter.learning.stack import learn_stack, learn_stack_from_clean
from cnnfilter.learning.training import StackOptions, first_parameters, gradients_of, layers_of
from cnnfilter.nn.functional import convolution


def stack(channels=3, block=2, seed=0, takes_grey=False, layers=3, maps=5):
    rng = np.random.default_rng(seed)
    ends = channels * block**2
    widths = [ends] + [maps] * (layers - 1) + [ends]
    made = [
        ConvolutionLayer(
            0.2 * rng.standard_normal((outputs, inputs, 3, 3), np.float32),
            0.1 * rng.standard_normal(outputs, np.float32),
            "relu" if k < layers - 1 else "identity",
        )
        for k, (inputs, outputs) in enumerate(itertools.pairwise(widths))
    ]
    return LearnedFilter(tuple(made), residual=True, block=block, takes_grey=takes_grey)


def blocks_of(image, block):
    """Maps (1, C * block², H / block, W / block) of an image, one pixel after the other."""
    height, width, channels = image.shape
    maps = np.empty((1, channels * block**2, height // block, width // block))
    for c in range(channels):
        for a in range(block):
            for b in range(block):
                maps[0, (c * block + a) * block + b] = image[a::block, b::block, c]
    return maps


def test_layers_meet_the_blocks_of_the_extended_image():
    learned, image = stack(), np.random.default_rng(2).random((13, 10, 3))
    assert learned.reach == ((7, 7), (7, 7)) and (learned.inputs, learned.outputs) == (3, 3)
    x = np.pad(image, ((6, 7), (6, 6), (0, 0)), "reflect")
    y = blocks_of(x, 2)
    for k, layer in enumerate(learned.layers):
        y = convolution(y, layer.weights.astype(float), layer.bias.astype(float))
        y = np.maximum(y, 0) if k < 2 else y
    wanted = image.copy()
    for c in range(3):
        for i in range(13):
            for j in range(10):
                wanted[i, j, c] += y[0, (c * 2 + i % 2) * 2 + j % 2, i // 2, j // 2]
    np.testing.assert_allclose(learned.maps(image), wanted, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 240), st.integers(1, 30)), block=st.integers(1, 3),
    strip=st.integers(1, 20),
    boundary=st.sampled_from(["reflect", "edge", "zero", "wrap", "symmetric"]), stride=st.integers(1, 3),
)  # fmt: skip
def test_strips_threads_and_chains_equal_the_whole(shape, block, strip, boundary, stride):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    learned = stack(block=block)
    whole = learned.maps(image, boundary=boundary, strip=10_000, threads=1)
    np.testing.assert_allclose(
        learned.maps(image, boundary=boundary, strip=strip, threads=2), whole, atol=1e-5
    )
    filter = Learned(filter=learned, boundary=boundary, stride=stride)
    found = run_chain(plan_chain([filter], image.shape, image.dtype), image).array.astype(int)
    with mock.patch("cnnfilter.filters.plan.STRIP", 1):
        plan = plan_chain([filter], image.shape, image.dtype)
        # What wraps around needs the other end; four reaches are two strips at the least.
        assert plan.strips > 1 or boundary == "wrap" or plan.shapes[-1][0] < 64 * block
        parts = run_chain(plan, image).array
    assert np.abs(parts - found).max() <= 1


@pytest.mark.parametrize("boundary", ["reflect", "zero", "wrap"])
@pytest.mark.parametrize(("block", "layers"), [(1, 4), (2, 4), (2, 5), (3, 4)])
def test_parts_of_layers_in_tiles_have_the_bits_of_the_whole(block, layers, boundary):
    image = np.random.default_rng(1).integers(0, 256, (263, 47, 3), np.uint8)
    learned = stack(block=block, layers=layers, maps=20)
    assert learned.grid == 2 * block
    whole = learned.maps(image, boundary=boundary, strip=10_000, threads=1)
    for strip in (1, 5, 14):
        parts = learned.maps(image, boundary=boundary, strip=strip, threads=3)
        np.testing.assert_array_equal(parts, whole)
    plan = plan_chain([Learned(filter=learned, boundary=boundary)], image.shape, image.dtype, depth="f32")
    wanted = run_chain(plan, image).array
    for size in ((9, 7), (20, 50)):
        found = Image(np.zeros(image.shape, np.float32))
        filter_blocks(plan, Image(image), found, size)
        np.testing.assert_array_equal(found.pixels, wanted)
    with mock.patch("cnnfilter.filters.plan.STRIP", 1):
        plan = plan_chain([Learned(filter=learned, boundary=boundary)], image.shape, image.dtype, depth="f32")
        assert plan.strips > 1 or boundary == "wrap"
        np.testing.assert_array_equal(run_chain(plan, image).array, wanted)


class Image:
    """An array that is read and written in parts."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype, self.chunks = pixels, pixels.shape, pixels.dtype, (1, 1)

    def read(self, rows, columns):
        return self.pixels[slice(*rows), slice(*columns)]

    def write(self, rows, columns, block):
        self.pixels[slice(*rows), slice(*columns)] = block


@pytest.mark.parametrize("block", [(9, 7), (1, 50), (4, 4)])
def test_blocks_of_the_engine_equal_the_whole(block):
    image = np.random.default_rng(3).integers(0, 256, (61, 47, 3), np.uint8)
    plan = plan_chain([Learned(filter=stack())], image.shape, image.dtype)
    assert plan.grids == ((2, 2),)
    found = Image(np.zeros_like(image))
    filter_blocks(plan, Image(image), found, block)
    assert np.abs(found.pixels.astype(int) - run_chain(plan, image).array).max() <= 1


def test_a_crop_at_whole_blocks_has_the_values_of_the_image():
    image = np.random.default_rng(4).random((50, 60, 3), np.float32)
    learned = stack()
    whole, part = learned.maps(image), learned.maps(image[10:, 12:])
    np.testing.assert_allclose(part[8:, 8:], whole[18:, 20:], atol=1e-5)


@pytest.mark.parametrize("block", [1, 2, 3])
def test_nothing_beyond_the_reach_counts(block):
    image = np.random.default_rng(4).random((80, 9, 3))
    learned = stack(block=block)
    (top, bottom), _ = learned.reach
    whole, counts = learned.maps(image), set()
    for row in range(39, 39 + block):
        for offset in range(-top - 4, bottom + 5):
            changed = image.copy()
            changed[row + offset] += 0.5
            if not np.array_equal(learned.maps(changed)[row], whole[row]):
                counts.add(offset)
    assert (min(counts), max(counts)) == (-top, bottom)


def test_grey_is_three_equal_channels_and_their_mean():
    image = np.random.default_rng(5).random((12, 9))
    learned = stack(takes_grey=True)
    found = learned.maps(image)
    np.testing.assert_allclose(found[..., 0], learned.maps(np.stack([image] * 3, 2)).mean(2), atol=1e-12)
    assert learned.apply((image * 255).astype(np.uint8)).shape == (12, 9)
    with pytest.raises(ParameterError, match=r"takes 3 channel\(s\), but the image has 1"):
        stack().maps(image)


def test_a_file_of_version_3_comes_back(tmp_path):
    learned = stack(block=3, takes_grey=True)
    learned.save(tmp_path / "f.safetensors")
    tensors, metadata = read_tensors(tmp_path / "f.safetensors")
    assert metadata["version"] == "3"
    image = np.random.default_rng(6).random((20, 11, 3), np.float32)
    found = LearnedFilter.load(tmp_path / "f.safetensors")
    np.testing.assert_array_equal(found.maps(image), learned.maps(image))
    for wrong in ('"block": 0', '"block": true', '"block": 99', '"block": "3"'):
        text = metadata["description"].replace('"block": 3', wrong)
        write_tensors(tmp_path / "bad.safetensors", tensors, metadata | {"description": text})
        with pytest.raises(FilterFileError, match="not of the known form"):
            LearnedFilter.load(tmp_path / "bad.safetensors")
    text = metadata["description"].replace('"block": 3', '"block": 2')
    write_tensors(tmp_path / "bad.safetensors", tensors, metadata | {"description": text})
    with pytest.raises(FilterFileError, match="blocks of 2x2 pixels do not go with 27 inputs"):
        LearnedFilter.load(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("strength", [0, 0.3, 1])
def test_a_strength_mixes_with_the_image(strength):
    image = np.random.default_rng(7).random((20, 11, 3))
    kernel = LearnedFilter((ConvolutionLayer(np.arange(6.0).reshape(1, 1, 2, 3)),), each_channel=True)
    for learned in (stack(), kernel):
        found = learned.weakened(strength).maps(image)
        np.testing.assert_allclose(found, strength * learned.maps(image) + (1 - strength) * image, atol=1e-6)
    with pytest.raises(ParameterError, match=r"strength is 1\.5: give a number from 0 to 1"):
        stack().weakened(1.5)
    with pytest.raises(ParameterError, match="filters that add to the image"):
        replace(stack(), residual=False).weakened(0.5)


@pytest.mark.parametrize("begin", ["random", "identity"])
@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_gradients_of_blocks(begin, loss):
    options = StackOptions(
        layers=2, maps=7, channels="mixed", block=2, patch=8, activation="tanh", begin=begin, loss=loss
    )
    rng = np.random.default_rng(8)
    parameters = {name: x.astype(float) for name, x in first_parameters(options, 3, rng).items()}
    x, wanted = rng.random((2, 3, 16, 16)), rng.random((2, 3, 8, 8))
    _, gradients = gradients_of(parameters, options, x, wanted, 1.0, (0.0, 1.0))
    for name, values in parameters.items():
        flat, at = values.reshape(-1), int(rng.integers(values.size))
        losses = []
        for step in (1e-6, -2e-6):
            flat[at] += step
            losses.append(gradients_of(parameters, options, x, wanted, 1.0, (0.0, 1.0))[0])
        flat[at] += 1e-6
        assert gradients[name].reshape(-1)[at] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-3)


def test_near_the_identity_the_first_layer_keeps_the_energy_of_a_block():
    """The transform is orthonormal: with equal gains, what goes in has the sum of squares of the pixels."""
    options = StackOptions(layers=3, maps=30, channels="mixed", block=2, patch=8, begin="identity")
    weights = first_parameters(options, 3, np.random.default_rng(0))["0.weight"][:24, :, 1, 1]
    basis = (weights[:12] - weights[12:24]) / 2 / np.array([[0.5], *[[2]] * 11])
    np.testing.assert_allclose(basis @ basis.T, np.eye(12), atol=0.15)
    stacked = layers_of(first_parameters(options, 3, np.random.default_rng(0)), options)
    assert len(stacked[0].weights) == 30


def test_patches_are_made_grey_as_often_as_told(tmp_path):
    for k in range(3):
        picture = np.random.default_rng(k).integers(0, 256, (90, 90, 3), np.uint8)
        cf.write(cf.Picture([picture], model="rgb"), tmp_path / f"{k}.png")
    files = sorted(tmp_path.glob("*.png"))
    source = CleanPatches(files, [Degradation("noise", 9, 9)], 5)
    for share in (0.0, 1.0):
        options = StackOptions(layers=2, maps=4, batch=6, patch=16, channels="mixed", grey=share)
        for batch in source.drawn(options, 5, 0, np.random.default_rng(0)):
            assert (np.ptp(batch, axis=1).max() == 0) == (share == 1)


def test_grey_is_a_share_of_rgb_pictures(tmp_path):
    for k in range(3):
        picture = np.random.default_rng(k).integers(0, 256, (60, 60), np.uint8)
        cf.write(cf.Picture([picture]), tmp_path / f"{k}.png")
    options = StackOptions(layers=2, maps=4, patch=16, channels="mixed", grey=0.5)
    how = [Degradation("noise", 9, 9)]
    with pytest.raises(ParameterError, match=r"the pictures have 1 channel\(s\): give RGB ones"):
        learn_stack_from_clean(sorted(tmp_path.glob("*.png")), how, options)
    with pytest.raises(ParameterError, match="pairs are taken as they are"):
        learn_stack(np.zeros((90, 90, 3), np.uint8), np.zeros((90, 90, 3), np.uint8), options)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"block": 3}, "block is 3: give 1 to 8 that divides the patch of 40 pixels"),
        ({"loss": "huber"}, "loss is 'huber': give 'squared' or 'absolute'"),
        ({"grey": 0.5}, "grey is 0.5: give a share from 0 to 1, of a stack whose channels are mixed"),
        ({"begin": "zero"}, "begin is 'zero': give 'random' or 'identity'"),
    ],
)
def test_options_of_blocks_are_checked(change, words):
    with pytest.raises(ParameterError, match=words):
        StackOptions(**change)


def test_filters_that_come_along():
    assert set(shipped_names()) == {"denoise", "denoise-fast", "deblock", "deblur"}
    for name in shipped_names():
        learned = shipped_filter(name)
        assert learned.takes_grey and learned.notes["name"] == name
        for row in learned.notes["gains"]:
            assert row["after"] > row["before"]
    with pytest.raises(
        ParameterError, match=r"no filter 'denoise-fst' comes along; did you mean 'denoise-fast'\?"
    ):
        shipped_filter("denoise-fst")


def test_the_page_on_the_filters_shows_what_was_measured():
    text = (Path(__file__).parents[2] / "docs" / "restoring.md").read_text()
    rows = [
        f"| {row['spoiled']} | {row['before']:.2f} | {row['after']:.2f} |"
        for name in shipped_names()
        for row in shipped_filter(name).notes["gains"]
    ]
    assert len(rows) == 12
    for row in rows:
        assert row in text
