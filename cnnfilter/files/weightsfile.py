"""Tensors on disk: .safetensors, .npz, .npy and, by PyTorch, .pth. Nothing in a file is ever executed.

Everything is checked before memory is taken for it: the sizes a header claims against the file, the
total against a cap, element types against a list. What is not known is refused by name.
"""

import contextlib
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
import safetensors.numpy

from cnnfilter import npyfile
from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.files import torchfile

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]

MAX_BYTES = 2 << 30
"""Most bytes that the tensors of one file may take."""
PLAUSIBLE_BYTES, PLAUSIBLE_RATIO = 1 << 28, 100
"""Beyond so many bytes, and so many times those of the file, what unpacks is made to fill the memory."""
MAX_HEADER = 100_000_000
"""Most bytes of a safetensors header, the limit of the format itself."""

# The start of a pickle of the number that PyTorch's older form begins with.
_TORCH_BEFORE_1_6 = bytes.fromhex("80028a0a6cfc9c46")

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "|b1", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1",
}  # fmt: skip


def read_tensors(
    path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES, finite: bool = True
) -> tuple[dict[str, Array], dict[str, str]]:
    """Read all tensors of a file and its text metadata.

    Parameters
    ----------
    path : path
        A ``.safetensors``, ``.npz``, ``.npy`` or ``.pth`` file, recognised by its bytes. A ``.npy``
        holds one tensor, which gets the name "array". A ``.pth`` needs PyTorch to be installed.
    max_bytes : int, default 2 GiB
        Most bytes the tensors may take in memory.
    finite : bool, default True
        Refuse NaN and infinite values.

    Returns
    -------
    tensors : dict of str to ndarray
        Real numbers in native byte order; bfloat16 becomes float32.
    metadata : dict of str to str
        Empty but for safetensors.

    Raises
    ------
    FilterFileError
        If the file cannot be read, is truncated, claims what it does not hold, takes more than
        `max_bytes`, holds anything but real numbers, or is of a form that is not known.
    """
    metadata: dict[str, str] = {}
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            if start[:6] == b"\x93NUMPY":
                tensors = {"array": _read_npy(file, os.fstat(file.fileno()).st_size, max_bytes)}
            elif start == _TORCH_BEFORE_1_6:
                tensors = torchfile.read(file, path, os.fstat(file.fileno()).st_size, max_bytes)
            elif start[:4] == b"PK\x03\x04":
                tensors = _read_zip(file, path, max_bytes)
            else:
                tensors, metadata = _read_safetensors(file, start, max_bytes)
    except FilterFileError as error:
        raise FilterFileError(f"{path}: {error}") from None
    except OSError as error:
        raise FilterFileError(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FilterFileError(f"{path}: damaged or not a file of tensors ({error})") from error
    if finite:
        for name, tensor in tensors.items():
            if not np.isfinite(tensor).all():
                raise FilterFileError(f"{path}: tensor {name!r} holds NaN or infinite values")
    return tensors, metadata


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors as safetensors, whole or not at all: beside the target, then renamed into place.

    Parameters
    ----------
    path : path
    tensors : mapping of str to ndarray
        float16, float32, float64, bool or integers.
    metadata : mapping of str to str, optional

    Raises
    ------
    FilterFileError
        If the file cannot be written.
    """
    from cnnfilter.wholefile import whole_file

    for name, tensor in tensors.items():
        if tensor.dtype.newbyteorder("<").str not in _DTYPES.values():
            raise FilterFileError(f"{path}: tensor {name!r} is {tensor.dtype}: give real numbers")
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    content = _repeatable(safetensors.numpy.save(contiguous, dict(metadata) if metadata else None))
    try:
        with whole_file(os.fspath(path)) as file:
            file.write(content)
    except OSError as error:
        raise FilterFileError(f"{path}: {error.strerror or error}") from error


def _repeatable(content: bytes) -> bytes:
    """Sort the metadata, whose order safetensors leaves to chance: equal tensors make equal files."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[end:]


def _read_safetensors(
    file: IO[bytes], start: bytes, max_bytes: int
) -> tuple[dict[str, Array], dict[str, str]]:
    size = os.fstat(file.fileno()).st_size
    if len(start) < 8:
        raise FilterFileError(f"{size} bytes are too few for a file of tensors")
    (length,) = struct.unpack("<Q", start)
    if length > min(MAX_HEADER, size - 8):
        raise FilterFileError(
            "not a .safetensors, .npz, .npy or .pth file: read as safetensors, its header would be "
            f"{length} bytes in a file of {size}"
        )
    text = file.read(length)
    if text[:1] != b"{":
        raise FilterFileError("not a .safetensors, .npz, .npy or .pth file: no header begins with '{'")
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique)
    except RecursionError:
        raise FilterFileError("the header is nested too deeply") from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FilterFileError("__metadata__ must map text to text")
    _check_entries(header, size - 8 - length, max_bytes)
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: int(item[1]["data_offsets"][0])):
        with _told():
            flat = npyfile.read_flat(file, math.prod(entry["shape"]), _DTYPES[entry["dtype"]])
        raw = flat.reshape(entry["shape"])
        if entry["dtype"] == "BF16":  # the upper half of a float32
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    return {name: tensors[name] for name in header}, metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise FilterFileError("the header names a tensor twice")
    return names


def _check_entries(header: dict[str, Any], room: int, max_bytes: int) -> None:
    """Types known, sizes equal to the shapes, no overlap, no hole, nothing outside the file."""
    spans = []
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise FilterFileError(f"tensor {name!r} needs dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise FilterFileError(f"tensor {name!r} is of type {dtype!r}: known are {', '.join(_DTYPES)}")
        if not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
            raise FilterFileError(f"tensor {name!r} has shape {shape!r} and data_offsets {offsets!r}")
        begin, end = offsets
        wanted = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
        if end - begin != wanted:
            raise FilterFileError(f"tensor {name!r} of shape {shape} has {end - begin} bytes, not {wanted}")
        spans.append((begin, end, name))
    at = 0
    for begin, end, name in sorted(spans):
        if begin != at or end > room:
            raise FilterFileError(
                f"tensor {name!r} lies at bytes {begin} to {end}, but {at} follows and {room} are there"
            )
        at = end
    if at > max_bytes:
        raise FilterFileError(f"the tensors take {at} bytes, more than the limit of {max_bytes}")


def _counts(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def _read_zip(file: IO[bytes], path: str | os.PathLike[str], max_bytes: int) -> dict[str, Array]:
    """Read the arrays of an .npz, or the tensors of a .pth, which is a zip archive, too."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if any(member.filename.endswith("/data.pkl") for member in members):
            return torchfile.read(file, path, total, max_bytes)
        if total > max_bytes:
            raise FilterFileError(f"unpacked it takes {total} bytes, more than the limit of {max_bytes}")
        packed = sum(member.compress_size for member in members)
        if total > max(PLAUSIBLE_BYTES, PLAUSIBLE_RATIO * packed):
            raise FilterFileError(
                f"{packed} bytes would unpack to {total}, as no weights do; unpack it yourself"
            )
        tensors = {}
        for member in members:
            if not member.filename.endswith(".npy"):
                raise FilterFileError(
                    f"holds {member.filename!r}, which is not an array: .npz files hold .npy only"
                )
            name = member.filename.removesuffix(".npy")
            try:
                with archive.open(member) as part:
                    tensors[name] = _read_npy(part, member.file_size, max_bytes)
            except FilterFileError as error:
                raise FilterFileError(f"{name!r}: {error}") from error
    return tensors


def _read_npy(file: IO[bytes], size: int, max_bytes: int) -> Array:
    """Read one .npy, its header held against the bytes that are there before memory is taken."""
    file.seek(0)
    with _told():
        header = npyfile.read_header(file)
    shape, _, dtype = header
    if dtype.kind not in "fiub":
        raise FilterFileError(f"an array of {dtype} is refused: real numbers only")
    wanted = header.size
    if wanted != size - file.tell():
        raise FilterFileError(
            f"an array of {dtype} {shape} takes {wanted} bytes, but {size - file.tell()} are there"
        )
    if wanted > max_bytes:
        raise FilterFileError(f"the array takes {wanted} bytes, more than the limit of {max_bytes}")
    with _told():
        return npyfile.read_values(file, header)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what is wrong with numbers into what is wrong with a file."""
    try:
        yield
    except ParameterError as error:
        raise FilterFileError(str(error)) from error
