"""Edits of photographs: what explains them is named, no shift is invented, pairs are alike or refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_sample_image

from benchmarks.edits import EDITS, blurred, correlated, rounded, toned
from cnnfilter.errors import DtypeError, FilterFileError, ParameterError
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.learning.alternatives import find_alternative
from cnnfilter.learning.convolutionlayer import ConvolutionLayer
from cnnfilter.learning.curves import learn_curve
from cnnfilter.learning.evaluation import psnr
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.linear import learn_kernel
from cnnfilter.learning.pairs import Pair
from cnnfilter.learning.registration import find_shift
from cnnfilter.learning.tonecurve import ToneCurve
from cnnfilter.pixels import linear_to_srgb, srgb_to_linear

FLOWER, CHINA = (np.ascontiguousarray(load_sample_image(f"{n}.jpg")[:220, :300]) for n in ("flower", "china"))
INNER = (slice(12, -12), slice(12, -12))


def edited(name, image=FLOWER):
    return rounded(EDITS[name].make(image))


@pytest.mark.parametrize("name", ["negative", "Sobel", "emboss", "darker by a third"])
def test_no_shift_is_invented_on_noiseless_pairs(name):
    for image in (FLOWER, CHINA, FLOWER[::-1], CHINA[:, ::-1]):
        pair = Pair.of(image, edited(name, image))
        for size in ((3, 3), (5, 5)):
            assert find_shift(pair, size) == (0, 0)


def test_what_the_kernel_holds_exactly_is_no_shift():
    """Its peak lies beside the middle, and with or without a shift the error is that of sums alone."""
    for seed in range(6):
        image = np.random.default_rng(seed).random((90, 90))
        after = ndimage.correlate(image, np.array([[0, 0, 0], [0, 0, 1], [0, 0, -0.1]]), mode="mirror")
        assert find_shift(Pair.of(image, after), (5, 5)) == (0, 0)


def test_a_far_shift_is_found():
    after = np.roll(rounded(blurred(CHINA, 0.7)), (40, -33), (0, 1))
    assert find_shift(Pair.of(CHINA, after), (5, 5)) == (40, -33)
    noise = np.random.default_rng(0).random((300, 300))
    assert find_shift(Pair.of(noise, 1 - np.roll(noise, (40, -33), (0, 1))), (1, 1)) == (40, -33)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("negative", "a negative"),
        ("white balance", "white balance: x 1.1"),
        ("saturation 1.4", "saturation x 1.40"),
        ("sepia", "sepia"),
        ("grey", "grey: 0."),
        ("channels exchanged", "a matrix of colours"),
        ("sharper luminance", "a filter of luminance alone: 0.2"),
        ("motion in linear light", ""),
        ("gamma 2.2", "a gamma curve: values to the power 0.45"),
    ],
)
def test_what_explains_an_edit_is_named(name, words):
    after = edited(name)
    report = learn_kernel(FLOWER, after, size="auto").report
    assert not report.explains
    found = find_alternative([FLOWER], [after], report)
    assert found.words == EDITS[name].options
    assert found.report.explains and words in found.report.edit
    assert words in found.report.verdict and "explains this pair" in found.report.verdict


@pytest.mark.parametrize("name", ["median of 3", "noise of 15"])
def test_nothing_explains_what_depends_on_the_picture(name):
    after = edited(name)
    report = learn_kernel(FLOWER, after, size="auto").report
    found = find_alternative([FLOWER], [after], report)
    assert not report.explains and (found is None or not found.report.explains)


def test_what_is_drawn_over_the_picture_is_counted():
    after = edited("sharpen")
    assert learn_kernel(FLOWER, after, size=3).report.contradicted == 0
    drawn = after.copy()
    drawn[20:60, 30:200:2] = 255  # over the dark background
    report = learn_kernel(FLOWER, drawn, size=3).report
    many = 40 * 85 * 3
    assert 0.9 * many < report.contradicted <= many
    assert f"But {report.contradicted} of {report.masked} saturated targets contradict it" in report.verdict
    assert "contradicted" in report.text()


def test_a_filter_that_makes_the_picture_less_alike_explains_nothing():
    report = learn_kernel(FLOWER, edited("sharpen"), size=3).report
    assert report.explains
    worse = replace(report, ssim=0.8, ssim_identity=0.9)
    assert not worse.explains and "less like the wanted, SSIM 0.8000, unfiltered 0.9000" in worse.verdict


def test_the_size_goes_on_while_the_rim_is_not_empty():
    report = learn_kernel(CHINA, edited("Gaussian 2.5", CHINA), size="auto").report
    assert min(report.weights.shape[2:]) > 7 and report.explains
    small = learn_kernel(CHINA, edited("sharpen", CHINA), size="auto").report
    assert list(small.sizes) == ["3x3", "5x5", "7x7"]


@pytest.mark.parametrize("deep", [0, 1])
def test_16_and_8_bits_are_a_pair(deep):
    pair = [FLOWER, edited("sharpen")]
    pair[deep] = pair[deep] * np.uint16(257)
    report = learn_kernel(*pair, size=3).report
    np.testing.assert_allclose(report.weights[0, 0], [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], atol=1e-3)
    assert report.explains and any("bits" in remark for remark in report.remarks)
    pair[deep] = pair[deep] // 257
    with pytest.raises(DtypeError, match="no value above 255: convert it to 8 bits"):
        learn_kernel(*pair, size=3)


def test_a_grey_result_and_one_pixel_more_are_a_pair():
    grey = edited("grey")[..., 0]
    learned = learn_kernel(FLOWER, grey[:, :-1], size=1, channels="mixed")
    assert learned.report.explains and learned.report.edit.startswith("grey")
    assert "after is grey" in learned.report.text() and "cut to 220x299" in learned.report.text()
    equal = np.repeat(FLOWER[..., :1], 3, 2)
    assert learn_kernel(FLOWER[..., 0], edited("sharpen", equal), size=3).report.explains


def test_a_stride_is_learned_and_applied():
    kernel = np.array([[1, 2, 0], [3, 6, 1], [0, 2, 1]]) / 16
    for image in (FLOWER, FLOWER[:219, :299]):
        after = rounded(correlated(image, kernel))[::2, ::2]
        learned = learn_kernel(image, after, size=3, stride=2)
        np.testing.assert_allclose(learned.filter.kernel().array, kernel, atol=5e-3)
        assert learned.report.explains and "--stride 2" in learned.report.text()
    with pytest.raises(ParameterError, match="gives 74x100, but after is 110x150: give another stride"):
        learn_kernel(FLOWER, after, size=3, stride=3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_linear_light_is_learned_saved_and_applied(tmp_path, dtype):
    white = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    before = (CHINA / 255 * white).astype(dtype)
    kernel = np.array([[1, 2, 1], [2, 4, 2], [0, 2, 2]]) / 16
    exact = white * linear_to_srgb(correlated(srgb_to_linear(before / white), kernel))
    after = exact if dtype == "float64" else np.rint(exact).astype(dtype)
    learned = learn_kernel(before, after, size=3, linear=True)
    np.testing.assert_allclose(learned.filter.layers[0].weights[0, 0], kernel, atol=2e-3)
    assert learned.report.explains and "in linear light" in learned.report.verdict
    learned.filter.save(tmp_path / "f.safetensors")
    found = LearnedFilter.load(tmp_path / "f.safetensors")
    assert found.linear and read_tensors(tmp_path / "f.safetensors")[1]["version"] == "2"
    assert psnr(found.apply(before), after) > 50
    with pytest.raises(FilterFileError, match=r"give a name that ends in \.safetensors"):
        found.save(tmp_path / "f.json")


@pytest.mark.parametrize("name", ["gamma 2.2 of a blur", "blur of a gamma", "S-curve of a sharpening"])
def test_a_curve_and_a_kernel_are_learned_together(tmp_path, name):
    learned = learn_curve(CHINA, edited(name, CHINA))
    place = "before" if name == "blur of a gamma" else "after"
    assert learned.report.explains and learned.report.tone == place
    assert ("the power 0.45" in learned.report.verdict) == ("gamma" in name)
    learned.filter.save(tmp_path / "f.safetensors")
    found = LearnedFilter.load(tmp_path / "f.safetensors")
    unseen = np.ascontiguousarray(load_sample_image("china.jpg")[200:400, 100:500])
    assert psnr(found.apply(unseen)[INNER], edited(name, unseen)[INNER]) > 45
    np.testing.assert_array_equal(found.apply(unseen), learned.filter.apply(unseen))


def test_a_curve_for_each_channel():
    after = edited("a curve for each channel", CHINA)
    learned = learn_curve(CHINA, after, channels="separate", size=3)
    assert learned.report.explains and learned.filter.curve.values.shape[0] == 3
    for values, power in zip(learned.filter.curve.values, (0.7, 1, 1.4), strict=True):
        wanted = toned(np.array([100, 200.0]), power) / 255
        np.testing.assert_allclose(np.interp([100 / 255, 200 / 255], learned.filter.curve.knots, values),
                                   wanted, atol=0.01)  # fmt: skip
    with pytest.raises(ParameterError, match="channels is 'mixed'"):
        learn_curve(CHINA, after, channels="mixed")
    with pytest.raises(ParameterError, match="place is 'beside'"):
        learn_curve(CHINA, after, place="beside")


def test_clipping_is_no_part_of_a_curve():
    bright = toned(CHINA, 0.7)
    learned = learn_curve(CHINA, rounded(bright + 2.5 * (bright - blurred(bright, 1))), size=7)
    assert learned.filter.curve.place == "before"
    assert learned.report.explains and learned.report.masked > 10_000
    middle = float(learned.filter.layers[0].weights[0, 0, 3, 3])
    spread = np.outer(*[np.exp(-(np.arange(-4, 5) ** 2) / 2)] * 2)
    assert middle == pytest.approx(3.5 - 2.5 / spread.sum(), abs=0.03)


def test_a_falling_curve():
    after = rounded(255 - toned(blurred(CHINA, 0.8), 0.6))
    learned = learn_curve(CHINA, after, size=5)
    assert learned.report.explains
    assert (np.diff(learned.filter.curve.values) <= 0).all()


def test_curves_before_and_after_in_strips_and_with_borders():
    kernel = np.array([[[[0, 1, 0], [2, 3, 1], [0, 1, 0]]]]) / 8
    knots, values = np.array([0, 0.25, 1]), np.array([[0.1, 0.6, 0.9]])
    image = np.random.default_rng(0).random((40, 31, 3))
    plain = LearnedFilter((ConvolutionLayer(kernel),), True)
    bent = np.interp(image, knots, values[0])
    before = replace(plain, curve=ToneCurve("before", knots, values))
    np.testing.assert_allclose(before.maps(image), plain.maps(bent), atol=1e-12)
    beside = float(np.interp(0.3, knots, values[0]))
    np.testing.assert_allclose(
        before.maps(image, boundary="constant", constant=0.3),
        plain.maps(bent, boundary="constant", constant=beside), atol=1e-12,
    )  # fmt: skip
    after = replace(plain, curve=ToneCurve("after", knots, values))
    np.testing.assert_allclose(after.maps(image), np.interp(plain.maps(image), knots, values[0]), atol=1e-12)
    mixed = LearnedFilter((ConvolutionLayer(np.repeat(kernel, 3, 1)),), curve=before.curve)
    np.testing.assert_allclose(mixed.maps(image, strip=7), mixed.maps(image), atol=1e-12)
    assert before.kernel() is None and plain.kernel() is not None


def test_curves_that_are_none():
    knots, values = np.array([0.0, 0.5, 1]), np.array([[0.0, 0.4, 0.3]])
    for change, words in (
        ({"values": values}, "rises and falls"),
        ({"place": "beside"}, "before or after the kernel, not 'beside'"),
        ({"knots": knots[::-1]}, "give rising numbers"),
        ({"values": np.ones((1, 2))}, r"give \(C, 3\)"),
    ):
        with pytest.raises(ParameterError, match=words):
            ToneCurve(**{"place": "after", "knots": knots, "values": np.ones((1, 3))} | change)
    layer = ConvolutionLayer(np.ones((1, 1, 1, 1)))
    curve = ToneCurve("after", knots, np.ones((2, 3)))
    with pytest.raises(ParameterError, match="2 tone curves do not go with 1 channels"):
        LearnedFilter((layer,), True, curve=curve)


def test_files_with_damaged_curves(tmp_path):
    learned = LearnedFilter(
        (ConvolutionLayer(np.ones((1, 1, 1, 1))),), True,
        curve=ToneCurve("after", np.array([0.0, 1]), np.array([[0.0, 1]])),
    )  # fmt: skip
    path = tmp_path / "f.safetensors"
    learned.save(path)
    tensors, metadata = read_tensors(path)
    for broken, words in (
        ({"curve.values": np.array([[1.0, 0, 1]])}, r"give \(C, 2\)"),
        ({"curve.knots": None}, "a tone curve 'after' without its knots and values"),
    ):
        kept = {name: value for name, value in (tensors | broken).items() if value is not None}
        write_tensors(path, kept, metadata)
        with pytest.raises(FilterFileError, match=words):
            LearnedFilter.load(path)
    plain = replace(learned, curve=None)
    layers = (ConvolutionLayer(np.ones((1, 1, 1, 1))),) * 2
    replace(plain, layers=layers).save(path)  # nothing of version 2 is in it
    assert read_tensors(path)[1]["version"] == "1"
