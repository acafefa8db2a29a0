"""The command tree. A command's module is imported when the command runs, not before."""

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click

from cnnfilter._version import __version__
from cnnfilter.core.jit import notice
from cnnfilter.registry import FILTERS

# Most people's terminals have at least this; a help page must not need more.
HELP_WIDTH = 80
CONTEXT = {"help_option_names": ["--help"], "max_content_width": HELP_WIDTH}


DELAY = 0.5
"""Seconds of compiling after which it is told what takes so long."""

_REMARKS = "remarks on options"
_SHORT = "short help"


def remark(ctx: click.Context | None, words: str) -> None:
    """Keep what is to be said of the options until all are read: --quiet may be among them."""
    if ctx is not None:
        ctx.meta.setdefault(_REMARKS, []).append(words)


def pass_remarks_on(inner: click.Context, outer: click.Context | None) -> None:
    """Hand what was found in a context of its own to the one that will say it."""
    for words in inner.meta.pop(_REMARKS, ()):
        remark(outer, words)


def _show_short(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_SHORT] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


@contextmanager
def _told_of_compiling() -> Iterator[None]:
    """Say once what takes so long, if it does."""
    from threading import Timer

    from cnnfilter.cli.main import note

    def tell() -> None:
        notice.around = nullcontext
        note("compiling what this needs, which happens once; 'cnnfilter cache warm' does it beforehand")

    timer = Timer(DELAY, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_listed(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and not param.hidden


def _row(ctx: click.Context, param: click.Parameter) -> tuple[str, str]:
    """Return how an option is written, and what it says of itself."""
    assert isinstance(param, click.Option)
    record = param.get_help_record(ctx)
    assert record is not None, "it is not hidden"
    # Not the record's own words: they repeat the range that the metavar shows.
    words = [param.help or "", *(["[required]"] if param.required else [])]
    return record[0].replace(" / ", "/"), " ".join(filter(None, words))


class Examples(click.Command):
    """A command whose help ends with examples, and whose complaints name what may have been meant.

    Parameters
    ----------
    examples : iterable of str
    headings : mapping of str to collection of str, optional
        What options are listed under, by their parameters' names; those under none come first.
    often : collection of str, optional
        Of those under a heading, what most people need: ``-h`` shows these and those under none.
    """

    def __init__(
        self,
        *args: Any,
        examples: Iterable[str] = (),
        headings: Mapping[str, Collection[str]] = MappingProxyType({}),
        often: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples, self.headings, self.often = tuple(examples), headings, often

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters, with ``-h`` beside ``--help``."""
        params = super().get_params(ctx)
        if not self.add_help_option:
            return params
        short = click.Option(
            ["-h"], is_flag=True, is_eager=True, expose_value=False, callback=_show_short, hidden=True
        )
        return [*params, short]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options under their headings, in a narrow column so that most take one line."""
        rows = {param.name or "": _row(ctx, param) for param in self.params if _is_listed(param)}
        headed = [name for names in self.headings.values() for name in names if name in rows]
        sections = {"Options": [name for name in rows if name not in headed]}
        if headed and ctx.meta.get(_SHORT):
            often = [name for name in headed if name in self.often]
            sections["Options"] += often
            rows["help"] = "--help", f"Show all options: {len(headed) - len(often)} more."
        else:
            for heading, names in self.headings.items():
                sections[heading] = [name for name in names if name in rows]
            what = "Show what most people need, or all options." if headed else "Show this message and exit."
            rows["help"] = "-h, --help", what
        sections["Options"].append("help")
        for heading, listed in sections.items():
            if listed:
                with formatter.section(heading):
                    formatter.write_dl([rows[name] for name in listed], col_max=27)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; one that is none may be that of another program."""
        words = list(args)
        known = {name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)}
        for word in words[: words.index("--")] if "--" in words else words:
            # Else -output would be read as -o with the name utput.
            if (name := word.partition("=")[0])[:1] == "-" and name[1:2].isalpha() and f"-{name}" in known:
                ctx.fail(f"no option {name!r}; it is written -{name}")
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from cnnfilter.cli.slips import option_meant

            raise click.UsageError(option_meant(error.option_name, words, known), ctx) from None
        except click.UsageError as error:
            if found := re.fullmatch(r"(Got unexpected extra arguments? \((.*)\))\.?", error.message):
                from cnnfilter.cli.slips import numbers_meant

                raise click.UsageError(found[1] + numbers_meant(found[2].split()), ctx) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Say what is to be said of the options, and run."""
        from cnnfilter.cli.main import note

        for words in ctx.meta.pop(_REMARKS, ()):
            if not ctx.params.get("quiet"):
                note(words)
        is_told = sys.stderr.isatty() and not ctx.params.get("quiet")
        notice.around = _told_of_compiling if is_told else nullcontext
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """End with the examples, a line each."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write_text(example)


class LazyGroup(Examples, click.Group):
    """A group whose subcommands are named as ``module:attribute`` and imported when needed.

    Parameters
    ----------
    lazy : mapping of str to (str, str)
        For each subcommand its ``module:attribute`` and the line that lists it.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order in which they are listed."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute = self.lazy[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand, or say which one may have been meant."""
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-") and not ctx.resilient_parsing:
            from cnnfilter.cli.slips import command_meant

            ctx.fail(f"no command {name!r}{command_meant(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, and then the subcommands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """Name the subcommands, each with a line about it."""
        rows = [(name, words) for name, (_, words) in self.lazy.items()]
        # A first sentence is never cut: it takes the lines it needs.
        return rows + [
            (name, command.get_short_help_str(limit=400)) for name, command in self.commands.items()
        ]


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"cnnfilter {__version__}")
        ctx.exit()


class RootGroup(LazyGroup):
    """The filters of the registry as subcommands, and others after them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order in which they are listed."""
        return [*FILTERS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the command of a filter, or import another."""
        if cmd_name not in FILTERS:
            return super().get_command(ctx, cmd_name)
        from cnnfilter.cli.images import command

        return command(cmd_name)

    def rows(self) -> list[tuple[str, str]]:
        """Name the subcommands, each with a line about it."""
        return [*((name, words) for name, (_, words) in FILTERS.items()), *super().rows()]


@click.group(
    cls=RootGroup,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter gaussian --sigma 2 photo.jpg -o soft.jpg",
        "cnnfilter mean < photo.png | cnnfilter second-derivative > edges.png",
    ],
    lazy={
        "pipe": ("cnnfilter.cli.pipe:pipe", "Run several filters, rounding once."),
        "learn": ("cnnfilter.cli.learn:learn", "Learn a filter from a before/after pair."),
        "kernel": ("cnnfilter.cli.kernel:kernel", "Make, show and convert kernels."),
        "net": ("cnnfilter.cli.net:net", "Train, run and look into networks."),
        "animate": ("cnnfilter.cli.animate:animate", "Show a filter's window sliding over its input."),
        "play": ("cnnfilter.cli.play:play", "Write a page to play with convolution in a browser."),
        "cache": ("cnnfilter.cli.cache:cache", "Manage the compiled loops."),
        "doctor": ("cnnfilter.cli.doctor:doctor", "Check this installation."),
        "completion": ("cnnfilter.cli.completion:completion", "Print what a shell needs to complete."),
        "help": ("cnnfilter.cli.help:help", "Show the help of a command."),
    },
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def cnnfilter() -> None:
    """Filter images exactly and fast: files, pipes and batches."""
