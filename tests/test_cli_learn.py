"""The commands learn and learned, as processes."""

import json

import numpy as np
import pytest
from commandline import cnnfilter
from PIL import Image
from skimage import data


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


@pytest.fixture
def pair(tmp_path):
    """A photograph and its mean over 3x3."""
    before, after = tmp_path / "before.png", tmp_path / "after.png"
    Image.fromarray(data.astronaut()).save(before)
    assert cnnfilter("mean", before, "-o", after).returncode == 0
    return before, after


def test_a_mean_is_learned_and_applied_to_another_photograph(pair, tmp_path):
    found = tmp_path / "mean.json"
    run = cnnfilter("learn", *pair, "-o", found, "--size", "3", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)
    weights = np.array(json.loads(found.read_text())["weights"])
    assert np.abs(weights - 1 / 9).max() < 1e-3
    Image.fromarray(data.coffee()).save(tmp_path / "coffee.png")
    for out, *command in (("ours.png", "learned", "--filter", found), ("exact.png", "mean")):
        assert cnnfilter(*command, tmp_path / "coffee.png", "-o", tmp_path / out).returncode == 0
    ours, exact = (pixels(tmp_path / name) for name in ("ours.png", "exact.png"))
    assert np.abs(ours - exact).max() <= 1


def test_a_stack_is_trained_and_applied(pair, tmp_path):
    found = tmp_path / "stack.safetensors"
    run = cnnfilter("learn", *pair, "-o", found, "--layers", "2", "--channels", "2", "--steps", "20")
    assert run.returncode == 0, run.stderr
    out = tmp_path / "out.png"
    assert cnnfilter("learned", "--filter", found, pair[0], "-o", out).returncode == 0
    with Image.open(out) as picture:
        assert picture.size == (512, 512)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (data.astronaut()[:100], "512"),
        (data.astronaut(), "identical"),
        (data.astronaut()[..., 0], "512"),
    ],
    ids=["size", "identical", "channels"],
)
def test_pairs_that_teach_nothing_are_refused(tmp_path, after, said):
    Image.fromarray(data.astronaut()).save(tmp_path / "before.png")
    Image.fromarray(after).save(tmp_path / "after.png")
    found = tmp_path / "f.json"
    run = cnnfilter("learn", tmp_path / "before.png", tmp_path / "after.png", "-o", found, status=2)
    assert len(run.stderr.decode().splitlines()) == 1
    assert said in run.stderr.decode()
    assert not found.exists()


def test_a_file_that_is_no_filter_is_refused(pair, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\xff" * 100)
    run = cnnfilter("learned", "--filter", bad, pair[0], "-o", tmp_path / "out.png", status=1)
    assert "bad.safetensors" in run.stderr.decode()
    assert not (tmp_path / "out.png").exists()
