"""The commands that read, write and look into weights of networks."""

import importlib.util
import json
import os
import struct

import numpy as np
import pytest
from commandline import complaint
from networkfiles import net

from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.nn.models import build

pytestmark = pytest.mark.slow


class TestWeights:
    """Files that hold no weights, or those of another network."""

    def refused(self, weights, place, *options, status=1):
        done = net("predict", "--weights", weights, *options, place / "camera.png", status=status)
        assert done.stdout == b""
        return complaint(done)

    def test_the_first_layer_that_differs(self, place):
        words = self.refused(place / "resnet18.safetensors", place, "--network", "resnet50")
        assert words == (
            f"{place / 'resnet18.safetensors'}: weights of another network: "
            "layer1.0.conv1.weight is (64, 64, 3, 3), resnet50 has (64, 64, 1, 1)"
        )

    def test_missing_and_unexpected_together(self, place, tmp_path):
        tensors, _ = read_tensors(place / "lenet5.safetensors")
        tensors["f7.weight"] = tensors.pop("f6.weight")
        tensors["c9.bias"] = tensors.pop("c1.bias")
        write_tensors(tmp_path / "w.safetensors", tensors)
        words = self.refused(tmp_path / "w.safetensors", place)
        assert words.endswith(
            "than lenet5: missing c1.bias, f6.weight; unexpected c9.bias, f7.weight; "
            "--map OURS=THEIRS tells names that differ"
        )

    def test_tensors_of_no_known_network(self, place, tmp_path):
        write_tensors(tmp_path / "w.safetensors", {"a": np.ones((3, 3), np.float32)})
        words = self.refused(tmp_path / "w.safetensors", place)
        assert "are of none of the known networks; --network NAME says of which: lenet5, " in words
        assert "no network 'vgg'" in self.refused(tmp_path / "w.safetensors", place, "--network", "vgg")

    @pytest.mark.parametrize(
        ("facts", "words"),
        [
            ("{", "what it says of its network is damaged"),
            ("[" * 100_000, "what it says of its network is damaged"),
            ("[]", "what it says of its network is damaged"),
            ({"network": 3, "options": {}, "classes": []}, "not of the known form"),
            ({"network": "lenet5", "options": {}, "classes": [1]}, "not of the known form"),
            ({"network": "lenet5", "options": {"classes": 10**12}, "classes": []}, "do not bear out"),
            ({"network": "lenet5", "options": {"classes": [1]}, "classes": []}, "do not bear out"),
            ({"network": "lenet5", "options": {"layers": 3}, "classes": []}, "no option 'layers'"),
            ({"network": "/etc/passwd", "options": {}, "classes": []}, "no network '/etc/passwd'"),
        ],
    )
    def test_hostile_metadata(self, place, tmp_path, facts, words):
        tensors, _ = read_tensors(place / "lenet5.safetensors")
        tensors["empty"] = np.zeros((0, 10**12), np.float32)  # holds nothing that bears out its size
        text = facts if isinstance(facts, str) else json.dumps(facts)
        write_tensors(tmp_path / "w.safetensors", tensors, {"cnnfilter_network": text})
        told = self.refused(tmp_path / "w.safetensors", place)
        assert told.startswith(f"{tmp_path / 'w.safetensors'}: ") and words in told

    @pytest.mark.parametrize(
        "content",
        [b"", b"no weights", struct.pack("<Q", 2**60) + b"{}", b"PK\x03\x04 no archive"],
        ids=["empty", "text", "huge header", "zip"],
    )
    def test_hostile_files(self, place, tmp_path, content):
        (tmp_path / "bad.safetensors").write_bytes(content)
        assert self.refused(tmp_path / "bad.safetensors", place).startswith(
            f"{tmp_path / 'bad.safetensors'}: "
        )
        assert self.refused(tmp_path / "none.npz", place).startswith(f"{tmp_path / 'none.npz'}: No such file")

    def test_weights_too_large(self, place, tmp_path):
        tensors = build("lenet5-modern").initialise(0).tensors()
        write_tensors(tmp_path / "w.safetensors", {name: t * np.float32(1e30) for name, t in tensors.items()})
        words = self.refused(tmp_path / "w.safetensors", place)
        assert words == f"{place / 'camera.png'}: the scores are NaN or infinite: the weights are too large"

    def test_pth_without_pytorch(self, place, tmp_path):
        (tmp_path / "torch.py").write_text("raise ImportError\n")
        (tmp_path / "net.pth").write_bytes(bytes.fromhex("80028a0a6cfc9c46f9206aa850192e2e"))
        done = net(
            "predict", "--weights", tmp_path / "net.pth", place / "camera.png",
            status=1, env={"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        )  # fmt: skip
        words = complaint(done)
        assert words.startswith(
            f"{tmp_path / 'net.pth'}: a file of PyTorch, which is not installed; convert it"
        )
        assert 'python -c "import numpy, torch; numpy.savez(' in words

    @pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
    def test_pth_by_pytorch(self, place, tmp_path):
        import torch

        tensors, _ = read_tensors(place / "lenet5.safetensors")
        state = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        torch.save({"state_dict": state, "epoch": 3}, tmp_path / "net.pth")
        image = place / "camera.png"
        told = [
            net("predict", "--weights", weights, image).stdout
            for weights in (tmp_path / "net.pth", place / "lenet5.safetensors")
        ]
        assert told[0] == told[1]


class TestNamesAndShapesOfOthers:
    """A network that a tutorial of PyTorch made: conv1, conv2, fc1 to fc3, all dense layers flat."""

    MAP = "c1=conv1,c3=conv2,c5=fc1,f6=fc2,output=fc3"

    @pytest.fixture
    def tutorial(self, tmp_path):
        ours = build("lenet5-modern").initialise(3).tensors()
        write_tensors(tmp_path / "ours.safetensors", ours, {"cnnfilter_network": json.dumps(FACTS)})
        theirs = {theirs: ours for ours, _, theirs in (pair.partition("=") for pair in self.MAP.split(","))}
        flat = {
            f"model.{name}.{key}": ours[f"{layer}.{key}"] for name, layer in theirs.items()
            for key in ("weight", "bias")
        }  # fmt: skip
        flat["model.fc1.weight"] = flat["model.fc1.weight"].reshape(120, 400)
        write_tensors(tmp_path / "theirs.safetensors", flat)
        return tmp_path / "theirs.safetensors"

    def test_the_same_network_predicts_the_same(self, tutorial, place):
        image = place / "camera.png"
        named = ["--network", "lenet5-modern", "--map", self.MAP]
        told = net("predict", "--weights", tutorial, *named, image).stdout
        assert told == net("predict", "--weights", tutorial.with_name("ours.safetensors"), image).stdout

    @pytest.mark.parametrize(
        ("named", "words"),
        [
            ("c1=conv1", "missing c3."),
            ("c1=conv9", "no layer is named 'conv9'; there are conv1, conv2, fc1, fc2, fc3"),
            ("c1", "'c1': give OURS=THEIRS, as c1=conv1"),
            ("c1=conv1,c3=conv1", "conv1 stands twice"),
        ],
    )
    def test_names_that_cannot_be(self, tutorial, place, named, words):
        options = ["--network", "lenet5-modern", "--map", named]
        status = 1 if "conv" in named and "twice" not in words else 2
        done = net("predict", "--weights", tutorial, *options, place / "camera.png", status=status)
        assert words in complaint(done)

    def test_the_names_that_differ_are_told_with_the_way(self, tutorial, place):
        done = net(
            "predict", "--weights", tutorial, "--network", "lenet5-modern", place / "camera.png", status=1
        )
        assert complaint(done).endswith("; --map OURS=THEIRS tells names that differ")


FACTS = {"network": "lenet5-modern", "options": {"classes": 10}, "classes": []}


class TestWithoutTheHead:
    """Files of the layers that find features, without those that tell classes apart."""

    @pytest.fixture
    def headless(self, tmp_path):
        tensors = build("lenet5-modern").initialise(3).tensors()
        write_tensors(tmp_path / "whole.safetensors", tensors, {"cnnfilter_network": json.dumps(FACTS)})
        kept = {name: tensor for name, tensor in tensors.items() if name[:2] in ("c1", "c3")}
        write_tensors(tmp_path / "w.safetensors", kept, {"cnnfilter_network": json.dumps(FACTS)})
        return tmp_path / "w.safetensors"

    @pytest.mark.parametrize("layer", ["c1", "c3", "s4"])
    def test_maps_are_those_of_the_whole(self, headless, place, layer, tmp_path):
        for name in ("whole", "w"):
            weights, maps = headless.with_name(f"{name}.safetensors"), tmp_path / f"{name}.npy"
            done = net("features", "--weights", weights, "--layer", layer, place / "camera.png", "-o", maps)
        assert b"has no c5, f6, output: what comes before is shown" in done.stderr
        found, wanted = (np.load(tmp_path / f"{name}.npy") for name in ("w", "whole"))
        assert np.array_equal(found, wanted) and found.any()

    def test_kernels_are_there(self, headless, tmp_path):
        net("kernels", "--weights", headless, "-o", tmp_path / "bank.npy")
        assert np.load(tmp_path / "bank.npy").shape == (5, 5, 1, 6)

    def test_what_the_layer_stands_on_must_be_there(self, headless, place, tmp_path):
        options = ["--weights", headless, "--layer", "c5", place / "camera.png", "-o", tmp_path / "m.npy"]
        done = net("features", *options, status=1)
        assert "weights of another network than lenet5-modern: missing c5." in complaint(done)
