"""`python -m benchmarks.scale` on small images, and its model of many workers."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("zarr")

from benchmarks.scale import FORMS
from benchmarks.simulation import Job, simulated

ROOT = Path(__file__).parents[1]


def test_every_form_is_measured_and_has_the_same_pixels(tmp_path):
    command = [
        sys.executable,
        "-m",
        "benchmarks.scale",
        "--side",
        "300",
        "--array",
        "64",
        "--folder",
        tmp_path,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for form in FORMS:
        (line,) = (line for line in lines if line.startswith(f"{form} "))
        wall, cpu, peak = map(float, line.split()[1:4])
        assert wall > 0 and cpu > 0 and 10 < peak < 512
    assert done.stdout.count("below the memory: yes") == len(FORMS)
    assert "pixels are not those" not in done.stdout


def test_tasks_of_workers_that_fail_are_done_again():
    job = Job("", 20_000, 30.0, 0, 0)
    never, often = simulated(job, 100, 1e15), simulated(job, 100, 20_000.0)
    assert never.wall == pytest.approx(6000, abs=1) and never[1:] == (20_000, 0)
    assert 10 < often.failures < 60
    # A worker is away for 600 s, and half a task is lost: at most as many tasks as failures.
    assert 20_000 < often.executions <= 20_000 + often.failures
    assert 6000 + 600 * often.failures / 100 * 0.5 < often.wall < 6000 + 2 * 630 * often.failures / 100 + 60
