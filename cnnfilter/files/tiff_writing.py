"""Writing TIFF: pages of 8 and 16 bits and floats, plain or deflated."""

import math
import zlib
from collections.abc import Sequence
from typing import IO

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import exif, ifd, tiff, tiff_page
from cnnfilter.files.deflate import FAST, in_order
from cnnfilter.files.picture import Array, Picture
from cnnfilter.pixels import packed

_STRIP = 1 << 18
_INCH = 2
_FORMATS = {"u": 1, "i": 2, "f": 3}
_LARGEST = 2**32 - 1


def write(picture: Picture, file: IO[bytes], compression: int | None, threads: int | None) -> None:
    """Write every frame as a page; deflated if asked for, or if the TIFF that was read was compressed."""
    if compression is None:
        compression = FAST if picture.form == "TIFF" and picture.encoding.get("compressed") else 0
    file.write(b"II*\0\x08\0\0\0")
    place = 8
    for index, frame in enumerate(picture.frames):
        strips, tags = _strips(frame, compression, threads)
        more, children = _metadata(picture) if index == 0 else ({}, {})
        tags |= _kept(picture, index) | more | _meaning(picture, frame)
        place = _put_page(file, place, strips, tags, children, last=index == len(picture.frames) - 1)


def _put_page(
    file: IO[bytes],
    place: int,
    strips: Sequence[bytes | memoryview],
    tags: ifd.Directory,
    children: dict[int, ifd.Directory],
    *,
    last: bool,
) -> int:
    """Write directory and strips at `place`; return where the next page goes."""
    sizes = [len(strip) for strip in strips]
    tags[tiff_page.STRIP_SIZES] = ifd.long(*sizes)
    tags[tiff_page.STRIP_OFFSETS] = ifd.long(*sizes)  # as many values as there will be
    start = place + len(ifd.pack(tags, place, children))
    ends = np.cumsum([start, *sizes])
    end = int(ends[-1]) + int(ends[-1]) % 2
    if end > _LARGEST:
        raise ImageFileError("a TIFF holds at most 4 GB; write .npy, or raise --compression")
    tags[tiff_page.STRIP_OFFSETS] = ifd.long(*map(int, ends[:-1]))
    file.write(ifd.pack(tags, place, children, 0 if last else end))
    for strip in strips:
        file.write(strip)
    file.write(bytes(end - int(ends[-1])))
    return end


def _strips(frame: Array, level: int, threads: int | None) -> tuple[list[bytes | memoryview], ifd.Directory]:
    """Return the packed strips of a frame and the tags that say how they are packed."""
    height, width = frame.shape[:2]
    rows = min(height, max(1, _STRIP // frame[:1].nbytes))
    tops = range(0, height, rows)
    differences = level > 0 and frame.dtype.kind != "f"

    def pack(top: int) -> bytes | memoryview:
        part = packed(frame[top : top + rows])
        little = part.dtype.newbyteorder("<")
        if not level:
            return part.astype(little, copy=False).reshape(-1).view(np.uint8).data
        if differences:
            part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
        return zlib.compress(part.astype(little, copy=False).tobytes(), level)

    strips = in_order(pack, tops, threads if level else 1)
    return strips, _layout(height, width, rows) | {
        tiff_page.COMPRESSION: ifd.short(tiff_page.DEFLATE if level else tiff_page.NO_COMPRESSION),
        tiff_page.PREDICTOR: ifd.short(2 if differences else 1),
    }


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
    rows = min(height, max(1, _STRIP // line))
    sizes = [min(rows, height - top) * line for top in range(0, height, rows)]
    more, children = _metadata(picture)
    tags = _layout(height, width, rows) | {
        tiff_page.COMPRESSION: ifd.short(tiff_page.NO_COMPRESSION),
        tiff_page.PREDICTOR: ifd.short(1),
    }
    tags |= _kept(picture, 0) | more | _meaning(picture, frame)
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


def _layout(height: int, width: int, rows: int) -> ifd.Directory:
    """Return the tags of a page's size and of the height of its strips."""
    return {
        tiff_page.WIDTH: ifd.long(width),
        tiff_page.HEIGHT: ifd.long(height),
        tiff_page.ROWS_PER_STRIP: ifd.long(rows),
    }


def _kept(picture: Picture, index: int) -> ifd.Directory:
    """Return the tags that are copied, without those that would be wrong of pages of another size."""
    if index >= len(picture.metadata.tags):
        return {}
    tags = picture.metadata.tags[index]
    if picture.frames[0].shape[:2] != picture.encoding.get("size"):
        placed = [tag for tag in tiff.GEOREFERENCE if tag in tags]
        if placed and index == 0:
            picture.losses.append("the georeference is left out, for the size is another")
        return {tag: value for tag, value in tags.items() if tag not in placed}
    return tags


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
        tiff_page.PLANAR: ifd.short(1),
        tiff_page.SAMPLE_FORMAT: ifd.short(*[_FORMATS[frame.dtype.kind]] * samples),
    }
    if samples > colours:
        kind = tiff.UNASSOCIATED if picture.alpha else 0
        tags[tiff_page.EXTRA_SAMPLES] = ifd.short(*(extra or [kind] * (samples - colours)))
    return tags


def _metadata(picture: Picture) -> tuple[ifd.Directory, dict[int, ifd.Directory]]:
    """Return the tags of what is kept beside the pixels, and the directories within."""
    kept = picture.metadata
    tags, children = exif.to_tags(kept.exif) if kept.exif else ({}, {})
    for tag, name in tiff.TEXTS.items():
        if name in kept.text:
            tags[tag] = ifd.string(kept.text[name])
    if "ImageDescription" in kept.text and _is_outdated(picture):
        tags.pop(tiff.DESCRIPTION, None)
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


def _is_outdated(picture: Picture) -> bool:
    """Whether an OME header speaks of another size or type than that of the frames; then it is left out."""
    text = picture.metadata.text["ImageDescription"]
    now = (picture.frames[0].shape[:2], picture.frames[0].dtype)
    before = (picture.encoding.get("size"), picture.encoding.get("dtype"))
    if "<OME" not in text[:2000] or now == before:
        return False
    picture.losses.append("the OME header, which speaks of another size or type, is left out")
    return True
