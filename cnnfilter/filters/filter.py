"""What a filter is: one object that says what it takes, what of an image it needs, and what it makes of it.

Each filter has a file of its own beside this one, with its function on arrays and its class here. Those
files import NumPy and the core when a filter runs: a command line that only asks what there is, for help
or completion, does not wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from cnnfilter.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.core.geometry import Geometry, Pair
    from cnnfilter.kernels.kernel import Kernel

Range = Literal["clip", "abs", "offset", "stretch"]


class Numbers(NamedTuple):
    """A form of option: one number, or two for rows and columns."""

    kind: type[int] | type[float]
    least: float
    most: float
    words: str


class Option(NamedTuple):
    """One thing that a filter takes, as a command line reads it.

    Attributes
    ----------
    name : str
        Of the argument; ``--name`` on a command line.
    form : str, tuple of str or Numbers
        How a text is read: size, lengths, number, steps, padding, boundary, kernel, file or text; the choices
        there are; or the numbers.
    help : str
        One line, with the default in brackets at its end.
    default : str, optional
        As it would be typed; what the function does without it otherwise.
    metavar : str, optional
        What help shows for the value; default that of the form.
    required, positional : bool
        Whether it must be given, and whether without ``--``.
    keyword : str, optional
        The keyword argument of the function, if that has another name.
    """

    name: str
    form: str | tuple[str, ...] | Numbers
    help: str = ""
    default: str | None = None
    metavar: str | None = None
    required: bool = False
    positional: bool = False
    keyword: str | None = None


STRIDE = Option("stride", "steps", "Pixels from one output to the next. [1]")
PADDING = Option("padding", "padding", "same, narrow, wide or pixels a side. [same]")
BOUNDARY = Option(
    "boundary",
    "boundary",
    "reflect dcb|abcd, symmetric cba|abcd, edge, wrap, zero, constant:V, renormalize. [reflect]",
    "reflect",
)
DILATION = Option("dilation", "steps", "Pixels from one weight to the next. [1]")
ACCURACY = Option("accuracy", ("exact", "fast"), "fast may approximate. [exact]")
GEOMETRY = (STRIDE, PADDING, BOUNDARY)


class Planned(NamedTuple):
    """How a filter will be computed: for programs, and in words.

    Attributes
    ----------
    shape : tuple of int
        Of the result.
    record : dict
        Plain values for JSON.
    text : str
        Lines for people.
    grid : pair of int
        Rows and columns of the result at whose multiples parts must begin to have the bits of the whole.
    """

    shape: tuple[int, ...]
    record: dict[str, Any]
    text: str
    grid: Pair = (1, 1)


class Filter:
    """A filter with its arguments; those that are None are left to the function's defaults.

    Attributes
    ----------
    name, help, examples : str, str, tuple of str
        Of its command.
    options : tuple of Option
        What it takes.
    default_range : {"clip", "abs", "offset", "stretch"}
        What becomes of values outside the pixels' range unless told otherwise.
    arguments : mapping of str
    value_range : str or None
        What it was told of values outside the pixels' range.

    Raises
    ------
    ParameterError
        For an argument that it does not take.

    Examples
    --------
    >>> from cnnfilter.filters.mean import Mean
    >>> Mean(size=3, stride=None)
    Mean(size=3)
    """

    name: ClassVar[str]
    help: ClassVar[str]
    examples: ClassVar[tuple[str, ...]]
    options: ClassVar[tuple[Option, ...]]
    default_range: ClassVar[Range] = "clip"
    default_boundary: ClassVar[str] = "reflect"
    """What its function puts beside an image unless told otherwise."""
    writes_itself: ClassVar[bool] = False
    """Whether it makes floats in one pass, or in strips of its own, so that a chain need not make strips."""
    has_maps: ClassVar[bool] = False
    """Whether its result may be many maps, to be drawn on a sheet."""
    fills: ClassVar[bool] = True
    """Whether a result belongs to one pixel, so that it may take the place of one that was missing."""

    def __init__(self, value_range: Range | None = None, /, **arguments: Any) -> None:
        given = {key: value for key, value in arguments.items() if value is not None}
        for key in given:
            if key not in self.takes():
                raise ParameterError(f"{self.name} takes no {key}; it takes {', '.join(self.takes())}")
        self.arguments: Mapping[str, Any] = MappingProxyType(given)
        self.value_range = value_range

    @classmethod
    def takes(cls) -> tuple[str, ...]:
        """Name the keyword arguments of its function that it hands on."""
        names = [option.name for option in cls.options]
        return (*names, "constant") if "boundary" in names else tuple(names)

    @classmethod
    def read(cls, values: Mapping[str, Any], value_range: Range | None = None) -> Self:
        """Make the filter that the options of a command line describe."""
        given = dict(values)
        boundary = given.get("boundary")
        if isinstance(boundary, tuple):
            given["boundary"], given["constant"] = boundary
        return cls(value_range, **given)

    def changed(self, **arguments: Any) -> Self:
        """Return the same filter with other arguments."""
        return type(self)(self.value_range, **{**self.arguments, **arguments})

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{type(self).__name__}({given})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.value_range, dict(self.arguments))

    @property
    def title(self) -> str:
        """What it is called when it is told of."""
        return self.name

    @property
    def range(self) -> Range:
        """What becomes of values outside the pixels' range unless a run is told otherwise."""
        return self.value_range or self.default_range

    @property
    def gain(self) -> float:
        """What it makes of a constant 1."""
        return 1.0

    @property
    def bias(self) -> float:
        """What is to be added to the result of `run`, as a share of white."""
        return 0.0

    @property
    def is_limited(self) -> bool:
        """Whether results beyond the range of the pixels are meant to be limited to it: nothing is lost."""
        return False

    @property
    def bounded(self) -> bool:
        """Whether results stay within the range of the input: it is a mean of some kind."""
        return False

    @property
    def colours_only(self) -> bool:
        """Whether it cannot weigh pixels by their alpha; see `cnnfilter.pixels.apply`."""
        return False

    @property
    def joins(self) -> bool:
        """Whether it makes one channel of all that it is given, so that alpha must not be among them."""
        return False

    @property
    def span(self) -> float | None:
        """How far its results reach if they are no brightness, but radians; see `cnnfilter.pixels.apply`."""
        return None

    @property
    def boundaries(self) -> tuple[str, str]:
        """What stands beside the rows of an image, and beside its columns."""
        from cnnfilter.core.boundary import boundary_pair

        return boundary_pair(self.arguments.get("boundary", self.default_boundary))

    @property
    def local(self) -> bool:
        """Whether a part of the result needs no more than a part of the image, so that strips will do."""
        return "wrap" not in self.boundaries and self.arguments.get("accuracy") != "fast"

    @property
    def floats(self) -> int:
        """How many it holds for each value of its result while it runs, about."""
        return 3

    @property
    def constant(self) -> float | None:
        """The value of the pixels beside the image, if they have one."""
        boundary = self.arguments.get("boundary")
        names = (boundary,) if isinstance(boundary, str) else boundary or ()
        return self.arguments.get("constant", 0.0) if "constant" in names else None

    def remarks(self, *, linear: bool = False) -> tuple[str, ...]:
        """Say what a user may want to know before it runs, in linear light perhaps."""
        return ()

    def window(self) -> Pair:
        """Return rows and columns of the pixels that one result depends on, dilation aside."""
        raise NotImplementedError

    def geometry(self, shape: Pair) -> Geometry:
        """Return which rows and columns of an image of `shape` each result needs."""
        from cnnfilter.core.geometry import make_geometry

        given = self.arguments
        stride, padding = given.get("stride", 1), given.get("padding", "same")
        return make_geometry(shape, self.window(), stride, padding, given.get("dilation", 1))

    def line_window(self) -> Pair:
        """Return the window over a signal, whose columns alone count."""
        return self.window()

    def line_geometry(self, length: int) -> Geometry:
        """Return which values of a signal each result needs."""
        from cnnfilter.core.geometry import line_geometry

        given = self.arguments
        stride, padding = given.get("stride", 1), given.get("padding", "same")
        return line_geometry(length, self.line_window(), stride, padding, given.get("dilation", 1))

    def channels(self, channels: int) -> int:
        """Return how many channels the result has for so many of the image."""
        return channels

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the result for an image of `shape`, (N,), (H, W) or (H, W, C)."""
        if len(shape) == 1:
            return (self.line_geometry(shape[0]).columns.output,)
        found = self.channels(shape[2] if len(shape) == 3 else 1)
        planes = (found,) if len(shape) == 3 or found > 1 else ()
        return (*self.geometry((shape[0], shape[1])).output_shape, *planes)

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call the function on arrays."""
        raise NotImplementedError

    def run(
        self,
        image: NDArray[Any],
        dtype: Any,
        threads: int | None = None,
        padding: Any = None,
        unit: float = 1.0,
        fill: bool = False,
        constant: float | None = None,
    ) -> NDArray[Any]:
        """Filter an array; the result has `dtype`. A `padding` or `constant` takes the place of its own.

        `unit` is what one grey level of the pixels is in `image`: less than 1 where those have been divided
        by white. `fill`: whether a pixel that a masked array lacks may get a result.
        """
        keywords = {option.name: option.keyword or option.name for option in self.options}
        given = {keywords.get(name, name): value for name, value in self.arguments.items()}
        if padding is not None:
            given["padding"] = padding
        if constant is not None:
            given["constant"] = constant
        if fill and self.fills:
            given["fill"] = True
        return self.filtered(image, **given, dtype=dtype, threads=threads)

    def plan(self, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
        """Say how it will be computed on an image of `shape` and `dtype`; the core gives `output`."""
        raise NotImplementedError


def _restored(kind: type[Filter], value_range: Range | None, arguments: dict[str, Any]) -> Filter:
    return kind(value_range, **arguments)


class KernelFilter(Filter):
    """A filter that is a kernel: a sum of weighted pixels."""

    writes_itself = True

    def kernel(self) -> Kernel:
        """Make the kernel that an image is correlated with."""
        raise NotImplementedError

    def line(self) -> Kernel:
        """Make the kernel that a 1-D signal is correlated with: a column lies along it as a row does."""
        from cnnfilter.core.correlate import fitted

        return fitted(self.kernel(), 1)

    def line_window(self) -> Pair:
        """Return the window over a signal, that of its own kernel."""
        return self.line().shape

    @property
    def gain(self) -> float:
        """What it makes of a constant 1: the sum of its kernel."""
        return float(self.kernel().sum)

    @property
    def bounded(self) -> bool:
        """Whether it is a mean: no weight is negative, and their sum is 1."""
        return self.kernel().is_weighted_mean

    def window(self) -> Pair:
        """Return rows and columns of the kernel."""
        return self.kernel().shape

    def plan(self, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
        """Say how the core will correlate."""
        return planned(self, self.line() if len(shape) == 1 else self.kernel(), shape, dtype, output)


def planned(filter: Filter, kernel: Kernel, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
    """Say how the core will correlate with a kernel, by the geometry of a filter."""
    from cnnfilter.core.linear import explain

    names = ("stride", "padding", "boundary", "dilation", "accuracy")
    given = {name: filter.arguments[name] for name in names if name in filter.arguments}
    plan = explain(shape, dtype, kernel, output=output, **given)
    return Planned(plan.output_shape, plan.as_dict(), plan.text(), plan.grid)
