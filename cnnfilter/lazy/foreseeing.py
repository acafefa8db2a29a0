"""What is known of a run before it begins: blocks, what they read, and memory."""

from typing import Any, NamedTuple

from cnnfilter.core.geometry import Pair
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy.engine import blocks_of, from_row, pixels_read
from cnnfilter.lazy.memory import expected


class Foreseen(NamedTuple):
    """What is known of a run before it begins.

    Attributes
    ----------
    block : pair of int
        Rows and columns of the result at a time.
    blocks : int
        How many blocks there are.
    pixels : int
        How many pixels are read, those that two blocks need twice.
    memory : int
        Bytes that the process will hold at most, about.
    """

    block: Pair
    blocks: int
    pixels: int
    memory: int


def foreseen(plan: ChainPlan, source: Any, block: Pair, held: int) -> Foreseen:
    """Say how an image, or each of its planes, will be filtered in blocks.

    Parameters
    ----------
    plan : ChainPlan
    source : Source
    block : pair of int
    held : int
        Bytes that the process holds beside the blocks.
    """
    planes = len(getattr(source, "stacked", (source,)))
    memory = held + expected(plan, block, bands=hasattr(source, "expect"))
    blocks = len(blocks_of(from_row(plan, 0), block))
    return Foreseen(block, planes * blocks, planes * pixels_read(plan, block), memory)
