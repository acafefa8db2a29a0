"""Reading TIFF: every page upright, what its samples mean, and the tags that travel with it."""

import io
from typing import IO, Any

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import exif, ifd, pillow
from cnnfilter.files.depth import ONE_BIT, to_full_white
from cnnfilter.files.limit import Limit
from cnnfilter.files.losses import PLACEMENT
from cnnfilter.files.photoshop import without_thumbnails
from cnnfilter.files.picture import Array, Metadata, Model, Picture
from cnnfilter.files.tiff_page import (
    BLACK_IS_ZERO,
    COLOUR_MAP,
    EXTRA_SAMPLES,
    MASK,
    NODATA,
    OLD_JPEG,
    ORIENTATION,
    PALETTE,
    PLANAR,
    PREDICTOR,
    RGB,
    SEPARATED,
    SUBFILE,
    TILE_HEIGHT,
    TILE_WIDTH,
    WHITE_IS_ZERO,
    YCBCR,
    Page,
)

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, DESCRIPTION = 282, 283, 296, 270
XMP, ICC, PHOTOSHOP = 700, 34675, 34377
TEXTS = {270: "ImageDescription", 305: "Software", 306: "DateTime", 315: "Artist", 33432: "Copyright"}
PIXEL_SIZE = frozenset((X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT))
"""Tags that, copied because they have no unit, say how large a pixel is."""

# How the pixels lie in the file and what follows from it; all other tags travel with the pixels.
_LAYOUT = frozenset((
    *range(254, 267), 273, 274, *range(277, 282), 284, *range(288, 294), 317, *range(320, 329), 330,
    *range(338, 348), *range(512, 522), *range(529, 533), 559, 32997, 32998,
))  # fmt: skip
_LAYERS = 37724
_UNDERSTOOD = frozenset((ICC, XMP, PHOTOSHOP, exif.EXIF_IFD, exif.GPS_IFD, *PIXEL_SIZE))
_CIE_LAB, _ICC_LAB = _LAB = (8, 9)
_COLOURS = {RGB: 3, PALETTE: 3, SEPARATED: 4, YCBCR: 3, _CIE_LAB: 3, _ICC_LAB: 3}
_PLAIN = (WHITE_IS_ZERO, BLACK_IS_ZERO, MASK, 32803, 34892)  # the last two: what a camera's sensor saw
_UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2
_REDUCED_OR_MASK = 0b101
_EXACT = 2**53
REDUCED_LEFT_OUT = "reduced copies and masks beside the pages are left out"


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read every page, but no reduced copies and no masks."""
    block = ifd.Block(file.read())
    picture = Picture([])
    reduced = index = 0
    for offset in block.chain():
        page = Page(block, block.directory(offset))
        if page.number(SUBFILE, 0) & _REDUCED_OR_MASK:
            reduced += 1
        else:
            _add(picture, page, index, limit)
        reduced += len(page.tags[330].values) if 330 in page.tags else 0
        index += 1
    if not picture.frames:
        raise ImageFileError("damaged TIFF file (no page in it); get a whole copy")
    if reduced:
        picture.losses.append(REDUCED_LEFT_OUT)
    picture.notes, picture.losses = list(dict.fromkeys(picture.notes)), list(dict.fromkeys(picture.losses))
    return picture


def only_page(block: ifd.Block) -> tuple[Page, bool]:
    """Return the page of a file of one, and whether there are reduced copies and masks beside it.

    Raises
    ------
    ImageFileError
        For a file of none or of several, and for pixels that do not stand upright or are not unpacked here.
    """
    every = [Page(block, block.directory(offset)) for offset in block.chain()]
    pages = [page for page in every if not page.number(SUBFILE, 0) & _REDUCED_OR_MASK]
    if len(pages) != 1:
        raise ImageFileError(f"TIFF of {len(pages)} pages; one image alone can be read in parts")
    if pages[0].number(ORIENTATION, 1) != 1 or not pages[0].is_read:
        raise ImageFileError("TIFF that is turned, or of rare samples, is not read in parts; convert it")
    return pages[0], len(every) > 1 or 330 in pages[0].tags


def described(page: Page) -> Picture:
    """Return the picture of a page whose pixels are not read: what is said of them; all are one 0."""
    assert page.dtype is not None
    picture = Picture([], form="TIFF")
    pixel, model, alpha = meaning(page, np.zeros((1, 1, page.samples), page.dtype), picture)
    frame = np.broadcast_to(pixel, (page.height, page.width, *pixel.shape[2:]))
    _describe(picture, page, frame, model, alpha)
    picture.frames.append(frame)
    return picture


def _add(picture: Picture, page: Page, index: int, limit: Limit) -> None:
    """Read one page into a picture."""
    page.check(limit)
    if page.is_read:
        frame, model, alpha = meaning(page, page.read(), picture)
        frame = np.ascontiguousarray(exif.turn(frame, page.number(ORIENTATION, 1)))
    else:
        frame, model, alpha = _read_with_pillow(page, index, picture.notes)
    if not picture.frames:
        _describe(picture, page, frame, model, alpha)
        picture.frames.append(frame)
        return
    from cnnfilter.files.pages import add_page  # few files have a second page

    kept = _metadata(page, picture.losses)
    if not add_page(picture, Picture([frame], model, alpha, metadata=kept)):
        raise ImageFileError(
            f"page {index + 1} has another kind of pixels than page 1; split the file into pages"
        )
    picture.pages.append(kept)
    if _packing(page).items() - picture.encoding.items():
        picture.lose("pages that are packed or tiled otherwise than the first are written as that one")


def _describe(picture: Picture, page: Page, frame: Array, model: Model, alpha: bool) -> None:
    """Put down what the first page says of its pixels."""
    picture.model, picture.alpha = model, alpha
    picture.metadata = _metadata(page, picture.losses)
    picture.encoding |= {
        **_packing(page),
        "predictor": page.number(PREDICTOR, 1),
        "big": page.block.big,
        "turned": page.number(ORIENTATION, 1) in exif.SIDEWAYS,
        "size": frame.shape[:2],
        "dtype": frame.dtype,
    }


def _packing(page: Page) -> dict[str, Any]:
    return {
        "compression": page.compression,
        "tile": (page.number(TILE_HEIGHT), page.number(TILE_WIDTH)) if page.tiled else None,
        "planar": page.number(PLANAR, 1) == 2,
    }


def _read_with_pillow(page: Page, index: int, notes: list[str]) -> tuple[Array, Model, bool]:
    """Read what libtiff alone can, old JPEG and subsampled colours without JPEG; it stands upright."""
    if page.bits != 8 or not (page.compression == OLD_JPEG or page.photometric == YCBCR):
        signed = "signed " if page.format == 2 else ""
        raise ImageFileError(
            f"TIFF of {page.bits or 'different'} {signed}bits a sample (format {page.format}, compression "
            f"{page.compression}, photometric {page.photometric}) is not read; convert it to 8 or 16 bits"
        )
    from PIL import TiffImagePlugin

    pillow.silence_libtiff()
    with pillow.decoding("TIFF"):
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(page.block.data))
        image.seek(index)
        if image.size[0] * image.size[1] > page.width * page.height:
            raise ImageFileError("damaged TIFF file (impossible size); get a whole copy")
        expanded = image.convert("RGB") if image.mode == "RGBX" else pillow.expanded(image, notes)
        return np.asarray(expanded), *pillow.MODELS[expanded.mode]


def meaning(page: Page, frame: Array, picture: Picture) -> tuple[Array, Model, bool]:
    """Return pixels as they are filtered, what their channels mean, and whether the last is alpha.

    `frame` holds the samples (H, W, samples) of the page, or of a part of it; the picture gets the notes.
    """
    colours = _COLOURS.get(page.photometric, 1)
    if page.photometric not in (*_COLOURS, *_PLAIN) or (page.photometric in _LAB and frame.dtype.kind != "u"):
        raise ImageFileError(
            f"TIFF with colours of the kind {page.photometric} is not read; convert it to RGB"
        )
    if page.photometric == PALETTE:
        frame = _through_map(page, frame)
        picture.notes.append("palette expanded to colours")
    else:
        frame = _filtered_type(page, frame, picture.notes, picture.losses)
    samples = frame.shape[-1]
    if page.photometric in _LAB and samples >= colours:
        from cnnfilter.files import lab  # few files need it

        frame = lab.to_srgb(frame, signed=page.photometric == _CIE_LAB)
        picture.lose(lab.TOLD)
    # One more channel than colours and not a word about it: alpha, as OpenCV writes it.
    untold = (UNASSOCIATED,) if samples == colours + 1 else (_UNSPECIFIED,) * (samples - colours)
    extra = page.numbers(EXTRA_SAMPLES, untold)
    if samples < colours or len(extra) != samples - colours:
        raise ImageFileError("damaged TIFF file (number of channels); get a whole copy")
    model: Model = "rgb" if colours == 3 else "cmyk" if colours == 4 else "grey"
    if len(extra) == 1 and extra[0] in (ASSOCIATED, UNASSOCIATED):
        if extra[0] == ASSOCIATED:
            frame = _divided(frame)
            picture.notes.append("alpha was multiplied into the colours; written apart from them")
        return frame, model, True
    if not extra:
        return frame[..., 0] if colours == 1 else frame, model, False
    picture.encoding |= {"colours": model, "extra": extra}
    return frame, "channels", False


def _through_map(page: Page, indices: Array) -> Array:
    """Return the colours that the first sample names; more samples, such as alpha, stay."""
    table = np.array(page.numbers(COLOUR_MAP), np.int64)
    if (
        page.bits > 16
        or page.format != 1
        or table.size != 3 << page.bits
        or table.min() < 0
        or table.max() > 65535
    ):
        raise ImageFileError("damaged TIFF file (its table of colours); get a whole copy")
    # Values of 16 bits, but for programs that wrote the 8 bits they had.
    entries: Array = (table if table.max() < 256 else table >> 8).astype(np.uint8).reshape(3, -1).T
    colours: Array = entries[indices[..., 0]]
    if indices.shape[-1] == 1:
        return colours
    return np.concatenate(
        [colours, (indices[..., 1:] * (255 / (2**page.bits - 1))).astype(np.uint8)], axis=-1
    )


def _filtered_type(page: Page, frame: Array, notes: list[str], losses: list[str]) -> Array:
    """Return the samples in a type that is filtered: no value changes but for those that fill no byte."""
    kind, bits = frame.dtype.kind, page.bits
    if page.photometric == WHITE_IS_ZERO:
        if kind != "u":
            raise ImageFileError("signed or float TIFF with white at zero is not read; invert it first")
        frame = frame ^ frame.dtype.type(2**bits - 1)
    if kind == "u" and bits == 1:
        notes.append(ONE_BIT)
        return frame * np.uint8(255)
    if kind == "u" and bits <= 16:
        return to_full_white(frame, 2**bits - 1, notes)
    if kind == "i" and bits == 8:
        notes.append("signed 8 bits filtered and written as signed 16 bits")
        return frame.astype(np.int16)
    if kind == "f" and bits == 16:
        notes.append("floats of 16 bits filtered and written with 32")
        return frame.astype(np.float32)
    if kind == "f" or bits == 16:
        return frame
    if bits == 64 and (int(frame.max()) > _EXACT or int(frame.min()) < -_EXACT):
        raise ImageFileError("integers beyond 2^53 are not filtered exactly; convert the file to float")
    told = f"integers of {bits} bits filtered and written as floats of 64 bits"
    notes.append(told)
    losses.append(told)  # another type of file is nothing to find out later
    return frame.astype(np.float64)


def _divided(frame: Array) -> Array:
    """Take alpha, the last channel, out of the colours."""
    white = float(np.iinfo(frame.dtype).max) if frame.dtype.kind == "u" else 1.0
    alpha = frame[..., -1:].astype(np.float64)
    colours = np.divide(frame[..., :-1] * white, alpha, out=np.zeros(frame[..., :-1].shape), where=alpha > 0)
    if frame.dtype.kind != "f":
        colours = np.minimum(np.rint(colours), white)
    return np.concatenate([colours.astype(frame.dtype), frame[..., -1:]], axis=-1)


def _metadata(page: Page, losses: list[str]) -> Metadata:
    """Return what is kept beside the pixels of one page."""
    tags = page.tags
    if _LAYERS in tags:
        losses.append("Photoshop's layers, which hold pixels that are not filtered, are left out")
    kept = Metadata(
        icc=tags[ICC].bytes if ICC in tags and page.photometric not in _LAB else None,
        exif=exif.from_tags(tags, page.block),
        xmp=exif.upright_xmp(tags[XMP].bytes) if XMP in tags else None,
        photoshop=without_thumbnails(tags[PHOTOSHOP].bytes) or None if PHOTOSHOP in tags else None,
        dpi=_dpi(page),
        text={name: tags[tag].text for tag, name in TEXTS.items() if tag in tags},
        missing=page.nodata,
    )
    left = {tag: value for tag, value in tags.items() if tag not in _LAYOUT | _UNDERSTOOD | set(TEXTS)}
    left = {tag: value for tag, value in left.items() if value.type not in ifd.POINTERS and tag != _LAYERS}
    if not kept.dpi and _has_pixel_size(page):
        left |= {tag: tags[tag] for tag in PIXEL_SIZE if tag in tags}
        if page.number(ORIENTATION, 1) in exif.SIDEWAYS:
            left[X_RESOLUTION], left[Y_RESOLUTION] = left[Y_RESOLUTION], left[X_RESOLUTION]
    if page.number(ORIENTATION, 1) in range(2, 9) and left.keys() & PLACEMENT:
        left = {tag: value for tag, value in left.items() if tag not in PLACEMENT}
        losses.append("the georeference is left out, for the pixels are turned")
    if NODATA in left and _values_become_others(page):
        kept.missing, text = None, left.pop(NODATA).text
        losses.append(f"the value of missing pixels ({text}) is left out, for the values become others")
    kept.tags = left
    return kept


def _values_become_others(page: Page) -> bool:
    """Whether the value declared missing is not that of these pixels once they are read."""
    scaled = page.bits < 8 or 8 < page.bits < 16
    return page.photometric in (PALETTE, WHITE_IS_ZERO) or (scaled and page.nodata != 0)


def _has_pixel_size(page: Page) -> bool:
    """Whether a page has a resolution in no unit, which ImageJ takes for the size of its pixels."""
    sides = [
        page.tags[tag].values.ravel().tolist() for tag in (X_RESOLUTION, Y_RESOLUTION) if tag in page.tags
    ]
    return len(sides) == 2 and sides != [[1, 1], [1, 1]]


def _dpi(page: Page) -> tuple[float, float] | None:
    unit = {2: 1.0, 3: 2.54}.get(page.number(RESOLUTION_UNIT, 2))
    if not (unit and X_RESOLUTION in page.tags and Y_RESOLUTION in page.tags):
        return None
    x, y = (page.numbers(tag, (0,)) for tag in (X_RESOLUTION, Y_RESOLUTION))
    if not (len(x) == len(y) == 2 and min(*x, *y) > 0):
        return None
    dpi = (x[0] / x[1] * unit, y[0] / y[1] * unit)
    return dpi[::-1] if page.number(ORIENTATION, 1) in exif.SIDEWAYS else dpi
