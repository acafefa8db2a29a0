"""No argument of a function of layers may crash the process, or write where nothing belongs: errors alone."""

import subprocess
import sys
from pathlib import Path

import malformed
import numpy as np
import pytest

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.nn import functional

CALLS = 20_000


def test_every_public_function_is_tried():
    assert set(functional.__all__) - {"ACTIVATIONS", "Activation"} == set(malformed.CASES) - {
        "max_pool", "mean_pool"
    }  # fmt: skip


@pytest.mark.slow
def test_malformed_calls_raise_errors_and_harm_nothing():
    script = Path(malformed.__file__)
    ended = subprocess.run(
        [sys.executable, str(script), str(CALLS), "0"], capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    counts = {name: int(count) for name, count in (line.split() for line in ended.stdout.splitlines())}
    assert sum(counts.values()) == CALLS
    assert min(counts["DtypeError"], counts["ParameterError"], counts["returned"]) > CALLS / 10


POOLINGS = {
    "whole windows": ((1, 2, 8, 8), {"size": 2}),
    "windows over the rim": ((2, 1, 7, 9), {"size": 3, "stride": 2, "padding": 1}),
    "dilated": ((1, 1, 9, 8), {"size": (2, 3), "stride": 1, "padding": (1, 2), "dilation": 2, "ceil": True}),
    "larger than the image": ((1, 1, 2, 3), {"size": (5, 6), "padding": (3, 4)}),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_positions_are_checked_one_by_one(name):
    shape, options = POOLINGS[name]
    x = np.random.default_rng(0).standard_normal(shape)
    y, argmax = functional.max_pooling(x, **options)
    windows = functional.Windows.of(shape, **({"stride": options["size"]} | options))
    high, wide = windows.size
    for place in np.ndindex(y.shape):
        for k in (-1, 2**31 - 1, -(2**31), *range(high * wide + 2)):
            changed = argmax.copy()
            changed[place] = k
            at = [
                place[2 + axis] * windows.stride[axis]
                - windows.padding[axis][0]
                + tap * windows.dilation[axis]
                for axis, tap in enumerate(divmod(k, wide))
            ]
            right = 0 <= k < high * wide and 0 <= at[0] < shape[2] and 0 <= at[1] < shape[3]
            if right:
                delta = np.zeros(y.shape)
                delta[place] = 1
                dx = functional.max_pooling_backward(delta, changed, shape, **options)
                assert dx[(*place[:2], *at)] == 1 and np.abs(dx).sum() == 1
            else:
                with pytest.raises(ParameterError) as caught:
                    functional.max_pooling_backward(y, changed, shape, **options)
                assert str(caught.value).startswith(f"argmax is {k} at {place}: ")


def test_flat_indices_of_pytorch_are_refused():
    x = np.random.default_rng(0).standard_normal((1, 1, 6, 6))
    y, argmax = functional.max_pooling(x, 2)
    rows, columns = np.ogrid[:3, :3]
    flat = (rows * 2 + argmax // 2) * 6 + columns * 2 + argmax % 2
    with pytest.raises(DtypeError, match="argmax is of type int64: give the int32 array"):
        functional.max_pooling_backward(y, flat.astype(np.int64), x.shape, 2)
    with pytest.raises(ParameterError, match=r"argmax is 6 at \(0, 0, 0, 0\): give the positions"):
        functional.max_pooling_backward(y, flat.astype(np.int32), x.shape, 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: functional.relu(None), DtypeError, "z is of type NoneType"),
        (lambda x: functional.relu_backward(x, x[:, 1:]), ParameterError, r"delta is float32 \(1, 1, 4, 5\)"),
        (lambda x: functional.sigmoid(x.astype(">f4")), DtypeError, "z is of type >f4"),
        (lambda x: functional.tanh_backward(x, x.astype(float)), DtypeError, "delta is float64"),
        (lambda x: functional.leaky_relu(x, 2), ParameterError, "slope is 2: give a number from 0 to 1"),
        (lambda x: functional.softmax(x, 4), ParameterError, r"axis is 4: .* of shape \(1, 2, 4, 5\)"),
        (lambda x: functional.maxima(np.ma.masked_array(x), 2), DtypeError, "x is a masked array"),
        (lambda x: functional.maxima(x, 2, ceil="no"), DtypeError, "ceil is 'no': give True or False"),
        (lambda x: functional.mean_pooling_backward(x, (1, 2, 8), 2), ParameterError, r"\(1, 2, 8\): give"),
        (lambda x: functional.mean_pooling_backward(x, 8, 2), DtypeError, r"input_shape is 8: give \(N"),
        (
            lambda x: functional.maxima(x, 2, padding=1, dilation=7),
            ParameterError,
            "the output would be empty",
        ),
        (lambda x: functional.maxima(x, 2, padding=5, dilation=6), ParameterError, "would hold no pixel"),
        (
            lambda x: functional.convolution(x, x, groups=2.0),
            DtypeError,
            "groups 2.0 is not made of integers",
        ),
        (lambda x: functional.activation(["relu"]), ParameterError, r"activation is \['relu'\]"),
        (lambda x: functional.Windows.of((3,), 2), ParameterError, r"shape is \(3,\): give"),
    ],
)
def test_what_is_wrong_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(np.zeros((1, 2, 4, 5), np.float32))


def test_layers_of_no_maps_or_channels_are_sums_of_nothing():
    x, bias = np.ones((2, 0, 5, 5)), np.array([1.0, -2.0])
    y = functional.convolution(x, np.ones((2, 0, 3, 3)), bias, padding=1, rectify=True)
    assert y[:, 0].min() == 1 and not y[:, 1].any()
    assert functional.convolution(np.ones((2, 3, 5, 5)), np.ones((0, 3, 3, 3))).shape == (2, 0, 3, 3)


def test_a_stride_past_the_padding_is_no_longer_walked_step_by_step():
    x, w, far = np.ones((1, 1, 3, 3)), np.ones((1, 1, 1, 1)), 2**30
    options = {"stride": far, "padding": ((far, 0), (far, 0))}
    y = functional.convolution(x, w, **options)
    assert y[0, 0].tolist() == [[0, 0], [0, 1]]
    dx = functional.convolution_input_gradient(y, w, x.shape, **options)
    assert dx.sum() == dx[0, 0, 0, 0] == 1
