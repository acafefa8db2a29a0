"""Pages of different kinds in one file, brought to the least kind that holds each of them exactly."""

from typing import Any

import numpy as np

from cnnfilter.files.picture import Array, Picture

TOLD = "pages of different kinds written as one that holds all: {}, {} bits"


def add_page(picture: Picture, page: Picture) -> bool:
    """Add the one frame of a page to a picture; False, and nothing is changed, if no kind holds both.

    Grey becomes RGB, what is opaque gets alpha, 8 bits become 16. A grey profile says nothing of RGB.

    Examples
    --------
    >>> picture = Picture([np.array([[7]], np.uint8)])
    >>> add_page(picture, Picture([np.array([[[1, 2, 3, 4]]], np.uint16)], "rgb", alpha=True))
    True
    >>> picture.frames[0].tolist(), picture.notes
    ([[[1799, 1799, 1799, 65535]]], ['pages of different kinds written as one that holds all: rgba, 16 bits'])
    """
    if (picture.model, picture.alpha, picture.dtype) != (page.model, page.alpha, page.dtype):
        every = [*picture.frames, *page.frames]
        declared = [kept.missing for kept in (picture.metadata, *picture.pages, page.metadata)]
        if {picture.model, page.model} - {"grey", "rgb"} or any(frame.dtype.kind != "u" for frame in every):
            return False
        if any(value is not None for value in declared):  # which may be that of other pixels elsewhere
            return False
        _bring_together(picture, page)
    picture.frames += page.frames
    return True


def _bring_together(picture: Picture, page: Picture) -> None:
    rgb, alpha = "rgb" in (picture.model, page.model), picture.alpha or page.alpha
    dtype = max(picture.dtype, page.dtype, key=lambda dtype: dtype.itemsize)
    for held in (picture, page):
        held.frames = [_converted(frame, held.alpha, rgb, alpha, dtype) for frame in held.frames]
        for kept in (held.metadata, *held.pages):
            if kept.icc and rgb and held.model == "grey":
                kept.icc = None
                picture.lose("the colour profile of grey pages, which become RGB, is left out")
        held.model, held.alpha = "rgb" if rgb else "grey", alpha
    names = ("rgb" if rgb else "grey") + "a" * alpha
    picture.notes = [note for note in picture.notes if not note.startswith(TOLD[:20])]
    picture.notes.append(TOLD.format(names, 8 * dtype.itemsize))


def _converted(frame: Array, has_alpha: bool, rgb: bool, alpha: bool, dtype: np.dtype[Any]) -> Array:
    channels = frame.reshape(*frame.shape[:2], -1)
    white = np.iinfo(frame.dtype).max
    colours = channels[..., :-1] if has_alpha else channels
    seen = channels[..., -1:] if has_alpha else np.full_like(channels[..., :1], white)
    if rgb and colours.shape[2] == 1:
        colours = colours.repeat(3, axis=2)
    if alpha:
        colours = np.concatenate([colours, seen], axis=2)
    scaled = colours.astype(dtype) * dtype.type(np.iinfo(dtype).max // white)
    return np.ascontiguousarray(scaled if scaled.shape[2] > 1 else scaled[..., 0])
