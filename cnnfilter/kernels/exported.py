"""Kernels as ``kernel --as`` writes them for programs and languages, turned into rows as typed here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from cnnfilter.errors import ParameterError
from cnnfilter.kernels.kerneltext import number_text

_NUMPY = re.compile(r"(?:import numpy as np\s+)?\w+\s*=\s*((?:np|numpy)\.array\(.*)", re.DOTALL)
_C = re.compile(
    r"(?:static )?(?:const )?double \w+\[\d+\]\[\d+\] = \{(?P<rows>[^;]*)\};"
    r"(?:\s*(?:static )?(?:const )?double \w+ = (?P<divisor>[^;]*);)?"
)
_LATEX = re.compile(
    r"(?:\\frac\{1\}\{(?P<divisor>[^\\]*(?:\\times[^\\]*)?)\})?"
    r"\\left\[\\begin\{array\}\{r+\}(?P<rows>.*)\\end\{array\}\\right\]",
    re.DOTALL,
)
_POWER = re.compile(r" \\times 10\^\{(-?\d+)\}")
_MAGICK = re.compile(
    r"""(?:-channel\s\w+\s)?-morphology\sCorrelate\s['"]?(?P<kernel>[^:]*:[^'"]*?)['"]?(?:\s\+channel)?"""
)
_GMIC = re.compile(r"""['"]?\((?P<rows>[^()]*)\)['"]?\s.*\bcorrelate\b.*""")
_FFMPEG = re.compile(
    r"""(?:-filter_threads\s1\s)?(?:-vf\s)?['"]?(?:format=[\w|]*,)?convolution=(?P<options>[^'"]*)['"]?"""
)


def plain(text: str) -> str:
    r"""Return what is read elsewhere: rows parted by ``;``, an array of NumPy or a kernel of ImageMagick.

    A text that no program's syntax is comes back as it is.

    Raises
    ------
    ParameterError
        FFmpeg's planes have different matrices, or what should be a number is none.

    Examples
    --------
    >>> plain("'(-1,0,1;-2,0,2)' 'correlate[^-1]' '[-1]' 'remove[-1]'"), plain("1 2; 3 4")
    ('-1,0,1;-2,0,2', '1 2; 3 4')
    >>> plain("-vf 'convolution=0m=1 2 1:0mode=column:0rdiv=0.125'")
    '1;2;1 / 8'
    >>> plain("-morphology Correlate '3x1+1+0: 1,2,1'")
    '3x1+1+0: 1,2,1'
    """
    bare = text.strip()
    for pattern, read in _READERS:
        if found := pattern.fullmatch(bare):
            return read(found)
    return text


def _divided(rows: str, divisor: str | None) -> str:
    return f"{rows} / {divisor}" if divisor and divisor != "1" else rows


def _of_c(found: re.Match[str]) -> str:
    return _divided(";".join(re.findall(r"\{([^{}]*)\}", found["rows"])), found["divisor"])


def _of_latex(found: re.Match[str]) -> str:
    rows, divisor = (_POWER.sub(r"e\1", found[name] or "") for name in ("rows", "divisor"))
    return _divided(" ".join(rows.replace(r"\\", ";").replace("&", " ").split()), divisor)


def _of_ffmpeg(found: re.Match[str]) -> str:
    options = dict(part.partition("=")[::2] for part in found["options"].split(":"))
    planes = [{key[1:]: value for key, value in options.items() if key[:1] == plane} for plane in "012"]
    first = planes[0]
    if any(plane and plane != first for plane in planes) or not first.get("m"):
        raise ParameterError("the matrices of FFmpeg's planes differ; a kernel is one for all")
    numbers = first["m"].split()
    width = {"row": len(numbers), "column": 1}.get(first.get("mode", "square"), math.isqrt(len(numbers)))
    rows = (" ".join(numbers[start : start + width]) for start in range(0, len(numbers), width))
    return _divided(";".join(rows), _ffmpeg_divisor(numbers, first.get("rdiv")))


def _ffmpeg_divisor(numbers: list[str], rdiv: str | None) -> str:
    """Return what FFmpeg divides by; a divisor that was a whole number is one again."""
    try:
        if rdiv is None:
            return number_text(math.fsum(map(float, numbers)) or 1.0)
        factor = float(rdiv)
        exact = 1 / factor
    except (ValueError, ArithmeticError) as error:
        raise ParameterError(f"FFmpeg's convolution holds what is no number of a kernel ({error})") from error
    whole = float(f"{exact:.0f}")
    return number_text(whole if whole and 1 / whole == factor else exact)


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_NUMPY, lambda found: found[1]),
    (_C, _of_c),
    (_LATEX, _of_latex),
    (_MAGICK, lambda found: found["kernel"]),
    (_GMIC, lambda found: found["rows"]),
    (_FFMPEG, _of_ffmpeg),
)
