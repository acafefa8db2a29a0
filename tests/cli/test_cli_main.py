"""The command tree: what is imported, errors in one line, exit statuses, completion, interruptions."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from commandline import COMMAND, cnnfilter, complaint, hear_signals, picture

from cnnfilter.files.forms import WRITTEN
from cnnfilter.kernels.named import REGISTRY, completed, named

HEAVY = ("numpy", "PIL", "numba", "llvmlite", "tqdm", "cnnfilter.nn", "matplotlib", "scipy")


def imported(*arguments: str) -> set[str]:
    """Name the modules that a command line imports."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cnnfilter", *arguments], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return {line.split("|")[-1].strip() for line in process.stderr.splitlines() if "|" in line}


class TestStart:
    @pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["completion", "zsh"]])
    def test_imports_nothing_heavy(self, arguments):
        modules = imported(*arguments)
        assert "click" in modules
        assert not [name for name in modules if name.split(".")[0] in HEAVY or name in HEAVY]

    def test_a_command_imports_no_more_than_it_needs(self, tmp_path):
        picture(tmp_path / "a.png")
        command = ["mean", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]
        imported(*command)  # the first run may compile
        modules = imported(*command)
        assert "numpy" in modules
        unneeded = ("numba", "tqdm", "matplotlib", "scipy", "cnnfilter.nn", "cnnfilter.learning")
        assert not [name for name in unneeded if name in modules]

    def test_version(self):
        from cnnfilter import __version__

        assert cnnfilter("--version").stdout.decode() == f"cnnfilter {__version__}\n"


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["gausian"], "no command 'gausian'; did you mean 'gaussian'?"),
            (["mean", "--sise", "3"], "--sise"),
            (["mean", "--size", "0", "a"], "'0' is not a number of pixels from 1"),
            (["mean", "--size", "3x3x3", "a"], "3x3x3"),
            (["gaussian", "--sigma", "-1", "a"], "'-1' is not a length"),
            (["gaussian", "--sigma", "nan", "a"], "'nan'"),
            (["mean", "--boundary", "some", "a"], "'some' is none of zero, edge, reflect"),
            (["mean", "--padding", "some", "a"], "'some' is none of same, narrow, wide"),
            (["mean", "--max-pixels", "many", "a"], "'many' is not a number of pixels"),
            (["mean", "-0", "a"], "--files-from"),
            (["mean", "--overwrite", "--skip-existing", "a"], "contradict"),
            (["mean", "a", "b"], "-o DIR/"),
            (["mean", "a", "-o", "b.xyz"], "unknown suffix .xyz"),
            (["mean", "a", "-o", "b.png", "--format", "xyz"], "unknown image form 'xyz'"),
            (["mean", "-", "-", "-o", "d/"], "once only"),
            (["mean", "a", "--name", "x", "-o", "b.png"], "-o DIR/"),
            (["pool", "median", "a"], "'median'"),
            (["convolve", "a"], "--kernel"),
            (["convolve", "--kernel", "1 2; 3", "a"], "row 2 has 1 values"),
            (["convolve", "--kernel", "1 2 z; 3 4 5", "a"], "row 1, column 3: 'z' is not a number"),
            (["convolve", "--kernel", "sobel", "a"], "sobel-x"),
            (["pipe", "a", "-o", "b.png"], "after --"),
            (["pipe", "a", "-o", "b.png", "--", "mean", "then"], "missing"),
            (["pipe", "a", "-o", "b.png", "--", "blur"], "'blur'"),
            (["kernel", "gaussian", "--rounding", "round"], "--integer"),
        ],
    )
    def test_usage_is_one_line_and_status_2(self, arguments, words):
        process = cnnfilter(*arguments, status=2)
        assert words in complaint(process)
        assert process.stdout == b""

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("gaussian --radius 2 a.png -o o.png", "use --sigma, the standard deviation in pixels"),
            ("gaussian -sigma 2 a.png -o o.png", "no option '-sigma'; it is written --sigma"),
            ("gaussian -sigma=2 a.png -o o.png", "it is written --sigma"),
            ("mean a.png -output o.png", "no option '-output'; it is written --output"),
            ("mean --ksize 3 a.png -o o.png", "use --size"),
            ("mean --treads 3 a.png -o o.png", "did you mean '--threads'?"),
            ("mean a.png out.png", "a file to be written is named by -o out.png"),
            ("gaussian 2 a.png -o o.png", "2: no such file; did you mean --sigma 2?"),
            ("mean 5x7 a.png -o o.png", "5x7: no such file; did you mean --size 5x7?"),
            ("median a.png -o o.png", "no sum of weighted pixels"),
            ("sharpen a.png -o o.png", "use 'unsharp', or 'convolve --kernel sharpen'"),
            ("emboss a.png -o o.png", "use 'convolve --kernel emboss'"),
            ("sobel a.png -o o.png", "use 'gradient --operator sobel'"),
            ("laplacian a.png -o o.png", "use 'second-derivative'"),
            ("blur a.png -o o.png", "use 'gaussian', or 'mean'"),
            ("edge a.png -o o.png", "use 'gradient', or 'second-derivative'"),
            ("unsharp-mask a.png -o o.png", "use 'unsharp'"),
            ("animate blur a.png -o o.gif", "use 'gaussian', or 'mean'"),
            ("animate a.png -o o.gif", "which is an input; a command comes before it: mean a.png"),
            ("a.png -o o.png", "'a.png', which is an input; a command comes before it: mean a.png"),
            ("mean --boundary constant:x a.png -o o.png", "'x' is no number; a border of one value"),
            ("mean --boundary constant: a.png -o o.png", "constant:128"),
            ("mean --padding narow a.png -o o.png", "did you mean 'narrow'?"),
            ("mean --depth f16 a.png -o o.png", "did you mean 'f32'?"),
            ("convolve --kernel 0 -1 0 a.png -o o.png", "are put in quotes: --kernel '0 -1 0'"),
            ("convolve --kernel 0 1 0 a.png -o o.png", "numbers that belong together are put in quotes"),
            ("kernel show 0 1 0", "numbers that belong together are put in quotes"),
            ("pipe a.png -o o.png -- gaussian --sigma 2 mean", "filters: gaussian --sigma 2 then mean;"),
            ("pipe a.png -o o.png -- pool mean '|' mean --size 5", "filters: pool mean then mean --size 5;"),
            ("pipe a.png -o o.png -- pool mean mean", "filters: pool mean then mean;"),
            ("pipe a.png -o o.png -- gaussian 2", "unexpected extra argument (2); numbers"),
            ("pool avg a.png -o o.png", "did you mean 'mean'?"),
            ("mean --depth 32 a.png -o o.png", "did you mean 'f32'?"),
            ("mean --depth float a.png -o o.png", "did you mean 'f32'?"),
            ("mean --range normalize a.png -o o.png", "did you mean 'stretch'?"),
            ("mean --boundary reflct a.png -o o.png", "did you mean 'reflect'?"),
            ("net describe lenet", "did you mean 'lenet5'?"),
            ("help gausian", "did you mean 'gaussian'?"),
            ("help mean large", "has no commands below it: 'large'"),
        ],
    )  # fmt: skip
    def test_slips_get_the_right_word(self, line, words, tmp_path):
        picture(tmp_path / "a.png")
        process = cnnfilter(*shlex.split(line), status=2, cwd=tmp_path)
        assert words in complaint(process)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]

    def test_files_that_are_missing_are_no_slips(self, tmp_path):
        """They fail by themselves, and the others are done."""
        picture(tmp_path / "a.png")
        process = cnnfilter("mean", "a.png", "b.png", "-o", "out/", status=3, cwd=tmp_path)
        assert b"b.png: no such file" in process.stderr

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("mean --boundary mirror a.png -o o.png", "the boundary 'mirror' is called reflect here"),
            ("mean --boundary nearest a.png -o o.png", "'nearest' is called edge"),
            ("mean --boundary replicate a.png -o o.png", "'replicate' is called edge"),
            ("mean --boundary black a.png -o o.png", "'black' is called zero"),
            (
                "mean --boundary constant a.png -o o.png",
                "called zero here; constant:VALUE takes another value",
            ),
            ("pipe a.png -o o.png -- mean --boundary tile", "'tile' is called wrap"),
            (
                "convolve --kernel 0,-1,0,-1,5,-1,0,-1,0 --range clip a.png -o o.png",
                "9 numbers in one row are a kernel of 1x9",
            ),
            (
                "mean --size 4x3 a.png -o o.png",
                "mean: 4x3 has no middle, and moves the picture half a pixel up;",
            ),
            ("mean --format jpg a.png -o o.png", "o.png: is written as JPEG"),
            ("mean a.png -o no/such/o.png", "no/such: this folder was made"),
        ],
    )
    def test_what_is_taken_otherwise_is_said_unless_it_is_not_to_be(self, line, words, tmp_path):
        picture(tmp_path / "a.png")
        said = complaint(cnnfilter(*shlex.split(line), cwd=tmp_path))
        assert said.startswith("note: ") and words in said
        words = shlex.split(line)
        quiet = cnnfilter(words[0], "-q", *words[1:], cwd=tmp_path)
        assert b"note" not in quiet.stderr

    def test_half_a_pixel_is_that_way(self, tmp_path):
        dot = np.zeros((8, 8), np.uint8)
        dot[4, 4] = 200
        np.save(tmp_path / "dot.npy", dot)
        cnnfilter("mean", "--size", "4x3", "dot.npy", "-o", "moved.npy", cwd=tmp_path)
        rows, columns = np.nonzero(np.load(tmp_path / "moved.npy"))
        assert (rows.mean(), columns.mean()) == (3.5, 4)

    @pytest.mark.parametrize("words", [[], ["gaussian"], ["kernel"], ["kernel", "show"]])
    def test_help_is_a_command_too(self, words):
        assert cnnfilter("help", *words).stdout == cnnfilter(*words, "--help").stdout

    def test_a_group_without_a_command_shows_its_help(self):
        process = cnnfilter("kernel", status=2)
        assert process.stderr.startswith(b"Usage: cnnfilter kernel")

    def test_no_traceback_unless_debugging(self):
        assert "no such file" in complaint(cnnfilter("mean", "none.png", "-o", "x.png", status=1))
        process = cnnfilter("mean", "none.png", "-o", "x.png", status=1, env={"CNNFILTER_DEBUG": "1"})
        assert b"Traceback" in process.stderr
        assert process.stderr.splitlines()[-1].startswith(b"cnnfilter: none.png: no such file")

    def test_an_unexpected_error_says_where_to_look(self, tmp_path):
        (tmp_path / "sitecustomize.py").write_text(
            "import cnnfilter.cli.run as run\n\ndef broken(*_, **__):\n    raise KeyError('lost')\n\n"
            "run.run_images = broken\n"
        )
        process = cnnfilter("mean", "a.png", status=1, env={"PYTHONPATH": str(tmp_path)})
        assert complaint(process) == "unexpected KeyError: 'lost' (CNNFILTER_DEBUG=1 shows where)"

    def test_a_star_in_a_value_survives(self):
        process = cnnfilter("convolve", "--kernel", "*.txt", "a.png", status=2)
        assert "*.txt" in complaint(process)


class TestTerminal:
    """Nothing that a file says commands the terminal."""

    HOSTILE = "red\x1b[31m\x07\x9b2J\u202e"

    def test_names_of_kernels(self, tmp_path):
        kernel = tmp_path / "k.json"
        kernel.write_text(
            json.dumps(
                {"cnnfilter": "kernel", "version": 1, "weights": [[1, 2], [3, 4]], "name": self.HOSTILE}
            )
        )
        picture(tmp_path / "a.png")
        for arguments in (
            ("kernel", "show", kernel),
            ("correlate", "--kernel", kernel, tmp_path / "a.png", "--explain"),
            ("correlate", "--kernel", kernel, tmp_path / "a.png", "-o", tmp_path / "b.png", "-v"),
        ):
            process = cnnfilter(*arguments)
            assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae", process.stdout)
            assert b"\x1b" not in process.stderr
        assert rb"red\x1b[31m\x07\x9b2J\u202e" in cnnfilter("kernel", "show", kernel).stdout

    def test_names_of_files(self, tmp_path):
        picture(tmp_path / "a.png")
        path = tmp_path / self.HOSTILE
        (tmp_path / "a.png").rename(path)
        assert b"\x1b" not in cnnfilter("mean", path, "--explain").stdout

    def test_letters_that_it_does_not_have(self):
        process = cnnfilter("kernel", "show", "sobel-x", env={"PYTHONIOENCODING": "latin-1"})
        assert b"@ is 2, a cell is one weight" in process.stdout and rb"\u" not in process.stdout
        assert cnnfilter("kernel", "list", env={"PYTHONIOENCODING": "ascii"}).stderr == b""


class TestCompletion:
    def complete(self, *words: str) -> list[str]:
        process = cnnfilter(
            env={
                "_CNNFILTER_COMPLETE": "bash_complete",
                "COMP_WORDS": shlex.join(["cnnfilter", *words]) if words[-1] else f"cnnfilter {words[0]} ",
                "COMP_CWORD": str(len(words)),
            }
        )
        return [line.split(",", 1)[1] for line in process.stdout.decode().split()]

    def test_commands_options_and_kernels(self):
        assert self.complete("gau") == ["gaussian"]
        assert "--boundary" in self.complete("mean", "--b")
        assert self.complete("convolve", "--kernel", "sobel") == ["sobel-x", "sobel-y"]
        assert self.complete("mean", "--boundary", "re") == ["reflect", "renormalize"]
        assert self.complete("pool", "m") == ["max", "mean"]
        assert self.complete("kernel", "nothing", "x") == []
        assert self.complete("help", "kernel", "sh") == ["show"]
        assert self.complete("mean", "--format", "jp") == ["jpg", "jp2"]

    def test_the_defaults_of_kernels(self):
        """They are kernels: what is left empty depends on the rest."""
        assert self.complete("convolve", "--kernel", "gaussian:") == ["gaussian::1:float"]
        assert self.complete("kernel", "show", "gaussian:5:") == ["gaussian:5:1:float"]
        assert self.complete("kernel", "show", "gaussian:5:2:f") == ["gaussian:5:2:float"]
        for text in ("gaussian:5:2:x", "gaussian:1:2:3:4", "sobel-x:", "none:"):
            assert self.complete("kernel", "show", text) == [text]  # a file, perhaps
        for entry in REGISTRY:
            if entry.parameters:
                (found,) = completed(f"{entry.name}:")
                assert named(found) == named(entry.name)

    def test_every_form_that_is_offered_is_written(self, tmp_path):
        picture(tmp_path / "a.png", (8, 8, 3))
        # A .pbm holds black and white alone; the last three are written by packages that may be missing.
        for form in set(WRITTEN) - {"pbm", "heic", "exr", "fits"}:
            depth = ["--depth", "f32"] if form in ("pfm", "hdr") else []
            grey = "grey.png" if form == "pgm" else "a.png"
            picture(tmp_path / "grey.png", (8, 8))
            cnnfilter("mean", grey, "--format", form, *depth, "-q", "-o", f"out.{form}", cwd=tmp_path)
            assert (tmp_path / f"out.{form}").stat().st_size, form

    def test_the_filters_of_a_pipe(self):
        assert self.complete("pipe", "a.png", "--", "gau") == ["gaussian"]
        assert self.complete("pipe", "a.png", "--", "mean", "th") == ["then"]
        assert self.complete("pipe", "a.png", "--", "mean", "then", "po") == ["pool"]
        assert "--sigma" in self.complete("pipe", "a.png", "--", "mean", "then", "gaussian", "--")

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_is_good_for_its_shell(self, shell):
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        script = cnnfilter("completion", shell).stdout
        subprocess.run([shell, "-n", "/dev/stdin"], input=script, check=True)
        assert b"_CNNFILTER_COMPLETE" in script

    def test_fish_completes(self, tmp_path):
        """The whole way, in the one shell that can be asked without a terminal."""
        if shutil.which("fish") is None:
            pytest.skip("fish is not installed")
        (tmp_path / "cnnfilter").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
        (tmp_path / "cnnfilter").chmod(0o755)
        program = 'cnnfilter completion fish | source; complete -C "cnnfilter convolve --kernel kirsch-n"'
        process = subprocess.run(
            ["fish", "--no-config", "-c", program],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        )
        assert process.stdout.split() == ["kirsch-n", "kirsch-ne", "kirsch-nw"], process.stderr


class TestInterruptions:
    @pytest.mark.parametrize("module", ["cnnfilter.cli.main", "click", "cnnfilter.cli.images", "numpy"])
    @pytest.mark.parametrize(("sent", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
    def test_while_modules_are_imported(self, module, sent, status, tmp_path):
        """The signal comes exactly when a module is looked for."""
        if (module, sent) == ("cnnfilter.cli.main", "SIGTERM"):
            status = -15  # nobody listens yet; the system ends the process, as quietly
        (tmp_path / "sitecustomize.py").write_text(
            "import os, signal, sys\n\nclass Finder:\n    def find_spec(self, name, *_):\n"
            f"        if name == {module!r} and sys.meta_path[0] is self:\n"
            f"            del sys.meta_path[0]\n            os.kill(os.getpid(), signal.{sent})\n\n"
            "sys.meta_path.insert(0, Finder())\n"
        )
        picture(tmp_path / "a.png")
        process = cnnfilter(
            "mean", "a.png", "-o", "b.png",
            status=None, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, preexec_fn=hear_signals,
        )  # fmt: skip
        assert (process.returncode, process.stderr) == (status, b"")
