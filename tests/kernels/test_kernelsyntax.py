import io
import json
import os
import re
import shlex
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from cnnfilter.errors import ParameterError
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.kernels.kernelfile import parse
from cnnfilter.kernels.kernelsyntax import SYNTAXES, as_text
from cnnfilter.kernels.templates import gaussian, mean, named

BLUR = parse("1 2 1; 2 4 2; 1 2 1 / 16")

# No symmetry, so that a turned, mirrored or shifted kernel shows; gain 1, so that 8 bits hold the result.
ASYMMETRIC = {
    "3x3": parse("1 2 3; 4 -5 6; 7 8 9 / 35"),
    "1x3": parse("1 2 3 / 6"),
    "3x1": parse("1; 2; 3 / 6"),
    "2x2": parse("1 2; 3 4 / 10"),
    "2x4": parse("1 2 3 4; 5 6 7 8 / 36"),
    "4x3": parse("1 2 3; 4 5 6; 7 8 9; 10 11 12 / 78"),
    "7x5": Kernel(np.arange(35).reshape(7, 5), 595),
    "1x9": Kernel([np.arange(9)], 36),
}
# Other gains, tiny weights in exponent notation.
GAINS = {
    "half": parse("1 2 3; 4 5 6; 7 8 9 / 90"),
    "negative divisor": parse("-1 -2; 3 -4 / -8"),
    "gaussian": gaussian(9, 0.6),
    "tiny": Kernel([[1e-5, 0.5, -3e-7]]),
}


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(5).integers(0, 256, (24, 31), dtype=np.uint8)


def expected(image, kernel):
    # An even kernel is centred at (size - 1) // 2, which scipy calls an origin of -1.
    origin = [side % 2 - 1 for side in kernel.shape]
    return ndimage.correlate(image.astype(np.float64), kernel.array, mode="nearest", origin=origin)


def interior(pixels, kernel):
    rows, columns = kernel.shape
    return pixels[rows:-rows, columns:-columns]


def run(*command):
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run([program, *command[1:]], check=True, capture_output=True).stdout


def imagemagick():
    """Return the program that is ImageMagick; another may have its name."""
    folders = os.environ["PATH"].split(os.pathsep)
    for program in (shutil.which(name, path=folder) for name in ("magick", "convert") for folder in folders):
        if program and b"ImageMagick" in subprocess.run([program, "-version"], capture_output=True).stdout:
            return program
    pytest.skip("ImageMagick is not installed")


def every(kernels):
    return pytest.mark.parametrize("kernel", kernels.values(), ids=kernels)


class TestRunByTheProgram:
    @every(ASYMMETRIC | GAINS)
    def test_imagemagick(self, kernel, image, tmp_path):
        source = tmp_path / "in.png"
        Image.fromarray(image).save(source)
        result = run(imagemagick(), str(source), *shlex.split(as_text(kernel, "imagemagick")), "pgm:-")
        pixels = np.asarray(Image.open(io.BytesIO(result)))
        reference = np.clip(expected(image, kernel), 0, 255)
        assert np.abs(interior(pixels - reference, kernel)).max() < 0.51

    @every(ASYMMETRIC | GAINS)
    def test_vips(self, kernel, image, tmp_path):
        source, mask, out = tmp_path / "in.png", tmp_path / "kernel.mat", tmp_path / "out.tif"
        Image.fromarray(image).save(source)
        mask.write_text(as_text(kernel, "vips"))
        run("vips", "conv", str(source), str(out), str(mask))
        pixels = np.asarray(Image.open(out))
        np.testing.assert_allclose(
            interior(pixels, kernel), interior(expected(image, kernel), kernel), atol=1e-4
        )

    @every(ASYMMETRIC | GAINS)
    def test_gmic(self, kernel, image, tmp_path):
        source, out = tmp_path / "in.png", tmp_path / "out.tif"
        Image.fromarray(image).save(source)
        run("gmic", str(source), *shlex.split(as_text(kernel, "gmic")), "output", f"{out},float32")
        pixels = np.asarray(Image.open(out))
        np.testing.assert_allclose(
            interior(pixels, kernel), interior(expected(image, kernel), kernel), atol=1e-4
        )

    @every(ASYMMETRIC | {"zero sum": parse("0 1; -1 0")})
    def test_ffmpeg(self, kernel, image, tmp_path):
        source, out = tmp_path / "in.png", tmp_path / "out.png"
        Image.fromarray(image).save(source)
        arguments = shlex.split(as_text(kernel, "ffmpeg"))
        run("ffmpeg", "-loglevel", "error", "-i", str(source), *arguments, "-pix_fmt", "gray", str(out))
        pixels = np.asarray(Image.open(out))
        reference = np.clip(expected(image, kernel), 0, 255)
        assert np.abs(interior(pixels - reference, kernel)).max() < 0.51

    @every(ASYMMETRIC | GAINS)
    def test_c(self, kernel, tmp_path):
        code = tmp_path / "kernel.c"
        rows, columns = kernel.shape
        code.write_text(
            "#include <stdio.h>\n"
            + as_text(kernel, "c")
            + f"int main(void) {{ for (int i = 0; i < {rows}; i++) for (int j = 0; j < {columns}; j++)"
            ' printf("%a\\n", kernel[i][j] / kernel_divisor); return 0; }'
        )
        run("cc", str(code), "-o", str(tmp_path / "kernel"))
        values = [float.fromhex(line) for line in run(str(tmp_path / "kernel")).decode().split()]
        assert np.array_equal(np.reshape(values, kernel.shape), kernel.array)


class TestText:
    @pytest.mark.parametrize("form", SYNTAXES)
    def test_every_form_is_text_that_ends_a_line_or_bytes(self, form):
        text = as_text(BLUR, form)
        assert isinstance(text, bytes) if form == "npy" else text.endswith("\n")

    def test_numpy_gives_the_array_back(self):
        for kernel in (ASYMMETRIC | GAINS).values():
            scope = {}
            exec(as_text(kernel, "numpy"), scope)
            assert np.array_equal(scope["kernel"], kernel.array)

    def test_npy_gives_the_array_back(self):
        assert np.array_equal(np.load(io.BytesIO(as_text(BLUR, "npy")), allow_pickle=False), BLUR.array)

    def test_json_and_csv_are_the_file_forms(self):
        assert json.loads(as_text(BLUR, "json"))["divisor"] == 16
        assert parse(as_text(BLUR, "csv")) == BLUR

    def test_table_is_aligned(self):
        assert as_text(parse("1 -10 1 / 8")) == "  1 -10   1\n/ 8\n"

    def test_latex(self):
        expected_text = (
            "\\frac{1}{4}\\left[\\begin{array}{rr}\n1 & 2 \\times 10^{-6} \\\\\n3 & 4\n\\end{array}\\right]\n"
        )
        assert as_text(parse("1 2e-6; 3 4 / 4"), "latex") == expected_text

    def test_ffmpeg_leaves_the_divisor_to_the_program_where_it_agrees(self):
        assert "rdiv" not in as_text(BLUR, "ffmpeg")
        assert "rdiv" not in as_text(named("sobel-x"), "ffmpeg")
        assert "0rdiv=0.5" in as_text(parse("1 2 1 / 2"), "ffmpeg")

    def test_ffmpeg_negative_divisor_turns_the_weights(self):
        assert as_text(parse("1 -2 1 / -1"), "ffmpeg").startswith("-vf 'convolution=0m=-1 2 -1:0mode=row:1m=")

    @pytest.mark.parametrize(
        ("kernel", "reason"),
        [
            (gaussian(3, 0.8), "whole weights only"),
            (mean(9), "up to 7x7.* 9x9"),
            (mean((1, 51)), "up to 49 in one row or column"),
            (Kernel([[2.0**30, 1, 2]]), "32 bits"),
        ],
    )
    def test_ffmpeg_refuses_what_it_cannot_do(self, kernel, reason):
        with pytest.raises(ParameterError, match=reason):
            as_text(kernel, "ffmpeg")

    def test_unknown_form(self):
        with pytest.raises(
            ParameterError, match=re.escape("'matlab' is not known; choose one of table, json")
        ):
            as_text(BLUR, "matlab")
