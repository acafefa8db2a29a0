"""Kernels by name: what ``--kernel NAME`` accepts and ``kernel list`` prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.kernels import formulas
from cnnfilter.kernels.gaussian import Sigma, Size, gaussian
from cnnfilter.kernels.kernel import Kernel


class Parameter(NamedTuple):
    """One value after a colon: how it is read, and what it is when left out."""

    name: str
    read: Callable[[str], Any]
    default: str


class NamedKernel(NamedTuple):
    """An entry of the registry."""

    name: str
    summary: str
    make: Callable[..., Kernel]
    parameters: tuple[Parameter, ...] = ()
    source: str = ""

    @property
    def usage(self) -> str:
        """Name and parameters as typed: ``log[:SIZE[:SIGMA]]``."""
        opened = "".join(f"[:{parameter.name.upper()}" for parameter in self.parameters)
        return self.name + opened + "]" * len(self.parameters)

    @property
    def defaults(self) -> dict[str, str]:
        """What each parameter is when left out."""
        return {parameter.name: parameter.default for parameter in self.parameters}


def names() -> tuple[str, ...]:
    """Names that :func:`named` knows, in the order of the registry.

    Examples
    --------
    >>> "sobel-x" in names()
    True
    """
    return tuple(entry.name for entry in REGISTRY)


def completed(text: str) -> tuple[str, ...]:
    """Say how a name that was begun may go on: with the rest of the name, or with defaults.

    A default that depends on other parameters stays empty, which means the same.

    Examples
    --------
    >>> completed("sobel"), completed("mean:"), completed("log:9:"), completed("log:")
    (('sobel-x', 'sobel-y'), ('mean:3',), ('log:9:1.4',), ('log::1.4',))
    """
    word, *values = text.split(":")
    if not values:
        return tuple(name for name in names() if name.startswith(word))
    found = [entry for entry in REGISTRY if entry.name == word and len(values) <= len(entry.parameters)]
    rest = [
        "" if re.search(r"[*+]", parameter.default) else parameter.default
        for entry in found
        for parameter in entry.parameters[len(values) - 1 :]
    ]
    if not found or (not rest[0].startswith(values[-1]) and values[-1]):
        return ()
    return (":".join([word, *values[:-1], *rest]),)


def named(name: str) -> Kernel:
    """Make a kernel by its name, with parameters after colons.

    A parameter that is left out, or empty, takes its default.

    Parameters
    ----------
    name : str
        Such as ``sobel-x``, ``gaussian:5:1.0``, ``mean:5x7`` or ``gaussian::2`` (size by default).

    Raises
    ------
    ParameterError
        Unknown name (the message lists close ones), too many parameters, or a value that cannot be used.

    Examples
    --------
    >>> named("sobel-x").weights
    array([[-1.,  0.,  1.],
           [-2.,  0.,  2.],
           [-1.,  0.,  1.]])
    >>> named("mean:5x7").shape
    (5, 7)
    """
    word, *values = name.strip().split(":")
    entry = next((entry for entry in REGISTRY if entry.name == word), None)
    if entry is None:
        raise ParameterError(f"no kernel is named {word!r}; {_suggestion(word)}")
    if len(values) > len(entry.parameters):
        raise ParameterError(f"kernel {name!r} has {len(values)} parameters; write {entry.usage}")
    given = {
        parameter.name: _read(parameter, text.strip(), name)
        for parameter, text in zip(entry.parameters, values, strict=False)
        if text.strip()
    }
    kernel = entry.make(**given)
    return Kernel(kernel.weights, kernel.divisor, name.strip())


def _read(parameter: Parameter, text: str, name: str) -> Any:
    try:
        return parameter.read(text)
    except ValueError as error:
        raise ParameterError(f"kernel {name!r}: {parameter.name} {text!r} cannot be read") from error


def _suggestion(word: str) -> str:
    from difflib import get_close_matches

    known = names()
    close = [name for name in known if name.split("-")[0] == word] or get_close_matches(word, known, 4, 0.5)
    return f"did you mean {', '.join(close)}?" if close else f"known are {', '.join(known)}"


def _size(text: str) -> Size:
    first, cross, second = text.partition("x")
    return (int(first), int(second)) if cross else int(first)


def _sigma(text: str) -> Sigma:
    first, cross, second = text.partition("x")
    return (float(first), float(second)) if cross else float(first)


def _gaussian(size: Size | None = None, sigma: Sigma = 1.0, form: str = "float") -> Kernel:
    match form:
        case "float":
            return gaussian(size, sigma)
        case "integer":
            return gaussian(size, sigma, "integer")
        case "integer-round":
            return gaussian(size, sigma, "integer", "round")
    raise ParameterError(f"form {form!r} is not known; choose float, integer or integer-round")


def _outer(column: list[int], row: list[int]) -> Kernel:
    """Smooth along one axis, take the difference along the other."""
    return Kernel(np.outer(column, row))


def _rows(*rows: list[int], divisor: int = 1) -> Kernel:
    return Kernel(rows, divisor)


def _kirsch(turns: int) -> Kernel:
    """Turn the ring of ``5 5 5 -3 -3 -3 -3 -3`` anticlockwise by eighths, from north."""
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    weights = np.zeros((3, 3))
    for place, weight in enumerate([5, 5, 5, -3, -3, -3, -3, -3]):
        weights[ring[(place - turns) % 8]] = weight
    return Kernel(weights)


_SIZE = Parameter("size", _size, "3")
_AUTO_SIZE = Parameter("size", _size, "2*ceil(4*sigma)+1")
_ANGLE = Parameter("angle", float, "0")
_DIFFERENCE = [-1, 0, 1]
_COMPASS = ("n", "nw", "w", "sw", "s", "se", "e", "ne")

_SOBEL = "Sobel & Feldman 1968; smoothing 1 2 1"
_SCHARR = "Scharr 2000, integer 3x3 operator; smoothing 3 10 3"
_PREWITT = "Prewitt 1970; smoothing 1 1 1"
_ROBERTS = "Roberts 1963, cross operator"

REGISTRY: tuple[NamedKernel, ...] = (
    NamedKernel("identity", "leaves the image as it is", formulas.identity, (_SIZE,)),
    NamedKernel("mean", "mean of a window (equation 10)", formulas.mean, (_SIZE,)),
    NamedKernel(
        "gaussian",
        "Gaussian; FORM is float, integer or integer-round (equations 11, 12)",
        _gaussian,
        (_AUTO_SIZE, Parameter("sigma", _sigma, "1"), Parameter("form", str, "float")),
    ),
    NamedKernel(
        "gaussian-159",
        "textbook 5x5 Gaussian of sigma 1.4 over 159",
        partial(
            _rows,
            [2, 4, 5, 4, 2],
            [4, 9, 12, 9, 4],
            [5, 12, 15, 12, 5],
            [4, 9, 12, 9, 4],
            [2, 4, 5, 4, 2],
            divisor=159,
        ),
        source="round(159 * H / sum(H)), sigma 1.4; known from descriptions of Canny's edge detector",
    ),
    NamedKernel(
        "gaussian-273",
        "textbook 5x5 Gaussian of sigma 1 over 273",
        partial(
            _rows,
            [1, 4, 7, 4, 1],
            [4, 16, 26, 16, 4],
            [7, 26, 41, 26, 7],
            [4, 16, 26, 16, 4],
            [1, 4, 7, 4, 1],
            divisor=273,
        ),
        source="HIPR2, Gaussian smoothing: the Gaussian integrated over each pixel",
    ),
    NamedKernel("binomial", "binomial smoother, 1 2 1 and larger", formulas.binomial, (_SIZE,)),
    NamedKernel(
        "disk", "mean over a disk, as out of focus", formulas.disk, (Parameter("radius", float, "2"),)
    ),
    NamedKernel(
        "motion",
        "blur of a moving camera; ANGLE in degrees anticlockwise",
        formulas.motion,
        (Parameter("length", float, "9"), _ANGLE),
    ),
    NamedKernel(
        "sharpen",
        "identity less AMOUNT times the Laplacian",
        formulas.sharpen,
        (Parameter("amount", float, "1"),),
    ),
    NamedKernel(
        "unsharp",
        "identity plus AMOUNT times what a Gaussian removes",
        formulas.unsharp,
        (_AUTO_SIZE, Parameter("sigma", _sigma, "1"), Parameter("amount", float, "1")),
    ),
    NamedKernel(
        "emboss",
        "relief lit from the upper left",
        partial(_rows, [-2, -1, 0], [-1, 1, 1], [0, 1, 2]),
        source="common in image editors; sum 1 keeps the brightness",
    ),
    NamedKernel(
        "second-derivative",
        "second difference 1 -2 1 along x, y or both (equation 7)",
        formulas.second_derivative,
        (Parameter("axis", str, "both"),),
    ),
    NamedKernel(
        "laplacian-4", "Laplacian over 4 neighbours, equation 7 in x plus y", formulas.second_derivative
    ),
    NamedKernel(
        "laplacian-8",
        "Laplacian over 8 neighbours",
        partial(_rows, [1, 1, 1], [1, -8, 1], [1, 1, 1]),
        source="1 at each neighbour, less their number in the centre",
    ),
    NamedKernel(
        "log",
        "Laplacian of Gaussian, sum 0",
        formulas.laplacian_of_gaussian,
        (_AUTO_SIZE, Parameter("sigma", float, "1.4")),
        "Marr & Hildreth 1980",
    ),
    NamedKernel(
        "dog",
        "difference of two Gaussians, sum 0",
        formulas.difference_of_gaussians,
        (_AUTO_SIZE, Parameter("inner", float, "1"), Parameter("outer", float, "1.6")),
        "Marr & Hildreth 1980, appendix on the ratio 1.6",
    ),
    NamedKernel(
        "sobel-x", "gradient along x, smoothed", partial(_outer, [1, 2, 1], _DIFFERENCE), source=_SOBEL
    ),
    NamedKernel(
        "sobel-y", "gradient along y, smoothed", partial(_outer, _DIFFERENCE, [1, 2, 1]), source=_SOBEL
    ),
    NamedKernel(
        "scharr-x", "gradient along x, rounder", partial(_outer, [3, 10, 3], _DIFFERENCE), source=_SCHARR
    ),
    NamedKernel(
        "scharr-y", "gradient along y, rounder", partial(_outer, _DIFFERENCE, [3, 10, 3]), source=_SCHARR
    ),
    NamedKernel(
        "prewitt-x", "gradient along x, averaged", partial(_outer, [1, 1, 1], _DIFFERENCE), source=_PREWITT
    ),
    NamedKernel(
        "prewitt-y", "gradient along y, averaged", partial(_outer, _DIFFERENCE, [1, 1, 1]), source=_PREWITT
    ),
    NamedKernel(
        "roberts-x", "gradient along the falling diagonal", partial(_rows, [1, 0], [0, -1]), source=_ROBERTS
    ),
    NamedKernel(
        "roberts-y", "gradient along the rising diagonal", partial(_rows, [0, 1], [-1, 0]), source=_ROBERTS
    ),
    *(
        NamedKernel(
            f"kirsch-{direction}",
            f"edges brighter towards {direction.upper()}",
            partial(_kirsch, turns),
            source="Kirsch 1971: 5 on three neighbours, -3 on five",
        )
        for turns, direction in enumerate(_COMPASS)
    ),
    NamedKernel(
        "gabor",
        "wave under a Gaussian; angles in degrees",
        formulas.gabor,
        (
            Parameter("wavelength", float, "8"),
            _ANGLE,
            Parameter("sigma", float, "0.56*wavelength"),
            Parameter("phase", float, "0"),
            Parameter("aspect", float, "1"),
        ),
        "Gabor 1946; Daugman 1985 in two dimensions",
    ),
)
