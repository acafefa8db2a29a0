"""Layers against ONNX's own node tests, as its package makes them (skipped where it is not installed)."""

from importlib import import_module

import numpy as np
import pytest

import cnnfilter as cf
from cnnfilter.nn import functional
from cnnfilter.nn.layers_normalising import BatchNorm, LocalResponse

pytest.importorskip("onnx")

CASES = "onnx.backend.test.case.node"
MODULES = (
    "averagepool", "batch_normalization", "conv", "convtranspose", "gemm", "globalaveragepool",
    "globalmaxpool", "leakyrelu", "logsoftmax", "lrn", "maxpool", "relu", "sigmoid", "softmax", "tanh",
)  # fmt: skip


def pads_of(options, lengths):
    """Return ((before, after), ...) as the attributes pads, auto_pad and strides say it."""
    kernel, mode = options["kernel_shape"], options.get("auto_pad", b"NOTSET").decode()
    apart, steps = options.get("dilations", [1] * len(kernel)), options.get("strides", [1] * len(kernel))
    if not mode.startswith("SAME"):
        pads = options.get("pads", [0] * 2 * len(kernel))
        return tuple(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))
    sides = []
    for length, taps, dilation, stride in zip(lengths, kernel, apart, steps, strict=True):
        total = max((-(-length // stride) - 1) * stride + (taps - 1) * dilation + 1 - length, 0)
        small, large = total // 2, total - total // 2
        sides.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return tuple(sides)


def windows_of(options, x):
    """Return image, size and geometry for two dimensions; a signal becomes an image of one row."""
    sides = pads_of(options, x.shape[2:])
    size, stride = options["kernel_shape"], options.get("strides", [1] * (x.ndim - 2))
    if x.ndim == 3:
        x, sides, size, stride = x[:, :, None], ((0, 0), *sides), [1, *size], [1, *stride]
    return x, tuple(size), {"stride": tuple(stride), "padding": sides}


def conv(options, x, weights, bias=None):
    if x.ndim != 4:
        pytest.skip("images have two dimensions")
    options = {"kernel_shape": weights.shape[2:]} | options
    x, _, geometry = windows_of(options, x)
    dilation = tuple(options.get("dilations", (1, 1)))
    return functional.convolution(
        x, weights, bias, **geometry, dilation=dilation, groups=options.get("group", 1)
    )


def conv_transpose(options, x, weights):
    """The gradient of a convolution with respect to its input."""
    if x.ndim != 4:
        pytest.skip("images have two dimensions")
    kernel, more = weights.shape[2:], options.get("output_padding", (0, 0))
    stride, dilation = options.get("strides", (1, 1)), options.get("dilations", (1, 1))
    full = [
        (n - 1) * s + (k - 1) * d + 1 + m
        for n, s, k, d, m in zip(x.shape[2:], stride, kernel, dilation, more, strict=True)
    ]
    sides = pads_of({"kernel_shape": kernel} | options, x.shape[2:])
    if options.get("auto_pad", b"NOTSET") != b"NOTSET":
        options = {"output_shape": [n * s for n, s in zip(x.shape[2:], stride, strict=True)]} | options
    if "output_shape" in options:
        total = [whole - wanted for whole, wanted in zip(full, options["output_shape"], strict=True)]
        if min(total) < 0:
            pytest.skip("outputs that nothing reached")
        lower = options.get("auto_pad", b"NOTSET") != b"SAME_UPPER"
        sides = [(n - n // 2, n // 2) if lower else (n // 2, n - n // 2) for n in total]
    shape = [whole - sum(side) for whole, side in zip(full, sides, strict=True)]
    groups = options.get("group", 1)
    return functional.convolution_input_gradient(
        x, weights, (x.shape[0], weights.shape[1] * groups, *shape), stride=tuple(stride),
        padding=tuple(map(tuple, sides)), dilation=tuple(dilation), groups=groups,
    )  # fmt: skip


def pooled(options, x, function, **more):
    if x.ndim == 5 or set(options.get("dilations", [1])) != {1}:
        pytest.skip("windows have two dimensions and no dilation")
    image, size, geometry = windows_of(options, x)
    result = function(image, size, **geometry, ceil=bool(options.get("ceil_mode", 0)), **more)
    return result[:, :, 0] if x.ndim == 3 else result


def average(options, x):
    return pooled(
        options, x, functional.mean_pooling, count_padding=bool(options.get("count_include_pad", 0))
    )


def largest(options, x):
    if x.dtype == np.uint8:
        image, size, geometry = windows_of(options, x)
        return cf.max_pool(image[0, 0], size, **geometry)[None, None]
    return pooled(options, x, functional.maxima)


def local_response(options, x):
    beta, alpha, k = options.get("beta", 0.75), options.get("alpha", 1e-4), options.get("bias", 1.0)
    return LocalResponse(options["size"], alpha=alpha, beta=beta, k=k, alpha_over_size=True).forward(x)


def batch_norm(options, x, weight, bias, mean, variance):
    train = bool(options.get("training_mode", 0))
    layer = BatchNorm("a", epsilon=options.get("epsilon", 1e-5), momentum=1 - options.get("momentum", 0.9))
    layer.connect(x.shape[1:])
    layer.start(np.random.default_rng(0), x.dtype)
    layer.parameters = {"weight": weight, "bias": bias}
    layer.buffers = {"running_mean": mean.copy(), "running_var": variance.copy()}
    y = layer.forward(x, train=train)
    # Of the running variance ONNX keeps the biased one, PyTorch and we the unbiased one.
    return [y, layer.buffers["running_mean"]] if train else y


def dense(options, a, b, c=0.0):
    a, b = (m.T if options.get(name, 0) else m for m, name in ((a, "transA"), (b, "transB")))
    rows, maps = a[:, :, None, None], b.T[:, :, None, None]
    y = functional.convolution(np.ascontiguousarray(rows), np.ascontiguousarray(maps))[:, :, 0, 0]
    return options.get("alpha", 1.0) * y + options.get("beta", 1.0) * c


OPERATORS = {
    "AveragePool": average,
    "BatchNormalization": batch_norm,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": dense,
    "GlobalAveragePool": lambda options, x: functional.mean_pooling(x, x.shape[2:]),
    "GlobalMaxPool": lambda options, x: functional.maxima(x, x.shape[2:]),
    "LRN": local_response,
    "LeakyRelu": lambda options, x: functional.leaky_relu(x, options.get("alpha", 0.01)),
    "LogSoftmax": lambda options, x: functional.log_softmax(x, options.get("axis", -1)),
    "MaxPool": largest,
    "Relu": lambda options, x: functional.relu(x),
    "Sigmoid": lambda options, x: functional.sigmoid(x),
    "Softmax": lambda options, x: functional.softmax(x, options.get("axis", -1)),
    "Tanh": lambda options, x: functional.tanh(x),
}


def cases():
    """Make the cases of these modules alone; all of ONNX's take half a minute."""
    for module in MODULES:
        import_module(f"{CASES}.{module}")
    found = {case.name: case for case in import_module(CASES)._NodeTestCases}
    single = {name: case for name, case in found.items() if len(case.model.graph.node) == 1}
    return [case for case in single.values() if case.model.graph.node[0].op_type in OPERATORS]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name.removeprefix("test_"))
def test_node(case):
    from onnx.helper import get_attribute_value

    (node,) = case.model.graph.node
    options = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    for inputs, outputs in case.data_sets:
        if {array.dtype.name for array in inputs} - {"float32", "float64", "uint8"}:
            pytest.skip("types that layers do not take")
        found = OPERATORS[node.op_type](options, *inputs)
        for ours, theirs in zip(found if isinstance(found, list) else [found], outputs, strict=False):
            assert ours.shape == theirs.shape
            # Some outputs are written with four digits: ONNX's own tolerance holds.
            np.testing.assert_allclose(ours, theirs, rtol=case.rtol, atol=1e-6)
