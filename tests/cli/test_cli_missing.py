"""Missing pixels from file to file: what a file declares, ``--missing`` and ``--fill``."""

import json

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from commandline import cnnfilter, complaint

import cnnfilter as cf
from cnnfilter.cli.group import cnnfilter as root
from cnnfilter.files.weightsfile import write_tensors
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
from cnnfilter.nn.models import build
from cnnfilter.pixels.light import linear_to_srgb, srgb_to_linear

LOWEST = "-3.4028234663852886e+38"
"""GDAL's text of the least float32, which is what most elevation models have where nothing is known."""


def heights(value, dtype="float32", shape=(20, 24)):
    image = np.random.default_rng(1).integers(50, 200, shape).astype(dtype)
    image[4:9, 10:15] = image[0, 0] = float(value)
    return image


def save(path, image, value=None, **options):
    tags = () if value is None else ((42113, "s", 0, value, True),)
    tifffile.imwrite(path, image, metadata=None, software=False, extratags=tags, **options)
    return path


def declared(path, page=0):
    """Return GDAL's nodata of a TIFF as it is written there."""
    with tifffile.TiffFile(path) as file:
        tag = file.pages[page].tags.get(42113)
        return None if tag is None else tag.value


def run(*arguments):
    """Run a command within this process; return its status, and what it said on standard error."""
    done = CliRunner().invoke(root, [str(part) for part in arguments], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.stderr


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.tif"


class TestDeclared:
    @pytest.mark.parametrize("fill", [False, True])
    @pytest.mark.parametrize("name", ["mean", "gaussian", "second-derivative", "gradient", "unsharp"])
    @pytest.mark.parametrize("value", ["-9999", "nan", LOWEST])
    def test_it_is_what_arrays_are_filtered_with(self, name, value, fill, tmp_path, out):
        image = heights(value)
        source = save(tmp_path / "a.tif", image, value)
        assert run(name, source, "-o", out, *["--fill"] * fill) == (0, "")
        filter = getattr(cf, name.replace("-", "_"))
        expected = filter(image, missing=float(value), fill=fill)
        np.testing.assert_array_equal(tifffile.imread(out), expected)
        assert declared(out) == value

    @pytest.mark.parametrize("kind", ["max", "mean"])
    def test_windows_know_no_pixel_to_fill(self, kind, tmp_path, out):
        image = heights(-9999)
        source = save(tmp_path / "a.tif", image, "-9999")
        assert run("pool", kind, source, "-o", out, "--fill") == (0, "")
        pool = {"max": cf.max_pool, "mean": cf.mean_pool}[kind]
        np.testing.assert_array_equal(tifffile.imread(out), pool(image, missing=-9999))

    def test_each_channel_has_its_own(self, tmp_path, out):
        image = heights(-9999, shape=(20, 24, 3))
        image[12, 12, 1] = -9999
        source = save(tmp_path / "a.tif", image, "-9999", photometric="rgb")
        assert run("mean", source, "-o", out) == (0, "")
        assert (tifffile.imread(out)[12, 12] == -9999).tolist() == [False, True, False]

    def test_each_page_has_its_own(self, tmp_path, out):
        pages = {"-9999": heights(-9999), "nan": heights("nan")}
        with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
            for value, image in pages.items():
                writer.write(image, metadata=None, extratags=((42113, "s", 0, value, True),))
        assert run("mean", tmp_path / "a.tif", "-o", out) == (0, "")
        for page, (value, image) in enumerate(pages.items()):
            expected = cf.mean(image, missing=float(value))
            np.testing.assert_array_equal(tifffile.imread(out, key=page), expected)

    def test_a_value_that_the_type_has_not_stands_for_nothing(self, tmp_path, out):
        image = heights(200, "uint8")
        status, said = run("mean", save(tmp_path / "a.tif", image, "-9999"), "-o", out)
        assert status == 0
        assert said.endswith("the value of missing pixels (-9999) is left out, for the type is another\n")
        np.testing.assert_array_equal(tifffile.imread(out), cf.mean(image))

    def test_none_takes_them_as_numbers(self, tmp_path, out):
        image = heights(-9999)
        source = save(tmp_path / "a.tif", image, "-9999")
        assert run("mean", source, "-o", out, "--missing", "none") == (0, "")
        np.testing.assert_array_equal(tifffile.imread(out), cf.mean(image))


class TestAskedFor:
    def test_the_file_that_is_written_declares_it(self, tmp_path, out):
        image = heights(-9999)
        assert run("mean", save(tmp_path / "a.tif", image), "-o", out, "--missing", "-9999") == (0, "")
        np.testing.assert_array_equal(tifffile.imread(out), cf.mean(image, missing=-9999))
        assert declared(out) == "-9999"

    def test_on_every_page(self, tmp_path, out):
        image = heights("nan", shape=(3, 20, 24))
        np.save(tmp_path / "a.npy", image)
        source = tmp_path / "a.npy"
        assert run("mean", source, "-o", out, "--axes", "NHW", "--missing", "nan") == (0, "")
        for page in range(3):
            expected = cf.mean(image[page], missing="nan")
            np.testing.assert_array_equal(tifffile.imread(out, key=page), expected)
            assert declared(out, page) == "nan"

    def test_another_value_than_the_file_declares(self, tmp_path, out):
        image = heights(-9999)
        image[15, 3] = -1
        source = save(tmp_path / "a.tif", image, "-9999")
        status, said = run("mean", source, "-o", out, "--missing", "-1")
        assert status == 0
        assert said.endswith("pixels of -9999, declared missing, are filtered as numbers\n")
        np.testing.assert_array_equal(tifffile.imread(out), cf.mean(image, missing=-1))
        assert declared(out) == "-1"

    def test_forms_without_a_place_for_it_are_not_blamed(self, tmp_path):
        image = heights(7, "uint8")
        source = save(tmp_path / "a.tif", image)
        assert run("mean", source, "-o", tmp_path / "b.png", "--missing", "7") == (0, "")
        np.testing.assert_array_equal(cf.read(tmp_path / "b.png").frames[0], cf.mean(image, missing=7))

    def test_lossy_forms_say_that_it_is_lost(self, tmp_path):
        source = save(tmp_path / "a.tif", heights(255, "uint8"))
        status, said = run("mean", source, "-o", tmp_path / "b.jpg", "--missing", "255")
        assert status == 0
        assert said.endswith("JPEG keeps no value exactly: missing pixels cannot be told from others\n")

    @pytest.mark.parametrize("form", ["webp", "jxl", "jp2"])
    def test_forms_say_so_at_a_quality(self, tmp_path, form):
        source = save(tmp_path / "a.tif", heights(255, "uint8"))
        whole, lossy = tmp_path / f"whole.{form}", tmp_path / f"lossy.{form}"
        assert run("mean", source, "-o", whole, "--missing", "255") == (0, "")
        status, said = run("mean", source, "-o", lossy, "--missing", "255", "--quality", "50")
        assert status == 0 and said.endswith("missing pixels cannot be told from others\n")

    def test_floats_of_16_bits_hold_the_value_rounded(self, tmp_path, out):
        image = heights(-9999, "float16")
        source = save(tmp_path / "half.tif", image, "-9999")
        run("mean", source, "-o", out)
        wanted = cf.mean(image.astype(np.float32), missing=np.float32(-10000))
        np.testing.assert_array_equal(tifffile.imread(out), wanted)
        assert declared(out) == "-10000"

    def test_a_number_too_large_for_a_float_is_no_value(self, tmp_path, out):
        source = save(tmp_path / "a.tif", heights(7, "uint8"))
        status, said = run("mean", source, "-o", out, "--missing", "1" + 400 * "0")
        assert status != 0 and "missing inf is no value of uint8" in said

    def test_matrices(self):
        done = cnnfilter("mean", "--matrix", "1 2 -1; 3 4 5", "--missing", "-1", "--fill")
        numbers = [line.split() for line in done.stdout.decode().splitlines()]
        expected = cf.mean([[1, 2, -1], [3, 4, 5]], missing=-1, fill=True)
        np.testing.assert_allclose(np.array(numbers, float), expected, rtol=1e-5)

    def test_from_python(self, tmp_path):
        image = heights(-9999)
        source = save(tmp_path / "a.tif", image)
        folder = tmp_path / "all"
        (done,) = cf.filter_files(source, folder, "mean", missing=-9999, fill=True)
        np.testing.assert_array_equal(
            cf.read(done.output).frames[0], cf.mean(image, missing=-9999, fill=True)
        )
        for wrong in ("-9999", [1]):
            with pytest.raises((ValueError, TypeError), match="missing"):
                cf.filter_files(source, folder, "mean", missing=wrong)


class TestPixels:
    def test_between_filters_they_stay_missing(self, tmp_path, out):
        image = heights(-9999)
        source = save(tmp_path / "a.tif", image, "-9999")
        assert run("pipe", source, "-o", out, "--", "mean", "then", "gradient") == (0, "")
        expected = cf.gradient(cf.mean(image, missing=-9999), missing=-9999)
        np.testing.assert_array_equal(tifffile.imread(out), expected)

    @pytest.mark.parametrize("how", ["clip", "abs", "offset", "stretch"])
    @pytest.mark.parametrize(("depth", "marker"), [("f32", -5), ("8", 200), ("16", 200)])
    def test_ranges_leave_them_alone(self, how, depth, marker, tmp_path, out):
        image = heights(marker, "int16" if marker < 0 else "uint8")
        source = save(tmp_path / "a.tif", image, str(marker))
        arguments = ("second-derivative", source, "-o", out, "--depth", depth, "--range", how, "-q")
        assert run(*arguments) == (0, "")
        gone = cf.second_derivative(image, missing=image == marker).mask
        result = tifffile.imread(out)
        assert (result[gone] == marker).all()
        assert declared(out) == str(marker)
        # What the others become is what they become without any missing pixel near.
        unharmed = image.copy()
        unharmed[image == marker] = 100
        save(tmp_path / "b.tif", unharmed)
        if how != "stretch":  # which depends on all
            assert run(arguments[0], tmp_path / "b.tif", *arguments[2:]) == (0, "")
            np.testing.assert_array_equal(tifffile.imread(out)[~gone], result[~gone])
        else:
            assert result[~gone].min() == 0
            assert result[~gone].max() == {"f32": 1, "8": 255, "16": 65535}[depth]

    def test_limited_values_are_counted_without_them(self, tmp_path, out):
        image = np.full((9, 9), 100, np.uint8)
        image[4, 4] = 3
        source = save(tmp_path / "a.tif", image, "3")
        arguments = ("convolve", "--kernel", "3", source, "-o", out, "--json")
        done = cnnfilter(*arguments)
        assert json.loads(done.stdout)["clipped"] == 80

    def test_results_that_look_like_them_are_told(self, tmp_path, out):
        for name in ("some", "none"):
            image = np.full((9, 9), 100, np.uint8)
            image[4, 4] = 0 if name == "some" else 100
            source = save(tmp_path / f"{name}.tif", image, "0")
            _, said = run("second-derivative", source, "-o", out)
            assert said.endswith("results that came out as 0 will be taken for missing ones\n")
            assert run("mean", source, "-o", out) == (0, "")

    def test_hidden_ones_need_no_rule(self, tmp_path, out):
        image = np.full((9, 9, 4), 100, np.uint8)
        image[4, 4] = 0
        source = save(tmp_path / "a.tif", image, "0", photometric="rgb", extrasamples=["unassalpha"])
        assert run("mean", source, "-o", out) == (0, "")
        assert (tifffile.imread(out)[..., :3] == 100).all()


class TestLinearLight:
    """What is missing counts nothing in linear light either: no curve is applied to its value."""

    @pytest.mark.parametrize("fill", [False, True])
    @pytest.mark.parametrize(
        ("dtype", "value", "rows"),
        [("uint8", 0, 20), ("uint8", 255, 20), ("uint16", 65535, 20), ("uint8", 0, 90_000)],  # many strips
    )
    def test_is_that_of_the_pixels_that_are_there(self, dtype, value, rows, fill, tmp_path, out):
        image = heights(value, dtype, (rows, 24))
        source = save(tmp_path / "a.tif", image, str(value))
        assert run("gaussian", source, "-o", out, "--linear", *["--fill"] * fill) == (0, "")
        white = np.iinfo(dtype).max
        light = np.ma.MaskedArray(srgb_to_linear(image / white), image == value)
        blurred = cf.gaussian(light, fill=fill)
        expected = np.where(blurred.mask, value, linear_to_srgb(blurred.filled(0)) * white)
        np.testing.assert_allclose(tifffile.imread(out), expected, atol=0.51 if white == 255 else 0.6)
        assert declared(out) == str(value)

    def test_what_is_missing_after_one_filter_is_so_for_the_next(self, tmp_path, out):
        image = heights(0, "uint8", (40, 24))
        source = save(tmp_path / "a.tif", image, "0")
        command = "pipe", source, "-o", out, "--linear", "--depth", "f32"
        assert run(*command, "--", "correlate", "--kernel", "laplacian-4", "then", "mean")[0] == 0
        light = np.ma.MaskedArray(srgb_to_linear(image / 255), image == 0)
        expected = cf.mean(cf.correlate(light, cf.templates.named("laplacian-4"), boundary="reflect"))
        found = tifffile.imread(out)
        np.testing.assert_array_equal(found == 0, expected.mask)
        np.testing.assert_allclose(found, linear_to_srgb(expected.filled(0)) * 255, rtol=1e-3, atol=1e-2)


class TestRefused:
    def fails(self, *arguments, status=1):
        done = cnnfilter(*arguments, status=status)
        assert done.stdout == b""
        return complaint(done)

    @pytest.mark.parametrize(("value", "depth"), [("-9999", "8"), ("nan", "16"), (LOWEST, "16")])
    def test_results_that_cannot_hold_it(self, value, depth, tmp_path, out):
        source = save(tmp_path / "a.tif", heights(value), value)
        said = self.fails("mean", source, "-o", out, "--depth", depth)
        assert f"uint{depth} does not hold {float(value):g}, the value of missing pixels" in said
        assert not out.exists()

    def test_images_that_cannot_hold_it(self, tmp_path, out):
        source = save(tmp_path / "a.tif", heights(7, "uint8"))
        said = self.fails("mean", source, "-o", out, "--missing", "nan")
        assert said.endswith("missing nan is no value of uint8, the type of the image")

    def test_transparency(self, tmp_path, out):
        image = heights(0, "uint8", (20, 24, 4))
        image[..., 3] = 255
        source = save(tmp_path / "a.tif", image, "0", photometric="rgb", extrasamples=["unassalpha"])
        said = self.fails("mean", source, "-o", out)
        assert 'transparency goes with no missing pixels, and some are 0; missing "none"' in said

    def test_colours_of_a_gradient(self, tmp_path, out):
        source = save(tmp_path / "a.tif", heights(0, "uint8"), "0")
        said = self.fails("gradient", "--show", "colour", source, "-o", out)
        assert "gradient goes with no missing pixels" in said

    def test_layers_but_no_kernel(self, tmp_path, out):
        image = heights(-9999)
        source = save(tmp_path / "a.tif", image, "-9999")
        kernel = np.full((1, 1, 3, 3), 1 / 9)
        one = ConvolutionLayer(kernel)
        LearnedFilter((one, one), each_channel=True).save(tmp_path / "two.safetensors")
        said = self.fails("learned", "--filter", tmp_path / "two.safetensors", source, "-o", out)
        assert "learned goes with no missing pixels" in said
        LearnedFilter((one,), each_channel=True).save(tmp_path / "one.json")
        assert run("learned", "--filter", tmp_path / "one.json", source, "-o", out, "--fill") == (0, "")
        expected = cf.correlate(image, kernel[0, 0], boundary="reflect", missing=-9999, fill=True)
        np.testing.assert_array_equal(tifffile.imread(out), expected)
        said = self.fails("learned", "--filter", tmp_path / "one.json", source, "--maps", tmp_path / "a.png")
        assert "maps know no missing pixels, and there are 26 values of -9999, as the file declares" in said

    def test_what_shows_sums(self, tmp_path):
        source = save(tmp_path / "a.tif", heights(-9999), "-9999")
        said = self.fails("mean", "--at", "3,3", source, status=2)
        assert "--at lays open no sums over missing pixels" in said
        cnnfilter("mean", "--at", "3,3", source, "--missing", "none")
        said = self.fails("animate", "mean", source, "-o", tmp_path / "a.gif", status=2)
        assert "animate knows no missing pixels" in said

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--missing", "nothing"], "missing 'nothing' is not a number; use none, nan or a number"),
            (["--missing", "none", "--fill"], "--fill and --missing none contradict each other"),
        ],
    )
    def test_words(self, arguments, words):
        done = cnnfilter("mean", "a.tif", *arguments, status=2)
        assert words in done.stderr.decode()


class TestExplained:
    @pytest.mark.parametrize("value", ["-9999", "nan"])
    def test_what_counts_as_missing(self, value, tmp_path):
        source = save(tmp_path / "a.tif", heights(value), value)
        lines = cnnfilter("mean", source, "--explain", "--fill").stdout.decode().splitlines()
        assert lines[1] == f"  missing: 26 values of {value}, as the file declares, filled where they can be"
        lines = cnnfilter("mean", source, "--explain", "--missing", "200").stdout.decode().splitlines()
        assert lines[1] == "  missing: 0 values of 200, as asked for"
        said = json.loads(cnnfilter("mean", source, "--explain", "--json").stdout)
        assert said["missing"] == {
            "value": "nan" if value == "nan" else -9999, "declared": True, "count": 26, "fill": False,
        }  # fmt: skip
        assert "missing:" not in cnnfilter("mean", source, "--explain", "--missing", "none").stdout.decode()

    def test_what_is_refused(self, tmp_path):
        source = save(tmp_path / "a.tif", heights(-9999), "-9999")
        done = cnnfilter("mean", source, "--explain", "--depth", "8", status=1)
        assert "uint8 does not hold -9999" in complaint(done)


@pytest.mark.parametrize(
    "command",
    [
        ("learn", "a.tif", "b.tif", "-o", "f.json"),
        ("net", "predict", "--weights", "lenet5.safetensors", "a.tif"),
    ],
)
def test_what_takes_every_pixel_for_a_number_refuses_them(command, tmp_path):
    image = heights(-9999)
    save(tmp_path / "a.tif", image, "-9999")
    save(tmp_path / "b.tif", np.where(image == -9999, 0, image))
    write_tensors(tmp_path / "lenet5.safetensors", build("lenet5").initialise(0).tensors())
    done = cnnfilter(*command, cwd=tmp_path, status=None)
    assert done.returncode in (1, 2)
    count = np.count_nonzero(image == -9999)
    assert f"no missing pixels are taken here, and there are {count} values of -9999" in complaint(done)
