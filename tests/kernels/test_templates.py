import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.kernels import formulas, templates
from cnnfilter.kernels.gaussian import MAX_INTEGER_SUM
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.kernels.kernelfile import parse
from cnnfilter.kernels.named import REGISTRY

# The table of the notes: 2.
INTEGER_TABLE = [
    (3, 0.8, "floor", "1 2 1; 2 4 2; 1 2 1 / 16"),
    (3, 0.8, "round", "1 2 1; 2 5 2; 1 2 1 / 17"),
    (5, 1.0, "floor", "1 4 7 4 1; 4 20 33 20 4; 7 33 54 33 7; 4 20 33 20 4; 1 4 7 4 1 / 330"),
    (5, 1.0, "round", "1 4 7 4 1; 4 20 33 20 4; 7 33 55 33 7; 4 20 33 20 4; 1 4 7 4 1 / 331"),
    (5, 1.4, "floor", "1 2 2 2 1; 2 4 5 4 2; 2 5 7 5 2; 2 4 5 4 2; 1 2 2 2 1 / 71"),
    (5, 1.4, "round", "1 2 3 2 1; 2 5 6 5 2; 3 6 8 6 3; 2 5 6 5 2; 1 2 3 2 1 / 84"),
]

sizes = st.integers(1, 31)
sigmas = st.floats(0.05, 50)


class TestFloatGaussian:
    @given(sizes, sizes, sigmas, sigmas)
    def test_sums_to_1_and_is_symmetric_bit_for_bit(self, rows, columns, sigma_y, sigma_x):
        kernel = templates.gaussian((rows, columns), (sigma_y, sigma_x))
        assert kernel.shape == (rows, columns)
        assert kernel.sum == pytest.approx(1, abs=1e-15)
        assert {"x-symmetric", "y-symmetric", "point-symmetric"} <= kernel.symmetry
        assert kernel.separable()

    @given(sizes, st.floats(0.2, 50))
    def test_ratios_are_those_of_the_equation(self, size, sigma):
        taps = templates.gaussian_taps(size, sigma)
        distance = np.arange(size) - (size - 1) / 2
        expected = np.exp(-(distance**2) / (2 * sigma**2))
        np.testing.assert_allclose(taps, expected / expected.sum(), rtol=1e-9, atol=1e-300)

    @pytest.mark.parametrize(
        ("sigma", "size"), [(1, 9), (2, 17), (0.8, 9), (0.1, 3), (1.01, 11), (512, 4097)]
    )
    def test_default_size(self, sigma, size):
        assert templates.gaussian_taps(sigma=sigma).size == size

    def test_rows_come_first(self):
        assert templates.gaussian(sigma=(2, 1)).shape == (17, 9)
        tall = templates.gaussian(9, (2, 1)).weights
        assert tall[0, 4] > tall[4, 0]

    @pytest.mark.parametrize(("size", "taps"), [(3, [0, 1, 0]), (4, [0, 0.5, 0.5, 0])])
    def test_a_tiny_sigma_is_an_impulse(self, size, taps):
        assert templates.gaussian_taps(size, 1e-300).tolist() == taps

    def test_sigma_0_smooths_nothing(self):
        assert templates.gaussian(sigma=0).weights.tolist() == [[1]]
        assert (
            templates.gaussian(5, 0).weights.tolist() == np.outer([0, 0, 1, 0, 0], [0, 0, 1, 0, 0]).tolist()
        )
        along = templates.gaussian(sigma=(0, 2))
        assert along.weights.tolist() == [templates.gaussian_taps(sigma=2).tolist()]
        assert templates.gaussian((1, 5), (0, 1), "integer").shape == (1, 5)
        assert templates.gaussian_cutoff((1, 17), (0, 2)) == pytest.approx(
            templates.gaussian_cutoff(17, 2) / 2, rel=1e-3
        )

    @pytest.mark.parametrize("sigma", [-1, -1e-300, math.nan, math.inf, 512.1, 1e300])
    def test_sigma_out_of_range(self, sigma):
        for make in (templates.gaussian, templates.gaussian_taps):
            with pytest.raises(ParameterError, match=re.escape(f"sigma {sigma!r} is out")):
                make(3, sigma)

    @pytest.mark.parametrize("size", [0, -3, 4098, True, (3, 0)])
    def test_size_out_of_range(self, size):
        with pytest.raises(ParameterError, match="from 1 to 4097"):
            templates.gaussian(size)

    @pytest.mark.parametrize("size", [3.0, "3", (3, None)])
    def test_size_that_is_no_whole_number(self, size):
        with pytest.raises(DtypeError, match="whole number"):
            templates.gaussian(size)

    @pytest.mark.parametrize("argument", [{"size": (1, 2, 3)}, {"sigma": (1, 2, 3)}])
    def test_three_numbers_are_no_pair(self, argument):
        with pytest.raises(ParameterError, match="3 numbers"):
            templates.gaussian(**argument)

    def test_sigma_that_is_no_number(self):
        with pytest.raises(DtypeError, match="'wide'"):
            templates.gaussian(3, "wide")

    def test_unknown_form(self):
        with pytest.raises(ParameterError, match="choose float or integer"):
            templates.gaussian(3, 1, "int")

    def test_cutoff_is_what_lies_outside(self):
        assert templates.gaussian_cutoff(1, 1) == pytest.approx(1 - math.erf(0.5 / math.sqrt(2)) ** 2)
        assert templates.gaussian_cutoff(17, 2) < 1e-4


class TestIntegerGaussian:
    @pytest.mark.parametrize(("size", "sigma", "rounding", "text"), INTEGER_TABLE)
    def test_table_of_the_notes(self, size, sigma, rounding, text):
        assert templates.gaussian(size, sigma, "integer", rounding) == parse(text)

    @pytest.mark.parametrize(
        ("sigma", "classic"), [(0.7882, False), (0.789, True), (0.8493, True), (0.85, False)]
    )
    def test_range_of_sigma_that_gives_the_classic_template(self, sigma, classic):
        assert (templates.gaussian(3, sigma, "integer") == parse("1 2 1; 2 4 2; 1 2 1 / 16")) == classic

    @given(st.integers(1, 10), st.floats(0.5, 4))
    def test_integers_with_1_in_the_corner_over_their_sum(self, half, factor):
        size, sigma = 2 * half + 1, factor * half / 4
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", templates.TemplateWarning)
            try:
                kernel = templates.gaussian(size, sigma, "integer")
            except ParameterError:
                assert half / sigma > 5
                return
        assert np.array_equal(kernel.weights, np.floor(kernel.weights))
        assert kernel.weights[0, 0] == 1
        assert kernel.divisor == kernel.weights.sum() <= MAX_INTEGER_SUM
        assert int(kernel.divisor) * 65535 < 2**63
        assert len(kernel.symmetry) == 4

    @pytest.mark.parametrize("sigma", [(0.8, 1.6), (0.9, 0.7)])
    def test_two_sigmas(self, sigma):
        weights = templates.gaussian((3, 5), sigma, "integer").weights
        centre = 1 / (2 * sigma[0] ** 2) + 4 / (2 * sigma[1] ** 2)
        assert weights[1, 2] == math.floor(math.exp(centre))
        assert weights[0, 0] == weights[-1, -1] == 1

    @pytest.mark.parametrize("rounding", ["floor", "round"])
    @pytest.mark.parametrize("size", [5, 11, 21, (3, 9)])
    def test_the_sigma_named_in_the_refusal_is_the_smallest_that_fits(self, size, rounding):
        with pytest.raises(ParameterError, match="smallest sigma that fits") as refusal:
            templates.gaussian(size, 0.1, "integer", rounding)
        named = float(str(refusal.value).rsplit(" ", 1)[1])
        assert templates.gaussian(size, named, "integer", rounding).weights[0, 0] == 1
        with pytest.raises(ParameterError):
            templates.gaussian(size, named * 0.998, "integer", rounding)

    def test_a_refused_pair_keeps_its_proportion(self):
        with pytest.raises(ParameterError, match=r"fits is (\d\.\d+)x(\d\.\d+)$") as refusal:
            templates.gaussian(21, (0.5, 1.0), "integer")
        small, large = map(float, str(refusal.value).rsplit(" ", 1)[1].split("x"))
        assert large == pytest.approx(2 * small, rel=1e-3)
        templates.gaussian(21, (small, large), "integer")

    @pytest.mark.parametrize("sigma", [1e-300, 1e-3])
    def test_no_overflow_on_the_way_to_the_refusal(self, sigma):
        with pytest.raises(ParameterError, match="too small"):
            templates.gaussian(1025, sigma, "integer")

    @pytest.mark.parametrize(("size", "sigma"), [(3, 1.21), (5, 2.41)])
    def test_all_ones_warns(self, size, sigma):
        with pytest.warns(templates.TemplateWarning, match="all ones"):
            kernel = templates.gaussian(size, sigma, "integer")
        assert kernel == templates.mean(size)
        templates.gaussian(size, sigma - 0.02, "integer")

    def test_one_pixel_is_the_identity_and_does_not_warn(self):
        assert templates.gaussian(1, 1, "integer") == Kernel([1])

    @pytest.mark.parametrize("size", [2, (3, 4)])
    def test_even_sizes_are_refused(self, size):
        with pytest.raises(ParameterError, match="odd sizes only"):
            templates.gaussian(size, 1, "integer")

    def test_unknown_rounding(self):
        with pytest.raises(ParameterError, match="choose floor or round"):
            templates.gaussian(3, 1, "integer", "ceil")


class TestMeanAndDerivative:
    @given(sizes, sizes)
    def test_mean_is_ones_over_their_number(self, rows, columns):
        kernel = templates.mean((rows, columns))
        assert kernel == Kernel(np.ones((rows, columns)), rows * columns)

    @pytest.mark.parametrize(
        ("axis", "text"), [("x", "1 -2 1"), ("y", "1; -2; 1"), ("both", "0 1 0; 1 -4 1; 0 1 0")]
    )
    def test_second_derivative(self, axis, text):
        assert templates.second_derivative(axis) == parse(text)

    def test_unknown_axis(self):
        with pytest.raises(ParameterError, match="'z' is not known; choose x, y or both"):
            templates.second_derivative("z")


LITERAL = {
    "identity": "0 0 0; 0 1 0; 0 0 0",
    "identity:1": "1",
    "identity:2x4": "0 1 0 0; 0 0 0 0",
    "mean:5x7": ";".join(["1 1 1 1 1 1 1"] * 5) + "/ 35",
    "gaussian:3:0.8:integer": "1 2 1; 2 4 2; 1 2 1 / 16",
    "gaussian:3:0.8:integer-round": "1 2 1; 2 5 2; 1 2 1 / 17",
    "binomial": "1 2 1; 2 4 2; 1 2 1 / 16",
    "binomial:5x1": "1; 4; 6; 4; 1 / 16",
    "sharpen": "0 -1 0; -1 5 -1; 0 -1 0",
    "sharpen:0.5": "0 -0.5 0; -0.5 3 -0.5; 0 -0.5 0",
    "emboss": "-2 -1 0; -1 1 1; 0 1 2",
    "laplacian-4": "0 1 0; 1 -4 1; 0 1 0",
    "laplacian-8": "1 1 1; 1 -8 1; 1 1 1",
    "second-derivative:y": "1; -2; 1",
    "sobel-x": "-1 0 1; -2 0 2; -1 0 1",
    "sobel-y": "-1 -2 -1; 0 0 0; 1 2 1",
    "scharr-x": "-3 0 3; -10 0 10; -3 0 3",
    "scharr-y": "-3 -10 -3; 0 0 0; 3 10 3",
    "prewitt-x": "-1 0 1; -1 0 1; -1 0 1",
    "prewitt-y": "-1 -1 -1; 0 0 0; 1 1 1",
    "roberts-x": "1 0; 0 -1",
    "roberts-y": "0 1; -1 0",
    "kirsch-n": "5 5 5; -3 0 -3; -3 -3 -3",
    "kirsch-nw": "5 5 -3; 5 0 -3; -3 -3 -3",
    "kirsch-w": "5 -3 -3; 5 0 -3; 5 -3 -3",
    "kirsch-sw": "-3 -3 -3; 5 0 -3; 5 5 -3",
    "kirsch-s": "-3 -3 -3; -3 0 -3; 5 5 5",
    "kirsch-se": "-3 -3 -3; -3 0 5; -3 5 5",
    "kirsch-e": "-3 -3 5; -3 0 5; -3 -3 5",
    "kirsch-ne": "-3 5 5; -3 0 5; -3 -3 -3",
    "disk:1": "0 1 0; 1 1 1; 0 1 0 / 5",
    "disk:0": "1",
    "motion:5:0": "1 1 1 1 1 / 5",
    "motion:3:90": "1; 1; 1 / 3",
    "motion:4:180": "0.5 1 1 1 0.5 / 4",
    "motion:1": "1",
}


class TestNamed:
    @pytest.mark.parametrize(("name", "text"), LITERAL.items())
    def test_weights(self, name, text):
        kernel = templates.named(name)
        assert kernel == parse(text)
        assert kernel.name == name

    @pytest.mark.parametrize(("divisor", "ratio_sigma"), [(159, 1.4), (273, 1.0)])
    def test_classic_templates_sum_to_1(self, divisor, ratio_sigma):
        kernel = templates.named(f"gaussian-{divisor}")
        assert kernel.divisor == kernel.weights.sum() == divisor
        exact = templates.gaussian(5, ratio_sigma).array
        assert np.abs(kernel.array - exact).max() < 0.013

    def test_159_is_the_rounded_gaussian(self):
        assert np.array_equal(
            templates.named("gaussian-159").weights, np.rint(159 * templates.gaussian(5, 1.4).array)
        )

    @pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry.name)
    def test_defaults_work_and_are_described(self, entry):
        kernel = templates.named(entry.name)
        assert kernel.name == entry.name
        assert entry.summary
        assert entry.usage.startswith(entry.name)
        # An empty parameter takes its default.
        assert templates.named(entry.name + ":" * len(entry.parameters)) == kernel

    def test_written_defaults_are_the_real_ones(self):
        for entry in REGISTRY:
            written = [
                p.default if p.default[0].isalnum() and "*" not in p.default else "" for p in entry.parameters
            ]
            assert templates.named(":".join([entry.name, *written])) == templates.named(entry.name)

    def test_names_are_unique(self):
        assert len(set(templates.names())) == len(REGISTRY)

    @pytest.mark.parametrize(
        "name",
        ["identity", "mean", "gaussian", "binomial:7", "disk:3.3", "motion:9:30", "sharpen:2", "unsharp"],
    )
    def test_sum_is_1(self, name):
        assert templates.named(name).sum == pytest.approx(1, abs=1e-15)

    @pytest.mark.parametrize(
        "name", ["log:9:1.4", "dog", "dog:9:1:2", "laplacian-8", "kirsch-n", "gabor:8:30::90"]
    )
    def test_sum_is_0(self, name):
        assert templates.named(name).sum == pytest.approx(0, abs=1e-15)

    @pytest.mark.parametrize("name", templates.names())
    def test_template_names_are_names(self, name):
        assert templates.named(name).array.shape[0] > 0

    @pytest.mark.parametrize(
        "kernel",
        [
            templates.gaussian(5, 1.25),
            templates.gaussian((5, 3), (1, 1 / 3)),
            templates.gaussian(3, 0.8, "integer"),
            templates.gaussian(3, 0.8, "integer", "round"),
            templates.mean((5, 7)),
            templates.second_derivative("x"),
        ],
        ids=lambda kernel: kernel.name,
    )
    def test_a_template_is_found_by_its_own_name(self, kernel):
        assert templates.named(kernel.name) == kernel

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("sobel", "did you mean sobel-x, sobel-y"),
            ("gausian:3", "did you mean gaussian"),
            ("xyzzy", "known are identity, mean"),
            ("", "known are"),
            ("sobel-x:3", "1 parameters; write sobel-x$"),
            ("log:9:1.4:2", "write log\\[:SIZE\\[:SIGMA\\]\\]"),
            ("gaussian:three", "size 'three' cannot be read"),
            ("gaussian:3:2x", "sigma '2x' cannot be read"),
            ("gaussian:3:nan", "sigma nan is out of range"),
            ("gaussian:3:1:int", "integer-round"),
            ("binomial:28", "at most 27"),
            ("disk:513", "radius 513.0 is out of range; give a number from 0 to 512"),
            ("motion:0.5", "length 0.5"),
            ("motion:9:inf", "angle inf"),
            ("sharpen:nan", "amount nan"),
            ("unsharp::200", "too large; at most 1025"),
            ("log:9:0", "sigma 0.0 is out of range"),
            ("log:2000:1", "too large"),
            ("dog:3:1:0", "sigma 0.0"),
            ("identity:4000", "too large"),
            ("gabor:1", "wavelength 1.0"),
            ("gabor:8:0:1:0:9", "aspect 9.0"),
        ],
    )
    def test_refused(self, name, message):
        with pytest.raises(ParameterError, match=message):
            templates.named(name)


class TestFormulas:
    def test_laplacian_of_gaussian_is_the_second_derivative_of_the_gaussian(self):
        sigma, step = 3.0, 1e-3
        axis = np.arange(-12, 13)
        y, x = np.meshgrid(axis, axis, indexing="ij")

        def surface(dy, dx):
            return np.exp(-((y + dy) ** 2 + (x + dx) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)

        around = surface(step, 0) + surface(-step, 0) + surface(0, step) + surface(0, -step)
        laplacian = (around - 4 * surface(0, 0)) / step**2
        np.testing.assert_allclose(formulas.laplacian_of_gaussian(25, sigma).array, laplacian, atol=2e-6)

    @pytest.mark.parametrize(("length", "angle"), [(9, 30), (7.5, 60), (5, 135), (3, -20)])
    def test_motion_weighs_by_the_distance_from_its_line(self, length, angle):
        kernel = formulas.motion(length, angle)
        rows, columns = kernel.shape
        # The image's rows run downwards, so anticlockwise is up.
        end = (length - 1) / 2 * np.array([-math.sin(math.radians(angle)), math.cos(math.radians(angle))])
        line = np.linspace(-end, end, 2001)
        for (row, column), weight in np.ndenumerate(kernel.weights):
            place = np.array([row - (rows - 1) / 2, column - (columns - 1) / 2])
            distance = np.linalg.norm(line - place, axis=1).min()
            assert weight == pytest.approx(max(0, 1 - distance), abs=1e-3)
        assert kernel.weights[[0, -1]].any(axis=1).all()
        assert kernel.weights[:, [0, -1]].any(axis=0).all()

    def test_gabor_answers_most_to_its_own_wave(self):
        kernel = formulas.gabor(8, 30)
        half = kernel.shape[0] // 2
        y, x = np.mgrid[-half : half + 1, -half : half + 1]

        def response(wavelength, degrees):
            turn = np.deg2rad(degrees)
            return (
                kernel.array * np.cos(2 * np.pi * (x * np.cos(turn) - y * np.sin(turn)) / wavelength)
            ).sum()

        assert response(8, 30) == pytest.approx(0.5, abs=0.01)
        assert max(response(8, 75), response(16, 30), response(4, 30), response(8, -30)) < 0.2

    def test_turning_a_gabor_by_90_degrees_transposes_it(self):
        assert np.array_equal(formulas.gabor(8, 90).weights, formulas.gabor(8, 0).weights.T)

    def test_disk_counts_pixel_centres(self):
        kernel = formulas.disk(2.5)
        assert kernel.divisor == 21
        assert kernel.shape == (5, 5)
