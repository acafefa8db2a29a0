"""How the values of options are written: sizes, pairs, paddings, boundaries, kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cnnfilter.cli.group import remark
from cnnfilter.errors import CnnFilterError, ParameterError
from cnnfilter.files.forms import WRITTEN

Number = int | float

TEXT_FORMS = ("csv", "txt")
"""Forms of matrices in text."""

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # takes no [Any] when it runs under click 8.2 and 8.3


if TYPE_CHECKING:
    Choice = click.Choice[str]
else:
    Choice = click.Choice


def _plain(value: str) -> str:
    """Read what a Chinese or Japanese keyboard writes; nothing is imported for what is ASCII."""
    if value.isascii():
        return value
    from cnnfilter.kernels.othersyntax import ascii_twins

    return ascii_twins(value)


def _offered(words: Iterable[str], incomplete: str, **how: Any) -> list[CompletionItem]:
    """Return the words that a shell may complete to; only then is that part of click imported."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(word, **how) for word in words if word.startswith(incomplete)]


class OneOf(Choice):
    """One of some words; of another word it says which may have been meant."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Name the nearest beside all of them."""
        from cnnfilter.cli.slips import value_meant

        words = super().get_invalid_choice_message(value, ctx).rstrip(".")
        return words + value_meant(str(value), self.choices)


class Pair(ParamType):
    """A number for rows and columns alike, or one for each: ``5x7`` is 5 rows by 7 columns."""

    name = "pair"

    def __init__(self, number: Callable[[str], Number], least: Number, most: Number, what: str) -> None:
        self.number, self.least, self.most, self.what = number, least, most, what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read ``N`` or ``NxM``."""
        if not isinstance(value, str):
            return value
        parts = _plain(value).lower().split("x")
        try:
            numbers = [self.number(part) for part in parts]
        except ValueError:
            numbers = []
        # Not (a >= least): so NaN is refused too.
        if len(numbers) not in (1, 2) or not all(self.least <= n <= self.most for n in numbers):
            self.fail(f"{value!r} is not {self.what}, such as 3 or 5x7 (rows x columns)", param, ctx)
        return numbers[0] if len(numbers) == 1 else tuple(numbers)


class Sigma(Pair):
    """A standard deviation in pixels, or one for rows and one for columns: above zero."""

    def __init__(self) -> None:
        super().__init__(float, math.ulp(0.0), 512.0, "a length in pixels, above 0 and up to 512, or two")


class Memory(ParamType):
    """An amount of memory, as `lazy.memory.bytes_of` reads it."""

    name = "memory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read ``N`` or ``NMiB``; 0 is one, too."""
        from cnnfilter.lazy.memory import bytes_of

        if isinstance(value, int) or value.strip() == "0":
            return int(value)
        try:
            return bytes_of(value)
        except ParameterError:
            self.fail(f"{value!r} is not an amount of memory, such as 512MiB or 1.5GiB", param, ctx)


class Padding(ParamType):
    """A named padding, a number, ``PYxPX``, or ``TOP,BOTTOMxLEFT,RIGHT``."""

    name = "padding"
    names = ("same", "narrow", "wide", "valid", "full", "equal")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a padding."""
        if not isinstance(value, str) or value in self.names:
            return value
        try:
            parts = _plain(value).lower().split("x")
            sides = [[int(side) for side in part.split(",")] for part in parts]
            if min(map(min, sides)) < 0:
                raise ValueError
        except ValueError:
            self._fail(value, param, ctx)
        match [len(part) for part in sides]:
            case [1]:
                return sides[0][0]
            case [1, 1]:
                return sides[0][0], sides[1][0]
            case [2, 2]:
                return tuple(sides[0]), tuple(sides[1])
        self._fail(value, param, ctx)

    def _fail(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
        from cnnfilter.cli.slips import value_meant

        names, near = ", ".join(self.names), value_meant(value, self.names)
        words = f"{value!r} is none of {names}, N, PYxPX and TOP,BOTTOMxLEFT,RIGHT (pixels){near}"
        self.fail(words, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the names."""
        return _offered(self.names, incomplete)


class Boundary(ParamType):
    """What lies outside the image: a name, or ``constant:VALUE``."""

    name = "boundary"
    names = ("zero", "constant", "edge", "reflect", "symmetric", "wrap", "renormalize")
    # Of SciPy, OpenCV, libvips, ImageMagick and GPUs, where they mean the same. SciPy's reflect does not.
    other_names = MappingProxyType(
        {
            "mirror": "reflect",
            "reflect101": "reflect",
            "reflect-101": "reflect",
            "reflect_101": "reflect",
            "nearest": "edge",
            "replicate": "edge",
            "clamp": "edge",
            "copy": "edge",
            "circular": "wrap",
            "tile": "wrap",
            "repeat": "wrap",
            "grid-wrap": "wrap",
            "black": "zero",
            "zeros": "zero",
            "constant": "zero",
        }
    )

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a boundary; the result is its name, or its name and the constant."""
        if not isinstance(value, str):
            return value
        value = _plain(value)
        name, colon, constant = value.partition(":")
        if name == "constant" and colon:
            try:
                number = float(constant)
            except ValueError:
                number = math.nan
            if math.isfinite(number):
                return name, number
            self.fail(f"{constant!r} is no number; a border of one value is written constant:128", param, ctx)
        elif value in self.names and value != "constant":
            return value
        elif meant := self.other_names.get(value.lower()):
            more = "; constant:VALUE takes another value" if value == "constant" else ""
            remark(ctx, f"the boundary {value!r} is called {meant} here{more}")
            return meant
        from cnnfilter.cli.slips import value_meant

        names = ", ".join(name for name in self.names if name != "constant")
        near = value_meant(value, self.names)
        self.fail(f"{value!r} is none of {names} and constant:VALUE{near}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the names."""
        return _offered(self.names, incomplete)


class KernelText(ParamType):
    """A kernel: a file, a name such as ``sobel-x`` or ``log:9:1.4``, or inline text."""

    name = "kernel"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the kernel; what is wrong with it is an error of usage."""
        if not isinstance(value, str):
            return value
        from cnnfilter.kernels.kernelfile import kernel_from

        try:
            kernel = kernel_from(value)
        except CnnFilterError as error:
            which = f"{value!r} is " if param is not None and param.multiple else ""
            self.fail(f"{which}{error}", param, ctx)
        except OSError as error:
            self.fail(f"{value}: {error.strerror}", param, ctx)
        count, side = kernel.weights.size, math.isqrt(kernel.weights.size)
        if not kernel.name and kernel.shape[0] == 1 and side**2 == count and side % 2 and side > 1:
            remark(
                ctx,
                f"{count} numbers in one row are a kernel of 1x{count}; {side}x{side} has ; between its rows",
            )
        return kernel

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the named kernels, behind a colon their defaults, then files."""
        from cnnfilter.kernels.named import completed

        return _offered(completed(incomplete), incomplete) or _offered([incomplete], incomplete, type="file")


class FormName(ParamType):
    """The form of an output, by its name or a suffix; it is looked up where it is used."""

    name = "form"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the usual suffixes."""
        return _offered((*WRITTEN, *TEXT_FORMS), incomplete.lower())


class MissingValue(ParamType):
    """What stands for missing pixels: ``nan``, a number, or ``none`` if nothing does."""

    name = "missing"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a word or a number; ``none`` stays a word, so that it is told from no option."""
        from cnnfilter.core.missing import parse_missing

        if not isinstance(value, str):
            return value
        try:
            found = parse_missing(value)
        except CnnFilterError as error:
            self.fail(str(error), param, ctx)
        return "none" if found is None else found


class Place(ParamType):
    """A row and a column, counted from 0: ``2,3``; of a signal one number will do."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read one or two whole numbers."""
        if not isinstance(value, str):
            return value
        parts = _plain(value).split(",")
        if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts):
            self.fail(f"{value!r} is no place, such as 2,3 (row and column, counted from 0)", param, ctx)
        return tuple(int(part) for part in parts)


class Pixels(ParamType):
    """A number of pixels: ``500000000``, ``500M`` or ``2G``."""

    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a count with an optional decimal suffix."""
        if not isinstance(value, str):
            return value
        scale = {"K": 10**3, "M": 10**6, "G": 10**9}.get(value[-1:].upper(), 1)
        digits = value[:-1] if scale > 1 else value
        try:
            count = round(float(digits) * scale)
        except (ValueError, OverflowError):
            count = 0
        if count < 1:
            self.fail(f"{value!r} is not a number of pixels, such as 500M", param, ctx)
        return count


class Axes(ParamType):
    """What the axes of an array are: ``NHWC``, ``CHW``, ``HW`` and so on."""

    name = "axes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read letters of NHWC in any order, each once."""
        letters = value.upper()
        if "W" not in letters or not set(letters) <= set("NHWC") or len(set(letters)) < len(letters):
            self.fail(
                f"{value!r} is no order of axes; use N (images), H (rows), W (columns) and C (channels)",
                param,
                ctx,
            )
        return letters


SIZE = Pair(int, 1, 4097, "a number of pixels from 1 to 4097, or two")
STEP = Pair(int, 1, 2**31 - 1, "a whole number from 1 up, or two")
