"""Write the man page of cnnfilter from its commands: python docs/man/make_manual.py > cnnfilter.1."""

import sys
from collections.abc import Iterator

import click

from cnnfilter import __version__
from cnnfilter.cli.doctor import ENVIRONMENT
from cnnfilter.cli.group import Examples
from cnnfilter.cli.group import cnnfilter as root

TAIL = [
    ("EXIT STATUS", "0", "All was done."),
    ("EXIT STATUS", "1", "Nothing was done."),
    ("EXIT STATUS", "2", "The command was not understood."),
    ("EXIT STATUS", "3", "Some files failed."),
    ("EXIT STATUS", "130", "Interrupted."),
    *(("ENVIRONMENT", name, words) for name, words in ENVIRONMENT.items()),
]


def roff(text: str) -> str:
    """Escape what roff would take for its own."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\\&" + text if text.startswith((".", "'")) else text


def manual() -> Iterator[str]:
    """Yield the lines of the page."""
    yield f'.TH CNNFILTER 1 "" "cnnfilter {__version__}" "User Commands"'
    yield ".SH NAME"
    yield "cnnfilter \\- filter images exactly and fast: files, pipes and batches"
    yield ".SH SYNOPSIS"
    yield ".B cnnfilter"
    yield "\\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIINPUT\\fR]... [\\-o \\fIOUTPUT\\fR]"
    yield ".SH COMMANDS"
    yield from section(root, click.Context(root, info_name="cnnfilter"))
    heading = ""
    for title, term, words in TAIL:
        if title != heading:
            yield f".SH {title}"
            heading = title
        yield from entry(term, words)


def section(group: click.Group, context: click.Context) -> Iterator[str]:
    """Yield what there is to say of a group's commands, one after another."""
    for name in group.list_commands(context):
        try:
            command = group.get_command(context, name)
        except ImportError as error:
            print(f"left out: {name} ({error})", file=sys.stderr)
            continue
        assert command is not None
        below = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from section(command, below)
            continue
        yield f".SS {roff(below.command_path)}"
        yield f".B {roff(command.get_usage(below).removeprefix('Usage: '))}"
        yield ".PP"
        yield roff(" ".join((command.help or "").split()))
        yield from options(command, below)
        if isinstance(command, Examples) and command.examples:
            yield ".PP"
            yield ".EX"
            yield from (f"    {roff(example)}" for example in command.examples)
            yield ".EE"


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the options of a command."""
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record and isinstance(param, click.Option):
            yield from entry(record[0], param.help or "")


def entry(term: str, words: str) -> Iterator[str]:
    """Yield a term and what it means."""
    yield ".TP"
    yield f".B {roff(term)}"
    yield roff(" ".join(words.split()))


if __name__ == "__main__":
    print("\n".join(manual()))
