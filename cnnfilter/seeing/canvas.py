"""Matrices drawn with Pillow: the colours of the page, its font, and boards of cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

PAGE, PANEL, PADDING = (250, 249, 246), (255, 255, 255), (241, 239, 233)
INK, MUTED, LINE = (31, 36, 48), (102, 112, 128), (208, 206, 198)
WINDOW, WINDOW_FILL = (217, 72, 15), (255, 232, 217)
RESULT, RESULT_FILL = (24, 100, 171), (216, 233, 249)

GAP, MARGIN, LINE_HEIGHT = 44, 16, 22
LEAST_WIDTH, CELL_HEIGHT = 34, 32


@lru_cache
def font(size: int = 15) -> Any:
    """Return the font that Pillow brings along."""
    return ImageFont.load_default(size)


def tint(value: float, largest: float) -> Colour:
    """Return a background for a value: one colour above 0, one below, stronger for larger ones.

    Examples
    --------
    >>> tint(0, 4), tint(4, 4)
    ((255, 255, 255), (241, 185, 164))
    """
    if not largest or value == 0:
        return PANEL
    # Few steps, so that all frames together need few colours.
    strength = 0.38 * round(6 * min(1.0, abs(value) / largest)) / 6
    over = WINDOW if value > 0 else RESULT
    red, green, blue = (
        round(back + (front - back) * strength) for back, front in zip(PANEL, over, strict=True)
    )
    return red, green, blue


@dataclass(frozen=True)
class Board:
    """Where a matrix is drawn: the corner of its first cell, and the size of a cell, in pixels."""

    left: int
    top: int
    rows: int
    columns: int
    width: int
    height: int = CELL_HEIGHT

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole."""
        return self.columns * self.width + 1, self.rows * self.height + 1

    def box(self, row: int, column: int, rows: int = 1, columns: int = 1) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of some cells."""
        left, top = self.left + column * self.width, self.top + row * self.height
        return left, top, left + columns * self.width, top + rows * self.height

    def cell(
        self,
        draw: ImageDraw.ImageDraw,
        row: int,
        column: int,
        text: str,
        *,
        fill: Colour = PANEL,
        ink: Colour = INK,
        outline: Colour = LINE,
        corner: str = "",
    ) -> None:
        """Draw one cell; `corner` is written small at its lower right."""
        left, top, right, bottom = self.box(row, column)
        draw.rectangle((left, top, right, bottom), fill, outline)
        middle = (top + bottom) / 2 - (4 if corner else 0)
        draw.text(((left + right) / 2, middle), text, ink, font(), anchor="mm")
        if corner:
            draw.text((right - 3, bottom - 2), corner, WINDOW, font(10), anchor="rb")

    def fill(
        self,
        draw: ImageDraw.ImageDraw,
        texts: Sequence[Sequence[str]],
        style: Callable[[int, int], dict[str, Any]] | None = None,
    ) -> None:
        """Draw all cells; `style` gives what is special about one."""
        for row, line in enumerate(texts):
            for column, text in enumerate(line):
                self.cell(draw, row, column, text, **(style(row, column) if style else {}))


def cell_width(texts: Sequence[Sequence[str]], corners: bool = False) -> int:
    """Return a width in which every text has room; with small corners, room for those."""
    longest = max((float(font().getlength(text)) for line in texts for text in line), default=0.0)
    return max(LEAST_WIDTH + (6 if corners else 0), int(longest) + 14)


def write(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, **style: Any) -> None:
    """Write a line; left and top unless an anchor is given."""
    size = style.pop("size", 15)
    draw.text(place, text, style.pop("fill", INK), font(size), **style)


def times(draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: int = 5) -> None:
    """Draw a multiplication sign, which the font lacks."""
    x, y = centre
    draw.line((x - radius, y - radius, x + radius, y + radius), MUTED, 2)
    draw.line((x - radius, y + radius, x + radius, y - radius), MUTED, 2)


def blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty frame, and what draws on it."""
    image = Image.new("RGB", (width, height), PAGE)
    return image, ImageDraw.Draw(image)
