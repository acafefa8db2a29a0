"""A network: its layers, its tensors by name, forward and backward."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.layers import Activation, Convolution, Dropout, Layer, Shape
from cnnfilter.nn.layers_joining import Auxiliary, Sequence, walk
from cnnfilter.nn.layers_normalising import BatchNorm

_WRAPPERS = ("module", "_orig_mod", "model", "net", "network")
"""Of data-parallel, compiled and Lightning's modules."""


@dataclass(frozen=True)
class Preprocessing:
    """How pixels from 0 to 1 become what a network reads: short side, centre crop, ``(x - mean) / std``."""

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Network:
    """A sequence of layers with names, and what belongs to it.

    Parameters
    ----------
    name : str
    shape : tuple of int
        (D, H, W) of the images it reads.
    layers : iterable of Layer
    preprocessing : Preprocessing, optional
        Default: pixels from 0 to 1 as they are.
    loss : {"cross_entropy", "radial"}
        A name in `losses.LOSSES`.
    options : mapping, optional
        What the description was called with, kept in files.

    Examples
    --------
    >>> from cnnfilter.nn.layers import Dense
    >>> net = Network("line", (1, 1, 2), [Dense("fc", 3)]).initialise(seed=0)
    >>> net.forward(np.ones((5, 1, 1, 2), np.float32)).shape, sorted(net.parameters)
    ((5, 3), ['fc.bias', 'fc.weight'])
    >>> net
    <Network 'line', image 1x1x2, 3 scores>
    """

    def __init__(
        self, name: str, shape: Shape, layers: Iterable[Layer], *,
        preprocessing: Preprocessing | None = None, loss: str = "cross_entropy",
        options: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.shape, self.loss, self.options = name, shape, loss, dict(options or {})
        self.preprocessing = preprocessing or Preprocessing(
            shape[1], shape[1], (0.0,) * shape[0], (1.0,) * shape[0]
        )
        self.body = Sequence("", layers)
        self.output = self.body.connect(shape)
        first: Layer = self.body
        while isinstance(first, Sequence) and first.children:
            first = first.children[0]
        if isinstance(first, Convolution):
            first.reads_image = True

    def __repr__(self) -> str:
        image = "x".join(map(str, self.shape))
        return f"<Network {self.name!r}, image {image}, {self.classes} scores>"

    @property
    def classes(self) -> int:
        """Number of scores."""
        return self.output[0]

    @property
    def auxiliaries(self) -> list[Auxiliary]:
        """The heads that are asked while training."""
        return [layer for _, layer in self.layers() if isinstance(layer, Auxiliary)]

    def layers(self) -> list[tuple[str, Layer]]:
        """Every layer with its full name, in the order of the description."""
        return list(walk(self.body))

    def layer(self, name: str) -> Layer:
        """Find a layer by its full name, or raise with the list of names."""
        named = {full: layer for full, layer in reversed(self.layers()) if full}
        if name not in named:
            raise ParameterError(
                f"no layer {name!r} in {self.name}: choose one of {', '.join(reversed(named))}"
            )
        return named[name]

    def shapes(self) -> dict[str, Shape]:
        """Shapes of all tensors by full name."""
        return {f"{n}.{key}": s for n, layer in self.layers() for key, s in layer.shapes().items()}

    def initialise(self, seed: int = 0, dtype: Any = np.float32) -> "Network":
        """Give all tensors their first values, and return the network."""
        random = np.random.default_rng(seed)
        for _, layer in self.layers():
            layer.start(random, dtype)
        return self

    @property
    def parameters(self) -> dict[str, Array]:
        """What is learned: the arrays themselves, by full name."""
        return {f"{n}.{key}": a for n, layer in self.layers() for key, a in layer.parameters.items()}

    @property
    def gradients(self) -> dict[str, Array]:
        """What the last `backward` found, by the names of `parameters`."""
        return {f"{n}.{key}": a for n, layer in self.layers() for key, a in layer.gradients.items()}

    def tensors(self) -> dict[str, Array]:
        """Parameters and what is kept beside them: all that a file needs."""
        kept = {f"{n}.{key}": a for n, layer in self.layers() for key, a in layer.buffers.items()}
        return self.parameters | kept

    def load(self, tensors: Mapping[str, Array], dtype: Any = np.float32) -> "Network":
        """Take up tensors by their full names, all of them checked first; return the network.

        ``num_batches_tracked`` is passed over, also the auxiliary heads of a network that may have some and
        has none here; names are read as `plain_names` has them. Arrays of `dtype` are taken as they are, not
        copied: who goes on changing them hands over copies. Weights (P, D * U * V) of a dense layer and
        (P, D, U, V) of a convolution over the whole map are the same numbers in the same order: either does.

        Raises
        ------
        ParameterError
            If a shape differs (the first one in the order of the layers is named, with both shapes), or
            tensors are missing or unexpected (all are named).
        """
        given = self._as_mine(plain_names(tensors))
        shapes = self.shapes()
        for name, shape in shapes.items():
            if name in given and given[name].shape != shape:
                raise ParameterError(
                    f"weights of another network: {name} is {given[name].shape}, {self.name} has {shape}"
                )
        has_heads = self.name.startswith("googlenet")
        missing = [name for name in shapes if name not in given]
        unexpected = [
            name
            for name in given
            if name not in shapes
            and not name.endswith("num_batches_tracked")
            and not (has_heads and name.startswith("aux"))
        ]
        if missing or unexpected:
            told = [f"missing {', '.join(missing)}"] if missing else []
            told += [f"unexpected {', '.join(unexpected)}"] if unexpected else []
            raise ParameterError(f"weights of another network than {self.name}: {'; '.join(told)}")
        for prefix, layer in self.layers():
            for key in layer.shapes():
                kept = layer.buffers if key.startswith("running") else layer.parameters
                kept[key] = np.ascontiguousarray(given[f"{prefix}.{key}"], dtype)
        return self

    def _as_mine(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Give weights of dense layers the shape of convolutions over a whole map, and the other way."""
        shaped = dict(given)
        for prefix, layer in self.layers():
            name, wanted = f"{prefix}.weight", layer.shapes().get("weight", ())
            found = given[name].shape if name in given else ()
            if {len(found), len(wanted)} != {2, 4} or math.prod(layer.output[1:]) > 1:
                continue
            if found[0] == wanted[0] and math.prod(found) == math.prod(wanted):
                shaped[name] = given[name].reshape(wanted)
        return shaped

    def load_fitting(self, tensors: Mapping[str, Array]) -> list[str]:
        """Take up copies of the tensors of the layers that fit by name and shape; return the others' names.

        Those keep their values: of a network for other classes, the last layer begins anew.

        Raises
        ------
        ParameterError
            If no layer fits.

        Examples
        --------
        >>> from cnnfilter.nn import build
        >>> old = build("lenet5-modern", classes=10).initialise(0)
        >>> build("lenet5-modern", classes=3).initialise(1).load_fitting(old.tensors())
        ['output']
        """
        given, mine = self._as_mine(plain_names(tensors)), self.tensors()
        fitting: dict[str, Array] = {}
        others: list[str] = []
        for prefix, layer in self.layers():
            names = [f"{prefix}.{key}" for key in layer.shapes()]
            if all(name in given and given[name].shape == mine[name].shape for name in names):
                fitting |= {name: given[name].copy() for name in names}
            else:
                others.append(prefix)
        if not fitting:
            raise ParameterError(f"weights of another network: no layer of {self.name} is among them")
        self.load(mine | fitting)
        return others

    def reseed(self, random: np.random.Generator) -> None:
        """Let dropout draw from `random`."""
        for _, layer in self.layers():
            if isinstance(layer, Dropout):
                layer.random = random

    def forward(self, x: Array, train: bool = False) -> Array:
        """Scores (N, classes) of a batch (N, D, H, W).

        Raises
        ------
        ParameterError
            If the batch has another shape than the network reads, or the tensors have no values yet.
        """
        if x.shape[1:] != self.shape:
            raise ParameterError(f"batch of shape {x.shape}: {self.name} reads (N, {str(self.shape)[1:]}")
        try:
            y = self.body.forward(x, train)
        except KeyError as error:
            if self.tensors():
                raise
            raise ParameterError(f"{self.name} has no weights yet; initialise() or load() them") from error
        return y.reshape(len(y), math.prod(self.output))

    def backward(self, delta: Array) -> None:
        """Set the gradients of all parameters from that of the scores."""
        last = self.body.children[-1]
        self.body.backward(delta.reshape(len(delta), *last.output))

    def outputs(self, x: Array, names: Iterable[str]) -> dict[str, Array]:
        """Return the outputs of the layers of these names for a batch."""
        wanted = {id(self.layer(name)): name for name in names}
        found: dict[str, Array] = {}
        _watch(self.body, wanted, found)
        try:
            self.forward(x)
        finally:
            _unwatch(self.body)
        return found


def _watch(layer: Layer, wanted: Mapping[int, str], found: dict[str, Array]) -> None:
    """Let each layer that is wanted leave a copy of its output when it is run."""
    for _, part in walk(layer):
        if id(part) in wanted:
            name, run = wanted[id(part)], part.forward

            def keep(x: Array, train: bool = False, *, name: str = name, run: Any = run) -> Array:
                y: Array = run(x, train)
                found[name] = y.copy()
                return y

            part.forward = keep  # type: ignore[method-assign]


def _unwatch(layer: Layer) -> None:
    for _, part in walk(layer):
        part.__dict__.pop("forward", None)


def plain_names(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Take off names what wrappers of PyTorch put before them, such as ``module.`` and ``_orig_mod.``.

    Raises
    ------
    ParameterError
        If a tensor is there with such a word and without.

    Examples
    --------
    >>> list(plain_names({"_orig_mod.module.fc.bias": np.zeros(2), "fc.weight": np.zeros((2, 3))}))
    ['fc.bias', 'fc.weight']
    """
    plain: dict[str, Array] = {}
    for name, tensor in tensors.items():
        short = name
        while (first := short.partition(".")[0]) in _WRAPPERS and "." in short:
            short = short.removeprefix(f"{first}.")
        if short in plain:
            raise ParameterError(f"holds {short} twice, once as {name}; save the one that is meant")
        plain[short] = tensor
    return plain


def renamed(tensors: Mapping[str, Array], names: Mapping[str, str]) -> dict[str, Array]:
    """Give the tensors of layers that `names` holds, ours by theirs, our names.

    Raises
    ------
    ParameterError
        If no tensor is of a layer that `names` holds.

    Examples
    --------
    >>> list(renamed({"conv1.bias": np.zeros(6), "fc.bias": np.zeros(2)}, {"conv1": "c1"}))
    ['c1.bias', 'fc.bias']
    """
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in tensors))
    if strange := [theirs for theirs in names if theirs not in layers]:
        raise ParameterError(f"no layer is named {strange[0]!r}; there are {', '.join(layers)}")
    parts = [(*name.rpartition(".")[::2], tensor) for name, tensor in tensors.items()]
    return {f"{names.get(layer, layer)}.{key}" if layer else key: tensor for layer, key, tensor in parts}


def frozen(network: Network) -> Network:
    """Fold batch normalisation into the convolutions before it, and leave dropout and heads out.

    Parameters
    ----------
    network : Network
        With values. It is changed.

    Returns
    -------
    Network
        The same one, for prediction alone; it gives what it gave before, but for rounding.

    Examples
    --------
    >>> from cnnfilter.nn import build
    >>> network = build("resnet18", classes=5).initialise(0)
    >>> len(network.tensors()), len(frozen(network).tensors())
    (102, 42)
    """
    for _, layer in network.layers():
        if isinstance(layer, Sequence):
            layer.children = tuple(_folded(layer.children))
    return network


def _folded(layers: Iterable[Layer]) -> list[Layer]:
    kept: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Dropout | Auxiliary):
            continue
        before = kept[-1] if kept else None
        if isinstance(layer, BatchNorm) and isinstance(before, Convolution):
            scale, shift = layer.line()
            before.parameters["weight"] = before.parameters["weight"] * scale[:, None, None, None]
            before.parameters["bias"] = before.parameters.get("bias", 0) * scale + shift
            before.has_bias = True
            continue
        kept.append(layer)
    return kept


def relu() -> Activation:
    """Make a rectifier: max(z, 0)."""
    return Activation("relu")
