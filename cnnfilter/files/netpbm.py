"""The Netpbm forms: PBM, PGM, PPM, PAM and float PFM, plain and raw, up to 16 bits."""

import re
from typing import IO

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Model, Picture
from cnnfilter.pixels import packed

_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3, b"Pf": 1, b"PF": 3}
_HEADER = 1 << 16
_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]+)")
_PAM_LINE = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(ENDHDR|[A-Z]+[ \t]+[^\n]*)\n")
_KINDS: dict[int, tuple[Model, bool]] = {
    1: ("grey", False),
    2: ("grey", True),
    3: ("rgb", False),
    4: ("rgb", True),
}


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read the first image of a file; white other than 255 or 65535 is scaled to the next of them."""
    start = file.tell()
    head = file.read(_HEADER)
    magic = head[:2]
    width, height, channels, white, end = (_pam if magic == b"P7" else _plain)(head)
    limit.spend(width, height)
    file.seek(start + end)
    shape = (height, width) if channels == 1 else (height, width, channels)
    model, alpha = _KINDS[channels]
    picture = Picture([], model, alpha)
    if magic in (b"PF", b"Pf"):
        order = "<" if white < 0 else ">"
        picture.frames = [np.ascontiguousarray(_raw(file, shape, f"{order}f4")[::-1])]
        return picture
    if magic == b"P4":
        bits = np.unpackbits(_raw(file, (height, -(-width // 8)), "u1"), axis=1, count=width)
        frame = 1 - bits
    elif magic in (b"P1", b"P2", b"P3"):
        frame = _text(file.read(), shape, magic == b"P1")
    else:
        frame = _raw(file, shape, "u1" if white < 256 else ">u2")
    if magic in (b"P1", b"P4"):
        picture.notes.append("1-bit image filtered as grey, 0 and 255; written with 8 bits")
    elif white not in (255, 65535):
        picture.notes.append(f"white of {int(white)} scaled to {255 if white < 256 else 65535}")
    picture.frames = [_scaled(frame, int(white))]
    return picture


def _plain(head: bytes) -> tuple[int, int, int, float, int]:
    """Read width, height, channels, white (for PFM the scale) and the length of the header."""
    magic, place = head[:2], 2
    numbers: list[bytes] = []
    while len(numbers) < (2 if magic in (b"P1", b"P4") else 3):
        match = _TOKEN.match(head, place)
        if match is None:
            raise ImageFileError("truncated Netpbm file (in its header); get a whole copy")
        numbers.append(match.group(1))
        place = match.end()
    width, height = int(numbers[0]), int(numbers[1])
    white = float(numbers[2]) if len(numbers) > 2 else 1.0
    _check(width, height, abs(white) if magic[1:] not in (b"F", b"f") else 1)
    return width, height, _CHANNELS[magic], white, place + 1


def _pam(head: bytes) -> tuple[int, int, int, float, int]:
    fields: dict[bytes, bytes] = {}
    place = 2
    while match := _PAM_LINE.match(head, place):
        place = match.end()
        name, _, value = match.group(1).partition(b" ")
        if name == b"ENDHDR":
            break
        fields[name] = value.strip()
    width, height, channels, white = (
        int(fields[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    )
    _check(width, height, white)
    if channels not in _KINDS:
        raise ImageFileError(f"PAM of {channels} channels is not read; use 1 to 4 channels, or .npy")
    return width, height, channels, white, place


def _check(width: int, height: int, white: float) -> None:
    if width < 1 or height < 1 or not 1 <= white <= 65535:
        raise ImageFileError("damaged Netpbm file (impossible size or white); get a whole copy")


def _raw(file: IO[bytes], shape: tuple[int, ...], dtype: str) -> Array:
    """Read samples as they lie in the file."""
    kind = np.dtype(dtype)
    array = np.empty(shape, kind)
    count = 0
    view = array.view(np.uint8).data.cast("B")
    while count < len(view) and (more := file.readinto(view[count:])):  # type: ignore[attr-defined]
        count += more
    if count < len(view):
        raise ImageFileError("truncated Netpbm file (pixels are missing); get a whole copy")
    return array.astype(kind.newbyteorder("="), copy=False)


def _text(data: bytes, shape: tuple[int, ...], bits: bool) -> Array:
    """Read samples written as numbers; bits need no space between them, and 1 is black."""
    data = re.sub(rb"#[^\n\r]*", b"", data)
    words = re.findall(rb"[01]", data) if bits else data.split()
    count = int(np.prod(shape, dtype=object))
    if len(words) < count:
        raise ImageFileError("truncated Netpbm file (pixels are missing); get a whole copy")
    values = np.array(words[:count]).astype(np.uint16).reshape(shape)
    return 1 - values if bits else values


def _scaled(frame: Array, white: int) -> Array:
    """Scale to white at 255 or 65535, half to even."""
    dtype = np.dtype(np.uint8 if white < 256 else np.uint16)
    full = 255 if white < 256 else 65535
    if white == full:
        return frame.astype(dtype, copy=False)
    if int(frame.max()) > white:
        raise ImageFileError(f"damaged Netpbm file (a sample above its white of {white}); get a whole copy")
    return np.rint(frame.astype(np.float64) * full / white).astype(dtype)


def write(picture: Picture, file: IO[bytes], form: str) -> None:
    """Write raw samples: PGM or PPM as the channels ask, PAM with alpha, PFM for floats."""
    frame = picture.frames[0]
    height, width = frame.shape[:2]
    channels = frame.shape[-1] if frame.ndim == 3 else 1
    if form == "PFM":
        file.write(b"P%s\n%d %d\n-1.0\n" % (b"f" if channels == 1 else b"F", width, height))
        file.write(np.ascontiguousarray(frame[::-1], "<f4").data)
        return
    white = 255 if frame.dtype == np.uint8 else 65535
    if form == "PAM":
        kind = {1: b"GRAYSCALE", 2: b"GRAYSCALE_ALPHA", 3: b"RGB", 4: b"RGB_ALPHA"}[channels]
        fields = (width, height, channels, white, kind)
        file.write(b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n" % fields)
    else:
        file.write(b"P%d\n%d %d\n%d\n" % (5 if channels == 1 else 6, width, height, white))
    frame = packed(frame)
    file.write(frame.astype(frame.dtype.newbyteorder(">"), copy=False).data)
