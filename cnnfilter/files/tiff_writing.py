"""Writing TIFF: pages of 8 and 16 bits and floats, laid and packed as the TIFF that was read."""

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import exif, ifd, tiff, tiff_page
from cnnfilter.files.losses import PLACEMENT
from cnnfilter.files.picture import Array, Metadata, Picture
from cnnfilter.files.tiff_packing import STRIP, layout, segments

_INCH = 2
_FORMATS = {"u": 1, "i": 2, "f": 3}
_LARGEST = 2**32 - 1
_ROUNDED = 1e-7  # by which texts exceed the largest float that they mean


def write(picture: Picture, file: IO[bytes], compression: int | None, threads: int | None) -> None:
    """Write every frame as a page; packed as asked for, or as the TIFF that was read."""
    how = layout(picture, compression)
    file.write(b"II*\0\x08\0\0\0")
    place = 8
    for index, frame in enumerate(picture.frames):
        packed, tags = segments(frame, how, threads)
        more, children = _metadata(picture, index, frame)
        tags |= _kept(picture, index, frame) | more | _meaning(picture, frame)
        place = _put_page(file, place, packed, tags, children, last=index == len(picture.frames) - 1)


def _put_page(
    file: IO[bytes],
    place: int,
    packed: Sequence[bytes | memoryview],
    tags: ifd.Directory,
    children: dict[int, ifd.Directory],
    *,
    last: bool,
) -> int:
    """Write directory and strips or tiles at `place`; return where the next page goes."""
    tiled = tiff_page.TILE_WIDTH in tags
    offsets = tiff_page.TILE_OFFSETS if tiled else tiff_page.STRIP_OFFSETS
    sizes = [len(segment) for segment in packed]
    tags[tiff_page.TILE_SIZES if tiled else tiff_page.STRIP_SIZES] = ifd.long(*sizes)
    tags[offsets] = ifd.long(*sizes)  # as many values as there will be
    start = place + len(ifd.pack(tags, place, children))
    ends = np.cumsum([start, *sizes])
    end = int(ends[-1]) + int(ends[-1]) % 2
    if end > _LARGEST:
        raise ImageFileError("a TIFF holds at most 4 GB; write .npy, or raise --compression")
    tags[offsets] = ifd.long(*map(int, ends[:-1]))
    file.write(ifd.pack(tags, place, children, 0 if last else end))
    for segment in packed:
        file.write(segment)
    file.write(bytes(end - int(ends[-1])))
    return end


def plain_header(picture: Picture) -> bytes:
    r"""Return what stands before the samples of a picture's only frame.

    They follow row by row, little-endian. No pixel of the frame is looked at. The file is a BigTIFF
    where places of 32 bits do not reach its end.

    Examples
    --------
    >>> plain_header(Picture([np.zeros((2, 3), np.uint8)]))[:8]
    b'II*\x00\x08\x00\x00\x00'
    """
    frame = picture.frames[0]
    height, width = frame.shape[:2]
    line = math.prod(frame.shape[1:]) * frame.itemsize
    rows = min(height, max(1, STRIP // line))
    sizes = [min(rows, height - top) * line for top in range(0, height, rows)]
    more, children = _metadata(picture, 0, frame)
    tags = {
        tiff_page.WIDTH: ifd.long(width),
        tiff_page.HEIGHT: ifd.long(height),
        tiff_page.ROWS_PER_STRIP: ifd.long(rows),
        tiff_page.COMPRESSION: ifd.short(tiff_page.NO_COMPRESSION),
        tiff_page.PREDICTOR: ifd.short(1),
        tiff_page.PLANAR: ifd.short(1),
    }
    tags |= _kept(picture, 0, frame) | more | _meaning(picture, frame)
    head = _with_places(b"II*\0\x08\0\0\0", tags, children, sizes, big=False)
    if len(head) + sum(sizes) <= _LARGEST:
        return head
    return _with_places(b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", tags, children, sizes, big=True)


def _with_places(
    mark: bytes,
    tags: ifd.Directory,
    children: dict[int, ifd.Directory],
    sizes: list[int],
    *,
    big: bool,
) -> bytes:
    """Return the beginning of a file whose strips of these sizes follow it."""
    number = ifd.long8 if big else ifd.long
    tags = tags | {tiff_page.STRIP_SIZES: ifd.long(*sizes), tiff_page.STRIP_OFFSETS: number(*sizes)}
    start = len(mark) + len(ifd.pack(tags, len(mark), children, big=big))
    places = [start, *(start + np.cumsum(sizes, dtype=np.uint64)[:-1]).tolist()]
    if not big:
        places = [min(place, _LARGEST) for place in places]
    tags[tiff_page.STRIP_OFFSETS] = number(*places)
    return mark + ifd.pack(tags, len(mark), children, big=big)


def _kept(picture: Picture, index: int, frame: Array) -> ifd.Directory:
    """Return the tags that are copied, without those that would be wrong of another size or type."""
    kept = picture.kept(index)
    tags, wrong = kept.tags | _missing(kept), set[int]()
    if picture.frames[0].shape[:2] != picture.encoding.get("size"):
        wrong |= PLACEMENT | tiff.PIXEL_SIZE
        if tags.keys() & PLACEMENT:
            picture.lose("the georeference is left out, for the size is another")
        if tags.keys() & tiff.PIXEL_SIZE:
            picture.lose("the resolution without unit is left out, for the size is another")
    if tiff_page.NODATA in tags:
        missing = tags[tiff_page.NODATA].text
        if not _means_the_same(missing, picture, frame, marked=kept.marked):
            wrong.add(tiff_page.NODATA)
            picture.lose(f"the value of missing pixels ({missing}) is left out, for the type is another")
    return {tag: value for tag, value in tags.items() if tag not in wrong}


def _missing(kept: Metadata) -> ifd.Directory:
    """Return the tag that declares the value of missing pixels, where it is not the one that was read."""
    if kept.missing is None:
        return {}
    text = kept.tags[tiff_page.NODATA].text if tiff_page.NODATA in kept.tags else ""
    with suppress(ValueError):
        if repr(float(text)) == repr(float(kept.missing)):  # so that NaN is NaN
            return {}
    return {tiff_page.NODATA: ifd.string(repr(float(kept.missing)).removesuffix(".0"))}


def _means_the_same(text: str, picture: Picture, frame: Array, *, marked: bool) -> bool:
    """Whether a value of pixels is held by the type that is written, and not scaled to it."""
    try:
        value = float(text)
    except ValueError:
        return True
    if frame.dtype.kind == "f":
        return not math.isfinite(value) or abs(value) <= float(np.finfo(frame.dtype).max) * (1 + _ROUNDED)
    limits, before = np.iinfo(frame.dtype), picture.encoding.get("dtype", frame.dtype)
    scaled = not marked and before.kind != "f" and before != frame.dtype and value != 0
    return value.is_integer() and limits.min <= value <= limits.max and not scaled


def _meaning(picture: Picture, frame: Array) -> ifd.Directory:
    """Return the tags that say what the samples are."""
    samples = frame.shape[-1] if frame.ndim == 3 else 1
    extra = picture.encoding.get("extra", ())
    model = picture.encoding["colours"] if picture.model == "channels" and extra else picture.model
    colours = {"grey": 1, "rgb": 3, "cmyk": 4, "channels": 1}[model]
    photometric = {1: tiff_page.BLACK_IS_ZERO, 3: tiff_page.RGB, 4: tiff_page.SEPARATED}[colours]
    tags = {
        tiff_page.BITS: ifd.short(*[frame.itemsize * 8] * samples),
        tiff_page.PHOTOMETRIC: ifd.short(photometric),
        tiff_page.SAMPLES: ifd.short(samples),
        tiff_page.SAMPLE_FORMAT: ifd.short(*[_FORMATS[frame.dtype.kind]] * samples),
    }
    if samples > colours:
        kind = tiff.UNASSOCIATED if picture.alpha else 0
        tags[tiff_page.EXTRA_SAMPLES] = ifd.short(*(extra or [kind] * (samples - colours)))
    return tags


def _metadata(picture: Picture, index: int, frame: Array) -> tuple[ifd.Directory, dict[int, ifd.Directory]]:
    """Return the tags of what is kept beside the pixels of a page, and the directories within."""
    kept = picture.kept(index)
    tags, children = exif.to_tags(kept.exif) if kept.exif else ({}, {})
    for tag, name in tiff.TEXTS.items():
        if name in kept.text:
            tags[tag] = ifd.string(kept.text[name])
    if description := kept.text.get("ImageDescription"):
        tags.pop(tiff.DESCRIPTION, None)
        if description := _still_true(description, picture, frame):
            tags[tiff.DESCRIPTION] = ifd.string(description)
    if kept.dpi:
        tags[tiff.X_RESOLUTION], tags[tiff.Y_RESOLUTION] = map(ifd.rational, kept.dpi)
        tags[tiff.RESOLUTION_UNIT] = ifd.short(_INCH)
    if kept.icc:
        tags[tiff.ICC] = ifd.raw(kept.icc)
    if kept.xmp:
        tags[tiff.XMP] = ifd.raw(kept.xmp)
    if kept.photoshop:
        tags[tiff.PHOTOSHOP] = ifd.raw(kept.photoshop)
    return tags, children


def _still_true(description: str, picture: Picture, frame: Array) -> str:
    """Return a description without the headers in it that speak of another size or type."""
    first, was = picture.frames[0], picture.encoding
    resized = first.shape[:2] != was.get("size")
    if "<OME" in description[:2000] and (resized or was.get("turned") or first.dtype != was.get("dtype")):
        picture.lose("the OME header, which speaks of another size or type, is left out")
        return ""
    if description.startswith('{"shape":') and not _names_shape(description, frame):
        picture.lose("tifffile's header, which speaks of another size, is left out")
        return ""
    if description.startswith("ImageJ=") and resized:
        # ImageJ would take the unit without a resolution for the side of a pixel.
        return re.sub(r"(?m)^unit=.*\n?", "", description)
    return description


def _names_shape(description: str, frame: Array) -> bool:
    """Whether the shape that tifffile wrote down ends with that of a frame."""
    try:
        told = [int(size) for size in json.loads(description)["shape"] if size != 1]
    except (ValueError, TypeError):
        return True  # no header of tifffile
    here, apart = list(frame.shape), [*frame.shape[2:], *frame.shape[:2]]
    return any(
        told[len(told) - len(ends) :] == ends
        for ends in ([n for n in axes if n != 1] for axes in (here, apart))
    )
