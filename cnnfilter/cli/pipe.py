"""``cnnfilter pipe``: several filters in one process, floats between them, rounded once."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from cnnfilter.cli.group import CONTEXT
from cnnfilter.cli.images import OWN, default_range, step
from cnnfilter.cli.options import ImageCommand, Settings, inputs, shared
from cnnfilter.cli.options import value_range as range_option
from cnnfilter.filters.registry import Step

SEPARATOR, JOINT = "--", "then"


class PipeCommand(ImageCommand):
    """A command whose filters come after ``--``, parted by ``then``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the filters off the end of the arguments, and leave the rest to click."""
        if SEPARATOR in args:
            place = args.index(SEPARATOR)
            words, args = args[place + 1 :], args[:place]
            ctx.obj = words if ctx.resilient_parsing else parse_steps(words)
        elif not ctx.resilient_parsing and not {"-h", "--help"}.intersection(args):
            ctx.fail(
                "the filters come after --, as in: pipe in.png -o out.png -- gaussian --sigma 2 then mean"
            )
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show the filters in the usage."""
        return [*super().collect_usage_pieces(ctx), "-- FILTER [then FILTER]..."]


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer files before ``--``; after it filters, their options, and ``then``."""
    if ctx.obj is None:
        return [CompletionItem(incomplete, type="file")]
    step = list(ctx.obj)
    while JOINT in step:
        step = step[step.index(JOINT) + 1 :]
    offered = list(OWN) if not step else [JOINT]
    if step and step[0] in OWN:
        offered += [name for option in OWN[step[0]] for name in option.opts if name.startswith("--")]
    return [CompletionItem(word) for word in offered if word.startswith(incomplete)]


def parse_steps(words: list[str]) -> tuple[Step, ...]:
    """Read ``gaussian --sigma 2 then pool max``.

    Examples
    --------
    >>> [step.name for step in parse_steps("mean --size 5 then pool max".split())]
    ['mean', 'pool max']
    """
    parts: list[list[str]] = [[]]
    for word in words:
        if word == JOINT:
            parts.append([])
        else:
            parts[-1].append(word)
    return tuple(_parse_step(part) for part in parts)


def _parse_step(words: list[str]) -> Step:
    known = ", ".join(OWN)
    if not words:
        raise click.UsageError(f"a filter is missing beside 'then' or '--'; filters are {known}")
    name, *arguments = words
    if name not in OWN:
        raise click.UsageError(f"no filter {name!r} to pipe through; filters are {known}")
    command = click.Command(
        name, params=[*OWN[name], range_option(default_range(name))], context_settings=CONTEXT
    )
    values = command.make_context(f"cnnfilter pipe -- {name}", arguments).params
    return step(name, values, values.pop("range"))


def _run(**values: Any) -> int:
    from cnnfilter.cli.run import run_images

    steps: tuple[Step, ...] = click.get_current_context().obj
    return run_images(steps, Settings.taken_from(values), command="pipe")


pipe = PipeCommand(
    "pipe",
    params=[inputs(_complete), range_option("the filter's"), *shared()],
    callback=_run,
    help=f"Run filters one after another: floats between them, rounded once, at the end. Filters: "
    f"{', '.join(OWN)}, with the options of these commands that concern the filter.",
    examples=[
        "cnnfilter pipe photo.jpg -o soft.jpg -- gaussian --sigma 2 then mean",
        "cnnfilter pipe < photo.png > small.png -- mean --size 5 then pool max",
    ],
    context_settings=CONTEXT,
)
