"""Geometry: how kernel, stride, padding and dilation give the size of the output. Integers only.

Along one axis a kernel of `K` taps, `D` apart, reaches over ``R = (K - 1) * D + 1`` pixels, and

    output = floor((M - R + P_before + P_after) / S) + 1

with `M` pixels, stride `S` and padding `P`. The named paddings are those of the notes:

========================  ==========================================  =================================
``narrow`` (``valid``)    P = 0                                       the kernel stays inside
``wide`` (``full``)       P = R - 1 on both sides                     every place where they meet
``same`` (``equal``)      (R - 1) // 2 before, R // 2 after           as many pixels as before (S = 1)
========================  ==========================================  =================================

With an even kernel `same` puts the extra pixel after. A kernel of four taps on ``a b c d e``::

    . a b c          the first output: one pixel before, two pixels after the one it stands on
      a b c d
        b c d e
          c d e .
            d e . .
"""

from __future__ import annotations

import operator
from typing import NamedTuple, TypeAlias

from cnnfilter.errors import DtypeError, ParameterError, shown

Pair: TypeAlias = tuple[int, int]
Number: TypeAlias = int | Pair
Padding: TypeAlias = str | int | Pair | tuple[Pair, Pair]

PADDING_NAMES = {
    "narrow": "narrow",
    "valid": "narrow",
    "wide": "wide",
    "full": "wide",
    "same": "same",
    "equal": "same",
}
AXES = ("rows", "columns")
LARGEST = 2**31 - 1


class Axis(NamedTuple):
    """One axis of a filter: sizes in pixels, all known before a pixel is touched."""

    length: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def reach(self) -> int:
        """Pixels from the first to the last tap."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def padded(self) -> int:
        """Pixels with the padding."""
        return self.length + self.before + self.after

    @property
    def output(self) -> int:
        """Outputs along this axis; below 1 where the kernel does not fit."""
        return (self.padded - self.reach) // self.stride + 1

    @property
    def interior(self) -> tuple[int, int]:
        """The outputs `[first, last)` whose kernel lies on the image alone; `first == last` without any.

        Both are among the outputs, or where these end: what lies before `first` and from `last` on can be
        written.
        """
        first = min(-(-self.before // self.stride), max(self.output, 0))
        last = (self.length + self.before - self.reach) // self.stride + 1
        return first, max(first, min(last, self.output))

    def part(self, first: int, last: int) -> tuple[Axis, int, int]:
        """Return the axis of the outputs `[first, last)` alone and the pixels `[start, stop)` that it reads.

        At least one pixel is kept where the part lies outside the image altogether.
        """
        begin = first * self.stride - self.before
        end = (last - 1) * self.stride - self.before + self.reach
        start = min(max(begin, 0), self.length - 1)
        stop = max(min(end, self.length), start + 1)
        part = Axis(stop - start, self.kernel, self.stride, self.dilation, start - begin, end - stop)
        return part, start, stop


class Geometry(NamedTuple):
    """The two axes of a filter, rows first."""

    rows: Axis
    columns: Axis

    @property
    def output_shape(self) -> Pair:
        """Rows and columns of the output."""
        return self.rows.output, self.columns.output

    @property
    def padding(self) -> tuple[Pair, Pair]:
        """`((top, bottom), (left, right))`."""
        return (self.rows.before, self.rows.after), (self.columns.before, self.columns.after)

    @property
    def stride(self) -> Pair:
        """Rows and columns from one output to the next."""
        return self.rows.stride, self.columns.stride

    @property
    def dilation(self) -> Pair:
        """Rows and columns from one tap to the next."""
        return self.rows.dilation, self.columns.dilation


def make_geometry(
    image: Pair,
    kernel: Pair,
    stride: Number = 1,
    padding: Padding = "same",
    dilation: Number = 1,
    called: str = "kernel",
) -> Geometry:
    """Check the numbers and compute the geometry.

    Parameters
    ----------
    image, kernel : pair of int
        Rows and columns, at least 1.
    stride, dilation : int or pair of int, default 1
        At least 1.
    padding : str, int, pair of int or pair of pairs, default "same"
        A name, one number for all sides, `(rows, columns)`, or `((top, bottom), (left, right))`.
    called : str, default "kernel"
        What messages call that which slides over the image; a pooling has a window.

    Raises
    ------
    ParameterError
        A number out of range, an unknown name, or a kernel that does not fit the padded image.
    DtypeError
        Something that is not a number.

    Examples
    --------
    >>> make_geometry((480, 640), (5, 7), stride=2).output_shape
    (240, 320)
    >>> make_geometry((5, 5), (4, 4)).padding
    ((1, 2), (1, 2))
    """
    strides = number_pair("stride", stride, least=1)
    dilations = number_pair("dilation", dilation, least=1)
    pads = _paddings(padding, kernel, dilations)
    axes = []
    for name, length, taps, step, apart, (before, after) in zip(
        AXES, image, kernel, strides, dilations, pads, strict=True
    ):
        if length < 1:
            raise ParameterError(f"the image has {length} {name}; at least 1 is needed")
        axis = Axis(length, taps, step, apart, before, after)
        if axis.output < 1:
            raise ParameterError(
                f"the output would be empty: {taps} {called} {name} with dilation {apart} reach over "
                f"{axis.reach}, but the padded image has {before} + {length} + {after} = {axis.padded} "
                f"{name}; use a smaller {called} or more padding"
            )
        if axis.output == 1:
            # No second output is begun, and what methods compute is not to grow with the stride.
            axis = axis._replace(stride=min(step, axis.padded))
        axes.append(axis)
    return Geometry(*axes)


def line_geometry(
    length: int,
    kernel: Pair,
    stride: Number = 1,
    padding: Padding = "same",
    dilation: Number = 1,
    called: str = "kernel",
) -> Geometry:
    """Compute the geometry of a signal, which is an image of one row.

    Of pairs, that of `kernel` too, the columns' number counts. The padding may be `(before, after)` as well.

    Examples
    --------
    >>> line_geometry(9, (1, 3), padding=(0, 2)).columns.output
    9
    """
    columns = number_pair("stride", stride, least=1)[1], number_pair("dilation", dilation, least=1)[1]
    if not isinstance(padding, str):
        sides: object = padding
        if isinstance(padding, tuple | list) and len(padding) == 2 and isinstance(padding[1], tuple | list):
            sides = padding[1]
        padding = ((0, 0), number_pair("padding", sides, least=0))
    return make_geometry((1, length), (1, kernel[1]), (1, columns[0]), padding, (1, columns[1]), called)


def number_pair(name: str, value: object, least: int) -> Pair:
    """Return `value` as a pair of integers of at least `least`; one number stands for both."""
    items = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(items) != 2:
        raise ParameterError(
            f"{name} {shown(value)} has {len(items)} numbers; give one, or a pair (rows, columns)"
        )
    return _integer(name, value, items[0], least), _integer(name, value, items[1], least)


def _integer(name: str, whole: object, value: object, least: int) -> int:
    number = whole_number(value)
    if number is None:
        raise DtypeError(f"{name} {shown(whole)} is not made of integers; give an integer, {least} or more")
    if not least <= number <= LARGEST:
        raise ParameterError(f"{name} {shown(whole)} is out of range; give {least} to {LARGEST}")
    return number


def whole_number(value: object) -> int | None:
    """Return an integer of any type as an int; None for everything else, such as True."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def _paddings(padding: object, kernel: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    if isinstance(padding, str):
        name = PADDING_NAMES.get(padding)
        if name is None:
            raise ParameterError(
                f"unknown padding {shown(padding)}; use {', '.join(PADDING_NAMES)}, a number, "
                "(rows, columns) or ((top, bottom), (left, right))"
            )
        return _named_padding(name, kernel[0], dilation[0]), _named_padding(name, kernel[1], dilation[1])
    if isinstance(padding, tuple | list) and any(isinstance(item, tuple | list) for item in padding):
        if len(padding) != 2:
            raise ParameterError(f"padding {shown(padding)} is not ((top, bottom), (left, right))")
        return number_pair("padding", padding[0], 0), number_pair("padding", padding[1], 0)
    rows, columns = number_pair("padding", padding, least=0)
    return (rows, rows), (columns, columns)


def _named_padding(name: str, kernel: int, dilation: int) -> Pair:
    reach = (kernel - 1) * dilation + 1
    return {"narrow": (0, 0), "wide": (reach - 1, reach - 1), "same": ((reach - 1) // 2, reach // 2)}[name]
