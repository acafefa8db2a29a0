"""A loop of nothing but multiply-adds on registers, compiled as the loops of the filters are."""

from collections.abc import Callable
from typing import Any

CHAINS = 12
"""Chains of sums that do not wait for each other: two multiply-adds a cycle that take four or five each.

They and the two registers that all of them read fit the 16 registers of AVX2.
"""


def chains(jit: Callable[..., Any], real: str) -> Callable[..., None]:
    """Return the loop `run(rounds, factor, term, out)`: each chain becomes `chain * factor + term`."""
    from cnnfilter.core.loops.vectors import arithmetic, register_lanes, storer

    lanes = register_lanes(real)
    # LLVM splits a block into registers, each a chain, where their number is a power of two.
    eight, four = arithmetic(real, 8 * lanes), arithmetic(real, 4 * lanes)
    splat_eight, fma_eight, store_eight = eight.splat, eight.fma, storer(real, real, 8 * lanes)
    splat_four, fma_four, store_four = four.splat, four.fma, storer(real, real, 4 * lanes)
    after = 8 * lanes

    def run(rounds, factor, term, out):
        long, short = splat_eight(term), splat_four(term)
        for _ in range(rounds):
            long = fma_eight(long, splat_eight(factor), splat_eight(term))
            short = fma_four(short, splat_four(factor), splat_four(term))
        store_eight(long, out, 0)
        store_four(short, out, after)

    return run
