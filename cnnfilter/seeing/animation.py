"""Animations of a slide: which steps have a frame, how long each is shown, and the files they go into."""

from __future__ import annotations

import base64
import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import GifImagePlugin, Image, ImageChops, PngImagePlugin

from cnnfilter.errors import ParameterError
from cnnfilter.seeing.numberframes import number_frames
from cnnfilter.seeing.photoframes import photo_frames
from cnnfilter.wholefile import whole_file

if TYPE_CHECKING:
    from typing import BinaryIO

    from cnnfilter.seeing.slide import Slide

FORMS = (".gif", ".png", ".html")

LEGIBLE = 12
"""Rows and columns up to which an input is shown in numbers."""

MOST_STEPS = 600
"""Steps that are shown unless somebody asks for more."""

PHOTO_STEPS = 120
"""Steps over a photograph, which has more than anybody would watch."""

LONGEST, SHORTEST, WHOLE = 700.0, 60.0, 60_000.0
"""Milliseconds of a step, and of all together where there are many."""

MOST_BYTES = 2 << 30
"""Memory for the frames of one animation."""

UNUSED = 255
"""Index of no colour: pixels that stay as the frame before left them."""

KEY_EVERY = 24
"""Frames of a page after which a whole one comes, so that any frame is near."""


class Frame(NamedTuple):
    """A picture and how many milliseconds it is shown."""

    image: Image.Image
    milliseconds: float


def animate(slide: Slide, path: str | os.PathLike[str], frames: int | None = None) -> int:
    """Write an animation of a window that slides over an image.

    Parameters
    ----------
    slide : Slide
        An input of up to 12 x 12 is shown in numbers, a larger one as a picture.
    path : path
        ``.gif``, ``.png`` (an animated one) or ``.html`` (a page to play and step through).
    frames : int, optional
        Most steps that are shown; of more, as many are chosen evenly. Default 600, and 120 over a picture.

    Returns
    -------
    int
        The steps shown.

    Raises
    ------
    ParameterError
        Another suffix, or less than one step.

    Examples
    --------
    >>> import tempfile
    >>> from cnnfilter.seeing.slide import Slide
    >>> slide = Slide.of_kernel([[1.0, 2], [3, 4]], [[1, 1]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     animate(slide, f"{folder}/slide.gif")
    4
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in FORMS:
        raise ParameterError(f"{os.fspath(path)!r} is no animation; it must end in {', '.join(FORMS)}")
    places = chosen_steps(slide, frames)
    writer = {".gif": _write_gif, ".png": _write_apng, ".html": _write_html}[suffix]
    with whole_file(os.fspath(path)) as file:
        writer(_in_few_colours(slide, places), file, slide.title)
    return len(places)


def in_numbers(slide: Slide) -> bool:
    """Tell whether the input is small enough to be shown in numbers."""
    height, width = slide.image.shape[:2]
    return bool(max(height, width) <= LEGIBLE)


def chosen_steps(slide: Slide, frames: int | None = None) -> list[int]:
    """Return the outputs that have a frame: all, or as many as are allowed, evenly.

    Examples
    --------
    >>> from cnnfilter.seeing.slide import Slide
    >>> chosen_steps(Slide.of_kernel(np.zeros((2, 5)), [[1]]), 4)
    [0, 3, 6, 9]
    """
    if frames is not None and frames < 1:
        raise ParameterError(f"frames {frames!r} is out of range; give 1 or more")
    most = frames or (MOST_STEPS if in_numbers(slide) else PHOTO_STEPS)
    if slide.steps <= most:
        return list(range(slide.steps))
    chosen: list[int] = np.unique(np.linspace(0, slide.steps - 1, most).round().astype(int)).tolist()
    return chosen


def list_frames(slide: Slide, places: list[int]) -> Iterator[Frame]:
    """Yield the frames of some steps with their times."""
    step = min(LONGEST, max(SHORTEST, WHOLE / len(places)))
    make = number_frames if in_numbers(slide) else photo_frames
    for image, steps in make(slide, places):
        yield Frame(image, step * steps)


def _in_few_colours(slide: Slide, places: list[int]) -> Iterator[Frame]:
    """Give all frames the colours that some of them need most: flat areas stay as they are."""
    counted: Counter[tuple[int, ...]] = Counter()
    for frame in list_frames(slide, [places[0], places[len(places) // 2], places[-1]]):
        _refuse_large(frame.image, len(places))
        for count, colour in frame.image.getcolors(frame.image.width * frame.image.height) or []:
            counted[colour] += count
    colours = [part for colour, _ in counted.most_common(UNUSED) for part in colour]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours + colours[:3] * (256 - len(colours) // 3))
    for frame in list_frames(slide, places):
        yield Frame(frame.image.quantize(palette=palette, dither=Image.Dither.NONE), frame.milliseconds)


def _refuse_large(image: Image.Image, count: int) -> None:
    """Pillow keeps all frames, a byte for each pixel, until it has written them."""
    if image.width * image.height * count > MOST_BYTES:
        raise ParameterError(
            f"{count} frames of {image.width} x {image.height} pixels take more than "
            f"{MOST_BYTES >> 30} GiB of memory; --frames N shows fewer"
        )


def _write_gif(frames: Iterator[Frame], file: BinaryIO, title: str) -> None:
    _save(list(frames), file, "GIF", loop=0, optimize=True, disposal=1)


def _write_apng(frames: Iterator[Frame], file: BinaryIO, title: str) -> None:
    _save(list(frames), file, "PNG", loop=0)


def _save(frames: list[Frame], file: BinaryIO, form: str, **options: object) -> None:
    """Let Pillow write what changes from frame to frame; the writers of `files` keep every frame whole."""
    assert GifImagePlugin and PngImagePlugin, "imported, so that Pillow knows both forms without all others"
    content = io.BytesIO()
    first, *rest = frames
    first.image.save(
        content, form, save_all=True, append_images=[frame.image for frame in rest],
        duration=[round(frame.milliseconds) for frame in frames], **options,
    )  # fmt: skip
    file.write(content.getbuffer())


def _indices(image: Image.Image) -> Image.Image:
    """Return the numbers of the colours as grey values, which can be compared."""
    return Image.frombytes("L", image.size, image.tobytes())


def _write_html(frames: Iterator[Frame], file: BinaryIO, title: str) -> None:
    """Write a page that holds what changes from frame to frame as PNG pictures."""
    parts: list[tuple[float, str]] = []
    before: Image.Image | None = None
    size = (0, 0)
    for number, frame in enumerate(frames):
        image = frame.image
        if before is not None and number % KEY_EVERY:
            same = ImageChops.difference(_indices(image), _indices(before)).point([255, *(0,) * 255], "1")
            image = image.copy()
            image.paste(UNUSED, mask=same)
        png = io.BytesIO()
        image.save(png, "PNG", transparency=UNUSED)
        parts.append((round(frame.milliseconds), base64.b64encode(png.getvalue()).decode()))
        before, size = frame.image, image.size
    values = {"title": title, "size": size, "key": KEY_EVERY, "frames": parts}
    page = files("cnnfilter.seeing").joinpath("page", "animation.html").read_text(encoding="utf-8")
    content = json.dumps(values).replace("<", "\\u003c")
    file.write(page.replace("/*ANIMATION*/", content).encode())
