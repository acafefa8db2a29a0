"""``--boundary constant:V``: V is a pixel value as people see it, whatever the pixels become for the sums."""

import numpy as np
import pytest
from commandline import cnnfilter
from PIL import Image

from cnnfilter import Kernel
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.plan import plan_chain
from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
from cnnfilter.registry import filter_named

BORDER = {"boundary": "constant", "constant": 100.0}
LAYER = ConvolutionLayer(np.full((1, 1, 3, 3), 1 / 9))

CHAINS = {
    "mean": [("mean", {})],
    "wide": [("mean", {"size": 5, "padding": 4})],
    "gaussian": [("gaussian", {"sigma": 2.0})],
    "unsharp": [("unsharp", {})],
    "bends": [("second-derivative", {})],
    "slopes": [("gradient", {})],
    "colours": [("gradient", {"show": "colour"})],
    "sharpen": [("correlate", {"kernel": Kernel([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])})],
    "layers": [("learned", {"filter": LearnedFilter((LAYER, LAYER), each_channel=True)})],
    "two": [("mean", {}), ("gaussian", {})],
    "layers after a mean": [
        ("mean", {}),
        ("learned", {"filter": LearnedFilter((LAYER, LAYER), each_channel=True)}),
    ],
}


def steps_of(chain):
    return [filter_named(name)(**BORDER, **given) for name, given in chain]


def run(chain, frame, **how):
    return run_chain(plan_chain(steps_of(chain), frame.shape, frame.dtype, **how), frame).array


@pytest.fixture
def colours():
    return np.random.default_rng(3).integers(0, 256, (20, 22, 3)).astype(np.uint8)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("name", CHAINS)
def test_an_opaque_image_is_filtered_as_one_without_transparency(name, linear, colours):
    opaque = np.dstack([colours, np.full((20, 22), 255, np.uint8)])
    expected = run(CHAINS[name], colours, linear=linear).astype(int)
    result = run(CHAINS[name], opaque, alpha=True, linear=linear)
    assert np.abs(result[..., :3] - expected).max() <= 1  # sums of shares of white are rounded elsewhere
    assert (result[..., 3] == 255).all()


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(
    "name", ["mean", "wide", "gaussian", "unsharp", "layers", "two", "layers after a mean"]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_border_of_the_images_own_grey_is_not_seen(name, dtype, linear, alpha):
    flat = np.full((9, 12, 4 if alpha else 3), 100, dtype)
    if alpha:
        flat[..., 3] = np.iinfo(dtype).max
    result = run(CHAINS[name], flat, alpha=alpha, linear=linear)
    assert (result[..., :3] == 100).all()
    assert (result[..., 3:] == np.iinfo(dtype).max).all()


def test_beside_what_can_hardly_be_seen_there_is_grey():
    hidden = np.zeros((9, 9, 4), np.uint8)
    hidden[..., 0] = 255
    result = run([("mean", {})], hidden, alpha=True)
    assert result[0, 4].tolist() == [100, 100, 100, 85]  # three of nine
    assert result[4, 4, 3] == 0


def test_zero_stays_transparent_and_a_constant_of_0_is_black():
    white = np.full((9, 9, 4), 255, np.uint8)
    for boundary, constant, expected in (
        ("zero", None, [255, 255, 255, 170]),
        ("constant", 0.0, [170, 170, 170, 255]),
        ("constant", None, [170, 170, 170, 255]),
        (("constant", "reflect"), 0.0, [170, 170, 170, 255]),
    ):
        steps = [filter_named("mean")(boundary=boundary, constant=constant)]
        result = run_chain(plan_chain(steps, white.shape, white.dtype, alpha=True), white).array
        assert result[0, 4].tolist() == expected


def test_at_the_shell(tmp_path, colours):
    opaque = np.dstack([colours, np.full((20, 22), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "a.png")
    cnnfilter("mean", "--boundary", "constant:100", tmp_path / "a.png", "-o", tmp_path / "b.png")
    result = np.asarray(Image.open(tmp_path / "b.png"))
    np.testing.assert_array_equal(result[..., :3], run(CHAINS["mean"], colours))
