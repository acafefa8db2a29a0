"""Pooling: against naive windows, the adjoint identity and PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnfilter.errors import ParameterError
from cnnfilter.nn import functional

pytestmark = pytest.mark.usefixtures("fenced")


@st.composite
def poolings(draw):
    size, stride = (draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(2))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3), (2, 2)]))
    padding = tuple(draw(st.integers(0, k - 1)) for k in size)
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    least = [max(d, r - 2 * p) for d, r, p in zip(dilation, reach, padding, strict=True)]
    shape = [side + draw(st.integers(0, 6)) for side in least]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = generator.integers(-4, 5, (2, 3, *shape)).astype(float)  # ties are common
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil": draw(st.booleans())}
    return x, size, options, generator


def spans(x, size, options, axis):
    """Of each window the rows or columns under it that lie on the padded plane."""
    k, s, p, d = (o[axis] for o in (size, *(options[name] for name in ("stride", "padding", "dilation"))))
    length, reach = x.shape[2 + axis], (k - 1) * d + 1
    found = [first for first in range(-p, length + p, s) if first + reach <= length + p]
    if options["ceil"] and found and found[-1] + reach < length + p and found[-1] + s < length:
        found.append(found[-1] + s)
    return [[i for i in range(first, first + reach, d) if i < length + p] for first in found], length


def naive(x, size, options, reduce):
    (rows, height), (columns, width) = (spans(x, size, options, axis) for axis in (0, 1))
    out = np.empty((*x.shape[:2], len(rows), len(columns)))
    for i, down in enumerate(rows):
        for j, across in enumerate(columns):
            inside = [u for u in down if 0 <= u < height], [v for v in across if 0 <= v < width]
            out[:, :, i, j] = reduce(x[:, :, *np.ix_(*inside)], len(down) * len(across))
    return out


@given(poolings())
@settings(deadline=None, max_examples=150)
def test_max_and_its_routing(case):
    x, size, options, generator = case
    y, argmax = functional.max_pooling(x, size, **options)
    np.testing.assert_array_equal(y, naive(x, size, options, lambda w, _: w.max(axis=(2, 3))))
    delta = generator.standard_normal(y.shape)
    dx = functional.max_pooling_backward(delta, argmax, x.shape, size, **options)
    expected = np.zeros_like(x)  # equation 47: each gradient to the first maximum, overlaps added
    (top, left), (down, right), (tall, apart) = (options[n] for n in ("padding", "stride", "dilation"))
    for n, d, i, j in np.ndindex(*y.shape):
        u, v = divmod(int(argmax[n, d, i, j]), size[1])
        row, column = i * down - top + u * tall, j * right - left + v * apart
        assert x[n, d, row, column] == y[n, d, i, j]
        earlier = range(i * down - top, row, tall), range(j * right - left, x.shape[3], apart)[: size[1]]
        window = x[n, d, *np.ix_(*([k for k in side if k >= 0] for side in earlier))]
        assert (window < y[n, d, i, j]).all()  # no earlier row holds the maximum
        expected[n, d, row, column] += delta[n, d, i, j]
    np.testing.assert_allclose(dx, expected, atol=1e-12)


@given(poolings(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_mean_and_its_adjoint(case, count_padding):
    x, size, options, generator = case
    y = functional.mean_pooling(x, size, **options, count_padding=count_padding)
    divide = lambda w, area: w.sum(axis=(2, 3)) / (area if count_padding else w[0, 0].size)  # noqa: E731
    np.testing.assert_allclose(y, naive(x, size, options, divide), atol=1e-12)
    delta = generator.standard_normal(y.shape)
    dx = functional.mean_pooling_backward(delta, x.shape, size, **options, count_padding=count_padding)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(delta, y), abs=1e-10)


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 2), ((2, 3), (1, 2))])
def test_trainable_pooling_by_finite_differences(size, stride):
    rng = np.random.default_rng(5)
    arrays = x, w, b = [rng.standard_normal(s) for s in ((2, 3, 7, 8), (3,), (3,))]
    y = functional.trainable_pooling(x, w, b, size, stride=stride)
    delta = rng.standard_normal(y.shape)
    gradients = functional.trainable_pooling_backward(x, w, delta, size, stride=stride)
    for gradient, array in zip(gradients, arrays, strict=True):
        direction = rng.standard_normal(array.shape)
        losses = []
        for step in (1e-3, -1e-3):
            array += step * direction
            losses.append(np.vdot(delta, functional.trainable_pooling(x, w, b, size, stride=stride)))
            array -= step * direction
        assert (losses[0] - losses[1]) / 2e-3 == pytest.approx(np.vdot(gradient, direction), abs=1e-8)


def test_trainable_pooling_with_weights_over_the_area_is_the_mean():
    x = np.random.default_rng(6).standard_normal((1, 2, 4, 6))
    y = functional.trainable_pooling(x, np.full(2, 0.25), np.zeros(2), 2)
    np.testing.assert_allclose(y, functional.mean_pooling(x, 2), atol=1e-15)


def test_nan_is_the_maximum_of_its_window_alone():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 0, 1] = np.nan
    y, argmax = functional.max_pooling(x, 2)
    assert np.isnan(y[0, 0]).tolist() == [[True, False], [False, False]]
    assert argmax[0, 0, 0, 0] == 1


def test_sizes_of_googlenet_need_ceil():
    x = np.zeros((1, 1, 112, 112), np.float32)
    assert functional.max_pooling(x, 3, stride=2)[0].shape[2:] == (55, 55)
    assert functional.max_pooling(x, 3, stride=2, ceil=True)[0].shape[2:] == (56, 56)


def test_bad_input_is_named():
    x = np.zeros((1, 2, 4, 4))
    with pytest.raises(ParameterError, match=r"padding 2 must be less than the window, \(2, 2\)"):
        functional.max_pooling(x, 2, padding=2)
    with pytest.raises(ParameterError, match="the output would be empty: 5 window rows"):
        functional.mean_pooling(x, 5)
    with pytest.raises(ParameterError, match=r"weights is float64 \(3,\): give float64 of shape \(2,\)"):
        functional.trainable_pooling(x, np.ones(3), np.ones(2), 2)
    with pytest.raises(
        ParameterError, match=r"delta is float64 \(1, 2, 3, 3\): give float64 of shape \(1, 2, 2, 2\)"
    ):
        functional.mean_pooling_backward(np.zeros((1, 2, 3, 3)), x.shape, 2)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation"),
    [(2, 3, 0, 2), (3, 2, 1, (2, 3)), ((3, 2), (1, 4), (1, 0), (1, 3)), (2, 5, 1, 4), (3, 4, (1, 0), (1, 4))],
)
def test_pytorch_agrees_on_dilated_maxima_and_where_they_were(size, stride, padding, dilation, ceil):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(8)
    for rows, columns in ((11, 12), (13, 10), (9, 9)):
        x = random.standard_normal((2, 3, rows, columns))
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        y, argmax = functional.max_pooling(x, size, **options, ceil=ceil)
        tensor = torch.tensor(x, requires_grad=True)
        expected = torch.nn.functional.max_pool2d(tensor, size, **options, ceil_mode=ceil)
        np.testing.assert_array_equal(y, expected.detach().numpy())
        delta = random.standard_normal(y.shape)
        expected.backward(torch.tensor(delta))
        dx = functional.max_pooling_backward(delta, argmax, x.shape, size, **options, ceil=ceil)
        np.testing.assert_allclose(dx, tensor.grad.numpy(), atol=1e-14)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 3, 1), ((3, 2), 1, (1, 0))]
)
def test_pytorch_agrees(size, stride, padding, ceil):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(7).standard_normal((2, 3, 10, 12))
    options = {"stride": stride, "padding": padding}
    y, _ = functional.max_pooling(x, size, **options, ceil=ceil)
    expected = torch.nn.functional.max_pool2d(torch.tensor(x), size, **options, ceil_mode=ceil)
    np.testing.assert_array_equal(y, expected.numpy())
    for count in (False, True):
        y = functional.mean_pooling(x, size, **options, ceil=ceil, count_padding=count)
        expected = torch.nn.functional.avg_pool2d(
            torch.tensor(x), size, **options, ceil_mode=ceil, count_include_pad=count
        )
        np.testing.assert_allclose(y, expected.numpy(), atol=1e-12)
