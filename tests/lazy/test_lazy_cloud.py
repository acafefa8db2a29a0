"""Zarr stores that are not on a disk: the same bytes, and refusals of one line."""

import os

import numpy as np
import pytest
from commandline import cnnfilter, lines

import cnnfilter as cf
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.lazy import memory, storeresuming, zarrstores
from cnnfilter.registry import filter_named

zarr = pytest.importorskip("zarr")
fsspec = pytest.importorskip("fsspec")

GAUSSIAN = filter_named("gaussian")(sigma=1.5)
IMAGE = np.random.default_rng(0).integers(0, 256, (150, 170), np.uint8)


@pytest.fixture(autouse=True)
def stores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "LARGEST", 20_000)
    files = fsspec.filesystem("memory")
    files.store.clear()
    made = zarr.create_array("memory://a/in.zarr", shape=IMAGE.shape, chunks=(20, 170), dtype="u1")
    made[:] = IMAGE
    yield lambda: sorted({name.split("/")[2] for name in files.store})
    files.store.clear()


def read(url):
    return np.asarray(zarr.open_array(url, mode="r"))


@pytest.mark.parametrize("resume", [None, False, True])
def test_stores_have_the_bytes_of_the_array(stores, resume):
    before = zarr.open_array("memory://a/in.zarr", mode="a")
    before.attrs["of"] = "me"
    cf.lazy.run(GAUSSIAN, "memory://a/in.zarr", "memory://a/out.zarr", resume=resume)
    np.testing.assert_array_equal(read("memory://a/out.zarr"), cf.gaussian(IMAGE, 1.5))
    after = zarr.open_array("memory://a/out.zarr", mode="r")
    assert (after.chunks, dict(after.attrs)) == (before.chunks, {"of": "me"})
    cf.lazy.run(filter_named("mean")(size=3), "memory://a/in.zarr", "memory://a/out.zarr", overwrite=True)
    np.testing.assert_array_equal(read("memory://a/out.zarr"), cf.mean(IMAGE, 3))
    assert stores() == ["in.zarr", "out.zarr"]


def test_files_become_stores_and_stores_files(stores):
    cf.lazy.run(GAUSSIAN, "memory://a/in.zarr", "soft.npy")
    cf.lazy.run(GAUSSIAN, "soft.npy", "memory://a/softer.zarr")
    np.testing.assert_array_equal(read("memory://a/softer.zarr"), cf.gaussian(np.load("soft.npy"), 1.5))


def test_a_run_that_was_ended_goes_on(stores, monkeypatch):
    monkeypatch.setattr(storeresuming, "EVERY", 0)
    write, written = zarrstores.Plane.write, []

    def ending(self, rows, *rest):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(rows)
        write(self, rows, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(zarrstores.Plane, "write", ending)
        cf.lazy.run(GAUSSIAN, "memory://a/in.zarr", "memory://a/out.zarr", resume=False)
    assert stores() == ["in.zarr", "out.zarr.part", "out.zarr.part.json"]
    done = cf.lazy.run(GAUSSIAN, "memory://a/in.zarr", "memory://a/out.zarr", resume=True)
    assert done.notes[0] == f"goes on with memory://a/out.zarr.part from row {written[-1][1]}"
    np.testing.assert_array_equal(read("memory://a/out.zarr"), cf.gaussian(IMAGE, 1.5))
    assert stores() == ["in.zarr", "out.zarr"]


def test_a_changed_input_is_seen(stores, monkeypatch):
    first = storeresuming.place_of("memory://a/in.zarr").stamp("memory://a/in.zarr")
    assert storeresuming.place_of("memory://a/in.zarr").stamp("memory://a/in.zarr") == first
    zarr.open_array("memory://a/in.zarr", mode="r+")[0, 0] ^= 1
    assert storeresuming.place_of("memory://a/in.zarr").stamp("memory://a/in.zarr") != first


@pytest.mark.parametrize(
    ("source", "target", "kind", "words"),
    [
        (
            "memory://a/no.zarr",
            "memory://a/out.zarr",
            ImageFileError,
            "memory://a/no.zarr: there is no such store",
        ),
        (
            "memory://a/in.zarr",
            "memory://a/in.zarr/",
            ParameterError,
            "is the input, which is read until the end",
        ),
        ("memory://a/in.png", "memory://a/out.zarr", ImageFileError, "only Zarr stores are read from there"),
        ("memory://a/in.zarr", "memory://a/out.png", ImageFileError, "only Zarr stores are written there"),
        ("foo://a/in.zarr", "memory://a/out.zarr", ImageFileError, "Protocol not known: foo"),
    ],
)
def test_refusals(stores, source, target, kind, words):
    with pytest.raises(kind, match=words) as caught:
        cf.lazy.run(GAUSSIAN, source, target)
    assert "\n" not in str(caught.value)
    assert stores() == ["in.zarr"]


def test_places_that_forbid_are_named(stores, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    def forbidding(*arguments, **how):
        raise PermissionError("Access Denied")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "pipe_file", forbidding)
        with pytest.raises(ImageFileError, match=r"memory://a/out.zarr: cannot be written \(Access Denied\)"):
            cf.lazy.run(GAUSSIAN, "memory://a/in.zarr", "memory://a/out.zarr")
    monkeypatch.setattr(MemoryFileSystem, "cat_file", forbidding)
    with pytest.raises(ImageFileError, match=r"memory://a/in.zarr: cannot be read .*Access Denied"):
        cf.lazy.run(GAUSSIAN, "memory://a/in.zarr", "memory://a/out.zarr")


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(ImageFileError, match=r"pip install 'cnnfilter\[cloud\]'"):
        cf.lazy.run(GAUSSIAN, "memory://a/in.zarr", "memory://a/out.zarr")


@pytest.fixture
def bucket(monkeypatch):
    pytest.importorskip("s3fs", reason="reaches S3")
    server = pytest.importorskip("moto.server", reason="is S3 on this machine").ThreadedMotoServer(port=0)
    boto3 = pytest.importorskip("boto3")
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="slides")
    yield lambda: sorted(
        {each["Key"].split("/")[0] for each in client.list_objects_v2(Bucket="slides")["Contents"]}
    )
    client.close()
    server.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the server
def test_a_server_of_s3(bucket):
    """As a user does it: nothing of S3 is loaded here."""
    np.save("a.npy", IMAGE)
    cnnfilter("mean", "--size", 1, "a.npy", "-o", "s3://slides/a.zarr")
    cnnfilter("gaussian", "--sigma", 1.5, "s3://slides/a.zarr", "-o", "s3://slides/b.zarr")
    cnnfilter("mean", "--size", 1, "s3://slides/b.zarr", "-o", "b.npy")
    np.testing.assert_array_equal(np.load("b.npy"), cf.gaussian(IMAGE, 1.5))
    assert bucket() == ["a.zarr", "b.zarr"]
    for source, target, words in (
        ("a", "b", "s3://slides/b.zarr exists already; --overwrite replaces it"),
        ("no", "c", "s3://slides/no.zarr: there is no such store"),
    ):
        (said,) = lines(
            cnnfilter("mean", f"s3://slides/{source}.zarr", "-o", f"s3://slides/{target}.zarr", status=1)
        )
        assert words in said
    (said,) = lines(cnnfilter("mean", "s3://slides/a.zarr", "-o", "s3://no-bucket/a.zarr", status=1))
    assert "s3://no-bucket/a.zarr: cannot be written" in said
    assert sorted(os.listdir()) == ["a.npy", "b.npy"]
