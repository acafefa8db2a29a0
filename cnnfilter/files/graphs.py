"""What a file says of a network that makes an image from an image: operators and the values between them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class StoredNode(NamedTuple):
    """One operator; what its options and tensors mean, `cnnfilter.learning.graphnodes` says.

    Attributes
    ----------
    kind : str
        convolution, batch_norm, line, relu, prelu, sigmoid, tanh, sum, concatenation, max_pooling,
        mean_pooling, unshuffle, shuffle or constant_map.
    inputs : tuple of str
        The values it reads.
    output : str
        The value it makes.
    options, tensors : mapping
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    options: Mapping[str, Any] = _NOTHING
    tensors: Mapping[str, Array] = _NOTHING


class StoredGraph(NamedTuple):
    """Operators, each after those whose values it reads.

    Attributes
    ----------
    nodes : tuple of StoredNode
    input, output : str
        The value that is the image, and the one that is the result.
    channels : int or None
        Of the image, where the file says it.
    size : pair of int or None
        Rows and columns of the image, where the file says them.
    white : float
        What white is to the network.
    """

    nodes: tuple[StoredNode, ...]
    input: str
    output: str
    channels: int | None = None
    size: tuple[int, int] | None = None
    white: float = 1.0


def each_map(tensor: Array) -> Array | None:
    """Return the numbers of a constant that is one number, or one a map; else None.

    Examples
    --------
    >>> each_map(np.ones((1, 3, 1, 1))).shape, each_map(np.float32(2)).shape, each_map(np.ones((3, 5)))
    ((3,), (1,), None)
    """
    shape = np.shape(tensor)
    if np.size(tensor) == 1 and len(shape) <= 4:
        return np.reshape(tensor, 1)
    if len(shape) in (3, 4) and np.size(tensor) == shape[-3]:
        return np.reshape(tensor, -1)
    return None
