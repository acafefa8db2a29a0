import builtins
import re

import numpy as np
import pytest
from PIL import Image

from cnnfilter.drawing.kernels import plot
from cnnfilter.errors import CnnFilterError, ImageFileError, ParameterError
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.kernels.kernelfile import parse
from cnnfilter.kernels.kernelview import describe, frequency_response, heatmap
from cnnfilter.kernels.templates import named


def facts(kernel):
    """The lines of a description by their first word; further lines of a fact are joined."""
    found, name = {}, ""
    for line in describe(kernel).split("\n"):
        name = line[:10].strip() or name
        found[name] = [*found.get(name, []), line[10:]]
    return {name: "\n".join(lines) for name, lines in found.items()}


class TestDescribe:
    def test_an_integer_template(self):
        found = facts(named("gaussian:3:0.8:integer"))
        assert found["weights"] == "1 2 1\n2 4 2\n1 2 1\n/ 16"
        assert found["sum"] == "1, exactly 16/16: a constant image stays as it is"
        assert found["rank"] == "1: separable, 6 multiplications a pixel instead of 9"
        assert (found["column"], found["row"]) == ("1 2 1", "1 2 1")
        distance = np.abs(named("gaussian:3:0.8:integer").array - named("gaussian:3:0.8").array).max()
        assert found["accuracy"].startswith(f"at most {distance:.3g} from")

    @pytest.mark.parametrize("name", ["gaussian:3:0.8", "sobel-x"])
    def test_only_an_integer_template_has_an_accuracy(self, name):
        assert "accuracy" not in facts(named(name))

    @pytest.mark.parametrize(
        ("text", "total"),
        [
            ("1 -1", "0: a constant image becomes 0"),
            ("0.1 0.2 -0.3", "0: a constant image becomes 0"),
            ("0.1 0.2 0.7", "1: a constant image stays as it is"),
            ("1 2 / 2", "1.5: a constant image is multiplied by 1.5"),
        ],
    )
    def test_sum(self, text, total):
        assert facts(parse(text))["sum"] == total

    def test_gain(self):
        assert facts(parse("3 -4 / 2"))["gain"] == "at most 3.5 (sum of absolute weights), 2.5 on white noise"

    @pytest.mark.parametrize(
        ("kernel", "rank"),
        [
            (parse("0 0; 0 0"), "0: all weights are 0"),
            (parse("1 2 3"), "1: one row"),
            (parse("1; 2"), "1: one column"),
            (parse("1 2; 3 4"), "2: a sum of 2 separable kernels"),
            (
                named("gabor:8:30"),
                "2: a sum of 2 separable kernels, 148 multiplications a pixel instead of 1369",
            ),
        ],
    )
    def test_rank(self, kernel, rank):
        assert facts(kernel)["rank"] == rank

    def test_no_symmetry(self):
        assert facts(parse("1 2; 3 4"))["symmetry"] == "none"

    def test_wide_kernels_are_not_printed_as_numbers(self):
        found = facts(named("mean:21"))
        assert "weights" not in found
        assert found["row"].endswith("1 … (21)")
        assert max(map(len, describe(named("mean:99")).split("\n"))) < 100


class TestHeatmap:
    def test_shades_and_signs(self):
        assert heatmap(parse("8 6 4; 2 0.5 0; -8 -2 -0.01")).split("\n")[:3] == [" █ ▓ ▒", " ░ ·", "-█-░"]

    def test_colours(self):
        lines = heatmap(parse("1 0 -1"), color=True).split("\n")
        # Pure red, white and pure blue of the 256 colours.
        assert re.findall(r"48;5;(\d+)m  \x1b\[0m", lines[0]) == ["196", "231", "21"]
        assert "is 1" in lines[1]

    @pytest.mark.parametrize("color", [False, True])
    @pytest.mark.parametrize("shape", [(1, 200), (200, 1), (40, 41), (39, 39)])
    def test_fits_a_terminal(self, shape, color):
        lines = heatmap(Kernel(np.ones(shape)), color).split("\n")
        plain = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines]
        assert max(map(len, plain)) <= 80
        assert len(lines) <= 40

    def test_a_large_kernel_shows_the_strongest_of_each_square(self):
        weights = np.zeros((50, 50))
        weights[0, 0], weights[1, 1], weights[49, 49] = 1, -2, 1
        lines = heatmap(Kernel(weights)).split("\n")
        assert lines[0] == "-█"
        assert lines[24] == " " * 48 + " ▒"
        assert lines[-1] == "█ is 2, a cell is the strongest of 2x2 weights"

    def test_zeros(self):
        assert heatmap(Kernel(np.zeros((2, 2)))) == "\n\n█ is 0, a cell is one weight"


class TestFrequencyResponse:
    @pytest.mark.parametrize("name", ["sobel-x", "motion:9:30", "mean:5x31"])
    def test_is_the_sum_over_waves(self, name):
        kernel, samples = named(name), 16  # smaller than the last kernel
        u, v = np.indices(kernel.shape)
        frequencies = np.arange(-8, 8) / samples
        waves = np.exp(
            -2j * np.pi * (frequencies[:, None, None, None] * u + frequencies[None, :, None, None] * v)
        )
        expected = np.abs((kernel.array * waves).sum(axis=(2, 3)))
        np.testing.assert_allclose(frequency_response(kernel, samples), expected, atol=1e-12)


class TestPlot:
    @pytest.mark.parametrize("name", ["sobel-x", "gaussian:81:10", "motion:9", "identity:1"])
    def test_png(self, name, tmp_path):
        plot(named(name), tmp_path / "k.png")
        pixels = np.asarray(Image.open(tmp_path / "k.png").convert("RGB"))
        assert pixels.shape == (630, 1950, 3)
        # Three panels, none of them blank.
        for panel in np.array_split(pixels, 3, axis=1):
            assert len(np.unique(panel.reshape(-1, 3), axis=0)) > 20

    @pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("PDF", b"%PDF")])
    def test_other_forms(self, suffix, magic, tmp_path):
        plot(parse("0 0; 0 0"), str(tmp_path / f"k.{suffix}"))
        assert (tmp_path / f"k.{suffix}").read_bytes().startswith(magic)

    def test_another_suffix(self, tmp_path):
        with pytest.raises(ParameterError, match=r"k\.txt' is no drawing; it must end in \.png"):
            plot(named("sobel-x"), tmp_path / "k.txt")

    def test_a_folder_that_is_missing(self, tmp_path):
        with pytest.raises(ImageFileError, match=r"none/k\.png: No such file"):
            plot(named("sobel-x"), tmp_path / "none" / "k.png")

    def test_without_matplotlib(self, tmp_path, monkeypatch):
        real = builtins.__import__

        def without(name, *rest):
            if name.startswith("matplotlib"):
                raise ModuleNotFoundError(name)
            return real(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(CnnFilterError, match=r"pip install 'cnnfilter\[plot\]'"):
            plot(named("sobel-x"), tmp_path / "k.png")
