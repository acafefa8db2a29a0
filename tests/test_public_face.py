"""What a Python program reaches: files, batches, learning, networks; all listed and described."""

import inspect
import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from commandline import cnnfilter

import cnnfilter as cf
from cnnfilter.batch.workers import run
from cnnfilter.errors import DtypeError, ImageFileError, ParameterError
from cnnfilter.registry import filter_named

SAMPLES = Path(__file__).parents[1] / "sample_images"
PICTURES = ["alpha.png", "moving.gif", "ramp16.png", "rocket.jpg"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with `photos`: transparency, frames, 16 bits, a JPEG, a broken file."""
    monkeypatch.chdir(tmp_path)
    Path("photos/deep").mkdir(parents=True)
    for name in PICTURES:
        shutil.copy(SAMPLES / name, "photos")
    shutil.copy(SAMPLES / "impulse.png", "photos/deep")
    Path("photos/broken.png").write_bytes((SAMPLES / "alpha.png").read_bytes()[:200])
    return tmp_path


def python(*arguments):
    """Run a Python of its own and return what it prints."""
    return subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def written(folder):
    """Return the bytes of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*.*")}


class TestPictures:
    @pytest.mark.parametrize("name", PICTURES)
    def test_what_is_written_is_read(self, name, tmp_path):
        picture = cf.read(SAMPLES / name)
        assert isinstance(picture, cf.Picture)
        target = tmp_path / "a.tif"
        cf.write(picture, target)
        again = cf.read(target)
        assert again.form == "TIFF" and again.alpha == picture.alpha and again.model == picture.model
        assert all(map(np.array_equal, again.frames, picture.frames))
        assert len(again.frames) == len(picture.frames)

    def test_bytes_and_file_objects(self):
        content = (SAMPLES / "alpha.png").read_bytes()
        file = io.BytesIO()
        cf.write(cf.read(content), file)
        file.seek(0)
        assert np.array_equal(cf.read(file).frames[0], cf.read(io.BytesIO(content)).frames[0])

    def test_a_failure_leaves_the_old_file_and_nothing_else(self, tmp_path, monkeypatch):
        target = tmp_path / "a.png"
        target.write_bytes(b"old")
        monkeypatch.setattr("cnnfilter.files.png_writing.write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cf.write(cf.Picture([np.zeros((2, 2), np.uint8)]), target)
        assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.png"]

    def test_errors_name_the_path(self, tmp_path):
        picture = cf.Picture([np.zeros((2, 2), np.uint8)])
        with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*missing/a\.png'"):
            cf.write(picture, tmp_path / "missing" / "a.png")
        (tmp_path / "a.png").write_bytes(b"old")
        with pytest.raises(ImageFileError, match=r"a\.png: exists already"):
            cf.write(picture, tmp_path / "a.png", overwrite=False)
        assert (tmp_path / "a.png").read_bytes() == b"old"


class TestBatches:
    @pytest.mark.parametrize(
        ("steps", "given", "options"),
        [
            ("gaussian --sigma 1.5 then pool max", {}, []),
            ("gradient --range abs then mean", {"linear": True, "depth": "8"}, ["--linear", "--depth", "8"]),
            (
                "second-derivative",
                {"value_range": "offset", "form": "tif"},
                ["--range", "offset", "--format", "tif"],
            ),
        ],
    )
    def test_files_are_those_of_the_command(self, folder, capfd, steps, given, options):
        results = cf.filter_files("photos", "ours", steps, jobs=2, **given)
        assert capfd.readouterr() == ("", "")
        cnnfilter("pipe", "-r", "photos", "-o", "theirs/", *options, "--", *steps.split(), status=3)
        assert len(written("ours")) == 5 and written("ours") == written("theirs")
        assert [os.path.relpath(result.input, "photos") for result in results] == [
            "alpha.png",
            "broken.png",
            "moving.gif",
            "ramp16.png",
            "rocket.jpg",
            "deep/impulse.png",
        ]
        assert [result.status for result in results].count("done") == 5
        bad = results[1]
        assert bad.status == "failed" and bad.outcome is None and not os.path.exists(bad.output)
        assert isinstance(bad.error, ImageFileError) and "photos/broken.png" in str(bad.error)

    def test_steps_are_text_or_filters(self, folder):
        gaussian, pool = filter_named("gaussian")(sigma=2.0), filter_named("pool")(kind="max", size=2)
        cf.filter_files("photos/alpha.png", "text.png", "gaussian --sigma 2 then pool max")
        cf.filter_files("photos/alpha.png", "filters.png", (gaussian, pool))
        cf.filter_files("photos/alpha.png", "one.png", gaussian)
        assert Path("text.png").read_bytes() == Path("filters.png").read_bytes()
        assert cf.read("one.png").frames[0].shape == cf.read("photos/alpha.png").frames[0].shape

    def test_outputs_that_are_there(self, folder):
        paths = [Path("photos/alpha.png"), Path("photos/ramp16.png")]
        assert [each.status for each in cf.filter_files(paths[:1], Path("out"), "mean")] == ["done"]
        first = Path("out/alpha.png").read_bytes()
        refused, done = cf.filter_files(paths, "out", "mean --size 9")
        assert (refused.status, done.status) == ("failed", "done") and "exists already" in str(refused.error)
        skipped, _ = cf.filter_files(paths, "out", "mean --size 9", skip_existing=True)
        assert skipped.status == "skipped" and Path("out/alpha.png").read_bytes() == first
        replaced, _ = cf.filter_files(paths, "out", "mean --size 9", overwrite=True)
        assert replaced.status == "done" and Path("out/alpha.png").read_bytes() != first

    def test_large_images_fail_alone(self, folder):
        small, large = cf.filter_files(
            ["photos/deep/impulse.png", "photos/rocket.jpg"], "out", "mean", max_pixels=2000
        )
        assert small.status == "done" and large.status == "failed" and "2000" in str(large.error)

    def test_nothing_named_is_nothing_done(self, folder):
        assert cf.filter_files([], "out", "mean") == []

    @pytest.mark.parametrize(
        ("inputs", "output", "steps", "given", "said"),
        [
            ("photos", "out", "blur", {}, "steps 'blur': no filter 'blur'"),
            ("photos", "out", "", {}, "a filter is missing"),
            ("photos", "out", "mean --size x", {}, "'x' is not a number of pixels"),
            ("photos", "out", "mean --help", {}, "no option '--help'"),
            ("photos", "out", "mean '", {}, "No closing quotation"),
            ("photos", "out", [], {}, "there are no steps"),
            ("photos", "out", "mean", {"depth": "12"}, "depth '12' is unknown; use 8, 16, f32"),
            ("photos", "out", "mean", {"value_range": "wrap"}, "use clip, abs, offset, stretch"),
            ("photos", "out", "mean", {"form": "doc"}, "unknown image form 'doc'"),
            ("photos", "out", "mean", {"jobs": 0}, "jobs 0 is out of range"),
            ("photos", "out", "mean", {"threads": 1.5}, "threads 1.5 is out of range"),
            ("photos", "out", "mean", {"max_pixels": -1}, "max_pixels -1 is out of range"),
            ("photos", "out", "mean", {"overwrite": True, "skip_existing": True}, "contradict each other"),
            ("photos", "out.png", "mean", {}, "6 images need a folder"),
            ("photos", "photos", "mean", {}, "the output is the input"),
            (["photos/alpha.png"] * 2, "out", "mean", {}, "would both be written to"),
            ("-", "out", "mean", {}, "'-' is no path of a file"),
        ],
    )
    def test_refusals_come_before_any_work(self, folder, capfd, inputs, output, steps, given, said):
        before = written(".")
        with pytest.raises(ParameterError) as caught:
            cf.filter_files(inputs, output, steps, **given)
        assert said in str(caught.value) and "\n" not in str(caught.value)
        assert written(".") == before and not os.path.exists("out")
        assert capfd.readouterr() == ("", "")

    def test_a_step_that_is_no_filter(self, folder):
        with pytest.raises(DtypeError, match=r"a step is 'mean'; give filters"):
            cf.filter_files("photos", "out", ["mean"])

    def test_who_stops_listening_stops_the_work(self):
        """So that Ctrl-C in a batch begins no other file."""
        begun, second = [], threading.Event()

        def work(item):
            begun.append(item)
            if item == 1:
                second.wait(10)

        outcomes = run(work, range(1000), 1)
        next(outcomes)
        outcomes.close()
        workers = [thread for thread in threading.enumerate() if "take_turns" in thread.name]
        second.set()
        for thread in workers:
            thread.join(10)
        assert len(begun) <= 2


class TestNames:
    def test_learn_finds_the_kernel(self):
        rng = np.random.default_rng(3)
        before, kernel = rng.random((64, 64)), np.array([[0, 1, 2], [-1, 3, 0], [0.5, 0, 1]])
        learned = cf.learn(before, cf.correlate(before, kernel), size=3)
        assert np.allclose(learned.filter.kernel().array, kernel, atol=1e-6)
        assert cf.learn is cf.learning.learn_kernel

    @pytest.mark.parametrize("module", [cf, cf.learning, cf.nn], ids=lambda module: module.__name__)
    def test_everything_is_listed_and_described(self, module):
        words = module.__doc__.replace(",", " ").replace("`", " ").split()
        assert sorted(module.__all__) == dir(module)
        for name in module.__all__:
            found = getattr(module, name)
            if not name.startswith("__"):
                assert name in words, name
            if callable(found) or inspect.ismodule(found):
                assert inspect.getdoc(found), name
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'nothing'"):
            module.nothing  # noqa: B018

    def test_names_are_the_same_whatever_was_imported_before(self):
        """A module of a name's own name would hide it, were it imported first."""
        for package in ("cnnfilter", "cnnfilter.nn", "cnnfilter.learning"):
            script = (
                f"import pkgutil, importlib, {package} as p\n"
                "for m in pkgutil.iter_modules(p.__path__, p.__name__ + '.'):\n"
                "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
                "for n, home in p._HOMES.items():\n"
                "    assert (type(getattr(p, n)).__name__ == 'module') == home.endswith(':'), n\n"
            )
            python("-W", "ignore", "-c", script)

    def test_parts_are_loaded_at_their_first_use(self):
        script = (
            "import sys, cnnfilter as cf, cnnfilter.nn, cnnfilter.learning; dir(cf.nn); cf.learning.__all__;"
            "print(*sorted(name for name in sys.modules if name.startswith('cnnfilter')))"
        )
        assert python("-c", script).split() == [
            "cnnfilter",
            "cnnfilter._lazy",
            "cnnfilter._version",
            "cnnfilter.learning",
            "cnnfilter.nn",
        ]
