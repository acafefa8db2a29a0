"""Scores of every network equal PyTorch's for the same random weights."""

import numpy as np
import pytest

from cnnfilter.nn.layers import Dropout
from cnnfilter.nn.layers_normalising import LocalResponse
from cnnfilter.nn.models import MODELS, build
from cnnfilter.nn.models.lenet import CONNECTION_TABLE
from cnnfilter.nn.network import frozen

torch = pytest.importorskip("torch")
F = torch.nn.functional


class Reference:
    """The operations of PyTorch on tensors by name."""

    def __init__(self, tensors):
        self.tensors = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}

    def conv(self, name, x, **options):
        return F.conv2d(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), **options)

    def dense(self, name, x):
        return F.linear(x.flatten(1), self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def norm(self, name, x, eps=1e-5):
        parts = (self.tensors[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts, eps=eps)


def lenet5(r, x):
    def pool(name, x):
        weight, bias = (r.tensors[f"{name}.{n}"][:, None, None] for n in ("weight", "bias"))
        return f(4 * F.avg_pool2d(x, 2) * weight + bias)

    def f(x):
        return 1.7159 * torch.tanh(2 / 3 * x)

    mask = torch.from_numpy(CONNECTION_TABLE.astype(np.float32))[..., None, None]
    x = pool("s2", f(r.conv("c1", x)))
    x = pool("s4", f(F.conv2d(x, r.tensors["c3.weight"] * mask, r.tensors["c3.bias"])))
    x = f(r.dense("f6", f(r.conv("c5", x))))
    return -(torch.cdist(x[None], r.tensors["output.running_codes"][None])[0] ** 2)


def lenet5_modern(r, x):
    for conv in ("c1", "c3"):
        x = F.max_pool2d(F.relu(r.conv(conv, x)), 2)
    return r.dense("output", F.relu(r.dense("f6", F.relu(r.conv("c5", x)))))


def alexnet(r, x):
    def lrn(x):
        return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)  # PyTorch divides alpha by 5

    x = F.max_pool2d(lrn(F.relu(r.conv("conv1", x, stride=4))), 3, 2)
    x = F.max_pool2d(lrn(F.relu(r.conv("conv2", x, padding=2, groups=2))), 3, 2)
    x = F.relu(r.conv("conv3", x, padding=1))
    x = F.relu(r.conv("conv4", x, padding=1, groups=2))
    x = F.max_pool2d(F.relu(r.conv("conv5", x, padding=1, groups=2)), 3, 2)
    return r.dense("fc8", F.relu(r.dense("fc7", F.relu(r.dense("fc6", x)))))


def alexnet_torchvision(r, x):
    x = F.max_pool2d(F.relu(r.conv("features.0", x, stride=4, padding=2)), 3, 2)
    x = F.max_pool2d(F.relu(r.conv("features.3", x, padding=2)), 3, 2)
    for name in ("features.6", "features.8", "features.10"):
        x = F.relu(r.conv(name, x, padding=1))
    x = F.adaptive_avg_pool2d(F.max_pool2d(x, 3, 2), 6)
    return r.dense("classifier.6", F.relu(r.dense("classifier.4", F.relu(r.dense("classifier.1", x)))))


def googlenet_by(unit, fifth, last_pool, stem):
    def run(r, x):
        def inception(which, x):
            name = f"inception{which}"
            two = unit(r, f"{name}.branch2.1", unit(r, f"{name}.branch2.0", x), padding=1)
            three = unit(r, f"{name}.branch3.1", unit(r, f"{name}.branch3.0", x), padding=fifth)
            four = unit(r, f"{name}.branch4.1", F.max_pool2d(x, 3, 1, 1))
            return torch.cat([unit(r, f"{name}.branch1", x), two, three, four], 1)

        x = stem(F.max_pool2d(unit(r, "conv1", x, stride=2, padding=3), 3, 2, ceil_mode=True))
        x = stem(unit(r, "conv3", unit(r, "conv2", x), padding=1))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for which in ("3a", "3b"):
            x = inception(which, x)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for which in ("4a", "4b", "4c", "4d", "4e"):
            x = inception(which, x)
        x = F.max_pool2d(x, last_pool, 2, ceil_mode=True)
        return r.dense("fc", F.adaptive_avg_pool2d(inception("5b", inception("5a", x)), 1))

    return run


def _plain(r, name, x, **options):
    return F.relu(r.conv(name, x, **options))


def _normalised(r, name, x, **options):
    return F.relu(r.norm(f"{name}.bn", r.conv(f"{name}.conv", x, **options), 1e-3))


def _paper_lrn(x):
    return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


def resnet(blocks, bottleneck=False, small=False):
    def block(r, name, x, stride):
        steps = [(1, 1, 0), (2, stride, 1), (3, 1, 0)] if bottleneck else [(1, stride, 1), (2, 1, 1)]
        y = x
        for i, step, padding in steps:
            y = r.norm(f"{name}.bn{i}", r.conv(f"{name}.conv{i}", y, stride=step, padding=padding))
            y = F.relu(y) if i < len(steps) else y
        if f"{name}.downsample.0.weight" in r.tensors:
            x = r.norm(f"{name}.downsample.1", r.conv(f"{name}.downsample.0", x, stride=stride))
        elif y.shape != x.shape:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(x + y)

    def run(r, x):
        x = F.relu(r.norm("bn1", r.conv("conv1", x, stride=2 - small, padding=1 if small else 3)))
        x = x if small else F.max_pool2d(x, 3, 2, 1)
        for i, count in enumerate(blocks):
            for j in range(count):
                x = block(r, f"layer{i + 1}.{j}", x, 2 if i and not j else 1)
        return r.dense("fc", F.adaptive_avg_pool2d(x, 1))

    return run


def highway(r, x):
    x = F.relu(r.dense("enter", x))
    for i in range(1, 11):
        t = torch.sigmoid(r.dense(f"highway{i}.gate", x))
        x = F.relu(r.dense(f"highway{i}.transform", x)) * t + x * (1 - t)
    return r.dense("output", x)


def highway_convolutional(r, x):
    for i in (1, 2, 3):
        x = F.max_pool2d(F.relu(r.conv(f"conv{i}", x, padding=1)), 2)
        for part in "ab":
            t = torch.sigmoid(r.conv(f"highway{i}{part}.gate", x, padding=1))
            x = F.relu(r.conv(f"highway{i}{part}.transform", x, padding=1)) * t + x * (1 - t)
    return r.dense("output", F.adaptive_avg_pool2d(x, 1))


REFERENCES = {
    "lenet5": lenet5,
    "lenet5-modern": lenet5_modern,
    "alexnet": alexnet,
    "alexnet-torchvision": alexnet_torchvision,
    "googlenet": googlenet_by(_plain, 2, 3, _paper_lrn),
    "googlenet-torchvision": googlenet_by(_normalised, 1, 2, lambda x: x),
    "resnet18": resnet((2, 2, 2, 2)),
    "resnet34": resnet((3, 4, 6, 3)),
    "resnet50": resnet((3, 4, 6, 3), bottleneck=True),
    "resnet20": resnet((3, 3, 3), small=True),
    "highway": highway,
    "highway-convolutional": highway_convolutional,
}


def test_every_network_has_a_reference():
    assert REFERENCES.keys() == MODELS.keys()


def varied(network, random):
    """Give what begins as zero or one other values, so that a mistake in its use is seen."""
    for tensor in network.tensors().values():
        if tensor.ndim == 1:
            tensor += random.uniform(-0.2, 0.2, tensor.shape).astype(tensor.dtype)
    return network


@pytest.mark.parametrize(
    ("name", "options"), [*((n, {}) for n in REFERENCES), ("resnet18", {"shortcut": "A"})]
)
def test_scores_equal_pytorch(name, options):
    random = np.random.default_rng(5)
    network = varied(build(name, **options).initialise(seed=3), random)
    x = random.standard_normal((2, *network.shape)).astype(np.float32)
    with torch.no_grad():
        expected = REFERENCES[name](Reference(network.tensors()), torch.from_numpy(x)).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(network.forward(x.copy()), expected, rtol=0, atol=1e-4 * scale)
    np.testing.assert_allclose(frozen(network).forward(x.copy()), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize(
    "name", ["lenet5-modern", "resnet20", "highway-convolutional", "googlenet", "googlenet-torchvision"]
)
def test_gradients_equal_pytorch(name):
    """In float64, batch statistics and all, but nothing dropped."""
    network = build(name).initialise(seed=3, dtype=np.float64)
    for _, layer in network.layers():
        if isinstance(layer, Dropout):
            layer.share = 0
    x = np.random.default_rng(5).standard_normal((3, *network.shape))
    delta = np.random.default_rng(6).standard_normal((3, network.classes))
    reference = Reference({n: a.copy() for n, a in network.tensors().items()})
    trained = [reference.tensors[n].requires_grad_() for n in network.parameters]

    def in_training(name, x, eps=1e-5):
        return F.batch_norm(
            x,
            None,
            None,
            reference.tensors[f"{name}.weight"],
            reference.tensors[f"{name}.bias"],
            True,
            eps=eps,
        )

    reference.norm = in_training
    scores = REFERENCES[name](reference, torch.from_numpy(x))
    np.testing.assert_allclose(network.forward(x, train=True), scores.detach().numpy(), rtol=1e-8, atol=1e-9)
    network.backward(delta)
    found = torch.autograd.grad(scores, trained, torch.from_numpy(delta))
    for key, expected in zip(network.parameters, found, strict=True):
        scale = expected.abs().max().item()
        np.testing.assert_allclose(
            network.gradients[key], expected.numpy(), rtol=0, atol=1e-8 * scale, err_msg=key
        )


@pytest.mark.parametrize("options", [{}, {"size": 3, "alpha": 0.3, "beta": 0.5, "k": 1.0}])
def test_local_response_equals_pytorch(options):
    """Both ways; PyTorch divides alpha by the size."""
    random = np.random.default_rng(7)
    x, delta = random.standard_normal((2, 2, 12, 5, 4))
    layer, image = LocalResponse(**options), torch.from_numpy(x).requires_grad_()
    expected = F.local_response_norm(
        image, layer.size, alpha=layer.alpha * layer.size, beta=layer.beta, k=layer.k
    )
    np.testing.assert_allclose(layer.forward(x, train=True), expected.detach().numpy(), rtol=1e-12)
    (gradient,) = torch.autograd.grad(expected, image, torch.from_numpy(delta))
    np.testing.assert_allclose(layer.backward(delta), gradient.numpy(), rtol=1e-11, atol=1e-13)
