"""The short form of `benchmarks.mutations`: changed inputs for every reader."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_mutated_inputs_are_read_or_refused():
    command = [sys.executable, "-m", "benchmarks.mutations", "2000", "--seconds", "30"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout
