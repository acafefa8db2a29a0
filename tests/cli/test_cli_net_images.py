"""What networks are shown: frames, transparency, CMYK, dark ink, labels that begin at another number."""

import json

import numpy as np
import pytest
from networkfiles import net
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Weights of two classes, and pictures of every kind."""
    folder = tmp_path_factory.mktemp("shown")
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (3, 32, 32), np.uint8)
    frames = [Image.fromarray(frame) for frame in grey]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].convert("RGB").save(folder / "still.png")
    Image.fromarray(255 - grey[0]).save(folder / "dark.png")
    Image.fromarray(np.dstack([grey[0]] * 4)).save(folder / "seen.png")
    ink = np.dstack([255 - grey[0]] * 3 + [np.zeros_like(grey[0])])
    Image.fromarray(ink, "CMYK").save(folder / "ink.tif")
    np.savez(folder / "labels.npz", images=rng.random((20, 8, 8)), labels=np.repeat([6, 7], 10))
    net(
        "train", "lenet5-modern", "--data", folder / "labels.npz", "-o", folder / "net.safetensors",
        "--epochs", 1, "--batch", 8,
    )  # fmt: skip
    return folder


def told(place, name, *options):
    done = net("predict", "--weights", place / "net.safetensors", place / name, "--json", *options)
    return json.loads(done.stdout)["top"], done.stderr.decode()


def test_classes_have_the_numbers_of_the_labels(place):
    top, _ = told(place, "still.png")
    assert sorted(one["label"] for one in top) == ["6", "7"]
    done = net("evaluate", "--weights", place / "net.safetensors", "--data", place / "labels.npz", "--json")
    assert [one["images"] for one in json.loads(done.stdout)["classes"]] == [10, 10]


def test_what_is_left_out_is_said(place):
    still, nothing = told(place, "still.png")
    assert nothing == ""
    moving, said = told(place, "moving.gif")
    assert moving == still and "moving.gif: the first of 3 frames is taken" in said
    seen, said = told(place, "seen.png")
    assert seen == still and "seen.png: transparency is left out" in said
    assert told(place, "moving.gif", "-q")[1] == ""


def test_cmyk_and_dark_ink(place):
    still, _ = told(place, "still.png")
    assert told(place, "ink.tif")[0] == still
    assert told(place, "dark.png", "--invert")[0] == still
    assert told(place, "dark.png")[0] != still
