"""A network of others as a filter: a graph of operators that makes an image from an image.

Each layer puts beside its maps what the file says, zeros mostly. A strip is treated as an image of its own,
of which only those results are made that see none of what it lacks (`cnnfilter.learning.graphpass`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cnnfilter.core.boundary import check_boundary, index_map
from cnnfilter.core.geometry import Axis, Geometry, Pair, make_geometry
from cnnfilter.core.threads import Workers, count, run_strips
from cnnfilter.errors import ParameterError, shown
from cnnfilter.files.graphs import Array, StoredGraph
from cnnfilter.learning.graphnodes import Function, Line, node_of
from cnnfilter.learning.graphpass import Pass, Placed
from cnnfilter.learning.graphwindows import Convolution, Region, Span
from cnnfilter.learning.strips import Padding
from cnnfilter.nn.blas import single_threaded
from cnnfilter.pixels.kinds import full_scale
from cnnfilter.pixels.rounding import quantise

FARTHEST = 4096
"""Pixels that a network may reach to one side, and maps that it may have: more is made to fill the memory."""
MOST_MAPS = 1 << 16

_STRIP_BYTES = 32 << 20  # of what the widest operator reads and makes
_LEAST_ROWS = 8


@dataclass(frozen=True, eq=False, repr=False)
class GraphFilter:
    """A graph of operators and how it meets the channels of an image.

    Attributes
    ----------
    placed : tuple of Placed
        The operators that the result needs, in order.
    image, result : str
        The values that are the image and the result.
    inputs, outputs : int
        Maps of those.
    spans : pair of Span
        Which rows, and columns, a result sees.
    widest : int
        Maps that the widest operator reads and makes.
    white : float
        What white is to the network.
    size : pair of int or None
        Rows and columns of the images that the file says it is for.
    """

    placed: tuple[Placed, ...]
    image: str
    result: str
    inputs: int
    outputs: int
    spans: tuple[Span, Span]
    widest: int
    white: float = 1.0
    size: Pair | None = None

    def __repr__(self) -> str:
        channels = "each channel" if self.each_channel else f"{self.inputs} to {self.outputs} channels"
        return f"<GraphFilter of {len(self.placed)} operators, {channels}>"

    @property
    def each_channel(self) -> bool:
        """Whether every channel of an image passes alone."""
        return self.inputs == self.outputs == 1

    @property
    def window(self) -> Pair:
        """Rows and columns that one result sees."""
        down, across = self._axes
        return down.before + self.spans[0].after + 1, across.before + self.spans[1].after + 1

    @property
    def grid(self) -> Pair:
        """Rows and columns of the result at whose multiples parts must begin."""
        rows, columns = (span.grid // span.step for span in self.spans)
        return rows, columns

    def geometry(self, shape: Pair, padding: Padding | None = None) -> Geometry:
        """Return where the network, taken as one window, meets an image, or a part of one.

        `padding`: how much of what the layers say stands beside the part; all of it by default.
        """
        rows, columns = ((axis.before, axis.after) for axis in self._axes)
        steps = self.spans[0].step, self.spans[1].step
        return make_geometry(shape, self.window, steps, padding or (rows, columns))

    def maps(
        self,
        image: Array,
        *,
        boundary: str = "zero",
        constant: float = 0.0,
        padding: Padding | None = None,
        strip: int | None = None,
        threads: int | None = None,
    ) -> Array:
        """Filter an image and keep the result as it is: signed floats in units of the full range.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, C)
            uint8, uint16, int16, float32 or float64; C equal to `inputs`, unless `each_channel`.
        boundary : str, default "zero"
            "zero": each layer puts beside its maps what the file says. Others: the image is extended so far
            that no result sees what layers put there.
        constant : float, default 0
            The pixel value of ``boundary="constant"``.
        padding : ((top, bottom), (left, right)), optional
            Of a part of an image, as `geometry` takes it.
        strip : int, optional
            Rows at a time; default as many as fit 32 MiB of the widest operator.
        threads : int, optional

        Returns
        -------
        ndarray of shape (H', W', P), or (H', W', C) if `each_channel`
            float32, or float64 for float64 images.
        """
        if check_boundary(boundary) == "renormalize":
            raise ParameterError("boundary 'renormalize' has no meaning for layers: use zero or reflect")
        pixels = self._checked(image)
        part = _Part(self, pixels, boundary, constant, self.geometry(pixels.shape[:2], padding))
        (first, last), columns = part.region
        step = strip or max(_LEAST_ROWS, _STRIP_BYTES // part.bytes_of_a_row)
        if step < 1:
            raise ParameterError(f"strip is {strip!r}: give a number of rows >= 1")
        out = np.empty((last - first, columns[1] - columns[0], part.channels), part.dtype)

        def work(begin: int, end: int) -> None:
            way = part.way((first + begin, first + end), step)
            at = begin
            for index, strip in enumerate(way.strips):
                rows = way.strip(index)
                rows = rows.reshape(-1, *rows.shape[2:]).transpose(1, 2, 0)
                out[at : strip.last - first] = rows / part.dtype(self.white)
                at = strip.last - first

        # What two ways both compute is worth it where each is several times as high as that.
        least = max(step, 2 * self.window[0])
        with single_threaded() as alone:
            ways = count(threads) if alone else 1
            run_strips(work, len(out), Workers(ways, ways), least)
        return out

    def apply(
        self,
        image: Array,
        *,
        boundary: str = "zero",
        constant: float = 0.0,
        strip: int | None = None,
        threads: int | None = None,
    ) -> Array:
        """Filter an image and return one of its own kind: same dtype, rounded and clipped to its range.

        Examples
        --------
        >>> from cnnfilter.files.graphs import StoredNode
        >>> half = {"scale": np.array([0.5]), "shift": np.array([0.0])}
        >>> stored = StoredGraph((StoredNode("line", ("image",), "half", {}, half),), "image", "half", 1)
        >>> graph_filter(stored).apply(np.array([[100, 51]], np.uint8)).tolist()
        [[50, 26]]
        """
        values = self.maps(image, boundary=boundary, constant=constant, strip=strip, threads=threads)
        if image.ndim == 2 and values.shape[2] == 1:
            values = values[..., 0]
        values *= values.dtype.type(full_scale(image.dtype))
        return quantise(values, image.dtype, threads=threads).array

    def only(self, first: int, last: int) -> "GraphFilter":
        """Refuse to make maps `first` to `last` - 1 alone, which a graph does not know apart.

        Raises
        ------
        ParameterError
        """
        raise ParameterError(
            f"maps {first} to {last - 1} of a network cannot be computed apart; give a smaller picture"
        )

    @cached_property
    def _axes(self) -> tuple[Axis, Axis]:
        """The network as one window: what lies before a result is a multiple of the grid."""
        rows, columns = (
            Axis(0, 0, span.step, 1, -(-span.before // span.grid) * span.grid, span.excess + span.after + 1)
            for span in self.spans
        )
        return rows, columns

    @cached_property
    def _of_types(self) -> dict[Any, tuple[Placed, ...]]:
        return {}

    def of_type(self, dtype: Any) -> tuple[Placed, ...]:
        """Return the operators with weights of a type."""
        if dtype not in self._of_types:
            self._of_types[dtype] = tuple(p._replace(node=p.node.converted(dtype)) for p in self.placed)
        return self._of_types[dtype]

    def _checked(self, image: Array) -> Array:
        if image.ndim not in (2, 3) or image.size == 0:
            raise ParameterError(f"image has shape {image.shape}: give (H, W) or (H, W, C), not empty")
        pixels = image.reshape(*image.shape[:2], -1)
        if not self.each_channel and pixels.shape[2] != self.inputs:
            raise ParameterError(
                f"the filter takes {self.inputs} channel(s), but the image has {pixels.shape[2]}"
            )
        return pixels


class _Part:
    """A part of an image that a network runs on, with what stands beside it."""

    def __init__(
        self, filter: GraphFilter, pixels: Array, boundary: str, constant: float, geometry: Geometry
    ) -> None:
        self.filter, self.pixels, self.boundary = filter, pixels, boundary
        self.dtype: Any = np.float64 if pixels.dtype == np.float64 else np.float32
        self.scale = self.dtype(full_scale(pixels.dtype) / filter.white)
        self.constant = constant / float(self.scale) if boundary == "constant" else 0.0
        own = boundary == "zero"
        self.places = [
            index_map(axis.length, 0 if own else axis.before, 0 if own else axis.after, boundary)
            for axis in geometry
        ]
        self.region: Any = tuple(
            _outputs(axis, whole.before - (axis.before if own else 0), span.step)
            for axis, whole, span in zip(geometry, filter._axes, filter.spans, strict=True)
        )
        self.channels = pixels.shape[2] if filter.each_channel else filter.outputs

    @property
    def bytes_of_a_row(self) -> int:
        """Bytes that a row of the widest operator takes."""
        (first, last) = self.region[1]
        values = (last - first) * self.filter.widest * np.dtype(self.dtype).itemsize
        return int(values * (self.channels if self.filter.each_channel else 1))

    def way(self, rows: Pair, step: int) -> Pass:
        """Return the way down some rows of the result."""
        shape = len(self.places[0]), len(self.places[1])
        region: Region = (rows, self.region[1])
        placed = self.filter.of_type(self.dtype)
        return Pass(placed, self.filter.image, self.filter.result, self._fed, shape, region, step)

    def _fed(self, rows: Pair, columns: Pair) -> Array:
        down, across = self.places[0][slice(*rows)], self.places[1][slice(*columns)]
        part = self.pixels[down.clip(0)][:, across.clip(0)].astype(self.dtype)
        part /= self.scale
        part[down < 0] = self.constant
        part[:, across < 0] = self.constant
        planes = np.ascontiguousarray(part.transpose(2, 0, 1))
        return planes[:, None] if self.filter.each_channel else planes[None]


def _outputs(axis: Axis, begin: int, step: int) -> Pair:
    """Return which results of a part are wanted: from that whose window begins `begin` before its place."""
    first = begin // step
    return first, first + (axis.padded - axis.reach) // step + 1


def graph_filter(stored: StoredGraph) -> GraphFilter:
    """Make a filter of what a file says of a network.

    Batch normalisation is folded into the convolution before it, and that does the work of a ReLU after it.

    Raises
    ------
    ParameterError
        If operators do not fit each other, reach farther than 4096 pixels, or make the image larger.
    """
    placed = _folded(_needed(stored))
    if not placed:
        raise ParameterError("the result is the image itself: no operator stands between them")
    maps = {stored.input: _inputs(stored, placed)}
    spans = {stored.input: (Span(), Span())}
    widest = 1
    for node, inputs, output in placed:
        try:
            maps[output] = node.maps([maps[name] for name in inputs])
            rows, columns = (node.span(axis, [spans[name][axis] for name in inputs]) for axis in (0, 1))
        except ParameterError as error:
            raise ParameterError(f"{type(node).__name__.lower()} {shown(output)}: {error}") from error
        spans[output] = rows, columns
        widest = max(widest, maps[output] + sum(maps[name] for name in inputs))
        if maps[output] > MOST_MAPS or max(max(s.before, s.after, s.grid) for s in spans[output]) > FARTHEST:
            raise ParameterError(
                f"{shown(output)} has {maps[output]} maps that see {rows.before + rows.after + 1}x"
                f"{columns.before + columns.after + 1} pixels: at most {MOST_MAPS} maps, and {FARTHEST} "
                "pixels to each side, are taken"
            )
    return GraphFilter(
        tuple(placed), stored.input, stored.output, maps[stored.input], maps[stored.output],
        spans[stored.output], widest, stored.white, stored.size,
    )  # fmt: skip


def _needed(stored: StoredGraph) -> list[Placed]:
    """Leave out what the result does not need."""
    needed, kept = {stored.output}, list[Placed]()
    for node in reversed(stored.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(Placed(node_of(node), node.inputs, node.output))
    return kept[::-1]


def _folded(placed: Iterable[Placed]) -> list[Placed]:
    """Let a convolution do the work of the one line, and the one rectifier, that alone read it."""
    placed = list(placed)
    readers = Counter(name for each in placed for name in each.inputs)
    made: dict[str, int] = {}
    kept: list[Placed] = []
    for node, inputs, output in placed:
        at = made.get(inputs[0]) if len(inputs) == 1 and readers[inputs[0]] == 1 else None
        before = None if at is None else kept[at].node
        if at is not None and isinstance(before, Convolution) and not before.rectify and _folds(node, before):
            both = before.followed_by(node) if isinstance(node, Line) else before.rectified()
            kept[at] = kept[at]._replace(node=both, output=output)
            made[output] = at
            continue
        made[output] = len(kept)
        kept.append(Placed(node, inputs, output))
    return kept


def _folds(node: Any, before: Convolution) -> bool:
    if isinstance(node, Line):
        return {node.scale.shape, node.shift.shape} <= {(1,), (len(before.weight),)}
    return isinstance(node, Function) and node.name == "relu"


def _inputs(stored: StoredGraph, placed: Iterable[Placed]) -> int:
    """Return how many channels the image has: as the file says, or its convolutions."""
    if stored.channels is not None:
        return stored.channels
    first = next((p.node for p in placed if isinstance(p.node, Convolution)), None)
    for channels in (1, 3, 4, 2) if first is None else range(1, first.weight.shape[1] * first.groups + 1):
        maps = {stored.input: channels}
        try:
            for node, inputs, output in placed:
                maps[output] = node.maps([maps[name] for name in inputs])
        except ParameterError:
            continue
        return channels
    raise ParameterError("no number of channels of the image fits the operators")
