"""Derivatives of the Gaussian: their scale, their sign, and what SciPy computes."""

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import ndimage

import cnnfilter as cf
from cnnfilter.cli.group import cnnfilter as root
from cnnfilter.errors import ParameterError

RNG = np.random.default_rng(0)
ROWS, COLUMNS = np.arange(60.0)[:, None], np.arange(70.0)
INSIDE = (slice(20, -20), slice(20, -20))


@pytest.mark.parametrize("sigma", [0.7, 1.0, (2.3, 1.1)])
def test_polynomials_have_the_derivatives_they_have(sigma):
    for image, order, expected in (
        (3 * ROWS + 0 * COLUMNS, (1, 0), 3),
        (3 * COLUMNS + 0 * ROWS, (0, 1), 3),
        (3 * COLUMNS + 5 * ROWS, (0, 2), 0),
        (3 * COLUMNS**2 + 5 * ROWS, (0, 2), 6),
        (4 * ROWS**2 + 5 * COLUMNS, (2, 0), 8),
        (ROWS * COLUMNS, (1, 1), 1),
        (ROWS * COLUMNS, 1, 1),
        (ROWS**2 * COLUMNS**2, 2, 4),
    ):
        result = cf.gaussian(image, sigma, order=order)
        np.testing.assert_allclose(result[INSIDE], expected, atol=1e-7)


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (2, 0), (1, 2)])
def test_scipy_agrees(order):
    image = ndimage.gaussian_filter(RNG.normal(size=(80, 90)), 2)
    theirs = ndimage.gaussian_filter(image, 3.0, order=order, mode="mirror", truncate=4.0)
    ours = cf.gaussian(image, 3.0, order=order)
    # SciPy does not correct for what is cut off beyond 4 sigma.
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_results_are_signed_floats(dtype):
    image = RNG.integers(0, 200, (30, 30)).astype(dtype)
    assert cf.gaussian(image, order=0).dtype == dtype
    result = cf.gaussian(image, order=(0, 1))
    assert result.dtype == ("float64" if dtype == "float64" else "float32")
    assert result.min() < 0 < result.max()
    assert cf.gaussian(image, order=1, dtype="int16").dtype == "int16"
    flat = np.full((30, 30), 7, dtype)
    np.testing.assert_allclose(cf.gaussian(flat, 2, order=(0, 2)), 0, atol=1e-6)


def test_signals_and_sizes():
    np.testing.assert_allclose(cf.gaussian(2 * COLUMNS, 1.5, order=1)[20:-20], 2)
    np.testing.assert_allclose(cf.gaussian(2 * COLUMNS**2, 1.5, 5, order=(0, 2))[20:-20], 4)
    np.testing.assert_allclose(
        cf.templates.gaussian(3, 1.0, order=(0, 1)).array[1] * [1, 0, 1], [-0.226, 0, 0.226], atol=1e-3
    )


def test_what_cannot_be():
    image = np.zeros((20, 20))
    with pytest.raises(ParameterError, match="order 3 is not known; give 0, 1 or 2, or a pair"):
        cf.gaussian(image, order=3)
    with pytest.raises(ParameterError, match="derivatives have no integer form"):
        cf.gaussian(image, template="integer", order=1)
    with pytest.raises(ParameterError, match="size 2 is too small for a derivative of order 2; give 3"):
        cf.gaussian(image, 1, (5, 2), order=2)
    with pytest.raises(ParameterError, match=r"a 1-D signal has no rows; order \(1, 0\) must begin with 0"):
        cf.gaussian(image[0], order=(1, 0))


def test_on_a_command_line(tmp_path):
    image = RNG.integers(0, 256, (40, 41)).astype(np.uint8)
    np.save(tmp_path / "in.npy", image)
    for words, order in ((["--derivative", "0x1"], (0, 1)), (["--derivative", "2"], 2)):
        command = ["gaussian", "--sigma", "1.5", *words, str(tmp_path / "in.npy"), "-o"]
        result = CliRunner().invoke(root, [*command, str(tmp_path / "f.npy"), "--depth", "f32"])
        assert result.exception is None, result.output
        wanted = cf.gaussian(image, 1.5, order=order)
        np.testing.assert_allclose(np.load(tmp_path / "f.npy"), wanted, atol=1e-4)
        assert CliRunner().invoke(root, [*command, str(tmp_path / "a.npy")]).exception is None
        found = np.load(tmp_path / "a.npy")  # signed values are shown by how large they are
        assert (found != np.clip(np.rint(np.abs(wanted)), 0, 255)).mean() < 1e-2
    result = CliRunner().invoke(root, ["gaussian", "--derivative", "3", "in.npy"])
    assert "0, 1 or 2, or two of them" in result.output
