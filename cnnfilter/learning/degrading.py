"""Pairs that are made on the fly: clean pictures, read when they are needed, and what spoils them."""

import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.learning.pairs import Array, Pair
from cnnfilter.learning.patches import Batch, PatchSource, drawn_channels, empty_batch

if TYPE_CHECKING:
    from cnnfilter.learning.training import StackOptions

KINDS = {"noise": (0.0, 255.0), "jpeg": (1.0, 100.0), "blur": (0.1, 20.0)}
"""What spoils a picture, and the numbers that it takes: 255ths of white, quality, sigma in pixels."""
MEMORY = 512 << 20
_FORM = re.compile(r"(\w+):(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")
_BESIDE = 24  # pixels beside a patch that are spoiled with it, so that no border enters
_STAY = 8  # steps after which the oldest picture makes room, where not all fit
_HELD, _HELD_SIDE = 40, 256  # pictures that are judged by, at most, and their middle parts


@dataclass(frozen=True)
class Degradation:
    """What spoils a picture: noise, JPEG or blur, drawn between two levels.

    Examples
    --------
    >>> Degradation.parse("noise:5-50")
    Degradation(kind='noise', low=5.0, high=50.0)
    >>> Degradation.parse("jpeg:30").high
    30.0
    """

    kind: str
    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> "Degradation":
        """Read ``noise:5-50``, ``jpeg:10-60`` or ``blur:0.8-2``, or one level alone.

        Raises
        ------
        ParameterError
            If the text is of another form, or a level is out of range.
        """
        found = _FORM.fullmatch(text)
        if found is None or found[1] not in KINDS:
            raise ParameterError(f"{text!r} is not noise:5-50, jpeg:10-60 or blur:0.8-2, or one level alone")
        low, high = float(found[2]), float(found[3] or found[2])
        least, most = KINDS[found[1]]
        if not least <= low <= high <= most:
            raise ParameterError(
                f"{text!r}: levels of {found[1]} rise and lie between {least:g} and {most:g}"
            )
        return cls(found[1], low, high)

    def __call__(self, image: Array, generator: np.random.Generator) -> Array:
        """Spoil an image (H, W, C) of pixel values up to 255; floats."""
        level = float(generator.uniform(self.low, self.high))
        if self.kind == "noise":
            return np.asarray(image + level * generator.standard_normal(image.shape, np.float32))
        if self.kind == "blur":
            from cnnfilter.filters.gaussian import gaussian

            return gaussian(image.astype(np.float32), level)
        return _as_jpeg(image, round(level)).astype(np.float32)


def _as_jpeg(image: Array, quality: int) -> Array:
    from cnnfilter.files import Picture, read, write

    levels = _levels(image)
    file = io.BytesIO()
    picture = Picture([levels[..., 0]]) if levels.shape[2] == 1 else Picture([levels], model="rgb")
    write(picture, file, form="JPEG", quality=quality)
    file.seek(0)
    return read(file).frames[0].reshape(levels.shape)


def _levels(image: Array) -> Array:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def grey_of(image: Array) -> Array:
    """Return the luma (H, W, 1) of a colour picture (H, W, 3) of 8 bits.

    Examples
    --------
    >>> grey_of(np.array([[[255, 0, 0], [9, 9, 9]]], np.uint8)).ravel().tolist()
    [76, 9]
    """
    return _levels(image @ np.array([[0.299], [0.587], [0.114]], np.float32))


def degraded(image: Array, how: Sequence[Degradation], generator: np.random.Generator) -> Array:
    """Spoil an image of 8 bits in one way after the other, and round it once.

    Examples
    --------
    >>> grey = np.full((2, 2, 1), 100, np.uint8)
    >>> degraded(grey, [Degradation("noise", 9, 9)], np.random.default_rng(0))[..., 0].tolist()
    [[96, 93], [105, 99]]
    """
    values: Array = image
    for degradation in how:
        values = degradation(values, generator)
    return _levels(values)


class CleanPatches(PatchSource):
    """Patches of clean pictures that are spoiled anew for each step; every fifth picture is held out.

    Parameters
    ----------
    files : sequence of Path
        Of at least two pictures, all of one number of channels.
    how : sequence of Degradation
    reach : int
        Rows and columns that one result depends on.
    memory : int
        Bytes of decoded pictures that are held; those beyond take turns.
    """

    def __init__(
        self, files: Sequence[Path], how: Sequence[Degradation], reach: int, memory: int = MEMORY
    ) -> None:
        if len(files) < 2:
            raise ParameterError(
                f"{len(files)} clean pictures: give two or more, since every fifth is held out"
            )
        if not how:
            raise ParameterError("nothing spoils the pictures: give noise:5-50, jpeg:10-60 or blur:0.8-2")
        self.how, self.memory = tuple(how), memory
        held = [file for k, file in enumerate(files) if k % 5 == 1]
        self.files = [file for k, file in enumerate(files) if k % 5 != 1]
        self.shifts = []
        self._kept: dict[int, Array] = {}
        self._planes = 0
        pairs = [self._held_out(file) for file in held[:_HELD]]
        self.judge = [(pair, slice(0, len(pair.targets((reach, reach))))) for pair in pairs]
        small = [file for (_, band), file in zip(self.judge, held, strict=False) if not band.stop]
        if small:
            raise ParameterError(f"{small[0]} is smaller than the {reach}x{reach} pixels that a result sees")

    def drawn(self, options: "StackOptions", reach: int, step: int, generator: np.random.Generator) -> Batch:
        """Cut patches out of the pictures that are at hand in this step, and spoil them."""
        at_hand = self._at_hand(step // _STAY)
        side, margin = options.patch, reach - 1
        x, wanted = empty_batch(options, reach, self.channels)
        whole = side + margin + 2 * _BESIDE
        middle = slice(_BESIDE, _BESIDE + side + margin)
        first = margin // 2
        for n in range(options.batch):
            picture = at_hand[int(generator.integers(len(at_hand)))]
            top, left = (int(generator.integers(max(1, length - whole + 1))) for length in picture.shape[:2])
            part = picture[top : top + whole, left : left + whole]
            if min(part.shape[:2]) < whole:
                missing = [(0, whole - length) for length in part.shape[:2]]
                part = np.pad(part, (*missing, (0, 0)), "symmetric")
            channels = drawn_channels(options, self.channels, generator)
            if options.grey and generator.random() < options.grey:
                part = grey_of(part)
            spoiled = degraded(part, self.how, generator)[middle, middle, channels]
            clean = part[middle, middle, channels][first : first + side, first : first + side]
            x[n], wanted[n] = spoiled.transpose(2, 0, 1), clean.transpose(2, 0, 1)
        return x, wanted

    def marks(self) -> Any:
        """Return the names of the pictures and what spoils them."""
        return [[file.name for file in self.files], [[h.kind, h.low, h.high] for h in self.how]]

    def samples(self, most: int = 8) -> list[Pair]:
        """Return pairs of the first pictures that are learned from."""
        return [self._held_out(file) for file in self.files[:most]]

    def _at_hand(self, turn: int) -> list[Array]:
        """Return the pictures from number `turn` on, round and round, as many as fit in memory."""
        numbers: list[int] = []
        room = self.memory
        for k in range(len(self.files)):
            number = (turn + k) % len(self.files)
            picture = self._kept.get(number)
            if picture is None:
                picture = self._kept[number] = self._read(self.files[number])
            if numbers and picture.nbytes > room:
                break
            numbers.append(number)
            room -= picture.nbytes
        if len(numbers) == len(self.files):
            numbers.sort()  # all fit: whose turn it is makes no difference
        self._kept = {number: self._kept[number] for number in numbers}
        return list(self._kept.values())

    def _held_out(self, file: Path) -> Pair:
        picture = self._read(file)
        top, left = (max(0, (length - _HELD_SIDE) // 2) for length in picture.shape[:2])
        clean = picture[top : top + _HELD_SIDE, left : left + _HELD_SIDE]
        generator = np.random.default_rng(zlib.crc32(file.name.encode()))
        return Pair.of(degraded(clean, self.how, generator), np.ascontiguousarray(clean), str(file))

    def _read(self, file: Path) -> Array:
        """Read a picture as (H, W, C) of 8 bits, without its alpha."""
        from cnnfilter.files import read

        picture = read(file)
        frame = picture.frames[0]
        if picture.alpha:
            frame = frame[..., :-1]
        if frame.dtype not in (np.uint8, np.uint16):
            raise ParameterError(f"{file} is {frame.dtype}: clean pictures have 8 or 16 bits")
        levels = frame if frame.dtype == np.uint8 else _levels(frame / 257)
        levels = levels.reshape(*levels.shape[:2], -1)
        self._planes = self._planes or levels.shape[2]
        if levels.shape[2] != self._planes:
            raise ParameterError(
                f"{file} has {levels.shape[2]} channels, others {self._planes}: give one kind"
            )
        return np.ascontiguousarray(levels)
