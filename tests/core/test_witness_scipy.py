"""SciPy's own tests of its filters, run with ours (see `scipy_shim`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]


def test_scipy_s_own_tests_pass_with_our_filters():
    pytest.importorskip("scipy.ndimage.tests", reason="SciPy without its tests")
    command = [sys.executable, "-m", "pytest", "--pyargs", "scipy.ndimage.tests.test_filters", "-q", "-rf"]
    command += ["-p", "scipy_shim", "-p", "no:cacheprovider", "-c", os.devnull]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}
    process = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=HERE)
    assert process.returncode == 0, process.stdout[-5000:]
    # 13 types of images times 13 types of results make most of them.
    assert int(re.search(r"(\d+) passed", process.stdout).group(1)) > 800
