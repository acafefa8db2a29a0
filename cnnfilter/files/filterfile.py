"""Learned filters on disk: kernel JSON for one kernel, safetensors for the rest, banks from elsewhere.

Nothing that is read is ever executed: files are JSON or tensors of real numbers, and what is not known is
refused by name.
"""

import json
import math
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.kernels import kernelfile

FORMAT, VERSIONS = "cnnfilter-learned", ("1", "2", "3")
ORDERS = ("auto", "UVDP", "PDUV")
_MAX_LAYERS, _LARGEST_BLOCK = 256, 16

Array: TypeAlias = NDArray[Any]


class StoredLayer(NamedTuple):
    """What a file says of one layer; see `cnnfilter.learning.learnedfilter.ConvolutionLayer`."""

    weights: Array
    bias: Array | None = None
    activation: str = "identity"
    groups: int = 1


class StoredCurve(NamedTuple):
    """What a file says of a tone curve; see `cnnfilter.learning.tonecurve.ToneCurve`."""

    place: str
    knots: Array
    values: Array


class StoredFilter(NamedTuple):
    """What a file says of a filter; see `cnnfilter.learning.learnedfilter.LearnedFilter`."""

    layers: tuple[StoredLayer, ...]
    each_channel: bool = False
    residual: bool = False
    notes: Mapping[str, Any] = MappingProxyType({})
    linear: bool = False
    curve: StoredCurve | None = None
    block: int = 1
    takes_grey: bool = False


def save(learned: StoredFilter, path: str | os.PathLike[str]) -> None:
    """Write a filter as safetensors: of the first version that can say what it is.

    Raises
    ------
    FilterFileError
        If the file cannot be written.
    """
    tensors: dict[str, Array] = {}
    for k, layer in enumerate(learned.layers):
        tensors[f"layers.{k}.weight"] = layer.weights
        if layer.bias is not None:
            tensors[f"layers.{k}.bias"] = layer.bias
    description = {
        "layers": [{"activation": layer.activation, "groups": layer.groups} for layer in learned.layers],
        "each_channel": learned.each_channel,
        "residual": learned.residual,
        "notes": dict(learned.notes),
    }
    version = VERSIONS[0]
    if learned.linear or learned.curve is not None:
        version = VERSIONS[1]
        description |= {"linear": learned.linear, "curve": learned.curve and learned.curve.place}
        if learned.curve is not None:
            tensors |= {"curve.knots": learned.curve.knots, "curve.values": learned.curve.values}
    if learned.block > 1 or learned.takes_grey:
        version = VERSIONS[2]
        description |= {"linear": learned.linear, "curve": learned.curve and learned.curve.place}
        description |= {"block": learned.block, "takes_grey": learned.takes_grey}
    write_tensors(
        path, tensors, {"format": FORMAT, "version": version, "description": json.dumps(description)}
    )


def require_suffix(path: str | os.PathLike[str], *, one_kernel: bool) -> str:
    """Return ".json" or ".safetensors", the suffix of `path`, if such a filter can be saved there.

    Raises
    ------
    FilterFileError
        If it cannot; the message says which suffix can hold it.
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in (".json", ".safetensors"):
        raise FilterFileError(f"{path}: a learned filter is saved as .json or .safetensors")
    if suffix == ".json" and not one_kernel:
        raise FilterFileError(
            f"{path}: more than one kernel cannot be saved as kernel JSON: "
            "give a name that ends in .safetensors"
        )
    return suffix


def load(path: str | os.PathLike[str], *, tensor: str | None = None, order: str = "auto") -> StoredFilter:
    """Read a learned filter, a kernel file, or a bank of kernels.

    Parameters
    ----------
    path : path
        A file of a learned filter; a kernel file (.json, .txt, .csv, or a two-dimensional .npy); or a bank:
        the only four-dimensional tensor of a .npy, .npz or .safetensors file, or the one named by `tensor`.
    tensor : str, optional
    order : "auto", "UVDP" or "PDUV"
        Axes of a bank: the notes' (rows, columns, inputs, outputs), or PyTorch's. "auto" takes the one whose
        kernels are square; if both are, the notes', unless its kernels would be of one pixel.

    Raises
    ------
    FilterFileError
        If the file is damaged, of a form or version that is not known, or holds no such bank.
    """
    if order not in ORDERS:
        raise ParameterError(f"order is {order!r}: give {', '.join(ORDERS)}")
    try:
        if os.path.splitext(os.fspath(path))[1].lower() in (".json", ".txt", ".csv"):
            if tensor is not None:
                raise FilterFileError(f"holds one kernel and no tensor named {tensor!r}")
            return _one_kernel(*kernelfile.load_with_bias(path))
        tensors, metadata = read_tensors(path)
        if metadata.get("format") == FORMAT and tensor is None:
            return _described(tensors, metadata)
        if list(tensors) == ["array"] and tensors["array"].ndim == 2:
            return _one_kernel(kernelfile.load(path), 0.0)
        bank = _bank(tensors, tensor, order)
        return StoredFilter((StoredLayer(bank),), each_channel=bank.shape[:2] == (1, 1))
    except FilterFileError as error:
        raise FilterFileError(_with_path(path, str(error))) from error.__cause__


def _one_kernel(kernel: Any, bias: float) -> StoredFilter:
    layer = StoredLayer(kernel.array[None, None], np.array([bias]) if bias else None)
    notes = kernel.meta.get("learned")
    return StoredFilter((layer,), each_channel=True, notes=notes if isinstance(notes, dict) else {})


def _described(tensors: dict[str, Array], metadata: dict[str, str]) -> StoredFilter:
    """Take a file of `save` apart; what is missing or unknown is named."""
    version = metadata.get("version")
    if version not in VERSIONS:
        known = ", ".join(map(repr, VERSIONS))
        raise FilterFileError(f"version {version!r} of a learned filter: known are {known}")
    try:
        description = json.loads(metadata["description"])
        records = description["layers"]
        each_channel, residual = description["each_channel"], description["residual"]
        notes = description["notes"]
        linear, place = (False, None) if version == "1" else (description["linear"], description["curve"])
        block, grey = (description["block"], description["takes_grey"]) if version == "3" else (1, False)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FilterFileError(f"the description of the filter is damaged ({error!r})") from error
    well_formed = isinstance(records, list) and 0 < len(records) <= _MAX_LAYERS
    if (
        not well_formed
        or not isinstance(notes, dict)
        or {type(value) for value in (each_channel, residual, linear, grey)} != {bool}
        or type(block) is not int
        or not 1 <= block <= _LARGEST_BLOCK
    ):
        raise FilterFileError("the description of the filter is not of the known form")
    layers = []
    for k, record in enumerate(records):
        if not isinstance(record, dict) or set(record) != {"activation", "groups"}:
            raise FilterFileError(f"layer {k} must say activation and groups, and no more: {record!r}")
        if type(record["groups"]) is not int or not isinstance(record["activation"], str):
            raise FilterFileError(f"layer {k} is not of the known form: {record!r}")
        weights = tensors.pop(f"layers.{k}.weight", None)
        if weights is None or weights.dtype.kind != "f":
            raise FilterFileError(f"layer {k} has no weights of floats")
        layers.append(
            StoredLayer(
                weights, tensors.pop(f"layers.{k}.bias", None), record["activation"], record["groups"]
            )
        )
    curve = None if place is None else _curve(place, tensors)
    if tensors:
        raise FilterFileError(f"unknown tensors: {', '.join(sorted(tensors))}")
    return StoredFilter(tuple(layers), each_channel, residual, notes, linear, curve, block, grey)


def _curve(place: object, tensors: dict[str, Array]) -> StoredCurve:
    knots, values = tensors.pop("curve.knots", None), tensors.pop("curve.values", None)
    if not isinstance(place, str) or knots is None or values is None:
        raise FilterFileError(f"a tone curve {place!r} without its knots and values")
    return StoredCurve(place, knots, values)


def _bank(tensors: dict[str, Array], name: str | None, order: str) -> Array:
    if name is not None and name not in tensors:
        raise FilterFileError(f"no tensor is named {name!r}; there are {_listed(tensors)}")
    found = {key: t for key, t in tensors.items() if t.ndim == 4} if name is None else {name: tensors[name]}
    if len(found) != 1:
        raise FilterFileError(
            f"{len(found)} tensors have four dimensions: name one of {_listed(found or tensors)}"
        )
    ((key, bank),) = found.items()
    if bank.ndim != 4:
        raise FilterFileError(f"tensor {key!r} has shape {bank.shape}: a bank has four dimensions")
    order = _order_of(bank.shape) if order == "auto" else order
    bank = bank.transpose(3, 2, 0, 1) if order == "UVDP" else bank
    if math.prod(bank.shape[2:]) > 255 * 255:
        raise FilterFileError(f"tensor {key!r} as {order} has kernels of {bank.shape[2]} x {bank.shape[3]}")
    return np.ascontiguousarray(bank, np.float64 if bank.dtype == np.float64 else np.float32)


def _order_of(shape: tuple[int, ...]) -> str:
    notes_square, torch_square = shape[0] == shape[1], shape[2] == shape[3]
    if notes_square and torch_square:
        return "PDUV" if shape[0] == 1 else "UVDP"
    return "PDUV" if torch_square else "UVDP"


def _listed(tensors: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {tensor.shape}" for name, tensor in list(tensors.items())[:20])


def _with_path(path: str | os.PathLike[str], message: str) -> str:
    return message if message.startswith(f"{os.fspath(path)}:") else f"{os.fspath(path)}: {message}"
