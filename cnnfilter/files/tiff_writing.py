"""Writing TIFF: pages of 8 and 16 bits and floats, laid and packed as the TIFF that was read."""

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, NamedTuple

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import exif, ifd, tiff, tiff_page
from cnnfilter.files.losses import PLACEMENT
from cnnfilter.files.picture import Array, Metadata, Picture
from cnnfilter.files.tiff_packing import PLAIN, layout, segments, sides_of, tags_of

_INCH = 2
_FORMATS = {"u": 1, "i": 2, "f": 3}
LARGEST = 2**32 - 1
"""Where the last byte of a TIFF can be that is no BigTIFF."""

_ROUNDED = 1e-7  # by which texts exceed the largest float that they mean


def write(picture: Picture, file: IO[bytes], compression: int | None, threads: int | None) -> None:
    """Write every frame as a page; packed as asked for, or as the TIFF that was read."""
    how = layout(picture, compression)
    if _was_big(picture):
        picture.notes.append("BigTIFF written as a TIFF of at most 4 GB")
    file.write(b"II*\0\x08\0\0\0")
    place = 8
    for index, frame in enumerate(picture.frames):
        packed, tags = segments(frame, how, threads), tags_of(how, frame.shape, frame.itemsize)
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
    if end > LARGEST:
        raise ImageFileError("a TIFF holds at most 4 GB; write .npy, or raise --compression")
    tags[offsets] = ifd.long(*map(int, ends[:-1]))
    file.write(ifd.pack(tags, place, children, 0 if last else end))
    for segment in packed:
        file.write(segment)
    file.write(bytes(end - int(ends[-1])))
    return end


class Head(NamedTuple):
    """What stands before the strips or tiles of a picture's only frame.

    Attributes
    ----------
    tags, children : dict
        All but places and sizes, and the directories within.
    big : bool
        Whether it is that of a BigTIFF, whose places have 64 bits.
    """

    tags: ifd.Directory
    children: dict[int, ifd.Directory]
    big: bool

    def packed(self, places: Sequence[int], sizes: Sequence[int]) -> bytes:
        """Return its bytes, as many whatever places and sizes are."""
        number = ifd.long8 if self.big else ifd.long
        tiled = tiff_page.TILE_WIDTH in self.tags
        tags = self.tags | {
            tiff_page.TILE_SIZES if tiled else tiff_page.STRIP_SIZES: ifd.long(*sizes),
            tiff_page.TILE_OFFSETS if tiled else tiff_page.STRIP_OFFSETS: number(*places),
        }
        mark = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" if self.big else b"II*\0\x08\0\0\0"
        return mark + ifd.pack(tags, len(mark), self.children, big=self.big)


def head_of(picture: Picture, tags: ifd.Directory, sizes: Sequence[int], *, exact: bool) -> Head:
    """Return what stands before a picture's only frame, of which no pixel is looked at.

    It is that of a BigTIFF if such a one was read, or where places of 32 bits do not reach the end.

    Parameters
    ----------
    picture : Picture
    tags : dict
        How strips or tiles are laid out and packed.
    sizes : sequence of int
        Their bytes, before they are packed.
    exact : bool
        Whether they are not packed.
    """
    frame = picture.frames[0]
    more, children = _metadata(picture, 0, frame)
    head = Head(tags | _kept(picture, 0, frame) | more | _meaning(picture, frame), children, big=False)
    # LZW may make them longer by half.
    most = len(head.packed(sizes, sizes)) + sum(sizes) * (2 if exact else 3) // 2
    return head._replace(big=_was_big(picture) or most > LARGEST)


def plain_header(picture: Picture) -> bytes:
    r"""Return what stands before the samples of a picture's only frame.

    They follow row by row, little-endian. No pixel of the frame is looked at.

    Examples
    --------
    >>> plain_header(Picture([np.zeros((2, 3), np.uint8)]))[:8]
    b'II*\x00\x08\x00\x00\x00'
    """
    frame = picture.frames[0]
    rows, _ = sides_of(PLAIN, frame.shape, frame.itemsize)
    line = math.prod(frame.shape[1:]) * frame.itemsize
    sizes = [min(rows, len(frame) - top) * line for top in range(0, len(frame), rows)]
    tags = tags_of(PLAIN, frame.shape, frame.itemsize)
    head = head_of(picture, tags, sizes, exact=True)
    start = len(head.packed(sizes, sizes))
    return head.packed([start, *(start + np.cumsum(sizes, dtype=np.uint64)[:-1]).tolist()], sizes)


def _was_big(picture: Picture) -> bool:
    return picture.form == "TIFF" and bool(picture.encoding.get("big"))


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
