"""Every layer backward against finite differences, in float64, in a network around it."""

import numpy as np
import pytest

from cnnfilter.errors import ParameterError
from cnnfilter.nn.layers import Activation, Convolution, Dense, Dropout, RadialOutput, xavier_uniform
from cnnfilter.nn.layers_enlarging import PixelShuffle, PixelUnshuffle, TransposedConvolution
from cnnfilter.nn.layers_joining import Auxiliary, Highway, Inception, Residual, Sequence, Shortcut
from cnnfilter.nn.layers_normalising import BatchNorm, LocalResponse
from cnnfilter.nn.layers_pooling import AdaptiveMeanPooling, MaxPooling, MeanPooling, TrainablePooling
from cnnfilter.nn.losses import LOSSES
from cnnfilter.nn.models import build
from cnnfilter.nn.network import Network

TABLE = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1]], bool)


def conv(name, maps, size=3, **options):
    options = {"padding": size // 2, "begin": xavier_uniform} | options
    return Convolution(name, maps, size, **options)


def gated(name, maps):
    gate = [conv("gate", maps, bias_at=-2.0), Activation("sigmoid")]
    return Highway(name, [conv("transform", maps), Activation("tanh")], gate)


LAYERS = {
    "groups and stride": [conv("a", 6, stride=2, groups=2)],
    "connection table": [conv("a", 3, table=TABLE)],
    "max pooling, overlapping, ceil": [MaxPooling(3, 2, ceil=True)],
    "max pooling, padded": [MaxPooling(3, 1, padding=1)],
    "mean pooling": [MeanPooling(3, 2, ceil=True)],
    "adaptive mean": [AdaptiveMeanPooling(4)],
    "trainable pooling": [TrainablePooling("a", 2), Activation("scaled_tanh")],
    "dilated": [conv("a", 4, dilation=(2, 1), padding=(2, 1)), MaxPooling(2, 1, dilation=(2, 3))],
    "mean pooling, dilated": [MeanPooling((2, 3), 2, padding=1, dilation=2, ceil=True)],
    "transposed convolution": [
        TransposedConvolution("a", 6, 3, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2),
        Activation("tanh"),
    ],
    "transposed convolution, dilated": [TransposedConvolution("a", 3, (2, 3), dilation=2, bias=False)],
    "pixel shuffle": [PixelShuffle(2), Activation("tanh")],
    "pixel shuffle and back": [
        PixelShuffle(2), conv("a", 2), Activation("tanh"), PixelUnshuffle(2)
    ],
    "local response": [LocalResponse(3, alpha=0.5)],
    "local response, another power": [LocalResponse(5, alpha=0.5, beta=0.6, k=1.0)],
    "local response, even": [LocalResponse(4, alpha=0.5)],
    "batch norm": [BatchNorm("a")],
    "dropout": [Dropout(0.4)],
    "inception": [
        Inception("a", [Sequence("x", [conv("c", 2, 1)]), Sequence("y", [MaxPooling(3, 1, padding=1)])])
    ],
    "residual": [Residual("a", [conv("c", 4), BatchNorm("n")]), Activation("tanh")],
    "residual, zero-pad": [Residual("a", [conv("c", 6, stride=2)], [Shortcut(6, 2)])],
    "residual, projection": [
        Residual("a", [conv("c", 5, stride=2)], [conv("p", 5, 1, stride=2), BatchNorm("n")])
    ],
    "highway": [gated("a", 4)],
    "auxiliary": [
        Auxiliary("aux", [MeanPooling(2), Dense("fc", 3, begin=xavier_uniform)]), Activation("tanh")
    ],
}  # fmt: skip


def network(layers, head=None):
    """Surround layers by what gives them varied input and makes scores of their output."""
    before = [conv("before", 4), Activation("tanh")]
    after = head or [Dense("after", 3, begin=xavier_uniform)]
    return Network("small", (2, 7, 6), [*before, *layers, *after]).initialise(seed=1, dtype=np.float64)


def loss_of(net, x, labels):
    net.reseed(np.random.default_rng(9))
    loss, delta = LOSSES[net.loss](net.forward(x, train=True), labels)
    for head in net.auxiliaries:
        more, head.delta = LOSSES[net.loss](head.scores, labels)
        loss += more
    return loss, delta


def worst_error(net, step=1e-6):
    """Largest difference from finite differences over some entries of every parameter, relative."""
    random = np.random.default_rng(2)
    x, labels = random.standard_normal((4, *net.shape)), np.array([0, 2, 1, 2])
    for tensor in net.parameters.values():
        tensor += random.uniform(-0.1, 0.1, tensor.shape) * (tensor != 0)
    _, delta = loss_of(net, x, labels)
    net.backward(delta)
    gradients, worst = {n: g.copy() for n, g in net.gradients.items()}, 0.0
    assert gradients.keys() == net.parameters.keys()
    for name, tensor in net.parameters.items():
        for index in random.choice(tensor.size, min(6, tensor.size), replace=False):
            place = np.unravel_index(index, tensor.shape)
            kept = tensor[place]
            if kept == 0 and gradients[name][place] == 0:
                continue  # cut by the connection table
            values = []
            for sign in (1, -1):
                tensor[place] = kept + sign * step
                values.append(loss_of(net, x, labels)[0])
            tensor[place] = kept
            numeric = (values[0] - values[1]) / (2 * step)
            worst = max(worst, abs(numeric - gradients[name][place]) / max(1e-3, abs(numeric)))
    return worst


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_finite_differences(name):
    assert worst_error(network(LAYERS[name])) < 1e-5


def test_gradients_of_the_radial_output():
    codes = np.random.default_rng(0).choice([-1.0, 1.0], (3, 8))
    net = network([], [Dense("f6", 8, begin=xavier_uniform), RadialOutput("out", codes)])
    net.loss = "radial"
    assert worst_error(net) < 1e-5


def test_a_wrong_gradient_is_seen(monkeypatch):
    monkeypatch.setattr(Dense, "backward", lambda self, delta: _scaled(self, delta))
    assert worst_error(network([])) > 1e-2


_dense_backward = Dense.backward


def _scaled(layer, delta):
    return 1.1 * _dense_backward(layer, delta)


def test_cut_connections_stay_cut():
    net = network(LAYERS["connection table"])
    worst_error(net)
    cut = ~TABLE[:, :, None, None] & np.ones((3, 4, 3, 3), bool)
    assert not net.parameters["a.weight"][cut].any()
    assert not net.gradients["a.weight"][cut].any()


def test_joins_that_cannot_be_are_refused():
    with pytest.raises(ParameterError, match=r"a: the body gives \(5, 7, 6\), the shortcut \(4, 7, 6\)"):
        network([Residual("a", [conv("c", 5)])])
    with pytest.raises(ParameterError, match="keeps the shape"):
        network([gated("a", 5)])
    with pytest.raises(ParameterError, match="cannot be joined along depth"):
        network([Inception("a", [Sequence("", [conv("c", 2)]), Sequence("", [MaxPooling(2)])])])
    with pytest.raises(ParameterError, match=r"small reads \(N, 2, 7, 6\)"):
        network([]).forward(np.zeros((1, 1, 7, 6)))


def test_heads_are_passed_over_only_where_there_may_be_some():
    for name, refused in (("lenet5-modern", True), ("googlenet", False)):
        net = build(name).initialise(seed=0)
        tensors = net.tensors() | {"aux1.fc2.bias": np.zeros(1000, np.float32)}
        if refused:
            with pytest.raises(ParameterError, match=r"unexpected aux1\.fc2\.bias"):
                net.load(tensors)
        else:
            net.load(tensors)


def test_rectifiers_that_are_watched_or_not_say_the_same():
    net = network([conv("c", 6), Activation("relu"), MaxPooling(2)])
    x = np.random.default_rng(4).standard_normal((3, *net.shape))
    scores = net.forward(x)
    seen = net.outputs(x, ["c", "after"])
    assert seen["c"].min() < 0
    np.testing.assert_array_equal(seen["after"], scores)
    np.testing.assert_array_equal(net.forward(x, train=True), scores)


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "highway"])
def test_a_network_without_weights_says_so(name):
    network = build(name)
    with pytest.raises(ParameterError, match=f"{name} has no weights yet"):
        network.forward(np.zeros((1, *network.shape), np.float32))
