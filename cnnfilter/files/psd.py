"""The flattened picture of a PSD: of 16 and 32 bits, and single inks, it is unpacked here, else by Pillow."""

import struct
from typing import IO, Any, NamedTuple

import imagecodecs
import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import lab, pillow
from cnnfilter.files.limit import Limit
from cnnfilter.files.photoshop import resources_in
from cnnfilter.files.picture import Model, Picture

_HEADER = struct.Struct(">4sH6xHLLHH")
_MODES: dict[int, tuple[Model, int]] = {
    1: ("grey", 1),
    3: ("rgb", 3),
    4: ("cmyk", 4),
    8: ("grey", 1),
    9: ("rgb", 3),
}
_MULTICHANNEL, _LAB = 7, 9  # the former are inks without a model, of which Pillow leaves one
_DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 16: np.dtype(">u2"), 32: np.dtype(">f4")}
_RAW, _RUNS = 0, 1
_PROFILE = 1039
_NO_LOSS = {_PROFILE, 1033, 1036}  # it is kept; small copies of the image are left out on purpose
_WORDS = {1005: "resolution", 1028: "IPTC", 1058: "EXIF", 1060: "XMP"}
_LAYERS = (b"8BIMLr16", b"8BIMLr32", b"8BIMLayr")


class _Parts(NamedTuple):
    """The sections of a file, of which each but the last says how long it is."""

    resources: bytes
    layers: bytes
    pixels: bytes


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read the flattened picture."""
    data = file.read()
    file.seek(0)
    if len(data) < _HEADER.size:
        raise ImageFileError("truncated PSD file; get a whole copy")
    _, _, channels, height, width, bits, mode = _HEADER.unpack_from(data)
    parts = _parts(data)
    if bits in _DTYPES and (bits > 8 or mode in (_MULTICHANNEL, _LAB)):
        limit.spend(width, height, bytes_a_pixel=channels * bits // 8)
        picture = _unpacked(parts.pixels, (channels, height, width), bits, mode)
        profiles = (content for number, _, content in resources_in(parts.resources) if number == _PROFILE)
        picture.metadata.icc = next(profiles, None) if mode != _LAB else None
    else:
        picture = pillow.read(file, "PSD", limit)
    picture.losses += _beside(parts)
    return picture


def _parts(data: bytes) -> _Parts:
    place, sections = _HEADER.size, []
    for _ in range(3):
        size = int.from_bytes(data[place : place + 4], "big")
        sections.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return _Parts(sections[1], sections[2], data[place:])


def _unpacked(data: bytes, shape: tuple[int, int, int], bits: int, mode: int) -> Picture:
    dtype, (channels, height, width) = _DTYPES[bits], shape
    if (mode not in _MODES and mode != _MULTICHANNEL) or (mode == _LAB and bits == 32):
        raise ImageFileError(f"PSD of {bits} bits and the mode {mode} is not read; convert it to RGB")
    model, colours = _MODES.get(mode, ("channels", channels))
    size = channels * height * width * dtype.itemsize
    packing, rows = int.from_bytes(data[:2], "big"), data[2:]
    if packing == _RUNS:
        try:
            rows = bytes(imagecodecs.packbits_decode(rows[2 * channels * height :], out=size))
        except RuntimeError as error:
            raise ImageFileError(f"damaged PSD file ({error}); get a whole copy") from error
    elif packing != _RAW:
        raise ImageFileError(f"PSD whose flattened picture has the packing {packing} is not read")
    if len(rows) < size or channels < colours or not size:
        raise ImageFileError("damaged or truncated PSD file (pixels are missing); get a whole copy")
    planes = np.frombuffer(rows, dtype, size // dtype.itemsize).reshape(shape)
    alpha = model == "rgb" and channels > colours
    frame = np.ascontiguousarray(planes[: colours + alpha].transpose(1, 2, 0), dtype.newbyteorder("="))
    if model == "cmyk":
        frame = (np.float32(1) if bits == 32 else np.iinfo(frame.dtype).max) - frame  # stored as light
    picture = Picture([frame if colours + alpha > 1 else frame[..., 0]], model, alpha)
    if mode == _LAB:
        picture.frames = [lab.to_srgb(frame, signed=False)]
        picture.losses.append(lab.TOLD)
    if channels > colours + alpha:
        picture.losses.append(f"{channels - colours - alpha} further channels of a PSD file left out")
    return picture


def _beside(parts: _Parts) -> list[str]:
    """Tell what a file holds beside the flattened picture."""
    held = {number for number, *_ in resources_in(parts.resources)}
    words = [word for number, word in _WORDS.items() if number in held]
    words += ["other resources"] * bool(held - _WORDS.keys() - _NO_LOSS)
    losses = [f"{', '.join(words)} of a PSD file left out"] if words else []
    count = abs(int.from_bytes(parts.layers[4:6], "big", signed=True)) if any(parts.layers[:4]) else 0
    if count > 1 or any(mark in parts.layers for mark in _LAYERS):
        losses.append("the layers are left out; the flattened picture is filtered")
    return losses
