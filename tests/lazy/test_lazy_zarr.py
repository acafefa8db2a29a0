"""Zarr and OME-Zarr: the bytes of the planes in memory, what describes them, and stores that lie."""

import os
from pathlib import Path

import numpy as np
import pytest

import cnnfilter as cf
from cnnfilter.errors import CnnFilterError, ImageFileError, ParameterError
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.plan import plan_chain
from cnnfilter.lazy import memory, storeresuming, stores, zarrstores
from cnnfilter.lazy import run as lazy_run
from cnnfilter.registry import filter_named

zarr = pytest.importorskip("zarr")

GAUSSIAN = filter_named("gaussian")(sigma=1.5)
CHAIN = (GAUSSIAN, filter_named("pool")(kind="max", size=2))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Let images of tests have many blocks."""
    monkeypatch.setattr(memory, "LARGEST", 60_000)


def image(shape, dtype="uint8", seed=0):
    limits = (0, 255) if dtype == "uint8" else (-3000, 3000) if dtype != "uint16" else (0, 65535)
    return np.random.default_rng(seed).uniform(*limits, shape).astype(dtype)


def whole(steps, array, **how):
    return run_chain(plan_chain(steps, array.shape, array.dtype, **how), array).array


def written(path, array, **how):
    stored = zarr.create_array(path, shape=array.shape, dtype=array.dtype, **how)
    stored[:] = array
    return stored


FORMS = {
    "version 2": {"zarr_format": 2, "chunks": (37, 41)},
    "version 2, nested": {
        "zarr_format": 2, "chunks": (37, 41), "chunk_key_encoding": {"name": "v2", "separator": "/"},
    },
    "version 3": {"chunks": (37, 41)},
    "one chunk": {"chunks": (500, 400)},
    "plain": {"chunks": (10, 300), "compressors": None},
    "shards": {"chunks": (16, 16), "shards": (64, 80)},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", ">u2"])
def test_arrays_have_the_bytes_of_the_whole(tmp_path, form, dtype):
    if dtype == ">u2" and FORMS[form].get("zarr_format") != 2:
        dtype = "uint16"
    array = image((260, 190), np.dtype(dtype).newbyteorder("=").name)
    before = written(tmp_path / "in.zarr", array.astype(dtype), attributes={"of": "me"}, **FORMS[form])
    done = lazy_run(CHAIN, tmp_path / "in.zarr", f"{tmp_path / 'out.zarr'}{os.sep}")
    after, expected = zarr.open(tmp_path / "out.zarr", mode="r"), whole(CHAIN, array)
    assert after[:].tobytes() == expected.tobytes()
    assert done.block != expected.shape or form == "one chunk"
    assert dict(after.attrs) == {"of": "me"}
    for name in ("chunks", "shards", "compressors"):
        assert getattr(after, name) == getattr(before, name)
    assert after.metadata.zarr_format == before.metadata.zarr_format
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", "out.zarr"]
    if form == "version 2, nested":
        assert os.path.exists(tmp_path / "out.zarr" / "0" / "0")


def test_channels_other_files_and_arrays_that_are_given(tmp_path):
    array = image((150, 90, 3))
    expected = whole(CHAIN, array)
    np.save(tmp_path / "in.npy", array)
    lazy_run(CHAIN, tmp_path / "in.npy", tmp_path / "a.zarr")
    assert zarr.open(tmp_path / "a.zarr")[:].tobytes() == expected.tobytes()
    store = written(tmp_path / "b.zarr", array, chunks=(50, 50, 1))
    lazy_run(CHAIN, store, tmp_path / "b.npy")
    assert np.load(tmp_path / "b.npy").tobytes() == expected.tobytes()
    target = zarr.create_array({}, shape=expected.shape, dtype="uint8", chunks=(20, 20, 3))
    lazy_run(CHAIN, store, target)
    assert target[:].tobytes() == expected.tobytes()
    with pytest.raises(ParameterError, match=r"shape \(75, 45, 3\) of uint8, but the result \(150, 90, 3\)"):
        lazy_run(GAUSSIAN, store, target)
    grey = written(tmp_path / "g.zarr", array[..., 0], chunks=(50, 50))
    lazy_run(filter_named("gradient")(show="colour"), grey, tmp_path / "c.zarr")
    assert zarr.open(tmp_path / "c.zarr").shape == (150, 90, 3)


@pytest.mark.parametrize(
    ("axes", "names", "order"),
    [
        ((-2, -1), None, (0, 1, 2, 3)),
        (None, ("t", "c", "y", "x"), (0, 1, 2, 3)),
        (("row", "column"), ("row", "t", "column", "c"), (1, 3, 0, 2)),
        ((3, 0), None, (1, 2, 3, 0)),
    ],
)
def test_planes_are_filtered_one_by_one(tmp_path, axes, names, order):
    array = image((2, 3, 60, 50), "uint16")
    stored = array.transpose(np.argsort(order))
    written(tmp_path / "in.zarr", stored, chunks=(20, 3, 20, 20), dimension_names=names)
    lazy_run(CHAIN, tmp_path / "in.zarr", tmp_path / "out.zarr", axes=axes, value_range="stretch")
    after = zarr.open(tmp_path / "out.zarr")
    for place in np.ndindex(2, 3):
        expected = whole(CHAIN, array[place], value_range="stretch")
        np.testing.assert_array_equal(after[:].transpose(order)[place], expected)
    assert after.metadata.dimension_names == names
    assert sorted(after.chunks) == [1, 1, 20, 20]
    with pytest.raises(ParameterError, match=r"6 plane\(s\), but the output takes 1; write .zarr"):
        lazy_run(CHAIN, tmp_path / "in.zarr", tmp_path / "out.npy", axes=axes)
    assert not os.path.exists(tmp_path / "out.npy")


def ome(path, version, shape=(2, 3, 101, 90), **how):
    """Write an image of three levels, smaller along z, y and x, as other programs do."""
    array = image(shape, "uint16")
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    datasets = []
    for number in range(3):
        name, size = f"level{number}", 2**number
        how["dimension_names"] = None if version == "0.4" else "tzyx"
        values = array[:, ::size, ::size, ::size]
        group.create_array(name, shape=values.shape, dtype="uint16", chunks=(1, 2, 32, 32), **how)[:] = values
        scale = [1.0, 2.0 * size, 0.5 * size, 0.5 * size]
        datasets.append({"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    axes = [{"name": "t", "type": "time"}] + [{"name": name, "type": "space"} for name in "zyx"]
    image_ = {"name": "cells", "axes": axes, "datasets": datasets, "type": "mean"}
    more = {"omero": {"channels": []}}
    if version == "0.4":
        group.attrs.update({"multiscales": [image_ | {"version": "0.4"}], "mine": 1, **more})
    else:
        group.attrs.update({"ome": {"version": "0.5", "multiscales": [image_], **more}, "mine": 1})
    return array, group


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_of_ome_zarr_keeps_its_metadata_and_gets_levels_anew(tmp_path, version):
    array, before = ome(tmp_path / "in.zarr", version, attributes={"level": "own"})
    lazy_run(GAUSSIAN, tmp_path / "in.zarr", tmp_path / "out.zarr")
    after = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert dict(after.attrs) == dict(before.attrs)
    expected = np.stack([[whole((GAUSSIAN,), plane) for plane in stack] for stack in array])
    np.testing.assert_array_equal(after["level0"][:], expected)
    for number in (1, 2):
        level = after[f"level{number}"]
        assert level.shape == before[f"level{number}"].shape
        assert dict(level.attrs) == {"level": "own"}
        sums = np.zeros(level.shape)
        counts = np.zeros(level.shape)
        for place in np.ndindex(expected.shape):
            sums[(place[0], *(index // 2 for index in place[1:]))] += expected[place]
            counts[(place[0], *(index // 2 for index in place[1:]))] += 1
        expected = np.rint(sums / counts).astype(np.uint16)
        np.testing.assert_array_equal(level[:], expected)
    models = pytest.importorskip("ome_zarr_models", reason="holds the metadata against the standard")
    models.open_ome_zarr(zarr.open_group(tmp_path / "out.zarr", mode="r"))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_stride_rescales_the_pixels_of_ome_zarr(tmp_path, version):
    ome(tmp_path / "in.zarr", version)
    lazy_run(CHAIN, tmp_path / "in.zarr", tmp_path / "out.zarr")
    after = zarr.open_group(tmp_path / "out.zarr", mode="r")
    described = after.attrs.get("ome", after.attrs)["multiscales"][0]["datasets"]
    assert [level["coordinateTransformations"] for level in described] == [
        [
            {"type": "scale", "scale": [1.0, 2.0 * size, 1.0 * size, 1.0 * size]},
            {"type": "translation", "translation": [0.0, 0.0, 0.25, 0.25]},
        ]
        for size in (1, 2, 4)
    ]
    assert [after[f"level{number}"].shape[2:] for number in range(3)] == [(50, 45), (25, 22), (13, 11)]
    models = pytest.importorskip("ome_zarr_models", reason="holds the metadata against the standard")
    models.open_ome_zarr(after)


def test_what_is_left_out_is_told(tmp_path):
    _, group = ome(tmp_path / "in.zarr", "0.5")
    group.create_group("labels")
    done = lazy_run(GAUSSIAN, tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert done.notes == ("not copied with the image: labels",)
    written(tmp_path / "plain.zarr", image((30, 20)), chunks=(20, 20), attributes={"of": "me"})
    done = lazy_run(GAUSSIAN, tmp_path / "plain.zarr", tmp_path / "out.tif")
    assert done.notes == ("attributes of the Zarr store are left out; write .zarr",)
    picture = cf.read(tmp_path / "out.tif")
    picture.metadata.dpi = (300.0, 300.0)
    cf.write(picture, tmp_path / "dpi.tif")
    done = lazy_run(GAUSSIAN, tmp_path / "dpi.tif", tmp_path / "dpi.zarr")
    assert done.notes == ("Zarr does not hold resolution: left out",)


def test_mean_levels_are_those_of_mean_pool(tmp_path):
    ome(tmp_path / "in.zarr", "0.5", (1, 1, 64, 64))
    lazy_run(GAUSSIAN, tmp_path / "in.zarr", tmp_path / "out.zarr")
    after = zarr.open_group(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(after["level1"][0, 0], cf.mean_pool(after["level0"][0, 0], 2))


def truncate(path):
    chunks = [
        file for file in path.rglob("*") if file.is_file() and file.name[0] != "." and file.suffix != ".json"
    ]
    largest = max(chunks, key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


@pytest.mark.parametrize("form", ["version 2", "version 3", "plain", "shards"])
def test_a_truncated_chunk_is_told_and_nothing_is_left(tmp_path, form):
    written(tmp_path / "in.zarr", image((260, 190)), **FORMS[form])
    truncate(tmp_path / "in.zarr")
    with pytest.raises(ImageFileError, match=r"in.zarr: chunk \(\d+, \d+\) cannot be read"):
        lazy_run(CHAIN, tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert os.listdir(tmp_path) == ["in.zarr"]


def test_chunks_that_are_not_there_are_the_filling(tmp_path):
    store = zarr.create_array(
        tmp_path / "in.zarr", shape=(90, 80), chunks=(20, 20), dtype="uint8", fill_value=7
    )
    store[20:40, 20:40] = 100
    lazy_run(GAUSSIAN, store, tmp_path / "out.zarr")
    np.testing.assert_array_equal(zarr.open(tmp_path / "out.zarr")[:], cf.gaussian(store[:], 1.5))


def test_a_store_that_exists_is_replaced_on_request_alone(tmp_path):
    written(tmp_path / "in.zarr", image((50, 40)), chunks=(20, 20))
    lazy_run(GAUSSIAN, tmp_path / "in.zarr", tmp_path / "out.zarr")
    with pytest.raises(ImageFileError, match=r"out\.zarr: exists already"):
        lazy_run(CHAIN, tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert zarr.open(tmp_path / "out.zarr").shape == (50, 40)
    (tmp_path / "out.zarr.part").mkdir()
    lazy_run(CHAIN, tmp_path / "in.zarr", tmp_path / "out.zarr", overwrite=True)
    assert zarr.open(tmp_path / "out.zarr").shape == (25, 20)
    with pytest.raises(ParameterError, match="is the input"):
        lazy_run(CHAIN, tmp_path / "in.zarr", tmp_path / "in.zarr", overwrite=True)
    (tmp_path / "new.zarr.part").mkdir()
    with pytest.raises(ImageFileError, match="part is there from a run"):
        lazy_run(CHAIN, tmp_path / "in.zarr", tmp_path / "new.zarr")
    assert (tmp_path / "new.zarr.part").exists()


def store_of(path, kind):
    if kind == "group":
        zarr.open_group(path, mode="w").create_array("depth", shape=(3, 3), dtype="uint8")
    elif kind == "complex":
        zarr.create_array(path, shape=(3, 3), dtype="complex64")
    elif kind == "signal":
        zarr.create_array(path, shape=(3,), dtype="uint8")
    elif kind == "stack":
        zarr.create_array(path, shape=(2, 3, 4, 5), dtype="uint8", dimension_names=("a", "b", "c", "d"))
    elif kind == "metadata":
        zarr.create_array(path, shape=(3, 3), dtype="uint8")
        (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "array"')
    elif kind == "no level":
        zarr.open_group(path, mode="w").attrs["multiscales"] = [{"datasets": [{"path": "0"}]}]
    elif kind == "file":
        path.write_bytes(b"no store")


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        ("group", {}, "a group without an image: .* one of its members: depth"),
        ("complex", {}, "array of complex64; convert it"),
        ("signal", {}, r"array of shape \(3,\); an image has rows and columns"),
        ("stack", {}, r"array of 4 dimensions; say which .* axes=\(-2, -1\)"),
        ("stack", {"axes": (1, 7)}, "axis 7 is out of range; the array has 4 dimensions"),
        ("stack", {"axes": ("b", "z")}, "there is no axis 'z'; the axes are a, b, c, d"),
        ("stack", {"axes": (3, -1)}, "one and the same"),
        ("stack", {"axes": (1, 2, 3)}, "are no pair"),
        ("metadata", {}, "cannot be read as Zarr"),
        ("no level", {}, "level 0 is described, but it is not there"),
        ("file", {}, "cannot be read as Zarr"),
    ],
)
def test_what_holds_no_image_is_refused_by_name(tmp_path, kind, how, words):
    store_of(tmp_path / "in.zarr", kind)
    with pytest.raises(CnnFilterError, match=f"in.zarr: .*{words}"):
        lazy_run(GAUSSIAN, tmp_path / "in.zarr", tmp_path / "out.zarr", **how)
    assert os.listdir(tmp_path) == ["in.zarr"]


def test_a_store_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"in.zarr: there is no such store"):
        lazy_run(GAUSSIAN, tmp_path / "in.zarr", tmp_path / "out.zarr")


def pyramid(path):
    group = zarr.open_group(path, mode="w")
    image = {"axes": [{"name": name, "type": "space"} for name in ("z", "y", "x")], "version": "0.5"}
    scales = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}], [{"type": "scale", "scale": [1.0, 2.0, 2.0]}]
    image["datasets"] = [
        {"path": str(level), "coordinateTransformations": told} for level, told in enumerate(scales)
    ]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    pixels = np.random.default_rng(5).integers(0, 256, (3, 90, 70), np.uint8)
    for level, shape in enumerate([(3, 90, 70), (3, 45, 35)]):
        array = group.create_array(str(level), shape=shape, chunks=(1, 20, 70), dtype="u1")
        array[:] = pixels if level == 0 else pixels[:, ::2, ::2]


def tree(path):
    return {
        str(file.relative_to(path)): file.read_bytes() for file in Path(path).rglob("*") if file.is_file()
    }


@pytest.mark.parametrize("fails", [4, 9])
@pytest.mark.parametrize("form", ["stack", "pyramid", "file"])
def test_an_ended_run_goes_on_and_gives_the_same_store(tmp_path, monkeypatch, form, fails):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "LARGEST", 20_000)
    monkeypatch.setattr(storeresuming, "EVERY", 0)
    source = "in.npy" if form == "file" else "in.zarr"
    pixels = np.random.default_rng(5).integers(0, 256, (3, 90, 70), np.uint8)
    if form == "pyramid":
        pyramid(source)
    elif form == "stack":
        names = ("z", "y", "x")
        written(source, pixels, chunks=(1, 20, 70), dimension_names=names)
    else:
        monkeypatch.setattr(zarrstores, "CHUNK", 20)
        np.save(source, pixels[0])
    steps = [filter_named("correlate")(kernel=cf.Kernel([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]))]
    write, made = zarrstores.Plane.write, []
    monkeypatch.setattr(zarrstores.Plane, "write", lambda *block: (made.append(1), write(*block)))
    wanted = lazy_run(steps, source, "whole.zarr")
    blocks = len(made)
    made.clear()

    def failing(self, *block):
        made.append(1)
        if len(made) == fails:
            raise OSError("no more room")
        write(self, *block)

    monkeypatch.setattr(zarrstores.Plane, "write", failing)
    try:
        lazy_run(steps, source, "out.zarr", resume=False)
    except OSError:
        assert os.path.exists("out.zarr.part.json") and not os.path.exists("out.zarr")
        other = lazy_run(filter_named("mean")(size=3), source, "other.zarr", resume=True)
        assert "there is no other.zarr.part to go on with: begins anew" in other.notes
        made.clear()
        monkeypatch.setattr(zarrstores.Plane, "write", lambda *block: (made.append(1), write(*block)))
        done = lazy_run(steps, source, "out.zarr", resume=True)
        assert any("goes on with out.zarr.part from" in note for note in done.notes)
        assert done.clipped == wanted.clipped > 0
        assert 0 < len(made) <= blocks - fails + 3
    assert tree("out.zarr") == tree("whole.zarr")
    assert sorted(name for name in os.listdir() if "part" in name) == []


def test_another_command_begins_anew_and_a_run_that_did_nothing_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "LARGEST", 20_000)
    monkeypatch.setattr(storeresuming, "EVERY", 0)
    written("in.zarr", np.random.default_rng(5).random((90, 70)), chunks=(20, 70))
    write, made = zarrstores.Plane.write, []

    def failing(self, *block):
        made.append(1)
        if len(made) in (3, 4):
            raise OSError("no more room")
        write(self, *block)

    monkeypatch.setattr(zarrstores.Plane, "write", failing)
    with pytest.raises(OSError, match="no more room"):
        lazy_run(filter_named("mean")(size=3), "in.zarr", "out.zarr", resume=False)
    with pytest.raises(OSError, match="no more room"):
        lazy_run(filter_named("mean")(size=5), "in.zarr", "out.zarr", resume=True)
    assert sorted(os.listdir()) == ["in.zarr"]


def test_a_disk_without_room_is_seen_before_anything_is_written(tmp_path, monkeypatch):
    array = np.zeros((90, 70), np.uint8)
    written(tmp_path / "in.zarr", array, chunks=(20, 70), compressors=None)
    monkeypatch.setattr(stores, "free_in", lambda folder: array.size - 1)
    with pytest.raises(ImageFileError, match=f"the result takes {array.size} bytes"):
        lazy_run(filter_named("mean")(size=3), tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert os.listdir(tmp_path) == ["in.zarr"]
