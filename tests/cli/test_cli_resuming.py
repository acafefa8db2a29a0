"""Runs in blocks that were ended before their result was whole, and how they go on."""

import fcntl
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import tifffile
from blockruns import LITTLE, command, run, told, write_images
from commandline import complaint, hear_signals, names

import cnnfilter as cf


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Images of every form that is read in parts."""
    monkeypatch.chdir(tmp_path)
    write_images()
    return tmp_path


def ended(*arguments, number=signal.SIGKILL, rows=1):
    """End a run once some rows of its result are on the disk; return what it said."""
    process = subprocess.Popen(
        command(*arguments, always=True),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        preexec_fn=hear_signals,
    )
    while process.poll() is None:
        try:
            with open(next(name for name in os.listdir() if name.endswith(".part.json"))) as file:
                if json.load(file)["rows"] >= rows:
                    break
        except (FileNotFoundError, StopIteration):
            time.sleep(0.001)
    process.send_signal(number)
    return process.communicate()[1].decode()


SLOW = ["gaussian", "--sigma", "3", "a.npy", "-o", "b.npy", "--memory", "90000"]


def test_a_killed_run_goes_on_and_gives_the_same_bytes(folder):
    run(*SLOW[:-3], "whole.npy")
    ended(*SLOW, rows=30)
    assert names(folder)[-6:] != ["b.npy"] and not (folder / "b.npy").exists()
    with open("b.npy.part.json") as file:
        rows = json.load(file)["rows"]
    assert 30 <= rows < 500
    said = run(*SLOW, "--resume", "-v").stderr.decode()
    assert f"goes on with {folder}/b.npy.part from row {rows}" in said
    assert (folder / "b.npy").read_bytes() == (folder / "whole.npy").read_bytes()
    assert not [name for name in names(folder) if "part" in name]


def test_a_png_goes_on_with_the_same_bytes(folder):
    pixels = np.random.default_rng(3).integers(0, 256, (1000, 300), np.uint8)
    np.save("a.npy", pixels)
    asked = ["gaussian", "--sigma", "2", "a.npy", "-o", "b.png", "--memory", 2 * LITTLE]
    run(*asked[:-3], "whole.png", *asked[-2:])
    ended(*asked, rows=64)
    said = run(*asked, "--resume").stderr.decode()
    assert "goes on with" in said
    assert (folder / "b.png").read_bytes() == (folder / "whole.png").read_bytes()
    np.testing.assert_array_equal(cf.read("b.png").frames[0], cf.gaussian(pixels, 2))


@pytest.mark.parametrize("more", [[], ["--compression", "6"]])
def test_a_packed_file_goes_on_where_it_was_ended(folder, more):
    pixels = np.random.default_rng(3).integers(0, 256, (500, 300, 3), np.uint8)
    how = {"compression": "zlib", "predictor": True, "photometric": "rgb", "metadata": None}
    tifffile.imwrite("a.tif", pixels, tile=(16, 32), **how)
    asked = ["gaussian", "--sigma", "2", "a.tif", *more, "-o", "b.tif", "--memory"]
    run(*asked[:-2], "whole.tif")
    ended(*asked, 200_000, rows=64)
    with open("b.tif.part.json") as file:
        rows = json.load(file)["rows"]
    assert 64 <= rows < 500
    said = run(*asked, 300_000, "--resume").stderr.decode()
    assert f"from row {rows}" in said
    assert (folder / "b.tif").stat().st_size == (folder / "whole.tif").stat().st_size
    np.testing.assert_array_equal(tifffile.imread("b.tif"), tifffile.imread("whole.tif"))
    assert "another command" in ended_and_resumed(asked)


def ended_and_resumed(asked):
    ended(*asked, 200_000)
    return run(*asked[:4], "--compression", "1", *asked[-3:], 200_000, "--resume").stderr.decode()


def test_what_was_limited_is_counted_once_by_two_runs(folder):
    asked = ["convolve", "--kernel", "sharpen", "--boundary", "zero", "a.npy", "-o", "b.npy"]
    whole = told(run(*asked[:-1], "whole.npy", "--json"))
    ended(*asked, "--memory", "30000", rows=30)
    assert told(run(*asked, "--memory", "30000", "--resume", "--json", "-q")) == whole
    assert whole["clipped"] > 1000


def test_the_extremes_of_a_stretch_are_found_once(folder):
    asked = ["second-derivative", "--range", "stretch", "a.npy", "-o", "b.npy"]
    run(*asked[:-1], "whole.npy")
    ended(*asked, "--memory", "30000", rows=30)
    with open("b.npy.part.json") as file:
        assert json.load(file)["ends"]
    run(*asked, "--memory", "30000", "--resume")
    assert (folder / "b.npy").read_bytes() == (folder / "whole.npy").read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("input", "the input has changed since"),
        ("command", "is of another command: begins anew"),
        ("kernel", "is of another command: begins anew"),
        ("record", "to go on with: begins anew"),
        ("part", "to go on with: begins anew"),
    ],
)
def test_another_input_or_command_begins_anew_and_says_so(folder, change, words):
    (folder / "k.csv").write_text("1,2,1\n2,9,2\n1,2,1\n")
    asked = ["correlate", "--kernel", "k.csv", "a.npy", "-o", "b.npy", "--memory", "30000"]
    ended(*asked)
    if change == "input":
        np.save("a.npy", np.load("a.npy")[::-1])
    elif change == "command":
        asked += ["--boundary", "edge"]
    elif change == "kernel":
        (folder / "k.csv").write_text("1,2,1\n2,8,2\n1,2,1\n")
    else:
        os.remove({"record": "b.npy.part.json", "part": "b.npy.part"}[change])
        (folder / "b.npy.part").unlink(missing_ok=True)
    assert words in run(*asked, "--resume").stderr.decode()
    run(*asked[:5], "whole.npy", *asked[8:])
    assert (folder / "b.npy").read_bytes() == (folder / "whole.npy").read_bytes()
    assert not [name for name in names(folder) if "part" in name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(folder, number):
    said = ended(*SLOW, number=number)
    assert f"{folder}/b.npy.part is not whole; --resume goes on with it" in said
    run(*SLOW, "--resume")
    assert not [name for name in names(folder) if "part" in name]


def test_a_full_disk_leaves_what_is_done(folder):
    """A limit on the size of files fails as a full disk does."""
    import resource

    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))}
    said = complaint(run(*SLOW, status=1, always=True, **limit))
    assert said.startswith("a.npy: cannot write b.npy: ") and "--resume goes on from row " in said
    run(*SLOW[:-3], "whole.npy")
    run(*SLOW, "--resume")
    assert (folder / "b.npy").read_bytes() == (folder / "whole.npy").read_bytes()


def test_somebody_elses_unfinished_file_is_left_alone(folder):
    (folder / "b.npy.part").write_bytes(b"a download")
    said = complaint(run(*SLOW, status=1))
    assert "b.npy.part is there, and is no unfinished result" in said
    assert (folder / "b.npy.part").read_bytes() == b"a download"


def test_two_runs_do_not_write_one_file(folder):
    ended(*SLOW)
    before = (folder / "b.npy.part").read_bytes()
    with open("b.npy.part", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "is being written by another run" in complaint(run(*SLOW, status=1))
    assert (folder / "b.npy.part").read_bytes() == before


def test_streams_cannot_be_gone_on_with(folder):
    asked = ["mean", "--memory", LITTLE, "--resume"]
    assert "--resume needs files" in complaint(run(*asked, "a.npy", status=2))
    assert "standard input" in complaint(run(*asked, "-", "-o", "b.npy", input=b"", status=2))
