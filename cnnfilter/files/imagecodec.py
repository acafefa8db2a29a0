"""Forms that imagecodecs reads and writes whole: JPEG XL, JPEG 2000, QOI and Radiance."""

import struct
from collections.abc import Callable
from typing import IO, Any

import imagecodecs
import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import boxes, codestream, radiance
from cnnfilter.files.codestream import Header
from cnnfilter.files.depth import to_full_white
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Metadata, Model, Picture

_MODELS: dict[int, tuple[Model, bool]] = {
    1: ("grey", False), 2: ("grey", True), 3: ("rgb", False), 4: ("rgb", True)
}  # fmt: skip
_DTYPES = ("uint8", "uint16", "float32")
_QOI_LINEAR, _QOI_LONGEST_RUN = 13, 62


def read(file: IO[bytes], form: str, limit: Limit) -> Picture:
    """Read one image, or the frames of a JPEG XL."""
    data, profile = file.read(), None
    if form == "JP2":
        data, profile = boxes.apart_from_profile(data)
    try:
        header = _HEADERS[form](data)
        limit.spend(header.width, header.height, bytes_a_pixel=4 if header.bits <= 8 else 8)
        image = np.asarray(_DECODERS[form](data))
    except (RuntimeError, ValueError, struct.error, IndexError) as error:
        reason = str(error) or type(error).__name__
        raise ImageFileError(f"damaged or truncated {form} file ({reason}); get a whole copy") from error
    stack = image if image.ndim == 4 else image[None]
    notes: list[str] = []
    if stack.dtype == np.float16:
        notes.append("floats of 16 bits filtered and written with 32")
        stack = stack.astype(np.float32)
    if stack.dtype.name not in _DTYPES or 0 in stack.shape or stack.ndim not in (3, 4):
        raise ImageFileError(f"{form} of {stack.dtype} is not read; convert it to 8 or 16 bits")
    if stack.dtype.kind == "u":  # decoders leave 10 bits as they are
        stack = to_full_white(stack, 2**header.bits - 1, notes)
    channels = stack.shape[3] if stack.ndim == 4 else 1
    if channels not in _MODELS:
        raise ImageFileError(f"{form} of {channels} channels is not read; convert it to a TIFF")
    model, alpha = _MODELS[channels]
    frames = [frame[..., 0] if channels == 1 and frame.ndim == 3 else frame for frame in stack]
    picture = Picture(frames, model, alpha, notes=notes, metadata=Metadata(icc=profile))
    if form in ("JXL", "JP2") and (words := boxes.described(data)):
        picture.losses.append(f"{', '.join(words)} of a {form} file left out")
    if header.animated and len(frames) > 1:
        picture.losses.append("the times of the frames of a JXL file are left out")
    if form == "QOI" and data[_QOI_LINEAR] == 1:
        picture.losses.append("that the samples of a QOI file are linear is left out")
    if form == "HDR":
        picture.losses += radiance.losses(data)
    return picture


def write(picture: Picture, file: IO[bytes], form: str, quality: int | None) -> None:
    """Write one image, without loss unless a quality is asked for."""
    frame = np.ascontiguousarray(picture.frames[0])
    file.write(_ENCODERS[form](frame, quality))


def _jxl(frame: Array, quality: int | None) -> bytes | bytearray:
    options: dict[str, Any] = {"lossless": True} if quality is None else {"level": quality}
    return imagecodecs.jpegxl_encode(frame, **options)


def _jp2(frame: Array, quality: int | None) -> bytes | bytearray:
    # Its levels are decibels: 90 of 100 is about 50, which the eye does not tell from the original.
    options: dict[str, Any] = {"reversible": True} if quality is None else {"level": 20 + quality // 3}
    return imagecodecs.jpeg2k_encode(frame, **options)


_ENCODERS: dict[str, Callable[[Array, int | None], bytes | bytearray]] = {
    "JXL": _jxl,
    "JP2": _jp2,
    "QOI": lambda frame, _: imagecodecs.qoi_encode(frame),
    "HDR": lambda frame, _: imagecodecs.rgbe_encode(frame),
}
_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "JXL": imagecodecs.jpegxl_decode,
    "JP2": imagecodecs.jpeg2k_decode,
    "QOI": imagecodecs.qoi_decode,
    "HDR": radiance.decode,
}


def _header_of_qoi(data: bytes) -> Header:
    width, height = struct.unpack_from(">LL", data, 4)
    if not data.endswith(b"\0" * 7 + b"\1"):
        raise ImageFileError("truncated QOI file (its end is missing); get a whole copy")
    if width * height > _QOI_LONGEST_RUN * len(data):  # the decoder would make up what is missing
        raise ImageFileError("truncated QOI file (pixels are missing); get a whole copy")
    return Header(width, height, 8)


_HEADERS: dict[str, Callable[[bytes], Header]] = {
    "JXL": codestream.jxl,
    "JP2": codestream.jp2,
    "QOI": _header_of_qoi,
    "HDR": radiance.header,
}
