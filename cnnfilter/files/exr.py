"""OpenEXR: float colours or grey of the first part, alpha divided out as everywhere here."""

import os
import shutil
import tempfile
from typing import IO, Any

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files.extra import decoding, library
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Model, Picture

# What says how the pixels lie in the file, and nothing of what they show.
_LAYOUT = {
    "channels", "chunkCount", "compression", "dataWindow", "lineOrder", "name", "pixelAspectRatio",
    "screenWindowCenter", "screenWindowWidth", "tiles", "type", "version", "dwaCompressionLevel",
    "zipCompressionLevel",
}  # fmt: skip
_MOST_NAMES = 5


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read the first part as float32."""
    exr = library("EXR")
    with decoding("EXR"):
        with exr.File(file, separate_channels=True, header_only=True) as head:
            for part in head.parts:
                low, high = (np.asarray(corner, np.int64) for corner in part.header["dataWindow"])
                width, height = (high - low + 1).tolist()
                limit.spend(width, height, 1, 4 * len(part.header["channels"]))
        file.seek(0)
        with exr.File(file, separate_channels=True) as held:
            header, parts = dict(held.parts[0].header), len(held.parts)
            planes = {name: np.array(channel.pixels) for name, channel in held.parts[0].channels.items()}
    if any(plane.dtype.kind == "O" for plane in planes.values()):
        raise ImageFileError("EXR of deep pixels, many values each, is not read; flatten it")
    layer, names = _colours(planes)
    if f"{layer}RY" in planes and names == [f"{layer}Y"]:
        from cnnfilter.files import exr_chroma  # few files need it

        by, ry = planes.pop(f"{layer}BY"), planes.pop(f"{layer}RY")
        mixed = exr_chroma.to_rgb(planes.pop(f"{layer}Y"), by, ry, header.get("chromaticities"))
        names = [layer + name for name in "RGB"]
        planes |= dict(zip(names, mixed, strict=True))
    model: Model = "rgb" if len(names) == 3 else "grey"
    alpha = bool(names) and f"{layer}A" in planes and names != [f"{layer}A"]
    encoding: dict[str, Any] = {}
    if not names:  # no colours: measurements, all of which are filtered
        names, model = [*planes], "channels"
        encoding["names"] = names
    used = [*names, *[f"{layer}A"] * alpha]
    if len({planes[name].shape for name in used}) > 1:
        raise ImageFileError(f"EXR of the channels {_few([*planes])}, of different sizes, is not read")
    frame = np.dstack([planes[name] for name in used]).astype(np.float32)
    if alpha:
        frame = _divided(frame)
    frame = frame if frame.shape[-1] > 1 else frame[..., 0]
    losses = _losses(header, [name for name in planes if name not in used], parts)
    return Picture([frame], model, alpha, encoding=encoding, losses=losses)


def _colours(planes: dict[str, Array]) -> tuple[str, list[str]]:
    """Return the first layer that has colours, or one channel of a luminance, and the names of these."""
    layers = dict.fromkeys(["", *(name[: name.rfind(".") + 1] for name in planes)])
    for letters in ("RGB", "Y"):
        for layer in layers:
            if all(layer + letter in planes for letter in letters):
                return layer, [layer + letter for letter in letters]
    return "", [*planes] if len(planes) == 1 else []


def _divided(frame: Array) -> Array:
    colours, alpha = frame[..., :-1], frame[..., -1:]
    return np.concatenate([np.divide(colours, alpha, out=colours.copy(), where=alpha > 0), alpha], axis=-1)


def _losses(header: dict[str, Any], left: list[str], parts: int) -> list[str]:
    """Tell of channels, parts and attributes that are not in the picture."""
    losses = []
    if left:
        losses.append(f"channels of an EXR file left out: {_few(left)}")
    if parts > 1:
        losses.append(f"all but the first of {parts} parts of an EXR file are left out")
    names = [name for name in header if name not in _LAYOUT and name != "displayWindow"]
    if not all(
        np.array_equal(a, b) for a, b in zip(header["dataWindow"], header["displayWindow"], strict=True)
    ):
        names.append("displayWindow")
    if names:
        losses.append(f"attributes of an EXR file left out: {_few(names)}")
    return losses


def _few(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + ("…" if len(names) > _MOST_NAMES else "")


def write(picture: Picture, file: IO[bytes]) -> None:
    """Write one picture of float32, deflated."""
    exr = library("EXR")
    frame = np.atleast_3d(picture.frames[0]).astype(np.float32)
    names = {"rgb": ["R", "G", "B"], "grey": ["Y"]}.get(picture.model, picture.encoding.get("names", []))
    if len(names) + picture.alpha != frame.shape[2]:  # of another form, or made by a filter
        names = [f"channel{number:02}" for number in range(frame.shape[2] - picture.alpha)]
    if picture.alpha:
        frame = np.concatenate([frame[..., :-1] * frame[..., -1:], frame[..., -1:]], axis=-1)
        names = [*names, "A"]
    planes = {name: np.ascontiguousarray(frame[..., number]) for number, name in enumerate(names)}
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:  # its writer takes paths alone
        path = os.path.join(folder, "image.exr")
        with exr.File(header, planes) as made:
            made.write(path)
        with open(path, "rb") as written:
            shutil.copyfileobj(written, file)
