"""CONTRIBUTING: the filter that it adds is added to a copy of the package, step by step, and run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commandline import picture, pixels

import cnnfilter

pytestmark = pytest.mark.slow

PACKAGE = Path(cnnfilter.__file__).parent
PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
FILTER = re.search(r"^```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
IN_REGISTRY = re.search(r'`("binomial": \(.*?\),)`', PAGE)[1]
AT_HOME = re.search(r'`("binomial": "filters\.binomial",)`', PAGE)[1]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Run Python with a package that has the filter."""
    folder = tmp_path_factory.mktemp("contributor")
    shutil.copytree(PACKAGE, folder / "cnnfilter", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "cnnfilter/filters/binomial.py").write_text(FILTER)
    for name, before, line in (
        ("registry.py", '"mean": (', IN_REGISTRY),
        ("__init__.py", '"mean": "', AT_HOME),
        ("__init__.py", '"mean",', '"binomial",'),
    ):
        file = folder / "cnnfilter" / name
        text = file.read_text()
        assert text.count(before) == 1
        file.write_text(text.replace(before, f"{line}\n{before}"))

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    picture(folder / "a.png")
    return run, folder


def test_the_function_is_public_and_its_example_runs(python):
    run, _ = python
    run("-c", "import doctest, cnnfilter.filters.binomial as b; assert not doctest.testmod(b).failed")
    assert run("-c", "import cnnfilter as cf; print(cf.binomial([[7.0] * 5] * 5)[0, 0])") == "7.0\n"


def test_the_command_its_plan_and_pipe_work(python):
    run, folder = python
    assert "separable" in run("-m", "cnnfilter", "binomial", "--size", "5", "a.png", "--explain")
    run("-m", "cnnfilter", "binomial", "a.png", "-o", "b.png")
    run("-m", "cnnfilter", "pipe", "a.png", "-o", "c.png", "--", "binomial", "--size", "3x5", "then", "mean")
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    wanted = cnnfilter.correlate(pixels(folder / "a.png"), kernel, boundary="reflect", dtype="uint8")
    np.testing.assert_array_equal(pixels(folder / "b.png"), wanted)
    assert "binomial" in run("-m", "cnnfilter", "--help")


def test_what_holds_for_every_filter_holds_for_it(python):
    """The tests of the class beside its function, and of its help, in a folder without our settings."""
    run, folder = python
    for name in ("commandline.py", "cli/test_cli_registry.py", "cli/test_cli_help.py"):
        shutil.copy(Path(__file__).with_name("commandline.py").parent / name, folder)
    told = run("-m", "pytest", "-q", "-p", "no:cacheprovider", ".", "-k", "binomial and not test_run")
    assert int(re.search(r"(\d+) passed", told)[1]) > 5


def test_a_signal_is_filtered_along_its_line(python):
    run, _ = python
    assert run("-c", "import cnnfilter as cf; print(cf.binomial([0.0, 0, 4, 0, 0]))") == "[0. 1. 2. 1. 0.]\n"
