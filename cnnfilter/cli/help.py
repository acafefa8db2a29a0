"""``cnnfilter help``: what ``--help`` shows, for those who ask the other way round."""

import click
from click.shell_completion import CompletionItem

from cnnfilter.cli.group import CONTEXT, Examples


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the commands there are below those that have been typed."""
    below = _context_of(ctx.find_root(), ctx.params.get("words") or ())
    if not isinstance(below.command, click.Group):
        return []
    names = below.command.list_commands(below)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter help gaussian", "cnnfilter help kernel show"],
)
@click.argument("words", nargs=-1, metavar="[COMMAND]...", shell_complete=_complete)
@click.pass_context
def help(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command."""
    found = _context_of(ctx.find_root(), words)
    click.echo(found.command.get_help(found))


def _context_of(context: click.Context, words: tuple[str, ...]) -> click.Context:
    """Go down the tree of commands; a word that is no command there is an error of usage."""
    for word in words:
        if not isinstance(context.command, click.Group):
            context.fail(f"{context.command_path!r} has no commands below it: {word!r}")
        name, command, _ = context.command.resolve_command(context, [word])
        if command is None:
            context.fail(f"no command {word!r}")
        context = click.Context(command, parent=context, info_name=name, **command.context_settings)
    return context
