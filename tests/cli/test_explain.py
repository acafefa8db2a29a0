"""What ``--explain`` says is what the run does: one plan decides both."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cnnfilter.batch.process import Process
from cnnfilter.cli.group import cnnfilter as root
from cnnfilter.files import read
from cnnfilter.kernels.kernelfile import parse
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
from cnnfilter.pixels import filtering
from cnnfilter.registry import FILTERS, filter_named

IMAGES = ("rgb.png", "grey.png", "rgba.png", "words.npy", "floats.npy", "doubles.npy")

RNG = np.random.default_rng(0)

WHATEVER = [
    [],
    ["--depth", "8"],
    ["--depth", "16"],
    ["--depth", "f32"],
    ["--linear"],
    ["--range", "abs"],
    ["--range", "offset", "--depth", "8"],
    ["--range", "stretch"],
    ["--range", "clip", "--depth", "f32"],
    ["--stride", "2"],
    ["--stride", "3x2", "--depth", "f32", "--linear"],
]

SPECIAL = {
    "convolve": [["--kernel", "sobel-x"], ["--kernel", "1 2 1 / 4"]],
    "correlate": [["--kernel", "sharpen"]],
    "learned": [["--filter", "one.json"], ["--filter", "stack.safetensors"]],
    "pool": [["max"], ["mean"]],
}
"""What filters require, twice where it matters."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    Image.fromarray(RNG.integers(0, 256, (40, 30, 3), np.uint8)).save(folder / "rgb.png")
    Image.fromarray(RNG.integers(0, 256, (31, 30), np.uint8)).save(folder / "grey.png")
    Image.fromarray(RNG.integers(1, 256, (24, 30, 4), np.uint8)).save(folder / "rgba.png")
    np.save(folder / "words.npy", RNG.integers(0, 65536, (40, 30)).astype(np.uint16))
    np.save(folder / "floats.npy", RNG.normal(size=(40, 30, 3)).astype(np.float32))
    np.save(folder / "doubles.npy", RNG.normal(size=(33, 30)))
    one = ConvolutionLayer(RNG.normal(size=(1, 1, 3, 3)), np.array([0.1]))
    LearnedFilter((one,), each_channel=True).save(folder / "one.json")
    layer = ConvolutionLayer(RNG.normal(size=(1, 1, 3, 3)).astype(np.float32), None, "relu")
    LearnedFilter((layer, layer), each_channel=True).save(folder / "stack.safetensors")
    return folder


def requires(name):
    """The options without which a filter does not run."""
    return SPECIAL.get(name, [[]])


def run(*arguments):
    return CliRunner().invoke(root, [str(part) for part in arguments], standalone_mode=False)


@pytest.mark.parametrize(
    "image", ["rgb.png", "grey.png", "rgba.png", "words.npy", "floats.npy", "doubles.npy"]
)
@pytest.mark.parametrize("name", FILTERS)
def test_the_file_is_what_was_explained(name, image, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    takes = {f"--{option.name}" for option in filter_named(name).options}
    compared = 0
    for own in requires(name):
        for more in WHATEVER:
            if "--stride" in more and "--stride" not in takes:
                continue
            asked = [name, *own, *more, image]
            said = run(*asked, "--explain", "--json")
            target = tmp_path / "result.npy"
            done = run(*asked, "-o", target, "--quiet")
            if done.exception is not None or done.return_value:  # such as layers on alpha with a stride
                assert image in ("rgba.png", "words.npy", "floats.npy", "doubles.npy")
                assert said.exception is not None or said.return_value, asked
                continue
            told = json.loads(said.stdout)["output"]
            found = np.load(target)
            assert told == {
                "shape": list(found.shape),
                "dtype": str(found.dtype),
                "range": told["range"],
            }, asked
            assert (told["range"] is None) == (found.dtype.kind == "f" and "--range" not in more)
            assert read(target).frames[0].shape == tuple(told["shape"])
            compared += 1
    assert compared > 4


@pytest.mark.parametrize("depth", [None, "8", "f32"])
@pytest.mark.parametrize("name", [name for name in FILTERS if name != "learned"])
def test_each_filter_is_asked_for_the_type_that_was_explained(name, depth, monkeypatch):
    """The types that the core is asked for are seen where it is called."""
    required = {"kernel": parse("1 2 1 / 4"), "kind": "mean"}
    filter = filter_named(name)
    made = filter(**{option.name: required[option.name] for option in filter.options if option.required})
    asked = []
    monkeypatch.setattr(
        filter, "run", lambda self, image, dtype, *rest, **how: asked.append(np.dtype(dtype).name)
        or super(filter, self).run(image, dtype, *rest, **how),
    )  # fmt: skip
    for dtype in ("uint8", "uint16", "float32", "float64"):
        for linear in (False, True) if dtype.startswith("u") else (False,):
            process = Process((made, made), depth=depth, linear=linear, threads=1)
            for one in (process, process._replace(steps=(made,))):
                asked.clear()
                frame = np.ones((20, 20, 3), dtype)
                plan = one.plan(frame.shape, frame.dtype, alpha=False)
                one.filter_frame(frame, alpha=False)
                assert asked == [planned.record["dtype"] for planned in plan.described()]


def test_what_rounds_itself_is_decided_in_one_place():
    assert filtering.rounds_itself(np.dtype("uint8"), np.dtype("uint8"), "clip")
    assert not filtering.rounds_itself(np.dtype("uint8"), np.dtype("uint8"), "abs")
    assert not filtering.rounds_itself(np.dtype("uint8"), np.dtype("uint16"), None)
    assert not filtering.rounds_itself(np.dtype("float32"), np.dtype("float32"), None)
