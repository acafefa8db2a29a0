"""The cache commands and the doctor."""

import json
import os
import pty
import re
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from commandline import COMMAND, cnnfilter, complaint, picture, pixels

import cnnfilter as cnnfilter_package
from cnnfilter.cli.cache import OF_MATRICES, USUAL
from cnnfilter.cli.doctor import ENVIRONMENT
from cnnfilter.core.jit.objectcache import VARIABLE


@pytest.fixture
def home(tmp_path):
    """A place for the cache, and the environment that names it."""
    return {VARIABLE: str(tmp_path / "cache")}


def on_a_terminal(*arguments, env):
    """Return what a command says on standard error where that is a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stderr=slave, stdin=subprocess.DEVNULL, env={**os.environ, **env}
    ) as process:
        os.close(slave)
        said = b""
        with suppress(OSError):  # the other side is closed
            while chunk := os.read(master, 1000):
                said += chunk
    os.close(master)
    assert process.returncode == 0
    return said.decode()


class TestCompiling:
    """That it is told to who waits for it."""

    @pytest.fixture
    def at_once(self, home, tmp_path):
        """The environment in which it is told without delay; loops of the cache are none of it."""
        (tmp_path / "at-once").mkdir()
        (tmp_path / "at-once" / "sitecustomize.py").write_text(
            "import cnnfilter.cli.group as group\ngroup.DELAY = 0\n"
        )
        path = os.pathsep.join(filter(None, [str(tmp_path / "at-once"), os.environ.get("PYTHONPATH")]))
        return {**home, "PYTHONPATH": path}

    def test_once_on_a_terminal_and_not_again(self, at_once, tmp_path):
        picture(tmp_path / "a.png")
        command = ["mean", tmp_path / "a.png", "-o", tmp_path / "b.png"]
        said = on_a_terminal(*command, env=at_once)
        assert said.splitlines() == [
            "cnnfilter: note: compiling what this needs, which happens once; "
            "'cnnfilter cache warm' does it beforehand"
        ]
        assert on_a_terminal(*command, env=at_once) == ""

    def test_not_where_it_is_not_wanted(self, at_once, tmp_path):
        picture(tmp_path / "a.png")
        assert on_a_terminal("mean", "-q", tmp_path / "a.png", "-o", tmp_path / "b.png", env=at_once) == ""
        sharpen = ["unsharp", tmp_path / "a.png", "--range", "clip", "-o", tmp_path / "b.png"]
        assert cnnfilter(*sharpen, env=at_once).stderr == b""


class TestCache:
    def test_a_run_fills_it_and_clear_empties_it(self, home, tmp_path):
        picture(tmp_path / "a.png")
        assert json.loads(cnnfilter("cache", "info", "--json", env=home).stdout)["entries"] == 0
        cnnfilter("mean", tmp_path / "a.png", "-o", tmp_path / "b.png", env=home)
        facts = json.loads(cnnfilter("cache", "info", "--json", env=home).stdout)
        assert facts["entries"] > 0
        assert Path(facts["folder"]).is_relative_to(home[VARIABLE])
        assert f"{facts['entries']} compiled loops removed" in complaint(
            cnnfilter("cache", "clear", env=home)
        )
        assert json.loads(cnnfilter("cache", "info", "--json", env=home).stdout)["entries"] == 0
        assert "entries" in cnnfilter("cache", "info", env=home).stdout.decode()

    def test_a_warm_run_gives_the_same_pixels_without_numba(self, home, tmp_path):
        picture(tmp_path / "a.png")
        command = ["gaussian", "--sigma", "2", str(tmp_path / "a.png"), "-o"]
        cnnfilter(*command, tmp_path / "cold.png", env=home)
        process = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "cnnfilter", *command, tmp_path / "warm.png"],
            capture_output=True,
            text=True,
            env={**os.environ, **home},
        )
        modules = {line.split("|")[-1].strip().split(".")[0] for line in process.stderr.splitlines()}
        assert "numpy" in modules and "numba" not in modules
        assert (pixels(tmp_path / "cold.png") == pixels(tmp_path / "warm.png")).all()

    def test_without_a_place_for_it_the_results_are_the_same_and_v_tells(self, home, tmp_path):
        picture(tmp_path / "a.png")
        cnnfilter("mean", tmp_path / "a.png", "-o", tmp_path / "kept.png", env=home)
        (tmp_path / "file").touch()
        nowhere = {VARIABLE: str(tmp_path / "file")}
        process = cnnfilter("mean", tmp_path / "a.png", "-o", tmp_path / "lost.png", "-v", env=nowhere)
        assert b"cnnfilter: note: filters were compiled for this run alone: " in process.stderr
        assert (
            b"note" not in cnnfilter("mean", tmp_path / "a.png", "-o", tmp_path / "c.png", env=nowhere).stderr
        )
        assert (pixels(tmp_path / "kept.png") == pixels(tmp_path / "lost.png")).all()

    def test_clearing_what_is_not_ours_alone_is_refused(self, home, tmp_path):
        picture(tmp_path / "a.png")
        cnnfilter("mean", tmp_path / "a.png", "-o", tmp_path / "b.png", env=home)
        folder = Path(json.loads(cnnfilter("cache", "info", "--json", env=home).stdout)["folder"])
        folder.chmod(0o777)
        assert str(folder) in complaint(cnnfilter("cache", "clear", env=home, status=1))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o777

    @pytest.mark.slow
    def test_warm_compiles_what_the_usual_filters_need(self, home, tmp_path):
        cnnfilter("cache", "warm", "--quiet", env=home)
        filled = json.loads(cnnfilter("cache", "info", "--json", env=home).stdout)["entries"]
        picture(tmp_path / "a.png", (50, 60, 3))
        picture(tmp_path / "b.png", (50, 60))
        for filter in (["gaussian", "--sigma", "2"], ["mean"], ["second-derivative"], ["pool", "max"]):
            cnnfilter(
                *filter, tmp_path / "a.png", tmp_path / "b.png", "-o", f"{tmp_path}/{filter[0]}/", env=home
            )
        kernel = ["--kernel", "1 2; 3 4"]
        cnnfilter("convolve", *kernel, "-q", tmp_path / "a.png", "-o", tmp_path / "c.png", env=home)
        for filter in (
            ["convolve", *kernel],
            ["mean"],
            ["pool", "mean"],
            ["correlate", *kernel, "--stride", 2],
        ):
            cnnfilter(*filter, "--matrix", "1 2 3 4; 5 6 7 8; 9 8 7 6", env=home)
        cnnfilter("learn", tmp_path / "a.png", tmp_path / "mean/a.png", "-o", tmp_path / "a.json", env=home)
        assert json.loads(cnnfilter("cache", "info", "--json", env=home).stdout)["entries"] == filled

    def test_warm_that_keeps_nothing_says_so(self):
        process = cnnfilter("cache", "warm", "--quiet", status=1, env={"CNNFILTER_JIT": "plain"})
        assert "cannot be kept here" in complaint(process) and "CNNFILTER_JIT=plain" in complaint(process)


def test_what_is_warmed_for_matrices_is_usual():
    assert set(OF_MATRICES) <= set(USUAL)


class TestDoctor:
    def test_all_is_well(self):
        said = cnnfilter("doctor").stdout.decode()
        assert "cnnfilter " in said and "numpy" in said and "filters" in said and "WRONG" not in said

    def test_what_is_wrong_is_told(self, tmp_path):
        """A filter that does nothing, and a package that is missing."""
        (tmp_path / "sitecustomize.py").write_text(
            "from importlib import import_module\n"
            "import_module('cnnfilter.filters.gaussian').gaussian = lambda image, *_: image * 0\n"
        )
        process = cnnfilter("doctor", "--json", status=1, env={"PYTHONPATH": str(tmp_path)})
        report = json.loads(process.stdout)
        assert report["checks"]["filters"].startswith("WRONG: a white image")
        assert report["checks"]["images"].startswith("ok")
        assert report["ok"] is False

    def test_a_command_that_cannot_be_imported_is_told(self, tmp_path):
        (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['cnnfilter.cli.learn'] = None\n")
        python_path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        process = cnnfilter("doctor", "--json", status=1, env={"PYTHONPATH": python_path})
        words = json.loads(process.stdout)["checks"]["commands"]
        assert words.startswith("WRONG: cnnfilter learn cannot be called: ")

    @pytest.mark.parametrize(
        ("variables", "words"),
        [
            ({"CNNFILTER_JIT": "plain"}, "CNNFILTER_JIT=plain"),
            ({VARIABLE: "/dev/null"}, "/dev/null"),
        ],
    )
    def test_loops_that_are_not_kept_are_noted(self, variables, words):
        """It costs time and harms no result, so the exit status stays 0."""
        report = json.loads(cnnfilter("doctor", "--json", env=variables).stdout)
        assert report["checks"]["cache"].startswith("note: ") and words in report["checks"]["cache"]
        assert report.items() >= variables.items() and report["ok"] is True

    def test_a_compiler_that_cannot_give_its_code_is_noted(self, home, tmp_path):
        (tmp_path / "sitecustomize.py").write_text(
            "from cnnfilter.core.jit import compiling\n\n"
            "def refused(*_):\n    raise AttributeError('no such inner part')\n\n"
            "compiling.object_code = refused\n"
        )
        report = cnnfilter("doctor", env={"PYTHONPATH": str(tmp_path), **home}).stdout.decode()
        assert re.search(r"^cache +note: .*AttributeError: no such inner part", report, re.MULTILINE)

    def test_help_names_every_variable_that_is_heeded(self):
        source = "".join(file.read_text() for file in Path(cnnfilter_package.__file__).parent.rglob("*.py"))
        heeded = set(re.findall(r"\bCNNFILTER_[A-Z]+(?:_[A-Z]+)*\b", source))
        assert heeded < set(ENVIRONMENT)
        said = cnnfilter("doctor", "--help").stdout.decode()
        assert all(name in said for name in ENVIRONMENT)

    def test_threads_of_the_environment_are_those_of_a_command(self, tmp_path):
        picture(tmp_path / "a.png")
        command = ["mean", tmp_path / "a.png", "-o", tmp_path / "b.png"]
        process = cnnfilter(*command, status=2, env={"CNNFILTER_THREADS": "many"})
        assert "CNNFILTER_THREADS='many'" in complaint(process)
        cnnfilter(*command, env={"CNNFILTER_THREADS": "1"})


def test_the_installed_command_is_the_module(tmp_path):
    command = Path(sys.executable).parent / "cnnfilter"
    if not command.exists() and shutil.which("cnnfilter") is None:
        pytest.skip("not installed")
    process = subprocess.run([command, "--version"], capture_output=True, check=True)
    assert process.stdout == cnnfilter("--version").stdout
