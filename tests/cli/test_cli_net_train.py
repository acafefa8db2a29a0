"""Training networks by the command line."""

import gzip
import json
import signal
import struct
import subprocess

import numpy as np
import pytest
from commandline import COMMAND, complaint, hear_signals
from networkfiles import bars, net, size
from PIL import Image

from cnnfilter.files.weightsfile import read_tensors, write_tensors

pytestmark = pytest.mark.slow


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


class TestTrain:
    QUICK = ("--epochs", 2, "--batch", 8, "--validation", 0.25)

    def test_folders_curve_and_confusion(self, place, tmp_path):
        (place / "bars/down/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        output = tmp_path / "net.safetensors"
        done = net(
            "train", "lenet5-modern", "--data", place / "bars", "-o", output, "--epochs", 6, "--batch", 4,
            "--validation", 0.25, "--optimiser", "sgd", "--rate", 0.02, "--decay", 1e-4, "--schedule", "step",
            "--momentum", 0.8, "--shift", 1, "--angle", 3, "--scale", 0.05, "--seed", 3,
            "--curve", tmp_path / "curve.png", "--confusion", tmp_path / "confusion.png",
        )  # fmt: skip
        (place / "bars/down/broken.png").unlink()
        told = done.stdout.decode().splitlines()
        names, *counts = zip(*(line.split() for line in told[2:]), strict=True)
        table = np.array(counts, int).T
        assert names == ("across", "down") and table.sum(axis=1).tolist() == [2, 2]
        right = table.trace()
        assert told[0] == f"accuracy on the 4 images held out: {right / 4:.4f} ({right} right)"
        said = done.stderr.decode().splitlines()
        assert f"skipped {place / 'bars/down/broken.png'}: " in said[0]
        assert said[1] == "cnnfilter: note: 1 of 17 files skipped"
        assert [line.split(":")[0] for line in said[2:]] == [f"epoch {n}/6" for n in range(1, 7)]
        assert size(tmp_path / "curve.png") == (900, 360) and min(size(tmp_path / "confusion.png")) > 300

    def test_folders_that_are_parted_already(self, tmp_path):
        bars(tmp_path / "data/train", 6)
        bars(tmp_path / "data/val", 3, seed=1)
        (tmp_path / "data/val/down/broken.png").write_bytes(b"nothing")
        output = tmp_path / "net.safetensors"
        done = net("train", "lenet5-modern", "--data", tmp_path / "data", "-o", output, *self.QUICK, "--json")
        result = json.loads(done.stdout)
        assert np.sum(result["confusion"], axis=1).tolist() == [3, 3] and len(result["skipped"]) == 1
        assert f"note: {tmp_path / 'data/val'} is held out, 6 images" in done.stderr.decode()
        (tmp_path / "data/val/sideways").mkdir()
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "data/val/sideways/a.png")
        done = net(
            "train", "lenet5-modern", "--data", tmp_path / "data", "-o", output, *self.QUICK, "-q", status=2
        )
        assert "data/val: class 'sideways' is not among those to learn: across, down" in complaint(done)

    @pytest.mark.parametrize("prefix", ["_orig_mod.", "model.", "net.module."])
    def test_names_as_wrappers_write_them(self, place, tmp_path, prefix):
        tensors, _ = read_tensors(place / "lenet5.safetensors")
        tensors = {prefix + name: tensor for name, tensor in tensors.items()}
        write_tensors(tmp_path / "net.safetensors", tensors)
        told = [
            net("predict", "--weights", folder / name, place / "camera.png").stdout
            for folder, name in ((tmp_path, "net.safetensors"), (place, "lenet5.safetensors"))
        ]
        assert told[0] == told[1]
        name = next(iter(tensors))
        write_tensors(tmp_path / "twice.safetensors", tensors | {name.removeprefix(prefix): tensors[name]})
        done = net("predict", "--weights", tmp_path / "twice.safetensors", place / "camera.png", status=1)
        assert "twice, once as" in complaint(done)

    @pytest.mark.parametrize("form", ["npz", "idx", "gzip"])
    def test_arrays(self, tmp_path, form):
        bars(tmp_path / "bars", side=28)
        files = sorted((tmp_path / "bars").rglob("*.png"))
        images = np.stack([np.asarray(Image.open(file)) for file in files])
        labels = np.array([file.parent.name == "down" for file in files], np.uint8)
        source = tmp_path / "data.npz"
        if form == "npz":
            np.savez(source, images=images, labels=labels)
        else:
            source, packed = tmp_path / "idx", gzip.compress if form == "gzip" else bytes
            source.mkdir()
            for name, array in (("images-idx3", images), ("labels-idx1", labels)):
                end = ".gz" if form == "gzip" else ""
                (source / f"train-{name}-ubyte{end}").write_bytes(packed(idx(array)))
        done = net(
            "train", "lenet5", "--data", source, "-o", tmp_path / "n.safetensors", *self.QUICK, "--json", "-q"
        )
        result = json.loads(done.stdout)
        assert result["classes"] == ["0", "1"] and result["epochs"] == len(result["history"]) == 2
        assert np.sum(result["confusion"]) == 4 and done.stderr == b""

    def test_resuming_and_stopping_early(self, place, tmp_path):
        """A run that is interrupted leaves whole files, and ends as if it had not been."""
        options = ["--data", place / "bars", "--epochs", "60", "--batch", "8", "--shift", "1"]
        stopped = tmp_path / "stopped.safetensors"
        command = [*COMMAND, "net", "train", "lenet5-modern", *map(str, options), "-o", str(stopped)]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=hear_signals
        ) as process:
            for line in process.stderr:
                if line.startswith("epoch 3/"):
                    process.send_signal(signal.SIGINT)
                    break
            rest = process.stderr.read()
        assert process.returncode == 130, rest
        assert rest.endswith(f"--resume goes on from {stopped}.checkpoint\n") and "Traceback" not in rest
        assert len(read_tensors(stopped)[0]) == 10
        assert read_tensors(f"{stopped}.checkpoint")[1]["cnnfilter_checkpoint"]
        assert {path.name for path in tmp_path.iterdir()} == {stopped.name, f"{stopped.name}.checkpoint"}

        resumed = net(
            "train", "lenet5-modern", *options, "-o", stopped, "--resume", "--patience", 3, "--json"
        )
        whole = tmp_path / "whole.safetensors"
        at_once = net("train", "lenet5-modern", *options, "-o", whole, "--patience", 3, "--json")
        first, second = json.loads(resumed.stdout), json.loads(at_once.stdout)
        assert first == second and first["epochs"] < 60
        assert stopped.read_bytes() == whole.read_bytes()
        other = net("train", "lenet5-modern", *options, "-o", whole, "--seed", 5, "--resume", status=2)
        assert "cannot resume, seed was 0, is 5" in complaint(other)

    def test_divergence_keeps_the_last_good_checkpoint(self, place, tmp_path):
        output = tmp_path / "net.safetensors"
        options = ["--data", place / "bars", "-o", output, "--rate", 1e18, "-q"]
        done = net("train", "lenet5-modern", *options, status=1)
        assert "at rate 1e+18: a lower rate may help; nothing kept" in complaint(done)
        assert list(tmp_path.iterdir()) == []
        options = ["--data", place / "bars", "-o", output, "--epochs", 3, "-q"]
        net("train", "lenet5-modern", *options)
        checkpoint = tmp_path / "net.safetensors.checkpoint"
        tensors, metadata = read_tensors(checkpoint)
        facts = json.loads(metadata["cnnfilter_checkpoint"])
        facts |= {"epoch": 1, "history": facts["history"][:1]}
        for name in ("now/c1.weight", "now/c3.weight"):
            tensors[name] *= np.float32(1e30)
        write_tensors(checkpoint, tensors, {"cnnfilter_checkpoint": json.dumps(facts)})
        good = output.read_bytes(), checkpoint.read_bytes()
        words = complaint(net("train", "lenet5-modern", *options, "--resume", status=1))
        assert words.startswith("the loss became nan in epoch 2 at rate ")
        assert words.endswith(f"; {output} holds the 1 epochs before")
        assert (output.read_bytes(), checkpoint.read_bytes()) == good

    def test_data_that_teaches_nothing(self, place, tmp_path):
        output = ["-o", tmp_path / "net.safetensors"]

        def refused(folder, *more, status=2):
            return complaint(net("train", "lenet5-modern", "--data", folder, *output, *more, status=status))

        folder = bars(tmp_path / "data", count=1)
        assert "2 images of 2 classes; one of a class is learned from" in refused(folder)
        (folder / "empty").mkdir()
        assert refused(folder).startswith(f"{folder / 'empty'}: no image that can be read")
        assert "no folders of images and no IDX files in it" in refused(folder / "down", status=1)
        assert refused(tmp_path / "none", status=1).startswith(f"{tmp_path / 'none'}: No such file")
        assert "2 classes, but lenet5-modern is to tell 7 apart" in refused(
            place / "bars", "--set", "classes=7"
        )
        assert "no network 'vgg'" in complaint(net("train", "vgg", "--data", folder, *output, status=2))

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-o", "net.npz"], "net.npz: weights are written as .safetensors"),
            (["-o", "none/net.safetensors"], "none/net.safetensors: there is no folder none"),
            (["-o", "n.safetensors", "--curve", "c.gif"], "c.gif: pictures are drawn as .png, .svg, .pdf"),
            (["-o", "n.safetensors", "--rate", "-1"], "Invalid value for '--rate'"),
        ],
    )
    def test_outputs_are_seen_to_before_training(self, place, tmp_path, arguments, words):
        done = net("train", "lenet5-modern", "--data", place / "bars", *arguments, status=2, cwd=tmp_path)
        assert words in complaint(done)
        assert list(tmp_path.iterdir()) == []
