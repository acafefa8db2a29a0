"""``cnnfilter net list`` and ``cnnfilter net describe``."""

import json
from typing import Any

import click

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.main import show_lines
from cnnfilter.cli.net.weights import SET, built, complete_networks


@click.command(
    "list",
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter net list", "cnnfilter net list --json"],
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_networks(as_json: bool) -> None:
    """List the networks."""
    from cnnfilter.nn.models import MODELS

    for name, description in MODELS.items():
        line = (description.__doc__ or "").splitlines()[0]
        click.echo(json.dumps({"name": name, "about": line}) if as_json else f"{name:22} {line}")


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter net describe lenet5", "cnnfilter net describe resnet18 -o resnet18.png"],
)
@click.argument("name", shell_complete=complete_networks)
@SET
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--markdown", is_flag=True, help="A table for a page.")
@click.option(
    "-o", "--output", "--plot", metavar="FILE",
    help="A picture .png, .svg or .pdf; else the table. [standard output]",
)  # fmt: skip
def describe(name: str, options: dict[str, Any], as_json: bool, markdown: bool, output: str | None) -> None:
    """Show the layers with sizes, parameters and costs."""
    network = built(name, options)
    from cnnfilter.drawing.figure import SUFFIXES

    if output and output.lower().endswith(SUFFIXES):
        from cnnfilter.drawing.diagram import draw_network

        draw_network(network, output)
        return
    from cnnfilter.nn.describe import describe as described

    description = described(network)
    text = description.json() if as_json else description.markdown() if markdown else description.text()
    if output:
        from cnnfilter.wholefile import whole_file

        with whole_file(output) as file:
            file.write(f"{text}\n".encode())
    else:
        show_lines(text)
