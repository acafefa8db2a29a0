"""A learned filter as a step of a chain of filters: an array in, an array of the wanted type out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.filters.filter import BOUNDARY, PADDING, STRIDE, Filter, Option, Planned, Range, planned
from cnnfilter.masked import is_masked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from cnnfilter.core.geometry import Geometry, Number, Padding, Pair
    from cnnfilter.kernels.kernel import Kernel
    from cnnfilter.learning.learnedfilter import LearnedFilter


def apply(
    image: ArrayLike,
    filter: LearnedFilter,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: str = "reflect",
    constant: float = 0.0,
    dtype: Any = None,
    fill: bool = False,
    threads: int | None = None,
) -> NDArray[Any]:
    """Apply a learned filter, but not the bias of one kernel.

    That bias is left to `cnnfilter.pixels.apply`, which adds it when transparency has been divided out.

    Parameters
    ----------
    image : array of shape (H, W) or (H, W, C)
        One kernel takes what `correlate` takes. Layers take uint8, uint16, int16, float32 or float64, and the
        range of an integer dtype, or 1, as white.
    filter : LearnedFilter
    stride : int or pair, default 1
    padding : str, int or pairs, default "same"
        As in `correlate`; layers take it for all of them together, and "same" layer by layer.
    boundary : str, default "reflect"
    constant : float, default 0
        The value of ``boundary="constant"``.
    dtype : dtype, optional
        Type of the result, that of the image by default; an integer type rounds and clips.
    fill : bool, default False
        Whether one kernel gives a result where a masked array lacks the pixel, as in `correlate`.
    threads : int, optional

    Returns
    -------
    array of shape (H', W') or (H', W', C')

    Raises
    ------
    ParameterError
        Channels that do not fit, or an empty result; of layers a signal, or a masked array.
    DtypeError
        An image, or a result, of a type that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
    >>> half = LearnedFilter((ConvolutionLayer(np.full((1, 1, 1, 1), 0.5)),), each_channel=True)
    >>> apply(np.array([[100, 51]], np.uint8), half, dtype="float32")
    array([[50. , 25.5]], dtype=float32)
    """
    from cnnfilter.core.arguments import as_pixels, result_type
    from cnnfilter.core.linear import correlate
    from cnnfilter.pixels.kinds import full_scale
    from cnnfilter.pixels.rounding import quantise

    pixels = as_pixels(image)
    target = result_type(pixels.dtype, dtype, smoothing=True)
    if filter.is_kernel:
        return correlate(
            pixels, filter.layers[0].weights[0, 0], stride=stride, padding=padding, boundary=boundary,
            constant=constant, dtype=target, fill=fill, threads=threads,
        )  # fmt: skip
    require_layers_take(pixels, target)
    place = geometry_of(filter, (pixels.shape[0], pixels.shape[1]), stride, padding)
    values = filter.maps(pixels, boundary=boundary, constant=constant, padding=place.padding, threads=threads)
    values = values[:: place.stride[0], :: place.stride[1]]
    values *= values.dtype.type(full_scale(pixels.dtype))
    if pixels.ndim == 2 and values.shape[2] == 1:
        values = values[..., 0]
    return quantise(values, target, threads=threads).array


def require_layers_take(pixels: NDArray[Any], target: np.dtype[Any]) -> None:
    """Refuse pixels, and a type of the result, that layers do not know."""
    from cnnfilter.core.arguments import is_chunked
    from cnnfilter.pixels.kinds import DTYPES

    for what, dtype in (("an image", pixels.dtype), ("a result", target)):
        if dtype not in DTYPES:
            raise DtypeError(f"layers do not know {what} of {dtype}; use {', '.join(map(str, DTYPES))}")
    if is_chunked(pixels):
        raise ParameterError("layers take no dask array; compute() it, or use cnnfilter.lazy.run on a store")
    if is_masked(pixels):
        raise ParameterError("layers know no missing pixels; fill the masked ones first")
    if pixels.ndim == 1:
        raise ParameterError(f"layers take an image, not a signal (shape {pixels.shape}); give (H, W)")


def geometry_of(
    filter: LearnedFilter, shape: tuple[int, int], stride: Number = 1, padding: Padding = "same"
) -> Geometry:
    """Return where the filter, taken as one window of its whole reach, meets an image of `shape`.

    Examples
    --------
    >>> import numpy as np
    >>> from cnnfilter.learning.learnedfilter import ConvolutionLayer, LearnedFilter
    >>> layer = ConvolutionLayer(np.ones((1, 1, 3, 3)))
    >>> geometry_of(LearnedFilter((layer, layer)), (10, 8), 2, "narrow").output_shape
    (3, 2)
    """
    from cnnfilter.core.geometry import make_geometry

    (top, bottom), (left, right) = filter.reach
    size = top + bottom + 1, left + right + 1
    return make_geometry(shape, size, stride, filter.reach if padding == "same" else padding, 1)


_OF_THE_FILE = "strength", "tensor", "order"
"""Options that are no part of what `apply` takes: they have made another filter of the file by then."""


def _loaded(path: str, tensor: str | None, order: str) -> LearnedFilter:
    """Read a file, or take one of the filters that come along: a name of theirs is no file."""
    import os

    from cnnfilter.learning.learnedfilter import LearnedFilter
    from cnnfilter.learning.shipped import shipped_filter, shipped_names

    is_name = path in shipped_names() or not (os.path.exists(path) or os.path.splitext(path)[1])
    if is_name and os.path.basename(path) == path:
        if tensor is not None:
            raise ParameterError(f"{path!r} comes with the tool and has no tensor {tensor!r} to choose")
        return shipped_filter(path)
    return LearnedFilter.load(path, tensor=tensor, order=order)


class Learned(Filter):
    """A learned filter as a filter of a chain."""

    name = "learned"
    help = "Apply a file of 'cnnfilter learn', a kernel, or a bank of kernels."
    examples = (
        "cnnfilter learned --filter denoise photo.jpg -o clean.jpg",
        "cnnfilter learned --filter bank.npy photo.jpg --maps sheet.png",
    )
    options = (
        Option(
            "filter",
            "file",
            "A .json, .safetensors, .npy, .npz, .onnx; a name of --list.",
            required=True,
            metavar="FILE|NAME",
        ),
        Option("strength", "number", "Share of the change that is made, 0 to 1. [1]"),
        Option("tensor", "text", "Which tensor of FILE is the bank.", metavar="NAME"),
        Option(
            "order",
            ("auto", "UVDP", "PDUV"),
            "Axes of a bank; PDUV is PyTorch's. [by shape]",
            "auto",
            "UVDP|PDUV",
        ),
        STRIDE,
        PADDING,
        BOUNDARY._replace(default=None, help=BOUNDARY.help[:-1] + "; a network's own]"),
    )
    has_maps = True
    writes_itself = True  # layers go down the image in strips of their own

    @classmethod
    def takes(cls) -> tuple[str, ...]:
        """Name what `apply` takes."""
        return tuple(name for name in super().takes() if name not in _OF_THE_FILE)

    @classmethod
    def read(cls, values: Mapping[str, Any], value_range: Range | None = None) -> Self:
        """Read the file of the filter, or of a network, which is a filter of another kind."""
        from cnnfilter.learning.graphapplication import LearnedGraph, is_network

        given = dict(values)
        path, strength = given.pop("filter"), given.pop("strength", None)
        if is_network(path):
            if strength is not None:
                raise ParameterError(f"{path}: a network of others has no strength; leave --strength out")
            return LearnedGraph.read(given | {"filter": path}, value_range)  # type: ignore[return-value]
        learned = _loaded(path, given.pop("tensor", None), given.pop("order", "auto"))
        if strength is not None:
            learned = learned.weakened(strength)
        given["boundary"] = given.get("boundary") or cls.default_boundary
        return super().read(given | {"filter": learned}, value_range)

    @property
    def learned(self) -> LearnedFilter:
        """The filter that was learned."""
        learned: LearnedFilter = self.arguments["filter"]
        return learned

    @property
    def _kernel(self) -> Kernel:
        kernel = self.learned.kernel()
        assert kernel is not None
        return kernel

    @property
    def gain(self) -> float:
        """What it makes of a constant 1: the sum of its one kernel, or 1."""
        return 1.0 if self.colours_only else float(self._kernel.sum)

    @property
    def bias(self) -> float:
        """What its one kernel adds, as a share of white."""
        return self.learned.bias

    @property
    def is_limited(self) -> bool:
        """Whether layers mend a picture: they have learned that what lies beyond white is white."""
        return self.learned.residual and self.colours_only

    @property
    def bounded(self) -> bool:
        """Whether it is one kernel whose weights are those of a mean."""
        return not (self.colours_only or self.bias) and self._kernel.is_weighted_mean

    @property
    def colours_only(self) -> bool:
        """Whether it is one of layers, which cannot weigh pixels by their alpha."""
        return not self.learned.is_kernel

    @property
    def local(self) -> bool:
        """Whether strips will do, and the result has the channels of the image."""
        return super().local and self.learned.inputs == self.learned.outputs

    @property
    def floats(self) -> int:
        """How many it holds for each value of its result while it runs: of two layers, and one laid out."""
        layers = self.learned.layers
        widest = max(max(layer.inputs, len(layer.weights)) for layer in layers)
        return super().floats if self.learned.is_kernel else 3 + 3 * -(-widest // len(layers[-1].weights))

    def remarks(self, *, linear: bool = False) -> tuple[str, ...]:
        """Tell when layers are given linear light, in which they have not learned."""
        if not linear or self.learned.is_kernel or self.learned.linear:
            return ()
        return ("the layers have learned on values as they are coded; --linear gives them linear light",)

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `apply`."""
        return apply(image, **how)

    def window(self) -> Pair:
        """Return rows and columns of what one result depends on, all layers together."""
        (top, bottom), (left, right) = self.learned.reach
        return top + bottom + 1, left + right + 1

    def geometry(self, shape: Pair) -> Geometry:
        """Return which rows and columns of an image of `shape` each result needs."""
        given = {name: self.arguments[name] for name in ("stride", "padding") if name in self.arguments}
        return geometry_of(self.learned, shape, **given)

    def line_window(self) -> Pair:
        """Return the window over a signal, along which a kernel of one column lies as well."""
        from cnnfilter.core.correlate import fitted

        return fitted(self._kernel, 1).shape if self.learned.is_kernel else self.window()

    def channels(self, channels: int) -> int:
        """Return how many maps there will be."""
        learned = self.learned
        if learned.each_channel or (learned.takes_grey and channels == 1):
            return channels
        if channels != learned.inputs:
            raise ParameterError(
                f"the filter takes {learned.inputs} channel(s), but the image has {channels}"
            )
        return learned.outputs

    def plan(self, shape: tuple[int, ...], dtype: str, output: str) -> Planned:
        """Say how the core will correlate, or which layers there are."""
        learned = self.learned
        if learned.is_kernel:
            return planned(self, self._kernel, shape, dtype, output)
        shape = self.shape(shape)
        layers = [
            {
                "kernel": "x".join(map(str, layer.weights.shape[2:])),
                "inputs": layer.inputs,
                "outputs": len(layer.weights),
                "activation": layer.activation,
            }
            for layer in learned.layers
        ]
        shaping = "in linear light" if learned.linear else ""
        if learned.curve is not None:
            shaping = f"a tone curve {learned.curve.place} them"
        record: dict[str, Any] = {
            "method": "layers",
            "output_shape": shape,
            "dtype": output,
            "layers": layers,
        }
        text = [
            "method   layers",
            *(f"layer    {k['kernel']}, {k['inputs']} to {k['outputs']}, {k['activation']}" for k in layers),
            *([f"light    {shaping}"] if shaping else []),
            *([f"blocks   {learned.block}x{learned.block} pixels at a time"] if learned.block > 1 else []),
            f"output   {'x'.join(map(str, shape))} {output}",
            f"reach    {learned.reach}",
        ]
        return Planned(shape, record, "\n".join(text), (learned.grid, learned.grid))
