"""The forms that Pillow decodes and encodes, and Pillow's images as arrays."""

import warnings
from importlib import import_module
from typing import IO, Any

import numpy as np
from PIL import Image

from cnnfilter.errors import ImageFileError
from cnnfilter.imagefile.limit import Limit
from cnnfilter.imagefile.picture import Array, Metadata, Model, Picture

_MODELS: dict[str, tuple[Model, bool]] = {
    "L": ("grey", False),
    "LA": ("grey", True),
    "I;16": ("grey", False),
    "F": ("grey", False),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
    "CMYK": ("cmyk", False),
}


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read every frame with Pillow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        image = Image.open(file)
        count = getattr(image, "n_frames", 1)
        limit.spend(*image.size, count)
        picture = Picture([])
        for index in range(count):
            image.seek(index)
            frame = _plain(image)
            picture.frames.append(np.asarray(frame))
            if "duration" in image.info:
                picture.delays.append(float(image.info["duration"]))
        picture.model, picture.alpha = _MODELS[frame.mode]
        picture.metadata = _metadata(image)
        return picture


def _plain(image: Image.Image) -> Image.Image:
    """Expand palettes, single bits and colour keys."""
    image.load()
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("P", "PA") or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode not in _MODELS:
        raise ImageFileError(f"pixels of the form {image.mode} are not filtered; convert it to RGB first")
    return image


def _metadata(image: Image.Image) -> Metadata:
    dpi = image.info.get("dpi")
    return Metadata(icc=image.info.get("icc_profile"), dpi=dpi and (float(dpi[0]), float(dpi[1])))


def write(picture: Picture, file: IO[bytes], form: str, quality: int | None, compression: int | None) -> None:
    """Write frames with Pillow."""
    images = [_image(frame) for frame in picture.frames]
    options: dict[str, Any] = {}
    if picture.metadata.icc:
        options["icc_profile"] = picture.metadata.icc
    if picture.metadata.dpi:
        options["dpi"] = picture.metadata.dpi
    if quality is not None:
        options["quality"] = quality
    if form == "PNG":
        options["compress_level"] = 1 if compression is None else compression
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
        if picture.delays:
            options |= {"duration": picture.delays, "loop": picture.loop}
    import_module("PIL.TiffImagePlugin")
    images[0].save(file, form, **options)


def _image(frame: Array) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(frame))
