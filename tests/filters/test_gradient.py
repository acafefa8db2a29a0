"""The gradient: its scale, its directions, and what the command makes of it."""

import math

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy import ndimage
from skimage import filters as skimage_filters

import cnnfilter as cf
from cnnfilter.cli.group import cnnfilter as root
from cnnfilter.errors import ParameterError
from cnnfilter.filters import plan
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.gradient import SMOOTHING, Gradient
from cnnfilter.filters.plan import plan_chain

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (45, 61, 3)).astype(np.uint8)


def run(*arguments):
    return CliRunner().invoke(root, [str(part) for part in arguments], standalone_mode=False)


@pytest.mark.parametrize("operator", SMOOTHING)
def test_a_ramp_of_slope_one_gives_one(operator):
    ramp = np.add.outer(np.zeros(9), np.arange(12.0))
    inside = (slice(1, -1), slice(1, -1))
    for image, along, angle in (
        (ramp, "x", 0), (ramp.T, "y", math.pi / 2), (-ramp, "x", math.pi), (-ramp.T, "y", -math.pi / 2)
    ):  # fmt: skip
        sign = -1 if image.min() < 0 else 1
        np.testing.assert_allclose(cf.gradient(image, operator, along)[inside], sign, atol=1e-14)
        np.testing.assert_allclose(cf.gradient(image, operator)[inside], 1, atol=1e-14)
        np.testing.assert_allclose(cf.gradient(image, operator, "direction")[inside], angle, atol=1e-14)
    slope = 3 * ramp + 4 * np.arange(9.0)[:, None]
    np.testing.assert_allclose(cf.gradient(slope, operator)[inside], 5, atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_scipy_and_scikit_image_agree(dtype):
    image = PHOTO[..., 0].astype(dtype)
    floats = image.astype(np.float64)
    y, x = (ndimage.sobel(floats, axis, mode="mirror") / 8 for axis in (0, 1))
    np.testing.assert_allclose(cf.gradient(image, output="x"), x, atol=1e-4)
    np.testing.assert_allclose(cf.gradient(image, output="y"), y, atol=1e-4)
    np.testing.assert_allclose(cf.gradient(image), np.hypot(x, y), atol=1e-4)
    np.testing.assert_allclose(cf.gradient(image, output="direction"), np.arctan2(y, x), atol=1e-4)
    for operator in ("scharr", "prewitt"):
        for output in ("h", "v"):
            theirs = getattr(skimage_filters, f"{operator}_{output}")(floats)[1:-1, 1:-1]
            ours = cf.gradient(image, operator, "y" if output == "h" else "x")[1:-1, 1:-1]
            np.testing.assert_allclose(2 * ours, theirs, atol=1e-4)  # theirs of a ramp of slope 1 is 2
    assert cf.gradient(image).dtype == ("float64" if dtype == "float64" else "float32")


def test_where_nothing_changes_there_is_no_direction():
    assert not cf.gradient(np.full((5, 5), 7.0), output="direction").any()
    assert not cf.gradient(np.full((5, 5), -7.0, np.float32), "scharr", "direction").any()


def test_integers_are_rounded_once():
    steep = np.where(np.arange(40) % 7 < 3, 0, 65535).astype(np.uint16)
    exact = np.hypot(cf.gradient(steep, output="x"), 0)
    np.testing.assert_array_equal(
        cf.gradient(steep, dtype="uint8"), np.clip(np.rint(exact), 0, 255).astype(np.uint8)
    )


def test_signals_have_no_y():
    signal = np.array([0.0, 1, 4, 9])
    np.testing.assert_array_equal(cf.gradient(signal, "scharr", "x", boundary="edge"), [0.5, 2, 4, 2.5])
    np.testing.assert_array_equal(cf.gradient(-signal, output="direction", boundary="edge"), [math.pi] * 4)
    with pytest.raises(ParameterError, match="a 1-D signal has no output 'y'"):
        cf.gradient(signal, output="y")


def test_what_is_unknown_is_named():
    with pytest.raises(ParameterError, match="operator 'canny' is not known; choose sobel, scharr"):
        cf.gradient(PHOTO, "canny")
    with pytest.raises(ParameterError, match="output 'colour' is not known; choose magnitude, direction"):
        cf.gradient(PHOTO, output="colour")


@pytest.mark.parametrize("show", ["magnitude", "direction", "x", "y"])
@pytest.mark.parametrize("alpha", [False, True])
def test_strips_give_the_whole(show, alpha, monkeypatch):
    frame = RNG.integers(100, 256, (300, 40, 4)).astype(np.uint8)
    if alpha:
        frame[..., 3] = 255
    steps = [Gradient(show=show)]
    for depth in (None, "f32"):
        how = {"alpha": alpha, "depth": depth, "threads": 2}
        monkeypatch.setattr(plan, "STRIP", 1 << 60)
        whole = run_chain(plan_chain(steps, frame.shape, frame.dtype, **how), frame).array
        monkeypatch.setattr(plan, "STRIP", 1)
        planned = plan_chain(steps, frame.shape, frame.dtype, **how)
        assert planned.strips > 10
        found = run_chain(planned, frame).array
        np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_directions_in_files(mode, tmp_path):
    """Radians as floats; as pixels the range is one turn, and mid-grey is 0."""
    image = Image.fromarray(PHOTO).convert(mode)
    image.save(tmp_path / "in.png")
    grey = mode in ("L", "LA")
    colours = np.asarray(image.convert("L")) if grey else PHOTO
    wanted = Gradient(show="direction").run(colours, np.float64)
    slopes = np.sort(np.atleast_3d(cf.gradient(colours)), axis=2)
    sloping = slopes[..., -1] > 0.5
    if mode == "RGBA":  # shares of white are rounded, by which one of two equal slopes may win
        sloping &= slopes[..., -1] > slopes[..., -2] + 1e-3
    for depth, target, turn in ((None, "a.png", 255), ("f32", "a.npy", 2 * math.pi), ("16", "b.npy", 65535)):
        more = ["--depth", depth] if depth else []
        done = run("gradient", "--show", "direction", *more, tmp_path / "in.png", "-o", tmp_path / target)
        assert done.exception is None, done.output
        path = tmp_path / target
        found = np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))
        if mode in ("LA", "RGBA"):
            assert (found[..., 1] == {"f32": 255, "16": 65535}.get(depth, 255)).all()
            found = found[..., 0]
        scale = turn / (2 * math.pi)
        middle = 0 if depth == "f32" else (turn + 1) / 2
        turned = np.abs(found - middle - wanted * scale)
        off = np.minimum(turned, np.abs(turned - turn))
        assert off[sloping].max() <= (1e-4 if depth == "f32" else 1)
    done = run("gradient", "--show", "direction", "--linear", tmp_path / "in.png", "-o", tmp_path / "c.png")
    assert "no brightness" in str(done.exception or done.output) or done.return_value == 1


def test_colours_say_where_it_grows_brighter(tmp_path):
    right = np.tile(np.arange(0, 250, 25, dtype=np.uint8), (10, 1))
    for image, colour in ((right, [25, 0, 0]), (right[:, ::-1], [0, 25, 25])):
        for mode in ("L", "RGB", "LA"):
            Image.fromarray(image).convert(mode).save(tmp_path / "in.png")
            done = run("gradient", "--show", "colour", tmp_path / "in.png", "-o", tmp_path / "out.png")
            assert done.exception is None
            found = np.asarray(Image.open(tmp_path / "out.png"))
            assert found.shape == (10, 10, 4 if mode == "LA" else 3)
            np.testing.assert_array_equal(found[5, 5][:3], colour)
    down = Gradient(show="colour").run(right.T / 250, np.float64)[5, 5]
    np.testing.assert_allclose(down, [0.05, 0.1, 0], atol=1e-9)


def test_in_a_pipe_and_in_completion(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "in.png")
    target = tmp_path / "out.npy"
    words = ["gaussian", "--sigma", "1", "then", "gradient", "--operator", "scharr"]
    assert run("pipe", tmp_path / "in.png", "-o", target, "--depth", "f32", "--", *words).exception is None
    blurred = cf.gaussian(PHOTO, 1, dtype="float32")
    np.testing.assert_allclose(np.load(target), cf.gradient(blurred, "scharr"), atol=1e-4)
    assert "gradient" in run("--help").output


def test_missing_pixels_take_no_part():
    image = np.arange(35, dtype=np.float32).reshape(5, 7)
    image[2, 3] = -9999
    for output in ("magnitude", "direction", "x", "y"):
        result = cf.gradient(image, output=output, missing=-9999)
        gone = np.zeros(image.shape, bool)
        gone[1:4, 2:5] = True
        if output in ("x", "y"):
            # Under a weight of 0 a pixel may be missing; its own place stays missing.
            gone[(slice(1, 4), 3) if output == "x" else (2, slice(2, 5))] = False
            gone[2, 3] = True
        np.testing.assert_array_equal(result == -9999, gone)
        whole = np.arange(35, dtype=np.float32).reshape(5, 7)
        np.testing.assert_array_equal(result[~gone], cf.gradient(whole, output=output)[~gone])
    masked = cf.gradient(np.ma.masked_equal(image, -9999))
    assert isinstance(masked, np.ma.MaskedArray) and masked.mask.sum() == 9


def test_every_type_and_an_output_are_taken():
    image = [[0, 1, 4], [0, 2, 8], [0, 3, 12]]
    wanted = cf.gradient(np.array(image, np.float64))
    assert cf.gradient(image).dtype == np.float64
    for dtype in ("uint8", "int8", "int32", "uint64", "float16"):
        result = cf.gradient(np.array(image, dtype))
        np.testing.assert_allclose(result, wanted, rtol=1e-6)
        out = np.empty(result.shape, result.dtype)
        assert cf.gradient(np.array(image, dtype), out=out) is out
        np.testing.assert_array_equal(out, result)


@pytest.mark.parametrize("operator", ["sobel", "scharr", "prewitt", "central"])
@pytest.mark.parametrize(("dtype", "size"), [("float32", 2e38), ("float64", 1e308)])
def test_the_largest_floats_do_not_overflow(operator, dtype, size):
    """The sums of weights up to 16 did, where the gradient itself is small or just fits."""
    flat = np.full((5, 6), size, dtype)
    assert (cf.gradient(flat, operator) <= 1e-6 * size).all()
    step = np.array([-size, 0, size], dtype) / 2
    np.testing.assert_allclose(
        cf.gradient(np.tile(step, (3, 1)), operator, "x", boundary="edge")[1, 1], size / 2, rtol=1e-6
    )


def test_a_signal_that_leaps_to_infinity_rises_there():
    leap = np.array([0, 0, np.inf, np.inf, np.inf], np.float32)
    with np.errstate(invalid="ignore"):
        found = cf.gradient(leap, "sobel", "direction")
    assert found[0] == 0 and found[1] == 0 and np.isnan(found[3])


@pytest.mark.parametrize("given", [{"operator": ["sobel"]}, {"output": np.ones(3)}, {"output": ["x"]}])
def test_what_is_no_name_is_told(given):
    with pytest.raises(cf.CnnFilterError, match=next(iter(given))):
        cf.gradient(np.ones((3, 3)), **given)


def test_colours_mirror_the_border_as_the_other_outputs_do():
    ramp = np.arange(0, 200, 20, dtype=np.uint8)[None].repeat(4, axis=0)
    colours = Gradient(show="colour").run(ramp, np.float32)
    assert not colours[:, 0].any()  # a mirrored ramp has no slope there
    np.testing.assert_array_equal(colours, Gradient(show="colour", boundary="reflect").run(ramp, np.float32))


def test_the_direction_of_colours_is_that_of_the_steepest_channel():
    """Dalal and Triggs 2005, section 6.2, pixel by pixel; the first of equals."""
    for image in (PHOTO, PHOTO.astype(np.float32) / 7, np.dstack([PHOTO, PHOTO[::-1]]) * 257.0):
        x, y = (cf.gradient(image, "scharr", axis).astype(np.float64) for axis in "xy")
        wanted = np.empty(image.shape[:2])
        for place in np.ndindex(wanted.shape):
            slopes = list(zip(x[place], y[place], strict=True))
            across, down = max(slopes, key=lambda slope: slope[0] ** 2 + slope[1] ** 2)
            wanted[place] = math.atan2(down, across)
        found = Gradient(show="direction", operator="scharr").run(image, np.float64)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_direction_of_colours_does_not_overflow():
    image = np.zeros((3, 3, 2), np.float32)
    image[..., 0], image[..., 1] = [0, 0, 1e38], np.array([0, 0, 3e38])[:, None]
    assert Gradient(show="direction", boundary="edge").run(image, np.float64)[1, 1] == pytest.approx(
        math.pi / 2
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 1)])
def test_the_direction_of_grey_is_that_of_the_function(dtype, shape):
    image = PHOTO[:40, :30, 0].astype(dtype).reshape(shape)
    found = Gradient(show="direction").run(image, np.float32)
    np.testing.assert_array_equal(found, cf.gradient(image, output="direction"))


def test_hue_and_direction_agree():
    """The hue is the direction, the value the magnitude of the same channel."""
    import colorsys

    image = PHOTO[:20, :20] // 4 * 4  # whole numbers of few values have slopes of equal size
    colours = Gradient(show="colour").run(image, np.float64) / 255
    direction = Gradient(show="direction").run(image, np.float64)
    steepness = cf.gradient(image).max(axis=2) / 255
    for place in np.ndindex(direction.shape):
        hue, saturation, value = colorsys.rgb_to_hsv(*colours[place])
        assert value == pytest.approx(steepness[place], abs=1e-6)
        assert saturation == pytest.approx(1) or not value
        off = abs(hue - direction[place] / (2 * math.pi)) % 1
        assert min(off, 1 - off) < 1e-5 or not value


def test_a_missing_channel_makes_the_direction_missing():
    image = PHOTO[:9, :9].astype(np.float32)
    image[4, 4, 1] = np.nan
    plan = plan_chain([Gradient(show="direction")], image.shape, image.dtype, missing=math.nan)
    gone = np.zeros((9, 9), bool)
    gone[3:6, 3:6] = True
    found = run_chain(plan, image).array
    np.testing.assert_array_equal(np.isnan(found), gone)
    whole = Gradient(show="direction").run(PHOTO[:9, :9].astype(np.float32), np.float32)
    np.testing.assert_array_equal(found[~gone], whole[~gone])


def test_a_profile_of_other_channels_is_left_out_and_said(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for form in ("png", "tif", "jpg"):
        Image.fromarray(PHOTO).save(tmp_path / f"in.{form}", icc_profile=profile)
        for show, mode, kept in (("direction", "L", None), ("magnitude", "RGB", profile)):
            target = tmp_path / f"out.{form}"
            done = run("gradient", "--show", show, tmp_path / f"in.{form}", "-o", target)
            with Image.open(target) as written:
                assert (written.mode, written.info.get("icc_profile")) == (mode, kept), form
            assert ("the colour profile is of other channels than grey" in done.output) == (kept is None)


def test_at_names_the_steepest_channel(tmp_path):
    image = np.zeros((3, 3, 3), np.uint8)
    image[..., 1] = [10, 20, 30]
    image[..., 2] = np.array([30, 20, 10])[:, None] * 3
    Image.fromarray(image).save(tmp_path / "in.png")
    done = run("gradient", "--show", "direction", tmp_path / "in.png", "--at", "1,1")
    assert "steepest   channel 2\ndirection = arctan2(-30, 0) = -1.5708\nstored as  64" in done.output
