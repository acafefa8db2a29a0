"""Kernels as text and as files, and what ``--kernel`` accepts.

Forms, by suffix:

``.txt``
    A row on a line, values parted by blanks or commas, an optional last line ``/ 16`` with the divisor, and
    comments from ``#`` to the end of a line. A matrix file of vips, which begins with its sizes, is read too,
    and so is all else that ``kernel --as`` writes as text, also under ``.mat``, ``.c``, ``.py`` and ``.tex``.
``.csv``
    The same with commas only.
``.json``
    An object with ``cnnfilter`` (``"kernel"``), ``version`` (1), ``name``, ``weights`` (a list of rows) and
    ``divisor``; any other key, such as ``learned``, is a free note and becomes :attr:`Kernel.meta`. A bare
    list of rows is read too. A learned filter may have a ``bias``, which it adds to the result, as a share of
    the full range (1 is white); a kernel has none, so :func:`load` refuses such a file.
``.npy``
    ``weights / divisor`` as float64; the form has no place for a divisor, which returns as 1. Never pickled.

Text, CSV and JSON give back exactly the weights and the divisor that were saved.
"""

from __future__ import annotations

import codecs
import io
import math
import os
import re
from typing import BinaryIO

import numpy as np

from cnnfilter.errors import CnnFilterError, DtypeError, FilterFileError, ParameterError
from cnnfilter.kernels import exported, othersyntax
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.kernels.kerneltext import number_text
from cnnfilter.kernels.named import named
from cnnfilter.kernels.weights import MAX_SIDE, refuse_ragged
from cnnfilter.npyfile import read_header, read_values

FORMS = ("txt", "csv", "json", "npy")
_READ_AS_TEXT = ("mat", "c", "py", "tex")
MAX_TEXT_BYTES = 8 * 2**20

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_VALUE = re.compile(rf"({_NUMBER})(?:/({_NUMBER}))?", re.ASCII)
# A slash with a blank or the start of a row before it, or with a blank after it, divides the whole kernel.
_DIVISOR = re.compile(r"(?:^|(?<=[\s;,]))/|/(?=\s)")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SUFFIXES = ", ".join(f".{form}" for form in FORMS)


def load(path: str | os.PathLike[str]) -> Kernel:
    """Read a kernel file; the suffix tells the form.

    A kernel without a name of its own is named after the file.

    Raises
    ------
    FilterFileError
        The file cannot be read, is too large (32 MiB of text), or does not hold a kernel, or one with a bias;
        the message begins with the path.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(parse("1 2 1 / 4"), f"{folder}/blur.txt")
    ...     load(f"{folder}/blur.txt")
    <Kernel 'blur' 1x3, sum 1>
    """
    kernel, bias = load_with_bias(path)
    if bias:
        raise FilterFileError(
            f"{path}: has a bias of {number_text(bias)}, which no kernel has; apply the file with "
            "'cnnfilter learned --filter', or learn without --bias"
        )
    return kernel


def load_with_bias(path: str | os.PathLike[str]) -> tuple[Kernel, float]:
    """Read a kernel file as `load` does, and the bias of a learned filter, 0 if it has none."""
    path = os.fspath(path)
    form = "txt" if os.path.splitext(path)[1][1:].lower() in _READ_AS_TEXT else _form_of(path)
    bias = 0.0
    try:
        with open(path, "rb") as file:
            if form == "json":
                from cnnfilter.kernels.kerneljson import kernel_of_json

                kernel, bias = kernel_of_json(_text_of(file))
            else:
                kernel = {"txt": _read_text, "csv": _read_csv, "npy": _read_npy}[form](file)
    except OSError as error:
        raise FilterFileError(f"{path}: {error.strerror or error}") from error
    except CnnFilterError as error:
        raise FilterFileError(f"{path}: {error}") from error
    if not kernel.name:
        name, _ = os.path.splitext(os.path.basename(path))
        kernel = Kernel(kernel.weights, kernel.divisor, name, kernel.meta)
    return kernel, bias


def save(kernel: Kernel, path: str | os.PathLike[str], *, bias: float = 0.0) -> None:
    """Write a kernel file, whole or not at all; the suffix tells the form.

    ``.npy`` stores ``weights / divisor``. Only ``.json`` keeps the name, the notes and the bias of a learned
    filter.

    Raises
    ------
    FilterFileError
        The suffix is unknown, the text would be too large to be read again, or the file cannot be written.
    """
    from cnnfilter.wholefile import whole_file

    path = os.fspath(path)
    form_name = _form_of(path)
    if bias and form_name != "json":
        raise FilterFileError(f"{path}: a bias has no place in .{form_name}; save as .json")
    if form_name == "npy":
        content = npy_bytes(kernel)
    elif form_name == "json":
        from cnnfilter.kernels.kerneljson import json_text

        content = json_text(kernel, bias).encode()
    else:
        content = format(kernel, form_name).encode()
    if form_name != "npy" and len(content) > MAX_TEXT_BYTES:
        raise FilterFileError(
            f"{path}: {len(content)} bytes of text are more than {MAX_TEXT_BYTES}; save as .npy"
        )
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        raise FilterFileError(f"{path}: {error.strerror or error}") from error


def kernel_from(text: str) -> Kernel:
    """Find the kernel that a user means: a file, a name or weights.

    A text that ends in a suffix of the head of this module is a file; one that begins with a letter is a
    name, with parameters after colons; anything else is weights, as in :func:`parse`, and so are NumPy's
    ``array([[...]])`` and what ``kernel --as`` writes.

    Raises
    ------
    ParameterError
        The text looks like a name or weights and cannot be read as such; the message says which.
    FilterFileError
        The text looks like a file, which is missing or holds no kernel.

    Examples
    --------
    >>> kernel_from("sobel-x").sum, kernel_from("1 2 1 / 4").sum
    (0.0, 1.0)
    """
    text = text.strip()
    if os.path.splitext(text)[1][1:].lower() in FORMS + _READ_AS_TEXT and "\n" not in text:
        return load(text)
    text = othersyntax.ascii_twins(text)
    text = exported.plain(text)
    is_name = text[:1].isalpha() and not othersyntax.is_array(text)
    kind, read = ("name", named) if is_name else ("weights", parse)
    try:
        return read(text)
    except (ParameterError, DtypeError) as error:
        if os.path.isfile(text):
            raise ParameterError(
                f"the form of the file {text!r} is not known; a kernel file is {_SUFFIXES}"
            ) from error
        raise type(error)(f"taken for the {kind} of a kernel: {error}") from error


def parse(text: str) -> Kernel:
    """Read a kernel written as text.

    Rows are parted by ``;`` or line ends, values by blanks or commas. ``/ 16`` at the end, with a blank on
    one side of the slash, divides the whole kernel. A value may be a fraction without blanks, such as
    ``1/9``. ``#`` begins a comment. Lists as Python, NumPy and JSON write them and ImageMagick's
    ``3x3: 0,-1,0 ...`` are read too, and what ``kernel --as`` writes.

    Parameters
    ----------
    text : str

    Raises
    ------
    ParameterError
        With the row and the column of what cannot be read.

    Examples
    --------
    >>> parse("1 2 1; 2 4 2; 1 2 1 / 16").divisor
    16.0
    >>> parse("1/4 1/2 1/4").weights
    array([[0.25, 0.5 , 0.25]])
    >>> parse("1 2 1; 2 x1 2")
    Traceback (most recent call last):
        ...
    cnnfilter.errors.ParameterError: at row 2, column 2: 'x1' is not a number
    """
    values, divisor = read_rows(text)
    if not values:
        raise ParameterError("there are no weights; write rows such as '1 2 1; 2 4 2; 1 2 1 / 16'")
    return Kernel(values, divisor if divisor is not None else 1.0)


def read_rows(text: str, most: int = MAX_SIDE) -> tuple[list[list[float]], float | None]:
    """Read the rows of a text as `parse` does, and the divisor if there is one; there may be no rows.

    More than `most` rows, or numbers in a row, are refused before they are read.

    Examples
    --------
    >>> read_rows("1 2; 1/2 1/4")
    ([[1.0, 2.0], [0.5, 0.25]], None)
    """
    text = othersyntax.rows(exported.plain(othersyntax.ascii_twins(text)))
    text = text.replace(r"\n", "\n")  # typed for a line end, which a shell leaves as it is
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    # A line may end in the ; that parts it from the next.
    body = ";".join(line.removesuffix(";").rstrip() for line in lines if line.strip("; \t"))
    weights, divisor = _split_divisor(body)
    if not weights:
        return [], divisor
    if weights.count(";") >= most:
        raise ParameterError(f"there are more than {most} rows, the most that are read")
    cells = [_cells(row, number, most) for number, row in enumerate(weights.split(";"), 1)]
    refuse_ragged(cells)
    _refuse_ambiguous(cells, divisor)
    values = [[_value(cell, u, v) for v, cell in enumerate(row, 1)] for u, row in enumerate(cells, 1)]
    return values, divisor


def format(kernel: Kernel, form: str = "txt") -> str:
    """Write a kernel as the text of a ``txt``, ``csv`` or ``json`` file; see the head of this module.

    Examples
    --------
    >>> print(format(parse("1 2 1; 2 4 2; 1 2 1 / 16")), end="")
    1 2 1
    2 4 2
    1 2 1
    / 16
    """
    if form == "json":
        from cnnfilter.kernels.kerneljson import json_text

        return json_text(kernel)
    if form not in ("txt", "csv"):
        raise ParameterError(f"form {form!r} is not known; choose txt, csv or json")
    separator = "," if form == "csv" else " "
    lines = [separator.join(map(number_text, row)) for row in kernel.weights.tolist()]
    if kernel.divisor != 1:
        lines.append(f"/ {number_text(kernel.divisor)}")
    return "\n".join(lines) + "\n"


def npy_bytes(kernel: Kernel) -> bytes:
    """Write ``weights / divisor`` as the bytes of an ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(kernel.array), allow_pickle=False)
    return file.getvalue()


def _form_of(path: str) -> str:
    suffix = os.path.splitext(path)[1]
    form = suffix[1:].lower()
    if form not in FORMS:
        raise FilterFileError(f"{path}: the suffix {suffix!r} is not known; a kernel file is {_SUFFIXES}")
    return form


def _split_divisor(body: str) -> tuple[str, float | None]:
    slash = _DIVISOR.search(body)
    if slash is None:
        return body, None
    weights, divisor = body[: slash.start()].rstrip("; \t,"), body[slash.end() :].strip("; \t")
    if not _VALUE.fullmatch(divisor):
        rows = "; rows are parted by ';'" if " " in divisor else ""
        raise ParameterError(f"the divisor {divisor!r} after '/' is not one number{rows}")
    return weights, _quotient(divisor)


def _cells(row: str, number: int, most: int) -> list[str]:
    cells = re.split(r"\s*,\s*|\s+", row.strip(), maxsplit=most)
    if len(cells) > most:
        raise ParameterError(f"row {number} has more than {most} values, the most that are read")
    if "" in cells:
        raise ParameterError(f"at row {number}, column {cells.index('') + 1}: there is no value")
    return cells


def _refuse_ambiguous(cells: list[list[str]], divisor: float | None) -> None:
    """Refuse a fraction as the last of otherwise plain weights: it may be meant as the divisor."""
    *others, last = (cell for row in cells for cell in row)
    if divisor is None and others and "/" in last and not any("/" in cell for cell in others):
        weight, _, below = last.partition("/")
        raise ParameterError(
            f"{last!r} at the end is ambiguous: to divide every weight write '{weight} / {below}'; "
            f"to divide only the last one write another as a fraction too, such as '{others[0]}/1'"
        )


def _value(cell: str, row: int, column: int) -> float:
    if not _VALUE.fullmatch(cell):
        rows = "; rows are parted by ';'" if "|" in cell else ""
        raise ParameterError(f"at row {row}, column {column}: {cell!r} is not a number{rows}")
    value = _quotient(cell)
    if not math.isfinite(value):
        raise ParameterError(f"at row {row}, column {column}: {cell!r} is too large for float64")
    return value


def _quotient(text: str) -> float:
    above, slash, below = text.partition("/")
    if not slash:
        return float(above)
    if float(below) == 0:
        raise ParameterError(f"{text!r} divides by 0")
    return float(above) / float(below)


def _text_of(file: BinaryIO) -> str:
    content = file.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise ParameterError(
            f"more than {MAX_TEXT_BYTES} bytes of text; a large kernel belongs in an .npy file"
        )
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParameterError(f"not UTF-8 text: {error.reason} at byte {error.start}") from error


def _read_text(file: BinaryIO) -> Kernel:
    return parse(othersyntax.vips_rows(_text_of(file)))


def _read_csv(file: BinaryIO) -> Kernel:
    text = _text_of(file)
    if ";" in text:
        raise ParameterError(
            "values in a .csv kernel are parted by commas, and rows by line ends, not by ';'"
        )
    return parse(text)


def _read_npy(file: BinaryIO) -> Kernel:
    """Read the header, judge it, and only then read as many bytes as it speaks of."""
    header = read_header(file)
    shape, _, dtype = header
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DtypeError(f"an array of {dtype} is no kernel; it needs integers or floats of up to 64 bits")
    if len(shape) not in (1, 2) or not all(1 <= side <= MAX_SIDE for side in shape):
        raise ParameterError(
            f"an array of shape {shape} is no kernel; it needs 1 or 2 sides of 1 to {MAX_SIDE}"
        )
    values = read_values(file, header)
    if file.read(1):
        raise ParameterError(f"the array of shape {shape} needs {header.size} bytes; the file holds more")
    return Kernel(values)
