"""``--explain``: print the plan of each filter for each input, and do nothing."""

import json
import math
import sys
from collections.abc import Sequence
from typing import BinaryIO

import click

from cnnfilter.batch.jobs import STREAM, Source
from cnnfilter.batch.missing import MissingPixels
from cnnfilter.batch.process import Process
from cnnfilter.cli.main import DONE, NOTHING_DONE, SOME_FAILED, complain, printable
from cnnfilter.cli.options import Settings
from cnnfilter.files import read
from cnnfilter.filters.plan import ChainPlan

ASSUMED_SHAPE, ASSUMED_DTYPE = (1024, 1024, 3), "uint8"


def explain_images(process: Process, settings: Settings, sources: Sequence[Source]) -> int:
    """Print what would be computed for each source, or for an assumed image; return the exit status."""
    if not sources:
        plan = process.plan(ASSUMED_SHAPE, ASSUMED_DTYPE, alpha=False)
        print_plan("(an image that is assumed)", plan, settings.json)
        return DONE
    failed = 0
    for source in sources:
        try:
            stream: str | BinaryIO = sys.stdin.buffer if source.path == STREAM else source.path
            picture = read(stream, max_pixels=settings.max_pixels, axes=settings.axes)
            missing = process.missing_in(picture)
            plan = process.plan(picture.frames[0].shape, picture.dtype, picture.alpha, missing)
            print_plan(source.path, plan, settings.json, missing)
        except (OSError, ValueError, TypeError) as error:
            complain(error, about=source.path)
            failed += 1
    return DONE if not failed else SOME_FAILED if failed < len(sources) else NOTHING_DONE


def print_plan(name: str, plan: ChainPlan, as_json: bool, missing: MissingPixels | None = None) -> None:
    """Print what would be computed for one input, and what of its first frame counts as missing."""
    planned = list(zip(plan.filters, plan.described(), strict=True))
    written = plan.shapes[-1]
    if as_json:
        record = {
            "input": name,
            "shape": plan.shape,
            "dtype": str(plan.dtype),
            "filters": [{"filter": filter.title, **one.record} for filter, one in planned],
            "output": {"shape": written, "dtype": str(plan.target), "range": plan.value_range},
            "missing": missing
            and {
                # JSON has no NaN
                "value": missing.value if math.isfinite(missing.value) else str(missing.value),
                "declared": missing.declared,
                "count": missing.found,
                "fill": plan.fill,
            },
            "strips": plan.strips,
            "memory": plan.memory,
        }
        click.echo(json.dumps(record))
        return
    click.echo(printable(f"{name}: {_size(plan.shape)} {plan.dtype}"))
    if missing:
        click.echo(f"  missing: {missing}{', filled where they can be' if plan.fill else ''}")
    for filter, one in planned:
        click.echo(printable(f"  {filter.title}"))
        for line in one.text.splitlines():
            click.echo(printable(f"    {line}"))
    limits = f", range {plan.value_range}" if plan.value_range else ""
    at_once = "at once" if plan.strips == 1 else f"in {plan.strips} strips"
    click.echo(f"  written: {_size(written)} {plan.target}{limits}")
    click.echo(f"  {at_once}, with about {plan.memory / 2**20:.3g} MiB beside the image")


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
