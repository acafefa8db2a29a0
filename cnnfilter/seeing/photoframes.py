"""Frames of a slide over a photograph: a moving window, magnified, while the result appears."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

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
    WINDOW,
    Board,
    blank,
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

SIDE = 380
"""Pixels of the longer side of a photograph on a frame."""

LENS = 180
"""Pixels of the magnified window."""

HEAD = 60

SHARE = 0.01
"""Share of the values from which on it is said that they are cut."""

SMALL = 13
"""Size of the headings over both pictures."""

COLOURS = 150
"""Colours for photograph and result together; the rest of 256 is for all else."""


def photo_frames(slide: Slide, places: list[int]) -> Iterator[tuple[Image.Image, float]]:
    """Yield frames, and for how many steps each is shown; as `number_frames`."""
    painter = _Painter(slide)
    for place in places:
        yield painter.frame(place), 1.0
    yield painter.finished(), 12.0


class _Tones(NamedTuple):
    """How values become greys or colours from 0 to 255, and what is to be said of that."""

    low: float
    high: float
    note: str

    @classmethod
    def of(cls, values: Floats, white: float, whole: bool = False) -> _Tones:
        """Choose what is black and what is white, of `whole` so that nothing is cut."""
        # A sharpened picture has a few values below 0, a derivative as many as above.
        if -np.nansum(np.minimum(values, 0)) > 0.2 * np.nansum(np.maximum(values, 0)):
            peak = float(np.nanmax(np.abs(values)))
            return cls(-peak, peak, ", mid-grey is 0")
        below, above = float(np.mean(values < 0)), float(np.mean(values > white))
        words = ", black below 0" if below > SHARE else ""
        if whole or above > 0.2:
            white = float(np.nanmax(values)) or 1.0
            words += f", white is {shown(white)}"
        elif above > SHARE:
            words += f", white above {shown(white)}"
        return cls(0.0, white, words)

    def visible(self, values: Floats) -> Floats:
        """Return values from 0 to 255."""
        return (np.clip(values, self.low, self.high) - self.low) * (255 / (self.high - self.low))


class _Painter:
    def __init__(self, slide: Slide) -> None:
        self.slide = slide
        padded = slide.padded()
        given = _Tones.of(padded, slide.white)
        # Slopes are small beside the values of a picture.
        self.tones = _Tones.of(slide.output, slide.white, whole=slide.names != ())
        self.photo = _as_photo(given.visible(padded))
        self.result = _as_photo(self.tones.visible(slide.output))
        self.scale = SIDE / max(*self.photo.size, *self.result.size)
        # A result that shrinks is seen to shrink, but not beyond what can be made out.
        self.result_scale = max(self.scale, SIDE / 2.5 / max(self.result.size))
        big, small = _scaled(self.photo, self.scale), _scaled(self.result, self.result_scale)
        self.photo_shown, self.result_shown = _in_few_colours([big, small])
        height, width = slide.image.shape[:2]
        rows, columns = slide.geometry.output_shape
        self.headings = f"input {height} x {width}{given.note}", f"output {rows} x {columns}{self.tones.note}"
        # A narrow picture leaves room for its heading all the same.
        wide = max(big.width, math.ceil(font(SMALL).getlength(self.headings[0])))
        self.left, self.right = MARGIN, MARGIN + wide + GAP
        self.below = HEAD + max(big.height, small.height) + 44
        right = max(small.width, math.ceil(font(SMALL).getlength(self.headings[1])))
        width = max(self.right + right + MARGIN, 3 * (LENS + GAP) + 150)
        self.base, draw = blank(width, self.below + LENS + 50)
        self._draw_base(draw)

    def frame(self, place: int) -> Image.Image:
        """Return the frame of one step: the result is there up to it."""
        image = self.base.copy()
        draw = ImageDraw.Draw(image)
        step = self.slide.step(place)
        row, column = step.at
        self._reveal(image, row, column + 1)
        down, across = self.slide.geometry.rows, self.slide.geometry.columns
        top, left = int(step.rows[0]) + down.before, int(step.columns[0]) + across.before
        _frame_window(draw, self.left, self.scale, (left, top, across.reach, down.reach))
        _frame_window(draw, self.right, self.result_scale, (column, row, 1, 1))
        window = self.photo.crop((left, top, left + across.reach, top + down.reach))
        self._lens(image, draw, MARGIN, window)
        self._numbers(draw, step)
        where = f"row {row}, column {column}"
        write(draw, (image.width - MARGIN, 12), where, fill=MUTED, size=13, anchor="ra")
        return image

    def finished(self) -> Image.Image:
        """Return the whole result."""
        image = self.base.copy()
        image.paste(self.result_shown, (self.right, HEAD))
        return image

    def _draw_base(self, draw: ImageDraw.ImageDraw) -> None:
        slide = self.slide
        write(draw, (MARGIN, 8), slide.title, size=17)
        for left, text in zip((self.left, self.right), self.headings, strict=True):
            write(draw, (left, HEAD - 20), text, fill=MUTED, size=SMALL)
        self.base.paste(self.photo_shown, (self.left, HEAD))
        width, height = self.result_shown.size
        draw.rectangle((self.right, HEAD, self.right + width - 1, HEAD + height - 1), PADDING, LINE)
        write(draw, (MARGIN, self.below - 20), "window", fill=MUTED, size=13)
        if slide.weights is not None:
            left = MARGIN + LENS + GAP
            several = f"kernels, {' and '.join(slide.names)}"
            name = several if len(slide.names) > 1 else "kernel, turned" if slide.turned else "kernel"
            write(draw, (left, self.below - 20), name, fill=MUTED, size=13)
            times(draw, (left - GAP / 2, self.below + LENS / 2))
            self._kernels(draw, left, slide.weights)

    def _kernels(self, draw: ImageDraw.ImageDraw, left: int, weights: Floats) -> None:
        """Draw the kernel, or those of a gradient, one below the other."""
        count = max(1, len(self.slide.names))
        planes = weights if self.slide.names else weights.mean(axis=2, keepdims=True)
        side = max(1, (LENS - 10 * (count - 1)) // (count * max(planes.shape[:2])))
        peak = float(np.abs(planes).max())
        texts = [shown(weight) for weight in planes.ravel().tolist()]
        roomy = side >= 25 and max(map(len, texts)) * 9 < side
        for number in range(count):
            top = self.below + number * (side * planes.shape[0] + 10)
            board = Board(left, top, planes.shape[0], planes.shape[1], side, side)
            for (u, v), weight in np.ndenumerate(planes[:, :, number]):
                outline = LINE if side > 5 else tint(weight, peak)
                text = shown(weight) if roomy else ""
                board.cell(draw, u, v, text, fill=tint(weight, peak), outline=outline)
            draw.rectangle(board.box(0, 0, board.rows, board.columns), None, WINDOW, 2)
        if self.slide.divisor != 1:
            words = f"over {shown(self.slide.divisor)}"
        else:
            words = "" if roomy else f"largest weight {shown(peak)}"
        write(draw, (left, self.below + LENS + 8), words, fill=MUTED, size=13)

    def _lens(self, image: Image.Image, draw: ImageDraw.ImageDraw, left: int, window: Image.Image) -> None:
        factor = LENS / max(window.size)
        size = max(1, round(window.width * factor)), max(1, round(window.height * factor))
        image.paste(window.resize(size, Image.Resampling.NEAREST), (left, self.below))
        draw.rectangle((left, self.below, left + size[0], self.below + size[1]), None, WINDOW, 2)

    def _numbers(self, draw: ImageDraw.ImageDraw, step: Step) -> None:
        result = step.result
        left = MARGIN + (LENS + GAP) * (1 if self.slide.weights is None else 2)
        middle = self.below + LENS / 2
        sign, size = ("=", 20) if self.slide.kind == "sum" else (self.slide.kind, 13)
        write(draw, (left - GAP / 2, middle), sign, fill=MUTED, size=size, anchor="mm")
        colour: Any = tuple(self.tones.visible(result).astype(int).tolist())
        colour = colour if len(colour) == 3 else colour[:1] * 3
        draw.rectangle((left, middle - 28, left + 56, middle + 28), colour, LINE)
        names = ("red", "green", "blue") if len(result) == 3 else ("value",)
        for number, (name, value) in enumerate(zip(names, result.tolist(), strict=False)):
            place = (left + 68, middle - 30 + number * LINE_HEIGHT)
            write(draw, place, f"{name} {shown(value, self.slide.white)}", fill=INK)
        if self.slide.conclude:
            of = f"{names[0]}: " if len(result) > 1 and not self.slide.hued else ""
            for number, line in enumerate(self.slide.concluded(step, 0)):
                place = (left, middle + 40 + number * (LINE_HEIGHT - 4))
                value = f" {shown(float(result[0]), self.slide.white)}" if line.endswith("=") else ""
                write(draw, place, f"{'' if number else of}{line}{value}", fill=MUTED, size=SMALL)

    def _reveal(self, image: Image.Image, row: int, columns: int) -> None:
        """Show the result up to a place of a row."""
        width, height = self.result_shown.size
        top = round(row * self.result_scale)
        bottom = max(top + 1, round((row + 1) * self.result_scale))
        right = max(1, round(columns * self.result_scale))
        image.paste(self.result_shown.crop((0, 0, width, min(top, height))), (self.right, HEAD))
        image.paste(self.result_shown.crop((0, top, right, min(bottom, height))), (self.right, HEAD + top))


def _frame_window(
    draw: ImageDraw.ImageDraw, offset: int, scale: float, window: tuple[int, int, int, int]
) -> None:
    """Frame a window, given as left, top, width and height in pixels of the picture at `offset`."""
    left, top, width, height = (scale * number for number in window)
    box = (offset + left - 1, HEAD + top - 1, offset + left + max(5, width), HEAD + top + max(5, height))
    draw.rectangle(box, None, WINDOW, 2)


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)


def _as_photo(values: Floats) -> Image.Image:
    """Return values of 0 to 255 as colours; of other than three channels the first is seen, in grey."""
    colours = values if values.shape[2] == 3 else np.repeat(values[:, :, :1], 3, axis=2)
    return Image.fromarray(np.rint(colours).astype(np.uint8), "RGB")


def _in_few_colours(images: list[Image.Image]) -> list[Image.Image]:
    """Give several images the same few colours, so that no frame needs more than a GIF can hold."""
    sheet = Image.new("RGB", (sum(image.width for image in images), max(image.height for image in images)))
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width
    few = sheet.quantize(COLOURS, Image.Quantize.MEDIANCUT)
    return [
        image.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB") for image in images
    ]
