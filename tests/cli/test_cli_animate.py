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
    picture(tmp_path / "b.pgm", (100, 100))
    np.save(tmp_path / "bank.npy", np.ones((3, 3, 1, 3), np.float32))
    bank = ("learned", "--filter", "bank.npy", "--order", "uvdp")
    assert "makes 3 channels of 1" in refused(*bank, "a.png", "-o", "a.gif")
    assert "no command 'blur'" in refused("blur", "a.png", "-o", "a.gif")
    assert "no such file" in refused("mean", "b.png", "-o", "a.gif", status=1)
    assert "--output" in refused("mean", "a.png")
    assert "matrix 2: at row 1, column 2: 'x' is not a number" in refused(
        "mean", *MATRIX, "--matrix", "1 x", "-o", "a.gif"
    )
    assert "in quotes: --matrix '1 2'" in refused("mean", "--matrix", "1", "2", "-o", "a.gif")
    assert "--frames N shows fewer" in refused("mean", "b.pgm", "--frames", 9999, "-o", "a.gif")
    assert names(tmp_path) == ["a.png", "b.pgm", "bank.npy"]


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


@pytest.mark.parametrize("last", ["x", ""])
def test_matrices_of_a_pipe_and_the_frame_of_an_animation(tmp_path, last):
    cnnfilter("animate", "mean", "-o", "a.gif", input=b"1 2 3\n4 5 6\n", cwd=tmp_path)
    frames = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    frames[0].save(tmp_path / "b.gif", save_all=True, append_images=frames[1:])
    words = ["b.gif", *(["-q"] if last else [])]
    told = cnnfilter("animate", "mean", *words, "-o", "c.gif", cwd=tmp_path).stderr.decode()
    assert told == ("" if last else "cnnfilter: note: b.gif: the first of its 2 frames is shown\n")
    seen = cnnfilter("mean", *words, "--at", "1,1", cwd=tmp_path).stderr.decode()
    assert seen == told and (tmp_path / "a.gif").exists()


def slide_of(monkeypatch, *words):
    slides = []
    monkeypatch.setattr(animation, "animate", lambda slide, *_: slides.append(slide) or slide.steps)
    run = CliRunner().invoke(root, ["animate", *words, "-o", "a.gif"], standalone_mode=False)
    assert run.exception is None, run.output
    return slides[0]


@pytest.mark.parametrize("boundary", ["zero", "reflect", "renormalize"])
@pytest.mark.parametrize(
    "name", [("mean",), ("pool", "max"), ("gradient",), ("unsharp",), ("correlate", "--kernel", "1;2;4")]
)
def test_a_signal_is_filtered_as_one(monkeypatch, name, boundary):
    """Not as the only row of an image, to which zeros are neighbours above and below."""
    if boundary == "renormalize" and name[0] in ("gradient", "pool"):
        return
    border = () if name[0] == "pool" else ("--boundary", boundary)
    slide = slide_of(monkeypatch, *name, *border, "--matrix", "1 2 4 8 5 3")
    line = cnnfilter(*name, *border, "--matrix", "1 2 4 8 5 3").stdout.decode()
    assert slide.geometry.rows.kernel == slide.geometry.rows.output == 1
    assert slide.output.ravel() == pytest.approx([float(word) for word in line.split()], rel=1e-5)
    for place in range(slide.steps if name[0] in ("mean", "correlate") else 0):
        assert slide.total(slide.step(place), 0) == pytest.approx(slide.output.ravel()[place])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("show", ["magnitude", "direction", "x", "y", "colour"])
def test_the_kernels_of_a_gradient_make_it(monkeypatch, show, channels):
    image = np.random.default_rng(2).integers(0, 9, (channels, 4, 5)) / 8
    words = [
        word for plane in image for word in ("--matrix", "; ".join(" ".join(map(str, row)) for row in plane))
    ]
    slide = slide_of(monkeypatch, "gradient", "--show", show, *words)
    x, y = (np.stack([cf.gradient(plane, output=axis) for plane in image], axis=2) for axis in ("x", "y"))
    for place in range(slide.steps):
        step = slide.step(place)
        totals = [slide.total(step, number) for number in range(slide.sums)]
        both = (
            [x[step.at], y[step.at]]
            if show not in ("x", "y")
            else [x[step.at] if show == "x" else y[step.at]]
        )
        assert totals == pytest.approx(np.stack(both, axis=1).ravel().tolist())
    assert slide.together == slide.sums // {"direction": 1, "colour": 1}.get(show, channels)
    frames = animation.list_frames(slide, [0, slide.steps - 1])
    assert len(list(frames)) == 3


@pytest.mark.parametrize("threshold", ["0", "0.5", "9"])
def test_what_is_added_by_unsharp_masking_is_said(monkeypatch, threshold):
    slide = slide_of(
        monkeypatch, "unsharp", "--amount", "2", "--threshold", threshold, "--matrix", "1 2 3; 7 5 6"
    )
    for place in range(slide.steps):
        step = slide.step(place)
        *decided, last = slide.concluded(step, 0)
        pixel, soft = slide.image[(*step.at, 0)], slide.total(step, 0)
        added = 2 * (pixel - soft) if abs(pixel - soft) > float(threshold) else 0
        assert step.result[0] == pytest.approx(pixel + added)
        assert bool(decided) == (threshold != "0") and ("+ 0 =" in last) == (added == 0)
