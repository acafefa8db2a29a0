"""Image commands on one file: where the result goes, what is in it, what is refused."""

import contextlib
import io
import json
import os
import pty
import resource
import stat
import subprocess

import numpy as np
import pytest
from commandline import COMMAND, cnnfilter, complaint, names, picture, pixels
from PIL import Image

import cnnfilter as cf

IMPULSE = np.zeros((5, 6), np.uint8)
IMPULSE[2, 3] = 1
ONE_TO_NINE = "1 2 3; 4 5 6; 7 8 9"


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def through(input: bytes, *arguments: str) -> np.ndarray:
    return pixels(io.BytesIO(cnnfilter(*arguments, input=input).stdout))


class TestFilters:
    """That each command runs its filter, with its options; the filters' own tests are elsewhere."""

    def test_convolve_and_correlate_differ_by_a_turn(self):
        kernel = np.arange(1, 10).reshape(3, 3)
        convolved = through(png(IMPULSE), "convolve", "--kernel", ONE_TO_NINE)
        correlated = through(png(IMPULSE), "correlate", "--kernel", ONE_TO_NINE)
        assert (convolved[1:4, 2:5] == kernel).all()
        assert (correlated[1:4, 2:5] == kernel[::-1, ::-1]).all()
        assert convolved.sum() == correlated.sum() == 45

    def test_kernels_that_begin_with_a_minus(self):
        result = through(png(IMPULSE * 9), "correlate", "--kernel", "-1 0 1", "--range", "abs")
        assert result[2].tolist() == [0, 0, 9, 0, 9, 0]

    def test_size_is_rows_by_columns(self):
        result = through(png(IMPULSE * 60), "mean", "--size", "1x3")
        assert result[2].tolist() == [0, 0, 20, 20, 20, 0]
        result = through(png(IMPULSE * 60), "mean", "--size", "3x1")
        assert result[:, 3].tolist() == [0, 20, 20, 20, 0]

    def test_sigma_is_rows_by_columns(self):
        result = through(png(IMPULSE * 200), "gaussian", "--sigma", "0.1x2")
        assert result[2].min() > 0
        assert result[[0, 1, 3, 4]].sum() == 0

    def test_integer_template(self):
        result = through(
            png(IMPULSE * 160), "gaussian", "--sigma", "0.8", "--size", "3", "--template", "integer", "-q"
        )
        assert result[1:4, 2:5].tolist() == [[10, 20, 10], [20, 40, 20], [10, 20, 10]]

    def test_second_derivative_is_absolute_and_f32_keeps_signs(self, tmp_path):
        image = png(IMPULSE * 10)
        assert through(image, "second-derivative", "--axis", "x")[2].tolist() == [0, 0, 10, 20, 10, 0]
        signed = cnnfilter("second-derivative", "--axis=x", "--depth=f32", "--format=npy", input=image).stdout
        assert np.load(io.BytesIO(signed))[2].tolist() == [0, 0, 10, -20, 10, 0]

    def test_pool(self):
        ramp = np.arange(24, dtype=np.uint8).reshape(4, 6)
        assert through(png(ramp), "pool", "max").tolist() == [[7, 9, 11], [19, 21, 23]]
        assert through(png(ramp), "pool", "mean", "--size", "4x2").tolist() == [[10, 12, 14]]
        assert through(png(ramp), "pool", "max", "--size", "2", "--stride", "2x4").tolist() == [
            [7, 11],
            [19, 23],
        ]

    def test_geometry(self):
        image = png(IMPULSE * 90)
        assert through(image, "mean", "--padding", "narrow").shape == (3, 4)
        assert through(image, "mean", "--padding", "wide").shape == (7, 8)
        assert through(image, "mean", "--padding", "2,1x0,3", "--boundary", "zero").shape == (6, 7)
        assert through(image, "mean", "--stride", "2x3").shape == (3, 2)
        spread = through(image, "correlate", "--kernel", "1 1 1", "--dilation=2", "--boundary=zero")
        assert spread[2].tolist() == [0, 90, 0, 90, 0, 90]

    def test_boundaries(self):
        image = png(np.array([[10, 20, 30, 40]], np.uint8))
        shifted = ["correlate", "--kernel", "1 0 0", "--boundary"]
        first = {
            name: int(through(image, *shifted, name)[0, 0]) for name in ("zero", "edge", "reflect", "wrap")
        }
        assert first == {"zero": 0, "edge": 10, "reflect": 20, "wrap": 40}
        assert through(image, *shifted, "constant:7")[0, 0] == 7

    def test_the_default_boundary_does_not_darken(self):
        white = np.full((9, 9, 3), 255, np.uint8)
        for command in (["mean"], ["gaussian", "--sigma=2"], ["correlate", "--kernel=mean:5"]):
            assert (through(png(white), *command) == 255).all()

    def test_renormalize_says_why_it_cannot(self):
        image = png(np.ones((3, 3), np.uint8))
        arguments = ["correlate", "--boundary", "renormalize", "--kernel"]
        cancelled = complaint(cnnfilter(*arguments, "-1 1 5", input=image, status=1))
        assert "negative weights cancel" in cancelled and "dilation" not in cancelled
        outside = complaint(cnnfilter(*arguments, "1 1", "--dilation", "8", input=image, status=1))
        assert "less dilation" in outside and "negative" not in outside

    def test_clipping_is_counted(self):
        process = cnnfilter(
            "correlate", "--kernel", "0 1 0; 1 99 1; 0 1 0", "--json", "-q", input=png(IMPULSE * 9)
        )
        assert json.loads(process.stderr)["clipped"] == 1


class TestArrays:
    def test_a_stack_is_filtered_image_by_image(self, tmp_path):
        stack = np.random.default_rng(0).normal(size=(3, 2, 12, 14)).astype(np.float32)
        np.save(tmp_path / "a.npy", stack)
        cnnfilter("gaussian", tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--axes", "nchw")
        found = np.load(tmp_path / "b.npy")
        for image, filtered in zip(stack.reshape(-1, 12, 14), found.reshape(-1, 12, 14), strict=True):
            np.testing.assert_allclose(filtered, cf.gaussian(image), atol=1e-6)
        words = complaint(
            cnnfilter("mean", tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--axes", "xy", status=2)
        )
        assert "'xy' is no order of axes" in words

    def test_a_signal_is_filtered_as_by_the_functions(self, tmp_path):
        signal = np.random.default_rng(0).normal(size=60).astype(np.float32)
        np.save(tmp_path / "a.npy", signal)
        cnnfilter(
            "gaussian", "--sigma", 2, tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--boundary", "edge"
        )
        np.testing.assert_allclose(
            np.load(tmp_path / "b.npy"), cf.gaussian(signal, 2, boundary="edge"), atol=1e-6
        )
        refused = cnnfilter(
            "mean", tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--boundary", "zero", status=1
        )
        assert "a signal has no rows above it to be zero" in complaint(refused)


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


class TestPipeCommand:
    """``A | B`` and ``pipe -- A then B`` differ by the rounding between them, and by nothing else."""

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("gaussian --sigma 1.5", "second-derivative --axis x"),
            ("second-derivative", "pool max"),
            ("correlate --kernel sharpen", "gaussian --sigma 1"),
            ("correlate --kernel emboss --range offset", "mean --size 3x5"),
            ("mean --stride 2", "pool mean --size 3"),
        ],
    )
    def test_equals_the_pipeline(self, first, second, mode, tmp_path):
        channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
        picture(tmp_path / "a.png", (40, 50, *channels))
        source = (tmp_path / "a.png").read_bytes()
        piped = through(cnnfilter(*first.split(), input=source).stdout, *second.split())
        at_once = through(source, "pipe", "--", *first.split(), "then", *second.split())
        assert piped.shape == at_once.shape
        # Half a level of rounding, times the largest sum of absolute weights of what follows (4).
        difference = np.abs(piped.astype(int) - at_once)
        if mode == "RGBA":
            difference = difference[at_once[..., 3] > 128] / 2
        assert difference.max() <= 3

    def test_rounds_once(self):
        # 1/3 of 1 is 0 when rounded in between; three thirds of it are 1.
        third, triple = ["correlate", "--kernel", "1/3 0/1"], ["correlate", "--kernel", "0 3"]
        image = png(np.full((4, 4), 1, np.uint8))
        assert through(image, "pipe", "--", *third, "then", *triple).max() in (0, 1)
        lone = through(
            image, "pipe", "--", "correlate", "--kernel", "1/3", "then", "correlate", "--kernel", "3"
        )
        assert (lone == 1).all()

    def test_options_of_the_run_and_of_a_step(self, tmp_path):
        picture(tmp_path / "a.png")
        process = cnnfilter(
            "pipe", tmp_path / "a.png", "--explain", "--", "mean", "--size", "5", "then", "pool", "max"
        )
        said = process.stdout.decode()
        assert "5x5" in said and "12x16x3" in said

    def test_range_of_the_last(self):
        image = png(IMPULSE * 10)
        signed = "correlate --kernel 0;0;-1".split()
        assert through(image, "pipe", "--", "mean", "--size", "1", "then", *signed).max() == 0
        assert (
            through(image, "pipe", "--range", "abs", "--", "mean", "--size", "1", "then", *signed).max() == 10
        )
        assert (
            through(image, "pipe", "--", *signed, "--range", "abs", "then", "mean", "--size", "1").max() == 10
        )


class TestExplain:
    def test_prints_the_plan_and_does_nothing(self, tmp_path):
        picture(tmp_path / "a.png", (20, 30))
        process = cnnfilter("gaussian", "--sigma", "3", "a.png", "-o", "b.png", "--explain", cwd=tmp_path)
        said = process.stdout.decode()
        assert said.startswith("a.png: 20x30 uint8")
        assert "separable" in said and "25x25" in said and "20x30 uint8" in said
        assert names(tmp_path) == ["a.png"]

    def test_without_input_an_image_is_assumed(self):
        assert "1024x1024x3 uint8" in cnnfilter("mean", "--explain", input=b"").stdout.decode()

    def test_json(self, tmp_path):
        picture(tmp_path / "a.png", (20, 30))
        process = cnnfilter("mean", "--stride", "2", "--explain", "--json", tmp_path / "a.png")
        (plan,) = json.loads(process.stdout)["filters"]
        assert plan["output_shape"] == [10, 15]
        assert plan["stride"] == [2, 2]

    def test_impossible_geometry(self, tmp_path):
        picture(tmp_path / "a.png", (4, 4))
        process = cnnfilter(
            "mean", "--size", "9", "--padding", "narrow", tmp_path / "a.png", "--explain", status=1
        )
        assert "9" in complaint(process)


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


class TestClippedValues:
    """That the default range, which cuts values off, says so where it cuts off much."""

    SLOPES = ("convolve", "--kernel", "sobel-x")

    def test_half_of_the_values_negative(self, tmp_path):
        picture(tmp_path / "a.png")
        done = cnnfilter(*self.SLOPES, tmp_path / "a.png", "-o", tmp_path / "b.png")
        said = complaint(done)
        assert said.startswith(f"note: {tmp_path}/a.png: more than 40 % of the values lay outside the range")
        assert said.endswith("(below 0, mostly) and were clipped; --range abs or offset keeps them")

    @pytest.mark.parametrize("more", [("--range", "clip"), ("--range", "abs"), ("-q",), ("--depth", "f32")])
    def test_what_was_asked_for_or_kept_needs_no_note(self, more, tmp_path):
        picture(tmp_path / "a.png")
        assert not cnnfilter(*self.SLOPES, *more, tmp_path / "a.png", "-o", tmp_path / "b.tif").stderr

    def test_the_sum_of_the_kernel_decides_which_range_is_named(self, tmp_path):
        picture(tmp_path / "a.png")
        done = cnnfilter("convolve", "--kernel", "sharpen", tmp_path / "a.png", "-o", tmp_path / "b.png")
        assert complaint(done).endswith("% of the values lay outside the range of the pixels and were "
                                        "clipped; --range stretch keeps them")  # fmt: skip
        (tmp_path / "flat.png").write_bytes(png(np.full((9, 9), 7, np.uint8)))
        assert not cnnfilter(*self.SLOPES, tmp_path / "flat.png", "-o", tmp_path / "b.png").stderr

    def test_in_a_pipe_the_range_belongs_to_the_filter(self, tmp_path):
        picture(tmp_path / "a.png")
        pipe = ("pipe", tmp_path / "a.png", "-o", tmp_path / "b.png", "--", *self.SLOPES)
        said = complaint(cnnfilter(*pipe, "then", "mean"))
        assert said.endswith("--range abs or offset after the filter that makes them keeps them")
        assert not cnnfilter(*pipe, "--range", "abs", "then", "mean").stderr

    def test_many_files_share_a_line(self, tmp_path):
        for number in range(4):
            picture(tmp_path / f"{number}.png", seed=number)
        done = cnnfilter(*self.SLOPES, tmp_path, "-r", "-o", f"{tmp_path}/out/")
        first, last = done.stderr.decode().splitlines()
        assert "note: 4 files (" in first and "more than 40 % of the values" in first
        assert "4 of 4 files done" in last
