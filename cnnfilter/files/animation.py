"""Frames with their timing: GIF, WebP and AVIF, each frame whole as it is shown."""

import io
import struct
from typing import IO, Any

import imagecodecs
import numpy as np
from PIL import Image

from cnnfilter.errors import ImageFileError
from cnnfilter.files import gif, pillow
from cnnfilter.files.boxes import boxes, joined_associations
from cnnfilter.files.depth import to_full_white
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Picture, stand_upright


def read(file: IO[bytes], form: str, limit: Limit) -> Picture:
    """Read every frame as RGB, or as RGBA if one of them is transparent somewhere."""
    encoding: dict[str, Any] = {}
    losses: list[str] = []
    if form == "GIF":
        losses = gif.check_whole(file)
    elif form == "WEBP":
        encoding["lossless"] = _check_webp(file)
    else:
        file = io.BytesIO(joined_associations(file.read()))
    picture = Picture([], "rgb", encoding=encoding, losses=losses)
    deep = _deep_avif(file, limit, picture.notes) if form == "AVIF" else None
    with pillow.decoding(form):
        image = pillow.plugin(form)(file)
        count = getattr(image, "n_frames", 1)
        limit.spend(image.width, image.height, count)
        for index in range(count):
            image.seek(index)
            picture.frames.append(_colours(image) if deep is None else deep[index])
            if count > 1:
                picture.delays.append(float(image.info.get("duration", 0)))
        picture.loop = _plays(image.info.get("loop"), form)
        picture.metadata = pillow.metadata(image.info)
    picture.frames, picture.alpha = _alike(picture.frames)
    if form == "GIF":
        picture.notes.append("palette expanded to colours")
    return stand_upright(picture)


def _plays(loop: int | None, form: str) -> int:
    """Return how often an animation is played, 0 for ever; a GIF says how often after the first time."""
    if form == "GIF":
        return 1 if loop is None else loop and loop + 1
    return loop or 0


def _colours(image: Image.Image) -> Array:
    image.load()
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _alike(frames: list[Array]) -> tuple[list[Array], bool]:
    """Give all frames alpha, or none if all are opaque."""
    if any(frame.shape[-1] == 4 and frame[..., 3].min() < np.iinfo(frame.dtype).max for frame in frames):
        return [_with_alpha(frame) for frame in frames], True
    return [np.ascontiguousarray(frame[..., :3]) for frame in frames], False


def _with_alpha(frame: Array) -> Array:
    if frame.shape[-1] == 4:
        return frame
    return np.concatenate([frame, np.full_like(frame[..., :1], np.iinfo(frame.dtype).max)], axis=-1)


def _check_webp(file: IO[bytes]) -> bool:
    """Refuse a file shorter than it says; tell whether its first frame is lossless."""
    data = file.read()
    file.seek(0)
    if len(data) < 8 + struct.unpack("<L", data[4:8])[0]:
        raise ImageFileError("truncated WEBP file; get a whole copy")
    place = 12
    while place + 8 <= len(data):
        name, length = data[place : place + 4], struct.unpack("<L", data[place + 4 : place + 8])[0]
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        place += 8 + (16 if name == b"ANMF" else length + length % 2)
    raise ImageFileError("damaged WEBP file (no pixels); get a whole copy")


def _deep_avif(file: IO[bytes], limit: Limit, notes: list[str]) -> Array | None:
    """Decode 10 or 12 bits, of which Pillow would silently leave 8: (N, H, W, C) of 16 bits, or None."""
    data = file.read()
    file.seek(0)
    # They may come after the pixels, in which any bytes may be.
    header = b"".join(data[box.start : box.end] for box in boxes(data) if box.name in (b"meta", b"moov"))
    place = header.find(b"av1C")
    if place < 0 or len(header) < place + 7 or not header[place + 6] & 0x40:
        return None
    size = header.find(b"ispe")
    width, height = struct.unpack_from(">LL", header.ljust(size + 16, b"\0"), size + 8)
    limit.spend(width, height, bytes_a_pixel=8)
    limit.spent = limit.bytes = 0  # counted again with all frames, once Pillow has told their number
    try:
        frames = np.asarray(imagecodecs.avif_decode(data))
    except (RuntimeError, ValueError) as error:
        raise ImageFileError(f"damaged or truncated AVIF file ({error}); get a whole copy") from error
    frames = frames if frames.ndim == 4 else frames[None]
    if frames.ndim == 3:
        frames = frames[..., None]
    if frames.shape[-1] < 3:  # grey, and perhaps alpha
        frames = np.concatenate([frames[..., :1].repeat(3, axis=-1), frames[..., 1:]], axis=-1)
    return to_full_white(frames, 4095 if header[place + 6] & 0x20 else 1023, notes)


def write(picture: Picture, file: IO[bytes], form: str, quality: int | None) -> None:
    """Write WebP or AVIF."""
    images = [pillow.image_of(frame).convert("RGBA" if picture.alpha else "RGB") for frame in picture.frames]
    options = pillow.options(picture.metadata, "icc_profile", "exif", "xmp")
    if form == "WEBP":
        lossless = quality is None and picture.encoding.get("lossless", picture.form != "WEBP")
        options |= {"lossless": lossless, "exact": True, "method": 1 if lossless else 4}
    if quality is not None or not options.get("lossless"):
        options["quality"] = 90 if quality is None else quality
    if len(images) > 1:
        durations = [round(delay) for delay in picture.delays] or [100] * len(images)
        options |= {
            "save_all": True,
            "append_images": images[1:],
            "duration": durations,
            "loop": min(picture.loop, 0xFFFF),
        }
    pillow.plugin(form)
    encoded = io.BytesIO()
    images[0].save(encoded, form, **options)
    file.write(encoded.getbuffer())
