"""A network described in a few lines of JSON, beside a file of its weights: DnCNN, FFDNet, SRCNN.

    {"cnnfilter": "network", "version": 1, "weights": "dncnn.pth", "residual": "subtract"}

`docs/learning.md` says what else a description may hold.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cnnfilter.errors import FilterFileError, shown
from cnnfilter.files.graphs import Array, StoredGraph, StoredNode
from cnnfilter.files.weightsfile import read_tensors

VERSION = 1
MAX_TEXT = 1 << 20
"""Most bytes of a description."""
MOST = 1 << 16
"""The largest of its whole numbers."""
ALL = "*"
"""Stands among the layers for every convolution of the file that none of them names."""

_KEYS: dict[str, Any] = {
    "cnnfilter": "", "version": VERSION, "weights": "", "layers": [ALL], "activation": "relu", "slope": 0.01,
    "padding": "same", "epsilon": 1e-5, "residual": "none", "white": 1.0,
}  # fmt: skip
_OF_A_LAYER = ("convolution", "batch_norm", "activation", "slope", "padding", "stride", "dilation", "groups")
_OTHERS = ("unshuffle", "shuffle", "noise")
_ACTIVATIONS = ("none", "relu", "leaky_relu", "prelu", "sigmoid", "tanh")
_RESIDUALS = ("none", "add", "subtract")


def describes(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file says that it is such a description; one that cannot be read does not."""
    try:
        with open(path, "rb") as file:
            return re.search(rb'"cnnfilter"\s*:\s*"network"', file.read(MAX_TEXT)) is not None
    except OSError:
        return False


def load(path: str | os.PathLike[str]) -> StoredGraph:
    """Read a description and its weights, which lie where it says, seen from its folder.

    Raises
    ------
    FilterFileError
        If it is no JSON, or says what is not known; if weights are missing, left over, or cannot be read.
    """
    try:
        told = _told(path)
        file = os.path.join(os.path.dirname(os.fspath(path)), told["weights"])
        tensors, _ = read_tensors(file)
        return _Description(told, tensors).graph()
    except FilterFileError as error:
        raise FilterFileError(f"{os.fspath(path)}: {error}") from error.__cause__


def _told(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a description says, and the usual where it says nothing."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_TEXT + 1)
        if len(text) > MAX_TEXT:
            raise FilterFileError(f"a description of more than {MAX_TEXT} bytes")
        told = json.loads(text)
    except OSError as error:
        if isinstance(error, FilterFileError):
            raise
        raise FilterFileError(error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise FilterFileError(f"damaged description ({shown(str(error))})") from error
    if not isinstance(told, dict) or told.get("cnnfilter") != "network":
        raise FilterFileError('a description is an object with "cnnfilter": "network"')
    _require_keys("the description", told, _KEYS)
    told = _KEYS | told
    if told["version"] != VERSION:
        raise FilterFileError(f"version {shown(told['version'])} of a description: known is {VERSION}")
    if not isinstance(told["weights"], str) or not told["weights"]:
        raise FilterFileError(f"weights is {shown(told['weights'])}: name the file of the weights")
    if not isinstance(told["layers"], list) or not told["layers"]:
        raise FilterFileError(f"layers is {shown(told['layers'])}: give a list")
    for key in ("white", "epsilon"):
        if isinstance(told[key], bool) or not isinstance(told[key], int | float) or not 0 < told[key] < 1e9:
            raise FilterFileError(f"{key} is {shown(told[key])}: give a number above 0")
    _require_one_of("residual", told["residual"], _RESIDUALS)
    return told


class _Description:
    """Layers as they are told, made operators one after the other."""

    def __init__(self, told: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
        self.told, self.tensors = told, dict(tensors)
        self.used = {name for name in tensors if name.endswith("num_batches_tracked")}
        self.nodes: list[StoredNode] = []
        self.at = "image"

    def graph(self) -> StoredGraph:
        """Return the operators of all layers."""
        layers = list(self._layers())
        convolutions = [k for k, layer in enumerate(layers) if "convolution" in layer]
        if not convolutions:
            raise FilterFileError("no layer is a convolution")
        for k, layer in enumerate(layers):
            if "convolution" in layer:
                self._convolution(layer, last=k == convolutions[-1])
            else:
                self._other(layer)
        left = [name for name in self.tensors if name not in self.used]
        if left:
            raise FilterFileError(f"no layer uses {', '.join(sorted(left, key=_natural)[:9])}")
        if self.told["residual"] != "none":
            signs = (1.0, 1.0 if self.told["residual"] == "add" else -1.0)
            self._add("sum", {"signs": signs}, inputs=("image", self.at))
        return StoredGraph(tuple(self.nodes), "image", self.at, white=float(self.told["white"]))

    def _layers(self) -> Iterator[dict[str, Any]]:
        """Yield all layers as objects; `ALL` as those of the file that none names."""
        told = [{"convolution": layer} if isinstance(layer, str) and layer != ALL else layer
                for layer in self.told["layers"]]  # fmt: skip
        named = {str(layer.get("convolution")) for layer in told if isinstance(layer, dict)}
        for layer in told:
            if layer == ALL:
                yield from self._found(named)
            elif isinstance(layer, dict) and layer:
                yield layer
            else:
                raise FilterFileError(f'layer {shown(layer)}: give a name, an object or "{ALL}"')

    def _found(self, named: set[Any]) -> Iterator[dict[str, Any]]:
        """Yield the convolutions of the file in the order of their names, and what evens out after them."""
        layer: dict[str, Any] = {}
        for name in sorted(self.tensors, key=_natural):
            stem, _, part = name.rpartition(".")
            if part == "weight" and self.tensors[name].ndim == 4 and stem not in named:
                if layer:
                    yield layer
                layer = {"convolution": stem}
            elif part == "running_mean" and layer:
                layer["batch_norm"] = stem
        if layer:
            yield layer

    def _convolution(self, layer: dict[str, Any], last: bool) -> None:
        _require_keys(f"layer {shown(layer)}", layer, _OF_A_LAYER)
        stem = layer["convolution"]
        weight = self._tensor(stem, "weight")
        if weight.ndim != 4:
            raise FilterFileError(f"{stem}.weight has shape {weight.shape}: a convolution has (P, D, U, V)")
        tensors = {"weight": weight}
        if f"{stem}.bias" in self.tensors:
            tensors["bias"] = self._tensor(stem, "bias")
        dilation = _pair("dilation", layer.get("dilation", 1))
        padding = _sides(layer.get("padding", self.told["padding"]), weight.shape[2:], dilation)
        options = {
            "padding": padding, "dilation": dilation, "stride": _pair("stride", layer.get("stride", 1)),
            "groups": _number("groups", layer.get("groups", 1)),
        }  # fmt: skip
        self._add("convolution", options, tensors)
        if "batch_norm" in layer:
            stem = layer["batch_norm"]
            names = {"weight": "weight", "bias": "bias", "mean": "running_mean", "variance": "running_var"}
            found = {name: self._tensor(stem, part) for name, part in names.items()}
            self._add("batch_norm", {"epsilon": self.told["epsilon"]}, found)
        activation = layer.get("activation", "none" if last else self.told["activation"])
        self._activation(activation, layer.get("slope", self.told["slope"]))

    def _activation(self, kind: Any, slope: Any) -> None:
        _require_one_of("activation", kind, _ACTIVATIONS)
        if kind == "none":
            return
        if kind not in ("leaky_relu", "prelu"):
            return self._add(kind)
        if isinstance(slope, str):
            slopes = self._tensor(*slope.rpartition(".")[::2])
        elif isinstance(slope, int | float) and not isinstance(slope, bool) and abs(slope) < 1e9:
            slopes = np.array([slope], np.float32)
        else:
            raise FilterFileError(f"slope is {shown(slope)}: give a number, or the name of a tensor")
        self._add("prelu", tensors={"slope": slopes.reshape(-1)})

    def _other(self, layer: dict[str, Any]) -> None:
        key, value = next(iter(layer.items()))
        _require_keys(
            f"layer {shown(layer)}", layer, ("convolution", *_OTHERS) if len(layer) == 1 else (key,)
        )
        if key == "noise":
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 255:
                raise FilterFileError(f"noise is {shown(value)}: give 255ths of white, 0 to 255")
            self._add("constant_map", {"value": value / 255 * self.told["white"]})
        else:
            self._add(key, {"factor": _number(key, value)})

    def _add(
        self, kind: str, options: Mapping[str, Any] | None = None, tensors: Mapping[str, Array] | None = None,
        inputs: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        output = f"{len(self.nodes)}"
        self.nodes.append(StoredNode(kind, inputs or (self.at,), output, options or {}, tensors or {}))
        self.at = output

    def _tensor(self, stem: Any, part: str) -> Array:
        name = f"{stem}.{part}" if stem else part
        if name not in self.tensors:
            there = ", ".join(sorted(self.tensors, key=_natural)[:9])
            raise FilterFileError(f"no tensor is named {shown(name)}; there are {there}")
        self.used.add(name)
        return self.tensors[name]


def _require_keys(what: str, given: Mapping[str, Any], known: Any) -> None:
    for key in given:
        if key not in known:
            raise FilterFileError(f"{what} has no {shown(key)}; known are {', '.join(known)}")


def _require_one_of(key: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise FilterFileError(f"{key} is {shown(value)}: choose one of {', '.join(known)}")


def _number(key: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST:
        raise FilterFileError(f"{key} is {shown(value)}: give a number from 1")
    return value


def _pair(key: str, value: Any, least: int = 1) -> tuple[int, int]:
    """Return a number from `least`, or a list of two, as rows and columns."""
    pair = tuple(value) if isinstance(value, list) else (value, value)
    if len(pair) != 2 or not all(type(each) is int and least <= each <= MOST for each in pair):
        raise FilterFileError(f"{key} is {shown(value)}: give a number from {least}, or two, [rows, columns]")
    return pair[0], pair[1]


def _sides(padding: Any, size: tuple[int, ...], dilation: tuple[int, int]) -> Any:
    """Return ((top, bottom), (left, right)) of "same", "narrow", a number or two."""
    ends = [(k - 1) * d for k, d in zip(size, dilation, strict=True)]
    if padding == "same":
        return tuple((n // 2, n - n // 2) for n in ends)
    if padding == "narrow":
        return (0, 0), (0, 0)
    if isinstance(padding, str):
        raise FilterFileError(f"padding is {shown(padding)}: give same, narrow or a number")
    rows, columns = _pair("padding", padding, least=0)
    return (rows, rows), (columns, columns)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort "body.10" after "body.9"."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
