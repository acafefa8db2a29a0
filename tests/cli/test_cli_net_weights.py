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
        assert words.endswith("than lenet5: missing c1.bias, f6.weight; unexpected c9.bias, f7.weight")

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
