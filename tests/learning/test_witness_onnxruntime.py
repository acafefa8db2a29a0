"""Networks of others against ONNX Runtime, on the same input (skipped where it is not installed)."""

import numpy as np
import pytest
from onnxmodels import Model, denoiser

from cnnfilter.learning.graphapplication import load

runtime = pytest.importorskip("onnxruntime")

SHAPES = [(37, 41), (8, 24), (3, 5), (1, 2)]


def witness(model, image):
    """What ONNX Runtime makes of an image (H, W, C)."""
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = runtime.InferenceSession(model.proto().SerializeToString(), options)
    return session.run(None, {"x": image.transpose(2, 0, 1)[None]})[0][0].transpose(1, 2, 0)


def agree(model, tmp_path, shape, seed=0):
    image = np.random.default_rng(seed).random((*shape, model.channels), np.float32)
    found, wanted = load(model.save(tmp_path / "net.onnx")).maps(image), witness(model, image)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-4 * max(1, np.abs(wanted).max()), rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_residual_with_batch_normalisation(tmp_path, channels, shape):
    agree(denoiser(channels, seed=3), tmp_path, shape)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_pad_with_even_kernels(tmp_path, mode):
    model, rng = Model(3), np.random.default_rng(0)
    model.conv(rng, 5, 3, (4, 2), auto_pad=mode)
    model.conv(rng, 3, 5, (3, 6), auto_pad=mode)
    agree(model, tmp_path, (13, 17))


@pytest.mark.parametrize("shape", [(20, 23), (9, 7), (21, 4)])
@pytest.mark.parametrize("counted", [0, 1])
def test_pooling_that_lessens(tmp_path, shape, counted):
    model, rng = Model(3), np.random.default_rng(1)
    model.conv(rng, 4, 3, pads=[1, 1, 1, 1])
    model.add("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
    model.conv(rng, 4, 4, pads=[1, 1, 1, 1], strides=[1, 2])
    model.add("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=counted)
    agree(model, tmp_path, shape)


@pytest.mark.parametrize("after", ["Relu", "BatchNormalization"])
def test_a_convolution_that_two_operators_read_is_not_folded(tmp_path, after):
    model, rng = Model(3), np.random.default_rng(2)
    convolved = model.conv(rng, 3, 3, pads=[1, 1, 1, 1])
    norm = rng.uniform(0.5, 2, (4, 3)) if after == "BatchNormalization" else ()
    model.add(after, convolved, *map(model.constant, norm))
    model.add("Add", model.at, convolved)
    agree(model, tmp_path, (9, 8))


def test_constants_are_added_and_values_passed_on(tmp_path):
    model = Model(3)
    one = model.add("Identity", model.constant(1.0))
    model.add("Sub", one, "x")
    model.add("Identity")
    model.add("Add", model.at, model.constant(np.full((3, 1, 1), [[[0.1]], [[0.2]], [[0.3]]])))
    model.add("Dropout")
    agree(model, tmp_path, (4, 5))


@pytest.mark.parametrize("seed", range(24))
def test_random_graphs(tmp_path, seed):
    rng = np.random.default_rng(seed)
    model = Model(int(rng.choice([1, 3])))
    maps = {"x": model.channels}
    for _ in range(rng.integers(3, 9)):
        depth = maps[model.at]
        match rng.integers(9):
            case 0 | 1 | 2:
                made, down, right = (int(n) for n in rng.integers(1, 6, 3))
                apart = [int(n) for n in rng.integers(1, 3, 2)]
                ends = [(k - 1) * d for k, d in zip((down, right), apart, strict=True)]
                pads = [n // 2 for n in ends] + [n - n // 2 for n in ends]
                group = depth if rng.random() < 0.2 else 1
                model.conv(rng, made * group, depth, (down, right), pads=pads, dilations=apart, group=group)
                maps[model.at] = made * group
                continue
            case 3:
                others = [name for name in maps if maps[name] == depth]
                model.add(str(rng.choice(["Add", "Sub"])), model.at, str(rng.choice(others)))
            case 4:
                other = str(rng.choice(list(maps)))
                maps[model.add("Concat", model.at, other, axis=1)] = depth + maps[other]
                continue
            case 5:
                model.add("PRelu", model.at, model.constant(rng.uniform(-0.5, 1.5, (depth, 1, 1))))
            case 6:
                pool, counts = rng.choice(["MaxPool", "AveragePool"]), {}
                if pool == "AveragePool":
                    counts = {"count_include_pad": int(rng.integers(2))}
                model.add(str(pool), kernel_shape=[3, 2], pads=[1, 0, 1, 1], **counts)
            case 7:
                norm = rng.uniform(0.5, 2, (4, depth))
                model.add("BatchNormalization", model.at, *map(model.constant, norm), epsilon=1e-3)
            case 8:
                model.add(str(rng.choice(["Relu", "LeakyRelu", "Sigmoid", "Tanh"])))
        maps[model.at] = depth
    agree(model, tmp_path, tuple(rng.integers(1, 40, 2)), seed)
