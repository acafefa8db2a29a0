"""Draw the charts of this folder: ``python sample_images/draw.py [FOLDER]``.

Every chart shows one thing that a filter can do wrong; README.md says which.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cnnfilter.files import Picture, write

WORDS = ("Filter", "narrow wide same", "convolution is correlation with a rotated kernel")


def zone_plate(size: int = 512) -> Picture:
    """Draw rings whose frequency grows from 0 in the centre to the highest that pixels hold at the edge."""
    place = np.arange(size) - (size - 1) / 2
    square = np.add.outer(place**2, place**2)
    return _grey(127.5 + 127.5 * np.cos(np.pi * square / size))


def slanted_edges(size: int = 384) -> Picture:
    """Draw light on dark whose edges run 5 degrees off the grid: a blur's width, seen between pixels."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    angle = np.deg2rad(5)
    across = rows * np.sin(angle) + columns * np.cos(angle)
    along = rows * np.cos(angle) - columns * np.sin(angle)
    inside = np.minimum(size / 4 - np.abs(across), size / 4 - np.abs(along))
    return _grey(32 + 192 * np.clip(inside + 0.5, 0, 1))


def impulse(size: int = 33) -> Picture:
    """Draw one white pixel: filtered, it shows the kernel."""
    image = np.zeros((size, size))
    image[size // 2, size // 2] = 255
    return _grey(image)


def steps() -> Picture:
    """Draw flat fields: grey must stay grey, white white, and the border as bright as the middle."""
    return _grey(np.repeat(np.repeat(np.linspace(0, 255, 16).reshape(4, 4), 64, 0), 64, 1))


def text() -> Picture:
    """Draw words in black on white, without grey."""
    image = Image.new("L", (480, 150), 255)
    pen = ImageDraw.Draw(image)
    for line, (words, size) in enumerate(zip(WORDS, (48, 28, 18), strict=True)):
        pen.text((16, 14 + 46 * line), words, fill=0, font=ImageFont.load_default(size))
    return Picture([np.where(np.asarray(image) < 128, 0, 255).astype(np.uint8)])


def alpha(size: int = 256) -> Picture:
    """Draw an orange disc with a soft edge; magenta hides around it, and must never come out."""
    place = np.arange(size) - (size - 1) / 2
    distance = np.sqrt(np.add.outer(place**2, place**2))
    opacity = np.clip((size * 0.375 - distance) / 8 + 0.5, 0, 1)
    seen = opacity[..., None] > 0
    colour = np.where(seen, (255, 140, 0), (255, 0, 255))
    pixels = np.dstack([colour, np.rint(opacity * 255)]).astype(np.uint8)
    return Picture([pixels], "rgb", alpha=True)


def ramp(size: int = 256) -> Picture:
    """Draw a dark ramp of 16 bits in three colours: with 8 bits a blur of it shows bands."""
    down, across = np.mgrid[:size, :size] / (size - 1)
    colours = np.stack([across, down, (across + down) / 2], axis=-1)
    return Picture([np.rint(colours * 4096).astype(np.uint16)], "rgb")


def moving(size: int = 64, count: int = 8) -> Picture:
    """Draw a white disc that goes round in eight frames, the first of them shown longer."""
    rows, columns = np.mgrid[:size, :size]
    frames = []
    for angle in 2 * np.pi * np.arange(count) / count:
        centre = size / 2 + size / 4 * np.array([np.sin(angle), np.cos(angle)])
        disc = np.hypot(rows - centre[0], columns - centre[1]) < size / 8
        frames.append(np.dstack([np.where(disc, 255, level) for level in (20, 40, 80)]).astype(np.uint8))
    return Picture(frames, "rgb", delays=[400.0] + [100.0] * (count - 1))


def _grey(values: NDArray[np.floating]) -> Picture:
    return Picture([np.rint(values).astype(np.uint8)])


CHARTS = {
    "zone_plate.png": zone_plate,
    "slanted_edges.png": slanted_edges,
    "impulse.png": impulse,
    "steps.png": steps,
    "text.png": text,
    "alpha.png": alpha,
    "ramp16.png": ramp,
    "moving.gif": moving,
}


def main(folder: Path) -> None:
    """Write every chart into a folder."""
    for name, chart in CHARTS.items():
        write(chart(), folder / name, compression=9)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
