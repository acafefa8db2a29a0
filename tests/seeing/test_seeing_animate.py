"""Animations: the numbers of each step, the frames that are chosen, and the files that hold them."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import cnnfilter as cf
from cnnfilter.core.boundary import BOUNDARIES
from cnnfilter.errors import ParameterError
from cnnfilter.seeing import photoframes
from cnnfilter.seeing.animation import MOST_STEPS, animate, chosen_steps, list_frames
from cnnfilter.seeing.canvas import PADDING, WINDOW, WINDOW_FILL, font
from cnnfilter.seeing.numberframes import TURNING, _Painter
from cnnfilter.seeing.slide import Slide


@pytest.fixture
def random():
    return np.random.default_rng(5)


def small(**geometry):
    return Slide.of_kernel(np.arange(12.0).reshape(3, 4), [[1, 2], [3, 4]], **geometry)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_step_is_the_arithmetic_of_its_output(random, boundary):
    image, kernel = random.standard_normal((5, 6)), cf.Kernel(random.integers(1, 9, (3, 2)), 4)
    geometry = {"stride": (2, 1), "dilation": (1, 2), "padding": 1, "boundary": boundary, "constant": 0.5}
    if boundary != "constant":
        del geometry["constant"]
    slide = Slide.of_kernel(image, kernel, **geometry)
    for place in range(slide.steps):
        step = slide.step(place)
        found = cf.arithmetic(image, kernel, step.at, **geometry)
        assert np.array_equal(step.values, found.window) and np.array_equal(step.inside, found.inside)
        assert np.array_equal(step.rows, found.rows) and np.array_equal(step.columns, found.columns)
        assert step.result == pytest.approx(found.sum, abs=1e-13)


def test_several_channels_go_into_one(random):
    image, kernels = random.standard_normal((6, 5, 3)), random.integers(-3, 4, (3, 2, 2))
    slide = Slide.of_channels(image, list(kernels), stride=2, padding="wide")
    expected = sum(cf.correlate(image[..., c], kernels[c], stride=2, padding="wide") for c in range(3))
    assert np.allclose(slide.output[..., 0], expected)
    for place in range(slide.steps):
        step = slide.step(place)
        assert (step.values * slide.weights).sum() == pytest.approx(step.result[0])
    with pytest.raises(ParameterError, match="2 kernels do not fit an image of 3 channels"):
        Slide.of_channels(image, list(kernels[:2]))
    with pytest.raises(ParameterError, match="kernels of 1x1, 1x2, 1x1 do not fit together"):
        Slide.of_channels(image, [[[1]], [[1, 2]], [[1]]])


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_pooling_counts_what_is_inside(random, kind):
    image = random.integers(-9, 0, (5, 7))
    slide = Slide.of_pooling(image.astype(float), kind, 3, 2, 1)
    for place in range(slide.steps):
        step = slide.step(place)
        kept = step.values[step.inside]
        assert step.result[0] == pytest.approx(kept.max() if kind == "max" else kept.mean())


def test_a_frame_shows_taps_window_and_what_is_filled():
    """Stride, dilation and the boundary's place are where the geometry says."""
    slide = small(stride=2, dilation=2, padding=1)
    painter = _Painter(slide)
    image, output = painter.rows[0].image, painter.rows[0].output
    for place in range(slide.steps):
        painter.fill(range(place))
        frame = painter.frame(place, place)
        step = slide.step(place)
        taps = {(int(row) + 1, int(column) + 1) for row in step.rows for column in step.columns}
        for row in range(image.rows):
            for column in range(image.columns):
                left, top, _, _ = image.box(row, column)
                assert (frame.getpixel((left + 4, top + 4)) == WINDOW_FILL) == ((row, column) in taps)
        left, top, _, _ = output.box(*step.at)
        assert frame.getpixel((left, top + 4)) == WINDOW
        for later in range(place + 1, slide.steps):
            left, top, _, _ = output.box(*divmod(later, output.columns))
            assert frame.getpixel((left + 4, top + 4)) == PADDING


def test_a_convolution_begins_with_the_kernel_as_it_is_written():
    kernel = cf.Kernel([[1, 2], [3, 4]])
    written = Slide.of_kernel(np.ones((3, 3)), kernel.rotated(), turned=True)
    plain = Slide.of_kernel(np.ones((3, 3)), kernel.rotated())
    frames = [len(list(list_frames(slide, [0, 1, 2]))) for slide in (written, plain)]
    assert frames == [3 + 1 + TURNING + 1, 3 + 1]


def test_steps_are_thinned_evenly_and_no_more_than_allowed():
    large = Slide.of_pooling(np.zeros((12, 12)), "max", 1, 1)
    assert chosen_steps(large) == list(range(144))
    assert (
        len(chosen_steps(Slide.of_kernel(np.zeros((12, 12)), np.ones((15, 15)), padding="wide")))
        == MOST_STEPS
    )
    assert chosen_steps(large, 10_000) == list(range(144))
    few = chosen_steps(large, 5)
    assert few == [0, 36, 72, 107, 143]
    assert len(chosen_steps(Slide.of_pooling(np.zeros((64, 64)), "max", 1, 1))) == 120
    with pytest.raises(ParameterError, match="frames 0 is out of range"):
        chosen_steps(large, 0)


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_gif_and_apng_hold_every_step_and_its_time(tmp_path, suffix):
    path = tmp_path / f"slide{suffix}"
    slide = small()
    assert animate(slide, path) == 12
    with Image.open(path) as image:
        assert image.n_frames == 13 and image.info["loop"] == 0
        times, whole = [], []
        for number in range(image.n_frames):
            image.seek(number)
            times.append(image.info["duration"])
            whole.append(np.asarray(image.convert("RGB"), np.int16))
    assert times == [700] * 12 + [2100]
    for got, frame in zip(whole, list_frames(slide, list(range(12))), strict=True):
        drawn = np.asarray(frame.image, np.int16)
        assert got.shape == drawn.shape
        assert (np.abs(got - drawn).max(axis=2) > 24).mean() < 1e-3


def parts_of(path):
    """Return the title, the times and the pictures of a page, each with its transparent pixels."""
    animation = json.loads(re.search(r"const animation = (\{.*\});", path.read_text()).group(1))
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA") for _, data in animation["frames"]
    ]
    return animation, pictures


def test_a_page_holds_every_step_one_upon_the_other(tmp_path):
    path = tmp_path / "slide.html"
    slide = Slide.of_kernel(np.arange(49.0).reshape(7, 7), [[1, 2], [3, 4]], title="</script><b>&")
    assert animate(slide, path) == 49
    animation, pictures = parts_of(path)
    assert animation["title"] == "</script><b>&" and "</script><b>" not in path.read_text()
    canvas = Image.new("RGBA", tuple(animation["size"]))
    for number, frame in enumerate(list_frames(slide, list(range(49)))):
        if number % animation["key"] == 0:
            assert pictures[number].getextrema()[3] == (255, 255)  # a whole one, to begin from
        canvas.alpha_composite(pictures[number])
        distance = np.abs(np.asarray(canvas.convert("RGB"), np.int16) - np.asarray(frame.image, np.int16))
        assert (distance.max(axis=2) > 24).mean() < 1e-3


@pytest.mark.parametrize("shape", [(40, 30, 3), (30, 40), (20, 300), (16, 16, 2)])
def test_photographs_get_a_moving_window(tmp_path, random, shape):
    image = random.integers(0, 256, shape, np.uint8)
    slide = Slide.of_kernel(image, cf.templates.named("sobel-x"), boundary="reflect")
    assert animate(slide, tmp_path / "photo.gif", frames=6) == 6
    with Image.open(tmp_path / "photo.gif") as made:
        assert made.n_frames == 7 and max(made.size) < 1200
        first = made.convert("RGB")
        made.seek(6)
        assert np.abs(np.asarray(first, np.int16) - np.asarray(made.convert("RGB"), np.int16)).max() > 50


@pytest.mark.parametrize("shape", [(400, 20), (400, 20, 3), (90, 60), (20, 400)])
def test_headings_stand_beside_each_other(random, shape):
    slide = Slide.of_kernel(random.integers(0, 256, shape, np.uint8), cf.templates.named("sobel-x"))
    painter = photoframes._Painter(slide)
    wide, narrow = (font(photoframes.SMALL).getlength(heading) for heading in painter.headings)
    assert "mid-grey" in painter.headings[1]
    assert painter.left + wide < painter.right and painter.right + narrow < painter.base.width


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_pooling_of_a_photograph(tmp_path, random, kind):
    image = random.random((32, 32, 3))
    assert animate(Slide.of_pooling(image, kind, 4), tmp_path / "pool.png", frames=3) == 3


def test_values_that_are_no_numbers_are_shown_too(tmp_path):
    image = np.array([[np.nan, np.inf, 1.0], [2.0, 3.0, -np.inf]])
    assert animate(Slide.of_kernel(image, [[1, 1]]), tmp_path / "nan.gif") == 6


def test_animations_that_would_fill_the_memory_are_refused(tmp_path):
    large = Slide.of_pooling(np.zeros((128, 128)), "max", 1, 1)
    with pytest.raises(ParameterError, match=r"16384 frames of \d+ x \d+ pixels take more than 2 GiB"):
        animate(large, tmp_path / "large.gif", frames=20_000)
    assert not list(tmp_path.iterdir())


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(
        ParameterError, match=r"'slide.mp4' is no animation; it must end in .gif, .png, .html"
    ):
        animate(small(), "slide.mp4")
    with pytest.raises(ParameterError, match="an image of shape"):
        Slide.of_kernel(np.zeros((2, 2, 2, 2)), [[1]])


@pytest.mark.parametrize(
    ("low", "high", "kernel", "given", "result"),
    [
        (-9, 9, 1, ", mid-grey is 0", ", mid-grey is 0"),
        (0, 9, 5, "", ", white is "),
        (0, 9, 1.05, "", ", white above 9"),
        (-1, 19, 1, ", black below 0", ", black below 0"),
    ],
)
def test_headings_say_what_black_and_white_are(low, high, kernel, given, result):
    image = np.linspace(low, high, 400).reshape(20, 20)
    slide = Slide.of_kernel(image, [[kernel]])
    painter = photoframes._Painter(slide)
    assert painter.headings[0] == f"input 20 x 20{given}"
    assert painter.headings[1].startswith(f"output 20 x 20{result}")


def test_negative_values_of_a_large_matrix_are_not_cut():
    image = np.linspace(-9, 9, 400).reshape(20, 20)
    painter = photoframes._Painter(Slide.of_kernel(image, [[1]]))
    grey = np.asarray(painter.photo)[..., 0]
    assert len(np.unique(grey)) > 200 and grey[0, 0] == 0 and grey[-1, -1] == 255


def test_a_window_that_is_no_sum_draws_as_many_outputs_as_there_are():
    slide = replace(Slide.of_pooling(np.zeros((3, 3, 3)), "max", 1), kind="value", output=np.zeros((3, 3, 1)))
    painter = _Painter(slide)
    frame = painter.frame(0, 0)
    drawn = [len(frame.crop((*row.output.box(0, 0, 3, 3),)).getcolors()) for row in painter.rows]
    assert drawn[0] > 1 and drawn[1:] == [1, 1]
