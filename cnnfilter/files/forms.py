"""The forms of image files: their names, their suffixes, the bytes they begin with."""

import os
from collections.abc import Mapping
from types import MappingProxyType

from cnnfilter.errors import ImageFileError, ParameterError

FORMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "PNG": (".png", ".apng"),
        "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
        "TIFF": (".tif", ".tiff"),
        "WEBP": (".webp",),
        "GIF": (".gif",),
        "AVIF": (".avif",),
        "BMP": (".bmp", ".dib"),
        "TGA": (".tga",),
        "PPM": (".ppm", ".pnm"),
        "PGM": (".pgm",),
        "PBM": (".pbm",),
        "PAM": (".pam",),
        "PFM": (".pfm",),
        "NPY": (".npy",),
        "JXL": (".jxl",),
        "JP2": (".jp2", ".j2k", ".j2c", ".jpx"),
        "QOI": (".qoi",),
        "HDR": (".hdr", ".pic"),
        "PCX": (".pcx",),
        "SGI": (".sgi", ".rgb", ".bw", ".rgba"),
        "DDS": (".dds",),
        "ICO": (".ico",),
        "PSD": (".psd",),
        "HEIC": (".heic", ".heif", ".hif"),
        "EXR": (".exr",),
        "FITS": (".fits", ".fit", ".fts"),
    }
)
"""Every form that is read, with its suffixes, the usual one first.

HEIC, EXR and FITS need extras (`cnnfilter.files.extra`).
"""

READ_ONLY = ("ICO", "PSD")
"""Those that are not written."""

WRITTEN = tuple(suffixes[0][1:] for form, suffixes in FORMS.items() if form not in READ_ONLY)
"""The usual suffixes of those that are, without the dot."""

_ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")
"""Files that make a folder a Zarr store."""

_BY_SUFFIX = {suffix: form for form, suffixes in FORMS.items() for suffix in suffixes}

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x93NUMPY", "NPY"),
    (b"BM", "BMP"),
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2"),
    (b"\xff\x4f\xff\x51", "JP2"),
    (b"qoif", "QOI"),
    (b"#?RADIANCE", "HDR"),
    (b"#?RGBE", "HDR"),
    (b"\x01\xda\0", "SGI"),
    (b"\x01\xda\x01", "SGI"),
    (b"DDS ", "DDS"),
    (b"\0\0\1\0", "ICO"),
    (b"8BPS\0\1", "PSD"),
    (b"\x76\x2f\x31\x01", "EXR"),
    (b"SIMPLE  =", "FITS"),
)
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"}
_NETPBM = {
    b"P1": "PGM",
    b"P2": "PGM",
    b"P3": "PPM",
    b"P4": "PGM",
    b"P5": "PGM",
    b"P6": "PPM",
    b"P7": "PAM",
    b"PF": "PFM",
    b"Pf": "PFM",
}
_PCX_VERSIONS = {b"\0", b"\2", b"\3", b"\4", b"\5"}
_DIB_SIZES = {b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"}
_TGA_MAPS = {b"\0", b"\1"}
_TGA_KINDS = {b"\1", b"\2", b"\3", b"\t", b"\n", b"\v"}


def names_zarr(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path names a Zarr store, which is a folder, and an image all the same.

    Examples
    --------
    >>> names_zarr("slide.zarr/"), names_zarr("slide.npy")
    (True, False)
    """
    path = os.fspath(path).rstrip(os.sep)
    return path.endswith(".zarr") or any(os.path.exists(os.path.join(path, mark)) for mark in _ZARR_MARKS)


def form_of(path: str | os.PathLike[str]) -> str:
    """Return the form that the suffix of a path stands for.

    Raises
    ------
    ImageFileError
        If the suffix is missing or not known; the message lists the known ones.

    Examples
    --------
    >>> form_of("photo.JPEG")
    'JPEG'
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _BY_SUFFIX:
        known = " ".join(sorted(_BY_SUFFIX))
        what = f"unknown suffix {suffix}" if suffix else "no suffix"
        raise ImageFileError(f"{os.fspath(path)}: {what}; use one of {known}, or name the form (--format)")
    return _BY_SUFFIX[suffix]


def form_named(name: str) -> str:
    """Return the form with this name or suffix, in any case.

    Raises
    ------
    ParameterError
        If there is none; the message lists the known ones.

    Examples
    --------
    >>> form_named("jpg"), form_named("tiff")
    ('JPEG', 'TIFF')
    """
    if name.upper() in FORMS:
        return name.upper()
    form = _BY_SUFFIX.get("." + name.lower().lstrip("."))
    if form is None:
        raise ParameterError(f"unknown image form {name!r}; use one of {' '.join(FORMS).lower()}")
    return form


def form_of_bytes(head: bytes, suffix: str = "") -> str | None:
    """Return the form that a file beginning with these bytes has, or None.

    A TGA file has no mark at its beginning, nor has a DIB, a BMP without its file header: they are recognised
    by their suffix and a plausible header.
    """
    for magic, form in _MAGIC:
        if head.startswith(magic):
            return form
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _form_of_brands(head)
    if head[:2] in _NETPBM and (head[2:3].isspace() or head[2:3] == b"#"):
        return _NETPBM[head[:2]]
    if head[:1] == b"\n" and head[1:2] in _PCX_VERSIONS and head[2:3] in (b"\0", b"\1"):
        return "PCX"
    if suffix.lower() == ".tga" and head[1:2] in _TGA_MAPS and head[2:3] in _TGA_KINDS:
        return "TGA"
    if suffix.lower() == ".dib" and head[:4] in _DIB_SIZES:
        return "BMP"
    return None


def _form_of_brands(head: bytes) -> str | None:
    """Tell AVIF and HEIC apart by what a file says it is, and what it says it is like."""
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    return "HEIC" if brands[0] in _HEIC else None
