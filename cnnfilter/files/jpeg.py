"""JPEG: quantisation tables and subsampling are kept, so that a filtered copy is as good as its original."""

from typing import IO, Any

from PIL import Image, JpegImagePlugin

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pillow
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Picture

QUALITY = 90
"""Of a JPEG that was none before."""

_LARGEST_MARKER = 65_533


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read grey, RGB or CMYK."""
    image = JpegImagePlugin.JpegImageFile(file)
    limit.spend(*image.size)
    encoding: dict[str, Any] = {
        "qtables": dict(image.quantization),
        "subsampling": JpegImagePlugin.get_sampling(image) if len(image.layer) == 3 else -1,
        "progressive": bool(image.info.get("progressive")),
    }
    kept = pillow.metadata(image.info)
    notes = ["only the first picture of this multi-picture JPEG is kept"] if "mp" in image.info else []
    model, _ = pillow.MODELS[image.mode]
    picture = Picture([pillow.pixels(image)], model, metadata=kept, encoding=encoding, notes=notes)
    return pillow.stand_upright(picture)


def write(picture: Picture, file: IO[bytes], quality: int | None) -> None:
    """Write one frame of 8 bits without alpha."""
    frame = picture.frames[0]
    options = pillow.options(picture.metadata, "icc_profile", "exif", "xmp", "dpi", "comment")
    for name in ("exif", "xmp", "comment"):
        if len(options.get(name, b"")) > _LARGEST_MARKER - 64:
            raise ImageFileError(
                f"the {name} block of {len(options[name])} bytes is too long for JPEG; write .png"
            )
    image = pillow.image_of(frame)
    if picture.model == "cmyk":
        image = Image.frombuffer("CMYK", image.size, frame.tobytes(), "raw", "CMYK", 0, 1)
    encoding = picture.encoding
    if quality is None and picture.form == "JPEG" and _fits(encoding, image):
        options |= {"qtables": encoding["qtables"], "subsampling": encoding["subsampling"]}
    else:
        options["quality"] = QUALITY if quality is None else quality
    pillow.save(image, file, "JPEG", progressive=encoding.get("progressive", False), **options)


def _fits(encoding: dict[str, Any], image: Image.Image) -> bool:
    """Tell whether the tables that were read can be written for this image."""
    tables = encoding.get("qtables", {})
    return bool(tables) and max(map(max, tables.values())) < 256 and list(tables) == list(range(len(tables)))
