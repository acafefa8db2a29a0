"""``cnnfilter play``: the page to play with."""

import os
import sys

import click

from cnnfilter.cli.group import CONTEXT, Examples

NAME = "play.html"
"""Where the page goes when nobody says so."""


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter play", "cnnfilter play -o lesson.html"],
)
@click.option(
    "-o", "--output", metavar="FILE|-", help=f"Where to write the page; - is standard output. [{NAME}]"
)
@click.option("--overwrite", is_flag=True, help=f"Replace a {NAME} that is there already.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def play(output: str | None, overwrite: bool, quiet: bool) -> None:
    """Write one HTML file in which a browser shows every number of a convolution.

    Matrix, kernel, stride, padding, boundary and dilation can be changed, the steps played, and a photograph
    dropped on it. It needs no network; English and Chinese.
    """
    from cnnfilter.cli.inputs import usage

    if output not in (None, "-") and not str(output).lower().endswith((".html", ".htm")):
        if not os.path.exists(str(output)) or os.path.isfile(str(output)):  # else a device, or a pipe
            raise usage(f"{output!r} is no page; it must end in .html, for a browser to read it as one")
    from cnnfilter.seeing.play import page

    content = page().encode()
    if output == "-":
        sys.stdout.buffer.write(content)
        return
    from cnnfilter.cli.outputs import prepare
    from cnnfilter.errors import ImageFileError
    from cnnfilter.wholefile import whole_file

    target = output or NAME
    if output is None and os.path.lexists(target) and not overwrite:
        raise ImageFileError(f"{target} exists already; --overwrite replaces it, -o FILE chooses another")
    prepare(target, quiet=quiet)
    with whole_file(target) as file:
        file.write(content)
    if not quiet:
        click.echo(f"{target}: open it in a browser", err=True)
