"""Correlation, layers and their gradients against PyTorch over a grid of geometries (skipped without it)."""

import itertools

import numpy as np
import pytest

import cnnfilter as cf
from cnnfilter.nn import functional

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors gain nothing from more, and wait for each other where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


GRID = [
    {"stride": stride, "padding": padding, "dilation": dilation}
    for stride, padding, dilation in itertools.product([1, 2, (3, 1)], [0, 1, (2, 3), (0, 4)], [1, 2, (1, 3)])
]
SIZES = [(1, 1), (2, 3), (3, 3), (5, 4)]


def noise(seed, shape, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("geometry", GRID, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_correlation_of_images(size, geometry):
    image, weights = noise(0, (19, 23, 3)), noise(1, size)
    x = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[:, None]))
    wanted = torch.nn.functional.conv2d(x, torch.from_numpy(weights)[None, None], **geometry)
    found = cf.correlate(image, weights, **geometry)
    np.testing.assert_allclose(found.transpose(2, 0, 1), wanted[:, 0].numpy(), atol=1e-12)


@pytest.mark.parametrize("geometry", GRID, ids=str)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("groups", [1, 2])
def test_layers_and_their_gradients(size, geometry, groups):
    for dtype, limit in ((np.float64, 1e-11), (np.float32, 1e-4)):
        x, b = noise(2, (2, 4, 17, 18), dtype), noise(4, 6, dtype)
        w = noise(3, (6, 4 // groups, *size), dtype)
        tensors = [torch.tensor(array, requires_grad=True) for array in (x, w, b)]
        wanted = torch.nn.functional.conv2d(*tensors, **geometry, groups=groups)
        y = functional.convolution(x, w, b, **geometry, groups=groups)
        np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=limit, atol=limit)
        delta = noise(5, y.shape, dtype)
        wanted.backward(torch.tensor(delta))
        gradients = functional.convolution_backward(x, w, delta, **geometry, groups=groups)
        for ours, tensor in zip(gradients, tensors, strict=True):
            scale = max(1.0, float(tensor.grad.abs().max()))
            np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=0, atol=limit * scale)


@pytest.mark.parametrize("size", [2, 3, (3, 2), (4, 5)])
@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("ceil", [False, True])
def test_pooling(size, stride, padding, ceil):
    for shape in ((2, 3, 13, 16), (1, 1, 7, 7)):
        x = noise(6, shape)
        options = {"stride": stride, "padding": padding}
        theirs = torch.tensor(x, requires_grad=True)
        wanted = torch.nn.functional.max_pool2d(theirs, size, **options, ceil_mode=ceil)
        found, places = functional.max_pooling(x, size, **options, ceil=ceil)
        np.testing.assert_array_equal(found, wanted.detach().numpy())
        delta = noise(7, found.shape)
        wanted.backward(torch.tensor(delta))
        gradient = functional.max_pooling_backward(delta, places, x.shape, size, **options, ceil=ceil)
        np.testing.assert_allclose(gradient, theirs.grad.numpy(), atol=1e-12)
        for count in (False, True):
            wanted = torch.nn.functional.avg_pool2d(
                torch.tensor(x), size, **options, ceil_mode=ceil, count_include_pad=count
            )
            found = functional.mean_pooling(x, size, **options, ceil=ceil, count_padding=count)
            np.testing.assert_allclose(found, wanted.numpy(), atol=1e-12)


@pytest.mark.parametrize("mode", ["relu", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations(mode, dtype):
    z = noise(8, (3, 4, 5, 6), dtype) * 5
    theirs = torch.tensor(z, requires_grad=True)
    wanted = getattr(torch, mode, getattr(torch.nn.functional, mode))(theirs)
    y = getattr(functional, mode)(z)
    limit = 1e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=limit, atol=limit)
    delta = noise(9, z.shape, dtype)
    wanted.backward(torch.tensor(delta))
    gradient = getattr(functional, f"{mode}_backward")(y, delta)
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=limit, atol=limit)


@pytest.mark.parametrize("sigma", [0.7, 1.5, 3.0])
@pytest.mark.parametrize(
    ("boundary", "mode"), [("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular")]
)
def test_gaussians_with_padded_boundaries(sigma, boundary, mode):
    image = noise(10, (40, 51))
    kernel = cf.templates.gaussian(sigma=sigma)
    half = kernel.shape[0] // 2
    x = torch.nn.functional.pad(torch.from_numpy(image)[None, None], (half,) * 4, mode=mode)
    wanted = torch.nn.functional.conv2d(x, torch.from_numpy(kernel.array.copy())[None, None])[0, 0]
    np.testing.assert_allclose(cf.gaussian(image, sigma, boundary=boundary), wanted.numpy(), atol=1e-13)
