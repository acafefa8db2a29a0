"""The reader of ``.npy``: the header first, to be judged, then the values. Nothing in a file is executed."""

import math
from tokenize import TokenError
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnfilter.errors import ParameterError


class Header(NamedTuple):
    """What a file says of its array, to be judged before the values are read."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """Read the header of a file from its beginning.

    Raises
    ------
    ParameterError
        If it is none, of a version other than 1.0, 2.0 and 3.0, or damaged.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.arange(3.0))
    >>> read_header(io.BytesIO(file.getvalue()))
    Header(shape=(3,), fortran_order=False, dtype=dtype('float64'))
    """
    readers: Any = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
        (
            3,
            0,
        ): np.lib.format.read_array_header_2_0,  # more letters in names of fields, which numbers have not
    }
    try:
        return Header(*readers[np.lib.format.read_magic(file)](file))
    except KeyError as error:
        raise ParameterError(f"not an .npy file of version 1.0 to 3.0, but {error}") from error
    except (ValueError, SyntaxError, TypeError, EOFError, MemoryError, RecursionError, TokenError) as error:
        # A parser of Python reads it, and raises whatever it meets.
        raise ParameterError(f"not an .npy file of numbers: {error}") from error


def read_values(file: IO[bytes], header: Header) -> NDArray[Any]:
    """Read the values straight into place, in native byte order.

    Raises
    ------
    ParameterError
        If the file ends before them.
    """
    values = read_flat(file, math.prod(header.shape), header.dtype)
    array = values.reshape(header.shape, order="F" if header.fortran_order else "C")
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def read_flat(file: IO[bytes], count: int, dtype: Any) -> NDArray[Any]:
    """Read so many numbers, which are in memory once, not as bytes, too.

    Raises
    ------
    ParameterError
        If the file ends before them.
    """
    array = np.empty(count, dtype)
    room = array.view(np.uint8).data
    while room:
        done = file.readinto(room[: 1 << 24])  # type: ignore[attr-defined]
        if not done:
            raise ParameterError(f"truncated: {len(room)} of {array.nbytes} bytes are missing")
        room = room[done:]
    return array
