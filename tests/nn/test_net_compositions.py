"""Layers in random compositions: what one does must not depend on who else reads its input."""

import numpy as np
import pytest
from test_net_layers import conv, loss_of, worst_error

from cnnfilter.nn.layers import Activation, Dense, Dropout, xavier_uniform
from cnnfilter.nn.layers_joining import Auxiliary, Highway, Inception, Residual, Sequence, Shortcut, walk
from cnnfilter.nn.layers_normalising import BatchNorm, LocalResponse
from cnnfilter.nn.layers_pooling import AdaptiveMeanPooling, MaxPooling, MeanPooling, TrainablePooling
from cnnfilter.nn.network import Network, frozen

SEEDS = range(40)
ACTIVATIONS = ("relu", "relu", "relu", "leaky_relu", "tanh", "sigmoid", "identity", "scaled_tanh", "softmax")


class Composer:
    """Draws layers; all keep rows and columns, and `maps` of the last shape that was asked for."""

    def __init__(self, seed):
        self.random, self.names = np.random.default_rng(seed), 0

    def name(self, kind):
        self.names += 1
        return f"{kind}{self.names}"

    def layers(self, maps, depth, least=0):
        return [self.layer(maps, depth) for _ in range(self.random.integers(least, 4))]

    def layer(self, maps, depth):
        kind = self.random.choice(LEAVES if not depth else (*LEAVES, *JOINING, *JOINING))
        return KINDS[kind](self, maps, depth)

    def change(self, before, after, **options):
        return conv(self.name("change"), after, int(self.random.choice([1, 3])), **options)

    def inception(self, maps, depth):
        branches, rest = [], maps
        while rest:
            own = int(self.random.integers(1, rest + 1))
            rest -= own
            before = self.layers(maps, depth - 1)
            middle = [self.change(maps, own)] if own < maps else []
            branches.append(Sequence(self.name("branch"), [*before, *middle, *self.layers(own, depth - 1)]))
        return Inception(self.name("inception"), branches)

    def residual(self, maps, depth):
        if self.random.integers(2):
            return Residual(self.name("residual"), self.layers(maps, depth - 1))
        other = [[], [self.change(maps, maps), BatchNorm(self.name("norm"))], [Shortcut(maps, 1)]]
        shortcut = other[self.random.integers(3)] + self.layers(maps, depth - 1)
        return Residual(self.name("residual"), self.layers(maps, depth - 1), shortcut)

    def highway(self, maps, depth):
        gate = [*self.layers(maps, depth - 1), Activation("sigmoid")]
        return Highway(self.name("highway"), self.layers(maps, depth - 1), gate)

    def head(self, maps, depth):
        layers = [*self.layers(maps, 0), Dense(self.name("head"), 3)]
        return Auxiliary(self.name("auxiliary"), layers)


KINDS = {
    "activation": lambda c, maps, depth: Activation(str(c.random.choice(ACTIVATIONS))),
    "convolution": lambda c, maps, depth: c.change(maps, maps),
    "maximum": lambda c, maps, depth: MaxPooling(3, 1, padding=1),
    "mean": lambda c, maps, depth: MeanPooling(3, 1, padding=1),
    "adaptive": lambda c, maps, depth: Sequence("", [AdaptiveMeanPooling(5)]),
    "trainable": lambda c, maps, depth: TrainablePooling(c.name("pool"), 1),
    "response": lambda c, maps, depth: LocalResponse(int(c.random.integers(1, 6)), alpha=0.2),
    "norm": lambda c, maps, depth: BatchNorm(c.name("norm")),
    "dropout": lambda c, maps, depth: Dropout(float(c.random.choice([0, 0.3]))),
    "sequence": lambda c, maps, depth: Sequence(c.name("sequence"), c.layers(maps, depth - 1)),
    "inception": Composer.inception,
    "residual": Composer.residual,
    "highway": Composer.highway,
    "auxiliary": Composer.head,
}
LEAVES = tuple(KINDS)[:9] + ("activation",) * 4
JOINING = tuple(KINDS)[9:]


def composed(seed, image=False):
    """A network of random layers, with `image` behind a convolution, whose gradients come through all."""
    layers = Composer(seed).layers(4, 3, least=2)
    before = [conv("before", 4), Activation("tanh")] if image else []
    head = Dense("scores", 3, begin=xavier_uniform)
    return Network("random", (4, 5, 5), [*before, *layers, head]).initialise(seed, np.float64)


def apart(layer, x):
    """What a layer predicts, every part of it reading a copy of its own."""
    if isinstance(layer, Sequence):
        for child in layer.children:
            x = apart(child, x)
        return x
    if isinstance(layer, Inception):
        return np.concatenate([apart(branch, x) for branch in layer.children], axis=1)
    if isinstance(layer, Residual):
        return np.add(*(apart(way, x) for way in layer.children))
    if isinstance(layer, Highway):
        h, t = (apart(way, x) for way in layer.children)
        return t * (h - x) + x
    return layer.forward(x.copy()).copy()


@pytest.fixture
def still(monkeypatch):
    """Batch normalisation and dropout do in training what they do afterwards."""
    for kind in (BatchNorm, Dropout):
        forward = kind.forward
        monkeypatch.setattr(kind, "forward", lambda self, x, train=False, f=forward: f(self, x, False))


def varied(net, seed):
    """Parameters and buffers that are no longer 0 and 1."""
    random = np.random.default_rng(seed)
    for tensor in net.tensors().values():
        tensor += random.uniform(0, 0.3, tensor.shape)
    return net, random.standard_normal((3, *net.shape))


@pytest.mark.parametrize("seed", SEEDS)
def test_inference_is_the_forward_pass_of_training_to_the_last_bit(seed, still):
    net, x = varied(composed(seed), seed)
    x.flags.writeable = False
    scores = net.forward(x)
    np.testing.assert_array_equal(net.forward(x, train=True), scores)
    np.testing.assert_array_equal(net.forward(x), scores)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_others_read_changes_nothing(seed):
    net, x = varied(composed(seed), seed)
    kept = x.copy()
    scores = net.forward(x)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(scores, apart(net.body, x).reshape(len(x), -1))
    named = {full: layer for full, layer in net.layers() if full}
    seen = net.outputs(x, named)
    np.testing.assert_array_equal(seen["scores"], scores)
    np.testing.assert_allclose(frozen(net).forward(x), scores, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("train", [False, True])
def test_no_layer_writes_to_what_it_is_given(seed, train):
    net, x = varied(composed(seed), seed)
    for _, layer in walk(net.body):
        layer.forward = sealed(layer.forward)
        layer.backward = sealed(layer.backward)
    scores = net.forward(x, train)
    if train:
        for head in net.auxiliaries:
            head.delta = np.ones_like(head.scores)
        net.backward(np.ones_like(scores))


def sealed(run):
    def sealed_run(x, *options, **more):
        x = x.view()
        x.flags.writeable = False
        return run(x, *options, **more)

    return sealed_run


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_of_compositions_are_finite_differences(seed):
    net, _ = varied(composed(seed, image=True), seed)  # a bias of 0 would put kinks where values are
    assert worst_error(net) < 2e-4


def test_a_network_may_begin_with_a_join():
    """Of the first convolution the gradient of the picture is left out, but not where two ways meet."""
    joins = {
        "residual": [Residual("a", [conv("c", 5, stride=2)], [conv("p", 5, 1, stride=2)])],
        "inception": [Inception("a", [Sequence("x", [conv("c", 3)]), Sequence("y", [conv("d", 2)])])],
        "auxiliary": [Auxiliary("a", [conv("c", 3), Dense("fc", 3)])],
        "highway": [Highway("a", [conv("c", 2)], [conv("g", 2), Activation("sigmoid")])],
        "plain": [Sequence("a", [conv("c", 3)])],
    }
    for layers in joins.values():
        net = Network("small", (2, 7, 6), [*layers, Dense("fc", 3)]).initialise(1, np.float64)
        assert worst_error(net) < 1e-5


def test_an_empty_batch_gives_no_scores():
    for seed in range(10):
        net = composed(seed)
        assert net.forward(np.zeros((0, *net.shape))).shape == (0, 3)
        assert np.isfinite(loss_of(net, np.zeros((2, *net.shape)), np.array([0, 1]))[0])
