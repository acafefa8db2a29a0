"""The commands on networks, as processes: what they print, draw and write; bad input in one line."""

import gzip
import importlib.util
import json
import os
import signal
import struct
import subprocess

import numpy as np
import pytest
from commandline import COMMAND, cnnfilter, complaint, hear_signals
from PIL import Image
from skimage import data

from cnnfilter.cli.net.weights import read_image
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.nn.data import prepare
from cnnfilter.nn.describe import describe
from cnnfilter.nn.functional import softmax
from cnnfilter.nn.models import MODELS, build

pytestmark = pytest.mark.slow

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def net(*arguments, **options):
    return cnnfilter("net", *arguments, **options)


def size(path):
    with Image.open(path) as image:
        return image.size


def bars(folder, count=8, side=32, seed=0):
    """Write images by class: one bar along the rows, or along the columns."""
    random = np.random.default_rng(seed)
    for name in ("across", "down"):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            pixels = random.integers(0, 40, (side, side)).astype(np.uint8)
            at = int(random.integers(4, side - 8))
            pixels[
                (slice(at, at + 4), slice(None)) if name == "across" else (slice(None), slice(at, at + 4))
            ] = 250
            Image.fromarray(pixels).save(folder / name / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with photographs, bars to learn, and networks with weights."""
    place = tmp_path_factory.mktemp("nets")
    Image.fromarray(data.astronaut()[:400]).save(place / "astronaut.png")
    Image.fromarray(data.camera()).save(place / "camera.png")
    bars(place / "bars")
    tensors = build("resnet18", classes=5).initialise(0).tensors()
    tensors["fc.weight"] *= np.float32(0.02)  # so that no class is sure
    write_tensors(place / "resnet18.safetensors", tensors)
    write_tensors(place / "lenet5.safetensors", build("lenet5").initialise(0).tensors())
    net("train", "lenet5-modern", "--data", place / "bars", "-o", place / "bars.safetensors", "--epochs", 4)
    return place


class TestDescribe:
    def test_list(self):
        lines = net("list").stdout.decode().splitlines()
        assert [line.split()[0] for line in lines] == [*MODELS]
        rows = [json.loads(line) for line in net("list", "--json").stdout.splitlines()]
        assert [row["name"] for row in rows] == [*MODELS] and all(row["about"] for row in rows)

    def test_text_json_and_markdown(self, tmp_path):
        description = describe(build("lenet5", output="softmax"))
        for form, wanted in ((None, description.text()), ("--json", description.json())):
            done = net("describe", "lenet5", "--set", "output=softmax", *([form] if form else []))
            assert done.stdout.decode() == f"{wanted}\n"
        net("describe", "lenet5", "--set", "output=softmax", "--markdown", "-o", tmp_path / "table.md")
        assert (tmp_path / "table.md").read_text() == f"{description.markdown()}\n"

    @pytest.mark.parametrize(("name", "suffix"), [("googlenet", "png"), ("highway", "svg")])
    def test_pictures(self, tmp_path, name, suffix):
        path = tmp_path / f"net.{suffix}"
        net("describe", name, "-o", path)
        start = {"png": b"\x89PNG", "svg": b"<?xml"}[suffix]
        assert path.read_bytes().startswith(start)
        if suffix == "png":
            wide, high = size(path)
            assert 800 < wide < 1600 and 800 < high < 1600

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["vgg"], "no network 'vgg': choose one of lenet5, lenet5-modern, alexnet, "),
            (["resnet18", "--set", "depth=3"], "resnet18 has no option 'depth': it has classes, shortcut"),
            (["resnet18", "--set", "shortcut=Z"], "shortcut is 'Z': choose A (zeros) or B (a projection)"),
            (["highway", "--set", "layers=x"], "layers is 'x': give a whole number"),
            (["highway", "--set", "units=0"], "units is 0: give a whole number from 1"),
            (["googlenet", "--set", "aux=1"], "aux is 1: give true or false"),
            (["lenet5", "--set", "classes"], "'classes': give NAME=VALUE"),
        ],
    )
    def test_what_cannot_be_described(self, arguments, words):
        assert words in complaint(net("describe", *arguments, status=2))


def prepared_by_pillow(path):
    """Do what torchvision's ImageNet preset does: short side 256, middle 224, mean and deviation."""
    with Image.open(path) as image:
        wide, high = image.size
        short = min(wide, high)
        image = image.convert("RGB").resize(
            (256 * wide // short, 256 * high // short), Image.Resampling.BILINEAR
        )
        left, top = (round((side - 224) / 2) for side in image.size)
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return ((pixels - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)[None]


class TestPredict:
    @pytest.mark.parametrize("name", ["astronaut.png", "camera.png"])
    def test_imagenet_preprocessing_is_that_of_the_reference(self, place, name):
        network = build("resnet18", classes=5).load(read_tensors(place / "resnet18.safetensors")[0])
        reference = prepared_by_pillow(place / name)
        ours = prepare(read_image(str(place / name)), network.shape, network.preprocessing)
        # Pillow rounds to bytes after each direction: by half a level, which is 0.009 here.
        np.testing.assert_allclose(ours, reference[0], atol=0.02)
        wanted = softmax(network.forward(reference))[0]
        done = net("predict", "--weights", place / "resnet18.safetensors", place / name, "--json")
        record = json.loads(done.stdout)
        assert record["input"] == str(place / name) and record["status"] == "done"
        assert [c["class"] for c in record["top"]] == np.argsort(-wanted).tolist()
        found = [c["probability"] for c in sorted(record["top"], key=lambda c: c["class"])]
        np.testing.assert_allclose(found, wanted, atol=1e-3)
        assert wanted.max() < 0.9

    def test_many_images_one_of_them_bad(self, place, tmp_path):
        (tmp_path / "bad.png").write_bytes(b"no image")
        images = [place / "bars/down/0.png", tmp_path / "bad.png", place / "bars/across/0.png"]
        for batch in ("1", "8"):
            done = net(
                "predict", "--weights", place / "bars.safetensors", *images, "--batch", batch, status=3
            )
            lines = done.stdout.decode().splitlines()
            assert len(lines) == 2
            assert lines[0].startswith(f"{images[0]}: down ") and lines[1].startswith(f"{images[2]}: across ")
            said = done.stderr.decode().splitlines()
            assert said[0].startswith(f"cnnfilter: {images[1]}: is not an image")
            assert said[1].startswith("cnnfilter: 2 of 3 images done, 1 failed in ") and len(said) == 2

    def test_json_holds_failures_too(self, place):
        weights, image = place / "bars.safetensors", place / "bars/down/1.png"
        done = net(
            "predict", "--weights", weights, place / "none.png", image, "--json", "--top", 1, "-q", status=3
        )
        failed, told = (json.loads(line) for line in done.stdout.splitlines())
        assert failed["status"] == "failed" and "no such file" in failed["error"]
        assert told["top"][0]["label"] == "down" and len(told["top"]) == 1
        assert complaint(done).startswith(str(place / "none.png"))
        nothing = net("predict", "--weights", weights, place / "none.png", status=1)
        assert complaint(nothing).startswith(f"{place / 'none.png'}: no such file")

    def test_folders_lists_pipes_and_an_output_file(self, place, tmp_path):
        weights = place / "bars.safetensors"
        done = net("predict", "--weights", weights, "-r", place / "bars", "--top", 1)
        assert len(done.stdout.splitlines()) == 16
        assert (
            b"is a folder; --recursive"
            in net("predict", "--weights", weights, place / "bars", status=2).stderr
        )
        names = b"\0".join(bytes(place / f"bars/across/{k}.png") for k in range(3))
        (tmp_path / "names").write_bytes(names)
        net(
            "predict",
            "--weights",
            weights,
            "--files-from",
            tmp_path / "names",
            "-0",
            "-o",
            tmp_path / "out.txt",
        )
        assert len((tmp_path / "out.txt").read_text().splitlines()) == 3
        image = (place / "bars/down/0.png").read_bytes()
        assert net("predict", "--weights", weights, input=image).stdout.startswith(b"standard input: down ")

    def test_labels(self, place, tmp_path):
        labels, image = tmp_path / "labels.txt", place / "bars/down/0.png"
        labels.write_text("\ufeffà travers\nen bas\n\n", encoding="utf-8")
        options = ["--weights", place / "bars.safetensors", "--labels", labels, image]
        told = net("predict", *options).stdout.decode()
        assert f"{image}: en bas " in told and ", à travers " in told
        labels.write_text("\x1b[31mred\n\x9b2J\n")
        said = net("predict", *options).stdout
        assert b"\x1b" not in said
        assert rb"\x1b[31mred" in said
        labels.write_text("ant\nbee\ncat\n")
        words = complaint(net("predict", *options, status=2))
        assert words == f"{labels}: names 3 classes, but the network tells 2 apart"
        labels.write_bytes(b"\xff\xfe")
        assert complaint(net("predict", *options, status=1)).startswith(f"{labels}: labels are UTF-8 text")

    def test_npz_and_parallel_names(self, place, tmp_path):
        tensors, _ = read_tensors(place / "lenet5.safetensors")
        np.savez(tmp_path / "net.npz", **{f"module.{name}": tensor for name, tensor in tensors.items()})
        image = place / "bars/down/0.png"
        told = [
            net("predict", "--weights", weights, image).stdout
            for weights in (tmp_path / "net.npz", place / "lenet5.safetensors")
        ]
        assert told[0] == told[1]


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


class TestLooking:
    def test_sheets(self, place, tmp_path):
        weights, image = place / "bars.safetensors", place / "bars/down/0.png"
        for layer in ([], ["--layer", "f6"]):
            net("features", "--weights", weights, image, *layer, "-o", tmp_path / "maps.png")
            assert min(size(tmp_path / "maps.png")) >= 200
        for layer, file in (("c3", "lenet5"), ("conv1", "resnet18")):
            weights = place / f"{file}.safetensors"
            net("kernels", "--weights", weights, "--layer", layer, "-o", tmp_path / "kernels.png")
            assert min(size(tmp_path / "kernels.png")) >= 300

    def test_features_are_those_of_the_network(self, place, tmp_path):
        net(
            "features", "--weights", place / "resnet18.safetensors", place / "astronaut.png",
            "--layer", "layer1.0.conv1", "-o", tmp_path / "maps.npy",
        )  # fmt: skip
        network = build("resnet18", classes=5).load(read_tensors(place / "resnet18.safetensors")[0])
        wanted = network.outputs(prepared_by_pillow(place / "astronaut.png"), ["layer1.0.conv1"])
        maps = np.load(tmp_path / "maps.npy")
        assert maps.shape == (64, 56, 56)
        np.testing.assert_allclose(maps, wanted["layer1.0.conv1"][0], atol=0.05)

    @pytest.mark.parametrize("suffix", ["npy", "safetensors"])
    def test_kernels_become_a_bank_that_filters_a_photograph(self, place, tmp_path, suffix):
        bank, photo = tmp_path / f"bank.{suffix}", tmp_path / "photo.png"
        Image.fromarray(data.astronaut()[::4, ::3]).save(photo)
        net("kernels", "--weights", place / "resnet18.safetensors", "-o", bank)
        weights = read_tensors(place / "resnet18.safetensors")[0]["conv1.weight"]
        if suffix == "npy":
            np.testing.assert_array_equal(np.load(bank), weights.transpose(2, 3, 1, 0))
        else:
            np.testing.assert_array_equal(read_tensors(bank)[0]["layers.0.weight"], weights)
        cnnfilter("learned", "--filter", bank, photo, "--maps", tmp_path / "sheet.png")
        whole = ["--filter", place / "resnet18.safetensors", "--tensor", "conv1.weight"]
        cnnfilter("learned", *whole, photo, "--maps", tmp_path / "same.png")
        assert (tmp_path / "same.png").read_bytes() == (tmp_path / "sheet.png").read_bytes()
        assert min(size(tmp_path / "sheet.png")) >= 500
        done = cnnfilter("learned", "--filter", bank, photo, "--maps", f"{tmp_path}/maps/", "--format", "npy",
                         "--depth", "f32")  # fmt: skip
        assert done.stderr == b""
        maps = sorted((tmp_path / "maps").iterdir())
        assert len(maps) == 64
        pixels = np.pad(np.asarray(Image.open(photo), np.float64), ((3, 3), (3, 3), (0, 0)), "reflect")
        wanted = np.einsum("uvd,duv->", pixels[40:47, 60:67], weights[5])
        assert np.load(maps[5])[40, 60] == pytest.approx(wanted, rel=1e-4)

    @pytest.mark.parametrize(("network", "photo"), [("lenet5", "astronaut"), ("resnet18", "camera")])
    def test_a_bank_for_the_other_kind_of_picture(self, place, tmp_path, network, photo):
        """It makes of a picture what the network's own bank makes of the picture as the network sees it."""
        image = np.asarray(Image.open(place / f"{photo}.png"))[:64:2, :80:2] / 255
        kind = "colour" if image.ndim == 3 else "grey"
        other = image @ (0.299, 0.587, 0.114) if image.ndim == 3 else np.stack([image] * 3, axis=2)
        for name, pixels, option in (("asked", image, ["--for", kind]), ("own", other, [])):
            np.save(tmp_path / f"{name}.npy", pixels.astype(np.float32))
            bank = tmp_path / f"{name}.safetensors"
            net("kernels", "--weights", place / f"{network}.safetensors", *option, "-o", bank)
            image_and_maps = tmp_path / f"{name}.npy", "--maps", f"{tmp_path}/{name}/", "--format", "npy"
            cnnfilter("learned", "--filter", bank, *image_and_maps)
        assert len(list((tmp_path / "asked").iterdir())) == (6 if network == "lenet5" else 64)
        for path in (tmp_path / "asked").iterdir():
            found, wanted = np.load(path), np.load(tmp_path / "own" / path.name.replace("asked", "own"))
            np.testing.assert_allclose(found, wanted, atol=1e-5)

    def test_a_layer_deep_inside_keeps_its_axes(self, place, tmp_path):
        bank = tmp_path / "bank.safetensors"
        net("kernels", "--weights", place / "resnet18.safetensors", "--layer", "layer1.0.conv1", "-o", bank)
        assert read_tensors(bank)[0]["layers.0.weight"].shape == (64, 64, 3, 3)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (
                ["features", "IMAGE", "--layer", "c9", "-o", "x.png"],
                "no layer 'c9' in lenet5: choose one of c1, s2, ",
            ),
            (["kernels", "--layer", "c9", "-o", "x.png"], "no layer 'c9' in lenet5: choose one of c1, s2, "),
            (["kernels", "--layer", "f6", "-o", "x.png"], "layer 'f6' has no kernels: it is no convolution"),
            (["kernels", "--layer", "c5", "-o", "x.png"], "1920 tiles on one sheet: at most 1024"),
            (["features", "IMAGE", "-o", "x.gif"], "x.gif: write .png, .svg, .pdf, .npy"),
            (
                ["kernels", "--layer", "c3", "--for", "grey", "-o", "x.npy"],
                "kernels of 6 inputs see no picture",
            ),
            (["kernels", "-o", "x.jpg"], "x.jpg: write .png, .svg, .pdf, .npy, .safetensors"),
        ],
    )
    def test_what_cannot_be_looked_at(self, place, tmp_path, arguments, words):
        given = [place / "camera.png" if word == "IMAGE" else word for word in arguments]
        done = net(*given, "--weights", place / "lenet5.safetensors", status=2, cwd=tmp_path)
        assert words in complaint(done)
        assert list(tmp_path.iterdir()) == []

    def test_images_that_no_network_reads(self, place, tmp_path):
        np.save(tmp_path / "long.npy", np.zeros((2, 4000), np.uint8))
        np.save(tmp_path / "nan.npy", np.full((32, 32), np.nan, np.float32))
        for name, words in (("long", "2 x 4000 pixels are too elongated"), ("nan", "holds NaN or infinite")):
            image = tmp_path / f"{name}.npy"
            done = net("predict", "--weights", place / "lenet5.safetensors", image, status=1)
            assert complaint(done).startswith(f"{image}: {words}")


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
