"""Pairs made of clean pictures: what spoils them, which are at hand, and training on them."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_image

from cnnfilter.errors import ParameterError
from cnnfilter.learning.degrading import CleanPatches, Degradation, degraded
from cnnfilter.learning.patches import turned
from cnnfilter.learning.stack import StackOptions, learn_stack, learn_stack_from_clean
from cnnfilter.learning.training import Run

CHINA = np.ascontiguousarray(load_sample_image("china.jpg")[:300, :400])
SMALL = StackOptions(layers=2, maps=4, steps=40, batch=4, patch=16)
FAINT = Degradation("noise", 1, 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    found = []
    for k in range(6):
        found.append(folder / f"{k}.png")
        Image.fromarray(np.roll(CHINA, 37 * k, (0, 1))[: 120 + 10 * k, : 200 - 10 * k]).save(found[-1])
    return found


def test_noise_blur_and_jpeg_are_what_they_say():
    rng = np.random.default_rng(0)
    grey = np.full((200, 200, 1), 128, np.uint8)
    noise = degraded(grey, [Degradation("noise", 20, 20)], rng).astype(float) - 128
    assert noise.std() == pytest.approx(20, rel=0.02)
    spread = {round(float(degraded(grey, [Degradation("noise", 5, 50)], rng).std())) for _ in range(20)}
    assert min(spread) >= 5 and max(spread) <= 51 and max(spread) - min(spread) > 20
    soft = degraded(CHINA, [Degradation("blur", 1.5, 1.5)], rng)
    wanted = ndimage.gaussian_filter(CHINA.astype(float), (1.5, 1.5, 0), mode="mirror")
    assert np.abs(soft - wanted).max() < 0.51
    file = io.BytesIO()
    Image.fromarray(CHINA).save(file, "JPEG", quality=20)
    peer = np.asarray(Image.open(file)).astype(float) - CHINA
    ours = degraded(CHINA, [Degradation("jpeg", 20, 20)], rng).astype(float) - CHINA
    assert ours.std() == pytest.approx(peer.std(), rel=0.15)


@pytest.mark.parametrize("text", ["noise", "fog:3", "noise:50-5", "jpeg:0-10", "blur:0.01", "noise:5-", ""])
def test_what_spoils_nothing_that_is_known(text):
    with pytest.raises(ParameterError, match=r"levels of|is not noise:5-50"):
        Degradation.parse(text)


def test_patches_lie_over_their_targets(files):
    source = CleanPatches(files, [FAINT], reach=7)
    x, wanted = source.drawn(SMALL, 7, 0, np.random.default_rng(0))
    assert x.shape == (4, 1, 22, 22) and wanted.shape == (4, 1, 16, 16)
    np.testing.assert_allclose(x[..., 3:-3, 3:-3], wanted, atol=6)
    mixed = replace(SMALL, channels="mixed")
    x, wanted = source.drawn(mixed, 7, 0, np.random.default_rng(0))
    np.testing.assert_allclose(x[..., 3:-3, 3:-3], wanted, atol=6)
    assert wanted.shape[1] == 3
    before = x.copy()
    x, wanted = turned((x, wanted), np.random.default_rng(0))
    np.testing.assert_allclose(x[..., 3:-3, 3:-3], wanted, atol=6)
    assert not np.array_equal(x, before)


def test_patches_are_turned_in_eight_ways():
    many = np.tile(np.arange(9.0).reshape(3, 3), (200, 1, 1, 1))
    found = {image.tobytes() for image in turned((many, many.copy()), np.random.default_rng(0))[0]}
    image = np.arange(9.0).reshape(3, 3)
    turns = [np.rot90(side, k) for side in (image, image.T) for k in range(4)]
    assert found == {np.ascontiguousarray(turn).tobytes() for turn in turns}


def test_pictures_take_turns_where_memory_is_short(files):
    size = CHINA[:160, :160].nbytes
    source = CleanPatches(files, [FAINT], reach=3, memory=2 * size)
    seen = set()
    for step in range(0, 80, 8):
        source.drawn(SMALL, 3, step, np.random.default_rng(step))
        assert 1 <= len(source._kept) <= 3
        assert sum(picture.nbytes for picture in source._kept.values()) <= 2 * size
        seen |= set(source._kept)
    assert seen == set(range(5))
    again = CleanPatches(files, [FAINT], reach=3, memory=2 * size)  # as after an interruption
    for a, b in zip(*(s.drawn(SMALL, 3, 72, np.random.default_rng(1)) for s in (source, again)), strict=True):
        np.testing.assert_array_equal(a, b)
    whole = CleanPatches(files, [FAINT], reach=3)
    assert whole.judge[0][0].before.shape == (130, 190, 3)  # the second of six


def test_training_from_clean_pictures_is_repeatable_and_resumes(files, tmp_path):
    how, path = [Degradation("noise", 20, 40)], tmp_path / "state.safetensors"
    options = replace(SMALL, augment=True, average=0.9, patience=40)
    first = learn_stack_from_clean(files, how, options)

    def interrupt(step, steps, quality):
        if step == 23:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn_stack_from_clean(files, how, options, checkpoint=path, progress=interrupt)
    second = learn_stack_from_clean(files, how, options, checkpoint=path, resume=True)
    for a, b in zip(first.filter.layers, second.filter.layers, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
    assert first.report.psnr > first.report.psnr_identity + 0.5
    assert first.report.curve == second.report.curve and "course        1:" in first.report.text()


def test_the_running_mean_is_what_is_kept(files):
    source = CleanPatches(files, [Degradation("noise", 20, 20)], reach=5)
    run = Run(replace(SMALL, average=0.99), source, 5)
    run.run_round()
    weights, means = (run.filter(t).layers[0].weights for t in (run.parameters, run.tensors()))
    assert not np.array_equal(weights, means)
    kept = 2 / 11  # of the first mean, after one step
    rng = np.random.default_rng(run.options.seed)
    from cnnfilter.learning.training import first_parameters

    start = first_parameters(run.options, 1, rng)["0.weight"]
    np.testing.assert_allclose(means, kept * start + (1 - kept) * weights, atol=1e-6)


def test_bad_pictures_are_named(files, tmp_path):
    with pytest.raises(ParameterError, match="1 clean pictures: give two or more"):
        CleanPatches(files[:1], [FAINT], 3)
    with pytest.raises(ParameterError, match="nothing spoils the pictures"):
        CleanPatches(files, [], 3)
    Image.fromarray(CHINA[..., 0]).save(tmp_path / "grey.png")
    source = CleanPatches([*files[:2], tmp_path / "grey.png"], [Degradation("noise", 9, 9)], 3)
    with pytest.raises(ParameterError, match=r"grey\.png has 1 channels, others 3"):
        source.drawn(SMALL, 3, 0, np.random.default_rng(0))
    with pytest.raises(ParameterError, match=r"1\.png is smaller than the 201x201 pixels"):
        CleanPatches(files, [Degradation("noise", 9, 9)], 201)
    with pytest.raises(ParameterError, match=r"average is 1\.0"):
        StackOptions(average=1.0)


def test_a_stack_says_when_it_stopped_and_when_it_came_to_nothing():
    noisy = degraded(CHINA, [Degradation("noise", 25, 25)], np.random.default_rng(0))
    lost = learn_stack(noisy, CHINA, replace(SMALL, rate=0.9, steps=400, patience=2), register=False)
    assert "came to nothing: no better than" in lost.report.verdict
    assert f"stopped after {lost.report.steps} of 400 steps, 2 looks after the best" in lost.report.text()
    assert lost.report.record()["stopped"] is True
    whole = learn_stack(noisy, CHINA, replace(SMALL, patience=40), register=False)
    assert ", 40 steps, seed 0" in whole.report.text() and not whole.report.stopped
