"""Regions of one image on the workers of a scheduler: the bytes of the ordinary run, whatever ends."""

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
from commandline import COMMAND, cnnfilter, hear_signals, lines

import cnnfilter as cf
from cnnfilter.cluster import ClusterError, Workers, workers
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.lazy import cluster, storeresuming
from cnnfilter.registry import filter_named

zarr = pytest.importorskip("zarr")
pytest.importorskip("distributed")

EDGES = (filter_named("gaussian")(sigma=1.5), filter_named("gradient")())
IMAGE = np.random.default_rng(0).integers(0, 256, (150, 170), np.uint8)


@pytest.fixture(autouse=True)
def small_regions(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "SIDE", 64)
    monkeypatch.chdir(tmp_path)


def stored(path, array, **how):
    made = zarr.create_array(path, shape=array.shape, dtype=array.dtype, **how)
    made[:] = array
    return made


def read(path):
    return np.load(path) if path.endswith(".npy") else np.asarray(zarr.open_array(path, mode="r"))


def both(scheduler, source, target, steps=EDGES, **how):
    """Filter with the scheduler, and without; compare, and return what the former tells."""
    done = cf.lazy.run(steps, source, target, scheduler=scheduler, **how)
    alone = cf.lazy.run(steps, source, f"alone-{target}", **how)
    assert read(target).tobytes() == read(f"alone-{target}").tobytes()
    assert done.clipped == alone.clipped
    return done


@pytest.mark.parametrize("how", [{}, {"value_range": "stretch"}, {"value_range": "clip"}], ids=str)
def test_stores_and_files_have_the_bytes_of_the_ordinary_run(scheduler, how):
    stored("in.zarr", IMAGE, chunks=(20, 48))
    np.save("in.npy", IMAGE)
    assert both(scheduler, "in.zarr", "a.zarr", **how).block == (60, 48)
    assert both(scheduler, "in.zarr", "b.npy", **how).block == (64**2 // 170, 170)
    both(scheduler, "in.npy", "c.npy", **how)
    assert sorted(name for name in os.listdir() if "alone" not in name) == [
        "a.zarr", "b.npy", "c.npy", "in.npy", "in.zarr",
    ]  # fmt: skip


def test_planes_and_the_levels_of_an_ome_zarr(scheduler):
    planes = np.stack([IMAGE, IMAGE[::-1]])
    group = zarr.open_group("in.zarr", mode="w")
    how = {"chunks": (1, 16, 16), "shards": (1, 32, 48), "dimension_names": ("z", "y", "x")}
    for name, step in (("0", 1), ("1", 2), ("2", 4)):
        level = planes[:, ::step, ::step]
        group.create_array(name, shape=level.shape, dtype="u1", **how)[:] = level
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    levels = [
        {"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": [1, 2**n, 2**n]}]}
        for n in range(3)
    ]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    cf.lazy.run(EDGES, "in.zarr", "a.zarr", scheduler=scheduler)
    cf.lazy.run(EDGES, "in.zarr", "b.zarr")
    assert subprocess.run(["diff", "-r", "a.zarr", "b.zarr"]).returncode == 0


def count_regions(monkeypatch):
    outcome, counted = Workers._outcome, []

    def counting(self, future):
        counted.append(outcome(self, future))
        return counted[-1]

    monkeypatch.setattr(Workers, "_outcome", counting)
    return counted


@pytest.mark.parametrize("value_range", ["clip", "stretch"])
def test_a_run_that_was_ended_goes_on(scheduler, monkeypatch, value_range):
    stored("in.zarr", IMAGE, chunks=(20, 48))
    keep = storeresuming.UnfinishedStore.keep

    def ending(self, **marks):
        keep(self, **marks)
        if len(self.marks.regions) == 3:
            raise KeyboardInterrupt

    how = {"scheduler": scheduler, "value_range": value_range}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(storeresuming.UnfinishedStore, "keep", ending)
        cf.lazy.run(EDGES, "in.zarr", "out.zarr", resume=False, **how)
    assert sorted(os.listdir()) == ["in.zarr", "out.zarr.part", "out.zarr.part.json"]
    counted = count_regions(monkeypatch)
    done = cf.lazy.run(EDGES, "in.zarr", "out.zarr", resume=True, **how)
    assert "of which 3 regions are whole" in done.notes[0]
    assert len(counted) == 3 * 4 - 3
    cf.lazy.run(EDGES, "in.zarr", "alone.zarr", value_range=value_range)
    assert read("out.zarr").tobytes() == read("alone.zarr").tobytes()
    assert sorted(os.listdir()) == ["alone.zarr", "in.zarr", "out.zarr"]


def test_nothing_turns_up_once_a_run_has_ended(scheduler, monkeypatch):
    """Though a worker was about to write a block."""
    stored("in.zarr", IMAGE, chunks=(10, 170))
    monkeypatch.setattr(cluster, "SIDE", 10)

    def ending(*of):
        while not os.path.exists("slow.zarr.part/c"):
            time.sleep(0.01)
        time.sleep(0.1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Workers, "_next", ending)
        cf.lazy.run(EDGES, "in.zarr", "slow.zarr", scheduler=scheduler)
    assert os.listdir() == ["in.zarr"]
    time.sleep(0.7)
    assert os.listdir() == ["in.zarr"]


WIDE = np.random.default_rng(1).integers(0, 256, (20, 20 * 8192), np.uint8)


def wide():
    stored("in.zarr", WIDE, chunks=(20, 8192))
    cf.lazy.run(filter_named("gaussian")(sigma=2), "in.zarr", "alone.zarr")


def begun(scheduler, *arguments):
    """Start a command whose workers are slow, and wait until some of its regions are whole."""
    words = ["gaussian", "--sigma", "2", "in.zarr", "-o", "slow.zarr", "--scheduler", scheduler, *arguments]
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, preexec_fn=hear_signals)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.02)
        if os.path.exists("slow.zarr.part.json"):
            with open("slow.zarr.part.json") as file:
                if len(json.load(file)["regions"]) >= 3:
                    return process
    raise AssertionError(process.communicate(process.kill()))


def test_a_worker_that_is_killed_in_the_middle_makes_no_difference(scheduler):
    wide()
    with workers(scheduler) as found:
        pids = found.client.run(os.getpid)
    process = begun(scheduler)
    os.kill(next(iter(pids.values())), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")
    assert read("slow.zarr").tobytes() == read("alone.zarr").tobytes()
    assert sorted(os.listdir()) == ["alone.zarr", "in.zarr", "slow.zarr"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=str)
def test_a_client_that_is_ended_goes_on_with_resume(scheduler, number):
    wide()
    process = begun(scheduler)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said == b"cnnfilter: note: slow.zarr.part is not whole; --resume goes on with it\n"
    command = ["gaussian", "--sigma", 2, "in.zarr", "-o", "slow.zarr", "--scheduler", scheduler, "--resume"]
    (said,) = lines(cnnfilter(*command))
    assert "goes on with slow.zarr.part, of which" in said
    assert read("slow.zarr").tobytes() == read("alone.zarr").tobytes()


def test_a_region_that_ends_its_workers_is_named_when_the_others_are_done(scheduler):
    stored("in.zarr", IMAGE[:120], chunks=(60, 48))
    with pytest.raises(ClusterError) as caught:
        cf.lazy.run(EDGES, "in.zarr", "poison.zarr", scheduler=scheduler, resume=False)
    region = "rows 0 to 59, columns 0 to 47"
    assert f"1 region(s) could not be done: {region}: 2 workers ended while they did" in str(caught.value)
    with open("poison.zarr.part.json") as file:
        assert len(json.load(file)["regions"]) == 7


def test_what_workers_cannot_do_is_refused_with_the_reason(scheduler):
    stored("in.zarr", IMAGE, chunks=(20, 48))
    cf.write(cf.Picture([IMAGE]), "in.png")
    for source, target, kind, words in (
        ("in.png", "out.zarr", ImageFileError, "in.png: is read from top to bottom alone"),
        ("in.zarr", "out.png", ImageFileError, "the result is packed by one process"),
        (zarr.open_array("in.zarr"), "out.zarr", ParameterError, "workers need the path"),
    ):
        with pytest.raises(kind, match=words):
            cf.lazy.run(EDGES, source, target, scheduler=scheduler)
    assert sorted(os.listdir()) == ["in.png", "in.zarr"]


def test_what_goes_wrong_on_a_worker_is_said_as_here(scheduler):
    stored("in.zarr", IMAGE, chunks=(20, 48))
    with open("in.zarr/c/1/1", "wb") as file:
        file.write(b"no chunk")
    (said,) = lines(cnnfilter("mean", "in.zarr", "-o", "out.zarr", "--scheduler", scheduler, status=1))
    assert "chunk (1, 1) cannot be read" in said
    with pytest.raises(ParameterError, match="memory of 1048576 bytes is too little"):
        cf.lazy.run(EDGES, "in.zarr", "out.zarr", scheduler=scheduler, memory="1MiB")
