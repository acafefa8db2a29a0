"""A learned filter: a stack of convolution layers that makes an image from an image.

The image is extended once, by the reach of the whole stack, as the boundary says; then every layer is
narrow. So a strip with its halo gives what the whole image gives, and memory is bounded by a strip.
Values are taken as shares of the full range (255, 65535, or 1 for floats), so that a filter learned from
8-bit images serves 16-bit ones.
"""

import json
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnfilter.core.boundary import check_boundary, index_map
from cnnfilter.core.correlate import correlate
from cnnfilter.core.kernel import Kernel
from cnnfilter.core.threads import count
from cnnfilter.errors import CnnFilterError, FilterFileError, ParameterError
from cnnfilter.learning.pairs import Array, full_scale
from cnnfilter.nn.blas import single_threaded
from cnnfilter.nn.functional import activation, convolution
from cnnfilter.weightsfile import read_tensors, write_tensors

FORMAT, VERSION = "cnnfilter-learned", "1"
_STRIP_BYTES = 32 << 20  # of the widest layer: a few dozen rows of a large photograph
_MAX_LAYERS = 256


@dataclass(frozen=True, eq=False)
class ConvolutionLayer:
    """Weights (P, D / groups, U, V), an optional bias (P,), and the activation after them."""

    weights: Array
    bias: Array | None = None
    activation: str = "identity"
    groups: int = 1

    def __post_init__(self) -> None:
        activation(self.activation)
        if self.weights.ndim != 4 or 0 in self.weights.shape:
            raise ParameterError(f"weights have shape {self.weights.shape}: give (P, D / groups, U, V)")
        if self.bias is not None and self.bias.shape != self.weights.shape[:1]:
            raise ParameterError(f"bias has shape {self.bias.shape}: give {self.weights.shape[:1]}")
        if self.groups < 1 or self.weights.shape[0] % self.groups:
            raise ParameterError(f"groups is {self.groups}: it must divide {self.weights.shape[0]} outputs")

    @property
    def inputs(self) -> int:
        """Input channels."""
        return int(self.weights.shape[1]) * self.groups

    def apply(self, x: Array) -> Array:
        """Run the layer on a batch (N, D, H, W) without padding."""
        bias = None if self.bias is None else self.bias.astype(x.dtype)
        y = convolution(x, self.weights.astype(x.dtype), bias, groups=self.groups)
        return activation(self.activation).forward(y)


@dataclass(frozen=True, eq=False)
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
    """

    layers: tuple[ConvolutionLayer, ...]
    each_channel: bool = False
    residual: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.layers:
            raise ParameterError("a learned filter needs at least one layer")
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if len(before.weights) != after.inputs:
                raise ParameterError(
                    f"a layer of {len(before.weights)} outputs is followed by one of {after.inputs} inputs"
                )
        if self.each_channel and (self.inputs, self.outputs) != (1, 1):
            raise ParameterError(
                f"a filter for each channel has 1 input and 1 output, not {self.inputs} and {self.outputs}"
            )
        if self.residual and self.inputs != self.outputs:
            raise ParameterError(
                f"a residual of {self.outputs} outputs cannot be added to {self.inputs} inputs"
            )

    @property
    def inputs(self) -> int:
        """Channels that the first layer takes."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Maps that the last layer makes."""
        return len(self.layers[-1].weights)

    @property
    def reach(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((top, bottom), (left, right)): how far a pixel's result looks; same padding, layer by layer."""
        sizes = [layer.weights.shape[2:] for layer in self.layers]
        rows, columns = ((sum((s[k] - 1) // 2 for s in sizes), sum(s[k] // 2 for s in sizes)) for k in (0, 1))
        return rows, columns

    def maps(self, image: Array, *, boundary: str = "reflect", strip: int | None = None) -> Array:
        """Filter an image and keep the result as it is: signed floats in units of the full range.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, C)
            uint8, uint16, int16, float32 or float64; C equal to `inputs`, unless `each_channel`.
        boundary : str, default "reflect"
            As in `correlate`, without "renormalize"; "constant" is zero.
        strip : int, optional
            Rows at a time; default as many as fit 32 MiB of the widest layer.

        Returns
        -------
        ndarray of shape (H, W, P), or (H, W, C) if `each_channel`
            float32, or float64 for float64 images.
        """
        pixels = self._checked(image)
        if check_boundary(boundary) == "renormalize":
            raise ParameterError("boundary 'renormalize' has no meaning for a learned filter: use reflect")
        if self._is_plain:
            values = self._correlated(pixels, boundary, None)
            values /= full_scale(pixels.dtype)
            return values
        dtype = np.float64 if pixels.dtype == np.float64 else np.float32
        height, width, channels = pixels.shape
        rows_at_once = strip or self._strip(width, channels, np.dtype(dtype).itemsize)
        if rows_at_once < 1:
            raise ParameterError(f"strip is {strip!r}: give a number of rows >= 1")
        (top, bottom), (left, right) = self.reach
        rows, columns = index_map(height, top, bottom, boundary), index_map(width, left, right, boundary)
        out = np.empty((height, width, channels if self.each_channel else self.outputs), dtype)

        def work(first: int) -> None:
            last = min(first + rows_at_once, height)
            x = _extended(pixels, rows[first : last + top + bottom], columns, dtype)
            if self.each_channel:  # the channels are a batch of planes
                x = x.transpose(1, 0, 2, 3)
            y = x
            for layer in self.layers:
                y = layer.apply(y)
            if self.residual:
                y = y + x[..., top : x.shape[2] - bottom, left : x.shape[3] - right]
            out[first:last] = y.reshape(-1, last - first, width).transpose(1, 2, 0)

        with single_threaded() as alone, ThreadPoolExecutor(count() if alone else 1) as pool:
            list(pool.map(work, range(0, height, rows_at_once)))
        return out

    def apply(self, image: Array, *, boundary: str = "reflect", strip: int | None = None) -> Array:
        """Filter an image and return one of its own kind: same dtype, rounded and clipped to its range.

        Examples
        --------
        >>> half = LearnedFilter((ConvolutionLayer(np.full((1, 1, 1, 1), 0.5)),), each_channel=True)
        >>> half.apply(np.array([[100, 51]], np.uint8)).tolist()
        [[50, 26]]
        """
        if self._is_plain:
            return self._correlated(self._checked(image), boundary, image.dtype).reshape(image.shape)
        values = self.maps(image, boundary=boundary, strip=strip)
        if image.ndim == 2 and values.shape[2] == 1:
            values = values[..., 0]
        if not np.issubdtype(image.dtype, np.integer):
            return values.astype(image.dtype, copy=False)
        limits = np.iinfo(image.dtype)
        values *= full_scale(image.dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(image.dtype)

    def kernel(self) -> Kernel | None:
        """Return the kernel of a filter that is one plain kernel for every channel, else None."""
        if not self._is_plain or not self.each_channel:
            return None
        return Kernel(self.layers[0].weights[0, 0], name="learned", meta={"learned": dict(self.notes)})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write kernel JSON if one kernel says it all and `path` ends in .json, else safetensors.

        Raises
        ------
        FilterFileError
            If the suffix does not fit the filter, or the file cannot be written.
        """
        from cnnfilter import kernelfile

        suffix = os.path.splitext(os.fspath(path))[1].lower()
        if suffix == ".json":
            kernel = self.kernel()
            if kernel is None:
                raise FilterFileError(
                    f"{path}: more than one plain kernel cannot be saved as kernel JSON: "
                    "give a name that ends in .safetensors"
                )
            kernelfile.save(kernel, path)
            return
        if suffix != ".safetensors":
            raise FilterFileError(f"{path}: a learned filter is saved as .json or .safetensors")
        tensors: dict[str, Array] = {}
        for k, layer in enumerate(self.layers):
            tensors[f"layers.{k}.weight"] = layer.weights
            if layer.bias is not None:
                tensors[f"layers.{k}.bias"] = layer.bias
        description = {
            "layers": [{"activation": layer.activation, "groups": layer.groups} for layer in self.layers],
            "each_channel": self.each_channel,
            "residual": self.residual,
            "notes": dict(self.notes),
        }
        metadata = {"format": FORMAT, "version": VERSION, "description": json.dumps(description)}
        write_tensors(path, tensors, metadata)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, tensor: str | None = None, order: str = "UVDP"
    ) -> "LearnedFilter":
        """Read a learned filter, a kernel file, or a bank of kernels.

        Parameters
        ----------
        path : path
            A file of `save`; a kernel file (.json, .txt, .csv); or a bank: the only four-dimensional tensor
            of a .npy, .npz or .safetensors file, or the one named by `tensor`.
        tensor : str, optional
        order : "UVDP" or "PDUV"
            Axes of a bank: the notes', or PyTorch's.

        Raises
        ------
        FilterFileError
            If the file is damaged, of a form or version that is not known, or holds no such bank.
        """
        from cnnfilter import kernelfile

        try:
            if os.path.splitext(os.fspath(path))[1].lower() in (".json", ".txt", ".csv"):
                kernel = kernelfile.load(path)
                layer = ConvolutionLayer(kernel.array[None, None])
                return cls((layer,), each_channel=True, notes=dict(kernel.meta))
            tensors, metadata = read_tensors(path)
            if metadata.get("format") == FORMAT and tensor is None:
                return cls(**_described(tensors, metadata))
            return cls((ConvolutionLayer(_bank(tensors, tensor, order)),))
        except FilterFileError as error:
            raise FilterFileError(_with_path(path, str(error))) from error.__cause__
        except CnnFilterError as error:
            raise FilterFileError(_with_path(path, str(error))) from error

    def _checked(self, image: Array) -> Array:
        if image.ndim not in (2, 3) or image.size == 0:
            raise ParameterError(f"image has shape {image.shape}: give (H, W) or (H, W, C), not empty")
        pixels = image.reshape(*image.shape[:2], -1)
        if not self.each_channel and pixels.shape[2] != self.inputs:
            raise ParameterError(
                f"the filter takes {self.inputs} channel(s), but the image has {pixels.shape[2]}"
            )
        return pixels

    @property
    def _is_plain(self) -> bool:
        """Whether every channel is correlated with a kernel, and that is all: work for the core."""
        layer = self.layers[0]
        alone = len(self.layers) == 1 and layer.activation == "identity" and not self.residual
        return alone and len(layer.weights) == self.inputs == layer.groups and not _any(layer.bias)

    def _correlated(self, pixels: Array, boundary: str, dtype: Any) -> Array:
        weights = self.layers[0].weights
        if self.each_channel:
            return correlate(pixels, weights[0, 0], boundary=boundary, dtype=dtype)
        planes = [
            correlate(pixels[..., c], weights[c, 0], boundary=boundary, dtype=dtype)
            for c in range(len(weights))
        ]
        return np.stack(planes, axis=-1)

    def _strip(self, width: int, channels: int, itemsize: int) -> int:
        widest = max(max(layer.inputs, len(layer.weights)) for layer in self.layers)
        row = width * widest * itemsize * (channels if self.each_channel else 1)
        return max(8, _STRIP_BYTES // max(1, row))


def _any(bias: Array | None) -> bool:
    return bias is not None and bool(bias.any())


def _extended(pixels: Array, rows: Array, columns: Array, dtype: Any) -> Array:
    """Part of an image with its halo as a batch (1, C, H, W) in shares of the full range."""
    part = pixels[rows.clip(0)][:, columns.clip(0)].astype(dtype)
    part /= full_scale(pixels.dtype)
    part[rows < 0] = 0
    part[:, columns < 0] = 0
    return np.ascontiguousarray(part.transpose(2, 0, 1))[None]


def _described(tensors: dict[str, Array], metadata: dict[str, str]) -> dict[str, Any]:
    """Arguments of a LearnedFilter from a file of `save`; what is missing or unknown is named."""
    if metadata.get("version") != VERSION:
        raise FilterFileError(
            f"version {metadata.get('version')!r} of a learned filter: known is {VERSION!r}"
        )
    try:
        description = json.loads(metadata["description"])
        records = description["layers"]
        each_channel, residual = description["each_channel"], description["residual"]
        notes = description["notes"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FilterFileError(f"the description of the filter is damaged ({error!r})") from error
    well_formed = isinstance(records, list) and 0 < len(records) <= _MAX_LAYERS
    if not well_formed or not isinstance(notes, dict) or {type(each_channel), type(residual)} != {bool}:
        raise FilterFileError("the description of the filter is not of the known form")
    layers = []
    for k, record in enumerate(records):
        if not isinstance(record, dict) or set(record) != {"activation", "groups"}:
            raise FilterFileError(f"layer {k} must say activation and groups, and no more: {record!r}")
        if type(record["groups"]) is not int or not isinstance(record["activation"], str):
            raise FilterFileError(f"layer {k} is not of the known form: {record!r}")
        weights = tensors.pop(f"layers.{k}.weight", None)
        if weights is None or weights.dtype.kind != "f":
            raise FilterFileError(f"layer {k} has no weights of floats")
        layers.append(
            ConvolutionLayer(
                weights, tensors.pop(f"layers.{k}.bias", None), record["activation"], record["groups"]
            )
        )
    if tensors:
        raise FilterFileError(f"unknown tensors: {', '.join(sorted(tensors))}")
    return {"layers": tuple(layers), "each_channel": each_channel, "residual": residual, "notes": notes}


def _bank(tensors: dict[str, Array], name: str | None, order: str) -> Array:
    if order not in ("UVDP", "PDUV"):
        raise ParameterError(f'order is {order!r}: give "UVDP" or "PDUV"')
    if name is not None and name not in tensors:
        raise FilterFileError(f"no tensor is named {name!r}; there are {_listed(tensors)}")
    found = {key: t for key, t in tensors.items() if t.ndim == 4} if name is None else {name: tensors[name]}
    if len(found) != 1:
        raise FilterFileError(
            f"{len(found)} tensors have four dimensions: name one of {_listed(found or tensors)}"
        )
    ((key, bank),) = found.items()
    if bank.ndim != 4:
        raise FilterFileError(f"tensor {key!r} has shape {bank.shape}: a bank has four dimensions")
    bank = bank.transpose(3, 2, 0, 1) if order == "UVDP" else bank
    if math.prod(bank.shape[2:]) > 255 * 255:
        raise FilterFileError(f"tensor {key!r} as {order} has kernels of {bank.shape[2]} x {bank.shape[3]}")
    return np.ascontiguousarray(bank, np.float64 if bank.dtype == np.float64 else np.float32)


def _listed(tensors: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {tensor.shape}" for name, tensor in list(tensors.items())[:20])


def _with_path(path: str | os.PathLike[str], message: str) -> str:
    return message if message.startswith(f"{os.fspath(path)}:") else f"{os.fspath(path)}: {message}"
