"""One way down an image through a graph of operators, a few rows at a time.

Each value keeps the rows that the next strip will read again, so that no row is computed twice, and memory
holds a few rows of each value and no whole one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from cnnfilter.core.geometry import AXES, Pair
from cnnfilter.errors import ParameterError, shown
from cnnfilter.files.graphs import Array
from cnnfilter.learning.graphwindows import Node, Region

Feed: TypeAlias = Callable[[Pair, Pair], Array]
"""Returns rows and columns `[first, last)` of the image, as (N, D, rows, columns)."""


class Placed(NamedTuple):
    """An operator in a graph.

    Attributes
    ----------
    node : Node
    inputs : tuple of str
    output : str
    """

    node: Node
    inputs: tuple[str, ...]
    output: str


class _Kept(NamedTuple):
    """Rows of a value, from `first` on."""

    first: int
    rows: Array


class _Strip(NamedTuple):
    """What one strip of the result takes.

    Attributes
    ----------
    last : int
        Where it ends.
    read : dict
        From which row on each value is read.
    fresh : dict
        Rows of each value that are computed.
    """

    last: int
    read: dict[str, int]
    fresh: dict[str, Pair]


class Pass:
    """Rows of the result, from top to bottom.

    Parameters
    ----------
    placed : sequence of Placed
        All of them needed for the result, in an order in which they can be computed.
    image, result : str
        Those values.
    feed : Feed
    shape : pair of int
        Rows and columns of the image.
    region : Region
        Of the result.
    step : int
        Rows of a strip.

    Raises
    ------
    ParameterError
        If the image is so small that nothing is left of a value.
    """

    def __init__(
        self, placed: Sequence[Placed], image: str, result: str, feed: Feed, shape: Pair, region: Region,
        step: int,
    ) -> None:  # fmt: skip
        self.placed, self.image, self.result, self.feed = placed, image, result, feed
        self.lengths = [_lengths(placed, image, axis, shape[axis]) for axis in (0, 1)]
        self.columns = self._needed(1, region[1], {})[0]
        self.last_reader = {name: k for k, each in enumerate(placed) for name in each.inputs}
        self.kept: dict[str, _Kept] = {}
        self.strips = self._planned(region[0], step)

    def strip(self, index: int) -> Array:
        """Return the rows of a strip, after those before it have been returned."""
        strip = self.strips[index]
        following = self.strips[index + 1] if index + 1 < len(self.strips) else None
        if self.image in strip.fresh:
            self._keep(self.image, strip, self.feed(strip.fresh[self.image], self.columns[self.image]))
        for number, placed in enumerate(self.placed):
            if placed.output in strip.fresh:
                self._keep(placed.output, strip, self._made(placed, strip.fresh[placed.output]))
            for name in set(placed.inputs):
                if self.last_reader[name] == number:
                    self._forget(name, following)
        return self.kept.pop(self.result).rows

    def _planned(self, rows: Pair, step: int) -> list[_Strip]:
        strips, done = list[_Strip](), dict[str, int]()
        for first in range(*rows, step):
            last = min(first + step, rows[1])
            read, fresh = self._needed(0, (first, last), done)
            strips.append(_Strip(last, {name: pair[0] for name, pair in read.items()}, fresh))
            done |= {name: pair[1] for name, pair in fresh.items()}
        return strips

    def _needed(
        self, axis: int, wanted: Pair, done: Mapping[str, int]
    ) -> tuple[dict[str, Pair], dict[str, Pair]]:
        """Return what is read of each value, and what of that is not `done` yet."""
        read, fresh = {self.result: wanted}, dict[str, Pair]()
        for node, inputs, output in (*reversed(self.placed), Placed(Node(), (), self.image)):
            if output not in read:
                continue
            first, last = read[output]
            first = max(first, done.get(output, first))
            if first >= last:
                continue
            fresh[output] = first, last
            begin, end = node.reads(axis, first, last)
            for name in inputs:
                there = max(begin, 0), min(end, self.lengths[axis][name])
                before = read.get(name, there)
                read[name] = min(before[0], there[0]), max(before[1], there[1])
        return read, fresh

    def _made(self, placed: Placed, rows: Pair) -> Array:
        node, region = placed.node, (rows, self.columns[placed.output])
        inputs = []
        for name in placed.inputs:
            (top, bottom), (left, right) = (node.reads(axis, *region[axis]) for axis in (0, 1))
            height, width = self.lengths[0][name], self.lengths[1][name]
            down, across = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
            outside = (
                (down.start - top, bottom - down.stop),
                (across.start - left, right - across.stop),
            )
            kept, start = self.kept[name], self.columns[name][0]
            inputs.append(
                kept.rows[
                    :, :, down.start - kept.first : down.stop - kept.first,
                    across.start - start : across.stop - start,
                ]
            )  # fmt: skip
        return node.made(inputs, outside, region)

    def _keep(self, name: str, strip: _Strip, rows: Array) -> None:
        """Put new rows below those that are kept and read again."""
        kept = self.kept.get(name)
        first = strip.fresh[name][0]
        if kept is None:
            self.kept[name] = _Kept(first, rows)
            return
        again = max(min(strip.read[name], first), kept.first)
        tail = kept.rows[:, :, again - kept.first :]
        self.kept[name] = _Kept(again, np.concatenate((tail, rows), axis=2) if tail.size else rows)

    def _forget(self, name: str, following: _Strip | None) -> None:
        """Let go of the rows that no later strip reads."""
        if following is None or name not in self.kept:
            self.kept.pop(name, None)
            return
        kept = self.kept[name]
        again = following.read.get(name, kept.first)
        if again > kept.first:
            self.kept[name] = _Kept(again, kept.rows[:, :, again - kept.first :].copy())


def _lengths(placed: Sequence[Placed], image: str, axis: int, length: int) -> dict[str, int]:
    lengths = {image: length}
    for node, inputs, output in placed:
        lengths[output] = node.length(axis, [lengths[name] for name in inputs])
        if lengths[output] < 1:
            raise ParameterError(
                f"the image has {length} {AXES[axis]}, too few for the network: {shown(output)} is empty"
            )
    return lengths
