"""Images as other programs decode them, brought to one shape so that they can be compared."""

import shutil
import subprocess
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LOSSY = ("JPEG", "WEBP", "AVIF", "JXL", "JP2", "DDS", "HEIC", "HDR")
APART = ("HEIC", "FITS", "JXL")
"""Forms of which others and ours bring the same library: two of one in a process crash each other."""
_SECONDS = 20


def in_colours(pixels: NDArray[np.generic]) -> Array:
    """Bring grey or RGB pixels to (H, W, 3) floats; whole numbers of 8 and 16 bits to 0..1."""
    scale = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(pixels.dtype, 1)
    values = pixels.astype(np.float64) / scale
    return (
        values
        if values.ndim == 3 and values.shape[2] == 3
        else np.repeat(values.reshape(*values.shape[:2], 1), 3, 2)
    )


def pillow(path: str) -> Array | None:
    """Decode the first frame by Pillow; None where it has no grey or RGB."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.load()
            if image.mode in ("CMYK", "LAB", "HSV"):
                return None
            if image.mode in ("I;16", "I;16B", "I", "F"):
                grey = np.asarray(image)
                deep = image.mode == "I" and grey.min() >= 0 and grey.max() < 65536
                return in_colours(grey.astype(np.uint16) if deep else grey)
            return in_colours(np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))[..., :3])


def opencv(path: str) -> Array | None:
    """Decode the first frame by OpenCV."""
    import cv2

    image = cv2.imread(path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("refused")
    return in_colours(image[..., ::-1] if image.ndim == 3 else image)


def libvips(path: str) -> Array | None:
    """Decode the first frame by libvips; None where it has no grey or RGB."""
    if path.lower().endswith((".heic", ".heif", ".hif", ".fits", ".fit", ".fts", ".jxl")):
        subprocess.run(["vips", "avg", path], check=True, capture_output=True, timeout=_SECONDS)
        return None
    import pyvips

    image = pyvips.Image.new_from_file(path, fail_on="truncated").autorot()
    if image.coding == "rad":
        image = image.rad2float()
    pixels = image.numpy()
    if image.interpretation in ("cmyk", "lab", "xyz", "labs"):
        return None
    colours = pixels if pixels.ndim == 2 or not image.hasalpha() else pixels[..., :-1]
    channels = colours.shape[2] if colours.ndim == 3 else 1
    return in_colours(colours) if channels in (1, 3) else None


def imagemagick(path: str) -> Array | None:
    """Tell whether ImageMagick opens a file; its pixels are not compared."""
    subprocess.run([_magick(), path, "null:"], check=True, capture_output=True, timeout=_SECONDS)
    return None


PEERS: dict[str, Callable[[str], Array | None]] = {
    "Pillow": pillow,
    "OpenCV": opencv,
    "libvips": libvips,
    "ImageMagick": imagemagick,
}


def _copy_by_pillow(path: str, output: str) -> None:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.save(output)


def _copy_by_opencv(path: str, output: str) -> None:
    import cv2

    image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if image is None or not cv2.imwrite(output, image):
        raise ValueError("refused")


def _copy_by_libvips(path: str, output: str) -> None:
    subprocess.run(["vips", "copy", path, output], check=True, capture_output=True, timeout=_SECONDS)


def _copy_by_imagemagick(path: str, output: str) -> None:
    subprocess.run([_magick(), path, output], check=True, capture_output=True, timeout=_SECONDS)


COPIERS: dict[str, Callable[[str, str], None]] = {
    "Pillow": _copy_by_pillow,
    "OpenCV": _copy_by_opencv,
    "libvips": _copy_by_libvips,
    "ImageMagick": _copy_by_imagemagick,
}
"""How each one reads a file and writes it again, told nothing else."""


def _magick() -> str:
    return shutil.which("magick") or shutil.which("convert", path="/usr/bin") or "true"


def close(one: Array, other: Array, lossy: bool, where: NDArray[np.bool_] | None = None) -> bool:
    """Tell whether two decodings agree: within rounding, or where a codec leaves it open, nearly."""
    if one.shape != other.shape:
        return False
    difference = np.abs(np.where(np.isnan(one) & np.isnan(other), 0, one - other)) / max(
        1.0, float(np.nanmax(np.abs(other), initial=0))
    )
    difference = difference[where] if where is not None else difference
    if not difference.size:
        return True
    if lossy:
        return bool(np.nanmean(difference) < 4 / 255 and np.nanmean(difference > 16 / 255) < 0.03)
    return bool(np.nanmax(difference) < 1.1 / 255)


def kept(after: Array, before: Array, lossy: bool, where: NDArray[np.bool_] | None = None) -> bool:
    """Tell whether a file that was written anew shows the same; a lossy one was lossy twice."""
    if not lossy or after.shape != before.shape:
        return close(after, before, False, where)
    difference = np.abs(after - before)[... if where is None else where]
    return not difference.size or float(difference.mean()) < 16 / 255


def versions() -> str:
    """Name the programs and their versions."""
    import cv2
    import PIL
    import pyvips

    numbers = ".".join(str(pyvips.version(part)) for part in range(3))
    told = subprocess.run([_magick(), "-version"], capture_output=True, text=True, check=False).stdout
    magick = told.split("\n")[0].removeprefix("Version: ImageMagick ").split(" ")[0]
    return f"Pillow {PIL.__version__}, OpenCV {cv2.__version__}, libvips {numbers}, ImageMagick {magick}"
