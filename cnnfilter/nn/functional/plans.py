"""Where the planes of a convolution lie and which pixels its taps are: integers alone, once a layer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfilter.core.keeping import kept
from cnnfilter.nn.functional.windows import Array, Windows

LANES = 16
"""Elements of the widest register, so many as may be read beyond what is needed."""


@dataclass(frozen=True)
class Planes:
    """How the images of a batch are laid out.

    The zeros to the right of a row are those to the left of the next: `pitch` is less than a padded row.

    Attributes
    ----------
    channels : int
    image, before, stride : tuple of int
        Rows and columns of the image, zeros in front of it, steps.
    phases : tuple of int
        A channel becomes so many planes: all rows (columns) of one remainder by `stride` lie together.
    rows, pitch : int
        Rows of a plane, and how far apart they are.
    """

    channels: int
    image: tuple[int, int]
    before: tuple[int, int]
    stride: tuple[int, int]
    phases: tuple[int, int]
    rows: int
    pitch: int

    @property
    def plane(self) -> int:
        """Elements of a plane."""
        return self.rows * self.pitch

    @property
    def size(self) -> int:
        """Elements of a sample."""
        return self.channels * self.phases[0] * self.phases[1] * self.plane

    @property
    def is_the_image(self) -> bool:
        """Whether there is nothing to lay out."""
        whole = (self.rows, self.pitch) == self.image and self.before == (0, 0)
        return whole and self.stride == self.phases == (1, 1)

    @property
    def room(self) -> int:
        """Elements of a sample and of what is read after it: zeros to the right, and a register's rest."""
        return self.size - (-self.before[1] // self.stride[1]) + LANES

    def offset(self, channel: Any, row: Any, column: Any) -> Any:
        """Where a pixel of the padded image stands."""
        (down, right), (high, wide) = self.stride, self.phases
        plane = (channel * high + row % down) * wide + column % right
        return plane * self.plane + row // down * self.pitch + column // right


@dataclass(frozen=True)
class Part:
    """Outputs that are made with the same taps.

    Attributes
    ----------
    begin : int
        Where the first tap of the first output would be if its offset were 0.
    offsets, places : ndarray of int64
        Of each tap: from there to its pixel, and from the first weight of a map to its weight.
    rows, columns : int
    at, row, column : int
        Where the first output goes within its map, and how far apart rows and columns are there.
    """

    begin: int
    offsets: Array
    places: Array
    rows: int
    columns: int
    at: int
    row: int
    column: int


@kept
def forward_plan(windows: Windows, channels: int, groups: int) -> tuple[Planes, tuple[Part, ...]]:
    """Return planes and taps of `convolution`."""
    reach = [d * (k - 1) + 1 for d, k in zip(windows.dilation, windows.size, strict=True)]
    (down, right), (top, left) = windows.stride, (side[0] for side in windows.padding)
    read = [(n - 1) * s + r for n, s, r in zip(windows.output, windows.stride, reach, strict=True)]
    rows = windows.output[0] + (reach[0] - 1) // down
    pitch = max(min(left + windows.shape[1], read[1]), read[1] - left, windows.output[1])
    if right > 1:  # the zeros that follow the last row would be those of another remainder
        pitch = -(-read[1] // right)
    if windows.padded == windows.shape and windows.stride == (1, 1):
        rows, pitch = windows.shape  # as the image is, so that it need not be copied
    phases = min(down, reach[0]), min(right, reach[1])
    planes = Planes(channels, windows.shape, (top, left), windows.stride, phases, rows, pitch)
    d, u, v = np.ogrid[: channels // groups, : windows.size[0], : windows.size[1]]
    offsets = planes.offset(d, u * windows.dilation[0], v * windows.dilation[1]).ravel()
    places = np.arange(offsets.size)
    return planes, (Part(0, offsets, places, *windows.output, 0, windows.output[1], 1),)


@kept
def backward_plan(windows: Windows, maps: int, group: int, depth: int) -> tuple[Planes, tuple[Part, ...]]:
    """Return planes and taps of `convolution_input_gradient`, for `group` maps that see `depth` channels.

    Input pixels whose padded row and column leave the same remainders by the stride see the same weights,
    and what they see moves by one when they move by a stride: each remainder is a correlation of its own.
    """
    axes = list(
        zip(windows.shape, windows.size, windows.stride, windows.dilation, windows.padding, strict=True)
    )
    before = [(k - 1) * d // s for _, k, s, d, _ in axes]
    read = [(n - 1 + pad[0]) // s + 1 + b for (n, _, s, _, pad), b in zip(axes, before, strict=True)]
    most = [-(-n // s) for n, _, s, _, _ in axes]
    pitch = max(min(before[1] + windows.output[1], read[1]), read[1] - before[1], most[1])
    planes = Planes(maps, windows.output, (before[0], before[1]), (1, 1), (1, 1), read[0], pitch)
    across = [
        [_remainder(first, *axis[:4], axis[4][0], b) for first in range(min(axis[0], axis[2]))]
        for axis, b in zip(axes, before, strict=True)
    ]
    p = np.arange(group)[:, None, None]
    area, parts = windows.size[0] * windows.size[1], []
    for begin_row, first_row, rows, row_shifts, row_taps in across[0]:
        for begin, first, columns, shifts, taps in across[1]:
            offsets = planes.offset(p, row_shifts[:, None], shifts)
            places = p * (depth * area) + row_taps[:, None] * windows.size[1] + taps
            parts.append(
                Part(
                    begin_row * planes.pitch + begin,
                    offsets.ravel(),
                    places.ravel(),
                    rows,
                    columns,
                    first_row * windows.shape[1] + first,
                    windows.stride[0] * windows.shape[1],
                    windows.stride[1],
                )
            )
    return planes, tuple(parts)


def _remainder(
    first: int, length: int, size: int, stride: int, dilation: int, padding: int, before: int
) -> tuple[int, int, int, Array, Array]:
    """Of pixels `first`, `first` + stride... along an axis: plane index, first, how many, shifts, taps."""
    start, phase = divmod(first + padding, stride)
    taps = np.array([k for k in range(size) if (phase - k * dilation) % stride == 0], np.int64)
    return start, first, -(-(length - first) // stride), (phase - taps * dilation) // stride + before, taps
