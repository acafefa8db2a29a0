"""The command tree. A command's module is imported when the command runs, not before."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import click

from cnnfilter._version import __version__
from cnnfilter.registry import FILTERS

# Most people's terminals have at least this; a help page must not need more.
HELP_WIDTH = 80
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": HELP_WIDTH}


class Examples(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, examples: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

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
        if name not in self.list_commands(ctx) and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, self.list_commands(ctx), n=1)
            ctx.fail(f"no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """Name the subcommands, each with a line about it."""
        rows = [(name, words) for name, (_, words) in self.lazy.items()]
        return rows + [
            (name, command.get_short_help_str(limit=60)) for name, command in self.commands.items()
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
    },
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def cnnfilter() -> None:
    """Filter images exactly and fast: files, pipes and batches."""
