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
from cnnfilter.kernels.kernelfile import kernel_from, load, parse
from cnnfilter.kernels.kernelsyntax import SYNTAXES, as_text, remarks
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
    "9x1": Kernel(np.arange(9)[:, None], 36),
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


@pytest.fixture(scope="module")
def colours():
    """Return opaque parts and others, with colours unlike each other."""
    image = np.random.default_rng(6).integers(0, 256, (24, 31, 4), dtype=np.uint8)
    image[..., 3] = 255
    image[5:12, 5:12, 3] = 90
    return image


def expected_colours(image, kernel):
    """Filter each colour, and leave a fourth channel alone."""
    planes = [np.clip(expected(plane, kernel), 0, 255) for plane in np.moveaxis(image[..., :3], 2, 0)]
    return np.dstack([*planes, *np.moveaxis(image[..., 3:], 2, 0)])


class TestColours:
    """Kernels of sum 0 on pictures with alpha, and colour differences."""

    zero_sums = every(
        {"sobel-x": named("sobel-x"), "laplacian": named("laplacian-8"), "2x2": parse("1 0; 0 -1")}
    )

    def hold(self, result, image, kernel):
        pixels = np.asarray(Image.open(result))
        assert pixels.shape == image.shape
        assert np.abs(interior(pixels - expected_colours(image, kernel), kernel)).max() < 0.51

    @zero_sums
    @pytest.mark.parametrize("channels", [3, 4])
    def test_imagemagick(self, kernel, channels, colours, tmp_path):
        image = colours[..., :channels]
        source, out = tmp_path / "in.png", tmp_path / "out.tif"
        Image.fromarray(image).save(source)
        run(imagemagick(), str(source), *shlex.split(as_text(kernel, "imagemagick")), str(out))
        self.hold(out, image, kernel)

    def test_imagemagick_filters_the_black_of_cmyk(self, colours, tmp_path):
        kernel, source, out = named("sobel-x"), tmp_path / "in.tif", tmp_path / "out.tif"
        Image.frombytes("CMYK", colours.shape[1::-1], colours.tobytes()).save(source)
        run(imagemagick(), str(source), *shlex.split(as_text(kernel, "imagemagick")), str(out))
        black = np.clip(expected(colours[..., 3], kernel), 0, 255)
        assert np.abs(interior(np.asarray(Image.open(out))[..., 3] - black, kernel)).max() < 0.51

    @zero_sums
    @pytest.mark.parametrize("channels", [3, 4])
    def test_gmic(self, kernel, channels, colours, tmp_path):
        image = colours[..., :channels]
        source, out = tmp_path / "in.png", tmp_path / "out.png"
        Image.fromarray(image).save(source)
        run("gmic", str(source), *shlex.split(as_text(kernel, "gmic")), "cut", "0,255", "output", str(out))
        self.hold(out, image, kernel)

    def test_gmic_of_several_pictures(self, colours, tmp_path):
        sources, kernel = [tmp_path / "a.png", tmp_path / "b.png"], named("sobel-x")
        Image.fromarray(colours).save(sources[0])
        Image.fromarray(colours[..., :3]).save(sources[1])
        words = shlex.split(as_text(kernel, "gmic"))
        run("gmic", *map(str, sources), *words, "cut", "0,255", "output", str(tmp_path / "out.png"))
        self.hold(tmp_path / "out_000000.png", colours, kernel)
        self.hold(tmp_path / "out_000001.png", colours[..., :3], kernel)

    @zero_sums
    @pytest.mark.parametrize("channels", [3, 4])
    def test_ffmpeg(self, kernel, channels, colours, tmp_path):
        image = colours[..., :channels]
        source, out = tmp_path / "in.png", tmp_path / "out.png"
        Image.fromarray(image).save(source)
        run(
            "ffmpeg",
            "-loglevel",
            "error",
            "-i",
            str(source),
            *shlex.split(as_text(kernel, "ffmpeg")),
            str(out),
        )
        self.hold(out, image, kernel)

    def test_ffmpeg_keeps_16_bits(self, tmp_path):
        image = np.random.default_rng(7).integers(0, 2**16, (24, 31), dtype=np.uint16)
        source, out, kernel = tmp_path / "in.png", tmp_path / "out.png", named("mean:3")
        Image.fromarray(image).save(source)
        run(
            "ffmpeg",
            "-loglevel",
            "error",
            "-i",
            str(source),
            *shlex.split(as_text(kernel, "ffmpeg")),
            str(out),
        )
        pixels = np.asarray(Image.open(out))
        assert np.abs(interior(pixels - expected(image, kernel), kernel)).max() < 0.6

    def test_ffmpeg_filters_colours_of_a_jpeg_and_not_their_differences(self, tmp_path):
        rows, columns = np.mgrid[:48, :64]
        image = np.dstack([rows * 5, columns * 4, 255 - rows * 2 - columns * 2]).astype(np.uint8)
        source, plain, out = (tmp_path / name for name in ("in.jpg", "plain.png", "out.png"))
        Image.fromarray(image).save(source, quality=95, subsampling=2)
        kernel, read = named("sobel-x"), ("ffmpeg", "-loglevel", "error", "-i", str(source))
        run(*read, "-vf", "format=gbrp", "-pix_fmt", "rgb24", str(plain))
        run(*read, *shlex.split(as_text(kernel, "ffmpeg")), "-pix_fmt", "rgb24", str(out))
        self.hold(out, np.asarray(Image.open(plain)), kernel)

    @pytest.mark.parametrize(
        ("kernel", "form", "remark"),
        [
            (named("sobel-x"), "vips", "makes it 0; take it off first"),
            (parse("1 2 1 / 8"), "ffmpeg", "before 6 ignores rdiv and divides by 4, .* not by 8"),
            (parse("1 2 1 / -4"), "ffmpeg", "divides by -4, .* not by 4"),
        ],
    )
    def test_what_the_text_cannot_say_is_remarked(self, kernel, form, remark):
        assert re.search(remark, "\n".join(remarks(kernel, form)))

    @pytest.mark.parametrize("form", SYNTAXES)
    def test_nothing_is_remarked_of_a_blur(self, form):
        assert remarks(BLUR, form) == []


READ_AGAIN = ASYMMETRIC | GAINS | {"sobel": named("sobel-x"), "over 49": parse("1 2 3; 4 5 6; 7 8 9 / 49")}


class TestReadAgain:
    """What is written for another program is a kernel here."""

    @every(READ_AGAIN)
    @pytest.mark.parametrize("form", ["numpy", "c", "imagemagick", "vips", "gmic", "ffmpeg", "latex"])
    def test_exported_kernels(self, form, kernel, image, tmp_path):
        try:
            text = as_text(kernel, form)
        except ParameterError:
            pytest.skip("the program cannot do this one")
        path = tmp_path / "kernel.txt"
        path.write_text(text)
        found = [load(path)] if form == "vips" else [load(path), kernel_from(text)]
        for again in found:  # with zeros around, where a program centres even sizes elsewhere
            result, reference = expected(image, again), expected(image, kernel)
            tolerance = 1e-3 if form == "latex" else 1e-10
            assert np.abs(interior(result - reference, kernel)).max() < tolerance

    def test_quotes_may_be_gone(self):
        words = shlex.split(as_text(BLUR, "imagemagick"))
        assert np.array_equal(kernel_from(" ".join(words)).array, BLUR.array)
        assert kernel_from(as_text(BLUR, "ffmpeg").split("'")[1]) == BLUR

    @pytest.mark.parametrize("suffix", ["mat", "c", "py", "tex"])
    def test_files_of_the_programs_suffix(self, suffix, tmp_path):
        form = {"mat": "vips", "c": "c", "py": "numpy", "tex": "latex"}[suffix]
        path = tmp_path / f"kernel.{suffix}"
        path.write_text(as_text(BLUR, form))
        assert np.array_equal(kernel_from(str(path)).array, BLUR.array)

    def test_matrices_that_differ_by_plane(self):
        with pytest.raises(ParameterError, match="FFmpeg's planes differ"):
            kernel_from("convolution=0m=1 2 1:0mode=row:1m=1 3 1:1mode=row")

    @pytest.mark.parametrize("text", ["convolution=0m=1 x 1:0mode=row", "convolution=0m=1:0mode=row:0rdiv=0"])
    def test_what_is_no_number(self, text):
        with pytest.raises(ParameterError, match="no number"):
            kernel_from(text)


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
        assert (
            as_text(parse("1 -2 1 / -1"), "ffmpeg")
            .split(",")[1]
            .startswith("convolution=0m=-1 2 -1:0mode=row:1m=")
        )

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
