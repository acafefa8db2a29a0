"""Filters from file to file: what the files hold, what is refused, and how much memory it takes."""

import os
import subprocess
import sys

import numpy as np
import pytest

import cnnfilter as cf
from cnnfilter.errors import DtypeError, ImageFileError, ParameterError
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.plan import plan_chain
from cnnfilter.lazy import memory, stores
from cnnfilter.lazy import run as lazy_run
from cnnfilter.registry import filter_named

GAUSSIAN = filter_named("gaussian")(sigma=1.5)
CHAIN = (GAUSSIAN, filter_named("pool")(kind="max", size=2))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Let images of tests have many blocks."""
    monkeypatch.setattr(memory, "LARGEST", 60_000)


def image(shape, dtype, seed=0):
    limits = (0, 255) if dtype == "uint8" else (-3000, 3000) if dtype != "uint16" else (0, 65535)
    return np.random.default_rng(seed).uniform(*limits, shape).astype(dtype)


def whole(steps, array, **how):
    return run_chain(plan_chain(steps, array.shape, array.dtype, **how), array).array


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", ">f4", ">u2"])
@pytest.mark.parametrize("shape", [(150, 91), (40, 700), (77, 60, 3)])
def test_npy_has_the_bytes_of_the_whole(tmp_path, shape, dtype):
    array = image(shape, np.dtype(dtype).newbyteorder("=").name)
    np.save(tmp_path / "in.npy", array.astype(dtype))
    done = lazy_run(CHAIN, tmp_path / "in.npy", str(tmp_path / "out.npy"))
    expected = whole(CHAIN, array)
    np.save(tmp_path / "expected.npy", expected)
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    assert (done.shape, done.dtype) == (expected.shape, expected.dtype)
    assert done.block != expected.shape[:2]


def test_a_version_of_npy_with_a_long_header(tmp_path):
    array = image((30, 20), "uint8")
    with open(tmp_path / "in.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=(2, 0))
    lazy_run(CHAIN, tmp_path / "in.npy", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), whole(CHAIN, array))


@pytest.mark.parametrize(
    ("suffix", "shape", "dtype"),
    [
        ("pgm", (150, 91), "uint8"),
        ("ppm", (77, 60, 3), "uint8"),
        ("ppm", (77, 60, 3), "uint16"),
        ("pam", (90, 61), "uint16"),
    ],
)
def test_netpbm_has_the_bytes_that_are_written_of_the_whole(tmp_path, suffix, shape, dtype):
    array = image(shape, dtype)
    before, after, expected = (tmp_path / f"{name}.{suffix}" for name in ("in", "out", "expected"))
    cf.write(cf.Picture([array], "rgb" if len(shape) == 3 else "grey"), before)
    lazy_run(CHAIN, before, after)
    result = whole(CHAIN, array)
    cf.write(cf.Picture([result], "rgb" if len(shape) == 3 else "grey"), expected)
    assert after.read_bytes() == expected.read_bytes()


def test_another_white_is_scaled_as_reading_does(tmp_path):
    samples = np.random.default_rng(1).integers(0, 101, (80, 70)).astype(np.uint8)
    (tmp_path / "in.pgm").write_bytes(b"P5\n# by hand\n70 80\n100\n" + samples.tobytes())
    lazy_run(GAUSSIAN, tmp_path / "in.pgm", tmp_path / "out.npy")
    frame = cf.read(tmp_path / "in.pgm").frames[0]
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), whole([GAUSSIAN], frame))


def test_ranges_depths_and_linear_light(tmp_path):
    array = image((120, 90), "uint8")
    np.save(tmp_path / "in.npy", array)
    edges = [filter_named("second-derivative")(axis="both")]
    for how in ({"value_range": "stretch"}, {"depth": "f32"}, {"linear": True, "depth": "16"}):
        done = lazy_run(edges, tmp_path / "in.npy", tmp_path / "out.npy", **how)
        plan = plan_chain(edges, array.shape, array.dtype, **how)
        expected = run_chain(plan, array)
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected.array)
        assert done.clipped == expected.clipped


def npy_header(**changes):
    told = {"descr": "|u1", "fortran_order": False, "shape": (20, 30)} | changes
    return b"\x93NUMPY\x01\x00v\x00" + repr(told).encode().ljust(117) + b"\n"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.npy", npy_header() + bytes(599), "truncated"),
        ("a.npy", npy_header(descr="<i4") + bytes(2400), "array of int32"),
        ("a.npy", npy_header(descr="|O") + bytes(4800), "array of object"),
        ("a.npy", npy_header(shape=(600,)) + bytes(600), "shape \\(600,\\)"),
        ("a.npy", npy_header(shape=(0, 5)), "shape \\(0, 5\\)"),
        ("a.npy", npy_header(shape=(-2, -3)) + bytes(6), "shape"),
        ("a.npy", npy_header(fortran_order=True) + bytes(600), "Fortran"),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{", "npy"),
        ("a.pgm", b"P5 30 20 255 " + bytes(599), "truncated"),
        ("a.pgm", b"P5 30 20 255 " + bytes(600) + b"P5 3 2 255 ", "11 bytes follow"),
        ("a.pgm", b"P2 3 1 255 1 2 3", "raw"),
        ("a.pam", b"P7\nWIDTH 3\nHEIGHT 1\nDEPTH 5\nMAXVAL 255\nENDHDR\n" + bytes(15), "5 channels"),
        ("a.gif", b"GIF89a" + bytes(60), "GIF is not read in parts"),
        ("a.xyz", b"nothing", "no known form"),
    ],
)
def test_what_cannot_be_read_is_named_and_leaves_nothing(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageFileError, match=f"{name}: .*{words}"):
        lazy_run(GAUSSIAN, tmp_path / name, tmp_path / "out.npy")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [
        ("out.jpg", "uint8", "out.jpg: JPEG is not written in parts"),
        ("out.pgm", "float32", "out.pgm: PGM does not hold 1 channel"),
        ("out", "uint8", "out: no suffix"),
        ("in.npy", "uint8", "in.npy is the input"),
    ],
)
def test_what_cannot_be_written_is_refused_before_work_begins(tmp_path, name, dtype, words):
    np.save(tmp_path / "in.npy", image((20, 30), dtype))
    before = (tmp_path / "in.npy").read_bytes()
    with pytest.raises((ImageFileError, ParameterError), match=words):
        lazy_run(GAUSSIAN, tmp_path / "in.npy", tmp_path / name)
    assert os.listdir(tmp_path) == ["in.npy"]
    assert (tmp_path / "in.npy").read_bytes() == before


def test_a_disk_without_room_is_told_before_work_begins(tmp_path, monkeypatch):
    np.save(tmp_path / "in.npy", image((20, 30), "uint8"))
    monkeypatch.setattr(stores, "free_in", lambda folder: 9)
    with pytest.raises(ImageFileError, match="728 bytes, but 9 are free"):
        lazy_run(GAUSSIAN, tmp_path / "in.npy", tmp_path / "out.npy")


def test_a_file_that_is_cut_off_meanwhile_leaves_the_old_result(tmp_path):
    class Shrinking(type(GAUSSIAN)):
        def run(self, image, *arguments, **named):
            os.truncate(tmp_path / "in.npy", 1000)
            return super().run(image, *arguments, **named)

    np.save(tmp_path / "in.npy", image((400, 300), "uint8"))
    (tmp_path / "out.npy").write_bytes(b"old")
    with pytest.raises(ImageFileError, match=r"in\.npy: was cut off"):
        lazy_run(Shrinking(sigma=1.0), tmp_path / "in.npy", tmp_path / "out.npy")
    assert (tmp_path / "out.npy").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["in.npy", "out.npy"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([], "in.npy", "out.npy"), ParameterError, "no steps"),
        ((["mean"], "in.npy", "out.npy"), DtypeError, "a step is 'mean'"),
        ((GAUSSIAN, 5, "out.npy"), DtypeError, "5 is no path and has no shape"),
        ((GAUSSIAN, "in.npy", []), DtypeError, "is no path and has no chunks"),
    ],
)
def test_arguments_that_are_none_are_named(tmp_path, monkeypatch, arguments, error, words):
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", image((20, 30), "uint8"))
    with pytest.raises(error, match=words):
        lazy_run(*arguments)


@pytest.mark.parametrize("text", ["", "much", "-5", 0, -1, 1.5, None, True, "1 PiB", "1e9"])
def test_a_size_that_is_none_is_named(text):
    with pytest.raises(ParameterError, match="is no size"):
        memory.bytes_of(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("3", 3), ("3B", 3), ("2K", 2048), ("2kB", 2000), ("2KiB", 2048), ("1.5 g", 3 << 29), ("1TB", 10**12)],
)
def test_sizes_are_read_as_everywhere(text, size):
    assert memory.bytes_of(text) == size


def test_too_little_memory_is_refused_with_what_would_do(tmp_path):
    np.save(tmp_path / "in.npy", image((200, 300), "float64"))
    with pytest.raises(ParameterError, match=r"memory of 1000000 bytes is too little.* give [0-9]+ or more"):
        lazy_run(GAUSSIAN, tmp_path / "in.npy", tmp_path / "out.npy", memory="1MB")
    assert os.listdir(tmp_path) == ["in.npy"]


def test_blocks_are_whole_rows_where_enough_fit_and_squarer_elsewhere(monkeypatch):
    plan = plan_chain([filter_named("gaussian")(sigma=10)], (40_000, 40_000), "uint8")
    monkeypatch.setattr(memory, "LARGEST", 128 << 20)
    rows, columns = memory.block_of(plan, (1, 1), 1 << 40)
    assert columns == 40_000 and rows > 200
    monkeypatch.setattr(memory, "LARGEST", 8 << 20)
    rows, columns = memory.block_of(plan, (64, 64), 1 << 40)
    assert columns < 5000 and rows >= 2 * 81
    assert rows % 64 == columns % 64 == 0


def test_blocks_are_made_of_what_is_computed_together(monkeypatch):
    kernel = cf.Kernel(np.random.default_rng(2).random((21, 19)))
    plan = plan_chain([filter_named("correlate")(kernel=kernel)], (9000, 9000), "float32")
    assert plan.grids[0][0] > 1
    monkeypatch.setattr(memory, "LARGEST", 128 << 20)
    rows, columns = memory.block_of(plan, (1, 1), 1 << 40)
    assert rows % plan.grids[0][0] == 0 and columns == 9000
    assert memory.block_of(plan, (64, 9000), 1 << 40)[0] % 64 == 0


def test_strided_blocks_are_as_high_as_what_they_read():
    steps = [filter_named("gaussian")(sigma=2), filter_named("pool")(kind="mean", size=8)]
    plan = plan_chain(steps, (8000, 8000), "uint8")
    rows, columns = memory.block_of(plan, (1, 1), 1 << 40)
    assert columns < 1000 and 6 <= rows < 60


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not say")
def test_the_process_keeps_within_its_memory(tmp_path):
    """Of the process as the system sees it, with the interpreter, code and all."""
    array = np.lib.format.open_memmap(tmp_path / "in.npy", "w+", np.uint8, (12_000, 12_000))
    for first in range(0, 12_000, 1000):
        array[first : first + 1000] = image((1000, 12_000), "uint8", first)
    del array
    script = (
        "from cnnfilter.lazy import run\n"
        "from cnnfilter.registry import filter_named\n"
        "steps = [filter_named('gaussian')(sigma=2), filter_named('second-derivative')()]\n"
        "run(steps, 'in.npy', 'out.npy', memory='220MiB')\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(status['VmHWM'].split()[0])\n"  # that of getrusage may be of the process before this one
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 60 << 20 < int(done.stdout) << 10 < 220 << 20
