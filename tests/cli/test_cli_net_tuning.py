"""Training that begins with weights, leaves layers as they are, or goes on to more epochs."""

import json

import numpy as np
import pytest
from commandline import complaint
from networkfiles import bars, net

from cnnfilter.files.weightsfile import read_tensors

pytestmark = pytest.mark.slow

QUICK = ("--batch", 8, "--validation", 0.25)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Bars of two classes, and weights of one epoch."""
    place = tmp_path_factory.mktemp("tuning")
    bars(place / "bars", 6)
    net(
        "train",
        "lenet5-modern",
        "--data",
        place / "bars",
        "-o",
        place / "a.safetensors",
        "--epochs",
        1,
        *QUICK,
    )
    return place


def test_frozen_layers_stay_and_others_begin_with_the_weights(trained, tmp_path):
    output = tmp_path / "b.safetensors"
    net(
        "train", "lenet5-modern", "--data", trained / "bars", "-o", output, "--epochs", 1, *QUICK,
        "--weights", trained / "a.safetensors", "--freeze", "c*", "--freeze", "f6",
    )  # fmt: skip
    before, after = (read_tensors(path)[0] for path in (trained / "a.safetensors", output))
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert same == {name for name in before if not name.startswith("output")}


def test_layers_that_do_not_fit_begin_anew_and_are_named(trained, tmp_path):
    bars(tmp_path / "three", 4)
    bars(tmp_path / "more", 4, seed=2)
    (tmp_path / "more/down").rename(tmp_path / "three/third")
    done = net(
        "train", "lenet5-modern", "--data", tmp_path / "three", "-o", tmp_path / "b.safetensors", *QUICK,
        "--epochs", 1, "--weights", trained / "a.safetensors", "--json",
    )  # fmt: skip
    assert "a.safetensors does not fit output, which begin anew" in done.stderr.decode()
    assert len(json.loads(done.stdout)["classes"]) == 3


def test_weights_of_another_network_and_layers_that_are_not_there(trained, tmp_path):
    given = "train", "resnet20", "--data", trained / "bars", "-o", tmp_path / "b.safetensors", "--epochs", 1
    done = net(*given, *QUICK, "--weights", trained / "a.safetensors", "-q", status=1)
    assert "weights of another network: no layer of resnet20 is among them" in complaint(done)
    done = net(*given, *QUICK, "--freeze", "conv9", "-q", status=2)
    assert "no layer of resnet20 is called 'conv9': there are conv1, bn1" in complaint(done)
    done = net(*given, *QUICK, "--freeze", "*", "-q", status=2)
    assert "every layer of resnet20 is frozen: nothing is left to learn" in complaint(done)


def test_running_means_of_frozen_layers_stay(trained, tmp_path):
    given = "train", "resnet20", "--data", trained / "bars", "--epochs", 1, *QUICK, "-q", "--seed", 1
    net(*given, "-o", tmp_path / "a.safetensors")
    net(
        *given, "-o", tmp_path / "b.safetensors", "--weights", tmp_path / "a.safetensors",
        "--freeze", "conv1", "--freeze", "bn1", "--freeze", "layer1",
    )  # fmt: skip
    before, after = (read_tensors(tmp_path / f"{name}.safetensors")[0] for name in "ab")
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert {name for name in before if name.startswith(("conv1", "bn1", "layer1."))} == same


def test_more_epochs_go_on_from_the_checkpoint(trained, tmp_path):
    given = "train", "lenet5-modern", "--data", trained / "bars", "-o", tmp_path / "a.safetensors", *QUICK
    net(*given, "--epochs", 2)
    done = net(*given, "--epochs", 3, "--resume", "--json")
    assert json.loads(done.stdout)["epochs"] == 3
    assert done.stderr.decode().startswith("epoch 3/3")
    done = net(*given, "--epochs", 2, "--resume", status=2)
    assert "cannot resume, epochs was 3, is 2" in complaint(done)
    done = net(*given, "--epochs", 4, "--resume", "--freeze", "c1", status=2)
    assert "cannot resume, frozen was [], is ['c1']" in complaint(done)
