"""Zarr stores at the command line."""

import json

import numpy as np
import pytest
from commandline import cnnfilter, lines, picture

import cnnfilter as cf

zarr = pytest.importorskip("zarr")

pytestmark = pytest.mark.usefixtures("folder")
IMAGE = np.random.default_rng(0).integers(0, 256, (90, 130), np.uint8)


@pytest.fixture(autouse=True)
def store(folder):
    zarr.create_array("a.zarr", shape=IMAGE.shape, chunks=(32, 48), dtype="u1")[:] = IMAGE


def read(name):
    return np.asarray(zarr.open_array(name, mode="r"))


def test_store_to_store(folder):
    entry = json.loads(cnnfilter("gaussian", "--sigma", 2, "a.zarr/", "-o", "b.zarr/", "--json").stdout)
    np.testing.assert_array_equal(read("b.zarr"), cf.gaussian(IMAGE, 2))
    assert (entry["form"], entry["input_shape"], entry["status"]) == ("Zarr", [90, 130], "done")
    assert sorted(path.name for path in folder.glob("*.zarr*")) == ["a.zarr", "b.zarr"]


def test_store_to_file_and_back(folder):
    cnnfilter("mean", "a.zarr", "-o", "b.npy")
    np.testing.assert_array_equal(np.load("b.npy"), cf.mean(IMAGE))
    cnnfilter("pipe", "b.npy", "-o", "c.zarr", "--", "mean")
    np.testing.assert_array_equal(read("c.zarr"), cf.mean(cf.mean(IMAGE)))


def test_explain_says_blocks_of_all_planes_and_memory(folder):
    zarr.create_array(
        "planes.zarr", shape=(3, 90, 130), chunks=(1, 32, 48), dtype="u1", dimension_names=("t", "y", "x")
    )
    asked = ["gaussian", "--explain", "--memory", "200MiB"]
    found = json.loads(cnnfilter(*asked, "--json", "planes.zarr", "-o", "b.zarr").stdout)
    assert found["shape"] == [90, 130] and found["blocks"]["count"] == 3
    assert found["blocks"]["pixels_read"] == 3 * 90 * 130
    assert 64 << 20 < found["memory"] <= 200 << 20
    for pair in (["a.zarr", "-o", "b.zarr"], ["a.zarr", "-o", "b.tif"], ["photos/a.npy", "-o", "b.zarr"]):
        np.save("photos/a.npy", IMAGE)
        text = cnnfilter(*asked, *pair).stdout.decode()
        assert "in 1 blocks of 90x130, a pixel read 1 times" in text
    assert not (folder / "b.zarr").exists()
    (said,) = lines(cnnfilter(*asked[:2], "a.zarr", "-o", "b.zarr", "--memory", "1MiB", status=1))
    assert "memory of 1048576 bytes" in said


def test_a_store_that_exists_is_replaced_on_request_alone(folder):
    cnnfilter("mean", "a.zarr", "-o", "b.zarr")
    before = read("b.zarr")
    said = lines(cnnfilter("gaussian", "a.zarr", "-o", "b.zarr", status=1))
    assert said == ["a.zarr: b.zarr exists already; --overwrite replaces it"]
    np.testing.assert_array_equal(read("b.zarr"), before)
    cnnfilter("gaussian", "a.zarr", "-o", "b.zarr", "--overwrite")
    np.testing.assert_array_equal(read("b.zarr"), cf.gaussian(IMAGE))


@pytest.mark.parametrize("target", ["a.zarr", "a.zarr/b.npy", "./a.zarr/b.zarr"])
def test_the_input_is_no_place_for_the_output(folder, target):
    (said,) = lines(cnnfilter("mean", "a.zarr", "-o", target, status=1))
    assert "lies in the input" in said
    np.testing.assert_array_equal(read("a.zarr"), IMAGE)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["a.zarr"], 2, "INPUT -o NAME.zarr"),
        (["a.zarr", "photos/a.png", "-o", "b.zarr"], 2, "filtered alone"),
        (["a.zarr", "-o", "b.zarr", "--quality", 90], 2, "--quality is not for Zarr stores"),
        (["no.zarr", "-o", "b.zarr"], 1, "no such file or folder"),
        (["a.zarr", "-o", "b.zarr", "--memory", "1MiB"], 1, "or more"),
        (["photos/c.bmp", "-o", "b.zarr"], 1, "photos/c.bmp: BMP is not read in parts"),
    ],
)
def test_refusals(folder, arguments, status, words):
    picture(folder / "photos" / "c.bmp")
    (said,) = lines(cnnfilter("mean", *arguments, status=status))
    assert words in said and "unexpected" not in said
    assert not (folder / "b.zarr").exists()
