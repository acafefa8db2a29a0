"""SGI of 16 bits, of which Pillow would silently leave 8; that of 8 bits is left to Pillow."""

import struct
from typing import IO

import numpy as np

from cnnfilter.errors import ImageFileError
from cnnfilter.files import pillow
from cnnfilter.files.limit import Limit
from cnnfilter.files.picture import Array, Model, Picture

_HEAD = 512
_MODELS: dict[int, tuple[Model, bool]] = {
    1: ("grey", False), 2: ("grey", True), 3: ("rgb", False), 4: ("rgb", True)
}  # fmt: skip
_WORD = np.dtype(">u2")


def read(file: IO[bytes], limit: Limit) -> Picture:
    """Read the one image, whose first row is the lowest."""
    data = file.read()
    file.seek(0)
    if len(data) < _HEAD:
        raise ImageFileError("truncated SGI file; get a whole copy")
    packed, size, axes, width, height, channels = struct.unpack_from(">BBHHHH", data, 2)
    if size == 1:
        return pillow.read(file, "SGI", limit)
    height, channels = height if axes > 1 else 1, channels if axes > 2 else 1
    if size != 2 or channels not in _MODELS or not width * height:
        raise ImageFileError("damaged SGI file (impossible size or depth); get a whole copy")
    limit.spend(width, height, bytes_a_pixel=2 * channels)
    shape = channels, height, width
    planes = _unpacked(data, shape) if packed else _plain(data[_HEAD:], shape)
    frame = np.ascontiguousarray(planes[:, ::-1].transpose(1, 2, 0), np.uint16)
    return Picture([frame if channels > 1 else frame[..., 0]], *_MODELS[channels])


def _plain(data: bytes, shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape, dtype=object))
    if len(data) < count * _WORD.itemsize:
        raise ImageFileError("truncated SGI file (pixels are missing); get a whole copy")
    return np.frombuffer(data, _WORD, count).reshape(shape)


def _unpacked(data: bytes, shape: tuple[int, int, int]) -> Array:
    """Undo the runs of each row, whose places and lengths two tables hold."""
    channels, height, width = shape
    tables = data[_HEAD : _HEAD + 8 * channels * height]
    if len(tables) < 8 * channels * height:
        raise ImageFileError("truncated SGI file (rows are missing); get a whole copy")
    starts, lengths = np.frombuffer(tables, ">u4").reshape(2, -1).tolist()
    most = 4 * width + 2  # bytes that a row can take, whatever its length is said to be
    places = zip(starts, lengths, strict=True)
    rows = [_row(data[start : start + min(length, most)], width) for start, length in places]
    return np.stack(rows).reshape(shape)


def _row(data: bytes, width: int) -> Array:
    """Undo runs of words: the low 7 bits of one say how many follow, or how often the next one stands."""
    words = np.frombuffer(data, _WORD, len(data) // 2)
    row, have, place = np.zeros(width, np.uint16), 0, 0
    while have < width and place < len(words) and (count := int(words[place]) & 0x7F):
        alone = int(words[place]) & 0x80
        values = words[place + 1 : place + 1 + (count if alone else 1)]
        if len(values) < (count if alone else 1) or have + count > width:
            break
        row[have : have + count] = values
        have, place = have + count, place + 1 + len(values)
    if have < width:
        raise ImageFileError("damaged SGI file (runs that do not fill their row); get a whole copy")
    return row


def write(picture: Picture, file: IO[bytes]) -> None:
    """Write 8 bits by Pillow, and 16 plane by plane as they are."""
    frame = picture.frames[0]
    if frame.dtype != np.uint16:
        pillow.write_still(picture, file, "SGI")
        return
    planes = frame.reshape(*frame.shape[:2], -1).transpose(2, 0, 1)[:, ::-1]
    channels, height, width = planes.shape
    axes = 2 if channels == 1 else 3
    head = struct.pack(">HBBHHHHLL", 474, 0, 2, axes, width, height, channels, 0, 65535)
    file.write(head.ljust(_HEAD, b"\0") + planes.astype(_WORD).tobytes())
