"""Kernels written for other programs: what ``kernel --as FORM`` prints.

Every form computes the same correlation as :func:`cnnfilter.correlate` away from the border. Programs that
turn a kernel by themselves, normalise it or place its centre elsewhere are told not to. Kernels of sum 0
leave alpha alone where the program can be told so: they would make an opaque picture invisible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.kernels import kernelfile
from cnnfilter.kernels.kerneltext import number_text, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.kernels.kernel import Kernel

    Floats = NDArray[np.float64]


def as_text(kernel: Kernel, form: str = "table") -> str | bytes:
    """Write a kernel in the syntax of another program.

    Parameters
    ----------
    kernel : Kernel
    form : {"table", "json", "csv", "npy", "numpy", "c", "latex", "imagemagick", "vips", "gmic", "ffmpeg"}
        ``table`` is for reading (6 digits) and so is ``latex``; all others are exact. ``imagemagick``,
        ``gmic`` and ``ffmpeg`` give arguments for a shell, ``vips`` a matrix file for ``vips conv``.

    Returns
    -------
    str, or bytes for ``npy``
        Text ends in a line end.

    Raises
    ------
    ParameterError
        The form is unknown, or cannot express this kernel; the message says why.

    Examples
    --------
    >>> from cnnfilter.kernels.templates import named
    >>> print(as_text(named("gaussian:3:0.8:integer"), "vips"), end="")
    3 3 16 0
    1 2 1
    2 4 2
    1 2 1
    >>> print(as_text(named("identity:1"), "gmic"), end="")
    '(1)' 'correlate[^-1]' '[-1]' 'remove[-1]'
    """
    if form not in _WRITERS:
        raise ParameterError(f"form {form!r} is not known; choose one of {', '.join(_WRITERS)}")
    return _WRITERS[form](kernel)


def remarks(kernel: Kernel, form: str) -> list[str]:
    """Say what `as_text` cannot: where the other program needs more than the text.

    Examples
    --------
    >>> from cnnfilter.kernels.templates import named
    >>> remarks(named("sobel-x"), "vips")
    ["vips conv filters alpha too, and this kernel of sum 0 makes it 0; take it off first ('vips flatten')"]
    >>> remarks(named("sobel-x"), "gmic")
    []
    """
    if form == "vips" and _sums_to_zero(kernel):
        return [
            "vips conv filters alpha too, and this kernel of sum 0 makes it 0; take it off first "
            "('vips flatten')"
        ]
    if form == "ffmpeg" and _rdiv(kernel):
        return [
            f"FFmpeg before 6 ignores rdiv and divides by {number_text(_ffmpeg_divisor(kernel))}, the sum "
            f"of the weights, not by {number_text(abs(kernel.divisor))}"
        ]
    return []


def _sums_to_zero(kernel: Kernel) -> bool:
    return abs(kernel.sum) <= 1e-9 * float(np.abs(kernel.array).sum())


def _table(kernel: Kernel) -> str:
    return table(kernel) + "\n"


def _json(kernel: Kernel) -> str:
    return kernelfile.format(kernel, "json")


def _csv(kernel: Kernel) -> str:
    return kernelfile.format(kernel, "csv")


def _numpy(kernel: Kernel) -> str:
    rows = ",\n".join(f"    [{', '.join(row)}]" for row in _cells(kernel.weights))
    over = "" if kernel.divisor == 1 else f" / {number_text(kernel.divisor)}"
    return f"import numpy as np\n\nkernel = np.array([\n{rows},\n], dtype=np.float64){over}\n"


def _c(kernel: Kernel) -> str:
    rows, columns = kernel.shape
    body = ",\n".join(f"    {{{', '.join(row)}}}" for row in _cells(kernel.weights))
    return (
        f"static const double kernel[{rows}][{columns}] = {{\n{body}\n}};\n"
        f"static const double kernel_divisor = {number_text(kernel.divisor)};\n"
    )


def _latex(kernel: Kernel) -> str:
    rows = " \\\\\n".join(" & ".join(map(_latex_number, row)) for row in kernel.weights.tolist())
    over = "" if kernel.divisor == 1 else f"\\frac{{1}}{{{_latex_number(kernel.divisor)}}}"
    columns = "r" * kernel.shape[1]
    return f"{over}\\left[\\begin{{array}}{{{columns}}}\n{rows}\n\\end{{array}}\\right]\n"


def _latex_number(value: float) -> str:
    mantissa, _, exponent = f"{value:.6g}".partition("e")
    return f"{mantissa} \\times 10^{{{int(exponent)}}}" if exponent else mantissa


def _imagemagick(kernel: Kernel) -> str:
    """Name Correlate and the centre: ``-convolve`` would divide by the sum, and Convolve turn the kernel."""
    rows, columns = kernel.shape
    values = " ".join(",".join(row) for row in _cells(kernel.array))
    centre = f"+{(columns - 1) // 2}+{(rows - 1) // 2}"
    text = f"-morphology Correlate '{columns}x{rows}{centre}: {values}'"
    # K is the black of CMYK, and stands for nothing elsewhere.
    return (f"-channel RGBK {text} +channel" if _sums_to_zero(kernel) else text) + "\n"


def _vips(kernel: Kernel) -> str:
    weights = _odd(kernel.weights)
    rows, columns = weights.shape
    body = "\n".join(" ".join(row) for row in _cells(weights))
    return f"{columns} {rows} {number_text(kernel.divisor)} 0\n{body}\n"


def _gmic(kernel: Kernel) -> str:
    values = ";".join(",".join(row) for row in _cells(_odd(kernel.array)))
    words = _GMIC_COLOURS if _sums_to_zero(kernel) else "correlate[^-1] [-1]"
    return " ".join(f"'{word}'" for word in (f"({values})", *words.split(), "remove[-1]")) + "\n"


_GMIC_COLOURS = (
    "repeat {$!-1} local[$>,-1] split_opacity[0] correlate[0] [-1] "
    "if {$!>2} append[0,1] c endif endlocal done"
)
"""Correlate each image with the last one, and put its alpha back if it had one."""

_FFMPEG_PIXELS = "gray|gbrp|gbrap|gray16|gbrp16|gbrap16"
"""FFmpeg takes what loses nothing; among the colour differences of JPEG and video a kernel that does not keep
grey turns pictures green."""


def _ffmpeg(kernel: Kernel) -> str:
    """Write the convolution filter for all planes, of which the fourth is alpha.

    Left alone it divides by the sum, or by 1 for a sum of 0; FFmpeg 5.1 does so even if ``rdiv`` is given. So
    ``rdiv`` is written only where the kernel needs another divisor.
    """
    weights = -kernel.weights if kernel.divisor < 0 else kernel.weights  # rdiv cannot be negative
    if not np.array_equal(weights, np.rint(weights)):
        raise ParameterError(
            "ffmpeg takes whole weights only, and these are not; an integer template (--integer) is one"
        )
    if float(np.abs(weights).sum()) * 255 >= 2**31:
        raise ParameterError("ffmpeg sums in 32 bits, and these weights times 255 do not fit")
    weights, mode = _ffmpeg_matrix(weights)
    options = {"m": " ".join(number_text(value) for value in weights.ravel().tolist())}
    if mode != "square":
        options["mode"] = mode
    if rdiv := _rdiv(kernel):
        options["rdiv"] = rdiv
    count = 3 if _sums_to_zero(kernel) else 4
    planes = ":".join(f"{plane}{key}={value}" for plane in range(count) for key, value in options.items())
    # FFmpeg 5.1 computes columns wrongly at the seams between its threads.
    threads = "-filter_threads 1 " if mode == "column" else ""
    return f"{threads}-vf 'format={_FFMPEG_PIXELS},convolution={planes}'\n"


def _rdiv(kernel: Kernel) -> str:
    """Return what FFmpeg is to multiply by, or nothing where it does so by itself."""
    divisor = abs(kernel.divisor)
    return "" if divisor == _ffmpeg_divisor(kernel) else number_text(1 / divisor)


def _ffmpeg_divisor(kernel: Kernel) -> float:
    """Return what FFmpeg divides by if it is told nothing."""
    return float(kernel.weights.sum()) * (-1 if kernel.divisor < 0 else 1) or 1.0


def _ffmpeg_matrix(weights: Floats) -> tuple[Floats, str]:
    weights = _odd(weights)
    rows, columns = weights.shape
    if rows == 1 and columns <= 49:
        return weights, "row"
    if columns == 1 and 7 < rows <= 49:
        return weights, "column"
    side = max(3, rows, columns)
    if side > 7:
        raise ParameterError(
            f"ffmpeg takes kernels up to 7x7, or up to 49 in one row or column; this one is {rows}x{columns}"
        )
    dy, dx = (side - rows) // 2, (side - columns) // 2
    return np.pad(weights, ((dy, dy), (dx, dx))), "square"


def _odd(weights: Floats) -> Floats:
    """Add a row of zeros on top and a column on the left of even sizes, whose centre programs place apart."""
    rows, columns = weights.shape
    return np.pad(weights, ((1 - rows % 2, 0), (1 - columns % 2, 0)))


def _cells(weights: Floats) -> list[list[str]]:
    return [[number_text(value) for value in row] for row in weights.tolist()]


_WRITERS: dict[str, Callable[[Kernel], str | bytes]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "npy": kernelfile.npy_bytes,
    "numpy": _numpy,
    "c": _c,
    "latex": _latex,
    "imagemagick": _imagemagick,
    "vips": _vips,
    "gmic": _gmic,
    "ffmpeg": _ffmpeg,
}
SYNTAXES = tuple(_WRITERS)
"""Forms that :func:`as_text` knows."""
