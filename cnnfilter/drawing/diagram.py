"""A network drawn: boxes of maps along the way, and what its composite layers hold beneath them."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cnnfilter.drawing.figure import new_figure, save_figure
from cnnfilter.nn.describe import Row, describe, kind_of, times
from cnnfilter.nn.layers import Activation, Convolution, Dense, Dropout, Layer, RadialOutput, Shape
from cnnfilter.nn.layers_joining import Auxiliary, Highway, Inception, Residual, Sequence
from cnnfilter.nn.layers_normalising import BatchNorm, LocalResponse
from cnnfilter.nn.network import Network

_COLOURS = (
    (Convolution, "#8fb3e6"), (Dense, "#e6a3a3"), (RadialOutput, "#e6a3a3"), (Inception, "#a9d6a4"),
    (Residual, "#a9d6a4"), (Highway, "#a9d6a4"), (Auxiliary, "#ead09c"),
)  # fmt: skip
_PLAIN, _EDGE, _ARROW = "#d2d2d2", "#555555", {"arrowstyle": "-|>", "color": "#777777", "linewidth": 0.8}
_JOINING = (Activation, BatchNorm, Dropout, LocalResponse)
_IN_A_ROW = 10
_STEP, _TALL = 1.42, 1.0  # inches: from box to box, height of the largest
_LINE_STYLE = {"color": "#777777", "linewidth": 0.8, "zorder": 1}
_BOX, _GAP, _LINE = 1.22, 0.26, 0.125  # inches: width of an inset's box, between boxes, of a line of text
_JOINS: dict[type[Layer], str] = {
    Residual: "add", Inception: "join along depth", Highway: "T H(x) + (1 - T) x", Auxiliary: "its own loss",
}  # fmt: skip


@dataclass
class Stage:
    """A layer with those after it that only change its values, the lines about it, its output."""

    layer: Layer
    lines: list[str]
    output: Shape

    @property
    def name(self) -> str:
        """The layer's own, or what it does."""
        return self.lines[0] or self.lines[1]

    @property
    def said(self) -> list[str]:
        """Lines that say something."""
        return [line for line in self.lines if line]

    @property
    def colour(self) -> str:
        """By the kind of the layer."""
        return next((colour for kind, colour in _COLOURS if isinstance(self.layer, kind)), _PLAIN)


def draw_network(network: Network, path: str) -> None:
    """Draw the way of an image through a network, and each kind of its composite layers once.

    A box is as high and deep as its maps are large and as thick as they are many, both by their roots;
    the lines beneath say what makes it, the last one how many parameters that takes.

    Parameters
    ----------
    network : Network
        Its tensors need no values.
    path : str
        .png, .svg or .pdf.

    Raises
    ------
    CnnFilterError
        If matplotlib is not installed.
    """
    description = describe(network)
    stages = [Stage(network.body, ["image", ""], network.shape), *_stages(network.body, description.rows)]
    blocks = _one_of_each(stages)
    columns = math.ceil(len(stages) / math.ceil(len(stages) / _IN_A_ROW))
    sizes = _sizes(stages)
    rows = [slice(k, k + columns) for k in range(0, len(stages), columns)]
    width = max(columns * _STEP, sum(_width(block.layer) for block in blocks)) + 0.3
    height = 0.5 + sum(_row_height(stages[row], sizes[row]) for row in rows)
    height += max((_height(block.layer) for block in blocks), default=0.0)
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    totals = description.totals
    head = f"{network.name}: {totals['parameters']:,} parameters, {totals['multiply_adds']:,} multiply-adds"
    axes.text(0.15, height - 0.25, head, fontsize=11, weight="bold", va="center")
    left, top = 0.15, height - 0.5
    for row in rows:
        _draw_row(axes, stages[row], sizes[row], top, goes_on=row.stop < len(stages))
        top -= _row_height(stages[row], sizes[row])
    for block in blocks:
        _draw_block(axes, block, left, top)
        left += _width(block.layer)
    save_figure(figure, path)


def _stages(body: Layer, rows: list[Row]) -> Iterator[Stage]:
    """Open sequences; an activation, a normalisation or dropout joins the layer before."""
    stage, within = None, 0
    for name, layer in _opened(body):
        inside = sum(r.parameters for r in rows if layer.name and f"{r.name}.".startswith(f"{name}."))
        if stage is not None and isinstance(layer, _JOINING):
            stage.lines.append(kind_of(layer))
            within += inside
            continue
        if stage is not None:
            yield _counted(stage, within)
        stage, within = Stage(layer, [name if layer.name else "", *_lines(layer)], layer.output), inside
    if stage is not None:
        yield _counted(stage, within)


def _counted(stage: Stage, parameters: int) -> Stage:
    return Stage(
        stage.layer, [*stage.lines, f"{parameters:,} parameters" if parameters else ""], stage.output
    )


def _opened(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    name = ".".join(part for part in (prefix, layer.name) if part)
    if isinstance(layer, Sequence):
        for child in layer.children:
            yield from _opened(child, name)
    else:
        yield name, layer


def _lines(layer: Layer) -> list[str]:
    """Say what a layer does, and its window."""
    window = layer.window()
    if window is None:
        return [kind_of(layer)]
    (rows, columns), (step, _), _ = window
    return [kind_of(layer), f"{rows} x {columns}" + (f", stride {step}" if step != 1 else "")]


def _one_of_each(stages: Iterable[Stage]) -> list[Stage]:
    """Find the composite layers, the first of each make: kinds and windows of what they hold."""
    found: dict[Any, Stage] = {}
    for stage in stages:
        layer = stage.layer
        if layer.children and not isinstance(layer, Sequence):
            make = tuple(
                tuple((part.kind, (part.window() or [0])[0]) for _, part in _opened(branch))
                for branch in layer.children
            )
            found.setdefault((type(layer), make), stage)
    return list(found.values())


def _sizes(stages: list[Stage]) -> list[tuple[float, float, float]]:
    """Thickness, height and depth of each box, in inches."""
    maps = [stage.output for stage in stages if len(stage.output) == 3]
    largest, most = max(shape[1] for shape in maps), max(32, *(shape[0] for shape in maps))
    units = max((stage.output[0] for stage in stages if len(stage.output) == 1), default=1)
    sizes = []
    for stage in stages:
        if len(stage.output) == 3:
            high = max(0.1, _TALL * math.sqrt(stage.output[1] / largest))
            sizes.append((0.05 + 0.4 * math.sqrt(stage.output[0] / most), high, 0.3 * high))
        else:
            sizes.append((0.06, max(0.1, 0.9 * _TALL * math.sqrt(stage.output[0] / units)), 0.0))
    return sizes


def _row_height(stages: list[Stage], sizes: list[tuple[float, float, float]]) -> float:
    return max(high + deep for _, high, deep in sizes) + _LINE * max(len(s.said) for s in stages) + 0.65


def _draw_row(
    axes: Any, stages: list[Stage], sizes: list[tuple[float, float, float]], top: float, *, goes_on: bool
) -> None:
    half = max(high + deep for _, high, deep in sizes) / 2
    y = top - 0.25 - half
    for k, (stage, (thick, high, deep)) in enumerate(zip(stages, sizes, strict=True)):
        x = 0.15 + (k + 0.5) * _STEP
        _draw_box(axes, x - (thick + deep) / 2, y - (high + deep) / 2, thick, high, deep, stage.colour)
        axes.text(x, y + half + 0.08, times(stage.output), fontsize=7.5, ha="center")
        axes.text(x, y - half - 0.1, "\n".join(stage.said), fontsize=7, ha="center", va="top")
        if k + 1 < len(stages) or goes_on:
            end = x + _STEP / 2 + 0.13
            axes.annotate("", (end, y), (end - 0.26, y), arrowprops=_ARROW)


def _draw_box(
    axes: Any, left: float, bottom: float, thick: float, high: float, deep: float, colour: str
) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Polygon

    right, top = left + thick, bottom + high
    front = [(left, bottom), (right, bottom), (right, top), (left, top)]
    lid = [(left, top), (right, top), (right + deep, top + deep), (left + deep, top + deep)]
    side = [(right, bottom), (right + deep, bottom + deep), (right + deep, top + deep), (right, top)]
    for face, light in ((front, 1.0), (lid, 1.08), (side, 0.85)):
        shade = [min(1.0, light * part) for part in to_rgb(colour)]
        axes.add_patch(Polygon(face, facecolor=shade, edgecolor=_EDGE, linewidth=0.6))


def _branches(block: Layer) -> list[list[Stage]]:
    """Stages of each way through a composite layer; an empty one carries the input on."""
    ways = [list(_stages(child, [])) for child in block.children]
    return [*ways, []] if isinstance(block, Highway) else ways


def _width(block: Layer) -> float:
    return len(_branches(block)) * (_BOX + 0.12) + 0.35


def _height(block: Layer) -> float:
    return max(sum(_tall(stage) + _GAP for stage in way) for way in _branches(block)) + 1.7


def _tall(stage: Stage) -> float:
    return _LINE * (1 + len(stage.said)) + 0.06


def _draw_block(axes: Any, block: Stage, left: float, top: float) -> None:
    """Draw the ways from the input, above, to where they meet, below."""
    layer = block.layer
    ways = _branches(layer)
    middle = left + (_width(layer) - 0.35) / 2
    bottom = top - _height(layer) + 0.45
    axes.text(left, top - 0.1, f"inside {block.name}", fontsize=8.5, weight="bold", va="center")
    entry, meeting = top - 0.5, bottom + 0.13
    parting, joining = entry - 0.23, meeting + 0.2
    _draw_label(axes, middle, entry, f"x: {times(layer.input)}", "white")
    _draw_label(axes, middle, bottom, f"{_JOINS[type(layer)]}: {times(_output(layer))}", "white")
    for k, way in enumerate(ways):
        x, y = left + (k + 0.5) * (_BOX + 0.12), parting
        axes.plot([middle, middle, x], [entry - 0.13, y, y], **_LINE_STYLE)
        for stage in way:
            high = _tall(stage)
            axes.annotate("", (x, y - _GAP), (x, y + 0.03), arrowprops=_ARROW)
            _draw_label(axes, x, y - _GAP - high / 2, _text(stage), stage.colour, high)
            y -= high + _GAP
        axes.plot([x, x, middle], [y, joining, joining], **_LINE_STYLE)
    axes.annotate("", (middle, meeting), (middle, joining + 0.03), arrowprops=_ARROW)


def _draw_label(axes: Any, x: float, y: float, text: str, colour: str, high: float = 0.26) -> None:
    from matplotlib.patches import FancyBboxPatch

    wide = _BOX if colour != "white" else max(_BOX, 0.062 * len(text) + 0.1)
    place = x - wide / 2 + 0.03, y - high / 2 + 0.03
    box = FancyBboxPatch(
        place, wide - 0.06, high - 0.06, boxstyle="round,pad=0.03", facecolor=colour, edgecolor=_EDGE,
        linewidth=0.6, zorder=2,
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(x, y, text, fontsize=7, ha="center", va="center", linespacing=1.2, zorder=3)


def _text(stage: Stage) -> str:
    return "\n".join([*stage.said, times(stage.output)])


def _output(block: Layer) -> Shape:
    """Shape of what leaves a composite layer; a head of training has its own scores."""
    return block.children[0].output if isinstance(block, Auxiliary) else block.output
