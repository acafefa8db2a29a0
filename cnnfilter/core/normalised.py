"""Normalised convolution: what a filter makes of an image in which pixels are missing.

With a kernel of weights of 0 or more the missing pixels count nothing and the others are rescaled (Knutsson
and Westin, "Normalized and differential convolution", 1993):

    y_ij = sum(w) * sum(w_uv m_uv x_uv) / sum(w_uv m_uv)        m is 1 where a pixel is there, else 0

and y is missing where no weight is left. With a kernel that has negative weights y is missing as soon as a
missing pixel lies under a weight other than 0: a difference with one side unknown is unknown.

What a boundary puts beside the image: the zeros of `zero` and the constant of `constant` are there; a missing
pixel that is mirrored or repeated is missing there as well; `renormalize` puts nothing there, and its rule is
the same formula.

`astropy.convolution.convolve` with ``nan_treatment="interpolate"`` agrees for odd kernels of weights of 0 or
more; its ``preserve_nan`` is the opposite of `fill`, its boundaries "fill", "wrap", "extend" and "fill" with
NaN are `zero`, `wrap`, `edge` and `renormalize`. With negative weights it rescales, too, by the signed sum of
the weights that are left, which may be near 0; here such a result is missing.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core.arguments import stored
from cnnfilter.core.boundary import index_map, one_boundary
from cnnfilter.core.correlate import filtered
from cnnfilter.core.geometry import Axis, Geometry
from cnnfilter.kernels.kernel import Kernel

Array: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]
Boundaries: TypeAlias = tuple[str, str]

BLOCK = 256
"""Rows that are computed again at a time, so that their sums need not all lie in memory at once."""


def completed(
    sums: Array,
    values: Array,
    where: Mask,
    kernel: Kernel,
    geometry: Geometry,
    boundaries: Boundaries,
    constant: float,
    *,
    fill: bool,
    threads: int | None,
) -> Mask:
    """Put right what was filtered with zeros in place of missing pixels, and tell what is missing.

    Only results that have a missing pixel under the kernel are computed again: the others keep every bit.

    Parameters
    ----------
    sums : array of shape (H', W', C)
        The filtered image; results in it are replaced.
    values : array of shape (H, W, C)
        The image, 0 where a pixel is missing.
    where : bool array of shape (H, W, C)
        The missing pixels.
    boundaries : pair of str
        Of rows and of columns.
    constant : float
        What the boundary `constant` puts beside the image.
    fill : bool
        Whether a result may be known where the pixel under the kernel's centre is missing.

    Returns
    -------
    bool array of shape (H', W', C)
        True where a result is missing.
    """
    if not where.any():
        return np.zeros(sums.shape, bool)
    if where.strides[2] == 0:  # the channels share one mask
        where = where[:, :, :1]
    touched = _touched(where, kernel, geometry, boundaries, threads)
    if kernel.array.min() < 0:
        gone = touched
    else:
        again = _Again(values, where, kernel, geometry, boundaries, constant, threads)
        gone = again.replace(sums, touched)
    if not fill:
        gone |= _at_centre(where, geometry)
    return np.broadcast_to(gone, sums.shape)


def _touched(
    where: Mask, kernel: Kernel, geometry: Geometry, boundaries: Boundaries, threads: int | None
) -> Mask:
    """Tell which results have a missing pixel under a weight other than 0."""
    rows, columns = ("zero" if name in ("constant", "renormalize") else name for name in boundaries)
    flags, padding, boundary = one_boundary(where.astype(np.uint8), geometry, (rows, columns), 0.0)
    support = Kernel((kernel.weights != 0).astype(np.float64))
    # An integer saturates, so that any number of missing pixels stays a number other than 0.
    counts = filtered(
        flags, support, stride=geometry.stride, padding=padding, boundary=boundary, constant=0.0,
        dilation=geometry.dilation, dtype=np.uint8, accuracy="exact", method="auto", threads=threads,
    )  # fmt: skip
    return np.asarray(counts != 0)


def _at_centre(where: Mask, geometry: Geometry) -> Mask:
    """Tell which results lie on a missing pixel."""
    rows, columns = _centres(geometry.rows), _centres(geometry.columns)
    missing = _laid(where, rows, columns)
    missing[rows < 0] = False
    missing[:, columns < 0] = False
    return missing


def _centres(axis: Axis) -> NDArray[np.int64]:
    """Return the pixel under the kernel's centre for each output along an axis, or -1 outside the image."""
    places = np.arange(axis.output) * axis.stride - axis.before + (axis.reach - 1) // 2
    return np.where(places < axis.length, np.maximum(places, -1), -1)


def _laid(array: Array, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
    """Copy the named rows and columns of an (H, W, C) array; -1, which names none, takes any.

    Neighbours are copied together: indexing pixel by pixel takes ten times as long.
    """
    rows, columns = np.maximum(rows, 0), np.maximum(columns, 0)
    source = array[rows[0] : rows[-1] + 1] if (np.diff(rows) == 1).all() else array[rows]
    out = np.empty((len(rows), len(columns), array.shape[2]), array.dtype)
    for start, stop in pairwise([0, *(np.flatnonzero(np.diff(columns) != 1) + 1).tolist(), len(columns)]):
        out[:, start:stop] = source[:, columns[start] : columns[start] + stop - start]
    return out


class _Again:
    """Results of one image that are computed again: sums over the pixels that are there, in float64."""

    def __init__(
        self,
        values: Array,
        where: Mask,
        kernel: Kernel,
        geometry: Geometry,
        boundaries: Boundaries,
        constant: float,
        threads: int | None,
    ) -> None:
        self.values, self.where, self.geometry, self.threads = values, where, geometry, threads
        self.boundaries, self.constant = boundaries, constant
        self.total = 1.0 if kernel.sums_to_one else kernel.sum
        # Scaled by a power of two, which is exact, to a sum between 1/4 and 1/2: no sum overflows, and none
        # takes differences from a pixel, as filters of sum 1 may, where the weight left is tiny.
        weights = np.abs(kernel.weights)
        self.kernel = Kernel(np.ldexp(weights, -math.frexp(float(weights.sum()))[1] - 1))
        # Both have sums without cancellation, exactly 0 where no weight is left; FFT and low rank have not.
        self.method = "separable" if self.kernel.separable() else "direct"
        self.maps = [
            index_map(axis.length, axis.before, axis.after, boundary)
            for axis, boundary in zip((geometry.rows, geometry.columns), boundaries, strict=True)
        ]

    def replace(self, sums: Array, touched: Mask) -> Mask:
        """Compute the touched results again, in place, and return which of them are missing."""
        gone = np.zeros_like(touched)
        for first in range(0, len(touched), BLOCK):
            columns = np.flatnonzero(touched[first : first + BLOCK].any(axis=(0, 2)))
            if not columns.size:
                continue
            block = (
                slice(first, min(first + BLOCK, len(touched))),
                slice(int(columns[0]), int(columns[-1]) + 1),
            )
            results, empty = self._block(*block)
            np.copyto(sums[block], stored(results, sums.dtype), where=touched[block])
            gone[block] = empty & touched[block]
        return gone

    def _block(self, rows: slice, columns: slice) -> tuple[Array, Mask]:
        """Return the results of a block of outputs, and where no weight is left."""
        pixels, there = self._padded(rows, columns)
        channels = pixels.shape[2]
        sums = filtered(
            np.concatenate((pixels, there), axis=2, dtype=np.float64), self.kernel,
            stride=self.geometry.stride, padding=0, boundary="zero", constant=0.0,
            dilation=self.geometry.dilation, dtype=np.float64, accuracy="exact", method=self.method,
            threads=self.threads,
        )  # fmt: skip
        seen, weight = sums[:, :, :channels], sums[:, :, channels:]
        with np.errstate(divide="ignore", invalid="ignore"):
            means = seen / weight
        return means * self.total if self.total != 1 else means, weight == 0

    def _padded(self, rows: slice, columns: slice) -> tuple[Array, Mask]:
        """Return the pixels that a block of outputs reads, 0 where none is there, and where one is."""
        places = [
            places[part.start * axis.stride : (part.stop - 1) * axis.stride + axis.reach]
            for places, part, axis in zip(
                self.maps, (rows, columns), (self.geometry.rows, self.geometry.columns), strict=True
            )
        ]
        pixels = _laid(self.values, *places).astype(np.float64, copy=False)
        there = ~_laid(self.where, *places)
        # In the corners the last one holds, which is never another than `renormalize`: see `one_boundary`.
        for axis in (1, 0) if self.boundaries[0] == "renormalize" else (0, 1):
            outside = (slice(None),) * axis + (places[axis] < 0,)
            there[outside] = self.boundaries[axis] != "renormalize"
            pixels[outside] = self.constant if self.boundaries[axis] == "constant" else 0.0
        return pixels, there
