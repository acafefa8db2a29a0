"""ONNX files, read by the package `onnx`: graphs of convolutions and what stands between them.

Nothing in a file is run. Operators that are not known are refused by name, weights are taken only where as
many bytes are there as their shape says, and what lies in other files is not looked for.
"""

import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnfilter.errors import FilterFileError, shown
from cnnfilter.files.graphs import Array, StoredGraph, StoredNode
from cnnfilter.files.onnxoperators import ATTRIBUTES, OPERATORS, Call

MAX_BYTES = 2 << 30
"""Most bytes of a file: the limit of the format itself."""
MAX_NODES = 10_000
OLDEST = 7
"""The version of the operators from which on `Add` repeats its inputs as NumPy does."""

_DOMAINS = ("", "ai.onnx")
_NUMBERS = {"FLOAT": "<f4", "DOUBLE": "<f8", "FLOAT16": "<f2"}


def load(path: str | os.PathLike[str]) -> StoredGraph:
    """Read an ONNX file.

    Raises
    ------
    FilterFileError
        If `onnx` is not installed; if the file is damaged, keeps weights elsewhere or has NaN among them, or
        holds an operator, an attribute or a shape that is not known. The message begins with the path.
    """
    try:
        return _graph(_model(path))
    except FilterFileError as error:
        raise FilterFileError(f"{os.fspath(path)}: {error}") from error.__cause__


def _model(path: str | os.PathLike[str]) -> Any:
    try:
        import onnx
    except ImportError:
        raise FilterFileError("reading ONNX needs onnx: pip install 'cnnfilter[onnx]'") from None
    try:
        if os.stat(path).st_size > MAX_BYTES:
            raise FilterFileError(
                f"it takes {os.stat(path).st_size} bytes, more than the limit of {MAX_BYTES}"
            )
        return onnx.load(os.fspath(path), load_external_data=False)
    except OSError as error:
        if isinstance(error, FilterFileError):
            raise
        raise FilterFileError(error.strerror or str(error)) from error
    except Exception as error:  # of protobuf, whose exceptions are no part of onnx
        raise FilterFileError(f"damaged or no ONNX file ({shown(str(error))})") from error


def _graph(model: Any) -> StoredGraph:
    graph = model.graph
    _require_known(model)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        names = ", ".join(value.name for value in (*inputs, *graph.output))
        raise FilterFileError(
            f"{len(inputs)} inputs and {len(graph.output)} outputs ({shown(names)}): one of each is taken"
        )
    source, target = inputs[0].name, graph.output[0].name
    channels, size = _declared(inputs[0])
    made, nodes = {source}, list[StoredNode]()
    for node in graph.node:
        if not node.output:
            raise FilterFileError(f"operator {node.op_type} makes nothing")
        if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
            continue
        if node.op_type == "Identity" and node.input and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]  # exporters write equal biases once
            continue
        for stored in _read(node, constants, made):
            nodes.append(stored)
            made.add(stored.output)
    if target not in made:
        raise FilterFileError(f"no operator makes the output {shown(target)}; the file may be cut off")
    return StoredGraph(tuple(nodes), source, target, channels, size)


def _require_known(model: Any) -> None:
    """Refuse what is not known before a weight is looked at: the first operator is named."""
    nodes = model.graph.node
    if not nodes:
        raise FilterFileError("no operators: damaged or no ONNX file")
    if len(nodes) > MAX_NODES:
        raise FilterFileError(f"{len(nodes)} operators: at most {MAX_NODES} are taken")
    for node in nodes:
        domain = f" of {shown(node.domain)}" if node.domain not in _DOMAINS else ""
        if domain or node.op_type not in OPERATORS:
            name = f" (node {shown(node.name)})" if node.name else ""
            known = ", ".join(sorted(OPERATORS))
            # A name that is no UTF-8 comes as bytes.
            kind = node.op_type if str(node.op_type).isidentifier() else shown(node.op_type)
            raise FilterFileError(f"operator {kind}{domain}{name} is not known: known are {known}")
    versions = [each.version for each in model.opset_import if each.domain in _DOMAINS]
    if not versions or min(versions) < OLDEST:
        raise FilterFileError(f"operators of version {versions or 'unknown'}: {OLDEST} or newer are taken")


def _declared(value: Any) -> tuple[int | None, tuple[int, int] | None]:
    """Return channels, and rows and columns, that the file says of its input (N, C, H, W)."""
    dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]  # 0 where it is a name
    if not dims:
        return None, None
    if len(dims) != 4:
        raise FilterFileError(
            f"the input {shown(value.name)} has {len(dims)} axes: images (N, C, H, W) are taken"
        )
    _, channels, rows, columns = dims
    return channels or None, (rows, columns) if rows and columns else None


def _read(node: Any, constants: dict[str, Any], made: set[str]) -> Iterator[StoredNode]:
    about = f"{node.op_type} ({shown(node.name or node.output[0])})"
    try:
        attributes = {each.name: _attribute(each) for each in node.attribute}
        call = Call(
            node.op_type, tuple(node.input), tuple(node.output), attributes, made, constants, _numbers
        )
        yield from OPERATORS[node.op_type](call)
    except FilterFileError as error:
        raise FilterFileError(f"{about}: {error}") from error


def _attribute(attribute: Any) -> Any:
    value = _value(attribute)
    if not isinstance(value, ATTRIBUTES.get(attribute.name, object)):
        raise FilterFileError(f"attribute {shown(attribute.name)} is {shown(value)}, which has another type")
    return value


def _value(attribute: Any) -> Any:
    from onnx import AttributeProto

    match attribute.type:
        case AttributeProto.INT:
            return attribute.i
        case AttributeProto.FLOAT:
            return attribute.f
        case AttributeProto.INTS:
            return tuple(attribute.ints)
        case AttributeProto.STRING:
            return attribute.s.decode(errors="replace")
    raise FilterFileError(f"attribute {shown(attribute.name)} is of a kind that is not known")


def _numbers(tensor: Any) -> Array:
    """Return the numbers of a tensor: finite, and as many as its shape says."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        raise FilterFileError(
            f"weights {shown(tensor.name)} lie in another file, which is not read; save them with the model, "
            "as torch.onnx.export(..., external_data=False) and onnx.save do"
        )
    kind = _kind(tensor.data_type)
    count = math.prod(tensor.dims)
    held = max(len(tensor.float_data), len(tensor.double_data), len(tensor.int32_data))
    if tensor.raw_data:
        held = len(tensor.raw_data) // np.dtype(_NUMBERS[kind]).itemsize
    if min(tensor.dims, default=1) < 0 or count != held:
        raise FilterFileError(
            f"weights {shown(tensor.name)} of shape {tuple(tensor.dims)} hold {held} numbers"
        )
    numbers = np.asarray(numpy_helper.to_array(tensor))
    if not np.isfinite(numbers).all():
        raise FilterFileError(f"weights {shown(tensor.name)} hold NaN or infinite values")
    return numbers if kind == "DOUBLE" else numbers.astype(np.float32)


def _kind(number: int) -> str:
    from onnx import TensorProto

    name = TensorProto.DataType.Name(number) if number in TensorProto.DataType.values() else str(number)
    if name not in _NUMBERS:
        raise FilterFileError(f"weights of type {name}: known are FLOAT, DOUBLE and FLOAT16")
    return str(name)
