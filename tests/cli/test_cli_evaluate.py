"""``cnnfilter net evaluate``: what a network gets right, of every class."""

import json

import numpy as np
import pytest
from commandline import cnnfilter, complaint
from networkfiles import bars, size
from PIL import Image

from cnnfilter.cli.net.weights import METADATA, read_image
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.nn.data import read_data
from cnnfilter.nn.fit import predict
from cnnfilter.nn.models import build


def evaluate(weights, data, *options, **more):
    return cnnfilter("net", "evaluate", "--weights", weights, "--data", data, *options, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Bars to tell apart, a network that knows them, and one that knows no names."""
    place = tmp_path_factory.mktemp("evaluate")
    bars(place / "bars")
    bars(place / "held", count=6, seed=1)
    weights = place / "bars.safetensors"
    cnnfilter("net", "train", "lenet5-modern", "--data", place / "bars", "-o", weights, "--epochs", 3)
    write_tensors(place / "nameless.safetensors", read_tensors(weights)[0])
    return place


def expected(place, folder):
    """The table by hand, one image after the other."""
    tensors, metadata = read_tensors(place / "bars.safetensors")
    network = build("lenet5-modern", **json.loads(metadata[METADATA])["options"]).load(tensors)
    data = read_data(str(folder), read_image, network.shape, network.preprocessing)
    table = np.zeros((2, 2), int)
    for image, label in zip(data.images, data.labels, strict=True):
        table[label, predict(network, image[None]).argmax()] += 1
    return table


def test_figures_are_those_counted_by_hand(place):
    table = expected(place, place / "held")
    found = json.loads(evaluate(place / "bars.safetensors", place / "held", "--json", "--batch", 5).stdout)
    assert found["confusion"] == table.tolist() and found["images"] == 12 and found["skipped"] == []
    assert (
        found["accuracy"] == pytest.approx(table.trace() / 12, abs=1e-6) and found["right"] == table.trace()
    )
    assert [row["class"] for row in found["classes"]] == ["across", "down"]
    for k, row in enumerate(found["classes"]):
        assert row["images"] == 6 and row["recall"] == pytest.approx(table[k, k] / 6, abs=1e-6)
        said = table[:, k].sum()
        assert row["precision"] == (pytest.approx(table[k, k] / said, abs=1e-6) if said else None)


def test_text_and_picture(place, tmp_path):
    picture = tmp_path / "table.png"
    lines = (
        evaluate(place / "bars.safetensors", place / "held", "--confusion", picture)
        .stdout.decode()
        .splitlines()
    )
    table = expected(place, place / "held")
    assert lines[0] == f"accuracy on 12 images: {table.trace() / 12:.4f} ({table.trace()} right)"
    assert lines[1].split() == ["class", "images", "recall", "precision"] and lines[2].split()[:2] == [
        "across",
        "6",
    ]
    assert lines[-1].split() == ["down", *map(str, table[1])]
    assert min(size(picture)) > 300
    again = evaluate(place / "bars.safetensors", place / "held", "--memory", "0", "-q").stdout.decode()
    assert again.splitlines() == lines


def test_classes_are_matched_by_name_not_by_place(place, tmp_path):
    """A folder of one class alone: its place among the folders is not its place among the classes."""
    (tmp_path / "down").mkdir()
    for k in range(3):
        image = Image.open(place / f"held/down/{k}.png")
        image.save(tmp_path / "down" / f"{k}.png")
    found = json.loads(evaluate(place / "bars.safetensors", tmp_path, "--json").stdout)
    assert [sum(row) for row in found["confusion"]] == [0, 3]
    assert found["classes"][0]["recall"] is None
    (tmp_path / "down").rename(tmp_path / "sideways")
    words = complaint(evaluate(place / "bars.safetensors", tmp_path, status=2))
    assert words == f"{tmp_path}: class 'sideways' is none of the network's 2: across, down"


def test_names_may_be_numbers_or_come_from_a_file(place, tmp_path):
    table = expected(place, place / "held").tolist()
    done = evaluate(place / "nameless.safetensors", place / "held", "--json")
    assert json.loads(done.stdout)["confusion"] == table
    assert b"the weights name no classes: the folders are taken in the order of their names" in done.stderr
    (tmp_path / "names.txt").write_text("down\nacross\n")
    done = evaluate(
        place / "nameless.safetensors", place / "held", "--json", "--labels", tmp_path / "names.txt"
    )
    assert [row["class"] for row in json.loads(done.stdout)["classes"]] == ["down", "across"]
    images = [np.asarray(Image.open(place / f"held/{name}/0.png")) for name in ("across", "down", "down")]
    np.savez(tmp_path / "some.npz", images=np.stack(images), labels=np.array([0, 1, 1]))
    found = json.loads(evaluate(place / "bars.safetensors", tmp_path / "some.npz", "--json").stdout)
    assert [sum(row) for row in found["confusion"]] == [1, 2]


def test_files_that_cannot_be_read_are_told_and_change_the_status(place, tmp_path):
    bars(tmp_path / "held", count=2)
    (tmp_path / "held/down/9.png").write_bytes(b"no image")
    done = evaluate(place / "bars.safetensors", tmp_path / "held", "--json", status=3)
    assert json.loads(done.stdout)["images"] == 4 and len(json.loads(done.stdout)["skipped"]) == 1
    assert b"1 of 5 files skipped" in done.stderr
    words = complaint(evaluate(place / "bars.safetensors", tmp_path / "nowhere", status=1))
    assert words.startswith(f"{tmp_path / 'nowhere'}: ")
    words = complaint(evaluate(place / "bars.safetensors", place / "held", "--confusion", "a.bmp", status=2))
    assert words == "a.bmp: pictures are drawn as .png, .svg, .pdf"


def test_scores_that_are_no_numbers_are_not_counted(place, tmp_path):
    tensors, metadata = read_tensors(place / "bars.safetensors")
    tensors["c1.weight"] = np.full_like(tensors["c1.weight"], 3e38)
    write_tensors(tmp_path / "nan.safetensors", tensors, metadata)
    words = complaint(evaluate(tmp_path / "nan.safetensors", place / "held", status=2))
    assert words == f"{tmp_path / 'nan.safetensors'}: scores are NaN or infinite: the weights are too large"
