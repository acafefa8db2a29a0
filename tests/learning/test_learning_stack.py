"""Stacks trained end to end: better than one kernel, repeatable, resumable."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from cnnfilter.drawing.reports import draw_report
from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.stack import StackOptions, learn_stack
from cnnfilter.learning.training import first_parameters, gradients_of
from cnnfilter.nn import DivergenceError

CHINA = np.ascontiguousarray(load_sample_image("china.jpg")[::2, ::2, 1])
SMALL = StackOptions(layers=2, maps=6, steps=40, batch=4, patch=16)


def weights_of(learned):
    return [array for layer in learned.filter.layers for array in (layer.weights, layer.bias)]


@pytest.fixture(scope="module")
def pair():
    noise = np.random.default_rng(0).normal(0, 25, CHINA.shape)
    return np.clip(np.rint(CHINA + noise), 0, 255).astype(np.uint8), CHINA


@pytest.mark.parametrize("residual", [True, False])
def test_gradients_of_the_whole_stack_by_finite_differences(residual):
    options = StackOptions(layers=3, maps=4, activation="tanh", residual=residual)
    rng = np.random.default_rng(1)
    parameters = {k: v.astype(float) for k, v in first_parameters(options, 2, rng).items()}
    x, wanted = rng.random((2, 2, 12, 12)), rng.random((2, 2, 6, 6))
    _, gradients = gradients_of(parameters, options, x, wanted, 1.0)

    def loss():
        learned = LearnedFilterOf(parameters, options)
        return 0.5 * np.square(learned(x) - wanted).sum()

    for name, value in parameters.items():
        for index in rng.choice(value.size, min(3, value.size), replace=False):
            losses = []
            for step in (1e-5, -1e-5):
                value.flat[index] += step
                losses.append(loss())
                value.flat[index] -= step
            slope = (losses[0] - losses[1]) / 2e-5
            assert gradients[name].flat[index] == pytest.approx(slope, rel=1e-5, abs=1e-6)


class LearnedFilterOf:
    """Forward pass written again, from the definition."""

    def __init__(self, parameters, options):
        self.parameters, self.options = parameters, options

    def __call__(self, x):
        y = x
        for k in range(self.options.layers):
            w, b = self.parameters[f"{k}.weight"], self.parameters[f"{k}.bias"]
            windows = np.lib.stride_tricks.sliding_window_view(y, w.shape[2:], (2, 3))
            y = np.einsum("ndijuv,pduv->npij", windows, w) + b[:, None, None]
            y = y if k == self.options.layers - 1 else np.tanh(y)
        return y + x[:, :, 3:-3, 3:-3] if self.options.residual else y


def test_training_is_repeatable_whatever_the_threads(pair):
    first, second = (learn_stack(*pair, SMALL, threads=n) for n in (1, 2))
    for a, b in zip(weights_of(first), weights_of(second), strict=True):
        np.testing.assert_array_equal(a, b)
    other = learn_stack(*pair, replace(SMALL, seed=1))
    assert not np.array_equal(weights_of(first)[0], weights_of(other)[0])


def test_an_interrupted_training_ends_as_if_it_had_not_been(pair, tmp_path):
    path = tmp_path / "state.safetensors"
    whole = learn_stack(*pair, SMALL)

    def interrupt(step, steps, quality):
        if step == 23:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn_stack(*pair, SMALL, checkpoint=path, progress=interrupt)
    resumed = learn_stack(*pair, SMALL, checkpoint=path, resume=True)
    for a, b in zip(weights_of(whole), weights_of(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.report.curve == whole.report.curve
    with pytest.raises(FilterFileError, match="belongs to other options or images"):
        learn_stack(*pair, replace(SMALL, maps=7), checkpoint=path, resume=True)
    whole.filter.save(path)
    with pytest.raises(FilterFileError, match="not a checkpoint"):
        learn_stack(*pair, SMALL, checkpoint=path, resume=True)


def test_a_stack_learns_what_no_kernel_can(tmp_path):
    after = np.abs(CHINA.astype(int) - np.roll(CHINA, 1, 1)).clip(0, 255).astype(np.uint8)
    options = StackOptions(layers=2, maps=8, steps=400, batch=8, patch=24, residual=False, rate=1e-2)
    learned = learn_stack(CHINA, after, options, register=False)
    assert learned.report.psnr > learned.report.psnr_linear + 3
    assert "better than the best single kernel" in learned.report.verdict
    draw_report(learned.report, tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 1000
    learned.filter.save(tmp_path / "f.safetensors")
    found = LearnedFilter.load(tmp_path / "f.safetensors")
    np.testing.assert_array_equal(found.apply(CHINA), learned.filter.apply(CHINA))


def test_mixed_channels_and_early_stop(pair):
    colour = load_sample_image("flower.jpg")[::3, ::3]
    options = StackOptions(
        layers=2, maps=4, steps=400, batch=2, patch=12, channels="mixed", rate=0.5, patience=2
    )
    learned = learn_stack(colour, np.roll(colour, 1, 2), options, register=False)
    assert learned.filter.inputs == learned.filter.outputs == 3
    assert learned.report.steps < 400  # a rate as wild as this gets nowhere


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": 0}, "layers is 0"), ({"size": 33}, "size is 33"), ({"patch": 4}, "patch is 4"),
        ({"activation": "softmax"}, "couples the maps"), ({"activation": "x"}, "activation is 'x'"),
        ({"channels": "separate"}, "channels is 'separate'"), ({"rate": 2.0}, "rate 2.0"),
    ],
)  # fmt: skip
def test_bad_options_are_named(change, words):
    with pytest.raises(ParameterError, match=words):
        StackOptions(**change)


def test_small_images_and_missing_checkpoints(pair):
    with pytest.raises(ParameterError, match="an image of 20x30 is too small"):
        learn_stack(CHINA[:20, :30], CHINA[1:21, :30], register=False)
    with pytest.raises(ParameterError, match="too small to hold a part of it out"):
        learn_stack(CHINA[:60], CHINA[1:61], register=False)
    with pytest.raises(ParameterError, match="resume needs the checkpoint"):
        learn_stack(*pair, SMALL, resume=True)


def test_saturated_targets_do_no_harm():
    """More contrast, which clips two fifths of the pixels, is found as if nothing were clipped."""
    exact = 2.5 * CHINA - 192
    assert np.mean((exact < 0) | (exact > 255)) > 0.4
    after = exact.clip(0, 255).round().astype(np.uint8)
    options = StackOptions(layers=1, size=1, steps=600, batch=8, patch=24, rate=0.05, patience=40)
    (layer,) = learn_stack(CHINA, after, options, register=False).filter.layers
    assert layer.weights[0, 0, 0, 0] + 1 == pytest.approx(2.5, abs=0.02)
    assert layer.bias[0] * 255 == pytest.approx(-192, abs=2)


def test_beyond_a_saturated_target_is_no_error():
    options = StackOptions(layers=1, residual=False)
    parameters = {"0.weight": np.zeros((1, 1, 3, 3)), "0.bias": np.array([1.5])}
    x = np.random.default_rng(0).random((1, 1, 4, 4))
    wanted = np.array([[[[1.0, 0.9], [1.0, 1.0]]]])
    (bias,) = gradients_of(parameters, options, x, wanted, 1.0, (0.0, 1.0))[1]["0.bias"]
    assert bias == pytest.approx(0.6)
    parameters["0.bias"][:] = -0.25
    wanted[...] = [[[[0.0, 0.0], [0.25, 1.0]]]]
    (bias,) = gradients_of(parameters, options, x, wanted, 1.0, (0.0, 1.0))[1]["0.bias"]
    assert bias == pytest.approx(-0.5 - 1.25)


def test_weights_that_are_no_numbers_are_no_filter(pair):
    before, after = (picture.astype(np.float32) * 1e18 for picture in pair)
    with pytest.raises(DivergenceError, match="a lower rate"):
        learn_stack(before, after, SMALL, register=False)
