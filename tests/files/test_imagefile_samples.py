"""The sample images: small, readable, and as their script draws them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from cnnfilter import files as imagefile

FOLDER = Path(__file__).parents[2] / "sample_images"
IMAGES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".png", ".jpg", ".gif"))


@pytest.fixture(scope="module")
def draw():
    spec = importlib.util.spec_from_file_location("draw", FOLDER / "draw.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folder_is_small_and_its_readme_names_every_file():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 3_000_000
    readme = (FOLDER / "README.md").read_text()
    assert all(f"`{path.name}`" in readme for path in IMAGES)


def test_every_chart_is_as_its_script_draws_it(draw, tmp_path):
    charts = {path.name for path in IMAGES} - {"astronaut.png", "rocket.jpg"}
    assert charts == set(draw.CHARTS)
    draw.main(tmp_path)
    for name in charts - {"text.png"}:  # another FreeType may set another pixel
        drawn, kept = imagefile.read(tmp_path / name), imagefile.read(FOLDER / name)
        assert (drawn.delays, drawn.alpha, drawn.dtype) == (kept.delays, kept.alpha, kept.dtype)
        for first, second in zip(drawn.frames, kept.frames, strict=True):
            np.testing.assert_allclose(first.astype(int), second, atol=1)


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_a_copy_is_the_same_picture(path, tmp_path):
    picture = imagefile.read(path)
    imagefile.write(picture, tmp_path / path.name)
    copy = imagefile.read(tmp_path / path.name)
    assert (copy.model, copy.alpha, copy.dtype, copy.delays) == (
        picture.model,
        picture.alpha,
        picture.dtype,
        picture.delays,
    )
    for first, second in zip(copy.frames, picture.frames, strict=True):
        if picture.form == "JPEG":
            assert np.abs(first.astype(int) - second).mean() < 2
        else:
            np.testing.assert_array_equal(first, second)
