"""`cnnfilter animate` on the command line."""

import numpy as np
import pytest
from click.testing import CliRunner
from commandline import cnnfilter, complaint, names, picture
from PIL import Image

import cnnfilter as cf
from cnnfilter.cli.group import cnnfilter as root
from cnnfilter.registry import FILTERS
from cnnfilter.seeing import animation

ARGUMENTS = {
    "convolve": ("--kernel", "1 2; 3 4"),
    "correlate": ("--kernel", "1 2; 3 4"),
    "pool": ("max",),
    "learned": ("--filter", "kernel.json"),
}
MATRIX = ("--matrix", "1 2 3; 4 5 6; 7 8 9")


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_can_be_animated(tmp_path, name):
    (tmp_path / "kernel.json").write_text(
        '{"cnnfilter": "kernel", "version": 1, "weights": [[1, 2], [3, 4]]}'
    )
    picture(tmp_path / "a.png", (20, 30, 3))
    cnnfilter("animate", name, *ARGUMENTS.get(name, ()), *MATRIX, "-o", "numbers.gif", cwd=tmp_path)
    note = cnnfilter(
        "animate", name, *ARGUMENTS.get(name, ()), "a.png", "-o", "photo.png", "--frames", 3, cwd=tmp_path
    )
    assert note.stderr.decode().startswith("cnnfilter: note: 3 of ")
    with Image.open(tmp_path / "numbers.gif") as numbers, Image.open(tmp_path / "photo.png") as photo:
        assert numbers.n_frames == {"pool": 2, "convolve": 9 + 1 + 13}.get(name, 10)
        assert photo.n_frames == 4


def test_a_chain_after_dashes_and_from_a_pipe(tmp_path):
    pixels = picture(tmp_path / "a.png", (20, 30))
    after = ("--", "gaussian", "--sigma", "1", "then", "pool", "max")
    cnnfilter("animate", "a.png", "-o", "a.html", "--frames", 4, "-q", *after, cwd=tmp_path)
    assert "maximum pooling, stride 2" in (tmp_path / "a.html").read_text()
    content = (tmp_path / "a.png").read_bytes()
    cnnfilter("animate", "mean", "-o", "b.gif", "--frames", 2, input=content, cwd=tmp_path)
    assert names(tmp_path) == ["a.html", "a.png", "b.gif"] and pixels.shape == (20, 30)


def test_several_channels_into_one(tmp_path):
    np.save(tmp_path / "bank.npy", np.ones((3, 3, 2, 1), np.float32))
    matrices = ("--matrix", "1 2 3; 4 5 6; 7 8 9", "--matrix", "0 1 0; 1 0 1; 0 1 0")
    cnnfilter("animate", "learned", "--filter", "bank.npy", *matrices, "-o", "a.gif", cwd=tmp_path)
    with Image.open(tmp_path / "a.gif") as made:
        assert made.n_frames == 10 and made.height > 400  # two rows of matrices


@pytest.mark.parametrize("name", ["correlate", "convolve"])
def test_a_kernel_for_each_channel_makes_one_output(tmp_path, monkeypatch, name):
    """What is shown is what the equation gives."""
    channels = np.array([[[1, 2, 0], [0, 1, 1]], [[0, 1, 3], [1, 0, 2]]], float)
    kernels = np.array([[[1, -1]], [[2, 0.5]]])
    words = []
    for channel, kernel in zip(channels, kernels, strict=True):
        for option, values in (("--matrix", channel), ("--kernel", kernel)):
            words += [option, "; ".join(" ".join(map(str, row)) for row in values.tolist())]
    slides = []
    monkeypatch.setattr(animation, "animate", lambda slide, *_: slides.append(slide) or slide.steps)
    words += ["--padding", "narrow", "-o", "a.gif"]
    assert CliRunner().invoke(root, ["animate", name, *words], standalone_mode=False).exception is None
    function = cf.correlate if name == "correlate" else cf.convolve
    wanted = sum(function(*pair, padding="narrow") for pair in zip(channels, kernels, strict=True))
    np.testing.assert_allclose(slides[0].output[..., 0], wanted)
    assert slides[0].title == f"{name}, 2 channels into one"
    refused = cnnfilter("animate", name, *words[:4], "--kernel", "1", "-o", "b.gif", cwd=tmp_path, status=2)
    assert "2 kernels do not fit an image of 1 channels" in complaint(refused)


def test_what_cannot_be_animated_is_said(tmp_path):
    picture(tmp_path / "a.png", (20, 30))

    def refused(*arguments, status=2):
        return complaint(cnnfilter("animate", *arguments, cwd=tmp_path, status=status))

    assert "must end in .gif, .png, .html" in refused("mean", *MATRIX, "-o", "a.mp4")
    assert "name no file beside it" in refused("mean", "a.png", *MATRIX, "-o", "a.gif")
    assert "they need one size" in refused("mean", *MATRIX, "--matrix", "1 2", "-o", "a.gif")
    assert "makes 3 channels of 1" in refused("gradient", "--show", "colour", "a.png", "-o", "a.gif")
    assert "no command 'blur'" in refused("blur", "a.png", "-o", "a.gif")
    assert "no such file" in refused("mean", "b.png", "-o", "a.gif", status=1)
    assert "--output" in refused("mean", "a.png")
    assert names(tmp_path) == ["a.png"]


def test_the_input_is_no_place_for_the_output(folder):
    before = (folder / "photos" / "a.png").read_bytes()
    (folder / "link.png").symlink_to("photos/a.png")
    for source, target in (("photos/a.png", "./photos/a.png"), ("link.png", "photos/a.png")):
        done = cnnfilter("animate", "mean", source, "-o", target, "--frames", 2, status=2)
        assert b"the output is the input" in done.stderr
    assert (folder / "photos" / "a.png").read_bytes() == before


def test_a_kernel_for_each_channel_of_a_picture_is_refused(folder):
    words = ["animate", "correlate", "--kernel", "1", "--kernel", "2", "--kernel", "3", "photos/a.png"]
    done = cnnfilter(*words, "-o", "a.gif", status=2)
    assert b"up to 12x12" in done.stderr
