"""Images of files that need not all be in memory: read when they are asked for, 8 bits kept as 8 bits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np

from cnnfilter.core.threads import count
from cnnfilter.errors import CnnFilterError
from cnnfilter.nn.functional.windows import Array

Read = Callable[[str], Array]

_LEVELS = np.float32(255)


class LazyImages:
    """Images as an array of shape (N, D, H, W) would give them, each made when it is asked for.

    Parameters
    ----------
    files : sequence of str
    read : callable
        Reads a file as float32 (H, W, C) from 0 to 1.
    prepare : callable
        Brings what was read to shape (D, H, W).
    shape : tuple of int
        (D, H, W).
    kept : dict of int to ndarray of uint8
        Decoded pixels of some files, so that these are not decoded again.

    Examples
    --------
    >>> read, prepare = lambda file: np.ones((2, 2, 1)), lambda image: image.reshape(1, 2, 2)
    >>> images = LazyImages(["a", "b"], read, prepare, (1, 2, 2), {})
    >>> images.shape, images[:1].shape, images.part(np.array([1])).shape
    ((2, 1, 2, 2), (1, 1, 2, 2), (1, 1, 2, 2))
    """

    def __init__(
        self, files: Sequence[str], read: Read, prepare: Callable[[Array], Array], shape: tuple[int, ...],
        kept: dict[int, Array], numbers: Array | None = None,
    ) -> None:  # fmt: skip
        self._files, self._read, self._prepare, self._kept = files, read, prepare, kept
        self._numbers = np.arange(len(files)) if numbers is None else numbers
        self._shape = shape

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D, H, W)."""
        return len(self), *self._shape

    def part(self, which: Array) -> "LazyImages":
        """Return the images of these numbers, not read yet."""
        numbers = self._numbers[which]
        return LazyImages(self._files, self._read, self._prepare, self._shape, self._kept, numbers)

    def __getitem__(self, which: slice | Array) -> Array:
        """Read the images of a slice or of these numbers: float32 (n, D, H, W)."""
        numbers = self._numbers[which]
        out = np.empty((len(numbers), *self._shape), np.float32)
        for place, number in enumerate(numbers.tolist()):
            pixels = self._kept.get(number)
            image = self._read(self._files[number]) if pixels is None else _from_levels(pixels)
            out[place] = self._prepare(image)
        return out


Images = Array | LazyImages


def read_images(
    files: Sequence[str], read: Read, prepare: Callable[[Array], Array], shape: tuple[int, ...], memory: int
) -> tuple[Images, list[int], dict[int, Exception]]:
    """Read all files once, on all cores; keep what they hold within `memory` bytes.

    Prepared images are kept if all fit, else decoded pixels of 8 bits while they fit.

    Parameters
    ----------
    files : sequence of str
    read : callable
        Takes a path and returns pixels, (H, W) or (H, W, 3) of 8 bits.
    prepare : callable
        Takes pixels and returns a float32 array of `shape`; see `cnnfilter.nn.prepare`.
    shape : tuple of int
        Of a prepared image, (C, H, W).
    memory : int
        Bytes.

    Returns
    -------
    images : ndarray or LazyImages
        Of the files that can be read.
    numbers : list of int
        Which these are.
    errors : dict of int to Exception
        Why others cannot.
    """
    size = 4 * int(np.prod(shape, dtype=np.int64))
    all_fit = len(files) * size <= memory

    def examined(file: str) -> Array | Exception | None:
        try:
            image = read(file)
            prepared = prepare(image)
        except (CnnFilterError, OSError) as error:
            return error
        return prepared if all_fit else _as_levels(image)

    out = np.empty((len(files) if all_fit else 0, *shape), np.float32)
    kept: dict[int, Array] = {}
    errors: dict[int, Exception] = {}
    numbers: list[int] = []
    for number, found in enumerate(_in_turn(examined, files)):
        if isinstance(found, Exception):
            errors[number] = found
            continue
        if all_fit:
            out[len(numbers)] = found
        elif found is not None and found.nbytes <= memory:
            kept[number] = found
            memory -= found.nbytes
        numbers.append(number)
    if all_fit:
        return out[: len(numbers)], numbers, errors
    return LazyImages(files, read, prepare, shape, kept, np.array(numbers, np.intp)), numbers, errors


def batches(images: Images, numbers: Iterable[Array]) -> Iterator[Array]:
    """Yield the images of these numbers, the next ones read while the last are worked on."""
    if isinstance(images, np.ndarray):
        yield from (images[some] for some in numbers)
        return
    with ThreadPoolExecutor(1) as reader:
        coming = None
        for some in chain(numbers, [None]):
            found, coming = coming, None if some is None else reader.submit(images.__getitem__, some)
            if found is not None:
                yield found.result()


def _in_turn(
    work: Callable[[str], Array | Exception | None], files: Sequence[str]
) -> Iterator[Array | Exception | None]:
    """Yield results in the order of the files, few of them waiting at a time."""
    workers = count()
    with ThreadPoolExecutor(workers) as pool:
        many = 4 * workers
        for first in range(0, len(files), many):
            yield from pool.map(work, files[first : first + many])


def _as_levels(image: Array) -> Array | None:
    """Return the 8 bits of an image that is made of them, or None."""
    levels = np.rint(image * _LEVELS).astype(np.uint8)
    return levels if np.array_equal(_from_levels(levels), image) else None


def _from_levels(levels: Array) -> Array:
    return levels.astype(np.float32) / _LEVELS
