"""``--explain``: print the plan of each filter for each input, and do nothing."""

import json
import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from cnnfilter.batch.jobs import STREAM, Job, Source
from cnnfilter.batch.missing import MissingPixels
from cnnfilter.batch.process import Process
from cnnfilter.cli.blocks import Blocks, Large
from cnnfilter.cli.main import DONE, NOTHING_DONE, SOME_FAILED, complain, printable
from cnnfilter.cli.options import Settings
from cnnfilter.filters.plan import ChainPlan

if TYPE_CHECKING:
    from cnnfilter.lazy.foreseeing import Foreseen

ASSUMED_SHAPE, ASSUMED_DTYPE = (1024, 1024, 3), "uint8"


def explain_images(process: Process, settings: Settings, sources: Sequence[Source], blocks: Blocks) -> int:
    """Print what would be computed for each source, or for an assumed image; return the exit status."""
    if not sources:
        plan = process.plan(ASSUMED_SHAPE, ASSUMED_DTYPE, alpha=False)
        print_plan("(an image that is assumed)", plan, settings.json)
        return DONE
    failed = 0
    for source in sources:
        try:
            job = Job(source.path, settings.output or STREAM)
            in_blocks = partial(_explain_in_blocks, process, blocks, source.path, settings.json)
            blocks.decided(process, job, in_blocks, partial(_explain_whole, source.path, settings.json))
        except (OSError, ValueError, TypeError) as error:
            complain(error, about=source.path)
            failed += 1
    return DONE if not failed else SOME_FAILED if failed < len(sources) else NOTHING_DONE


def _explain_in_blocks(process: Process, blocks: Blocks, path: str, as_json: bool, large: Large) -> None:
    from cnnfilter.cli.blockrun import foresee

    print_plan(path, large.plan, as_json, large.missing, foresee(process, large, blocks))


def _explain_whole(path: str, as_json: bool, process: Process) -> None:
    picture = process.read_picture(path)
    missing = process.missing_in(picture)
    plan = process.plan(picture.frames[0].shape, picture.dtype, picture.alpha, missing)
    process.refuse_large(plan)
    print_plan(path, plan, as_json, missing)


def print_plan(
    name: str,
    plan: ChainPlan,
    as_json: bool,
    missing: MissingPixels | None = None,
    foreseen: "Foreseen | None" = None,
    planes: int = 1,
) -> None:
    """Print what would be computed for one input, and what of its first frame counts as missing.

    `planes`: of how many images `foreseen` tells.
    """
    planned = list(zip(plan.filters, plan.described(), strict=True))
    written = plan.shapes[-1]
    if as_json:
        record: dict[str, object] = {
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
        if foreseen:
            rows, columns = foreseen.block
            told = {
                "rows": rows,
                "columns": columns,
                "count": foreseen.blocks,
                "pixels_read": foreseen.pixels,
            }
            record |= {"strips": None, "memory": foreseen.memory, "blocks": told}
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
    click.echo(f"  written: {_size(written)} {plan.target}{limits}")
    if foreseen:
        rows, columns = foreseen.block
        times = foreseen.pixels / (math.prod(plan.shape[:2]) * planes)
        click.echo(f"  in {foreseen.blocks} blocks of {rows}x{columns}, a pixel read {times:.3g} times")
        click.echo(f"  with about {foreseen.memory / 2**20:.3g} MiB for the whole process")
        return
    at_once = "at once" if plan.strips == 1 else f"in {plan.strips} strips"
    click.echo(f"  {at_once}, with about {plan.memory / 2**20:.3g} MiB beside the image")


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
