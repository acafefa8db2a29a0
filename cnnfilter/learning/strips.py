"""Layers at work on an image, a strip of rows at a time.

The image is extended once, by the reach of the whole stack; then every layer is narrow. So a strip with its
halo gives what the whole image gives, and memory is bounded by a strip.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfilter.core.boundary import index_map
from cnnfilter.core.threads import Workers, count, run_strips
from cnnfilter.errors import ParameterError
from cnnfilter.learning.convolutionlayer import sequence_of
from cnnfilter.learning.pairs import Array
from cnnfilter.nn.blas import single_threaded
from cnnfilter.nn.functional import pixel_unshuffle
from cnnfilter.pixels.kinds import full_scale

if TYPE_CHECKING:
    from cnnfilter.learning.learnedfilter import LearnedFilter

Padding = tuple[tuple[int, int], tuple[int, int]]

_STRIP_BYTES = 32 << 20  # of the widest layer: a few dozen rows of a large photograph


def filtered_in_strips(
    learned: "LearnedFilter",
    pixels: Array,
    boundary: str,
    constant: float,
    padding: Padding | None,
    strip: int | None,
    threads: int | None,
) -> Array:
    """Run the layers of a filter on an image (H, W, C); see `LearnedFilter.maps`.

    `constant` is a share of white.
    """
    dtype, block = floats_of(pixels), learned.block
    (top, bottom), (left, right) = learned.reach
    edges = padding or learned.reach
    rows, columns = (
        index_map(length, *sides, boundary) for length, sides in zip(pixels.shape, edges, strict=False)
    )
    height, width = len(rows) - top - bottom, len(columns) - left - right
    rows_at_once = strip or _rows_at_once(learned, width, pixels.shape[2], np.dtype(dtype).itemsize)
    if rows_at_once < 1:
        raise ParameterError(f"strip is {strip!r}: give a number of rows >= 1")
    rows_at_once = whole_blocks(rows_at_once, learned.grid)
    out = np.empty((height, width, pixels.shape[2] if learned.each_channel else learned.outputs), dtype)
    layers = sequence_of(learned.layers, dtype)
    # What reaches up from the last pixel of a block is not needed by the first, where blocks begin.
    over = block - 1
    top, left = top - over, left - over
    across, cut = whole_blocks(width, block), -over

    def make(first: int) -> None:
        last = min(first + rows_at_once, height)
        down = whole_blocks(last - first, block)
        read = (
            rows[over + first :][: down + top + bottom + cut],
            columns[over:][: across + left + right + cut],
        )
        x = learned.opened(_extended(pixels, *read, dtype, constant))
        planes = x.transpose(2, 0, 1)
        # the channels of an image, or a batch of planes
        planes = planes[:, None] if learned.each_channel else planes[None]
        y = layers.forward(pixel_unshuffle(planes, block))
        made = out[first:last]
        _lay(y, block, made)
        if learned.residual:
            made += x[top:, left:][: last - first, :width]
        closed = learned.closed(made)
        if closed is not made:
            made[...] = closed

    def work(first: int, last: int) -> None:
        for strip in range(first, last):
            make(strip * rows_at_once)

    strips = -(-height // rows_at_once)
    with single_threaded() as alone:
        run_strips(work, strips, Workers(count(threads) if alone else 1, strips), 1)
    return out


def whole_blocks(pixels: int, block: int) -> int:
    """Return how many pixels the blocks have that hold so many.

    Examples
    --------
    >>> whole_blocks(5, 2), whole_blocks(6, 2)
    (6, 6)
    """
    return -(-pixels // block) * block


def _lay(maps: Array, block: int, image: Array) -> None:
    """Lay maps (N, D, rows, columns) as the pixels of blocks, all channels (H, W, C), without their rest."""
    for k, values in enumerate(maps.reshape(-1, *maps.shape[2:])):
        channel, place = divmod(k, block**2)
        pixels = image[place // block :: block, place % block :: block, channel]
        pixels[...] = values[: pixels.shape[0], : pixels.shape[1]]


def _rows_at_once(learned: "LearnedFilter", width: int, channels: int, itemsize: int) -> int:
    widest = max(max(layer.inputs, len(layer.weights)) for layer in learned.layers)
    row = width * -(-widest // learned.block**2) * itemsize * (channels if learned.each_channel else 1)
    return max(8, _STRIP_BYTES // max(1, row))


def floats_of(pixels: Array) -> Any:
    """Return the type that an image is filtered in."""
    return np.float64 if pixels.dtype == np.float64 else np.float32


def _extended(pixels: Array, rows: Array, columns: Array, dtype: Any, constant: float) -> Array:
    """Part of an image (H, W, C) with its halo, in shares of the full range."""
    part = pixels[rows.clip(0)][:, columns.clip(0)].astype(dtype)
    part /= dtype(full_scale(pixels.dtype))
    part[rows < 0] = constant
    part[:, columns < 0] = constant
    return np.asarray(part)
