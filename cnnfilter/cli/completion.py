"""``cnnfilter completion``: what a shell needs to complete commands, options and kernels' names."""

import click
from click.shell_completion import get_completion_class

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.types import OneOf

VARIABLE = "_CNNFILTER_COMPLETE"


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        'eval "$(cnnfilter completion bash)"',
        "cnnfilter completion fish > ~/.config/fish/completions/cnnfilter.fish",
    ],
)
@click.argument("shell", type=OneOf(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which a shell completes commands, options and the names of kernels."""
    complete = get_completion_class(shell)
    root = click.get_current_context().find_root()
    if complete is None:
        raise click.ClickException(f"no completion for {shell}")
    click.echo(complete(root.command, {}, "cnnfilter", VARIABLE).source())
