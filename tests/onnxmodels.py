"""Models in ONNX's form, made for tests; those that import it are skipped where `onnx` is not installed."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto


class Model:
    """A graph that grows by one operator at a time; `x` is the image."""

    def __init__(self, channels, size=("rows", "columns"), opset=17):
        self.channels, self.size, self.opset = channels, size, opset
        self.nodes, self.constants, self.at = [], [], "x"

    def constant(self, values):
        """Add a tensor and name it."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def add(self, operator, *inputs, **attributes):
        """Add an operator, of the value before it unless inputs are named, and name its output."""
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs or (self.at,), [output], **attributes))
        self.at = output
        return output

    def conv(self, rng, maps, depth, size=(3, 3), bias=True, **attributes):
        """Add a convolution with random weights that keep the size of what passes."""
        groups = attributes.get("group", 1)
        weights = rng.standard_normal((maps, depth // groups, *size)) / np.sqrt(
            depth // groups * size[0] * size[1]
        )
        inputs = [self.at, self.constant(weights)]
        inputs += [self.constant(0.1 * rng.standard_normal(maps))] if bias else []
        return self.add("Conv", *inputs, **attributes)

    def proto(self):
        """Return the model."""
        graph = helper.make_graph(
            self.nodes, "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", self.channels, *self.size])],
            [helper.make_tensor_value_info(self.at, TensorProto.FLOAT, None)], self.constants,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)

    def save(self, path):
        """Write the model and return its path."""
        onnx.save(self.proto(), path)
        return path


def denoiser(channels, layers=4, maps=8, seed=0, **options):
    """A small DnCNN: convolutions, batch normalisation, ReLU; the image minus all that."""
    rng, model = np.random.default_rng(seed), Model(channels, **options)
    depth = channels
    for k in range(layers):
        made = channels if k == layers - 1 else maps
        model.conv(rng, made, depth, pads=[1, 1, 1, 1])
        if 0 < k < layers - 1:
            norm = [
                rng.uniform(0.5, 2, made),
                *(0.1 * rng.standard_normal((2, made))),
                rng.uniform(0.5, 2, made),
            ]
            model.add("BatchNormalization", model.at, *map(model.constant, norm))
        if k < layers - 1:
            model.add("Relu")
        depth = made
    model.add("Sub", "x", model.at)
    return model
