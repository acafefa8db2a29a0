"""The Netpbm forms: PBM, PGM, PPM, PAM and float PFM, plain and raw, up to 16 bits, one image or several.

Written here and not left to a library: Pillow holds no 16 bits of colour and reads only the first image, and
OpenCV scales no white. Pixels go straight from the file into the array.
"""

import re
from typing import IO, Any, NamedTuple

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files.depth import ONE_BIT, to_full_white
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Model, Picture
from cnnfilter.files.source import remaining
from cnnfilter.pixels import packed

_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3, b"Pf": 1, b"PF": 3}
_PLAIN, _BITS, _FLOATS = (b"P1", b"P2", b"P3"), (b"P1", b"P4"), (b"PF", b"Pf")
_HEADER = 1 << 16
_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]{1,20})(?=[\s#])")
_KINDS: dict[int, tuple[Model, bool]] = {
    1: ("grey", False),
    2: ("grey", True),
    3: ("rgb", False),
    4: ("rgb", True),
}
_TRUNCATED = "truncated Netpbm file (pixels are missing); get a whole copy"


class _Head(NamedTuple):
    """What stands before the pixels; of a float form `white` is the scale. `end`: length in bytes."""

    magic: bytes
    width: int
    height: int
    channels: int
    white: float
    end: int
    comments: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes of a pixel in memory; those of floats are as many as one pixel of the limit has."""
        return 8 if self.magic in _FLOATS else self.channels * _sample(self.white).itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.height, self.width, self.channels)[: 2 if self.channels == 1 else 3]


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read all images of a file; white other than 255 or 65535 is scaled to the next of them."""
    picture = Picture([])
    comments: list[str] = []
    while head := _head(file):
        limit.spend(head.width, head.height, bytes_a_pixel=head.bytes)
        comments += head.comments
        frame = _frame(file, head, picture)
        model, alpha = _KINDS[head.channels]
        if not picture.frames:
            picture.model, picture.alpha = model, alpha
            picture.frames.append(frame)
            continue
        from cnnfilter.files.pages import add_page  # few files have a second image

        if not add_page(picture, Picture([frame], model, alpha)):
            number = len(picture.frames) + 1
            raise ImageFileError(f"image {number} has another kind of pixels than image 1; split the file")
    if rest := remaining(file):
        picture.losses.append(f"{rest} bytes that follow the image are left out")
    picture.notes = list(dict.fromkeys(picture.notes))
    if comments:
        picture.metadata.text["Comment"] = "\n".join(dict.fromkeys(comments))
    return picture


class Layout(NamedTuple):
    """Where the samples of an image lie in its file, row by row.

    Attributes
    ----------
    offset : int
        Of the first, in bytes.
    shape : tuple of int
    dtype : dtype
        Their type, in the byte order of the file.
    white : int
        To be scaled to 255 or 65535: see `scaled`.
    comment : str
    model : {"grey", "rgb"}
    alpha : bool
        Whether the last channel is transparency.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    white: int
    comment: str
    model: Model
    alpha: bool


def layout(file: IO[bytes]) -> Layout:
    """Say where the samples of the only image of a raw file lie: PGM, PPM or PAM.

    Raises
    ------
    ImageFileError
        For other files, damaged ones, and those of several images.
    """
    head = _head(file)
    if head is None or head.magic not in (b"P5", b"P6", b"P7"):
        raise ImageFileError("only raw PGM, PPM and PAM can be read in parts; convert it")
    comment = "\n".join(dict.fromkeys(head.comments))
    found = Layout(
        file.tell(), head.shape, _sample(head.white), int(head.white), comment, *_KINDS[head.channels]
    )
    rest = remaining(file) - int(np.prod(found.shape, dtype=object)) * found.dtype.itemsize
    if rest < 0:
        raise ImageFileError(_TRUNCATED)
    if rest > 0:
        raise ImageFileError(f"{rest} bytes follow the image; one image alone can be read in parts")
    return found


def _sample(white: float) -> np.dtype[Any]:
    return np.dtype("u1" if white < 256 else ">u2")


def _head(file: IO[bytes]) -> _Head | None:
    """Read a header and leave the file at the pixels; None, and the file as it was, if there is none."""
    start = file.tell()
    head = file.read(_HEADER)
    magic = head[:2]
    if not (magic == b"P7" or magic in _CHANNELS) or not (head[2:3].isspace() or head[2:3] == b"#"):
        file.seek(start if head.strip() else start + len(head))  # a last line end is no loss
        return None
    found = _pam(head) if magic == b"P7" else _pnm(head)
    white = 1 if magic in _FLOATS else found.white
    if min(found.width, found.height) < 1 or not 1 <= white <= 65535:
        raise ImageFileError("damaged Netpbm file (impossible size or white); get a whole copy")
    file.seek(start + found.end)
    comments = re.findall(rb"# ?([^\n\r]*)", head[: found.end])
    return found._replace(comments=tuple(text.decode("utf-8", "surrogateescape") for text in comments))


def _pnm(head: bytes) -> _Head:
    magic, place = head[:2], 2
    words: list[bytes] = []
    while len(words) < (2 if magic in _BITS else 3):
        match = _TOKEN.match(head, place)
        if match is None:
            raise ImageFileError("truncated Netpbm file (in its header); get a whole copy")
        words.append(match.group(1))
        place = match.end()
    white = 1.0 if magic in _BITS else _scale(words[2]) if magic in _FLOATS else _whole(words[2])
    return _Head(magic, _whole(words[0]), _whole(words[1]), _CHANNELS[magic], white, place + 1)


def _pam(head: bytes) -> _Head:
    fields: dict[bytes, bytes] = {}
    place = 2
    while b"ENDHDR" not in fields:
        end = head.find(b"\n", place)
        if end < 0:
            raise ImageFileError("truncated Netpbm file (in its header); get a whole copy")
        words = head[place:end].split(None, 1)
        if words and not words[0].startswith(b"#"):
            fields[words[0]] = words[-1].strip()
        place = end + 1
    width, height, channels, white = (
        _whole(fields.get(name, b"")) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    )
    if channels not in _KINDS:
        raise ImageFileError(f"PAM of {channels} channels is not read; use 1 to 4 channels, or .npy")
    return _Head(b"P7", width, height, channels, white, place)


def _whole(word: bytes) -> int:
    if not (word.isdigit() and len(word) <= 10):
        raise ImageFileError(f"damaged Netpbm file ({word[:20]!r} is no whole number); get a whole copy")
    return int(word)


def _scale(word: bytes) -> float:
    try:
        return float(word)
    except ValueError:
        raise ImageFileError(f"damaged Netpbm file ({word!r} is no number); get a whole copy") from None


def _frame(file: IO[bytes], head: _Head, picture: Picture) -> Array:
    """Read the pixels of one image, and tell what was done to them."""
    magic, shape, white = head.magic, head.shape, int(head.white)
    if magic in _FLOATS:
        order = "<" if head.white < 0 else ">"
        return np.ascontiguousarray(_raw(file, shape, f"{order}f4")[::-1])
    if magic in _PLAIN:
        data = re.sub(rb"#[^\n\r]*", b"", file.read())
        frame = _bits(data, shape) if magic == b"P1" else _numbers(data, shape, picture.losses)
    elif magic == b"P4":
        octets = _raw(file, (head.height, -(-head.width // 8)), "u1")
        frame = 1 - np.unpackbits(octets, axis=1, count=head.width)
    else:
        frame = _raw(file, shape, _sample(white))
    if magic in _BITS:
        picture.notes.append(ONE_BIT)
        return frame * np.uint8(255)
    return scaled(frame, white, picture.notes)


def _raw(file: IO[bytes], shape: tuple[int, ...], dtype: str | np.dtype[Any]) -> Array:
    """Read samples as they lie in the file."""
    kind = np.dtype(dtype)
    if int(np.prod(shape, dtype=object)) * kind.itemsize > remaining(file):
        raise ImageFileError(_TRUNCATED)
    array = np.empty(shape, kind)
    count = 0
    view = array.view(np.uint8).data.cast("B")
    while count < len(view) and (more := file.readinto(view[count:])):  # type: ignore[attr-defined]
        count += more
    if count < len(view):
        raise ImageFileError(_TRUNCATED)
    return array.astype(kind.newbyteorder("="), copy=False)


def _bits(data: bytes, shape: tuple[int, ...]) -> Array:
    """Read bits written as digits; they need no space between them, and 1 is black."""
    digits = np.frombuffer(b"".join(data.split()), np.uint8) ^ ord("0")
    count = int(np.prod(shape, dtype=object))
    if (digits[:count] > 1).any():
        raise ImageFileError("damaged Netpbm file (something other than 0 and 1 as bits); get a whole copy")
    if digits.size < count:
        raise ImageFileError(_TRUNCATED)
    return 1 - digits[:count].reshape(shape)


def _numbers(data: bytes, shape: tuple[int, ...], losses: list[str]) -> Array:
    """Read samples written as numbers: column by column of their digits, for words would fill the memory."""
    text = np.frombuffer(b" " + data + b" ", np.uint8)
    if data.translate(None, b"0123456789 \t\n\r\f\v"):
        raise ImageFileError("damaged Netpbm file (something other than numbers); get a whole copy")
    edges = np.flatnonzero(np.diff((text > ord(" ")).view(np.int8)))
    count = int(np.prod(shape, dtype=object))
    if edges.size < 2 * count:
        raise ImageFileError(_TRUNCATED)
    if edges.size > 2 * count:
        losses.append(f"{edges.size // 2 - count} numbers that follow the image are left out")
    starts, ends = edges[: 2 * count : 2] + 1, edges[1 : 2 * count : 2] + 1
    longest = int((ends - starts).max())
    if longest > 9:
        raise ImageFileError("damaged Netpbm file (a number of more than 9 digits); get a whole copy")
    values = np.zeros(count, np.uint32)
    for digit in range(longest):
        inside = starts + digit < ends
        values[inside] = values[inside] * 10 + (text[starts[inside] + digit] - ord("0"))
    return values.reshape(shape)


def scaled(frame: Array, white: int, notes: list[str]) -> Array:
    """Scale samples, or some rows of them, to full white, and refuse those above theirs."""
    if white < np.iinfo(frame.dtype).max and (most := int(frame.max())) > white:
        raise ImageFileError(
            f"damaged Netpbm file (a sample of {most} above its white, {white}); get a whole copy"
        )
    return to_full_white(frame, white, notes)


def write(picture: Picture, file: IO[bytes], form: str) -> None:
    """Write raw samples, one image after the other: as the form says, PAM with alpha, PFM for floats."""
    comments = comment_lines(picture)
    for frame in picture.frames:
        _write_one(frame, file, form, comments)
        comments = b""


def comment_lines(picture: Picture) -> bytes:
    """Return what a header holds of a picture's comment."""
    lines = picture.metadata.text.get("Comment", "").encode("utf-8", "surrogateescape").splitlines()
    comments = b"".join(b"# %s\n" % line for line in lines)
    if len(comments) > _HEADER // 2:  # readers take so much for a header, and no more
        picture.lose(f"a comment of {len(comments)} bytes is left out")
        return b""
    return comments


def _write_one(frame: Array, file: IO[bytes], form: str, comments: bytes) -> None:
    height, width = frame.shape[:2]
    channels = frame.shape[-1] if frame.ndim == 3 else 1
    if form == "PFM":
        file.write(b"P%s\n%d %d\n-1.0\n" % (b"f" if channels == 1 else b"F", width, height))
        file.write(np.ascontiguousarray(frame[::-1], "<f4").data)
        return
    if form == "PBM":
        if not np.isin(frame, (0, 255)).all():
            raise ImageFileError("PBM holds black and white alone, not grey; write .pgm (--format pgm)")
        file.write(b"P4\n%b%d %d\n" % (comments, width, height))
        file.write(np.packbits(frame == 0, axis=1).data)
        return
    file.write(header(form, frame.shape, frame.dtype, comments))
    frame = packed(frame)
    file.write(frame.astype(frame.dtype.newbyteorder(">"), copy=False).data)


def header(form: str, shape: tuple[int, ...], dtype: np.dtype[Any], comments: bytes = b"") -> bytes:
    r"""Return what stands before the samples of a PGM, PPM or PAM, which are written big-endian.

    Examples
    --------
    >>> header("PPM", (480, 640, 3), np.dtype("u2"))
    b'P6\n640 480\n65535\n'
    """
    height, width, channels = shape if len(shape) == 3 else (*shape, 1)
    white = 255 if dtype == np.uint8 else 65535
    if form == "PAM":
        kind = {1: b"GRAYSCALE", 2: b"GRAYSCALE_ALPHA", 3: b"RGB", 4: b"RGB_ALPHA"}[channels]
        fields = (comments, width, height, channels, white, kind)
        return b"P7\n%bWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n" % fields
    return b"P%d\n%b%d %d\n%d\n" % (5 if channels == 1 else 6, comments, width, height, white)
