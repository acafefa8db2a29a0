"""The kernel commands: make, list, show, convert."""

import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from commandline import cnnfilter, complaint, names, pixels

from cnnfilter import Kernel, templates
from cnnfilter.cli.kernel import SYNTAXES
from cnnfilter.kernels import kernelsyntax, kernelview


def said(*arguments: str, **more) -> str:
    return cnnfilter("kernel", *arguments, **more).stdout.decode()


class TestTemplates:
    def test_the_classic_integer_gaussian(self):
        words = said("gaussian", "--size", "3", "--sigma", "0.8", "--integer").split()
        assert words == "1 2 1 2 4 2 1 2 1 / 16".split()

    def test_rounding(self):
        options = ["gaussian", "--size", "3", "--sigma", "0.8", "--integer", "--rounding"]
        assert said(*options, "floor").split()[-1] == "16"
        assert said(*options, "round").split()[-1] == "17"

    def test_files_hold_what_was_made(self, tmp_path):
        for form in ("json", "txt", "csv", "npy"):
            said("gaussian", "--size", "5x3", "--sigma", "2x1", "-o", tmp_path / f"g.{form}")
            assert np.array_equal(
                Kernel.load(tmp_path / f"g.{form}").array, templates.gaussian((5, 3), (2.0, 1.0)).array
            )
        assert names(tmp_path) == ["g.csv", "g.json", "g.npy", "g.txt"]

    def test_mean_and_second_derivative(self):
        assert said("mean", "--size", "1x2", "--as", "csv").splitlines()[0] == "1,1"
        assert said("second-derivative", "--axis", "x").split() == ["1", "-2", "1"]

    @pytest.mark.parametrize(("options", "cut"), [(["--size", "3"], "11.8 %"), (["--size", "5x3"], "6.25 %")])
    def test_a_size_that_cuts_off_much_is_noted(self, options, cut):
        process = cnnfilter("kernel", "gaussian", "--sigma", "0.8", *options)
        assert complaint(process).startswith(f"note: this size cuts off {cut} of the Gaussian")

    def test_the_template_of_the_notes_is_made_without_a_word(self):
        assert cnnfilter("kernel", "gaussian", "--size", "3", "--sigma", "0.8", "--integer").stderr == b""

    @pytest.mark.parametrize("size", [[], ["--size", "7"]])
    def test_a_size_that_holds_enough_is_not(self, size):
        assert cnnfilter("kernel", "gaussian", *size).stderr == b""


class TestConvert:
    def test_every_syntax_there_is_is_offered(self):
        assert kernelsyntax.SYNTAXES == SYNTAXES

    @pytest.mark.parametrize("syntax", SYNTAXES)
    def test_every_syntax_is_printed_and_written(self, syntax, tmp_path):
        printed = cnnfilter("kernel", "convert", "sobel-x", "--as", syntax).stdout
        assert printed
        cnnfilter("kernel", "convert", "sobel-x", "--as", syntax, "-o", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == printed

    def test_npy_can_be_loaded(self):
        content = cnnfilter("kernel", "convert", "1 2 1 / 4", "--as", "npy").stdout
        assert np.load(io.BytesIO(content)).tolist() == [[0.25, 0.5, 0.25]]

    def test_weights_may_begin_with_a_minus(self):
        assert said("convert", "-1 0 1", "--as", "csv") == "-1,0,1\n"
        assert said("convert", "-1;2;-1", "--as", "csv") == "-1\n2\n-1\n"

    def test_through_a_file_into_an_image_command(self, tmp_path):
        cnnfilter("kernel", "convert", "0 0 0; 0 0 1; 0 0 0", "-o", tmp_path / "shift.json")
        np.save(tmp_path / "a.npy", np.arange(12, dtype=np.uint8).reshape(3, 4))
        cnnfilter(
            "correlate", "--kernel", tmp_path / "shift.json", tmp_path / "a.npy", "-o", tmp_path / "b.png"
        )
        assert pixels(tmp_path / "b.png")[1].tolist() == [5, 6, 7, 6]

    def test_what_cannot_be_read_or_written(self, tmp_path):
        assert "'x' is not a number" in complaint(cnnfilter("kernel", "convert", "1 x", status=2))
        assert "none.json" in complaint(cnnfilter("kernel", "show", "none.json", status=2))
        process = cnnfilter("kernel", "convert", "sobel-x", "-o", tmp_path / "x.foo", status=1)
        assert ".json" in complaint(process)
        process = cnnfilter("kernel", "convert", "sobel-x", "-o", tmp_path / "no" / "x.json", status=1)
        assert "no/x.json: no such file" in complaint(process).lower()


class TestList:
    def test_names_every_kernel_and_each_can_be_used(self):
        rows = [json.loads(line) for line in said("list", "--json").splitlines()]
        assert [row["name"] for row in rows] == list(templates.names())
        for row in rows:
            assert templates.named(row["name"]).array.size
        assert len(said("list").splitlines()) == len(rows)


class TestShow:
    def test_tells_and_draws(self):
        text = said("show", "sobel-x")
        assert "rank      1" in text and "█" in text
        assert "\x1b" not in text, "no colours but on a terminal"

    @pytest.mark.parametrize(
        ("variables", "colored"),
        [
            ({"TERM": "xterm-256color"}, True),
            ({"TERM": "xterm-256color", "NO_COLOR": ""}, True),
            ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
            ({"TERM": "dumb"}, False),
        ],
    )
    def test_colours_on_a_terminal_that_shows_them_unless_unwanted(self, variables, colored):
        master, slave = pty.openpty()
        environment = {**os.environ, **variables}
        if "NO_COLOR" not in variables:
            environment.pop("NO_COLOR", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "cnnfilter", "kernel", "show", "sobel-x"], stdout=slave, env=environment
        )
        os.close(slave)
        text = b""
        with suppress(OSError):  # what the end of a terminal is
            while chunk := os.read(master, 4096):
                text += chunk
        os.close(master)
        assert process.wait() == 0
        assert (b"\x1b[48;5;196m" in text) == colored
        assert (b"\x1b" in text) == colored
        assert "█".encode() in text or colored

    def test_plot(self, tmp_path):
        said("show", "log:9:1.4", "--plot", tmp_path / "log.png")
        assert pixels(tmp_path / "log.png").shape[2] >= 3

    def test_without_matplotlib_one_line_says_how_to_get_it(self, tmp_path):
        (tmp_path / "matplotlib.py").write_text("raise ImportError")
        process = cnnfilter(
            "kernel", "show", "mean", "--plot", "x.png", status=1, cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        assert "pip install 'cnnfilter[plot]'" in complaint(process)
        assert "x.png" not in names(tmp_path)

    def test_matplotlib_is_imported_only_then(self):
        process = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "cnnfilter", "kernel", "show", "mean"],
            capture_output=True,
            text=True,
            env=os.environ,
        )
        assert "matplotlib" not in process.stderr
        assert "PIL" not in process.stderr


@pytest.mark.parametrize("arguments", [["list"], ["show", "sobel-x"], ["gaussian"]])
def test_a_closed_pipe_ends_quietly(arguments):
    """The reader is gone before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "cnnfilter", "kernel", *arguments], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert process.stderr == b""
    assert process.returncode == 1


@pytest.mark.parametrize("page", ["cp1252", "cp936", "ascii"])
def test_a_kernel_is_shown_under_every_code_page(page):
    shown = cnnfilter(
        "kernel", "show", "laplacian-4", env={"PYTHONIOENCODING": page, "PYTHONUTF8": "0"}
    ).stdout
    assert shown.decode(page).endswith(f"{kernelview.LETTERS[-1]} is 4, a cell is one weight\n")
