"""The boundary `renormalize`: near the border, the weights that lie on the image count for all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnfilter.core.geometry import Axis, Geometry, Pair
from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.methods import direct, separable
from cnnfilter.core.methods.work import Array, Prepared, Task, rounding_of_a_constant
from cnnfilter.errors import ParameterError
from cnnfilter.kernels.kernel import Kernel

Floats = NDArray[np.float64]


def border(task: Task, kernel: Kernel) -> Border:
    """Make ready to compute the border of an output again; its inside is left alone.

    Raises
    ------
    ParameterError
        Somewhere the weights on the image sum to 0.
    """
    height, width = task.geometry.output_shape
    top, bottom = task.geometry.rows.interior
    left, right = task.geometry.columns.interior
    parts = (
        ((0, top), (0, width)),
        ((bottom, height), (0, width)),
        ((top, bottom), (0, left)),
        ((top, bottom), (right, width)),
    )
    pieces = [
        _piece(task, kernel, rows, columns)
        for rows, columns in parts
        if rows[0] < rows[1] and columns[0] < columns[1]
    ]
    return Border(tuple(pieces), sum(piece.nbytes for piece in pieces))


class Border(NamedTuple):
    """The four sides of an output."""

    pieces: tuple[_Piece, ...]
    nbytes: int

    def run(self, image: Array, out: Array) -> None:
        """Write the border of `out`."""
        with np.errstate(over="ignore", invalid="ignore"):  # what a type does not hold is infinite in it
            for piece in self.pieces:
                piece.run(image, out)


class _Piece(NamedTuple):
    """One side: which outputs, which pixels they need, and what each sum is to be multiplied by."""

    rows: Pair
    columns: Pair
    pixels: tuple[slice, slice]
    sums: Prepared
    shape: Pair
    scale: Floats
    middle: tuple[NDArray[np.int64], NDArray[np.int64]]
    tolerance: float

    @property
    def nbytes(self) -> int:
        return self.scale.nbytes + self.sums.nbytes

    def run(self, image: Array, out: Array) -> None:
        pixels = image[self.pixels].astype(np.float64, order="C")
        sums = aligned_empty((*self.shape, image.shape[2]), np.dtype(np.float64))
        self.sums.run(pixels, sums, 1)
        exact = sums * self.scale[:, :, None]
        if self.tolerance:
            # As `loops.vectors.snapper`: a mean that is off by rounding alone is the pixel in the middle.
            centre = pixels[self.middle[0][:, None], self.middle[1]]
            near = np.abs(exact - centre) <= np.maximum(self.tolerance * np.abs(centre), 1e-320)
            exact = np.where(near, centre, exact)
        target = out[self.rows[0] : self.rows[1], self.columns[0] : self.columns[1]]
        if target.dtype.kind != "f":
            limits = np.iinfo(target.dtype)
            exact = np.clip(np.rint(exact), limits.min, limits.max)
        target[...] = exact


def _piece(task: Task, kernel: Kernel, rows: Pair, columns: Pair) -> _Piece:
    down, first_row, last_row = task.geometry.rows.part(*rows)
    across, first_column, last_column = task.geometry.columns.part(*columns)
    part = task._replace(
        geometry=Geometry(down, across), source="f64", target="f64", real="f64", outside="zero"
    )
    factors = kernel.factors()
    sums: Prepared
    if factors is None:
        sums = direct.prepare(part, kernel.array, snapping=False)
    else:
        sums = separable.prepare(part, [(factors[0] / kernel.divisor, factors[1])], snapping=False)
    weights = weights_inside(kernel.array, down, across)
    sizes = weights_inside(np.abs(kernel.array), down, across)
    if not (np.abs(weights) > 1e-9 * sizes).all():
        cause = (
            "its negative weights cancel the others near the border"
            if (sizes > 0).all()
            else "near the border all its weights but zeros lie outside (less dilation or padding may help)"
        )
        raise ParameterError(
            "boundary 'renormalize' divides by the sum of the weights that lie on the image, which is 0 for "
            f"this kernel: {cause}; use another boundary, such as 'edge'"
        )
    return _Piece(
        rows, columns, (slice(first_row, last_row), slice(first_column, last_column)), sums,
        (down.output, across.output), kernel.sum / weights, (_nearest(down), _nearest(across)),
        4 * rounding_of_a_constant(kernel.array.ravel()) if kernel.sums_to_one else 0.0,
    )  # fmt: skip


def weights_inside(array: Floats, down: Axis, across: Axis) -> Floats:
    """Sum up, for each output, the weights that lie on the image, down the columns and then along the row."""
    columns = _sums(array, *_taps_inside(down))
    return _sums(columns.T, *_taps_inside(across)).T


def _sums(weights: Floats, first: NDArray[np.int64], last: NDArray[np.int64]) -> Floats:
    """Add up the rows `[first, last)` of the weights, one range after the other.

    A sum begins at the side of the kernel that is in it. No sum is the difference of two, in which small
    weights beside large ones would be lost, and none depends on which others are asked for.
    """
    taps = len(weights)
    nothing = np.zeros_like(weights[:1])
    from_first = np.concatenate([nothing, weights.cumsum(axis=0)])
    from_last = np.concatenate([nothing, weights[::-1].cumsum(axis=0)])[::-1]
    sums: Floats = np.where((first == 0)[:, None], from_first[last], from_last[first])
    for output in np.flatnonzero((first > 0) & (last < taps)):
        sums[output] = weights[first[output] : last[output]].cumsum(axis=0)[-1:].sum(axis=0)
    return sums


def _taps_inside(axis: Axis) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each output the taps `[first, last)` that lie on the image."""
    place = np.arange(axis.output) * axis.stride - axis.before
    first = np.clip(-(place // axis.dilation), 0, axis.kernel)
    last = np.clip(-((place - axis.length) // axis.dilation), first, axis.kernel)
    return first, last


def _nearest(axis: Axis) -> NDArray[np.int64]:
    """Return for each output the pixel on the image that is nearest to the middle of its kernel."""
    first, last = _taps_inside(axis)
    tap = np.clip(axis.kernel // 2, first, np.maximum(last - 1, first))
    place = np.arange(axis.output) * axis.stride - axis.before + tap * axis.dilation
    nearest: NDArray[np.int64] = np.clip(place, 0, axis.length - 1)
    return nearest
