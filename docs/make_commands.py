"""Write the reference of all commands from their --help: python docs/make_commands.py."""

from collections.abc import Iterator
from pathlib import Path

import click

from cnnfilter.cli.group import HELP_WIDTH
from cnnfilter.cli.group import cnnfilter as root

PAGE = Path(__file__).parent / "commands.md"

HEAD = """\
# Commands

What each command says with `--help`. This page is made from it by `python docs/make_commands.py`.
"""


def reference() -> str:
    """Return the page: a section for each command, those of a group after it."""
    return "\n".join([HEAD, *_sections(root, "cnnfilter", None)])


def _sections(command: click.Command, name: str, above: click.Context | None) -> Iterator[str]:
    # The width is given, whatever that of the terminal is in which this runs.
    settings = {**command.context_settings, "terminal_width": HELP_WIDTH}
    context = click.Context(command, parent=above, info_name=name, **settings)
    yield f"## {context.command_path}\n"
    yield f"```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            below = command.get_command(context, inner)
            assert below is not None
            yield from _sections(below, inner, context)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
