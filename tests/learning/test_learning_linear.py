"""Kernels learned from photographs: recovery, constraints, the descent, honest failure."""

import json

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.datasets import load_sample_image

from cnnfilter.drawing.reports import draw_report
from cnnfilter.errors import ParameterError
from cnnfilter.learning.evaluation import decibels, psnr, ssim
from cnnfilter.learning.linear import learn_kernel, smallest_of_the_best
from cnnfilter.learning.moments import gather_moments
from cnnfilter.learning.pairs import Pair
from cnnfilter.learning.solution import determination, solve
from cnnfilter.nn.functional import convolution, convolution_weights_gradient

CHINA, FLOWER = load_sample_image("china.jpg"), load_sample_image("flower.jpg")
MEAN = np.full((3, 3), 1 / 9)
SHARPEN = np.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]]) / 1.0
EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]) / 1.0


def filtered(image, kernel):
    """What another program would do: correlate in float64, round, clip."""
    planes = [ndimage.correlate(image[..., c].astype(float), kernel, mode="mirror") for c in range(3)]
    return np.clip(np.rint(np.stack(planes, -1)), 0, 255).astype(np.uint8)


def test_mean_is_recovered_from_8_bits():
    learned = learn_kernel(CHINA, filtered(CHINA, MEAN), size=3)
    np.testing.assert_allclose(learned.filter.kernel().array, MEAN, atol=1e-3)
    assert learned.report.psnr > 58 > learned.report.psnr_identity
    assert learned.report.verdict.startswith("A linear filter explains this pair")


@pytest.mark.parametrize("kernel", [SHARPEN, EMBOSS])
def test_saturated_targets_do_no_harm(kernel):
    after = filtered(CHINA, kernel)
    learned = learn_kernel(CHINA, after, size=3)
    assert learned.report.masked > 0.15 * after.size
    np.testing.assert_allclose(learned.filter.kernel().array, kernel, atol=1e-3)
    assert learned.report.clipped > 0


def test_gaussian_is_reproduced_at_9x9():
    after = np.stack([ndimage.gaussian_filter(CHINA[..., c], 1.5, mode="mirror") for c in range(3)], -1)
    learned = learn_kernel(CHINA, after, size=9)
    assert learned.report.psnr >= 50
    assert learned.report.rank == 81


def test_a_clone_works_on_an_unseen_photograph():
    blurred = np.stack([ndimage.gaussian_filter(x.astype(float), 1.0) for x in np.moveaxis(CHINA, 2, 0)], -1)
    after = np.clip(np.rint(CHINA + 0.8 * (CHINA - blurred)), 0, 255).astype(np.uint8)  # an unsharp mask
    learned = learn_kernel(CHINA, after, size=7)
    unseen = np.stack([ndimage.gaussian_filter(x.astype(float), 1.0) for x in np.moveaxis(FLOWER, 2, 0)], -1)
    wanted = np.clip(np.rint(FLOWER + 0.8 * (FLOWER - unseen)), 0, 255).astype(np.uint8)
    inner = (slice(8, -8), slice(8, -8))
    free = (wanted[inner] > 0) & (wanted[inner] < 255)
    assert psnr(learned.filter.apply(FLOWER)[inner][free], wanted[inner][free]) > 45


def test_descent_arrives_at_the_same_kernel():
    after = filtered(CHINA, SHARPEN)
    exact = learn_kernel(CHINA, after, size=5)
    descended = learn_kernel(CHINA, after, size=5, method="gradient")
    np.testing.assert_allclose(descended.filter.kernel().array, exact.filter.kernel().array, atol=1e-6)
    curve = descended.report.curve
    assert len(curve) > 5 and curve[-1] < 1e-3 * curve[0]
    assert exact.report.curve == []


def test_the_gradient_from_sums_is_that_of_equation_27():
    rng = np.random.default_rng(0)
    x, y, w = rng.random((20, 21)), rng.random((20, 21)), rng.standard_normal((1, 1, 3, 3))
    (moments,) = gather_moments(Pair.of(x, y), (3, 3), [0], [0], [slice(0, 18)], 1)
    gram, cross = moments.total[:9, :9], moments.total[:9, 9]
    batch = x[None, None]
    delta = convolution(batch, w) - y[1:-1, 1:-1]
    expected = convolution_weights_gradient(batch, delta, 3)
    np.testing.assert_allclose(gram @ w.ravel() - cross, expected.ravel(), atol=1e-9)


@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("ridge", [0.5, 1.0, 3.0])
def test_the_ridge_is_a_share_of_the_mean_power_whatever_the_size(size, ridge):
    """In white noise every weight has the power of the pixels: it goes 1 / (1 + ridge) of its way."""
    noise = np.random.default_rng(0).standard_normal((400, 400))
    kernel = np.random.default_rng(1).uniform(-1, 1, (size, size))
    pair = Pair.of(noise, ndimage.correlate(noise, kernel))
    moments = gather_moments(pair, (size, size), [0], [0], [slice(0, 400 - size + 1)], 1)[0]
    identity = np.zeros((size, size))
    identity[size // 2, size // 2] = 1
    wanted = identity + (kernel - identity) / (1 + ridge)
    np.testing.assert_allclose(solve(moments, ridge=ridge).weights[0, 0], wanted, atol=0.02)


def test_constraints_hold():
    after = filtered(CHINA, MEAN + 0.01 * EMBOSS)
    kernel = learn_kernel(CHINA, after, size=5, symmetric=True, sum_to_one=True).filter.kernel().array
    for image in (kernel[::-1], kernel[:, ::-1], kernel.T):
        np.testing.assert_allclose(image, kernel, atol=1e-12)
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    flipped = learn_kernel(CHINA, after, size=(3, 5), symmetric=True).filter.kernel().array
    np.testing.assert_allclose(flipped[::-1], flipped, atol=1e-12)
    with pytest.raises(ParameterError, match="size 4x4 has no middle"):
        learn_kernel(CHINA, after, size=4, symmetric=True)


def test_bias_is_learned():
    after = np.clip(np.rint(0.5 * CHINA + 40), 0, 255).astype(np.uint8)
    learned = learn_kernel(CHINA, after, size=3, bias=True)
    assert learned.filter.layers[0].bias[0] * 255 == pytest.approx(40, abs=0.05)
    assert learned.filter.kernel() is not None
    assert learned.filter.bias * 255 == pytest.approx(40, abs=0.05)
    assert psnr(learned.filter.apply(FLOWER), np.rint(0.5 * FLOWER + 40).astype(np.uint8)) > 50


def test_each_channel_its_own_kernel():
    after = CHINA.copy()
    after[..., 1] = filtered(CHINA, MEAN)[..., 1]
    after[..., 2] = filtered(CHINA, SHARPEN)[..., 2]
    weights = learn_kernel(CHINA, after, size=3, channels="separate").filter.layers[0].weights[:, 0]
    np.testing.assert_allclose(weights, [np.eye(9)[4].reshape(3, 3), MEAN, SHARPEN], atol=1e-3)


def test_channels_are_mixed():
    sepia = np.array([[0.393, 0.349, 0.272], [0.569, 0.486, 0.434], [0.029, 0.108, 0.131]])
    after = np.clip(np.rint(CHINA @ sepia), 0, 255).astype(np.uint8)
    learned = learn_kernel(CHINA, after, size=1, channels="mixed")
    np.testing.assert_allclose(learned.filter.layers[0].weights[:, :, 0, 0], sepia.T, atol=1e-3)
    assert learned.report.psnr > 58


def test_too_many_weights():
    with pytest.raises(ParameterError, match="size 31x31 of 3 mixed channels has 2883 weights"):
        learn_kernel(CHINA, filtered(CHINA, MEAN), size=31, channels="mixed", register=False)


def test_auto_takes_the_smallest_of_the_best():
    report = learn_kernel(CHINA, filtered(CHINA, MEAN), size="auto").report
    assert report.weights.shape[2:] == (3, 3)
    motion = np.zeros((7, 7))
    motion[3] = 1 / 7
    report = learn_kernel(CHINA, filtered(CHINA, motion), size="auto").report
    assert report.weights.shape[2:] == (7, 7) and list(report.sizes)[2:4] == ["7x7", "9x9"]


@pytest.mark.parametrize(("quality", "chosen"), [(39.0, 3), (40.04, 3), (40.06, 5), (50.0, 5)])
def test_larger_kernels_have_to_be_better_by_a_twentieth_of_a_decibel(quality, chosen):
    assert smallest_of_the_best({3: 40.0, 5: quality, 7: max(40.0, quality)}) == chosen


def test_a_shift_is_taken_out_and_told():
    learned = learn_kernel(CHINA, np.roll(filtered(CHINA, MEAN), (3, -5), (0, 1)), size=3)
    assert learned.report.shifts == [(3, -5)]
    assert "3 rows lower, 5 columns to the left" in learned.report.text()
    np.testing.assert_allclose(learned.filter.kernel().array, MEAN, atol=1e-3)


def test_several_pairs_hold_a_pair_out():
    afters = [filtered(CHINA, MEAN), filtered(FLOWER, SHARPEN)]
    learned = learn_kernel([CHINA, FLOWER], afters, size=3, ridge=1e-9)
    np.testing.assert_allclose(learned.filter.kernel().array, MEAN, atol=1e-3)  # the second only judges
    assert "does not explain" in learned.report.verdict


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_other_depths(dtype):
    scale = 257 if dtype == np.uint16 else 1 / 255
    before = (FLOWER[:200, :300, 0].astype(float) * scale).astype(dtype)
    exact = ndimage.correlate(before.astype(float), EMBOSS / 4)
    after = np.clip(np.rint(exact), 0, 65535).astype(dtype) if dtype == np.uint16 else exact.astype(dtype)
    kernel = learn_kernel(before, after, size=3).filter.kernel().array
    np.testing.assert_allclose(kernel, EMBOSS / 4, atol=1e-4)


@pytest.mark.parametrize("name", ["median", "gamma"])
def test_what_is_not_linear_is_not_claimed(name):
    after = (
        ndimage.median_filter(CHINA, (7, 7, 1))
        if name == "median"
        else np.rint(255 * (CHINA / 255) ** 0.4).astype(np.uint8)
    )
    report = learn_kernel(CHINA, after, size=7, bias=True).report
    assert report.psnr < 35 and report.explained < 0.99
    assert "this pair:" not in report.verdict


def test_images_that_say_little_leave_the_identity():
    ramp = np.add.outer(np.arange(80), np.arange(90)).astype(np.uint8)
    learned = learn_kernel(ramp, ramp + 1, size=3, register=False)
    assert learned.report.rank == 2 and learned.report.condition == np.inf
    assert "undetermined" in learned.report.text()


def test_the_verdict_of_changes_that_are_small_or_none():
    rng = np.random.default_rng(0)
    noisy = np.clip(np.rint(CHINA + rng.normal(0, 0.6, CHINA.shape)), 0, 255).astype(np.uint8)
    report = learn_kernel(CHINA, noisy, size=3).report
    assert report.psnr_usable > 48 and "does not explain" in report.verdict  # near, but no filter made it so
    faint = filtered(CHINA, 0.98 * np.eye(9)[4].reshape(3, 3) + 0.02 * MEAN)
    assert "explains this pair" in learn_kernel(CHINA, faint, size=3).report.verdict
    report = learn_kernel(CHINA, np.roll(CHINA, (3, -5), (0, 1)), size=3).report
    assert report.shifts == [(3, -5)] and "nothing was changed" in report.verdict
    json.dumps(report.record(), allow_nan=False)
    assert "explained     -, held out" in report.text()


def test_another_picture_is_not_explained():
    report = learn_kernel(CHINA, FLOWER, size=3, register=False).report
    assert report.psnr > report.psnr_identity + 5  # nearer than before, but worse than one grey
    assert report.explained < 0 and report.r2 < 0
    assert "does not explain" in report.verdict


def test_a_missing_bias_is_told():
    after = np.clip(CHINA.astype(int) + 30, 0, 255).astype(np.uint8)
    report = learn_kernel(CHINA, after, size=3).report
    assert "a constant is missing: --bias would reach" in report.text()
    exact = CHINA[..., 1].astype(np.float64)
    report = learn_kernel(exact, 0.5 * exact + 1e-9, size=3).report
    assert report.psnr_usable > 120 and "--bias" not in report.text()  # nothing that anybody would see
    report = learn_kernel(CHINA, after, size=3, bias=True).report
    assert "--bias" not in report.text() and "explains this pair" in report.verdict


def test_the_ridge_is_raised_where_held_out_pixels_say_so():
    after = CHINA[:48, :48, 1]
    before = np.rint(ndimage.gaussian_filter(CHINA[..., 1].astype(float), 2.5)).astype(np.uint8)[:48, :48]
    assert learn_kernel(before, after, size=5, register=False).report.ridge == 1e-6
    assert learn_kernel(CHINA, filtered(CHINA, SHARPEN), size=3).report.ridge == 1e-9
    assert learn_kernel(CHINA, filtered(CHINA, MEAN), size=3, ridge=1e-4).report.ridge == 1e-4


def test_floats_are_judged_by_their_own_range():
    small = (CHINA[:200] / 255).astype(np.float32)
    after = ndimage.median_filter(small, (5, 5, 1))
    whole, faint = (
        learn_kernel(small * s, after * s, size=3).report for s in (np.float32(1), np.float32(1e-3))
    )
    assert faint.psnr == pytest.approx(whole.psnr, abs=0.01)
    assert faint.verdict == whole.verdict


@pytest.mark.parametrize(("dtype", "outlier"), [("float32", 1e30), ("float32", -3e38), ("float64", 1e75)])
@pytest.mark.parametrize("side", [0, 1])
def test_a_value_far_outside_is_learned_from_too(dtype, outlier, side):
    """Its square is more than float32 holds; as is the error of a result of 1e30 and a peak of 1."""
    pair = [CHINA[:60, :60, 0] / 255, ndimage.uniform_filter(CHINA[:60, :60, 0] / 255, 3)]
    pair[side][28:32, 28:32] = outlier
    report = learn_kernel(*(image.astype(dtype) for image in pair), size=3).report
    assert np.isfinite([report.psnr, report.psnr_identity]).all()


def test_an_error_beyond_all_floats_is_no_likeness():
    assert decibels(np.inf, 1.0) == -np.inf and decibels(0.0, 1.0) == np.inf


def test_what_was_learned_prints_without_pixels():
    assert len(repr(learn_kernel(CHINA, filtered(CHINA, MEAN), size=3))) < 2000


def test_too_few_pixels():
    rng = np.random.default_rng(0)
    before, after = rng.integers(1, 255, (2, 12, 12), np.uint8)
    with pytest.raises(ParameterError, match="too few pixels: 12x12 leaves 36 targets for the 49 weights"):
        learn_kernel(before, after, size=7)
    with pytest.raises(
        ParameterError, match="an image of 1 rows leaves 1 rows of targets, and none to judge by"
    ):
        learn_kernel(CHINA[:1, :, 0], CHINA[1:2, :, 0], size=(1, 3))
    ends = np.where(CHINA > 128, 255, 0).astype(np.uint8)
    with pytest.raises(ParameterError, match="too few usable pixels: 0 targets"):
        learn_kernel(ends, 255 - ends)
    white = np.full((60, 60), 255, np.uint8)
    white[:3] = 100
    with pytest.raises(ParameterError, match="too few usable pixels"):
        learn_kernel(rng.integers(1, 255, (60, 60), np.uint8), white, size=3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": "huge"}, "size is 'huge'"),
        ({"size": 33}, "more than 961 weights"),
        ({"channels": "all"}, "channels is 'all': give shared, separate, mixed"),
        ({"method": "newton"}, "method is 'newton'"),
        ({"ridge": -1.0}, "ridge is -1.0"),
    ],
)
def test_bad_options_are_named(change, words):
    with pytest.raises(ParameterError, match=words):
        learn_kernel(CHINA[:90, :90], filtered(CHINA, MEAN)[:90, :90], **change)


def test_solving_without_full_rank_falls_back():
    ramp = np.add.outer(np.arange(40.0), np.arange(40.0))
    (moments,) = gather_moments(Pair.of(ramp, ramp * 2), (3, 3), [0], [0], [slice(0, 38)], 1)
    solution = solve(moments, ridge=0)
    assert solution.mean_square(moments) < 1e-12
    assert determination(moments) == (2, np.inf)


def test_report_is_text_json_and_a_picture(tmp_path):
    for method in ("least-squares", "gradient"):
        report = learn_kernel(CHINA, filtered(CHINA, MEAN), size=3, method=method).report
        assert json.loads(json.dumps(report.record(), allow_nan=False))["rank"] == 9
        draw_report(report, tmp_path / f"{method}.png")
        assert (tmp_path / f"{method}.png").read_bytes()[:4] == b"\x89PNG"
        assert "0.11111" in report.text()


def test_psnr_and_ssim_agree_with_scikit_image():
    noisy = np.clip(CHINA + np.random.default_rng(0).normal(0, 20, CHINA.shape), 0, 255).astype(np.uint8)
    assert psnr(noisy, CHINA) == pytest.approx(peak_signal_noise_ratio(CHINA, noisy))
    expected = structural_similarity(
        CHINA, noisy, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2
    )
    assert ssim(noisy, CHINA) == pytest.approx(expected, abs=1e-9)
