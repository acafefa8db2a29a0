"""Where images come from and go to, and what is refused."""

import contextlib
import os
import pty
import resource
import stat
import subprocess

import pytest
from commandline import (
    COMMAND,
    cnnfilter,
    complaint,
    names,
    picture,
    pixels,
    through,
)
from PIL import Image


class TestWhereTo:
    def test_file_to_file(self, tmp_path):
        picture(tmp_path / "a.png")
        process = cnnfilter("mean", "a.png", "-o", "b.tif", cwd=tmp_path)
        assert process.stdout == process.stderr == b""
        with Image.open(tmp_path / "b.tif") as image:
            assert image.format == "TIFF"

    def test_the_form_told_wins_over_the_name(self, tmp_path):
        picture(tmp_path / "a.png")
        cnnfilter("mean", "a.png", "-o", "b.tmp", "--format", "jpg", cwd=tmp_path)
        with Image.open(tmp_path / "b.tmp") as image:
            assert image.format == "JPEG"

    def test_standard_streams_keep_the_form_unless_told(self, tmp_path):
        array = picture(tmp_path / "a.png")
        source = (tmp_path / "a.png").read_bytes()
        for arguments in ([], ["-"], ["-", "-o", "-"]):
            assert cnnfilter("mean", *arguments, input=source).stdout.startswith(b"\x89PNG")
        assert cnnfilter("mean", "--format", "ppm", input=source).stdout.startswith(b"P6")
        assert (through(source, "correlate", "--kernel", "1") == array).all()

    def test_a_shell_pipeline_works_as_it_stands(self, tmp_path):
        picture(tmp_path / "a.png")
        command = " ".join(COMMAND)
        line = f"cat a.png | {command} gaussian --sigma 2 | {command} second-derivative > b.png"
        subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
        cnnfilter("gaussian", "--sigma", 2, "a.png", "-o", "c.png", cwd=tmp_path)
        cnnfilter("second-derivative", "c.png", "-o", "d.png", cwd=tmp_path)
        assert (pixels(tmp_path / "b.png") == pixels(tmp_path / "d.png")).all()

    def test_process_substitution(self, tmp_path):
        picture(tmp_path / "a.png")
        line = f"{' '.join(COMMAND)} mean <(cat a.png) -o b.png"
        subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
        assert (tmp_path / "b.png").exists()

    def test_no_image_for_a_terminal(self, tmp_path):
        picture(tmp_path / "a.png")
        status, said = on_a_terminal("mean", str(tmp_path / "a.png"))
        assert status == 2
        assert said.count(b"\n") == 1
        assert b"terminal; give -o FILE" in said

    def test_no_input_from_a_terminal(self):
        status, said = on_a_terminal("mean", "-o", "x.png", stdin=True)
        assert status == 2
        assert b"no input" in said

    def test_an_empty_standard_input(self):
        assert "standard input: is empty" in complaint(cnnfilter("mean", input=b"", status=1))

    def test_a_device_is_written_through_and_stays(self, tmp_path):
        picture(tmp_path / "a.png")
        cnnfilter("mean", tmp_path / "a.png", "-o", "/dev/null", "--format", "png")
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
        process = cnnfilter("mean", tmp_path / "a.png", "-o", "/dev/stdout")
        assert process.stdout.startswith(b"\x89PNG")

    def test_a_typed_output_may_be_replaced_but_not_the_input(self, tmp_path):
        before = picture(tmp_path / "a.png")
        (tmp_path / "b.png").write_bytes(b"old")
        cnnfilter("mean", "a.png", "-o", "b.png", cwd=tmp_path)
        assert pixels(tmp_path / "b.png").shape == before.shape
        (tmp_path / "link.png").symlink_to("a.png")
        for output in ("a.png", "./a.png", "link.png"):
            process = cnnfilter("mean", "a.png", "-o", output, cwd=tmp_path, status=2)
            assert "--in-place" in complaint(process)
        assert (pixels(tmp_path / "a.png") == before).all()

    def test_in_place_keeps_form_and_mode(self, tmp_path):
        before = picture(tmp_path / "a.png")
        (tmp_path / "a.png").rename(tmp_path / "a.jpg")  # a PNG, whatever its name says
        (tmp_path / "a.jpg").chmod(0o640)
        cnnfilter("mean", "a.jpg", "--in-place", cwd=tmp_path)
        assert (tmp_path / "a.jpg").read_bytes().startswith(b"\x89PNG")
        assert stat.S_IMODE((tmp_path / "a.jpg").stat().st_mode) == 0o640
        assert (pixels(tmp_path / "a.jpg") != before).any()
        assert names(tmp_path) == ["a.jpg"]

    def test_skip_existing_on_a_typed_output(self, tmp_path):
        picture(tmp_path / "a.png")
        (tmp_path / "b.png").write_bytes(b"old")
        cnnfilter("mean", "a.png", "-o", "b.png", "--skip-existing", cwd=tmp_path)
        assert (tmp_path / "b.png").read_bytes() == b"old"
        (tmp_path / "b.png").write_bytes(b"")
        cnnfilter("mean", "a.png", "-o", "b.png", "--skip-existing", cwd=tmp_path)
        assert (tmp_path / "b.png").stat().st_size > 0, "an empty file is no result"


def on_a_terminal(*arguments: str, stdin: bool = False) -> tuple[int, bytes]:
    """Run a command whose standard output, or input, is a terminal; return its status and stderr."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=slave if stdin else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if stdin else slave,
        stderr=subprocess.PIPE,
    )
    os.close(slave)
    said = process.communicate(timeout=60)[1]
    with contextlib.suppress(OSError):  # the other end is closed, and nothing was written to it
        assert os.read(master, 100) == b""
    os.close(master)
    return process.returncode, said


class TestBadInput:
    def fails(self, path: object, *arguments: str) -> str:
        process = cnnfilter("mean", path, "-o", "out.png", *arguments, status=1)
        said = complaint(process)
        assert said.startswith(f"{path}: ")
        assert not os.path.exists("out.png")
        return said

    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_files_that_are_no_images(self, tmp_path):
        (tmp_path / "text.png").write_text("this is text")
        (tmp_path / "empty.png").touch()
        os.mkfifo(tmp_path / "fifo.png")
        self.fails("text.png")
        assert "is empty" in self.fails("empty.png")
        self.fails("fifo.png")
        assert "no such file" in self.fails("missing.png")

    def test_a_folder(self, tmp_path):
        assert "--recursive" in complaint(cnnfilter("mean", tmp_path, "-o", "x.png", status=2))

    @pytest.mark.parametrize("form", ["png", "jpg", "tif", "webp", "gif", "bmp", "ppm", "npy"])
    def test_truncated(self, form, tmp_path):
        picture(tmp_path / "whole.png", (64, 64, 3))
        cnnfilter("mean", "whole.png", "-o", f"a.{form}")
        whole = (tmp_path / f"a.{form}").read_bytes()
        (tmp_path / f"a.{form}").write_bytes(whole[: len(whole) // 2])
        self.fails(f"a.{form}")

    def test_too_many_pixels(self, tmp_path):
        picture(tmp_path / "a.png", (100, 101))
        assert "--max-pixels" in self.fails("a.png", "--max-pixels", "10K")
        cnnfilter("mean", "a.png", "-o", "b.png", "--max-pixels", "10100")

    def test_an_output_that_cannot_be_written(self, tmp_path):
        picture(tmp_path / "a.png")
        process = cnnfilter("mean", "a.png", "-o", "/proc/nothing/x.png", status=None)
        assert process.returncode in (1, 2)
        assert "/proc/nothing" in complaint(process)

    def test_impossible_geometry(self, tmp_path):
        picture(tmp_path / "a.png", (4, 4))
        assert "9" in self.fails("a.png", "--size", "9", "--padding", "narrow")

    @pytest.mark.parametrize(
        ("form", "side"), [("jpg", 65500), ("webp", 16383), ("gif", 65535), ("avif", 65536), ("tga", 65535)]
    )
    def test_sides_that_a_form_cannot_hold(self, form, side, tmp_path):
        picture(tmp_path / "a.png", (1, side + 1))
        process = cnnfilter("mean", tmp_path / "a.png", "-o", tmp_path / f"b.{form}", status=1)
        assert f"holds at most {side} pixels a side; write .png" in complaint(process)
        assert names(tmp_path) == ["a.png"]

    @pytest.mark.parametrize("arguments", [["-o", ""], ["--name", "", "-o", "d/"], ["", "-o", "b.png"]])
    def test_names_that_are_empty(self, arguments):
        process = cnnfilter("mean", "a.png", *arguments, status=2)
        assert "''" in complaint(process) and process.stdout == b""


def limited():
    """Let a process have 3 GB, so that what asks for more fails and does not make the system search."""
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))


class TestExtremes:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["mean"],
            ["mean", "--size", "31"],
            ["gaussian", "--sigma", "2"],
            ["gaussian", "--accuracy", "fast", "--sigma", "9"],
            ["pool", "max"],
            ["correlate", "--kernel", "sobel-x", "--range", "abs"],
            ["mean", "--boundary", "wrap"],
        ],
    )
    def test_a_stride_beyond_the_image_gives_one_pixel(self, arguments, tmp_path):
        picture(tmp_path / "a.png", (40, 50, 3))
        outputs = []
        for stride in ("60", str(2**31 - 1)):
            output = tmp_path / f"{stride}.png"
            cnnfilter(*arguments, "--stride", stride, tmp_path / "a.png", "-o", output, preexec_fn=limited)
            outputs.append(pixels(output))
        assert outputs[0].shape == (1, 1, 3)
        assert (outputs[0] == outputs[1]).all()

    @pytest.mark.parametrize("padding", ["30000", "999999999", "0,600000000x0,0"])
    def test_padding_beyond_the_limit_of_pixels_is_refused(self, padding, tmp_path):
        picture(tmp_path / "a.png")
        command = ["mean", "--padding", padding, tmp_path / "a.png", "-o", tmp_path / "b.png"]
        assert "limit of 500000000; raise it with --max-pixels" in complaint(
            cnnfilter(*command, status=1, preexec_fn=limited)
        )
        boundless = cnnfilter(*command, "--max-pixels", "9e18", status=1, preexec_fn=limited)
        assert "not enough memory" in complaint(boundless)

    @pytest.mark.parametrize("padding", ["300", "0,300x0,0", "0,0x300,300"])
    def test_the_limit_holds_for_each_padded_side(self, padding, tmp_path):
        """A large stride leaves few pixels, but the padded rows and columns are walked over all the same."""
        picture(tmp_path / "a.png", (10, 10))
        command = ["mean", "--stride", "299", tmp_path / "a.png", "-o", tmp_path / "b.png"]
        command += ["--padding", padding, "--max-pixels"]
        assert "would pad to" in complaint(cnnfilter(*command, "309", status=1))
        cnnfilter(*command, "610")
        assert pixels(tmp_path / "b.png").size <= 9

    def test_the_limit_holds_for_results(self, tmp_path):
        picture(tmp_path / "a.png", (10, 10))
        command = ["mean", "--max-pixels", "400", tmp_path / "a.png", "-o", tmp_path / "b.png", "--padding"]
        cnnfilter(*command, "6")
        assert "give 22x22 pixels, more than the limit of 400" in complaint(
            cnnfilter(*command, "7", status=1)
        )
        assert pixels(tmp_path / "b.png").shape == (20, 20)
