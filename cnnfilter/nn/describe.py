"""What a network is made of, layer by layer, in numbers."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from cnnfilter.nn.layers import Activation, Dropout, Layer, Shape
from cnnfilter.nn.layers_joining import Auxiliary, Highway, Inception, Residual, Sequence
from cnnfilter.nn.network import Network

Field = tuple[tuple[int, int], tuple[Fraction, Fraction]]
"""Pixels of the image that one pixel sees, and those between neighbours; (rows, columns) each."""


@dataclass
class Row:
    """One layer.

    Attributes
    ----------
    name, kind : str
        Full name, empty for layers without tensors or name; what it does, with its activation.
    input, output : tuple of int
        (D, H, W), or (D,).
    kernel, stride, padding : tuple of int or None
    parameters : int
        Trainable ones.
    connections : int
        Weighted inputs and biases of all its outputs, as the LeNet-5 paper counts.
    multiply_adds : int
        Of convolutions, dense layers and weighted pooling, for one image.
    receptive_field : tuple of int
        Rows and columns of the image that one output sees.
    """

    name: str
    kind: str
    input: Shape
    kernel: tuple[int, int] | None
    stride: tuple[int, int] | None
    padding: tuple[int, int] | None
    output: Shape
    parameters: int
    connections: int
    multiply_adds: int
    receptive_field: tuple[int, int]


@dataclass
class Description:
    """The rows of a network and their sums; `text` and `json` write them out."""

    name: str
    rows: list[Row]

    @property
    def totals(self) -> dict[str, int]:
        """Sums over the rows.

        Examples
        --------
        >>> from cnnfilter.nn.models import build
        >>> totals = describe(build("lenet5")).totals
        >>> totals["parameters"], totals["connections"]
        (60000, 340908)
        """
        keys = "parameters", "connections", "multiply_adds"
        return {key: sum(getattr(row, key) for row in self.rows) for key in keys}

    def json(self) -> str:
        """Return one JSON object: name, layers, totals."""
        layers = [asdict(row) for row in self.rows]
        return json.dumps({"network": self.name, "layers": layers, "totals": self.totals})

    def table(self) -> list[list[str]]:
        """Return the cells of the table: head, rows, sums."""
        head = "layer,kind,input,kernel,stride,padding,output,parameters,connections,multiply-adds,sees"
        cells = [head.split(",")]
        cells += [
            [
                row.name, row.kind, times(row.input), times(row.kernel), times(row.stride),
                times(row.padding), times(row.output), *_numbers(asdict(row)), times(row.receptive_field),
            ]
            for row in self.rows
        ]  # fmt: skip
        return [*cells, ["total", *[""] * 6, *_numbers(self.totals), ""]]

    def text(self) -> str:
        """Return the table in columns, numbers to the right."""
        cells = self.table()
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        lines = [
            "  ".join(
                cell.rjust(width) if 7 <= i <= 9 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        return "\n".join(lines)

    def markdown(self) -> str:
        """Return the table for a page."""
        head, *rows = self.table()
        lines = [head, ["---"] * 7 + ["--:"] * 3 + ["---"], *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def describe(network: Network) -> Description:
    """Describe a network; its tensors need no values.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Description
    """
    rows, _ = _traced(network.body, "", ((1, 1), (Fraction(1), Fraction(1))))
    return Description(network.name, rows)


def times(sides: tuple[int, ...] | None) -> str:
    """Write sides with a cross between; a square kernel, too, shows both.

    Examples
    --------
    >>> times((3, 32, 32)), times(None)
    ('3x32x32', '')
    """
    return "" if sides is None else "x".join(str(side) for side in sides)


def kind_of(layer: Any) -> str:
    """Say what a layer does, and what its sizes do not tell: share, table, groups, dilation, ceil.

    Examples
    --------
    >>> from cnnfilter.nn.models import build
    >>> kind_of(build("lenet5").layer("c3")), kind_of(build("alexnet").layer("conv2"))
    ('convolution by table', 'convolution in 2 groups')
    """
    kind = str(layer.kind)
    if isinstance(layer, Dropout):
        kind += f" {layer.share:g}"
    if getattr(layer, "table", None) is not None:
        kind += " by table"
    if getattr(layer, "groups", 1) > 1:
        kind += f" in {layer.groups} groups"
    if layer.dilation != (1, 1):
        kind += f", dilation {times(layer.dilation)}"
    return kind + ", ceil" * getattr(layer, "ceil", False)


def _numbers(values: dict[str, Any]) -> Iterator[str]:
    for key in ("parameters", "connections", "multiply_adds"):
        yield f"{values[key]:,}" if values[key] else ""


_JOINS = {Residual: "add", Inception: "join", Highway: "gate"}


def _traced(layer: Layer, prefix: str, field: Field) -> tuple[list[Row], Field]:
    """Rows of a layer and what it holds, and what one pixel of its output sees."""
    name = ".".join(part for part in (prefix, layer.name) if part)
    rows: list[Row] = []
    if isinstance(layer, Sequence):
        for child in layer.children:
            if isinstance(child, Activation) and rows:
                rows[-1].kind += f", {child.kind}"
                continue
            more, field = _traced(child, name, field)
            rows += more
        return rows, field
    if layer.children:
        fields: list[Field] = []
        for child in layer.children:
            more, reached = _traced(child, name, field)
            rows, fields = rows + more, [*fields, reached]
        if isinstance(layer, Auxiliary):
            return rows, field
        field = max(fields)
        return [*rows, _row(name, _JOINS[type(layer)], layer, field)], field
    field = _widened(layer, field)
    return [_row(name, kind_of(layer), layer, field)], field


def _row(name: str, kind: str, layer: Layer, field: Field) -> Row:
    size, stride, padding = layer.window() or (None, None, None)
    numbers = layer.count(), layer.connections(), layer.multiply_adds()
    return Row(name, kind, layer.input, size, stride, padding, layer.output, *numbers, field[0])


def _widened(layer: Layer, field: Field) -> Field:
    """Add what a window sees: (K - 1) steps of its input's pixels."""
    window = layer.window()
    if window is None and layer.output[1:] == layer.input[1:] and len(layer.input) == 3:
        return field
    if window is None and layer.factor != (1, 1):
        window = (1, 1), (1, 1), (0, 0)
    if window is None:  # everything: as a window of the whole input
        window = ((layer.input[1], layer.input[2]) if len(layer.input) == 3 else (1, 1)), (1, 1), (0, 0)
        if len(layer.output) == 3 and layer.kind == "zero-pad":
            return field
    (seen, apart), (size, stride, _) = field, window
    reach = [(k - 1) * d for k, d in zip(size, layer.dilation, strict=True)]
    if layer.factor != (1, 1):  # an output lies under every `factor`-th tap, and outputs lie closer
        reach = [(r + 1 + f - 1) // f - 1 for r, f in zip(reach, layer.factor, strict=True)]
        stride = (1, 1)
    wider = [s + ceil(r * a) for s, r, a in zip(seen, reach, apart, strict=True)]
    steps = [a * s / f for a, s, f in zip(apart, stride, layer.factor, strict=True)]
    return (wider[0], wider[1]), (steps[0], steps[1])
