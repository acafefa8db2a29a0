"""What a command line adds to the filter functions: their names there, and what they take.

The functions are ordinary ones and live elsewhere; a specification names its function as
``module:attribute``, so that this module imports none of them.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnnfilter.errors import ParameterError

if TYPE_CHECKING:
    from cnnfilter.core.geometry import Geometry
    from cnnfilter.kernels.kernel import Kernel

Range = Literal["clip", "abs", "offset", "stretch"]

GEOMETRY = ("stride", "padding", "boundary", "constant", "accuracy")


class FilterSpec(NamedTuple):
    """One filter as a command line offers it.

    Attributes
    ----------
    name : str
        The command.
    function : str
        ``module:attribute`` of the function that filters an array.
    takes : tuple of str
        The keyword arguments that the command line may hand to the function.
    range : {"clip", "abs", "offset", "stretch"}
        What becomes of values outside the pixels' range unless told otherwise.
    gain : float or None
        What the filter makes of a constant 1; None if that is the sum of its kernel.
    """

    name: str
    function: str
    takes: tuple[str, ...]
    range: Range = "clip"
    gain: float | None = 1.0


_SPECS = (
    FilterSpec("mean", "cnnfilter.filters:mean", ("size", *GEOMETRY)),
    FilterSpec("gaussian", "cnnfilter.filters:gaussian", ("sigma", "size", "template", *GEOMETRY)),
    FilterSpec(
        "second-derivative",
        "cnnfilter.filters:second_derivative",
        ("axis", *GEOMETRY),
        range="abs",
        gain=0.0,
    ),
    FilterSpec("convolve", "cnnfilter.core.correlate:convolve", ("kernel", *GEOMETRY, "dilation"), gain=None),
    FilterSpec(
        "correlate", "cnnfilter.core.correlate:correlate", ("kernel", *GEOMETRY, "dilation"), gain=None
    ),
    FilterSpec(
        "learned",
        "cnnfilter.learning.application:apply",
        ("filter", "stride", "padding", "boundary", "constant"),
        gain=None,
    ),
    FilterSpec("pool max", "cnnfilter.filters:max_pool", ("size", "stride", "padding")),
    FilterSpec("pool mean", "cnnfilter.filters:mean_pool", ("size", "stride", "padding")),
)

FILTERS: Mapping[str, FilterSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""The filters by name."""


class Step(NamedTuple):
    """A filter with its arguments.

    Examples
    --------
    >>> Step.of("mean", size=3, stride=None)
    Step(name='mean', arguments={'size': 3}, value_range=None)
    """

    name: str
    arguments: Mapping[str, Any]
    value_range: Range | None = None

    @classmethod
    def of(cls, name: str, value_range: Range | None = None, **arguments: Any) -> "Step":
        """Choose a filter and its arguments; one that is None is left to the function's default."""
        spec = FILTERS[name]
        given = {key: value for key, value in arguments.items() if value is not None}
        for key in given:
            if key not in spec.takes:
                raise ParameterError(f"{name} takes no {key}; it takes {', '.join(spec.takes)}")
        return cls(name, given, value_range)

    @property
    def range(self) -> Range:
        """What becomes of values outside the pixels' range unless told otherwise."""
        return self.value_range or FILTERS[self.name].range

    @property
    def gain(self) -> float:
        """What the filter makes of a constant 1."""
        gain = FILTERS[self.name].gain
        kernel = self.kernel() if gain is None else None
        return gain if gain is not None else 1.0 if kernel is None else float(kernel.sum)

    @property
    def bias(self) -> float:
        """What is to be added to the result of `run`, as a share of white."""
        return float(self.arguments["filter"].bias) if self.name == "learned" else 0.0

    @property
    def colours_only(self) -> bool:
        """Whether the filter is one of layers, which cannot weigh pixels by their alpha."""
        return self.name == "learned" and self.kernel() is None

    @property
    def bounded(self) -> bool:
        """Whether results stay within the range of the input: the filter is a mean of some kind."""
        if FILTERS[self.name].gain is None:
            kernel = self.kernel()
            if kernel is None or self.bias:
                return False
            weights = kernel.array
            return bool(weights.min() >= 0 and abs(weights.sum() - 1) < 1e-12)
        return self.gain == 1

    def kernel(self) -> "Kernel | None":
        """Make the kernel that an image is correlated with; a pooling has none."""
        from cnnfilter.kernels import templates

        given = self.arguments
        match self.name:
            case "mean":
                return templates.mean(given["size"])
            case "gaussian":
                return templates.gaussian(given.get("size"), given["sigma"], given["template"])
            case "second-derivative":
                return templates.second_derivative(given["axis"])
            case "convolve":
                return given["kernel"].rotated()  # type: ignore[no-any-return]
            case "learned":
                return given["filter"].kernel()  # type: ignore[no-any-return]
        return given.get("kernel")

    def geometry(self, shape: tuple[int, int]) -> "Geometry | None":
        """Return which rows of an image of `shape` each row of the result needs; None: all or unknown."""
        from cnnfilter.core.geometry import make_geometry

        given = self.arguments
        size = self._size()
        if size is None or given.get("boundary") == "wrap" or given.get("accuracy") == "fast":
            return None
        pooling = self.name.startswith("pool")
        stride = given.get("stride", size if pooling else 1)
        padding = given.get("padding", 0 if pooling else "same")
        if self.name == "learned":
            learned = given["filter"]
            if learned.inputs != learned.outputs:  # the result has other channels than the image
                return None
            padding = learned.reach if padding == "same" else padding
        return make_geometry(shape, size, stride, padding, given.get("dilation", 1))

    def _size(self) -> tuple[int, int] | None:
        """Return rows and columns of the kernel or window, without making a large Gaussian."""
        from cnnfilter.kernels import templates

        given = self.arguments
        if self.name == "learned":
            (top, bottom), (left, right) = given["filter"].reach
            return top + bottom + 1, left + right + 1
        if self.name == "gaussian" and "size" not in given:
            rows, columns = templates.sigma_pair(given.get("sigma", 1.0))
            return templates.default_size(rows), templates.default_size(columns)
        if "size" in given:
            return templates.size_pair(given["size"])
        kernel = self.kernel()
        return None if kernel is None else kernel.shape

    def run(self, image: Any, dtype: Any, threads: int | None = None, padding: Any = None) -> Any:
        """Filter an array; the result has `dtype`. A `padding` takes the place of the step's own."""
        module, attribute = FILTERS[self.name].function.split(":")
        function = getattr(import_module(module), attribute)
        given = self.arguments if padding is None else {**self.arguments, "padding": padding}
        return function(image, **given, dtype=dtype, threads=threads)
