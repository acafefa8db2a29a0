"""What ``--at`` says is stored is what the same command writes, whatever filter, image and options.

In one process: there are some three thousand commands.
"""

import itertools
import random
import re
import shlex

import numpy as np
import pytest
import tifffile

import cnnfilter as cf
from cnnfilter.cli.main import run
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
from cnnfilter.registry import FILTERS
from cnnfilter.seeing import animation
from cnnfilter.seeing.numbers import shown

SHAPE = (11, 13)
CHANNELS = {"grey": (), "rgb": (3,), "rgba": (4,)}
DTYPES = ("uint8", "uint16", "float32")
DEPTHS = ((), ("--depth", "8"), ("--depth", "16"), ("--depth", "f32"))
RANGES = ((), *(("--range", name) for name in ("clip", "abs", "offset", "stretch")))
SKEW = "1 -2 3; 0 4 -1; 2 0 1 / 6"

STEPS = {
    "convolve": (f"--kernel '{SKEW}'", "--kernel '1 2; 3 4 / 10' --stride 2x1 --boundary edge"),
    "correlate": (f"--kernel '{SKEW}'", "--kernel '1 2; 3 4 / 10' --dilation 2 --boundary constant:40"),
    "gaussian": ("--sigma 1.5", "--derivative 1", "--size 5 --template integer --boundary zero"),
    "gradient": ("", "--show direction", "--show colour", "--show x --operator scharr"),
    "learned": (
        "--filter bias.safetensors", "--filter layers.safetensors", "--filter mixed.safetensors",
        "--filter bank.safetensors",
    ),
    "mean": ("", "--size 2x5 --boundary zero --padding 1", "--boundary renormalize --stride 2"),
    "pool": ("max", "mean --size 3 --stride 1 --padding 1"),
    "second-derivative": ("", "--axis x --boundary wrap"),
    "unsharp": ("--amount 2.5", "--sigma 2 --threshold 8"),
}  # fmt: skip
"""Of filters, some options."""

SINGLE = [(name, shlex.split(options)) for name in FILTERS for options in STEPS.get(name, ("",))]
OF_THREE = {"mixed.safetensors": 1, "bank.safetensors": 3}
"""Filters that take three channels, and how many they give."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an image of each kind, and learned filters of all kinds."""
    folder = tmp_path_factory.mktemp("at")
    numbers = np.random.default_rng(11)
    for dtype, (name, planes) in itertools.product(DTYPES, CHANNELS.items()):
        scale = 1.0 if dtype == "float32" else np.iinfo(dtype).max
        pixels = (numbers.random((*SHAPE, *planes)) * scale).astype(dtype)
        if name == "rgba":
            pixels[2:5, 3:7, 3] = 0  # hidden
        more = {"extrasamples": ("unassalpha",)} if name == "rgba" else {}
        photometric = "minisblack" if name == "grey" else "rgb"
        tifffile.imwrite(folder / f"{dtype}-{name}.tif", pixels, photometric=photometric, **more)

    def layer(outputs, inputs, activation="identity", bias=True):
        weights = numbers.standard_normal((outputs, inputs, 3, 3)) / (3 * inputs)
        return ConvolutionLayer(weights, numbers.random(outputs) / 9 if bias else None, activation)

    LearnedFilter((layer(1, 1),), each_channel=True).save(folder / "bias.safetensors")
    stack = (layer(4, 1, "relu"), layer(1, 4))
    LearnedFilter(stack, each_channel=True).save(folder / "layers.safetensors")
    LearnedFilter((layer(1, 3, bias=False),)).save(folder / "mixed.safetensors")
    LearnedFilter((layer(3, 3),), residual=True).save(folder / "bank.safetensors")
    return folder


def made_of(options, channels):
    """Return the channels that a filter makes of some, transparency aside; None if it takes none such."""
    for name, count in OF_THREE.items():
        if name in options:
            return count if channels == 3 else None
    return 3 if "colour" in options else 1 if "direction" in options else channels


def fitting(*steps):
    """Return the kinds of image that filters can be run on, one after another."""
    found = []
    for name, planes in CHANNELS.items():
        channels = 3 if planes else 1
        for _, options in steps:
            channels = channels and made_of(options, channels)
        found += [name] if channels else []
    return found


def stored(text):
    """Return the numbers and types that a reckoning ends in."""
    return re.findall(r"stored as +(\S+) \((\w+)", text)


def agree(text, written, at, command):
    """Compare a reckoning with the array that was written, and its sums if those are what is kept."""
    pixel = np.atleast_1d(written[at])
    assert stored(text) == [(shown(float(value)), str(written.dtype)) for value in pixel], (command, at)
    if written.dtype.kind == "f" and "--range" not in command and "transparency" not in text:
        sums = [float(each) for each in re.findall(r"(\S+)(?: \(the difference.*\))?\nstored as", text)]
        assert sums == pytest.approx(pixel, rel=1e-5, abs=float(np.abs(written).max()) * 1e-6), (command, at)


def compare(capsys, command, turn, after=()):
    """Run a command to a file, and with --at; the two must agree at the first, a middle or the last place."""
    assert run([*command, "-q", "-o", "out.npy", "--overwrite", *after]) == 0, capsys.readouterr().err
    written = np.load("out.npy")
    rows, columns = written.shape[:2]
    at = ((0, 0), (rows // 2, columns // 2), (rows - 1, columns - 1))[turn % 3]
    capsys.readouterr()
    assert run([*command, "-q", "--at", f"{at[0]},{at[1]}", *after]) == 0, capsys.readouterr().err
    agree(capsys.readouterr().out, written, at, [*command, *after])


@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_what_is_said_is_what_is_written(capsys, monkeypatch, folder, name, options):
    """Every type with every depth, and every range; the rest by turns."""
    monkeypatch.chdir(folder)
    kinds = fitting((name, options))
    every = list(itertools.product(DTYPES, DEPTHS, RANGES))
    for turn, (dtype, depth, how) in enumerate(every[len(options) % 2 :: 2]):
        image = f"{dtype}-{kinds[turn % len(kinds)]}.tif"
        compare(capsys, [name, *options, image, *depth, *how], turn // 2)


@pytest.mark.parametrize("first", SINGLE)
def test_what_is_said_of_a_pipe_is_what_is_written(capsys, monkeypatch, folder, first):
    """Each filter before each; images, depths and ranges, the first filter's own too, are drawn by lot."""
    monkeypatch.chdir(folder)
    lot = random.Random(str(first))
    for turn, second in enumerate(SINGLE):
        kinds = fitting(first, second)
        if not kinds:
            continue
        image = f"{lot.choice(DTYPES)}-{lot.choice(kinds)}.tif"
        depth, how, between = lot.choice(DEPTHS), lot.choice(RANGES), lot.choice(RANGES)
        steps = [first[0], *first[1], *between, "then", second[0], *second[1]]
        compare(capsys, ["pipe", image, *depth, *how], turn, ["--", *steps])


@pytest.mark.parametrize(("how", "limit"), [([], np.abs), (["--range", "clip"], lambda values: values)])
def test_a_pipe_cuts_between_filters_what_a_file_cannot_hold(capsys, monkeypatch, folder, how, limit):
    """But for a file of floats it does not."""
    monkeypatch.chdir(folder)
    curved = cf.second_derivative(tifffile.imread("uint8-grey.tif").astype(float))
    for depth, between in (("8", np.clip(limit(curved), 0, 255)), ("f32", curved)):
        after = ["--depth", depth, "--at", "1,2", "--", "second-derivative", *how, "then", "mean"]
        assert run(["pipe", "uint8-grey.tif", *after]) == 0
        expected = cf.mean(between)[1, 2]
        expected = round(expected) if depth == "8" else pytest.approx(expected, rel=1e-4)
        assert float(stored(capsys.readouterr().out)[0][0]) == expected


@pytest.mark.parametrize("matrix", ["1 5 -3 2 8 1 0.5", "1 2 3 9; 4 -5 6 1; 7 8 9 2; 0.5 1 0 3"])
@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_matrices_and_signals_too(capsys, monkeypatch, folder, name, options, matrix):
    """What is written, or the same refusal."""
    monkeypatch.chdir(folder)
    at = (1, 1) if ";" in matrix else (0, 1)
    for depth, how in zip(DEPTHS, RANGES, strict=False):
        command = [name, *options, "--matrix", matrix, *depth, *how]
        status = run([*command, "-o", "out.npy", "--overwrite", "-q"])
        refusal = capsys.readouterr().err
        assert run([*command, "--at", ",".join(map(str, at))]) == status
        said = capsys.readouterr()
        assert said.err == refusal
        if status == 0:
            agree(said.out, np.atleast_2d(np.load("out.npy")), at, command)


@pytest.mark.parametrize("last", SINGLE)
def test_animations_show_what_is_rounded(capsys, monkeypatch, folder, last):
    """The values of an animated pipe, limited and rounded, are those of the file that the pipe writes."""
    monkeypatch.chdir(folder)
    slides = []
    monkeypatch.setattr(animation, "animate", lambda slide, *_: slides.append(slide) or slide.steps)
    after = ["--", "second-derivative", "then", last[0], *last[1]]
    written = ["-o", "out.npy", "--overwrite"]
    assert run(["pipe", "uint8-rgb.tif", "--range", "clip", "-q", *written, *after]) == 0
    assert run(["animate", "uint8-rgb.tif", "-o", "a.gif", *after]) == 0, capsys.readouterr().err
    values = slides[0].output
    if "direction" in last[1]:  # in radians, which a file holds as shares of a turn
        values = values * (255 / (2 * np.pi))
    assert np.array_equal(np.rint(np.clip(values, 0, 255)), np.load("out.npy").reshape(values.shape))
