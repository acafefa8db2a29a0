"""Frames of a slide in numbers: window, kernel, products and sum, while the output fills up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from cnnfilter.seeing.canvas import (
    GAP,
    INK,
    LINE,
    LINE_HEIGHT,
    MARGIN,
    MUTED,
    PADDING,
    PAGE,
    RESULT,
    RESULT_FILL,
    WINDOW,
    WINDOW_FILL,
    Board,
    blank,
    cell_width,
    times,
    tint,
    write,
)  # fmt: skip
from cnnfilter.seeing.numbers import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.seeing.slide import Slide, Step

    Floats = NDArray[np.float64]

TURNING = 12
"""Frames in which a kernel turns by 180 degrees."""

HEAD = 66
"""Pixels above the first matrix: title and captions."""

WORDS = 190
"""Pixels for the sums beneath their matrices."""

SIGN = 20
"""Pixels between kernel and products."""

FEW = 4
"""Digits in a cell; the sums beneath have more."""


@dataclass(frozen=True)
class _Row:
    """The boards of one channel; a pooling has no kernel, and joined channels share one output."""

    image: Board
    kernel: Board
    products: Board
    output: Board


def number_frames(slide: Slide, places: list[int]) -> Iterator[tuple[Image.Image, float]]:
    """Yield frames, and for how many steps each is shown.

    Parameters
    ----------
    slide : Slide
    places : list of int
        The outputs that have a frame, rising; those before the last one are filled.
    """
    painter = _Painter(slide)
    if slide.turned:
        yield from painter.turning()
    filled = 0
    for number, place in enumerate(places):
        painter.fill(range(filled, place + 1))
        filled = place + 1
        yield painter.frame(place, number), 1.0
    yield painter.base, 3.0


class _Painter:
    """What stays from frame to frame, and what is drawn anew for each."""

    def __init__(self, slide: Slide) -> None:
        self.slide = slide
        self.channels = slide.image.shape[2]
        self.padded = slide.padded()
        self.peak = float(np.nanmax(np.abs(slide.output))) if slide.output.size else 0.0
        self.rows, size = self._layout()
        self.base, self.draw = blank(*size)
        self._captions()
        for channel, row in enumerate(self.rows):
            self._input(row.image, channel)
            if slide.weights is not None:
                self._kernel(self.draw, row.kernel, self._weights(channel))
        for row in self.rows[: 1 if slide.joined else None]:
            empty = [[""] * row.output.columns] * row.output.rows
            row.output.fill(self.draw, empty, lambda u, v: {"fill": PADDING})

    def frame(self, place: int, number: int) -> Image.Image:
        """Return the frame of one step."""
        image = self.base.copy()
        draw = ImageDraw.Draw(image)
        step = self.slide.step(place)
        totals = [self._channel(draw, row, step, channel) for channel, row in enumerate(self.rows)]
        for channel in range(self.slide.output.shape[2]):
            board = self.rows[channel].output
            self._result(draw, board, place, channel)
            draw.rectangle(board.box(*step.at), None, WINDOW, 2)
        if self.slide.joined:
            board = self.rows[0].output
            text = " + ".join(_signed(total) for total in totals)
            write(draw, (board.left, board.top + board.size[1] + 8), f"{text} =")
            total = shown(float(step.result[0]), float(np.abs(totals).sum()))
            below = board.top + board.size[1] + 8 + LINE_HEIGHT
            write(draw, (board.left, below), total, fill=WINDOW, size=20)
        where = f"step {place + 1} of {self.slide.steps}"
        write(draw, (image.width - MARGIN, 12), where, fill=MUTED, size=13, anchor="ra")
        return image

    def fill(self, places: range) -> None:
        """Write outputs where they stay."""
        for place in places:
            for channel in range(self.slide.output.shape[2]):
                self._result(self.draw, self.rows[channel].output, place, channel)

    def turning(self) -> Iterator[tuple[Image.Image, float]]:
        """Yield the kernel as it is written, turning, until it lies as it is used."""
        assert self.slide.weights is not None, "what turns has weights"
        for number in range(TURNING + 1):
            image = self.base.copy()
            draw = ImageDraw.Draw(image)
            for channel, row in enumerate(self.rows):
                written = self._weights(channel)[::-1, ::-1]
                self._turned(image, draw, row.kernel, written, 180 * number / TURNING)
            caption = "kernel, as written" if number == 0 else f"turned by {180 * number // TURNING}°"
            left = self.rows[0].products.left
            draw.rectangle((left, HEAD - 26, left + WORDS, HEAD - 6), PAGE)
            write(draw, (left, HEAD - 24), caption, fill=WINDOW, size=13)
            yield image, 2.0 if number in (0, TURNING) else 0.2

    def _layout(self) -> tuple[list[_Row], tuple[int, int]]:
        """Lay input, kernel above products, and output side by side; one row for each channel."""
        slide = self.slide
        taps, outputs = (
            (slide.geometry.rows.kernel, slide.geometry.columns.kernel),
            slide.geometry.output_shape,
        )
        padded = (self.padded.shape[0], self.padded.shape[1])
        image = Board(MARGIN, 0, *padded, cell_width(_texts(self.padded), corners=slide.weights is not None))
        middle = MARGIN + image.size[0] + GAP
        kernel = Board(
            middle, 0, *taps, cell_width(_texts(slide.weights)) if slide.weights is not None else 0
        )
        across, down = _turning_room(kernel) if slide.turned else (0, 0)
        kernel = replace(kernel, left=middle + across, top=down)
        below = 0 if slide.weights is None else kernel.size[1] + 2 * down + SIGN
        products = Board(middle, below, *taps, cell_width([_most_digits(slide)]))
        width = max(products.size[0], kernel.size[0] + 2 * across, WORDS)
        output = Board(middle + width + GAP, 0, *outputs, cell_width(_texts(slide.output)))
        lines = 1 + (slide.divisor != 1 or slide.kind == "mean") + (slide.boundary == "renormalize")
        height = 40 + max(
            image.size[1],
            below + products.size[1] + lines * LINE_HEIGHT,
            output.size[1] + (3 * LINE_HEIGHT if slide.joined else 0),
        )
        rows = [
            _Row(*(replace(board, top=board.top + HEAD + channel * height)
                   for board in (image, kernel, products, output)))
            for channel in range(self.channels)
        ]  # fmt: skip
        right = output.left + max(output.size[0], WORDS if slide.joined else 0) + MARGIN
        return rows, (max(right, 560), HEAD + self.channels * height - 30)

    def _captions(self) -> None:
        slide, first = self.slide, self.rows[0]
        write(self.draw, (MARGIN, 10), slide.title, size=17)
        middle = "window" if slide.weights is None else "kernel, turned" if slide.turned else "kernel"
        for left, name in (
            (first.image.left, "input"), (first.products.left, middle), (first.output.left, "output"),
        ):  # fmt: skip
            write(self.draw, (left, HEAD - 24), name, fill=MUTED, size=13)
        for row in self.rows if slide.weights is not None else ():
            times(self.draw, (row.products.left - GAP / 2, row.kernel.top + row.kernel.size[1] / 2))

    def _input(self, board: Board, channel: int) -> None:
        down, across = self.slide.geometry.rows, self.slide.geometry.columns
        dropped = self.slide.boundary == "renormalize"

        def style(row: int, column: int) -> dict[str, Any]:
            inside = 0 <= row - down.before < down.length and 0 <= column - across.before < across.length
            return {} if inside else {"fill": PADDING, "ink": PADDING if dropped else MUTED}

        board.fill(self.draw, _texts(self.padded[:, :, channel]), style)

    def _weights(self, channel: int) -> Floats:
        weights = self.slide.weights
        assert weights is not None, "a pooling has no weights"
        chosen: Floats = weights[:, :, channel if weights.shape[2] > 1 else 0]
        return chosen

    def _kernel(self, draw: ImageDraw.ImageDraw, board: Board, weights: Floats) -> None:
        peak = float(np.abs(weights).max())
        board.fill(draw, _texts(weights), lambda u, v: {"fill": tint(float(weights[u, v]), peak)})
        draw.rectangle(board.box(0, 0, board.rows, board.columns), None, WINDOW, 2)

    def _turned(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, board: Board, weights: Floats, angle: float
    ) -> None:
        width, height = board.size
        draw.rectangle((board.left, board.top, board.left + width, board.top + height), PAGE)
        single, pen = blank(width, height)
        self._kernel(pen, replace(board, left=0, top=0), weights)
        turned = single.convert("RGBA").rotate(-angle, Image.Resampling.BICUBIC, expand=True)
        centre = board.left + width // 2 - turned.width // 2, board.top + height // 2 - turned.height // 2
        image.paste(turned, centre, turned)

    def _channel(self, draw: ImageDraw.ImageDraw, row: _Row, step: Step, channel: int) -> float:
        """Draw window and products of one channel, and return their sum over the divisor."""
        slide, values = self.slide, step.values[:, :, channel]
        down, across = slide.geometry.rows, slide.geometry.columns
        counted = step.inside if slide.boundary == "renormalize" else np.ones_like(step.inside)
        weights = self._weights(channel) if slide.weights is not None else None
        for u, y in enumerate(step.rows + down.before):
            for v, x in enumerate(step.columns + across.before):
                text = _text(values[u, v]) if counted[u, v] else ""
                corner = "" if weights is None else _corner(weights[u, v])
                row.image.cell(draw, y, x, text, fill=WINDOW_FILL, outline=WINDOW, corner=corner)
        box = row.image.box(
            int(step.rows[0]) + down.before, int(step.columns[0]) + across.before, down.reach, across.reach
        )
        draw.rectangle(box, None, WINDOW, 2)
        if weights is None:
            if channel < len(step.result):
                self._pooled(draw, row.products, values, counted, float(step.result[channel]))
            return 0.0
        products = np.where(counted, values * weights, 0.0)
        texts = _where(counted, products)
        row.products.fill(draw, texts)
        centre = (row.products.left - GAP / 2, row.products.top + row.products.size[1] / 2)
        write(draw, centre, "=", fill=MUTED, size=20, anchor="mm")
        lines = self._sum_lines(
            products, weights, counted, float(step.result[min(channel, len(step.result) - 1)])
        )
        top = row.products.top + row.products.size[1] + 6
        for number, line in enumerate(lines):
            last = number == len(lines) - 1 and not slide.joined
            write(draw, (row.products.left, top + number * LINE_HEIGHT), line, fill=WINDOW if last else INK)
        return float(products.sum()) / slide.divisor

    def _sum_lines(
        self, products: Floats, weights: Floats, counted: NDArray[np.bool_], result: float
    ) -> list[str]:
        slide, scale = self.slide, float(np.abs(products).sum())
        total = float(products.sum())
        lines = [f"sum = {shown(total, scale)}"]
        if slide.divisor != 1:
            lines.append(
                f"/ {shown(slide.divisor)} = {shown(total / slide.divisor, scale / abs(slide.divisor))}"
            )
        if not counted.all() and not slide.joined:
            inside = float(weights[counted].sum())
            lines.append(f"· {shown(float(weights.sum()))} / {shown(inside)} = {shown(result, scale)}")
        return lines

    def _pooled(
        self,
        draw: ImageDraw.ImageDraw,
        board: Board,
        values: Floats,
        counted: NDArray[np.bool_],
        result: float,
    ) -> None:
        kept = values[counted]
        texts = _where(counted, values)

        def style(u: int, v: int) -> dict[str, Any]:
            chosen = self.slide.kind == "max" and counted[u, v] and values[u, v] == result
            return {"fill": RESULT_FILL, "ink": RESULT} if chosen else {}

        board.fill(draw, texts, style)
        top = board.top + board.size[1] + 6
        if self.slide.kind == "mean":
            write(draw, (board.left, top), f"sum = {shown(float(kept.sum()))}")
            write(draw, (board.left, top + LINE_HEIGHT), f"/ {kept.size} = {shown(result)}", fill=WINDOW)
        else:
            word = "largest" if self.slide.kind == "max" else "value"
            write(draw, (board.left, top), f"{word} = {shown(result, self.peak)}", fill=WINDOW)

    def _result(self, draw: ImageDraw.ImageDraw, board: Board, place: int, channel: int) -> None:
        row, column = divmod(place, board.columns)
        value = float(self.slide.output[row, column, channel])
        board.cell(draw, row, column, _text(value, self.peak), fill=tint(value, self.peak), outline=LINE)


def _text(value: float, scale: float = 0.0) -> str:
    return shown(float(value), scale, FEW)


def _texts(values: Floats) -> list[list[str]]:
    flat = values.reshape(values.shape[0], -1)
    scale = float(np.nanmax(np.abs(flat))) if flat.size else 0.0
    return [[_text(value, scale) for value in row] for row in flat.tolist()]


def _where(counted: NDArray[np.bool_], values: Floats) -> list[list[str]]:
    """Write the values that count; where the boundary puts nothing, nothing."""
    return [
        [_text(value) if counts else "" for value, counts in zip(*line, strict=True)]
        for line in zip(values.tolist(), counted.tolist(), strict=True)
    ]


def _corner(weight: float) -> str:
    """Write a weight into the corner of a pixel, if there is room; the kernel shows it anyway."""
    text = f"x{_text(weight)}"
    return text if len(text) <= 4 else ""


def _most_digits(slide: Slide) -> list[str]:
    """Return the products that can occur, to find the widest: each value with each weight."""
    values = np.unique(slide.padded())
    if slide.weights is None:
        return [_text(value) for value in values.tolist()]
    products = np.unique(np.multiply.outer(values, np.unique(slide.weights)))
    return [_text(product) for product in products.tolist()]


def _turning_room(board: Board) -> tuple[int, int]:
    """Return how far a board reaches beyond its sides while it turns, across and down."""
    width, height = board.size
    diagonal = math.hypot(width, height)
    return math.ceil((diagonal - width) / 2), math.ceil((diagonal - height) / 2)


def _signed(value: float) -> str:
    text = shown(value)
    return f"({text})" if text.startswith("-") else text
