"""What version 0.1.0 wrote is read, and its command lines do what they did: see data/v0.1.0/make.sh."""

import json
import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
from commandline import cnnfilter, pixels

from cnnfilter import Kernel
from cnnfilter.cli.group import cnnfilter as root

DATA = Path(__file__).parent / "data" / "v0.1.0"
LINES = (DATA / "commands.txt").read_text().splitlines()
OPTIONS = json.loads((DATA / "options.json").read_text())


@pytest.fixture
def folder(tmp_path):
    """A copy of the files, so that the tests write nothing among them."""
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def test_kernel_files_hold_the_template_of_the_notes():
    for form in ("json", "txt", "csv", "npy"):
        kernel = Kernel.load(DATA / f"template.{form}")
        np.testing.assert_allclose(kernel.array[:3, :3], np.array([[1, 2, 2], [2, 4, 5], [2, 5, 7]]) / 71)


@pytest.mark.parametrize("number", range(len(LINES)), ids=LINES)
def test_command_lines_give_the_same_pixels(number, folder):
    cnnfilter(*shlex.split(LINES[number]), "input.png", "-o", "output.png", cwd=folder)
    with np.load(DATA / "outputs.npz") as outputs:
        np.testing.assert_array_equal(pixels(folder / "output.png")[::5, ::5], outputs[f"arr_{number}"])


@pytest.mark.parametrize("path", OPTIONS)
def test_every_option_is_still_there(path):
    command, context = root, click.Context(root)
    for name in path.split()[1:]:
        command = command.get_command(context, name)
        context = click.Context(command, parent=context)
    assert {*OPTIONS[path]} <= {o for p in command.get_params(context) for o in (*p.opts, *p.secondary_opts)}


def test_weights_of_a_network_predict(folder):
    said = cnnfilter("net", "predict", "--weights", "network.safetensors", "input.png", "--json", cwd=folder)
    assert json.loads(said.stdout)


def tensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("network", "net train highway --set units=2 --set layers=1 --data data.npz --epochs 2 -q"),
        ("stack", "learn before.png after.png --layers 2 --channels 2 --steps 20"),
    ],
)
def test_checkpoints_go_on_to_the_same_end(name, command, folder):
    wanted = tensors(folder / f"{name}.safetensors")
    (folder / f"{name}.safetensors").unlink()
    done = cnnfilter(*command.split(), "--resume", "-o", f"{name}.safetensors", cwd=folder)
    assert b"begins" not in done.stderr
    found = tensors(folder / f"{name}.safetensors")
    assert found.keys() == wanted.keys()
    for key in wanted:
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-3, atol=1e-4)
