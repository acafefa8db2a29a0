"""Many files on the workers of a scheduler: the files of the ordinary run, whatever ends on the way."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from commandline import COMMAND, cnnfilter, hear_signals, lines, names, picture

from cnnfilter.batch import cluster as batchcluster
from cnnfilter.batch.cluster import _sendable
from cnnfilter.batch.jobs import Job
from cnnfilter.cluster import workers
from cnnfilter.errors import ParameterError

pytest.importorskip("distributed")

FILTER = ("gaussian", "--sigma", 1)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def photos(count, name="photo"):
    os.mkdir("photos")
    for number in range(count):
        picture(f"photos/{name}{number}.png", (20, 30, 3), number)


def on(scheduler, *arguments, **how):
    return cnnfilter(*FILTER, "-r", "photos", "-o", "out/", "--scheduler", scheduler, *arguments, **how)


def require_the_files_of_the_ordinary_run(tmp_path, *but):
    shutil.rmtree("alone", ignore_errors=True)
    cnnfilter(*FILTER, "-r", "photos", "-o", "alone/", status=None)
    assert names(tmp_path / "out") == [name for name in names(tmp_path / "alone") if name not in but]
    for name in names(tmp_path / "out"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_files_are_those_of_the_ordinary_run_and_bad_ones_are_told_of(scheduler, tmp_path):
    photos(20)
    with open("photos/bad.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
    done = on(scheduler, "--json", status=3)
    said = lines(done)
    assert said[0] == "photos/bad.png: truncated PNG file (its end is missing); get a whole copy"
    assert said[1].startswith("20 of 21 files done, 1 failed")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {entry["input"] for entry in found if entry["status"] == "done"} == {
        f"photos/photo{number}.png" for number in range(20)
    }
    require_the_files_of_the_ordinary_run(tmp_path)
    said = lines(on(scheduler, status=1))
    assert "and 19 more outputs exist already" in said[-2]
    os.unlink("out/photo3.png")
    (tmp_path / "out" / "photo4.png").write_bytes(b"mine")
    said = lines(on(scheduler, "--skip-existing", status=3))
    assert said[-1].startswith("1 of 21 files done, 19 skipped, 1 failed")
    assert (tmp_path / "out" / "photo4.png").read_bytes() == b"mine"


def test_the_input_that_ends_its_workers_is_named_and_the_others_are_done(scheduler, tmp_path):
    photos(24)
    shutil.copy("photos/photo1.png", "photos/poison.png")
    said = lines(on(scheduler, status=3))
    assert said[0].startswith("photos/poison.png: 2 workers ended while they did this")
    assert said[1].startswith("24 of 25 files done, 1 failed")
    require_the_files_of_the_ordinary_run(tmp_path, "poison.png")


def test_what_a_worker_left_halfway_is_done_again_and_removed(scheduler, tmp_path):
    photos(7)
    shutil.copy("photos/photo1.png", "photos/halfway.png")
    on(scheduler)
    os.unlink("out/halfway.png.once")
    require_the_files_of_the_ordinary_run(tmp_path)


def test_a_worker_that_is_killed_in_the_middle_makes_no_difference(scheduler, tmp_path):
    photos(20, "slow")
    with workers(scheduler) as found:
        pids = found.client.run(os.getpid)
    words = [*map(str, FILTER), "-r", "photos", "-o", "out/", "--scheduler", scheduler]
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, preexec_fn=hear_signals)
    wait_for_files(process, 4)
    os.kill(next(iter(pids.values())), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0 and said.startswith(b"cnnfilter: 20 of 20 files done")
    require_the_files_of_the_ordinary_run(tmp_path)


def wait_for_files(process, count):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.02)
        if os.path.isdir("out") and len(os.listdir("out")) >= count:
            return
    raise AssertionError(process.communicate(process.kill()))


def test_an_interrupted_run_stops_its_workers_and_goes_on(scheduler, tmp_path):
    photos(30, "slow")
    words = [*map(str, FILTER), "-r", "photos", "-o", "out/", "--scheduler", scheduler]
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, preexec_fn=hear_signals)
    wait_for_files(process, 3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and b"--skip-existing does the rest" in said
    made = names(tmp_path / "out")
    time.sleep(0.5)
    assert names(tmp_path / "out") == made and len(made) < 30
    on(scheduler, "--skip-existing")
    require_the_files_of_the_ordinary_run(tmp_path)


def test_what_would_be_done_twice_and_streams_are_refused(scheduler):
    photos(1)
    for arguments, words in (
        (["photos/photo0.png", "--in-place"], "--scheduler and --in-place contradict each other"),
        (["photos/photo0.png", "-o", "-"], "workers have no standard streams"),
        (["photos/photo0.png", "-o", "a.png", "--jobs", 2], "--scheduler and --jobs contradict each other"),
    ):
        (said,) = lines(cnnfilter("mean", *arguments, "--scheduler", scheduler, status=2))
        assert words in said


def test_the_bound_of_memory_is_that_of_each_worker(scheduler):
    np.save("a.npy", np.zeros((600, 800), np.uint8))
    (said,) = lines(
        cnnfilter("mean", "a.npy", "-o", "b.npy", "--scheduler", scheduler, "--memory", "1MiB", status=1)
    )
    assert said.startswith("a.npy: ") and "memory" in said


def test_a_task_that_nobody_waits_for_stops_at_the_next_file(monkeypatch, tmp_path):
    answers = iter([True, True, False])
    monkeypatch.setattr(batchcluster, "still_wanted", lambda: lambda: next(answers))
    seen = []
    task = tuple(Job(f"{number}.png", "out.png") for number in range(5))
    done = batchcluster._done(None, lambda process, job: seen.append(job), "mark-", str(tmp_path), task)
    assert done == [None, None]
    assert seen == [Job(f"{tmp_path}/{number}.png", f"{tmp_path}/out.png", "replace") for number in (0, 1)]


def test_exceptions_arrive():
    class Strange(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} {two}")

    assert str(_sendable(Strange(1, 2))) == "Strange: 1 2"
    error = ParameterError("as it is")
    assert _sendable(error) is error
    assert isinstance(_sendable(FileNotFoundError(2, "no such file", "a.png")), FileNotFoundError)
