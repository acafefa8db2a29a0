"""Layers forward against their equations, written out plainly."""

import numpy as np
import pytest

from cnnfilter.nn.layers import Activation, Dense, Dropout, RadialOutput, xavier_uniform
from cnnfilter.nn.layers_joining import Highway, Inception, Residual, Sequence, Shortcut, walk
from cnnfilter.nn.layers_normalising import BatchNorm, LocalResponse
from cnnfilter.nn.layers_pooling import MaxPooling, TrainablePooling
from cnnfilter.nn.losses import LOSSES
from cnnfilter.nn.models import build
from cnnfilter.nn.network import relu

X = np.random.default_rng(0).standard_normal((3, 6, 5, 4))


def started(layer, shape):
    """Connect a layer and give its tensors random values of float64."""
    random = np.random.default_rng(1)
    layer.connect(shape)
    for _, part in walk(layer):
        part.start(random, np.float64)
        for tensor in (part.parameters | part.buffers).values():
            tensor[...] = random.uniform(0.5, 1.5, tensor.shape)
    return layer


@pytest.mark.parametrize(("size", "options"), [(5, {}), (3, {"alpha": 0.5, "beta": 0.6, "k": 1.0})])
def test_local_response_divides_by_the_neighbours_in_depth(size, options):
    alpha, beta, k = ({"alpha": 1e-4, "beta": 0.75, "k": 2.0} | options).values()
    wanted = np.empty_like(X)
    for i in range(6):
        near = X[:, max(0, i - size // 2) : min(6, i + size // 2 + 1)]
        wanted[:, i] = X[:, i] / (k + alpha * (near**2).sum(axis=1)) ** beta
    np.testing.assert_allclose(LocalResponse(size, **options).forward(X), wanted, rtol=1e-12)
    of_libraries = LocalResponse(size, **{**options, "alpha": alpha * size}, alpha_over_size=True)
    np.testing.assert_allclose(of_libraries.forward(X), wanted, rtol=1e-12)


def test_batch_norm_evens_out_the_batch_and_remembers_it():
    layer = started(BatchNorm("n", epsilon=1e-3), (6, 5, 4))
    gamma, beta = (layer.parameters[name][:, None, None] for name in ("weight", "bias"))
    mean, variance = X.mean(axis=(0, 2, 3), keepdims=True)[0], X.var(axis=(0, 2, 3), keepdims=True)[0]
    before = {name: value.copy() for name, value in layer.buffers.items()}
    wanted = gamma * (X - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(layer.forward(X, train=True), wanted, rtol=1e-9)
    unbiased = variance * 60 / 59
    for name, new in (("running_mean", mean), ("running_var", unbiased)):
        np.testing.assert_allclose(layer.buffers[name], 0.9 * before[name] + 0.1 * new.ravel(), rtol=1e-9)
    kept_mean, kept_variance = (layer.buffers[n][:, None, None] for n in ("running_mean", "running_var"))
    wanted = gamma * (X - kept_mean) / np.sqrt(kept_variance + 1e-3) + beta
    np.testing.assert_allclose(layer.forward(X), wanted, rtol=1e-9)


def test_radial_output_is_minus_the_squared_distance():
    codes = np.sign(X[:, 0, 0])
    layer = started(RadialOutput("out", codes), (4,))
    layer.buffers["running_codes"] = codes
    x = X[0, :, 0]
    wanted = [[-sum((a - b) ** 2 for a, b in zip(row, code, strict=True)) for code in codes] for row in x]
    np.testing.assert_allclose(layer.forward(x), wanted, rtol=1e-12)


def test_the_radial_loss_counts_a_class_that_is_none_of_the_others():
    """LeCun et al. 1998, equation 9, with j = 10: from where on wrong classes are left alone."""
    distances = np.array([[3.0, 12.0, 20.0], [9.0, 30.0, 0.5]])
    loss, delta = LOSSES["radial"](-distances, np.array([0, 1]))
    sums = np.exp(-10) + np.exp(-distances).sum(axis=1)
    assert loss == pytest.approx(np.add([3, 30], np.log(sums)).mean(), rel=1e-12)
    shares = np.exp(-distances) / sums[:, None]
    np.testing.assert_allclose(delta, (shares - [[1, 0, 0], [0, 1, 0]]) / 2, rtol=1e-12)


def test_trainable_pooling_is_equation_38():
    layer = started(TrainablePooling("s", 2), (6, 4, 4))
    x = X[:, :, :4]
    total = x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]
    weight, bias = (layer.parameters[name][:, None, None] for name in ("weight", "bias"))
    np.testing.assert_allclose(layer.forward(x), weight * total + bias, rtol=1e-12)


def test_residual_is_equation_50():
    body = Dense("f", 4, begin=xavier_uniform)
    layer = started(Residual("r", [body]), (4,))
    x = X[0, :, 0]
    f = x @ body.parameters["weight"].T + body.parameters["bias"]
    np.testing.assert_allclose(layer.forward(x), x + f, rtol=1e-12)


def test_shortcut_a_takes_every_second_pixel_and_adds_zeros():
    y = started(Shortcut(8, 2), (6, 5, 4)).forward(X)
    assert y.shape == (3, 8, 3, 2) and not y[:, 6:].any()
    np.testing.assert_array_equal(y[:, :6], X[:, :, ::2, ::2])


def test_highway_is_equation_51():
    transform, gate = Dense("h", 4), Dense("t", 4)
    layer = started(Highway("w", [transform, relu()], [gate, Activation("sigmoid")]), (4,))
    x = X[0, :, 0]
    h = np.maximum(0, x @ transform.parameters["weight"].T + transform.parameters["bias"])
    t = 1 / (1 + np.exp(-(x @ gate.parameters["weight"].T + gate.parameters["bias"])))
    np.testing.assert_allclose(layer.forward(x.copy()), t * h + (1 - t) * x, rtol=1e-12)


def test_gates_begin_almost_closed():
    for name in ("highway", "highway-convolutional"):
        network = build(name).initialise(0)
        biases = [tensor for key, tensor in network.parameters.items() if key.endswith("gate.bias")]
        assert len(biases) >= 6 and all((bias == -2).all() for bias in biases)


def test_inception_joins_along_depth():
    layer = Inception("i", [Sequence("", []), Sequence("", [MaxPooling(3, 1, padding=1)])])
    y = started(layer, (6, 5, 4)).forward(X)
    assert y.shape == (3, 12, 5, 4)
    np.testing.assert_array_equal(y[:, :6], X)
    assert (y[:, 6:] >= X).all()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.75])
def test_dropout_keeps_the_mean_of_what_it_passes_forward_and_back(share):
    layer = Dropout(share)
    passed = layer.forward(np.ones((50, 40, 10)), train=True)
    assert set(np.unique(passed).tolist()) == {0.0, 1 / (1 - share)}
    assert abs(passed.mean() - 1) < 0.05
    np.testing.assert_array_equal(layer.backward(np.full(passed.shape, 3.0)), 3 * passed)
    np.testing.assert_array_equal(layer.forward(passed), passed)
