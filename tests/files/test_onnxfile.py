"""ONNX files that are read, and those that are refused: what is wrong is named, and nothing is run."""

import numpy as np
import pytest
from onnxmodels import Model, TensorProto, denoiser, helper, numpy_helper, onnx

from cnnfilter.errors import FilterFileError
from cnnfilter.files import onnxfile


def refused(path, match):
    with pytest.raises(FilterFileError, match=match) as caught:
        onnxfile.load(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def saved(proto, tmp_path):
    onnx.save(proto, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_what_is_read(tmp_path):
    stored = onnxfile.load(denoiser(3, size=(64, "columns")).save(tmp_path / "net.onnx"))
    kinds = [node.kind for node in stored.nodes]
    assert kinds == [
        *("convolution", "relu"), *("convolution", "batch_norm", "relu") * 2, "convolution", "sum",
    ]  # fmt: skip
    assert (stored.input, stored.channels, stored.size) == ("x", 3, None)
    assert onnxfile.load(denoiser(1, size=(6, 4)).save(tmp_path / "net.onnx")).size == (6, 4)


@pytest.mark.parametrize("operator", ["If", "Loop", "Scan", "Resize", "Softmax", "ConvTranspose"])
def test_the_first_operator_that_is_not_known_is_named(tmp_path, operator):
    model = Model(3)
    model.add("Relu")
    model.add(operator)
    model.add("Gemm")
    refused(model.save(tmp_path / "net.onnx"), f"operator {operator} is not known: known are Add, ")


def test_other_domains_and_old_versions(tmp_path):
    model = Model(3)
    model.add("Relu", domain="com.microsoft")
    refused(model.save(tmp_path / "net.onnx"), r"operator Relu of 'com\.microsoft' is not known")
    model = Model(3, opset=6)
    model.add("Relu")
    refused(model.save(tmp_path / "net.onnx"), r"operators of version \[6\]: 7 or newer")


def test_external_weights_are_not_looked_for(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(denoiser(3).proto(), path, save_as_external_data=True, location="weights", size_threshold=0)
    refused(path, "weights 'c0' lie in another file")
    (tmp_path / "weights").unlink()
    refused(path, "weights 'c0' lie in another file")


@pytest.mark.parametrize("keep", [0, 1, 40, 200, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path, keep):
    path = denoiser(3).save(tmp_path / "net.onnx")
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    refused(path, "damaged|cut off|hold|no operators|missing|does not come|version|inputs")


def test_any_byte_may_be_wrong(tmp_path):
    """A file that has one byte changed is read or refused, and nothing else."""
    content = denoiser(1, layers=3, maps=2).proto().SerializeToString()
    path, rng = tmp_path / "net.onnx", np.random.default_rng(0)
    for place in rng.integers(0, len(content), 300):
        changed = bytearray(content)
        changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            onnxfile.load(path)
        except FilterFileError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(tmp_path, value):
    model = denoiser(1)
    model.constants[0] = numpy_helper.from_array(np.full((8, 1, 3, 3), value, np.float32), "c0")
    refused(model.save(tmp_path / "net.onnx"), "weights 'c0' hold NaN or infinite")


def test_huge_shapes_take_no_memory(tmp_path):
    proto = denoiser(1).proto()
    del proto.graph.initializer[0].dims[:]
    proto.graph.initializer[0].dims.extend([1 << 40, 1 << 20, 3, 3])
    refused(saved(proto, tmp_path), r"weights 'c0' of shape .* hold 72 numbers")
    proto.graph.initializer[0].dims[0] = -8
    refused(saved(proto, tmp_path), "hold 72 numbers")


def test_one_input_and_one_output(tmp_path):
    model = Model(3)
    model.add("Relu")
    proto = model.proto()
    proto.graph.output.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, None))
    refused(saved(proto, tmp_path), "1 inputs and 2 outputs")
    proto = model.proto()
    proto.graph.input.append(helper.make_tensor_value_info("sigma", TensorProto.FLOAT, [1]))
    refused(saved(proto, tmp_path), r"2 inputs and 1 outputs \('x, sigma, v0'\)")
    proto = model.proto()
    proto.graph.output[0].name = "nowhere"
    refused(saved(proto, tmp_path), "no operator makes the output 'nowhere'")


def test_a_signal_and_integers(tmp_path):
    model = Model(3, size=("length",))
    model.add("Relu")
    refused(model.save(tmp_path / "net.onnx"), "the input 'x' has 3 axes")
    model = Model(3)
    model.constants.append(numpy_helper.from_array(np.ones((1, 3, 1, 1), np.int64), "whole"))
    model.add("Conv", "x", "whole")
    refused(model.save(tmp_path / "net.onnx"), r"Conv \('v0'\): weights of type INT64")


@pytest.mark.parametrize("operator", ["Constant", "Identity", "Conv", "Add"])
def test_operators_without_inputs_and_outputs(tmp_path, operator):
    model = Model(3)
    model.add("Relu")
    model.nodes.insert(0, helper.make_node(operator, [], []))
    refused(model.save(tmp_path / "net.onnx"), f"operator {operator} makes nothing")
    model.nodes[0] = helper.make_node(operator, [], ["y"])
    refused(model.save(tmp_path / "net.onnx"), rf"{operator} \('y'\): ")


@pytest.mark.parametrize(
    ("operator", "attributes", "match"),
    [
        ("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 1}, "ceil_mode 1 is not known: 0 is taken"),
        ("MaxPool", {"kernel_shape": [2]}, "those of two axes"),
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [0, 1]}, "numbers from 1"),
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, "depends on"),
        ("MaxPool", {"kernel_shape": 3.0}, r"attribute 'kernel_shape' is 3\.0, which has another type"),
        ("Concat", {"axis": 2}, "axis 2: maps are joined along axis 1"),
        ("Relu", {"alpha": 2.0}, "attribute 'alpha' 2.0 is not known"),
    ],
)  # fmt: skip
def test_attributes(tmp_path, operator, attributes, match):
    model = Model(3)
    model.add(operator, **attributes)
    refused(model.save(tmp_path / "net.onnx"), match)
