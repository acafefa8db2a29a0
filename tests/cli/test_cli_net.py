"""The commands that describe, run and look into networks, as processes; bad input in one line."""

import json

import numpy as np
import pytest
from commandline import cnnfilter, complaint
from networkfiles import net, prepared_by_pillow, size
from PIL import Image
from skimage import data

from cnnfilter.cli.net.weights import read_image
from cnnfilter.files.weightsfile import read_tensors
from cnnfilter.nn.data import prepare
from cnnfilter.nn.describe import describe
from cnnfilter.nn.functional import softmax
from cnnfilter.nn.models import MODELS, build

pytestmark = pytest.mark.slow


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
