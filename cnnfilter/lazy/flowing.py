"""Images that memory would hold, too: in which blocks they are read, filtered and written at the same time.

While one block is filtered, the next one is read and the last one written, and memory holds a few of them.
That takes no longer than the longest of the three, if each row is read and filtered about once.
"""

from typing import Any

from cnnfilter.core.geometry import Pair
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy.engine import NeedsWhole, require_local, runs_of
from cnnfilter.lazy.memory import rows_between

BLOCK_BYTES = 2 << 20
"""Pixels of a block: more threads than that are not kept busy by larger ones, and memory is."""

APART = 8
"""Times the rows that two blocks both read that a block has at least: what both read is filtered twice."""

LEAST_BLOCKS = 4


def flowing_block(plan: ChainPlan, source: Any, chunks: Pair) -> Pair | None:
    """Choose rows and columns of the blocks in which an image flows; None for one that is to be held whole.

    Parameters
    ----------
    plan : ChainPlan
    source : Source
    chunks : pair of int
        See `cnnfilter.lazy.engine.Sink`.
    """
    try:
        require_local(plan)
    except NeedsWhole:
        return None
    if plan.value_range == "stretch" or plan.rounds_opaque:  # the image would be read twice
        return None
    height, width = plan.shapes[-1][:2]
    line = max(plan.target.itemsize * (plan.shapes[-1] + (1,))[2] * width, 1)
    rows = max(BLOCK_BYTES // line, APART * rows_between(plan), getattr(source, "chunks", (1, 1))[0], 1)
    step = max(chunks[0], plan.grids[-1][0])
    rows = -(-rows // step) * step
    return (rows, width) if rows * LEAST_BLOCKS <= height and _goes_down(plan, rows) else None


def _goes_down(plan: ChainPlan, rows: int) -> bool:
    """Tell whether each block reads some rows of the image that follow each other, below those before it."""
    height, top = plan.shapes[-1][0], 0
    for first in range(0, height, rows):
        runs = runs_of(plan, 0, (first, min(first + rows, height)))
        if len(runs) != 1 or runs[0][0] < top:
            return False
        top = runs[0][0]
    return True
