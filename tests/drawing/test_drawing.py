"""Drawings: one package makes them, and without matplotlib each command says how to get it."""

import os
import sys

import numpy as np
import pytest
from commandline import cnnfilter, complaint
from PIL import Image

from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the commands read, and a folder in which matplotlib cannot be imported."""
    folder = tmp_path_factory.mktemp("drawings")
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(random.integers(0, 256, (40, 40), np.uint8)).save(folder / name)
    bank = ConvolutionLayer(random.normal(size=(4, 1, 3, 3)).astype(np.float32))
    LearnedFilter((bank,)).save(folder / "bank.safetensors")
    (folder / "without").mkdir()
    (folder / "without" / "matplotlib.py").write_text("raise ImportError")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "kernel show mean --plot x.png",
        "learn a.png b.png -o f.json --report x.png",
        "learned --filter bank.safetensors a.png --maps x.png",
        "net describe lenet5 -o x.png",
        "net features --weights none.safetensors a.png -o x.png",
        "net kernels --weights none.safetensors -o x.svg",
        "net train lenet5 --data d.npz -o w.safetensors --curve x.png",
        "net train lenet5 --data d.npz -o w.safetensors --confusion x.pdf",
    ],
)
def test_without_matplotlib_one_line_says_how_to_get_it_before_the_work(command, world):
    before = sorted(world.iterdir())
    path = os.pathsep.join([str(world / "without"), *sys.path])
    process = cnnfilter(*command.split(), status=1, cwd=world, env={"PYTHONPATH": path})
    assert complaint(process) == "drawing needs matplotlib: pip install 'cnnfilter[plot]'"
    assert sorted(world.iterdir()) == before
