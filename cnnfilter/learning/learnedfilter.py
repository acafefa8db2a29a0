"""A learned filter: a stack of convolution layers that makes an image from an image.

The image is extended once, by the reach of the whole stack, as the boundary says; then every layer is
narrow. So a strip with its halo gives what the whole image gives, and memory is bounded by a strip.
Values are taken as shares of the full range (255, 65535, or 1 for floats), so that a filter learned from
8-bit images serves 16-bit ones.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnfilter.core.boundary import check_boundary
from cnnfilter.core.linear import correlate
from cnnfilter.errors import CnnFilterError, FilterFileError, ParameterError
from cnnfilter.files import filterfile
from cnnfilter.kernels import kernelfile
from cnnfilter.kernels.kernel import Kernel
from cnnfilter.learning.convolutionlayer import ConvolutionLayer
from cnnfilter.learning.pairs import Array
from cnnfilter.learning.strips import Padding, filtered_in_strips, floats_of
from cnnfilter.learning.tonecurve import ToneCurve
from cnnfilter.pixels.kinds import full_scale
from cnnfilter.pixels.light import linear_to_srgb, srgb_to_linear
from cnnfilter.pixels.rounding import quantise


@dataclass(frozen=True, eq=False, repr=False)
class LearnedFilter:
    """A stack of layers and how it meets the channels of an image.

    Attributes
    ----------
    layers : tuple of ConvolutionLayer
    each_channel : bool
        True: one input, one output, every channel of the image passes alone. False: the image's channels
        are the inputs of the first layer.
    residual : bool
        The stack gives what is to be added to the image (equation 50), not the image itself.
    notes : mapping
        How it was learned; kept in the file, never acted upon.
    linear : bool
        The layers work in linear light: the sRGB curve is undone before them and applied after them.
    curve : ToneCurve, optional
        Learned with the layers, before or after them.
    block : int
        Rows and columns of pixels that the layers take together: the pixels of a block are maps of their own
        before the first layer, and maps become the pixels of blocks after the last. Blocks are counted from
        the first pixel of the result.
    takes_grey : bool
        Whether a picture of one channel may be given to a filter of several: as equal channels, whose
        results' mean is the result.
    """

    layers: tuple[ConvolutionLayer, ...]
    each_channel: bool = False
    residual: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)
    linear: bool = False
    curve: ToneCurve | None = None
    block: int = 1
    takes_grey: bool = False

    def __post_init__(self) -> None:
        if not self.layers:
            raise ParameterError("a learned filter needs at least one layer")
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if len(before.weights) != after.inputs:
                raise ParameterError(
                    f"a layer of {len(before.weights)} outputs is followed by one of {after.inputs} inputs"
                )
        ends = self.layers[0].inputs, len(self.layers[-1].weights)
        if self.block < 1 or any(maps % self.block**2 for maps in ends):
            raise ParameterError(
                f"blocks of {self.block}x{self.block} pixels do not go with {ends[0]} inputs and {ends[1]} "
                "outputs"
            )
        if self.each_channel and (self.inputs, self.outputs) != (1, 1):
            raise ParameterError(
                f"a filter for each channel has 1 input and 1 output, not {self.inputs} and {self.outputs}"
            )
        if self.residual and self.inputs != self.outputs:
            raise ParameterError(
                f"a residual of {self.outputs} outputs cannot be added to {self.inputs} inputs"
            )
        if self.curve is not None:
            curves, channels = len(self.curve.values), self.inputs
            channels = self.outputs if self.curve.place == "after" else channels
            if curves not in (1, channels) or (self.linear or self.residual):
                raise ParameterError(
                    f"{curves} tone curves do not go with {channels} channels, linear light or a residual"
                )

    def __repr__(self) -> str:
        channels = "each channel" if self.each_channel else f"{self.inputs} to {self.outputs} channels"
        residual = ", added to the image" if self.residual else ""
        return f"<LearnedFilter of {len(self.layers)} layers, {channels}{residual}>"

    @property
    def inputs(self) -> int:
        """Channels of an image that the first layer takes."""
        return self.layers[0].inputs // self.block**2

    @property
    def outputs(self) -> int:
        """Channels that the last layer makes."""
        return len(self.layers[-1].weights) // self.block**2

    @property
    def reach(self) -> Padding:
        """((top, bottom), (left, right)): how far a pixel's result looks; same padding, layer by layer.

        Of blocks: how far any pixel of one looks.
        """
        sizes, block = [layer.weights.shape[2:] for layer in self.layers], self.block
        rows, columns = (
            (
                block * sum((s[k] - 1) // 2 for s in sizes) + block - 1,
                block * sum(s[k] // 2 for s in sizes) + block - 1,
            )
            for k in (0, 1)
        )
        return rows, columns

    @property
    def grid(self) -> int:
        """Rows and columns at whose multiples parts of a result begin: at blocks, and at tiles of them.

        Examples
        --------
        >>> one, many = (ConvolutionLayer(np.ones((maps, maps, 3, 3))) for maps in (1, 16))
        >>> LearnedFilter((one,)).grid, LearnedFilter((many,)).grid
        (1, 2)
        """
        return self.block * max(layer.tile for layer in self.layers)

    @property
    def bias(self) -> float:
        """What a filter of one kernel adds to every channel, as a share of the full range."""
        bias = self.layers[0].bias
        return 0.0 if bias is None or not self.is_kernel else float(bias[0])

    def kernel(self) -> Kernel | None:
        """Return the kernel of a filter that is one kernel for every channel, else None; see `bias`."""
        if not self.is_kernel:
            return None
        return Kernel(self.layers[0].weights[0, 0], name="learned", meta={"learned": dict(self.notes)})

    def weakened(self, strength: float) -> "LearnedFilter":
        """Return the filter whose result is the image and a share of the change that this one makes.

        Parameters
        ----------
        strength : float
            0: the image as it is; 1: this filter.

        Raises
        ------
        ParameterError
            If it is none from 0 to 1, or the filter neither adds to the image nor is one kernel.

        Examples
        --------
        >>> half = LearnedFilter((ConvolutionLayer(np.full((1, 1, 1, 1), 0.5)),), each_channel=True)
        >>> half.weakened(0.5).apply(np.array([[100]], np.uint8)).tolist()
        [[75]]
        """
        if not 0 <= strength <= 1:
            raise ParameterError(f"strength is {strength!r}: give a number from 0 to 1")
        if strength == 1:
            return self
        layer = self.layers[-1]
        if not (self.is_kernel or (self.residual and layer.activation == "identity")):
            raise ParameterError("a strength is for filters that add to the image, and for one kernel")
        weights = layer.weights.astype(np.result_type(layer.weights, np.float32)) * strength
        if not self.residual:
            rows, columns = weights.shape[2:]
            weights[0, 0, (rows - 1) // 2, (columns - 1) // 2] += 1 - strength
        bias = None if layer.bias is None else layer.bias.astype(weights.dtype) * strength
        weaker = ConvolutionLayer(weights, bias, layer.activation, layer.groups)
        return replace(self, layers=(*self.layers[:-1], weaker))

    def only(self, first: int, last: int) -> "LearnedFilter":
        """Return the filter that makes maps `first` to `last` - 1 alone.

        Raises
        ------
        ParameterError
            If the filter is a residual or has a tone curve, or its last layer has groups.
        """
        layer = self.layers[-1]
        coupled = self.residual or self.each_channel or layer.groups > 1 or self.block > 1
        if coupled or self.curve is not None:
            raise ParameterError("maps of a residual, of groups or of blocks cannot be computed apart")
        bias = None if layer.bias is None else layer.bias[first:last]
        part = ConvolutionLayer(layer.weights[first:last], bias, layer.activation)
        return replace(self, layers=(*self.layers[:-1], part))

    def maps(
        self,
        image: Array,
        *,
        boundary: str = "reflect",
        constant: float = 0.0,
        padding: Padding | None = None,
        strip: int | None = None,
        threads: int | None = None,
    ) -> Array:
        """Filter an image and keep the result as it is: signed floats in units of the full range.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, C)
            uint8, uint16, int16, float32 or float64; C equal to `inputs`, unless `each_channel`.
        boundary : str, default "reflect"
            As in `correlate`; "renormalize" is for one layer of one kernel a channel.
        constant : float, default 0
            The pixel value of ``boundary="constant"``.
        padding : ((top, bottom), (left, right)), optional
            Rows and columns that stand beside the image; default `reach`, which keeps the size.
        strip : int, optional
            Rows at a time; default as many as fit 32 MiB of the widest layer.
        threads : int, optional

        Returns
        -------
        ndarray of shape (H, W, P), or (H, W, C) if `each_channel`
            float32, or float64 for float64 images.
        """
        pixels = self._checked(image)
        if self.takes_grey and pixels.shape[2] == 1 != self.inputs:
            shown = np.broadcast_to(pixels, (*pixels.shape[:2], self.inputs))
            made = self.maps(
                shown, boundary=boundary, constant=constant, padding=padding, strip=strip, threads=threads
            )
            return np.asarray(made.mean(axis=2, keepdims=True))
        scale = full_scale(pixels.dtype)
        if self._is_plain and self._as_coded:
            values = self._correlated(pixels, boundary, constant, padding, threads)
            values /= values.dtype.type(scale)
            return self._biased(values)
        if self._is_plain:
            shares = self.opened(pixels.astype(floats_of(pixels)) / floats_of(pixels)(scale))
            beside = float(self.opened(np.full((1, 1, 1), constant / scale))[0, 0, 0])
            return self.closed(self._biased(self._correlated(shares, boundary, beside, padding, threads)))
        if check_boundary(boundary) == "renormalize":
            raise ParameterError("boundary 'renormalize' has no meaning for layers: use reflect")
        beside = constant / scale if boundary == "constant" else 0.0
        return filtered_in_strips(self, pixels, boundary, beside, padding, strip, threads)

    def apply(
        self,
        image: Array,
        *,
        boundary: str = "reflect",
        constant: float = 0.0,
        strip: int | None = None,
        threads: int | None = None,
    ) -> Array:
        """Filter an image and return one of its own kind: same dtype, rounded and clipped to its range.

        Examples
        --------
        >>> half = LearnedFilter((ConvolutionLayer(np.full((1, 1, 1, 1), 0.5)),), each_channel=True)
        >>> half.apply(np.array([[100, 51]], np.uint8)).tolist()
        [[50, 26]]
        """
        if self.is_kernel and not self.bias:
            kernel = self.layers[0].weights[0, 0]
            return correlate(
                image, kernel, boundary=boundary, constant=constant, dtype=image.dtype, threads=threads
            )
        values = self.maps(image, boundary=boundary, constant=constant, strip=strip, threads=threads)
        if image.ndim == 2 and values.shape[2] == 1:
            values = values[..., 0]
        values *= values.dtype.type(full_scale(image.dtype))
        return quantise(values, image.dtype, threads=threads).array

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write kernel JSON if one kernel says it all and `path` ends in .json, else safetensors.

        Raises
        ------
        FilterFileError
            If the suffix does not fit the filter, or the file cannot be written.
        """
        kernel = self.kernel()
        suffix = filterfile.require_suffix(path, one_kernel=kernel is not None)
        if kernel is not None and suffix == ".json":
            kernelfile.save(kernel, path, bias=self.bias)
            return
        layers = tuple(
            filterfile.StoredLayer(layer.weights, layer.bias, layer.activation, layer.groups)
            for layer in self.layers
        )
        curve = None
        if self.curve is not None:
            curve = filterfile.StoredCurve(self.curve.place, self.curve.knots, self.curve.values)
        stored = filterfile.StoredFilter(
            layers, self.each_channel, self.residual, dict(self.notes), self.linear, curve,
            self.block, self.takes_grey,
        )  # fmt: skip
        filterfile.save(stored, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, tensor: str | None = None, order: str = "auto"
    ) -> "LearnedFilter":
        """Read a learned filter, a kernel or a bank; see `cnnfilter.files.filterfile.load`."""
        stored = filterfile.load(path, tensor=tensor, order=order)
        try:
            return cls(
                tuple(ConvolutionLayer(*layer) for layer in stored.layers),
                stored.each_channel,
                stored.residual,
                stored.notes,
                stored.linear,
                stored.curve and ToneCurve(*stored.curve),
                stored.block,
                stored.takes_grey,
            )
        except CnnFilterError as error:
            raise FilterFileError(f"{os.fspath(path)}: {error}") from error

    def _checked(self, image: Array) -> Array:
        if image.ndim not in (2, 3) or image.size == 0:
            raise ParameterError(f"image has shape {image.shape}: give (H, W) or (H, W, C), not empty")
        pixels = image.reshape(*image.shape[:2], -1)
        fits = pixels.shape[2] == self.inputs or (self.takes_grey and pixels.shape[2] == 1)
        if not self.each_channel and not fits:
            raise ParameterError(
                f"the filter takes {self.inputs} channel(s), but the image has {pixels.shape[2]}"
            )
        return pixels

    @property
    def is_kernel(self) -> bool:
        """Whether the filter is one kernel for every channel, perhaps with a bias, and nothing else."""
        return self._is_plain and self.each_channel and self._as_coded

    @property
    def _as_coded(self) -> bool:
        """Whether the layers are given the values as they are."""
        return not self.linear and self.curve is None

    def opened(self, shares: Array) -> Array:
        """Bring shares of white (..., C) to what the layers work on."""
        if self.linear:
            return srgb_to_linear(shares)
        if self.curve is not None and self.curve.place == "before":
            return self.curve(shares)
        return shares

    def closed(self, values: Array) -> Array:
        """Bring what the layers made (..., C) to shares of white."""
        if self.linear:
            return linear_to_srgb(values)
        if self.curve is not None and self.curve.place == "after":
            return self.curve(values)
        return values

    def _biased(self, values: Array) -> Array:
        if self.layers[0].bias is not None:
            values += self.layers[0].bias.astype(values.dtype)
        return values

    @property
    def _is_plain(self) -> bool:
        """Whether every channel is correlated with a kernel, and that is all: work for the core."""
        layer = self.layers[0]
        alone = len(self.layers) == 1 and layer.activation == "identity" and not self.residual
        alone = alone and self.block == 1
        return alone and len(layer.weights) == self.inputs == layer.groups

    def _correlated(
        self, pixels: Array, boundary: str, constant: float, padding: Padding | None, threads: int | None
    ) -> Array:
        """Correlate every channel with its kernel, in the values of the image; without a bias."""
        weights = self.layers[0].weights
        given: dict[str, Any] = {
            "boundary": boundary, "constant": constant, "padding": padding or "same", "threads": threads,
        }  # fmt: skip
        if self.each_channel:
            return correlate(pixels, weights[0, 0], **given)
        planes = [correlate(pixels[..., c], weights[c, 0], **given) for c in range(len(weights))]
        return np.stack(planes, axis=-1)
