"""One layer of a learned filter, and how several become those of a network."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cnnfilter.errors import ParameterError
from cnnfilter.learning.pairs import Array
from cnnfilter.nn.functional import activation, winograd
from cnnfilter.nn.layers import Activation, Convolution, Layer
from cnnfilter.nn.layers_enlarging import PixelShuffle
from cnnfilter.nn.layers_joining import Sequence


@dataclass(frozen=True, eq=False, repr=False)
class ConvolutionLayer:
    """Weights (P, D / groups, U, V), an optional bias (P,), and the activation after them."""

    weights: Array
    bias: Array | None = None
    activation: str = "identity"
    groups: int = 1

    def __post_init__(self) -> None:
        activation(self.activation)
        if self.weights.ndim != 4 or 0 in self.weights.shape:
            raise ParameterError(f"weights have shape {self.weights.shape}: give (P, D / groups, U, V)")
        if self.bias is not None and self.bias.shape != self.weights.shape[:1]:
            raise ParameterError(f"bias has shape {self.bias.shape}: give {self.weights.shape[:1]}")
        if self.groups < 1 or self.weights.shape[0] % self.groups:
            raise ParameterError(f"groups is {self.groups}: it must divide {self.weights.shape[0]} outputs")

    def __repr__(self) -> str:
        rows, columns = self.weights.shape[2:]
        maps = f"{rows}x{columns}, {self.inputs} to {len(self.weights)}"
        return f"<ConvolutionLayer {maps}, {self.activation}>"

    @property
    def inputs(self) -> int:
        """Input channels."""
        return int(self.weights.shape[1]) * self.groups

    @property
    def tile(self) -> int:
        """Rows and columns of results that are made together."""
        return winograd.TILE if self.groups == 1 and winograd.is_faster(self.weights.shape) else 1


def sequence_of(layers: Iterable[ConvolutionLayer], dtype: Any, block: int = 1) -> Sequence:
    """Make of layers those of a network, which compute in `dtype`; convolutions are named "0", "1"...

    They are given blocks as `pixel_unshuffle` makes them, and lay them out as pixels in the end.
    """
    made: list[Layer] = []
    for k, layer in enumerate(layers):
        maps, _, rows, columns = layer.weights.shape
        biased = layer.bias is not None
        convolution = Convolution(str(k), maps, (rows, columns), groups=layer.groups, bias=biased)
        convolution.reads_image = k == 0
        convolution.parameters = {"weight": layer.weights.astype(dtype, copy=False)}
        if layer.bias is not None:
            convolution.parameters["bias"] = layer.bias.astype(dtype, copy=False)
        made += [convolution, Activation(layer.activation)]
    return Sequence("", [*made, PixelShuffle(block)] if block > 1 else made)
