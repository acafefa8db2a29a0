"""Kernels and matrices as other programs write them, turned into rows as this one reads them."""

from __future__ import annotations

import re

from cnnfilter.errors import ParameterError

_NUMPY = re.compile(
    r"(?:(?:np|numpy)\.)?(?:(?:as)?array)?(?P<call>\()?\s*\[(?P<rows>.*)\]\s*(?:,\s*dtype=[\w.]+\s*)?(?(call)\))"
    r"\s*(?P<divisor>/.*)?",
    re.DOTALL,
)
_MAGICK = re.compile(r"(\d+)(?:x(\d+))?(?:([+-]\d+)([+-]\d+))?\s*:(.*)", re.DOTALL)
_TWINS = {sign + 0xFEE0: sign for sign in range(0x21, 0x7F)} | {
    ord(sign): twin
    for sign, twin in zip("\N{IDEOGRAPHIC SPACE}、。\N{MINUS SIGN}\N{EN DASH}×", " ,.--x", strict=True)
}
_FEW = 2000
"""Characters of what is looked at for a beginning; a kernel of ours may have millions."""


def ascii_twins(text: str) -> str:
    """Return a text with the signs that a Chinese or Japanese keyboard writes as those of ASCII.

    Examples
    --------
    >>> ascii_twins("１，２；－３、４　／　１６"), ascii_twins("log：9：1。4")
    ('1,2;-3,4 / 16', 'log:9:1.4')
    """
    return text if text.isascii() else text.translate(_TWINS)


def is_array(text: str) -> bool:
    """Tell whether a text is an array in brackets, or a call that makes one.

    Examples
    --------
    >>> is_array("np.array([[1, 2]])"), is_array("arrow"), is_array("[1 2 1]")
    (True, False, True)
    """
    return re.match(r"\s*((np\.|numpy\.)?(as)?array\()?\s*\[", text[:_FEW]) is not None


def rows(text: str) -> str:
    r"""Return rows parted by ``;`` for arrays of NumPy and JSON and kernels of ImageMagick; else the text.

    Raises
    ------
    ParameterError
        ImageMagick's sizes do not fit the numbers, or the origin is not the middle.

    Examples
    --------
    >>> rows("[[0, -1, 0], [-1, 5, -1]]"), rows("array([[1., 2.],\n       [3., 4.]])"), rows("[1 2 1] / 4")
    ('0, -1, 0;-1, 5, -1', '1., 2.;3., 4.', '1 2 1 / 4')
    >>> rows("3x1: 1,2,1"), rows("1 2; 3 4")
    ('1 2 1', '1 2; 3 4')
    """
    if is_array(text) and (array := _NUMPY.fullmatch(text.strip())):
        found = _array(array["rows"], array["divisor"] or "")
        return text if found is None else found
    if magick := _MAGICK.fullmatch(text.strip()) if ":" in text[:_FEW] else None:
        return _magick(*magick.groups())
    return text


def vips_rows(text: str) -> str:
    r"""Return rows for the text of a vips matrix file, which begins with its width and height; else the text.

    A text that can be read as rows of one length is none, whatever numbers it begins with.

    Examples
    --------
    >>> vips_rows("3 1 4 0\n1 2 1\n"), vips_rows("2 2\n1 2\n3 4\n")
    ('1 2 1 / 4', '2 2\n1 2\n3 4\n')
    """
    head, _, body = text.strip().partition("\n")
    numbers = head.split()
    if len(numbers) not in (2, 4) or not all(one.isdecimal() and len(one) < 10 for one in numbers[:2]):
        return text
    columns, height = map(int, numbers[:2])
    lines = [line.split() for line in body.splitlines() if line.strip()]
    whole = len(lines) == height and all(len(line) == columns for line in lines)
    if columns == len(numbers) or not lines or not whole:
        return text
    scale, offset = numbers[2:] or ("1", "0")
    if not _is_zero(offset):
        raise ParameterError(f"a vips matrix with the offset {offset}, which no kernel has; take it out")
    return ";".join(" ".join(line) for line in lines) + (f" / {scale}" if scale != "1" else "")


def _is_zero(text: str) -> bool:
    try:
        return float(text) == 0
    except ValueError:
        return False


def _array(inner: str, divisor: str) -> str | None:
    """Return the rows within the outer brackets, or None if there are other things than rows."""
    found = re.findall(r"\[([^\[\]]*)\]", inner) if "[" in inner else [inner]
    if "[" in inner and re.sub(r"\[[^\[\]]*\]", "", inner).strip(", \t\r\n"):
        return None
    lines = (" ".join(row.split()).removesuffix(",") for row in found)
    return ";".join(lines) + (f" {divisor}" if divisor else "")


def _magick(width: str, height: str | None, x: str | None, y: str | None, values: str) -> str:
    columns, lines = int(width), int(height or width)
    if not (columns and lines):
        raise ParameterError(
            f"a kernel of {columns} columns by {lines} rows is empty; give 1 or more of each"
        )
    numbers = values.replace(",", " ").split()
    if len(numbers) != columns * lines:
        raise ParameterError(
            f"taken as ImageMagick writes kernels: {columns} columns by {lines} rows are "
            f"{columns * lines} numbers, and there are {len(numbers)}"
        )
    if x is not None and (int(x), int(y or 0)) != ((columns - 1) // 2, (lines - 1) // 2):
        raise ParameterError(
            f"taken as ImageMagick writes kernels: the origin {x}{y} is not the middle; "
            "write rows of zeros where the kernel does not reach"
        )
    return ";".join(" ".join(numbers[start : start + columns]) for start in range(0, len(numbers), columns))
