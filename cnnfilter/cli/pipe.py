"""``cnnfilter pipe``: several filters in one process, floats between them, rounded once."""

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from cnnfilter.cli.group import CONTEXT, Examples, pass_remarks_on
from cnnfilter.cli.options import ImageCommand, Settings, inputs, own, shared
from cnnfilter.cli.options import value_range as range_option
from cnnfilter.errors import ParameterError
from cnnfilter.filters.filter import Filter
from cnnfilter.registry import FILTERS, filter_named

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SEPARATOR, JOINT = "--", "then"
OTHER_JOINTS = ("|", SEPARATOR)
"""What is typed for a joint by those who think of a shell's pipe."""


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


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Offer files before ``--``; after it filters, their options, and ``then``."""
    from click.shell_completion import CompletionItem

    if ctx.obj is None:
        return [CompletionItem(incomplete, type="file")]
    step = list(ctx.obj)
    while JOINT in step:
        step = step[step.index(JOINT) + 1 :]
    offered = list(FILTERS) if not step else [JOINT]
    if step and step[0] in FILTERS:
        offered += [f"--{option.name}" for option in filter_named(step[0]).options if not option.positional]
    return [CompletionItem(word) for word in offered if word.startswith(incomplete)]


def steps_in(text: str) -> tuple[Filter, ...]:
    """Read the text of a pipe for Python, quoted as for a shell: a complaint is none of a command line's.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> steps_in("convolve --kernel '1 0 -1' then pool max")
    (Convolve(kernel=<Kernel 1x3, sum 0>, boundary='reflect'), Pool(kind='max', size=2))
    """
    try:
        return parse_steps(shlex.split(text), help=False)
    except click.ClickException as error:
        words = error.format_message()
    except ValueError as error:  # a quotation that does not end
        words = str(error)
    raise ParameterError(f"steps {text!r}: {' '.join(words.split())}")


def parse_steps(words: list[str], *, help: bool = True) -> tuple[Filter, ...]:
    """Read ``gaussian --sigma 2 then pool max``.

    `help`: whether a filter's ``--help`` is shown, which ends the command.

    Examples
    --------
    >>> parse_steps("mean --size 5 then pool max".split())
    (Mean(size=5, boundary='reflect'), Pool(kind='max', size=2))
    """
    parts: list[list[str]] = [[]]
    for word in words:
        if word == JOINT:
            parts.append([])
        else:
            parts[-1].append(word)
    return tuple(_parse_step(part, help) for part in parts)


def _parse_step(words: list[str], help: bool) -> Filter:
    known = ", ".join(FILTERS)
    if not words:
        raise click.UsageError(f"a filter is missing beside 'then' or '--'; filters are {known}")
    name, *arguments = words
    if name not in FILTERS:
        from cnnfilter.cli.slips import command_meant

        meant = command_meant(name, FILTERS)
        raise click.UsageError(f"no filter {name!r} to pipe through{meant or f'; filters are {known}'}")
    filter = filter_named(name)
    command = Examples(
        name,
        params=[*own(filter.options), range_option(filter.default_range)],
        context_settings=CONTEXT,
        add_help_option=help,
    )
    try:
        context = _read(command, arguments)
    except click.UsageError as error:
        if place := _end_of_filter(command, arguments):
            before, after = (
                words[: place + 1],
                [word for word in arguments[place:] if word not in OTHER_JOINTS],
            )
            parted = " ".join([*before, JOINT, *after])
            raise click.UsageError(f"'then' is missing between two filters: {parted}", error.ctx) from None
        raise
    pass_remarks_on(context, click.get_current_context(silent=True))
    values = context.params
    return filter.read(values, values.pop("range"))


def _read(command: click.Command, arguments: list[str]) -> click.Context:
    return command.make_context(f"cnnfilter pipe -- {command.name}", list(arguments))


def _end_of_filter(command: click.Command, arguments: list[str]) -> int | None:
    """Return where another filter begins among the arguments of one, if they can be read up to there."""
    for place, word in enumerate(arguments):
        if place and (word in FILTERS or word in OTHER_JOINTS):
            with suppress(click.UsageError):
                _read(command, arguments[:place])
                return place
    return None


def _run(**values: Any) -> int:
    from cnnfilter.cli.run import run_images

    steps: tuple[Filter, ...] = click.get_current_context().obj
    return run_images(steps, Settings.taken_from(values), command="pipe")


pipe = PipeCommand(
    "pipe",
    params=[inputs(_complete), range_option("the filter's"), *shared()],
    callback=_run,
    help=f"Run filters one after another: floats between them, rounded once, at the end. Filters: "
    f"{', '.join(FILTERS)}, with the options of these commands that concern the filter. Between filters "
    "each one's own --range holds for pixels of 8 and 16 bits; floats, and what becomes --depth f32, keep "
    "their signs.",
    examples=[
        "cnnfilter pipe photo.jpg -o soft.jpg -- gaussian --sigma 2 then mean",
        "cnnfilter pipe < photo.png > small.png -- mean --size 5 then pool max",
    ],
    context_settings=CONTEXT,
)
