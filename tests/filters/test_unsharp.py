"""Unsharp masking: its formula, its threshold, and what the command makes of it."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import cnnfilter as cf
from cnnfilter.cli.group import cnnfilter as root
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.filters import plan
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.plan import plan_chain
from cnnfilter.filters.unsharp import Unsharp
from cnnfilter.kernels.formulas import unsharp as unsharp_kernel

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (45, 61, 3)).astype(np.uint8)


def run(*arguments):
    return CliRunner().invoke(root, [str(part) for part in arguments], standalone_mode=False)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize(
    ("sigma", "amount", "threshold"), [(1.0, 1.0, 0.0), ((0.7, 2), 0.4, 9.5), (1.2, -1, 3)]
)
def test_the_formula(dtype, sigma, amount, threshold):
    image = PHOTO.astype(dtype)
    exact = image.astype(np.float64)
    difference = exact - cf.gaussian(exact, sigma, boundary="edge")
    wanted = exact + amount * difference * (np.abs(difference) > threshold)
    result = cf.unsharp(image, sigma, amount, threshold, boundary="edge")
    assert result.dtype == dtype
    if np.dtype(dtype).kind != "f":
        limits = np.iinfo(dtype)
        wanted = np.clip(np.rint(wanted), limits.min, limits.max)
        assert (result != wanted).mean() < 1e-3  # ties
        assert np.abs(result - wanted).max() <= 1
    else:
        np.testing.assert_allclose(result, wanted, atol=1e-3 if dtype == "float32" else 1e-12)


def test_without_threshold_it_is_a_kernel():
    kernel = unsharp_kernel(sigma=1.3, amount=0.8)
    image = PHOTO.astype(np.float64)
    np.testing.assert_allclose(
        cf.unsharp(image, 1.3, 0.8), cf.correlate(image, kernel, boundary="reflect"), atol=1e-10
    )


def test_constants_and_small_differences_stay():
    for dtype in ("uint8", "int16", "float32", "float64"):
        flat = np.full((20, 21), 100, dtype)
        np.testing.assert_array_equal(cf.unsharp(flat, 2, 5), flat)
    noisy = (100 + RNG.integers(0, 3, (40, 40))).astype(np.uint8)
    np.testing.assert_array_equal(cf.unsharp(noisy, 2, 5, threshold=2.5), noisy)
    assert (cf.unsharp(noisy, 2, 5, threshold=0.5) != noisy).any()


def test_what_it_refuses():
    with pytest.raises(ParameterError, match=r"unsharp keeps the size: stride 2 and padding 'same' must be"):
        cf.unsharp(PHOTO, stride=2)
    with pytest.raises(ParameterError, match="padding 'narrow' must be 1 and 'same'"):
        cf.unsharp(PHOTO, padding="narrow")
    with pytest.raises(ParameterError, match=r"threshold -1\.0 is out of range; give a number of at least 0"):
        cf.unsharp(PHOTO, threshold=-1)
    with pytest.raises(ParameterError, match="amount inf is out of range"):
        cf.unsharp(PHOTO, amount=np.inf)
    with pytest.raises(ParameterError, match="sigma -1"):
        cf.unsharp(PHOTO, -1)
    for wrong in ({"amount": "1"}, {"threshold": None}, {"stride": True}, {"stride": np.array([1, 1])}):
        with pytest.raises(DtypeError, match=f"{next(iter(wrong))} .* is not"):
            cf.unsharp(PHOTO, **wrong)
    with pytest.raises(ParameterError, match="padding array"):
        cf.unsharp(PHOTO, padding=np.array([1, 1]))
    np.testing.assert_array_equal(cf.unsharp(PHOTO, stride=[1, 1], padding="equal"), cf.unsharp(PHOTO))


def test_16_bits_are_exact_whatever_the_amount():
    """float32 was off by half a unit where the difference is taken fifty times."""
    image = RNG.integers(0, 65536, (60, 70)).astype(np.uint16)
    exact = image + 50 * (image - cf.gaussian(image, dtype="float64"))
    np.testing.assert_array_equal(cf.unsharp(image, amount=50), np.clip(np.rint(exact), 0, 65535))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_strips_give_the_whole(alpha, linear, monkeypatch):
    frame = RNG.integers(100, 256, (300, 40, 4)).astype(np.uint8)
    steps = [Unsharp(sigma=1.5, amount=0.7, threshold=4.0)]
    how = {"alpha": alpha, "linear": linear, "threads": 2}
    monkeypatch.setattr(plan, "STRIP", 1 << 60)
    whole = run_chain(plan_chain(steps, frame.shape, frame.dtype, **how), frame).array
    monkeypatch.setattr(plan, "STRIP", 1)
    planned = plan_chain(steps, frame.shape, frame.dtype, **how)
    assert planned.strips > 5
    found = run_chain(planned, frame).array
    assert (found != whole).mean() < 2e-3  # a strip's first pixel is another, from which sums are taken
    assert np.abs(found.astype(int) - whole).max() <= 1 or linear


def test_the_threshold_is_in_pixel_values_whatever_surrounds(tmp_path):
    """Alone, with opaque alpha, and behind another filter the same differences are left."""
    grey = PHOTO[..., 0]
    for threshold in (0, 40):
        alone = cf.unsharp(grey, 1, 1, threshold)
        opaque = Image.new("L", grey.shape[::-1], 255)
        Image.merge("LA", (Image.fromarray(grey), opaque)).save(tmp_path / "a.png")
        more = "--threshold", threshold
        assert run("unsharp", *more, tmp_path / "a.png", "-o", tmp_path / "b.png").exception is None
        found = np.asarray(Image.open(tmp_path / "b.png"))
        assert (found[..., 1] == 255).all()
        assert (found[..., 0] != alone).mean() < 2e-3
        Image.fromarray(grey).save(tmp_path / "g.png")
        words = ["correlate", "--kernel", "1", "then", "unsharp", *more]
        assert run("pipe", tmp_path / "g.png", "-o", tmp_path / "c.png", "--", *words).exception is None
        assert (np.asarray(Image.open(tmp_path / "c.png")) != alone).mean() < 2e-3


def test_missing_pixels_take_no_part():
    clean = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    image = clean.copy()
    image[7, 9] = np.nan
    result = cf.unsharp(image, 1, missing="nan")
    assert np.isnan(result[7, 9]) and np.isfinite(result).sum() == result.size - 1
    blurred = cf.gaussian(image, 1, missing="nan", fill=True)
    filled = cf.unsharp(image, 1, missing="nan", fill=True)
    assert filled[7, 9] == blurred[7, 9]
    there = ~np.isnan(image)
    np.testing.assert_allclose(filled[there], (2 * image - blurred)[there], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint32", "float16", "float64"])
def test_the_type_is_kept(dtype):
    image = np.array([[10, 10, 10, 90, 90, 90]] * 4, dtype)
    result = cf.unsharp(image)
    assert result.dtype == dtype
    exact = cf.unsharp(image[0].astype(float))
    if result.dtype.kind in "iu":
        limits = np.iinfo(dtype)
        exact = np.clip(exact, limits.min, limits.max)
    np.testing.assert_allclose(result[0].astype(float), exact, atol=0.5)
    out = np.empty_like(image)
    assert cf.unsharp(image, out=out) is out


def test_an_outlier_that_overflows_stays_where_it_is():
    """NumPy's warning was printed with the path of the code."""
    image = RNG.random((30, 40)).astype(np.float32)
    there = image.copy()
    there[0, 0] = -3.4e38
    found = cf.unsharp(there, amount=5)
    assert found[0, 0] == -np.inf
    np.testing.assert_array_equal(found[6:, 6:], cf.unsharp(image, amount=5)[6:, 6:])
