"""A network of others as a step of a chain of filters: read from its file, then an array in, an array out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from cnnfilter.errors import CnnFilterError, FilterFileError, ParameterError
from cnnfilter.filters.filter import BOUNDARY, Filter, Option, Planned, Range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.core.geometry import Geometry, Pair
    from cnnfilter.learning.graphfilter import GraphFilter


def is_network(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a network of others: ONNX by its name, or a description by what it says.

    Examples
    --------
    >>> is_network("net.ONNX"), is_network("kernel.json")
    (True, False)
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix != ".json":
        return suffix == ".onnx"
    from cnnfilter.files.networkfile import describes

    return describes(path)


def load(path: str | os.PathLike[str]) -> GraphFilter:
    """Read a network of others.

    Parameters
    ----------
    path : path
        An ONNX file, .onnx, which needs the package `onnx`; or a description in JSON of a network whose
        weights lie in another file.

    Raises
    ------
    FilterFileError
        If a file cannot be read, holds what is not known, or its operators do not fit each other.
    """
    from cnnfilter.files import networkfile, onnxfile
    from cnnfilter.learning.graphfilter import graph_filter

    onnx = os.path.splitext(os.fspath(path))[1].lower() == ".onnx"
    stored = onnxfile.load(path) if onnx else networkfile.load(path)
    try:
        return graph_filter(stored)
    except CnnFilterError as error:
        raise FilterFileError(f"{os.fspath(path)}: {error}") from error


class LearnedGraph(Filter):
    """A network of others as a filter of a chain."""

    name = "learned"
    options = (Option("filter", "file"), BOUNDARY)
    default_boundary = "zero"
    fills = False
    writes_itself = True  # as `Learned`

    @classmethod
    def read(cls, values: Mapping[str, Any], value_range: Range | None = None) -> Self:
        """Read the file of the network."""
        given = {name: value for name, value in values.items() if value is not None}
        if given.pop("order", "auto") != "auto" or given.pop("tensor", None) is not None:
            raise ParameterError(
                f"{given['filter']} is a network; --tensor and --order are for banks of kernels"
            )
        for name in ("stride", "padding"):
            if name in given:
                raise ParameterError(
                    f"{given['filter']} is a network, whose layers have their own {name}; leave --{name} out"
                )
        boundary = given.pop("boundary", cls.default_boundary)
        return super().read(given | {"filter": load(given["filter"]), "boundary": boundary}, value_range)

    @property
    def network(self) -> GraphFilter:
        """The network."""
        network: GraphFilter = self.arguments["filter"]
        return network

    @property
    def colours_only(self) -> bool:
        """Whether it cannot weigh pixels by their alpha: no network can."""
        return True

    @property
    def local(self) -> bool:
        """Whether strips will do, and the result has the channels of the image."""
        return super().local and self.network.inputs == self.network.outputs

    @property
    def floats(self) -> int:
        """How many it holds for each value of its result while it runs, about: of the widest operator."""
        return 3 + -(-self.network.widest // self.network.outputs)

    def remarks(self, *, linear: bool = False) -> tuple[str, ...]:
        """Say that a size in the file is passed over: no operator that is known depends on it."""
        if self.network.size is None:
            return ()
        size = "x".join(map(str, self.network.size))
        return (
            f"the network says that pictures have {size} pixels; its operators take any, so this is ignored",
        )

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Apply the network."""
        from cnnfilter.core.arguments import as_pixels, result_type
        from cnnfilter.learning.application import require_layers_take
        from cnnfilter.pixels.kinds import full_scale
        from cnnfilter.pixels.rounding import quantise

        network, pixels = how.pop("filter"), as_pixels(image)
        target = result_type(pixels.dtype, how.pop("dtype"), smoothing=True)
        require_layers_take(pixels, target)
        values = network.maps(pixels, **how)
        values *= values.dtype.type(full_scale(pixels.dtype))
        if pixels.ndim == 2 and values.shape[2] == 1:
            values = values[..., 0]
        return quantise(values, target, threads=how.get("threads")).array

    def window(self) -> Pair:
        """Return rows and columns of what one result depends on."""
        return self.network.window

    def geometry(self, shape: Pair) -> Geometry:
        """Return which rows and columns of an image of `shape` each result needs."""
        return self.network.geometry(shape)

    def channels(self, channels: int) -> int:
        """Return how many maps there will be."""
        network = self.network
        if network.each_channel:
            return channels
        if channels != network.inputs:
            raise ParameterError(
                f"the network takes {network.inputs} channel(s), but the image has {channels}"
            )
        return network.outputs

    def plan(self, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
        """Say which operators there are."""
        shape, network = self.shape(shape), self.network
        rows, columns = network.window
        operators = [type(node).__name__.lower() for node, _, _ in network.placed]
        record = {"method": "network", "output_shape": shape, "dtype": output, "operators": operators}
        text = [
            "method   network",
            f"layers   {', '.join(operators)}",
            f"borders  {'as its layers say' if self.boundaries[0] == 'zero' else self.boundaries[0]}",
            f"output   {'x'.join(map(str, shape))} {output}",
            f"window   {rows}x{columns}",
        ]
        return Planned(shape, record | {"window": [rows, columns]}, "\n".join(text), network.grid)
