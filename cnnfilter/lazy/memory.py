"""How much memory there is for blocks, what a block takes, and how large blocks are made."""

import math
import os
import re
from functools import cache

from cnnfilter.core.container import memory_limit
from cnnfilter.core.geometry import Axis, Pair, whole_number
from cnnfilter.errors import ParameterError, shown
from cnnfilter.filters.plan import ChainPlan
from cnnfilter.lazy.engine import UNDER_WAY

SHARE = 4
"""A run takes one part in so many of what there is, unless told otherwise."""

UNKNOWN = 4 << 30
"""What there is, where the system does not say."""

CODE = 64 << 20
"""What the process will grow by beside the blocks: modules, compiled loops, working memory of threads."""


class TooLittle(ParameterError):
    """The memory does not hold what one chunk needs."""


LARGEST = 128 << 20
"""Most bytes for one block: larger ones are not faster."""

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*(?:([kmgt])(i?)(b?))?b?", re.IGNORECASE | re.ASCII)


def bytes_of(memory: object) -> int:
    """Return a number of bytes, which may have a unit: K or KiB (1024 bytes), KB (1000), and so on.

    Examples
    --------
    >>> bytes_of("512MiB"), bytes_of("2 GB"), bytes_of("1.5k"), bytes_of(1000)
    (536870912, 2000000000, 1536, 1000)
    """
    match = _SIZE.fullmatch(memory.strip()) if isinstance(memory, str) else None
    if match:
        number, unit, binary, byte = match.groups()
        base = 1000 if byte and not binary else 1024
        number = int(float(number) * base ** " kmgt".index((unit or " ").lower()))
    else:
        number = whole_number(memory)
    if number is None or number < 1:
        raise ParameterError(f"memory {shown(memory)} is no size; give bytes, or a text such as '512MiB'")
    return number


@cache
def usual() -> int:
    """Return the bytes that a run may take unless told otherwise."""
    names = getattr(os, "sysconf_names", {})
    known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else UNKNOWN
    return min(machine, memory_limit() or machine) // SHARE


def resident() -> int:
    """Return the bytes that this process holds now; 0 where the system does not say (Linux does)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def base() -> int:
    """Return the bytes that this process holds, and those that it will hold beside the blocks."""
    return resident() + CODE


def expected(plan: ChainPlan, block: Pair, *, bands: bool = False) -> int:
    """Return the bytes that blocks take at most, about, while they are computed; see `block_bytes`."""
    return UNDER_WAY * block_bytes(plan, block, bands=bands)


def block_of(
    plan: ChainPlan,
    chunks: Pair,
    memory: int,
    held: int | None = None,
    *,
    bands: bool = False,
    size: Pair | None = None,
) -> Pair:
    """Choose rows and columns of the blocks: whole rows where enough of them fit, else squarer ones.

    Parameters
    ----------
    plan : ChainPlan
    chunks : pair of int
        Blocks are made of them, but at the ends.
    memory : int
        Bytes that the process may hold, with all that it holds already.
    held : int, optional
        How many of them are not for the blocks; default the `base`.
    bands : bool, default False
        See `block_bytes`.
    size : pair of int, optional
        Rows and columns of the part of the result that is made; default all of it.

    Raises
    ------
    TooLittle
        Where not even one chunk fits; the message says what would do.
    """
    held = base() if held is None else held
    room = min(LARGEST, (memory - held) // UNDER_WAY)
    height, width = size or plan.shapes[-1][:2]
    # What the last filter computes together is asked for together, where the output leaves the choice.
    down, across = (grid if chunk == 1 else chunk for chunk, grid in zip(chunks, plan.grids[-1], strict=True))
    columns = width
    while True:
        rows = _rows_that_fit(plan, height, down, columns, room, bands)
        # Lower blocks than that would compute most of their rows twice.
        if rows >= min(height, 2 * rows_between(plan)) or columns <= across:
            break
        columns = max(across, -(-columns // (2 * across)) * across)
    if not rows:
        smallest = min(down, height), min(across, width)
        least = held + expected(plan, smallest, bands=bands)
        if least <= memory:
            return smallest
        raise TooLittle(f"memory of {memory} bytes is too little for this image; give {least} or more")
    return rows, columns


def _rows_that_fit(plan: ChainPlan, height: int, step: int, columns: int, room: int, bands: bool) -> int:
    """Return the most rows, a multiple of `step` or all of them, whose block takes no more than `room`."""
    fitting, too_many = 0, -(-height // step) + 1
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if block_bytes(plan, (min(middle * step, height), columns), bands=bands) <= room:
            fitting = middle
        else:
            too_many = middle
    return min(fitting * step, height)


def rows_between(plan: ChainPlan) -> int:
    """Return how many rows of the result it takes to read as many rows as two blocks both read."""
    shared = steps = 1
    for geometry in reversed(plan.geometries):
        shared = (shared - 1) * geometry.rows.stride + geometry.rows.reach
        steps *= geometry.rows.stride
    return -(-shared // steps)


def block_bytes(plan: ChainPlan, block: Pair, *, bands: bool = False) -> int:
    """Return the bytes that a block takes at most, about, while it is computed.

    Each filter holds what it reads, once more where a border is put beside it, and floats: sums, and what it
    makes of them. `bands`: whether the source keeps all of the rows that a block reads.
    """
    floats = 8 if plan.dtype.itemsize > 1 else 4
    most, rows, columns = 0, *block
    for index in range(len(plan.filters) - 1, -1, -1):
        made = rows * columns * math.prod(plan.shapes[index + 1][2:])
        geometry, grid = plan.geometries[index], plan.grids[index]
        rows, columns = _read(geometry.rows, rows, grid[0]), _read(geometry.columns, columns, grid[1])
        read = rows * columns * math.prod(plan.shapes[index][2:])
        itemsize = (floats if index else plan.dtype.itemsize) + (0 if plan.missing is None else 2)
        mixed = floats if plan.linear or plan.alpha else 0
        made *= plan.filters[index].floats * floats + plan.target.itemsize
        if plan.alpha and plan.filters[index].constant is not None:  # colours and alpha by themselves
            read, made = 2 * read, 2 * made
        made *= 1 if plan.missing is None else 2  # weights are summed beside the pixels
        most = max(most, read * (2 * itemsize + mixed) + made)
    return most + (rows * math.prod(plan.shape[1:]) * plan.dtype.itemsize if bands else 0)


def _read(axis: Axis, outputs: int, grid: int) -> int:
    """Return how many pixels so many outputs read at most."""
    computed = min(outputs + 2 * (grid - 1), axis.output)
    return min((computed - 1) * axis.stride + axis.reach, axis.padded)
