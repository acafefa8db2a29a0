"""What a form cannot hold of what describes a picture: said, so that nothing is lost in silence."""

from collections.abc import Iterator

from cnnfilter.files.picture import Picture

_EVERYWHERE = {"icc", "exif", "xmp"}
_HOLDS: dict[str, set[str]] = {
    "PNG": {*_EVERYWHERE, "dpi", "comment", "text", "chunks", "delays"},
    "JPEG": {*_EVERYWHERE, "photoshop", "dpi", "comment"},
    "TIFF": {*_EVERYWHERE, "photoshop", "dpi", "tags"},
    "WEBP": {*_EVERYWHERE, "delays"},
    "AVIF": {*_EVERYWHERE, "delays"},
    "HEIC": _EVERYWHERE,
    "GIF": {"comment", "delays"},
    "BMP": {"dpi"},
    **{form: {"comment"} for form in ("PPM", "PGM", "PBM", "PAM")},
}
_TIFF_TEXTS = ("ImageDescription", "Software", "DateTime", "Artist", "Copyright")
PLACEMENT = frozenset((33550, 33920, 33922, 34264, 50844))
"""Tags of TIFF that say where on the earth each pixel lies: wrong of turned pixels and of another size."""
_COORDINATES = (34735, 34736, 34737)  # the system that the placement is in, right of any size
_TAGS = {
    **dict.fromkeys((*PLACEMENT, *_COORDINATES), "georeference"),
    42112: "GDAL's metadata", 42113: "the value of missing pixels", 33723: "IPTC",
    50838: "ImageJ's header", 50839: "ImageJ's header",
    **dict.fromkeys((282, 283, 296), "resolution without unit"),
}  # fmt: skip


def unheld(picture: Picture, form: str) -> list[str]:
    """Return, in words, what `form` cannot hold of a picture: one entry for all of it, or none.

    Examples
    --------
    >>> from cnnfilter.files import Metadata
    >>> unheld(Picture([], metadata=Metadata(icc=b"...", dpi=(300.0, 300.0))), "PPM")
    ['PPM does not hold colour profile, resolution: left out']
    """
    holds = _HOLDS.get(form, set())
    words = [word for kind, word in _described(picture, form) if kind not in holds]
    return [f"{form} does not hold {', '.join(dict.fromkeys(words))}: left out"] if words else []


def _described(picture: Picture, form: str) -> Iterator[tuple[str, str]]:
    """Yield each kind of description that the picture has, and its name."""
    for kept in (picture.metadata, *picture.pages):
        if kept.icc:
            yield "icc", "colour profile"
        if kept.exif:
            yield "exif", "EXIF"
        if kept.xmp:
            yield "xmp", "XMP"
        if kept.photoshop:
            yield "photoshop", "Photoshop's resources (IPTC)"
        if kept.dpi:
            yield "dpi", "resolution"
        for name in kept.text:
            if not (form == "TIFF" and name in _TIFF_TEXTS):
                yield "comment" if name == "Comment" else "text", f"text {name!r}"
        for chunk in kept.chunks:
            yield "chunks", f"PNG's {chunk.decode('latin-1')}"
        for tag in kept.tags:
            yield "tags", _TAGS.get(tag, "some TIFF tags")
    if len(picture.frames) > 1 and any(picture.delays):
        yield "delays", "the times of the frames"
