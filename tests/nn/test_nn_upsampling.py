"""Transposed convolution and pixel shuffle: the adjoints of what makes maps smaller, and PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.nn import functional
from cnnfilter.nn.describe import describe
from cnnfilter.nn.layers import Convolution, Dense
from cnnfilter.nn.layers_enlarging import PixelShuffle, PixelUnshuffle, TransposedConvolution
from cnnfilter.nn.layers_normalising import BatchNorm, LocalResponse
from cnnfilter.nn.layers_pooling import MaxPooling
from cnnfilter.nn.network import Network

pytestmark = pytest.mark.usefixtures("fenced")


@st.composite
def cases(draw):
    small = st.integers(1, 3)
    groups = draw(st.sampled_from([1, 1, 2]))
    size, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, (r - 1) // 2)) for r in reach)
    more = tuple(draw(st.integers(0, s - 1)) for s in stride)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    plane = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    x = random.standard_normal((draw(st.integers(1, 3)), groups * draw(small), *plane))
    w = random.standard_normal((x.shape[1], draw(small), *size))
    options = {"stride": stride, "padding": padding, "output_padding": more, "dilation": dilation}
    return x, w, random.standard_normal(w.shape[1] * groups), options | {"groups": groups}, random


def naive(x, w, b, stride, padding, output_padding, dilation, groups):
    """Every pixel times the kernel, added where it falls."""
    n, depth, rows, columns = x.shape
    maps, (u, v) = w.shape[1] * groups, w.shape[2:]
    sides = [
        (side - 1) * s + (k - 1) * d + 1 + more
        for side, s, k, d, more in zip((rows, columns), stride, (u, v), dilation, output_padding, strict=True)
    ]
    y = np.zeros((n, maps, *sides))
    for c, i, j in np.ndindex(depth, rows, columns):
        first = c // (depth // groups) * w.shape[1]
        rows_of, columns_of = (
            slice(at * s, at * s + (k - 1) * d + 1, d)
            for at, s, k, d in zip((i, j), stride, (u, v), dilation, strict=True)
        )
        y[:, first : first + w.shape[1], rows_of, columns_of] += x[:, c, i, j, None, None, None] * w[c]
    (top, left), (high, wide) = padding, sides
    return y[:, :, top : high - top, left : wide - left] + b[:, None, None]


@given(cases())
@settings(deadline=None, max_examples=120)
def test_every_pixel_is_spread_and_gradients_are_the_adjoints(case):
    x, w, b, options, random = case
    y = functional.transposed_convolution(x, w, b, **options)
    np.testing.assert_allclose(y, naive(x, w, b, **options), atol=1e-11)
    delta = random.standard_normal(y.shape)
    dx, dw, db = functional.transposed_convolution_backward(x, w, delta, **options)
    assert dx.shape == x.shape and dw.shape == w.shape
    product = np.vdot(delta, y - b[:, None, None])
    np.testing.assert_allclose([np.vdot(dx, x), np.vdot(dw, w)], [product, product], atol=1e-10)
    np.testing.assert_allclose(db, delta.sum(axis=(0, 2, 3)), atol=1e-11)


def test_sides_of_padding_may_differ_and_may_have_a_name():
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    y = functional.transposed_convolution(x, w, padding=((1, 0), (0, 2)))
    whole = functional.transposed_convolution(x, w)
    np.testing.assert_array_equal(y, whole[:, :, 1:, :-2])
    np.testing.assert_array_equal(
        functional.transposed_convolution(x, w, padding="same"), whole[:, :, 1:-1, 1:-1]
    )


@given(st.integers(1, 4), st.integers(0, 2), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_shuffled_pixels_stand_where_they_are_said_to_and_come_back(r, n, depth, rows, columns):
    x = np.arange(n * depth * r * r * rows * columns, dtype=float).reshape(n, depth * r * r, rows, columns)
    y = functional.pixel_shuffle(x, r)
    assert y.shape == (n, depth, rows * r, columns * r)
    for d, i, j, a, b in np.ndindex(depth, rows, columns, r, r):
        np.testing.assert_array_equal(y[:, d, i * r + a, j * r + b], x[:, (d * r + a) * r + b, i, j])
    np.testing.assert_array_equal(functional.pixel_unshuffle(y, r), x)


WRONG = {
    r"output_padding 2 must be less than the stride, \(2, 2\)": {"stride": 2, "output_padding": 2},
    "padding 5 leaves nothing": {"padding": 5},
    r"in 1 group\(s\) take 2 channels, .* x has shape \(1, 1, 4, 5\)": {"x": np.ones((1, 1, 4, 5))},
    r"in 3 group\(s\) take 2 channels, a multiple": {"groups": 3},
    r"bias is float64 \(5,\): give float64 of shape \(3,\)": {"bias": np.ones(5)},
    "x is float64 but weights are float32": {"weights": np.ones((2, 3, 3, 3), np.float32)},
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_with_a_transposed_convolution_is_named(words):
    call = {"x": np.ones((1, 2, 4, 5)), "weights": np.ones((2, 3, 3, 3))} | WRONG[words]
    with pytest.raises((ParameterError, DtypeError), match=words):
        functional.transposed_convolution(**call)


def test_what_is_wrong_with_a_shuffle_is_named():
    x = np.ones((1, 2, 4, 5))
    with pytest.raises(ParameterError, match=r"x has 2 maps: give a multiple of factor \* factor, 9"):
        functional.pixel_shuffle(x, 3)
    with pytest.raises(ParameterError, match="x has 4x5 pixels: give multiples of factor, 2"):
        functional.pixel_unshuffle(x, 2)
    with pytest.raises(ParameterError, match="factor 0 is out of range"):
        functional.pixel_shuffle(x, 0)


def test_a_network_that_enlarges_says_what_it_sees():
    layers = [
        Convolution("a", 8, 3, padding=1, stride=2), MaxPooling(2, 1, dilation=2),
        TransposedConvolution("up", 4, 4, stride=2, padding=1), PixelShuffle(2), PixelUnshuffle(2),
        Convolution("b", 4, 3, padding=1, dilation=1), Dense("fc", 2),
    ]  # fmt: skip
    rows = describe(Network("u", (1, 16, 16), layers)).rows
    fields = [row.receptive_field for row in rows[:-1]]
    assert fields == [(3, 3), (7, 7), (9, 9), (9, 9), (10, 10), (12, 12)]
    assert rows[2].output == (4, 12, 12) and rows[3].output == (1, 24, 24)
    assert rows[1].kind == "max pooling, dilation 2x2"
    assert rows[2].connections == 8 * 4 * 16 * 36 + 4 * 144
    for layer in (PixelShuffle(2), PixelUnshuffle(5), TransposedConvolution("t", 4, 3, groups=2)):
        with pytest.raises(ParameterError, match=r"cannot read shape \(1, 16, 16\)"):
            layer.connect((1, 16, 16))


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    F, random = torch.nn.functional, np.random.default_rng(1)
    x, w, b = (random.standard_normal(s) for s in ((2, 4, 5, 7), (4, 3, 3, 2), (6,)))
    options = {"stride": (3, 2), "padding": (1, 0), "output_padding": (2, 1), "dilation": (1, 2), "groups": 2}
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    expected = F.conv_transpose2d(*tensors, **options)
    y = functional.transposed_convolution(x, w, b, **options)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-12)
    expected.backward(torch.tensor(y))
    gradients = functional.transposed_convolution_backward(x, w, y, **options)
    for ours, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-11)
    z = random.standard_normal((2, 18, 4, 5))
    np.testing.assert_array_equal(functional.pixel_shuffle(z, 3), F.pixel_shuffle(torch.tensor(z), 3).numpy())
    back = functional.pixel_unshuffle(z.reshape(2, 2, 12, 15), 3)
    np.testing.assert_array_equal(back, F.pixel_unshuffle(torch.tensor(z.reshape(2, 2, 12, 15)), 3).numpy())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 9])
def test_pytorch_agrees_on_local_responses_of_even_sizes_too(size):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(2).standard_normal((2, 5, 3, 4))
    layer = LocalResponse(size, alpha=0.7, beta=0.75, k=1.5, alpha_over_size=True)
    expected = torch.nn.functional.local_response_norm(torch.tensor(x), size, alpha=0.7, beta=0.75, k=1.5)
    np.testing.assert_allclose(layer.forward(x), expected.numpy(), rtol=1e-12)


def test_pytorch_agrees_on_what_batch_normalisation_keeps():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(3)
    layer, theirs = BatchNorm("n", momentum=0.2), torch.nn.BatchNorm2d(3, momentum=0.2, dtype=torch.float64)
    layer.connect((3, 2, 2))
    layer.start(random, np.float64)
    for _ in range(3):
        x = random.standard_normal((2, 3, 2, 2)) * 3 + 1
        np.testing.assert_allclose(
            layer.forward(x, train=True), theirs(torch.tensor(x)).detach().numpy(), atol=1e-12
        )
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(layer.buffers[name], getattr(theirs, name).numpy(), rtol=1e-12)
    x = random.standard_normal((4, 3, 2, 2))
    np.testing.assert_allclose(layer.forward(x), theirs.eval()(torch.tensor(x)).detach().numpy(), atol=1e-12)
