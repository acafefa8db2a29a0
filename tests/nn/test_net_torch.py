"""Scores of every network equal PyTorch's for the same random weights."""

import numpy as np
import pytest

from cnnfilter.nn.layers import Dropout
from cnnfilter.nn.layers_normalising import LocalResponse
from cnnfilter.nn.models import MODELS, build
from cnnfilter.nn.network import frozen

torch = pytest.importorskip("torch")
F = torch.nn.functional

from benchmarks.torchnetworks import REFERENCES, Reference  # noqa: E402 - needs torch


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
