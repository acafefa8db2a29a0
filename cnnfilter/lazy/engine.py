"""A chain of filters on an image that is never in memory: block by block, with the bits of the whole.

The result is walked in blocks. Each is asked of the last filter, which asks the one before it for what the
block needs, and so on up to the source, which reads those pixels alone (`cnnfilter.filters.parts`). Nothing
of a block is kept for the next one: what two blocks both need is computed twice.
"""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from functools import partial
from itertools import product
from typing import Any, Protocol

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.errors import ParameterError
from cnnfilter.filters.parts import UNROUNDED, Step, ends_of, steps_of
from cnnfilter.filters.parts import Source as Asked
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.pixels import Applied, Array, extremes

UNDER_WAY = 2
"""Blocks at a time: while one is filtered, another is read."""


class Source(Protocol):
    """An image that can be read in parts, by several threads at a time.

    Attributes
    ----------
    shape : tuple of int
        (H, W) or (H, W, C).
    dtype : dtype
        uint8, uint16, int16, float32 or float64.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, rows: Pair, columns: Pair) -> Array:
        """Return the pixels of rows and columns `[first, last)`."""
        ...


class Sink(Protocol):
    """Where an image is written in parts.

    Attributes
    ----------
    chunks : pair of int
        Rows and columns that are best written together: blocks begin at multiples of them.
    """

    chunks: Pair

    def write(self, rows: Pair, columns: Pair, block: Array) -> None:
        """Write rows and columns `[first, last)`: each once, in reading order."""
        ...


def filter_blocks(plan: ChainPlan, source: Source, sink: Sink, block: Pair) -> int:
    """Filter an image block by block.

    Parameters
    ----------
    plan : ChainPlan
        Of the whole image.
    source, sink : Source, Sink
    block : pair of int
        Rows and columns of the result at a time.

    Returns
    -------
    int
        How many values of the result were limited to its range.

    Raises
    ------
    ParameterError
        A filter that needs the whole image.
    """
    require_local(plan)
    height, width = plan.shapes[-1][:2]
    blocks = list(product(_pieces(height, block[0]), _pieces(width, block[1])))
    told: dict[str, Any] = {}
    if plan.value_range == "stretch":
        told["ends"] = _extremes(plan, source, blocks)
    clipped = 0
    # Closed when writing fails, so that nothing reads the source any more.
    with closing(_filtered(steps_of(plan, **told), source, blocks, plan.threads)) as results:
        for rows, columns, applied in results:
            sink.write(rows, columns, applied.array)
            clipped += applied.clipped
    return clipped


def require_local(plan: ChainPlan) -> None:
    """Refuse a chain in which a value depends on the whole image."""
    for number, filter in enumerate(plan.filters):
        if filter.arguments.get("accuracy") == "fast":
            raise ParameterError(
                f"{filter.title} with accuracy 'fast' runs down and up the whole image, so that it cannot be "
                "computed in blocks; use accuracy 'exact', or an image that fits the memory"
            )
        if filter.range == "stretch" and number + 1 < len(plan.filters):
            raise ParameterError(
                f"the range 'stretch' of {filter.title} needs the extremes of the whole image before the "
                "next filter begins; run the filters after it by themselves"
            )
    if plan.alpha:
        raise ParameterError(
            "colours are weighed by alpha as soon as one pixel of the image is transparent, so that such an "
            "image cannot be computed in blocks; take alpha off"
        )


def _pieces(length: int, step: int) -> list[Pair]:
    return [(first, min(first + step, length)) for first in range(0, length, step)]


def _extremes(plan: ChainPlan, source: Source, blocks: list[tuple[Pair, Pair]]) -> tuple[float, float]:
    """Run the chain for the least and the greatest value of its result alone."""
    steps = steps_of(plan, **UNROUNDED)
    results = _filtered(steps, source, blocks, plan.threads)
    return ends_of(plan, (extremes(applied.array) for *_, applied in results))


def _filtered(
    steps: list[Step], source: Source, blocks: list[tuple[Pair, Pair]], threads: int
) -> Generator[tuple[Pair, Pair, Applied], None, None]:
    """Yield the blocks in their order, while those that follow are being computed."""
    read: Asked = source.read
    for step in steps[:-1]:
        read = partial(_array, step, read, threads)
    last = steps[-1]
    waiting: deque[tuple[Pair, Pair, Future[Applied]]] = deque()
    with ThreadPoolExecutor(UNDER_WAY, "cnnfilter.lazy") as pool:
        try:
            for rows, columns in blocks:
                # NumPy's errors are treated there as the caller wants them to be.
                begin = partial(copy_context().run, last.part, rows, columns, read, threads)
                waiting.append((rows, columns, pool.submit(begin)))
                if len(waiting) == UNDER_WAY:
                    top, left, future = waiting.popleft()
                    yield top, left, future.result()
            for top, left, future in waiting:
                yield top, left, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _array(step: Step, source: Asked, threads: int, rows: Pair, columns: Pair) -> Array:
    return step.part(rows, columns, source, threads).array
