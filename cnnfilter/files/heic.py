"""HEIC through pillow-heif: the primary picture of a file, with its profile, EXIF and XMP."""

from typing import IO, Any

import numpy as np

from cnnfilter.files import exif
from cnnfilter.files.depth import to_full_white
from cnnfilter.files.extra import decoding, library
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Metadata, Model, Picture

_MODELS: dict[str, tuple[Model, bool]] = {
    "L": ("grey", False), "LA": ("grey", True), "RGB": ("rgb", False), "RGBA": ("rgb", True)
}  # fmt: skip
_QUALITY = 90
_AS_SRGB = (1, 2), (1, 2, 6, 13)
"""Primaries and curves that every viewer takes for granted."""


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read the primary picture; libheif has turned it upright already."""
    heif = library("HEIC")
    notes: list[str] = []
    with decoding("HEIC"):
        held = heif.open_heif(file, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        image = held[held.primary_index]
        limit.spend(*image.size)
        model, alpha = _MODELS[image.mode.partition(";")[0]]
        pixels = np.asarray(image)
    frame = to_full_white(pixels, 2 ** image.info["bit_depth"] - 1, notes)
    if image.premultiplied_alpha:
        frame = _divided(frame)
    return Picture(
        [frame],
        model,
        alpha,
        metadata=_metadata(image.info),
        notes=notes,
        losses=_losses(image.info, len(held)),
    )


def _divided(frame: Array) -> Array:
    """Divide the colours by alpha, as every frame here has them."""
    alpha = frame[..., -1:].astype(np.float64)
    white = np.iinfo(frame.dtype).max
    colours = np.divide(
        frame[..., :-1] * float(white), alpha, out=np.zeros_like(frame[..., :-1], float), where=alpha > 0
    )
    return np.concatenate([np.rint(colours).clip(0, white).astype(frame.dtype), frame[..., -1:]], axis=-1)


def _metadata(info: dict[str, Any]) -> Metadata:
    block, xmp = info.get("exif"), info.get("xmp")
    return Metadata(
        icc=info.get("icc_profile") or None,
        exif=exif.upright(block.removeprefix(b"Exif\0\0"))[0] if block else None,
        xmp=exif.upright_xmp(xmp) if xmp else None,  # an old orientation there would turn what is written
    )


def _losses(info: dict[str, Any], count: int) -> list[str]:
    """Tell what the file holds beside the picture; small copies of it are left out on purpose."""
    words = ["depth map"] * bool(info.get("depth_images")) + ["auxiliary pictures"] * bool(info.get("aux"))
    colours = info.get("nclx_profile") or {}
    kind = (colours.get("color_primaries", 1), colours.get("transfer_characteristics", 13))
    if not info.get("icc_profile") and not (kind[0] in _AS_SRGB[0] and kind[1] in _AS_SRGB[1]):
        words.append("colour description (nclx)")
    losses = [f"{', '.join(words)} of a HEIC file left out"] if words else []
    return losses + ["all but the primary picture of a HEIC file are left out"] * (count > 1)


def write(picture: Picture, file: IO[bytes], quality: int | None) -> None:
    """Write one picture of 8 bits, or of 10 where it has 16."""
    heif = library("HEIC")
    frame = np.ascontiguousarray(picture.frames[0])
    mode = next(mode for mode, kind in _MODELS.items() if kind == (picture.model, picture.alpha))
    if frame.dtype == np.uint16:
        mode += ";16"
        picture.notes.append("16 bits written as the 10 that HEIC has")
    made = heif.from_bytes(mode, frame.shape[1::-1], frame.tobytes())
    kept = picture.metadata
    made.save(
        file, quality=quality or _QUALITY, icc_profile=kept.icc, xmp=kept.xmp,
        exif=kept.exif and b"Exif\0\0" + kept.exif,
    )  # fmt: skip
