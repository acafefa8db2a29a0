"""What a file held: the pixels of every frame, what they mean, and what to keep beside them."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Model = Literal["grey", "rgb", "cmyk", "channels"]

METRES_PER_INCH = 0.0254


@dataclass(slots=True)
class Metadata:
    """What is kept beside the pixels.

    Attributes
    ----------
    icc : bytes, optional
        ICC profile.
    exif : bytes, optional
        EXIF block, beginning with its byte order mark; its orientation is 1 (already applied).
    xmp : bytes, optional
        XMP packet.
    photoshop : bytes, optional
        Photoshop's image resources, IPTC captions among them, without thumbnails.
    dpi : (float, float), optional
        Pixels per inch along x and y.
    text : dict of str to str
        Text chunks of a PNG; the comment of a JPEG or GIF under ``"Comment"``, where bytes that are not
        UTF-8 are lone surrogates (Python's ``surrogateescape``).
    chunks : dict of bytes to bytes
        PNG chunks that are copied as they are: those that say what the colours mean (gAMA, cHRM, sRGB,
        cICP), and unknown ones that PNG calls safe to copy. The background colour (bKGD) is kept with
        16 bits a sample, whatever the pixels have.
    tags : dict of int to Tag
        Tags of TIFF that are copied as they are: georeference, ImageJ's header and so on.
    missing : float, optional
        The value that the file declares to stand for pixels without one (GDAL's nodata).
    marked : bool
        Whether pixels without a value have `missing` whatever became of the others: a filter that leaves them
        alone says so.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    dpi: tuple[float, float] | None = None
    text: dict[str, str] = field(default_factory=dict)
    chunks: dict[bytes, bytes] = field(default_factory=dict)
    tags: dict[int, Any] = field(default_factory=dict)
    missing: float | None = None
    marked: bool = False


@dataclass(slots=True)
class Picture:
    """The frames of one image file.

    Attributes
    ----------
    frames : list of ndarray of shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64; channels last. May be read-only, and the three
        channels of an RGB frame may be a view of four interleaved ones (see `pixels.apply`).
    model : {"grey", "rgb", "cmyk", "channels"}
        What the channels before alpha mean; "channels" is an array without colours (from ``.npy``).
    alpha : bool
        Whether the last channel is transparency, not multiplied into the colours.
    form : str
        A key of `FORMS`: the form that was read.
    delays : list of float
        Milliseconds that each frame is shown; empty when the frames are pages or there is only one.
    loop : int
        Times that an animation is played, 0 for ever.
    metadata : Metadata
        ICC profile, EXIF, resolution, text.
    encoding : dict
        How the file was compressed, for writing the same form again: JPEG quantisation tables and
        subsampling, lossless WebP, TIFF compression.
    notes : list of str
        What was done to the pixels on reading ("1-bit image read as 0 and 255").
    losses : list of str
        What of the file is not in the picture and so cannot reach any output ("a second image left out");
        writing adds what its form cannot hold.
    pages : list of Metadata
        What is kept beside the pixels of each page of a TIFF after the first.
    """

    frames: list[Array]
    model: Model = "grey"
    alpha: bool = False
    form: str = "NPY"
    delays: list[float] = field(default_factory=list)
    loop: int = 0
    metadata: Metadata = field(default_factory=Metadata)
    encoding: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    pages: list[Metadata] = field(default_factory=list)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the frames."""
        return self.frames[0].dtype

    def lose(self, words: str) -> None:
        """Note what is lost, once however many frames lose it."""
        if words not in self.losses:
            self.losses.append(words)

    @property
    def colours(self) -> int:
        """How many channels there are before alpha."""
        frame = self.frames[0]
        return (frame.shape[2] if frame.ndim == 3 else 1) - self.alpha

    def rename_colours(self) -> None:
        """Take one channel for grey and three for RGB, after a filter has made them of other channels."""
        self.encoding = {
            key: value for key, value in self.encoding.items() if key not in ("colours", "extra")
        }
        if self.model == "channels" or self.colours not in (1, 3):
            return
        self.model = "grey" if self.colours == 1 else "rgb"
        for kept in (self.metadata, *self.pages):
            if kept.icc:
                kept.icc = None
                self.lose(f"the colour profile is of other channels than {self.model}: left out")

    def kept(self, index: int) -> Metadata:
        """Return what is kept beside the pixels of one page."""
        every = [self.metadata, *self.pages]
        return every[index] if index < len(every) else Metadata()


def stand_upright(picture: Picture) -> Picture:
    """Apply the EXIF orientation to the pixels and the resolution, and reset it; the picture is changed."""
    orientation = upright(picture)
    if orientation != 1:
        from cnnfilter.files import exif

        picture.frames = [np.ascontiguousarray(exif.turn(frame, orientation)) for frame in picture.frames]
        kept = picture.metadata
        if orientation in exif.SIDEWAYS and kept.dpi:
            kept.dpi = kept.dpi[::-1]
    return picture


def upright(picture: Picture) -> int:
    """Reset the EXIF orientation, and return it: how the pixels are still to be turned."""
    kept, orientation = picture.metadata, 1
    if kept.xmp or kept.exif:
        from cnnfilter.files import exif  # 3 ms that a file without either need not pay

        if kept.xmp:
            kept.xmp = exif.upright_xmp(kept.xmp)
        if kept.exif:
            kept.exif, orientation = exif.upright(kept.exif)
    return orientation
