"""The convolution layer: against naive loops, finite differences, the adjoint identity and PyTorch."""

import importlib
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.nn import functional
from cnnfilter.nn.functional.windows import Windows

pytestmark = pytest.mark.usefixtures("fenced")

module = importlib.import_module("cnnfilter.nn.functional.planes")
rows = importlib.import_module("cnnfilter.nn.functional.rows")


def naive(x, w, b, stride, padding, dilation, groups):
    """Equation 35 pixel by pixel."""
    (top, bottom), (left, right) = padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    n, _, height, width = x.shape
    maps, depth, u, v = w.shape
    rows = (height - dilation[0] * (u - 1) - 1) // stride[0] + 1
    columns = (width - dilation[1] * (v - 1) - 1) // stride[1] + 1
    y = np.empty((n, maps, rows, columns))
    for p in range(maps):
        first = p // (maps // groups) * depth
        for i in range(rows):
            for j in range(columns):
                patch = x[
                    :,
                    first : first + depth,
                    i * stride[0] : i * stride[0] + dilation[0] * (u - 1) + 1 : dilation[0],
                    j * stride[1] : j * stride[1] + dilation[1] * (v - 1) + 1 : dilation[1],
                ]
                y[:, p, i, j] = (patch * w[p]).sum(axis=(1, 2, 3)) + b[p]
    return y


@st.composite
def layers(draw):
    """A layer and its input; every output size that floor() can give, even kernels, asymmetric padding."""
    small = st.integers(1, 3)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    size, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    side = st.tuples(st.integers(0, 3), st.integers(0, 3))
    padding = draw(st.tuples(side, side))
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, size, strict=True)]
    shape = [max(1, e - sum(p)) + draw(st.integers(0, 5)) for e, p in zip(extent, padding, strict=True)]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = generator.standard_normal((draw(st.integers(0, 3)), groups * draw(small), *shape))
    w = generator.standard_normal((groups * draw(small), x.shape[1] // groups, *size))
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x, w, generator.standard_normal(len(w)), geometry, generator


@contextmanager
def divided(finely):
    """Threads for the smallest work, few rows of sums, one sample of planes and few pixels at a time."""
    with pytest.MonkeyPatch.context() as patch:
        if finely:
            patch.setenv("CNNFILTER_THREADS", "3")
            for name, value in (("LEAST", 1), ("_PIXELS", 8), ("_LAID_BYTES", 1), ("_DELTA_PIXELS", 16)):
                patch.setattr(module, name, value)
        yield


@given(layers(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_forward_equals_the_naive_sum_however_it_is_divided(layer, finely):
    x, w, b, geometry, _ = layer
    with divided(finely):
        y = functional.convolution(x, w, b, **geometry)
    np.testing.assert_allclose(y, naive(x, w, b, **geometry), atol=1e-11)


@given(layers(), st.sampled_from([np.float32, np.float64]), st.booleans())
@settings(deadline=None, max_examples=100)
def test_wide_images_have_the_bits_of_others(layer, dtype, finely):
    """Rows of a wide image are copied, and the sums are the same."""
    x, w, b, geometry, _ = layer
    x, w, b = x.astype(dtype), np.tile(w, (geometry["groups"], 1, 1, 1)).astype(dtype), b.astype(dtype)
    geometry |= {"groups": 1, "stride": 1}
    x, b = x[:, : w.shape[1]], np.tile(b, len(w) // len(b))
    usual = functional.convolution(x, w, b, **geometry)
    with divided(finely), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_WIDE", 0)
        patch.setattr(rows, "_PAGES", 0)
        if finely:
            for name, value in (("LEAST", 1), ("_PIXELS", 4), ("_CACHED", 1)):
                patch.setattr(rows, name, value)
        np.testing.assert_array_equal(functional.convolution(x, w, b, **geometry), usual)


def test_an_image_of_many_channels_and_long_rows_is_made_in_pieces():
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((1, 22, 8, 1301)), rng.standard_normal((3, 22, 3, 2))
    assert rows.is_faster(Windows.of(x.shape, (3, 2)), w, 1)
    y = functional.convolution(x, w, rectify=True)
    exact = naive(x, w, np.zeros(3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    np.testing.assert_allclose(y, np.maximum(exact, 0), atol=1e-11)


@given(layers(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_gradients_are_the_adjoints(layer, finely):
    x, w, _, geometry, generator = layer
    with divided(finely):
        y = functional.convolution(x, w, **geometry)
        delta = generator.standard_normal(y.shape)
        dx, dw, db = functional.convolution_backward(x, w, delta, **geometry)
    assert dx.shape == x.shape and dw.shape == w.shape
    product = np.vdot(delta, y)  # y is bilinear: <delta, y> = <dx, x> = <dw, w>
    np.testing.assert_allclose([np.vdot(dx, x), np.vdot(dw, w)], [product, product], atol=1e-10)
    np.testing.assert_allclose(db, delta.sum(axis=(0, 2, 3)), atol=1e-11)


def test_planes_as_large_as_the_image_need_not_be_the_image():
    """With stride 2 and so much padding that a plane has the image's size, pixels are still passed over."""
    generator = np.random.default_rng(3)
    for width in (2, 40):
        x, delta = generator.standard_normal((2, 2, 1, width)), generator.standard_normal((2, 3, 1, width))
        geometry = {"stride": (1, 2), "padding": ((0, 0), (0, width - 1)), "dilation": (1, 1), "groups": 1}
        w = generator.standard_normal((3, 2, 1, 1))
        y = functional.convolution(x, w, **geometry)
        np.testing.assert_allclose(y, naive(x, w, np.zeros(3), **geometry), atol=1e-11)
        _, dw, _ = functional.convolution_backward(x, w, delta, **geometry)
        np.testing.assert_allclose(np.vdot(dw, w), np.vdot(delta, y), atol=1e-10)


@pytest.mark.parametrize("pixels", [1, 2, 4, 15, 16, 17])
def test_nothing_is_read_behind_the_last_sample(pixels):
    """Numbers that are none stand behind the batch: times zero they would be none again."""
    memory = np.full(5 * pixels + 64, np.nan)
    x = memory[: 5 * pixels].reshape(5, 1, 1, pixels)
    x[...] = np.arange(x.size).reshape(x.shape)
    delta = np.ones((5, 2, 1, pixels))
    _, dw, _ = functional.convolution_backward(x, np.ones((2, 1, 1, 1)), delta)
    np.testing.assert_allclose(dw.ravel(), x.sum())
    np.testing.assert_allclose(functional.convolution(x, np.ones((2, 1, 1, 1)))[:, 1:], x)


@given(layers())
@settings(deadline=None, max_examples=40)
def test_gradients_by_finite_differences(layer):
    x, w, b, geometry, generator = layer
    delta = generator.standard_normal(functional.convolution(x, w, b, **geometry).shape)
    gradients = functional.convolution_backward(x, w, delta, **geometry)
    for gradient, array in zip(gradients, (x, w, b), strict=True):
        for index in generator.choice(array.size, min(4, array.size), replace=False):
            losses = []
            for step in (1e-3, -1e-3):  # the loss is linear in each array: no truncation error
                array.flat[index] += step
                losses.append(np.vdot(delta, functional.convolution(x, w, b, **geometry)))
                array.flat[index] -= step
            slope = (losses[0] - losses[1]) / 2e-3
            assert slope == pytest.approx(gradient.flat[index], abs=1e-8)


def test_a_wrong_gradient_fails_the_adjoint_identity():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((1, 2, 7, 8)), rng.standard_normal((3, 2, 3, 3))
    y = functional.convolution(x, w)
    flipped = functional.convolution_input_gradient(y, w[:, :, ::-1, ::-1], x.shape)
    assert abs(np.vdot(flipped, x) - np.vdot(y, y)) > 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_views_are_taken(dtype):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 9, 8, 6)).astype(dtype).transpose(0, 3, 1, 2)[:, ::2]
    w = rng.standard_normal((5, 3, 2, 3)).astype(dtype)[:, ::-1]
    x.flags.writeable = w.flags.writeable = False
    y = functional.convolution(x, w, padding="same", stride=2)
    gradients = functional.convolution_backward(x, w, y[:, :, ::1], padding="same", stride=2)
    assert {a.dtype for a in (y, *gradients)} == {np.dtype(dtype)}
    expected = naive(x, w, np.zeros(5), (2, 2), ((0, 1), (1, 1)), (1, 1), 1)
    np.testing.assert_allclose(y, expected, atol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize(
    ("shape", "maps", "size", "geometry"),
    [
        ((1, 3, 60, 61), 16, 5, {"stride": 2, "padding": 2}),
        ((1, 20, 33, 31), 43, 3, {"padding": 1}),
        ((5, 8, 20, 20), 6, 3, {"stride": 2, "padding": 1, "groups": 2}),
        ((1, 32, 7, 7), 48, 1, {}),
        ((2, 4, 9, 9), 64, 1, {"stride": 2}),
        ((1, 2, 70, 70), 3, 3, {"stride": 3, "dilation": 2}),
        ((3, 6, 5, 5), 20, 5, {}),
    ],
)
def test_large_layers_are_the_same_for_any_threads(shape, maps, size, geometry, monkeypatch):
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape)
    w = rng.standard_normal((maps, shape[1] // geometry.get("groups", 1), size, size))
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("CNNFILTER_THREADS", threads)
        y = functional.convolution(x, w, **geometry)
        delta = np.cos(np.arange(y.size)).reshape(y.shape)
        dx, dw, _ = functional.convolution_backward(x, w, delta, **geometry)
        product = np.vdot(delta, y)
        np.testing.assert_allclose([np.vdot(dx, x), np.vdot(dw, w)], [product, product], atol=1e-9)
        results.append((y, dx, dw))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            if size < shape[2]:
                np.testing.assert_array_equal(a, b)
            else:
                np.testing.assert_allclose(a, b, atol=1e-11)
    zero = ((0, 0), (0, 0)) if "padding" not in geometry else ((geometry["padding"],) * 2,) * 2
    stride, dilation = (geometry.get(name, 1) for name in ("stride", "dilation"))
    expected = naive(x, w, np.zeros(maps), (stride,) * 2, zero, (dilation,) * 2, geometry.get("groups", 1))
    np.testing.assert_allclose(results[0][0], expected, atol=1e-10)


def test_rectified_on_the_way_out():
    rng = np.random.default_rng(3)
    for side in (3, 9):  # the first through BLAS
        x, w, b = rng.standard_normal((2, 3, side, side)), rng.standard_normal((4, 3, 3, 3)), np.ones(4)
        expected = np.maximum(functional.convolution(x, w, b), 0)
        np.testing.assert_array_equal(functional.convolution(x, w, b, rectify=True), expected)
        x[0, 0, 1, 1] = np.nan
        assert np.isnan(functional.convolution(x, w, b, rectify=True)[0]).all(axis=0).any()


@pytest.mark.parametrize(
    ("padding", "shape"), [("narrow", (6, 4)), ("valid", (6, 4)), ("wide", (10, 8)), ("full", (10, 8)),
                           ("same", (8, 6)), ("equal", (8, 6)), (1, (8, 6)), ((0, 2), (6, 8)),
                           (((1, 0), (0, 3)), (7, 7))],
)  # fmt: skip
def test_padding_in_every_form(padding, shape):
    y = functional.convolution(np.ones((1, 1, 8, 6)), np.ones((1, 1, 3, 3)), padding=padding)
    assert y.shape[2:] == shape


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w": np.ones((2, 3, 3, 3))}, r"take 3 channels, but x has shape \(1, 2, 5, 5\)"),
        (
            {"w": np.ones((2, 2, 6, 3))},
            "the output would be empty: 6 kernel rows",
        ),
        ({"w": np.ones((3, 1, 3, 3)), "groups": 2}, "groups is 2: it must divide"),
        ({"x": np.ones((2, 5, 5))}, r"x has shape \(2, 5, 5\)"),
        ({"x": np.ones((1, 2, 5, 5), np.int64)}, "x is of type int64"),
        ({"x": np.ones((1, 2, 5, 5), np.float32)}, "x is float32 but weights are float64"),
        ({"bias": np.ones(3)}, r"bias is float64 \(3,\): give float64 of shape \(2,\)"),
        ({"stride": 0}, "stride 0 is out of range"),
        ({"dilation": (1, 2, 3)}, r"dilation \(1, 2, 3\) has 3 numbers"),
        ({"padding": "some"}, "unknown padding 'some'"),
        ({"padding": -1}, "padding -1 is out of range"),
    ],
)
def test_bad_input_is_named(change, words):
    call = {"x": np.ones((1, 2, 5, 5)), "w": np.ones((2, 2, 3, 3))} | change
    with pytest.raises((ParameterError, DtypeError), match=words):
        functional.convolution(call.pop("x"), call.pop("w"), **call)


def test_a_gradient_of_the_wrong_shape_is_refused():
    x, w = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3))
    with pytest.raises(ParameterError, match=r"delta is float64 \(1, 1, 5, 5\)"):
        functional.convolution_backward(x, w, np.ones((1, 1, 5, 5)))


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    x, w, b = (rng.standard_normal(s) for s in ((2, 4, 11, 13), (6, 2, 3, 2), (6,)))
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    expected = torch.nn.functional.conv2d(*tensors, (3, 2), (2, 1), (1, 2), 2)
    geometry = {"stride": (3, 2), "padding": (2, 1), "dilation": (1, 2), "groups": 2}
    y = functional.convolution(x, w, b, **geometry)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-12)
    expected.backward(torch.tensor(y))
    gradients = functional.convolution_backward(x, w, y, **geometry)
    for ours, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-11)
