"""Labelled images: read from folders, .npz and IDX files, brought to a network's size, and varied."""

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.files.weightsfile import PLAUSIBLE_BYTES, PLAUSIBLE_RATIO, read_tensors
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.layers import Shape
from cnnfilter.nn.lazyimages import Images, LazyImages, read_images
from cnnfilter.nn.network import Preprocessing

ReadImage = Callable[[str], Array]
"""Reads an image file as float32 (H, W, C), C 1 or 3, from 0 to 1."""

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX_IMAGES = re.compile(r"(.*)images([-.])idx3-ubyte(\.gz)?")
_PARTS = (("train", "training"), ("val", "valid", "validation", "test"))
_MAX_IDX_BYTES = 2 << 30

_MOST_CLASSES = 100_000

MEMORY = 512 << 20
"""Bytes of images that are kept if nobody says otherwise."""


@dataclass
class Data:
    """Labelled images.

    Attributes
    ----------
    images : ndarray of shape (N, D, H, W), or LazyImages
        float32, as the network reads them.
    labels : ndarray of int of shape (N,)
    names : list of str
        Of the classes.
    skipped : list of str
        Files that could not be read, with the reason.
    """

    images: Images
    labels: Array
    names: list[str]
    skipped: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, which: Array) -> "Data":
        """Take the samples of these numbers."""
        lazy = isinstance(self.images, LazyImages)
        images = self.images.part(which) if lazy else self.images[which]  # type: ignore[union-attr]
        return Data(images, self.labels[which], self.names)

    def split(self, share: float, seed: int) -> tuple["Data", "Data"]:
        """Part off `share` of each class at random, at least one of each: (rest, share)."""
        random = np.random.default_rng(seed)
        held = np.zeros(len(self), bool)
        for label in np.unique(self.labels):
            members = random.permutation(np.flatnonzero(self.labels == label))
            held[members[: max(1, round(share * len(members))) if len(members) > 1 else 0]] = True
        return self.part(np.flatnonzero(~held)), self.part(np.flatnonzero(held))


def read_data(
    path: str, read_image: ReadImage, shape: Shape, preprocessing: Preprocessing, memory: int = MEMORY
) -> Data:
    """Read labelled images: folders by class, an .npz, or MNIST's IDX files.

    Parameters
    ----------
    path : str
        A folder with one folder of images for each class, a folder with IDX files (those of training, if
        there are several, or the file of images itself, the labels beside it; plain or gzip), or an .npz
        with ``images`` (or ``x``) of shape (N, H, W) or (N, H, W, C), and ``labels`` (or ``y``): numbers,
        which name the classes from the least to the greatest.
    read_image : callable
        Reads an image of a folder.
    shape : tuple of int
        (D, H, W) that the network reads.
    preprocessing : Preprocessing
    memory : int, default 512 MiB
        Most bytes of images of folders that are kept; what is beyond is read again when it is needed.

    Raises
    ------
    FilterFileError
        If there are no such files, or they are damaged.
    ParameterError
        If a class folder is empty, or labels do not fit.
    """
    place = Path(path)
    pair = _idx_pair(place)
    if pair:
        images, labels = (read_idx(str(file)) for file in pair)
        return _together(images, labels, path, shape, preprocessing)
    if place.is_dir():
        if parted := parts(path):
            raise ParameterError(f"{path}: holds two sets of images; name one, {' or '.join(parted)}")
        return _read_folders(place, read_image, shape, preprocessing, memory)
    tensors, _ = read_tensors(path)
    found = [
        next((tensors[k] for k in keys if k in tensors), None) for keys in (("images", "x"), ("labels", "y"))
    ]
    if found[0] is None or found[1] is None:
        raise FilterFileError(f"{path}: holds {', '.join(tensors)}; give images (or x) and labels (or y)")
    return _together(found[0], found[1], path, shape, preprocessing)


def read_idx(path: str) -> Array:
    """Read one IDX file, plain or gzip.

    Raises
    ------
    FilterFileError
        If it is damaged, or claims more than it holds.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else open(path, "rb") as file:
            content = file.read(_MAX_IDX_BYTES) if not packed else _unpacked(file, os.path.getsize(path))
    except (OSError, EOFError, zlib.error) as error:
        raise FilterFileError(f"{path}: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise FilterFileError(f"{path}: not an IDX file (it begins with {content[:4].hex(' ')})")
    start = 4 + 4 * content[3]
    sides = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    dtype = np.dtype(_IDX_TYPES[content[2]])
    size = dtype.itemsize
    for side in sides:
        size *= side
    if len(content) != start + size:
        raise FilterFileError(f"{path}: {len(content)} bytes, but {sides} values take {start + size}")
    return np.frombuffer(content, dtype, offset=start).reshape(sides).astype(dtype.newbyteorder("="))


def _unpacked(file: gzip.GzipFile | IO[bytes], size: int) -> bytes:
    """Read what a gzip file of `size` bytes holds; what would fill the memory is no data set."""
    most = max(PLAUSIBLE_BYTES, PLAUSIBLE_RATIO * size)
    content = file.read(min(_MAX_IDX_BYTES, most))
    if len(content) == most:
        raise OSError(f"{size} bytes of gzip hold more than {most}, as no data set does; unpack it yourself")
    return content


def prepare(image: Array, shape: Shape, how: Preprocessing) -> Array:
    """Bring one image to what a network reads.

    Parameters
    ----------
    image : ndarray of shape (H, W, C)
        From 0 to 1, C 1 or 3. Grey becomes three equal channels where three are read, colour its
        luma where one is.
    shape : tuple of int
        (D, H, W).
    how : Preprocessing

    Returns
    -------
    ndarray of shape (D, H, W), float32
    """
    planes = np.moveaxis(np.asarray(image, np.float32), -1, 0)
    if planes.shape[0] not in (1, 3) or shape[0] not in (1, 3):
        if planes.shape[0] != shape[0]:
            raise ParameterError(
                f"an image of {planes.shape[0]} channels for a network that reads {shape[0]}"
            )
    elif planes.shape[0] < shape[0]:
        planes = np.repeat(planes, shape[0], axis=0)
    elif planes.shape[0] > shape[0]:
        planes = np.tensordot(_GREY, planes, 1)[None]
    height, width = planes.shape[1:]
    if (height, width, how.crop) == (28, 28, 32):  # MNIST's digits get a frame, as in 1998
        planes = np.pad(planes, ((0, 0), (2, 2), (2, 2)))
    else:
        short = min(height, width)
        planes = resize(planes, (how.resize * height // short, how.resize * width // short))
    top, left = (round((side - how.crop) / 2) for side in planes.shape[1:])
    planes = planes[:, top : top + how.crop, left : left + how.crop]
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (how.mean, how.std))
    return np.ascontiguousarray((planes - mean) / std, np.float32)


def resize(planes: Array, size: tuple[int, int]) -> Array:
    """Resize the last two axes by a triangle filter as wide as the reduction: antialiased bilinear.

    Examples
    --------
    >>> resize(np.array([[0.0, 1.0]]), (1, 4)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    rows, columns = (
        _triangles(n, m).astype(planes.dtype) for n, m in zip(planes.shape[-2:], size, strict=True)
    )
    return np.asarray(rows @ planes @ columns.T)


def augmented(images: Array, random: np.random.Generator, shift: float, angle: float, scale: float) -> Array:
    """Shift, turn and scale each image at random, by bilinear sampling; the edge goes on outside.

    Parameters
    ----------
    images : ndarray of shape (N, D, H, W)
    random : Generator
    shift : float
        Most pixels, either way.
    angle : float
        Most degrees, either way.
    scale : float
        Largest change of size, 0.1 for 10 %.
    """
    count, _, height, width = images.shape
    turn = np.deg2rad(random.uniform(-angle, angle, count))
    size = np.exp(random.uniform(-1, 1, count) * np.log1p(scale))
    moves = random.uniform(-shift, shift, (2, count))
    y, x = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (height, width)), indexing="ij")
    cos, sin = ((f(turn) / size)[:, None, None] for f in (np.cos, np.sin))
    rows = cos * y - sin * x + ((height - 1) / 2 + moves[0])[:, None, None]
    columns = sin * y + cos * x + ((width - 1) / 2 + moves[1])[:, None, None]
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = np.minimum(rows.astype(int), height - 2), np.minimum(columns.astype(int), width - 2)
    down, right = ((a - b).astype(images.dtype) for a, b in ((rows, top), (columns, left)))
    flat = images.reshape(count, -1, height * width)

    def at(row: int, column: int) -> Array:
        index = ((top + row) * width + left + column).reshape(count, 1, -1)
        return np.take_along_axis(flat, index, axis=2).reshape(images.shape)

    down, right = down[:, None], right[:, None]
    above = at(0, 0) * (1 - right) + at(0, 1) * right
    below = at(1, 0) * (1 - right) + at(1, 1) * right
    return np.asarray(above * (1 - down) + below * down)


def _triangles(length: int, wanted: int) -> Array:
    """Weights (wanted, length) of each input for each output, every row with the sum 1."""
    ratio = length / wanted
    support = max(1.0, ratio)
    centres = (np.arange(wanted) + 0.5) * ratio
    weights = np.maximum(0, 1 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / support)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _together(images: Array, labels: Array, path: str, shape: Shape, how: Preprocessing) -> Data:
    if images.ndim not in (3, 4) or labels.shape != images.shape[:1] or not len(labels):
        raise ParameterError(
            f"{path}: images {images.shape} and labels {labels.shape}: give (N, H, W[, C]) and (N,)"
        )
    if 0 in images.shape:
        raise ParameterError(f"{path}: images {images.shape} have no pixels")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ParameterError(f"{path}: labels are {labels.dtype}: give whole numbers from 0")
    if labels.max() >= _MOST_CLASSES:
        raise ParameterError(f"{path}: a label is {labels.max()}; give numbers below {_MOST_CLASSES}")
    top = 255.0 if images.dtype == np.uint8 else max(1.0, float(images.max()))
    prepared = np.empty((len(images), *shape), np.float32)
    for number, image in enumerate(images if images.ndim == 4 else images[..., None]):
        prepared[number] = prepare(image.astype(np.float32) / np.float32(top), shape, how)
    first = int(labels.min())
    names = [str(i) for i in range(first, int(labels.max()) + 1)]
    return Data(prepared, labels.astype(np.intp) - first, names)


def _idx_pair(place: Path) -> tuple[Path, Path] | None:
    """Return the file of images that is meant, in a folder that of training, and the labels beside it."""
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    found = {file: named for file in files if (named := _IDX_IMAGES.fullmatch(file.name))}
    if not found:
        return None
    learned = (file for file, named in found.items() if named[1].endswith("train-"))
    images = next(learned, next(iter(found)))
    start, mark, packed = found[images].groups("")
    labels = images.with_name(f"{start}labels{mark}idx1-ubyte{packed}")
    if not labels.exists():
        raise FilterFileError(f"{images}: its labels, {labels.name}, are not beside it")
    return images, labels


def parts(path: str) -> tuple[str, str] | None:
    """Return the folders of a data set that is parted already into training and held-out images, or None.

    Each holds the folders of the classes: ``train/`` or ``training/``, and ``val/``, ``valid/``,
    ``validation/`` or, where there is none of them, ``test/``.
    """
    held = [
        next((folder for name in names if _holds_folders(folder := Path(path, name))), None)
        for names in _PARTS
    ]
    return (str(held[0]), str(held[1])) if held[0] and held[1] else None


def _holds_folders(place: Path) -> bool:
    return place.is_dir() and any(inner.is_dir() for inner in place.iterdir())


def _read_folders(place: Path, read_image: ReadImage, shape: Shape, how: Preprocessing, memory: int) -> Data:
    folders = sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise FilterFileError(f"{place}: no folders of images and no IDX files in it")
    found = [(str(file), label) for label, folder in enumerate(folders) for file in _files(folder)]
    files = [file for file, _ in found]
    images, numbers, errors = read_images(
        files, read_image, lambda image: prepare(image, shape, how), shape, memory
    )
    labels = np.array([found[number][1] for number in numbers], np.intp)
    for label, folder in enumerate(folders):
        if label not in labels:
            raise ParameterError(f"{folder}: no image that can be read; remove the folder or fill it")
    skipped = [f"{files[n]}: {str(error).removeprefix(f'{files[n]}: ')}" for n, error in errors.items()]
    return Data(images, labels, [folder.name for folder in folders], skipped)


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from sorted(Path(e.path) for e in entries if e.is_file() and not e.name.startswith("."))
