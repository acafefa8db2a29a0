"""Descriptions of networks whose weights lie in another file: what they say, and what is refused."""

import json
import sys

import naive
import numpy as np
import pytest

from cnnfilter.errors import FilterFileError
from cnnfilter.files import networkfile, onnxfile
from cnnfilter.files.weightsfile import write_tensors
from cnnfilter.learning.graphapplication import is_network, load

RNG = np.random.default_rng(0)
SAME = ((1, 1), (1, 1))


def described(folder, tensors, **told):
    """Write weights and their description, and return its path."""
    write_tensors(folder / "weights.safetensors", tensors)
    path = folder / "net.json"
    path.write_text(json.dumps({"cnnfilter": "network", "weights": "weights.safetensors", **told}))
    return path


def numbers(*shape):
    return (RNG.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def layer(planes, weight, bias=0.0, padding=SAME):
    """Correlate (D, H, W) with (P, D, U, V), in float64."""
    sums = [
        sum(naive.correlate(p, k, padding=padding) for p, k in zip(planes, bank, strict=True))
        for bank in weight
    ]
    return np.stack(sums) + np.reshape(bias, (-1, 1, 1))


def planes_of(image):
    return np.moveaxis(image, 2, 0)


def test_without_onnx_one_line_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(FilterFileError, match=r"net\.onnx: .*pip install 'cnnfilter\[onnx\]'$"):
        onnxfile.load(tmp_path / "net.onnx")


def test_dncnn(tmp_path):
    """Twelve layers, so that the tenth follows the ninth; batch normalisation; the image minus the noise."""
    tensors, image = {}, RNG.random((7, 9, 1))
    x = planes_of(image)
    for k in range(12):
        weight = numbers(1 if k == 11 else 2, 1 if k == 0 else 2, 3, 3)
        tensors[f"dncnn.{3 * k}.weight"] = weight
        x = layer(x, weight)
        if 0 < k < 11:
            scale, shift, mean = RNG.uniform(0.5, 2, 2), *RNG.standard_normal((2, 2))
            variance = RNG.uniform(0.5, 2, 2)
            names = zip(
                ("weight", "bias", "running_mean", "running_var"), (scale, shift, mean, variance), strict=True
            )
            tensors |= {f"dncnn.{3 * k + 1}.{name}": value for name, value in names}
            tensors[f"dncnn.{3 * k + 1}.num_batches_tracked"] = np.array(5)
            x = (x - mean[:, None, None]) / np.sqrt(variance + 1e-4)[:, None, None]
            x = x * scale[:, None, None] + shift[:, None, None]
        if k < 11:
            x = np.maximum(x, 0)
    path = described(tmp_path, tensors, residual="subtract", epsilon=1e-4)
    np.testing.assert_allclose(load(path).maps(image)[..., 0], image[..., 0] - x[0], atol=1e-5)


def test_srcnn_and_other_words(tmp_path):
    """Names that are no numbers, given in order; values of 0 to 255; no padding; a slope for each map."""
    tensors = {
        "first.weight": numbers(3, 1, 5, 5), "first.bias": 20 * numbers(3), "slopes": RNG.uniform(0, 1, 3),
        "map.weight": numbers(2, 3, 1, 1), "end.weight": numbers(1, 2, 3, 3), "end.bias": numbers(1),
    }  # fmt: skip
    layers = [
        {"convolution": "first", "activation": "prelu", "slope": "slopes", "padding": "narrow"},
        {"convolution": "map", "activation": "leaky_relu", "slope": 0.2},
        {"convolution": "end", "padding": [0, 2], "activation": "none"},
    ]
    image = RNG.integers(0, 256, (12, 11, 1), np.uint8)
    x = layer(
        planes_of(image.astype(float)), tensors["first.weight"], tensors["first.bias"], ((0, 0), (0, 0))
    )
    x = np.where(x < 0, x * tensors["slopes"][:, None, None], x)
    x = layer(x, tensors["map.weight"], padding=((0, 0), (0, 0)))
    x = np.where(x < 0, 0.2 * x, x)
    x = layer(x, tensors["end.weight"], tensors["end.bias"], ((0, 0), (2, 2)))
    found = load(described(tmp_path, tensors, white=255, layers=layers)).maps(image)[..., 0]
    np.testing.assert_allclose(found, x[0] / 255, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 6, 3), (7, 5, 3), (1, 1, 3)])
def test_ffdnet(tmp_path, shape):
    """A quarter of the pixels in twelve maps, one of noise, and back; the last row and column repeated."""
    tensors = {"m.0.weight": numbers(5, 13, 3, 3), "m.0.bias": numbers(5), "m.2.weight": numbers(12, 5, 3, 3)}
    image = RNG.random(shape)
    longer = np.pad(image, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge")
    parts = [longer[a::2, b::2, c] for c in range(3) for a in (0, 1) for b in (0, 1)]
    x = np.stack([*parts, np.full(parts[0].shape, 25 / 255)])
    x = layer(np.maximum(layer(x, tensors["m.0.weight"], tensors["m.0.bias"]), 0), tensors["m.2.weight"])
    wanted = np.empty(longer.shape)
    for k, plane in enumerate(x):
        c, a, b = k // 4, k % 4 // 2, k % 2
        wanted[a::2, b::2, c] = plane
    path = described(tmp_path, tensors, layers=[{"unshuffle": 2}, {"noise": 25}, "*", {"shuffle": 2}])
    np.testing.assert_allclose(load(path).maps(image), wanted[: shape[0], : shape[1]], atol=1e-6)


def test_pytorch_agrees(tmp_path):
    """A state dictionary as PyTorch writes it, and what its own layers make of an image."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    body = torch.nn.Sequential(
        torch.nn.PixelUnshuffle(2), torch.nn.Conv2d(12, 8, 3, padding=1, bias=False), torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(), torch.nn.Conv2d(8, 12, 3, padding=1), torch.nn.PixelShuffle(2),
    )  # fmt: skip
    body(torch.rand(4, 3, 8, 8))  # so that the running means are not those of the beginning
    torch.save(body.eval().state_dict(), tmp_path / "net.pth")
    told = {"cnnfilter": "network", "weights": "net.pth", "residual": "add"}
    told["layers"] = [{"unshuffle": 2}, "*", {"shuffle": 2}]
    (tmp_path / "net.json").write_text(json.dumps(told))
    image = RNG.random((10, 14, 3), np.float32)
    with torch.no_grad():
        x = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
        wanted = (x + body(x)).numpy()[0].transpose(1, 2, 0)
    np.testing.assert_allclose(load(tmp_path / "net.json").maps(image), wanted, atol=1e-5)


def test_a_description_is_told_from_a_kernel(tmp_path):
    (tmp_path / "kernel.json").write_text('{"cnnfilter": "kernel", "version": 1, "weights": [[1]]}')
    assert not is_network(tmp_path / "kernel.json")
    assert not is_network(tmp_path / "nothing.json")
    assert is_network(described(tmp_path, {"a.weight": numbers(1, 1, 3, 3)}))


GOOD = {"a.weight": numbers(2, 1, 3, 3), "a.bias": numbers(2), "b.weight": numbers(1, 2, 3, 3)}


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"version": 2}, "version 2 of a description: known is 1"),
        ({"weight": "x"}, "the description has no 'weight'; known are"),
        ({"weights": "gone.npz"}, r"gone\.npz: No such file"),
        ({"weights": 3}, "weights is 3"),
        ({"layers": []}, "layers is \\[\\]: give a list"),
        ({"layers": ["a", 3]}, "layer 3: give a name"),
        ({"layers": ["a"]}, r"no layer uses b\.weight"),
        ({"layers": ["a", "c"]}, r"no tensor is named 'c\.weight'; there are a\.bias, a\.weight, b\.weight"),
        ({"layers": ["*", {"batch_norm": "b"}]}, "layer .* has no 'batch_norm'; known are convolution"),
        ({"layers": ["*", {"convolution": "a", "stride": 0}]}, "stride is 0: give a number from 1"),
        ({"layers": ["*", {"shuffle": [2, 2]}]}, r"shuffle is \[2, 2\]: give a number from 1"),
        ({"layers": [{"convolution": ["a"]}]}, r"no tensor is named"),
        ({"activation": "leaky_relu", "slope": float("nan")}, "slope is nan: give a number"),
        ({"layers": ["*", {"shuffle": 1.5}]}, r"shuffle is 1\.5: give a number from 1"),
        ({"layers": ["*", {"noise": 900}]}, "noise is 900: give 255ths of white"),
        ({"layers": [{"unshuffle": 2}]}, "no layer is a convolution"),
        ({"activation": "gelu"}, "activation is 'gelu': choose one of none, relu"),
        ({"activation": "prelu", "slope": [1]}, r"slope is \[1\]: give a number"),
        ({"padding": "wide"}, "padding is 'wide': give same, narrow"),
        ({"padding": 5}, "less than a window reaches"),
        ({"residual": "minus"}, "residual is 'minus': choose one of none, add, subtract"),
        ({"white": 0}, "white is 0: give a number above 0"),
        ({"layers": ["a", "a", "b"]}, "no number of channels of the image fits"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, told, match):
    path = described(tmp_path, GOOD, **told)
    with pytest.raises(FilterFileError, match=match) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1]", '{"cnnfilter": "network"', '{"a": ' * 100_000, "x" * (1 << 21)])
def test_damaged_descriptions(tmp_path, text):
    path = tmp_path / "net.json"
    path.write_text(text)
    with pytest.raises(FilterFileError, match="description"):
        networkfile.load(path)
