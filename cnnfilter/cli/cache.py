"""``cnnfilter cache``: the loops that were compiled and kept."""

import json
import shlex
import time
from collections.abc import Iterable
from contextlib import nullcontext

import click

from cnnfilter.cli.group import CONTEXT, Examples, LazyGroup
from cnnfilter.cli.pipe import parse_steps
from cnnfilter.core.jit import notice
from cnnfilter.errors import CnnFilterError

WITHOUT_STRUCTURE = ("correlate --kernel '1 2; 3 4 / 10'", "correlate --kernel '1 0; 0 1 / 2'")
USUAL = (
    *(f"mean --size {size}" for size in (3, 5, 7)),
    *(f"gaussian --sigma {sigma}" for sigma in (0.5, 0.8, 1, 1.5, 2, 3, 4)),
    *(f"second-derivative --axis {axis}" for axis in ("x", "y", "both")),
    *(f"correlate --kernel {name}" for name in ("sobel-x", "sharpen", "laplacian-8", "emboss")),
    *WITHOUT_STRUCTURE,
    "pool max",
    "pool mean",
)
"""What `warm` compiles for: filters that people run most, as written in a pipe."""

OF_MATRICES = ("gaussian --sigma 1", *WITHOUT_STRUCTURE, "pool max", "pool mean")
"""Those that are warmed for float64, too: typed matrices and what is learned are of that type."""

SHAPES = ((64, 80), (64, 80, 3), (64, 80, 4))
DTYPES = ("uint8", "uint16", "float32")


@click.group(
    cls=LazyGroup,
    context_settings=CONTEXT,
    examples=["cnnfilter cache info", "cnnfilter cache warm"],
)
def cache() -> None:
    """Manage the loops that are compiled at first use and kept for later runs."""


@cache.command(
    cls=Examples, context_settings=CONTEXT, examples=["cnnfilter cache info", "cnnfilter cache info --json"]
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def info(as_json: bool) -> None:
    """Tell where the compiled loops are, how many, and how large."""
    from cnnfilter.core.jit import objectcache

    facts = objectcache.info()
    if as_json:
        click.echo(json.dumps(facts, default=str))
        return
    for name, value in facts.items():
        click.echo(f"{name:<10} {value}")


@cache.command(
    cls=Examples, context_settings=CONTEXT, examples=["cnnfilter cache warm", "cnnfilter cache warm --quiet"]
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def warm(quiet: bool) -> None:
    """Compile the loops of the usual filters now, so that no later run waits for them.

    The exit status is 1 if they cannot be kept.
    """
    notice.around = nullcontext  # that it compiles is known
    started = time.perf_counter()
    for words in USUAL:
        if not quiet:
            click.echo(f"{words}", err=True)
        _warm(words, (*DTYPES, "float64") if words in OF_MATRICES else DTYPES)
    if not quiet:
        click.echo(f"cnnfilter: {len(USUAL)} filters warm in {time.perf_counter() - started:.1f} s", err=True)


def _require_kept() -> None:
    from cnnfilter.core.jit import compiled

    if why := compiled.note():
        raise CnnFilterError(f"loops cannot be kept here, so that every run compiles its own: {why}")


def _warm(words: str, dtypes: Iterable[str]) -> None:
    import numpy as np

    from cnnfilter.batch.process import Process

    for depth in (None, "f32"):
        process = Process(parse_steps(shlex.split(words)), depth=depth, threads=1)
        for shape in SHAPES:
            for dtype in dtypes:
                process.filter_frame(np.zeros(shape, dtype), alpha=False)
                _require_kept()


@cache.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter cache clear", "cnnfilter cache clear --quiet"],
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def clear(quiet: bool) -> None:
    """Remove the compiled loops; they are compiled again when needed."""
    from cnnfilter.core.jit import objectcache

    removed = objectcache.clear()
    if not quiet:
        click.echo(f"cnnfilter: {removed} compiled loops removed", err=True)
