"""Where an image with alpha is opaque: there a filter rounds by itself, in one pass, as without alpha.

An image that is held whole is filtered in strips, and each of them is either opaque throughout, it and its
result, or weighed by alpha. Blocks keep to these strips, so that they have the same bytes.
"""

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.core.reading import reading
from cnnfilter.filters.parts import Step, steps_of
from cnnfilter.filters.plan import STRIP, ChainPlan
from cnnfilter.lazy.keeping import parts_of
from cnnfilter.pixels import Array
from cnnfilter.pixels.kinds import white_of

_NO_PIXEL = ("zero", "constant")
"""Boundaries that may make the result of an opaque image transparent."""


class Strip(NamedTuple):
    """Rows of a result, `[first, last)`, and whether they are opaque, with all that they are made of."""

    rows: Pair
    opaque: bool


def opaque_strips(plan: ChainPlan, source: Any) -> list[Strip]:
    """Look where an image is opaque: it is read once. There are no strips where that makes no difference."""
    if not plan.rounds_opaque:
        return []
    step = steps_of(plan)[0]
    height, width = plan.shape[:2]
    columns = [(0, width)] if plan.strips == 1 else _read(step, 1, (0, plan.shapes[-1][1]))
    lines = _opaque_lines(plan, source, columns)
    found = []
    for rows in pairwise(plan.edges):
        read = [(0, height)] if plan.strips == 1 else _read(step, 0, rows)
        opaque = all(lines[first:last].all() for first, last in read)
        found.append(Strip(rows, opaque and _stays_opaque(step, rows)))
    runs = [list(run) for _, run in groupby(found, lambda strip: strip.opaque)]
    return [Strip((run[0].rows[0], run[-1].rows[1]), run[0].opaque) for run in runs]


def cut_at(strips: Sequence[Strip], rows: Pair) -> list[tuple[Pair, bool | None]]:
    """Cut rows where strips that are opaque meet those that are not; None where there are no strips.

    Examples
    --------
    >>> cut_at([Strip((0, 20), True), Strip((20, 50), False)], (10, 40))
    [((10, 20), True), ((20, 40), False)]
    """
    if not strips:
        return [(rows, None)]
    cut = [((max(rows[0], first), min(rows[1], last)), opaque) for (first, last), opaque in strips]
    return [(piece, opaque) for piece, opaque in cut if piece[0] < piece[1]]


def _read(step: Step, axis: int, outputs: Pair) -> list[Pair]:
    """Return which rows (axis 0) or columns (axis 1) some of the result are made of."""
    side = (step.geometry.rows, step.geometry.columns)[axis]
    boundary = step.plan.filters[step.index].boundaries[axis]
    return reading(side, boundary, *outputs, step.plan.grids[step.index][axis]).runs()


def _opaque_lines(plan: ChainPlan, source: Any, columns: list[Pair]) -> Array:
    """Tell of each row of an image whether it is opaque in some columns."""
    height, white = plan.shape[0], white_of(plan.dtype)
    opaque = np.ones(height, bool)
    for rows, (left, right) in parts_of(source):
        seen = source.read(rows, (left, right))[..., -1] == white
        for first, last in columns:
            opaque[slice(*rows)] &= seen[:, max(first - left, 0) : max(last - left, 0)].all(axis=1)
    return opaque


def _stays_opaque(step: Step, rows: Pair) -> bool:
    """Tell whether rows of the result are opaque if the image is."""
    plan, width = step.plan, step.plan.shapes[-1][1]
    white = white_of(plan.dtype)
    if not any(name in _NO_PIXEL for name in plan.filters[0].boundaries):
        return True

    def opaque(down: Pair, across: Pair) -> Array:
        shape = down[1] - down[0], across[1] - across[0], *plan.shape[2:]
        return np.full(shape, white, plan.dtype)

    count = max(1, STRIP // ((rows[1] - rows[0]) * plan.shape[2]))
    pieces = ((left, min(left + count, width)) for left in range(0, width, count))
    return all(
        bool((step.part(rows, piece, opaque, plan.threads, opaque=True).array[..., -1] == white).all())
        for piece in pieces
    )
