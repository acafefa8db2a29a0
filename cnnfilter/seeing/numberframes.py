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
    font,
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
    """The boards of one sum; a pooling has no kernel, and sums that make one output share its board."""

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
        self.kernels = max(1, len(slide.names))
        self.padded = slide.padded()
        self.peak = float(np.nanmax(np.abs(slide.output))) if slide.output.size else 0.0
        self.rows, size = self._layout()
        self.base, self.draw = blank(*size)
        self._captions()
        for number, row in enumerate(self.rows):
            self._input(row.image, number // self.kernels)
            if slide.weights is not None:
                self._kernel(self.draw, row.kernel, self._weights(number))
        # Of each output the first of its sums; a window that is no sum may have fewer than channels.
        outputs = 1 if slide.hued else slide.output.shape[2]
        self.firsts = range(0, len(self.rows), slide.together)[:outputs]
        for board in (self.rows[first].output for first in self.firsts):
            empty = [[""] * board.columns] * board.rows
            board.fill(self.draw, empty, lambda u, v: {"fill": PADDING})

    def frame(self, place: int, number: int) -> Image.Image:
        """Return the frame of one step."""
        image = self.base.copy()
        draw = ImageDraw.Draw(image)
        slide, step = self.slide, self.slide.step(place)
        for index, row in enumerate(self.rows):
            self._sum(draw, row, step, index)
        self._results(draw, place)
        for first in self.firsts:
            board = self.rows[first].output
            draw.rectangle(board.box(*step.at), None, WINDOW, 2)
            if slide.conclude:
                self._conclude(draw, board, step, first)
        where = f"step {place + 1} of {slide.steps}"
        write(draw, (image.width - MARGIN, 12), where, fill=MUTED, size=13, anchor="ra")
        return image

    def fill(self, places: range) -> None:
        """Write outputs where they stay."""
        for place in places:
            self._results(self.draw, place)

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
        below_sums = below + products.size[1] + (lines + (self.kernels > 1)) * LINE_HEIGHT
        concluded = self._conclusion_size()
        # An output that several sums make has the room of all of them beneath it.
        height = 40 + max(
            image.size[1], below_sums, -(-(output.size[1] + concluded[1]) // slide.together)
        )  # fmt: skip
        rows = [
            _Row(*(replace(board, top=board.top + HEAD + number * height)
                   for board in (image, kernel, products, output)))
            for number in range(slide.sums)
        ]  # fmt: skip
        right = output.left + max(output.size[0], concluded[0]) + MARGIN
        return rows, (max(right, 560), HEAD + len(rows) * height - 30)

    def _conclusion_size(self) -> tuple[int, int]:
        """Return width and height of the lines beneath an output: of the widest numbers that are likely."""
        slide = self.slide
        if slide.conclude is None:
            return 0, 0
        middle = slide.step(slide.steps // 2)
        wide = max((float(value) for value in middle.values.ravel()), key=lambda value: len(shown(value)))
        told = slide.conclude([-1234.56] * slide.together, wide)
        width = max(font().getlength(line) for line in told)
        return max(WORDS, math.ceil(width)), (len(told) + 2) * LINE_HEIGHT

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

    def _weights(self, number: int) -> Floats:
        """Return the weights of one sum: those of its kernel, or of its channel, or of all."""
        weights = self.slide.weights
        assert weights is not None, "a pooling has no weights"
        chosen: Floats = weights[:, :, number % weights.shape[2]]
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

    def _sum(self, draw: ImageDraw.ImageDraw, row: _Row, step: Step, number: int) -> None:
        """Draw window and products of one sum, and what it comes to."""
        slide, channel = self.slide, number // self.kernels
        values = step.values[:, :, channel]
        down, across = slide.geometry.rows, slide.geometry.columns
        counted = step.inside if slide.boundary == "renormalize" else np.ones_like(step.inside)
        weights = self._weights(number) if slide.weights is not None else None
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
            return
        products = np.where(counted, values * weights, 0.0)
        row.products.fill(draw, _where(counted, products))
        centre = (row.products.left - GAP / 2, row.products.top + row.products.size[1] / 2)
        write(draw, centre, "=", fill=MUTED, size=20, anchor="mm")
        lines = self._sum_lines(products, weights, counted, slide.total(step, number))
        if slide.names:
            total = shown(slide.total(step, number), self.peak)
            lines.append(f"{slide.names[number % self.kernels]} = {total}")
        top = row.products.top + row.products.size[1] + 6
        for place, line in enumerate(lines):
            last = place == len(lines) - 1 and (slide.together == 1 or slide.names != ())
            write(draw, (row.products.left, top + place * LINE_HEIGHT), line, fill=WINDOW if last else INK)

    def _sum_lines(
        self, products: Floats, weights: Floats, counted: NDArray[np.bool_], result: float
    ) -> list[str]:
        slide, scale = self.slide, float(np.abs(products).sum())
        total = float(products.sum())
        lines = [f"sum = {shown(total, scale)}"]
        if slide.divisor != 1:
            scale /= abs(slide.divisor)
            lines.append(f"/ {shown(slide.divisor)} = {shown(total / slide.divisor, scale)}")
        if not counted.all():
            inside = float(weights[counted].sum())
            lines.append(f"· {shown(float(weights.sum()))} / {shown(inside)} = {shown(result, scale)}")
        return lines

    def _conclude(self, draw: ImageDraw.ImageDraw, board: Board, step: Step, first: int) -> None:
        """Write beneath an output what its sums make, and large what comes out."""
        slide = self.slide
        top = board.top + board.size[1] + 8
        lines = slide.concluded(step, first)
        for number, line in enumerate(lines):
            write(draw, (board.left, top + number * LINE_HEIGHT), line)
        if slide.hued:
            text = ", ".join(_text(value) for value in step.result.tolist())
        else:
            text = shown(float(step.result[first // slide.together]), self.peak)
        write(draw, (board.left, top + len(lines) * LINE_HEIGHT), text, fill=WINDOW, size=20)

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

    def _results(self, draw: ImageDraw.ImageDraw, place: int) -> None:
        """Write one output into its boards."""
        row, column = divmod(place, self.slide.output.shape[1])
        values = self.slide.output[row, column]
        if self.slide.hued:
            red, green, blue = np.clip(values / self.slide.white * 255, 0, 255).round().astype(int).tolist()
            self.rows[0].output.cell(draw, row, column, "", fill=(red, green, blue), outline=LINE)
            return
        for first, value in zip(self.firsts, values.tolist(), strict=True):
            board = self.rows[first].output
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
