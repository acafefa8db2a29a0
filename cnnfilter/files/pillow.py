"""Pillow's images as arrays and back, with as few copies as it allows."""

import ctypes
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import IO, Any

import numpy as np
import PIL
from PIL import Image

from cnnfilter.errors import ImageFileError
from cnnfilter.files.depth import ONE_BIT
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Metadata, Model, Picture
from cnnfilter.pixels import four_channels

MODELS: dict[str, tuple[Model, bool]] = {
    "L": ("grey", False),
    "LA": ("grey", True),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
    "CMYK": ("cmyk", False),
    "I;16": ("grey", False),
}
"""What the channels of a Pillow mode mean, and whether the last is alpha."""

_PLUGINS = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "TGA": ("TgaImagePlugin", "TgaImageFile"),
    "PCX": ("PcxImagePlugin", "PcxImageFile"),
    "SGI": ("SgiImagePlugin", "SgiImageFile"),
    "DDS": ("DdsImagePlugin", "DdsImageFile"),
    "ICO": ("IcoImagePlugin", "IcoImageFile"),
    "PSD": ("PsdImagePlugin", "PsdImageFile"),
}

_HEAD = 128

# Modes that Pillow can decode into memory that is not its own; RGB lies in it with a fourth, unused byte.
_MAPPED = {"L": ("L", 1), "RGB": ("RGBX", 4), "RGBA": ("RGBA", 4), "CMYK": ("CMYK", 4)}


# What Pillow's plugins raise on bad bytes. Only calls into Pillow are guarded: faults of ours are told.
_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, LookupError, TypeError,
    ArithmeticError, AttributeError, AssertionError, RuntimeError, Image.DecompressionBombError,
)  # fmt: skip


@contextmanager
def decoding(form: str) -> Iterator[None]:
    """Turn what Pillow raises on a damaged file into an `ImageFileError`, and keep its warnings to itself."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b")
            yield
    except ImageFileError:
        raise
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise ImageFileError(f"damaged or truncated {form} file ({reason}); get a whole copy") from error


def plugin(form: str) -> Any:
    """Import the one module of Pillow that reads a form, and return its class of images.

    `PIL.Image.open` would import several, and check sizes against a limit of its own.
    """
    module, name = _PLUGINS[form]
    return getattr(import_module(f"PIL.{module}"), name)


def pixels(image: Image.Image) -> Array:
    """Decode an image whose mode is in `MODELS`: the array is (H, W) or (H, W, C)."""
    height, width = image.height, image.width
    # Only an image that is yet to be decoded, and has something to decode, will fill memory given to it.
    if image.mode not in _MAPPED or not getattr(image, "tile", None) or image._im is not None:
        return np.asarray(image)
    mode, channels = _MAPPED[image.mode]
    # Zeros, for a decoder may stop early: what it leaves out must not be the memory of another picture.
    array = np.zeros((height, width, channels)[: 2 if channels == 1 else 3], np.uint8)
    canvas = Image.frombuffer(mode, image.size, array, "raw", mode, 0, 1).im
    rgb = image.mode == "RGB"
    # Pillow decodes into the memory that an image has, if it has some: here the array's (97 ms less for
    # 24 Mpx than decoding into its own and copying). Should another version make its own, that is copied.
    image._mode, image.im = mode, canvas
    image.load()
    if image.im is not canvas:
        array = np.asarray(image)
    return array[..., :3] if rgb else array


def image_of(array: Array) -> Image.Image:
    """Return an image of uint8 pixels, sharing their memory where that is possible."""
    height, width = array.shape[:2]
    padded = four_channels(array)
    if padded is not None:
        return Image.frombuffer("RGBX", (width, height), padded, "raw", "RGBX", 0, 1)
    mode = {2: "L", 3: {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}.get(array.shape[-1], "")}[array.ndim]
    return Image.frombuffer(mode, (width, height), np.ascontiguousarray(array), "raw", mode, 0, 1)


def expanded(image: Image.Image, notes: list[str]) -> Image.Image:
    """Load an image; turn one bit into grey, and a palette or a colour key into RGB or RGBA."""
    image.load()
    if image.mode == "1":
        notes.append(ONE_BIT)
        return image.convert("L")
    if image.mode in ("P", "PA", "YCbCr") or "transparency" in image.info:
        if image.mode in ("P", "PA"):
            notes.append("palette expanded to colours")
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode not in MODELS:
        raise ImageFileError(f"pixels of the kind {image.mode} are not filtered; convert the file to RGB")
    return image


def read(file: IO[bytes], form: str, limit: Limit) -> Picture:
    """Read one frame of a form that Pillow decodes."""
    picture = Picture([])
    head = file.read(_HEAD)
    file.seek(0)
    with decoding(form):
        image = plugin(form)(file)
        limit.spend(*image.size)
        picture.losses += _beside(image, form, head)
        image = expanded(image, picture.notes)
    picture.model, picture.alpha = MODELS[image.mode]
    picture.frames = [np.asarray(image)]
    picture.metadata = metadata(image.info)
    return picture


def _beside(image: Any, form: str, head: bytes) -> list[str]:
    """Tell what a file holds beside the image that is read."""
    if form == "DDS" and int.from_bytes(head[28:32], "little") > 1:
        return ["the smaller copies of the image (mipmaps) are left out"]
    if form == "TGA" and image.info.get("id_section"):
        return ["the text of a TGA file is left out"]
    if form == "ICO" and len(image.info.get("sizes", ())) > 1:
        return ["all but the largest picture of the icon are left out"]
    return []


def write_still(picture: Picture, file: IO[bytes], form: str) -> None:
    """Write one frame as BMP, TGA, PCX, SGI or DDS."""
    image = image_of(picture.frames[0])
    if image.mode == "RGBX":
        image = image.convert("RGB")
    save(image, file, form, **options(picture.metadata, "dpi"))


def save(image: Image.Image, file: IO[bytes], form: str, **values: Any) -> None:
    """Encode an image with the plugin of its form; `Image.save` would import four more, in 5 ms."""
    plugin(form)
    image.encoderinfo, image.encoderconfig = values, ()
    Image.SAVE[form](image, file, "")


def metadata(info: dict[Any, Any]) -> Metadata:
    """Take from Pillow's ``info`` what is kept. The EXIF block still has its orientation."""
    block = info.get("exif")
    xmp = info.get("xmp")
    comment = info.get("comment")
    return Metadata(
        icc=info.get("icc_profile") or None,
        exif=block.removeprefix(b"Exif\0\0") if block else None,
        xmp=xmp.encode() if isinstance(xmp, str) else xmp or None,
        dpi=_dpi(info.get("dpi")),
        text={"Comment": comment.decode("utf-8", "surrogateescape")} if comment else {},
    )


def _dpi(value: Any) -> tuple[float, float] | None:
    return (float(value[0]), float(value[1])) if value and min(value) > 0 else None


def options(kept: Metadata, *names: str) -> dict[str, Any]:
    """Return what Pillow's ``save`` is to write beside the pixels; `names` are those that the form holds."""
    block = kept.exif and b"Exif\0\0" + kept.exif
    comment = kept.text.get("Comment")
    values = {
        "icc_profile": kept.icc,
        "exif": block,
        "xmp": kept.xmp,
        "dpi": kept.dpi,
        "comment": comment and comment.encode("utf-8", "surrogateescape"),
    }
    return {name: values[name] for name in names if values[name]}


def silence_libtiff() -> None:
    """Keep libtiff, as Pillow's wheels ship it, from printing to stderr what Pillow raises anyway."""
    from pathlib import Path  # 4 ms that other forms need not pay

    for path in (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libtiff*"):
        library = ctypes.CDLL(str(path))
        library.TIFFSetErrorHandler.argtypes = (ctypes.c_void_p,)
        library.TIFFSetErrorHandler.restype = ctypes.c_void_p
        library.TIFFSetErrorHandler(None)
