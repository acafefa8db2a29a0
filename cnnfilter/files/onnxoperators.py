"""The operators of ONNX that are known, each as what the package has for it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.errors import FilterFileError, shown
from cnnfilter.files.graphs import Array, StoredNode, each_map

ATTRIBUTES = {
    "kernel_shape": tuple, "strides": tuple, "dilations": tuple, "pads": tuple, "auto_pad": str, "group": int,
    "axis": int, "epsilon": float, "alpha": float,
}  # fmt: skip
"""The types of those that are read."""


class Call(NamedTuple):
    """One node of a graph.

    Attributes
    ----------
    operator : str
    inputs, outputs : tuple of str
        Names of values; that of an input left out is empty.
    attributes : dict
    made : set of str
        The values that the image has become so far.
    constants : mapping
        The other values, as the file has them.
    numbers : callable
        Turns one of those into an array.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    made: set[str]
    constants: Mapping[str, Any]
    numbers: Callable[[Any], Array]

    def image(self, at: int = 0) -> str:
        """Name an input that comes from the image."""
        name = self.inputs[at] if at < len(self.inputs) else ""
        if name not in self.made:
            raise FilterFileError(f"input {at}, {shown(name)}, does not come from the image")
        return name

    def constant(self, at: int) -> Array | None:
        """Return an input that is constant; None where it is left out."""
        name = self.inputs[at] if at < len(self.inputs) else ""
        if not name:
            return None
        if name not in self.constants:
            raise FilterFileError(f"input {at}, {shown(name)}, is no constant")
        return self.numbers(self.constants[name])

    def needed(self, at: int) -> Array:
        """Return an input that is constant and cannot be left out."""
        found = self.constant(at)
        if found is None:
            raise FilterFileError(f"input {at} is missing")
        return found

    def one_a_map(self, at: int) -> Array:
        """Return a constant that is one number, or one a map."""
        found = self.needed(at)
        numbers = each_map(found)
        if numbers is None:
            raise FilterFileError(f"a constant of shape {found.shape}: one number, or one a map, is taken")
        return numbers

    def made_of(self, kind: str, *inputs: str, tensors: Any = None, **options: Any) -> Iterator[StoredNode]:
        """Yield the operator; what is left of its attributes is not known."""
        if self.attributes:
            name, value = next(iter(self.attributes.items()))
            raise FilterFileError(f"attribute {shown(name)} {shown(value)} is not known")
        if len([name for name in self.outputs if name]) != 1:
            raise FilterFileError(f"outputs {shown(self.outputs)}: one is taken")
        yield StoredNode(kind, inputs or (self.image(),), self.outputs[0], options, tensors or {})


def _convolution(call: Call) -> Iterator[StoredNode]:
    weight, bias = call.needed(1), call.constant(2)
    if weight.ndim != 4 or 0 in weight.shape:
        raise FilterFileError(
            f"weights of shape {weight.shape}: kernels of rows and columns (P, D, U, V) are taken"
        )
    said = call.attributes.get("kernel_shape", weight.shape[2:])
    if tuple(said) != weight.shape[2:]:
        raise FilterFileError(f"kernel_shape {said} with weights of shape {weight.shape}")
    _, options = _windows(call, weight.shape[2:])
    options["groups"] = call.attributes.pop("group", 1)
    tensors = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return call.made_of("convolution", tensors=tensors, **options)


def _pooling(call: Call) -> Iterator[StoredNode]:
    size, options = _windows(call, None)
    _without(call, "ceil_mode", 0)
    if call.operator == "MaxPool":
        _without(call, "storage_order", 0)
        return call.made_of("max_pooling", size=size, **options)
    counted = bool(call.attributes.pop("count_include_pad", 0))
    return call.made_of("mean_pooling", size=size, count_padding=counted, **options)


def _windows(call: Call, size: tuple[int, ...] | None) -> tuple[tuple[int, int], dict[str, Any]]:
    """Return rows and columns of a window, and stride, dilation and padding."""
    take = call.attributes.pop
    size = tuple(take("kernel_shape", size or ()))
    stride, dilation = tuple(take("strides", (1, 1))), tuple(take("dilations", (1, 1)))
    pads, mode = tuple(take("pads", (0, 0, 0, 0))), take("auto_pad", "NOTSET")
    if not (len(size) == len(stride) == len(dilation) == 2 and len(pads) == 4):
        raise FilterFileError(f"windows {size}, strides {stride}, pads {pads}: those of two axes are taken")
    if min(*size, *stride, *dilation) < 1:
        raise FilterFileError(
            f"window {size}, strides {stride}, dilations {dilation}: numbers from 1 are taken"
        )
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        if stride != (1, 1):
            raise FilterFileError(
                f"auto_pad {mode} with strides {stride} depends on the size of the image: export its pads"
            )
        ends = [(k - 1) * d for k, d in zip(size, dilation, strict=True)]
        smaller, larger = [n // 2 for n in ends], [n - n // 2 for n in ends]
        pads = (*smaller, *larger) if mode == "SAME_UPPER" else (*larger, *smaller)
    elif mode not in ("NOTSET", "VALID"):
        raise FilterFileError(f"auto_pad {shown(mode)} is not known")
    elif mode == "VALID":
        pads = (0, 0, 0, 0)
    sides = {"padding": ((pads[0], pads[2]), (pads[1], pads[3]))}
    return (size[0], size[1]), {"stride": stride, "dilation": dilation} | sides


def _without(call: Call, attribute: str, usual: Any) -> None:
    """Take an attribute away that is known with one value alone."""
    found = call.attributes.pop(attribute, usual)
    if found != usual:
        raise FilterFileError(f"{attribute} {shown(found)} is not known: {usual} is taken")


def _batch_norm(call: Call) -> Iterator[StoredNode]:
    _without(call, "training_mode", 0)
    _without(call, "spatial", 1)
    call.attributes.pop("momentum", None)  # of training alone
    names = ("weight", "bias", "mean", "variance")
    tensors = {name: call.needed(at) for at, name in enumerate(names, 1)}
    return call.made_of("batch_norm", tensors=tensors, epsilon=call.attributes.pop("epsilon", 1e-5))


def _leaky(call: Call) -> Iterator[StoredNode]:
    slope = np.array([call.attributes.pop("alpha", 0.01)], np.float32)
    return call.made_of("prelu", tensors={"slope": slope})


def _parametric(call: Call) -> Iterator[StoredNode]:
    return call.made_of("prelu", tensors={"slope": call.one_a_map(1)})


def _of_two(call: Call) -> Iterator[StoredNode]:
    """Make a sum or a difference, of two values or of one and a constant."""
    sign = -1.0 if call.operator == "Sub" else 1.0
    constants = [at for at, name in enumerate(call.inputs) if name not in call.made]
    if not constants:
        return call.made_of("sum", call.image(0), call.image(1), signs=(1.0, sign))
    (at,) = constants[:1]
    scale, shift = (1.0, sign) if at == 1 else (sign, 1.0)
    tensors = {"scale": np.array([scale]), "shift": shift * call.one_a_map(at)}
    return call.made_of("line", call.image(1 - at), tensors=tensors)


def _concatenation(call: Call) -> Iterator[StoredNode]:
    axis = call.attributes.pop("axis", None)
    if axis not in (1, -3):
        raise FilterFileError(f"axis {axis}: maps are joined along axis 1")
    return call.made_of("concatenation", *map(call.image, range(len(call.inputs))))


def _as_it_is(call: Call) -> Iterator[StoredNode]:
    """Pass a value on, which prediction does not change."""
    call.attributes.clear()
    one = np.ones(1, np.float32)
    passed = call._replace(outputs=call.outputs[:1])
    return passed.made_of("line", call.image(), tensors={"scale": one, "shift": 0 * one})


def _plain(kind: str) -> Callable[[Call], Iterator[StoredNode]]:
    return lambda call: call.made_of(kind)


OPERATORS: dict[str, Callable[[Call], Iterator[StoredNode]]] = {
    "Add": _of_two,
    "AveragePool": _pooling,
    "BatchNormalization": _batch_norm,
    "Concat": _concatenation,
    "Constant": lambda call: call.made_of("constant"),
    "Conv": _convolution,
    "Dropout": _as_it_is,
    "Identity": _as_it_is,
    "LeakyRelu": _leaky,
    "MaxPool": _pooling,
    "PRelu": _parametric,
    "Relu": _plain("relu"),
    "Sigmoid": _plain("sigmoid"),
    "Sub": _of_two,
    "Tanh": _plain("tanh"),
}
