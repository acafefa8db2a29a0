"""Image commands on one file: what is in the result, what is planned, what is said of it."""

import hashlib
import io
import json

import numpy as np
import pytest
from commandline import cnnfilter, complaint, names, picture, png, through

import cnnfilter as cf
from cnnfilter.filters.correlation import Correlate
from cnnfilter.filters.mean import Mean

IMPULSE = np.zeros((5, 6), np.uint8)
IMPULSE[2, 3] = 1
ONE_TO_NINE = "1 2 3; 4 5 6; 7 8 9"


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

    def test_beside_a_signal_there_may_be_zeros_where_one_row_is_filtered(self, tmp_path):
        np.save(tmp_path / "a.npy", np.full(5, 30, np.uint8))
        asked = ["mean", "--size", "1x3", "--boundary", "zero"]
        cnnfilter(*asked, tmp_path / "a.npy", "-o", tmp_path / "b.npy")
        assert np.load(tmp_path / "b.npy").tolist() == [20, 30, 30, 30, 20]

    @pytest.mark.parametrize(
        "filter", [Correlate(kernel=np.ones((3, 3)) / 9), Mean(boundary=("zero", "edge"))]
    )
    def test_a_signal_is_not_darkened_by_the_zeros_of_a_default(self, tmp_path, filter):
        np.save(tmp_path / "a.npy", np.full(5, 30, np.uint8))
        [result] = cf.filter_files([tmp_path / "a.npy"], tmp_path / "out", [filter])
        assert "no rows above it to be zero" in str(result.error)


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


def test_json_holds_what_is_needed_to_do_it_again(folder):
    command = ["pipe", "photos/a.png", "-o", "out.png", "--depth", 16, "--json", "--"]
    filters = ["gaussian", "--sigma", "2x1", "then", "convolve", "--kernel", "1 2 3; 4 5 6; 7 8 9 / 45"]
    (told,) = map(json.loads, cnnfilter(*command, *filters).stdout.splitlines())
    assert (told["schema"], told["version"], told["asked"]) == (1, cf.__version__, {"depth": "16"})
    smooth, kernel = told["filters"]
    assert smooth["filter"] == "gaussian" and smooth["sigma"] == [2, 1]
    weights = np.arange(1.0, 10).reshape(3, 3) / 45
    assert kernel["kernel"]["sha256"] == hashlib.sha256(weights.astype("<f8").tobytes()).hexdigest()
