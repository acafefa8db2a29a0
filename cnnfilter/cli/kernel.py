"""``cnnfilter kernel``: make, list, show and convert kernels."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cnnfilter.cli.group import CONTEXT, Examples, LazyGroup
from cnnfilter.cli.main import note, show_lines, shows_colours
from cnnfilter.cli.types import SIZE, KernelText, OneOf, Sigma

if TYPE_CHECKING:
    from cnnfilter.kernels.kernel import Kernel

# The weights of a kernel may begin with a minus, as options do.
WEIGHTS_CONTEXT = CONTEXT | {"ignore_unknown_options": True}
# kernelsyntax.SYNTAXES written out, for that module needs NumPy and help does not; a test compares them.
SYNTAXES = (
    "table", "json", "csv", "npy", "numpy", "c", "latex", "imagemagick", "vips", "gmic", "ffmpeg",
)  # fmt: skip


def _written(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how and where a kernel is written."""
    as_option = click.option(
        "--as",
        "syntax",
        type=OneOf(SYNTAXES),
        metavar="SYNTAX",
        help=f"{', '.join(SYNTAXES)}. [by FILE; else a table, exact in a pipe]",
    )
    output = click.option(
        "-o", "--output", metavar="FILE", help="Write .json, .txt, .csv or .npy. [standard output]"
    )
    return as_option(output(command))


def _write(kernel: "Kernel", syntax: str | None, output: str | None) -> None:
    if output is not None and syntax is None:
        kernel.save(output)
        return
    from cnnfilter.kernels import kerneltext
    from cnnfilter.kernels.kernelsyntax import as_text, remarks

    if output is None and syntax is None and not sys.stdout.isatty():
        # Whoever redirects it will read it again as a kernel; 6 digits would be another one.
        text: str | bytes = kerneltext.table(kernel, exact=True) + "\n"
    else:
        text = as_text(kernel, syntax or "table")
        for remark in remarks(kernel, syntax or "table"):
            note(remark)
    content = text.encode() if isinstance(text, str) else text
    if output is not None:
        from cnnfilter.wholefile import whole_file

        with whole_file(output) as file:
            file.write(content)
    elif isinstance(text, bytes) and sys.stdout.isatty():
        raise click.UsageError(
            "an .npy file is not for a terminal; give -o FILE", click.get_current_context()
        )
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _can_say(text: str) -> bool:
    """Whether standard output has these characters; the code pages of Windows have few."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


@click.group(
    cls=LazyGroup,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter kernel gaussian --size 3 --sigma 0.8 --integer",
        "cnnfilter kernel show sobel-x",
    ],
)
def kernel() -> None:
    """Make, list, show and convert kernels."""


@kernel.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter kernel gaussian --size 3 --sigma 0.8 --integer --steps",
        "cnnfilter kernel gaussian --sigma 2 -o blur.json",
    ],
)
@click.option("--size", type=SIZE, metavar="N|UxV", help="Rows x columns. [2*ceil(4*sigma)+1]")
@click.option("--sigma", type=Sigma(), default="1.0", metavar="S|SYxSX", help="In pixels. [1.0]")
@click.option("--integer", is_flag=True, help="Whole numbers over their sum; the corner is 1.")
@click.option(
    "--rounding",
    type=OneOf(["floor", "round"]),
    help="Of whole numbers. [floor, as the notes do]",
)
@click.option("--steps", is_flag=True, help="Show how --integer comes about.")
@_written
def gaussian(
    size: Any,
    sigma: Any,
    integer: bool,
    rounding: Any,
    steps: bool,
    syntax: str | None,
    output: str | None,
) -> None:
    """Make a Gaussian: weights with the sum 1, or an integer template."""
    from cnnfilter.kernels.gaussian import cut_remark
    from cnnfilter.kernels.templates import gaussian as template

    for option, given in (("--rounding", rounding), ("--steps", steps)):
        if given and not integer:
            raise click.UsageError(f"{option} needs --integer", click.get_current_context())
    if steps:
        if syntax or output:
            raise click.UsageError(
                "--steps is for reading; leave --as and -o out", click.get_current_context()
            )
        from cnnfilter.kernels.kernelview import integer_steps

        show_lines(integer_steps(size, sigma, rounding or "floor"))
        return
    # Small integers are a template of this very size; nobody would make a larger one of them.
    if size is not None and not integer and (remark := cut_remark(size, sigma)):
        note(remark)
    form = "integer" if integer else "float"
    _write(template(size, sigma, form, rounding or "floor"), syntax, output)  # type: ignore[arg-type]


@kernel.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter kernel mean --size 5x7", "cnnfilter kernel mean --as c"],
)
@click.option("--size", type=SIZE, default="3", metavar="N|UxV", help="Rows x columns. [3]")
@_written
def mean(size: Any, syntax: str | None, output: str | None) -> None:
    """Make a mean: equal weights."""
    from cnnfilter.kernels.templates import mean as template

    _write(template(size), syntax, output)


@kernel.command(
    "second-derivative",
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter kernel second-derivative --axis x",
        "cnnfilter kernel second-derivative --as imagemagick",
    ],
)
@click.option(
    "--axis",
    type=OneOf(["x", "y", "both"]),
    default="both",
    help="Along columns, rows, or their sum. [both]",
)
@_written
def second_derivative(axis: Any, syntax: str | None, output: str | None) -> None:
    """Make a second derivative: 1 -2 1."""
    from cnnfilter.kernels.templates import second_derivative as template

    _write(template(axis), syntax, output)


@kernel.command(
    "list",
    cls=Examples,
    context_settings=CONTEXT,
    examples=["cnnfilter kernel list", "cnnfilter kernel list --json"],
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_kernels(as_json: bool) -> None:
    """List the kernels that have a name, and in brackets what their parameters are when left out."""
    import json

    from cnnfilter.kernels.named import REGISTRY

    width = max(len(entry.usage) for entry in REGISTRY)
    for entry in REGISTRY:
        if as_json:
            row = {"name": entry.name, "usage": entry.usage, "summary": entry.summary, "source": entry.source}
            click.echo(json.dumps({**row, "defaults": entry.defaults}))
        else:
            defaults = f" [{':'.join(entry.defaults.values())}]" if entry.defaults else ""
            click.echo(f"{entry.usage:<{width}}  {entry.summary}{defaults}")


@kernel.command(
    cls=Examples,
    context_settings=WEIGHTS_CONTEXT,
    examples=["cnnfilter kernel show sobel-x", "cnnfilter kernel show log:9:1.4 --plot log.png"],
)
@click.argument("kernel", type=KernelText(), metavar="K")
@click.option("--plot", metavar="FILE.png", help="Draw kernel and frequency response (needs matplotlib).")
def show(kernel: "Kernel", plot: str | None) -> None:
    """Show a kernel: its weights, sum, rank, factors, symmetry, and a heat map.

    K is a file, a name (see cnnfilter kernel list) or weights such as '1 2 1 / 4'.
    """
    from cnnfilter.kernels import kernelview

    show_lines(kernelview.describe(kernel))
    color = shows_colours()
    shades = kernelview.BLOCKS if _can_say(kernelview.BLOCKS) else kernelview.LETTERS
    click.echo(f"\n{kernelview.heatmap(kernel, color, shades)}", color=color)
    if plot:
        from cnnfilter.drawing import kernels

        kernels.plot(kernel, plot)


@kernel.command(
    cls=Examples,
    context_settings=WEIGHTS_CONTEXT,
    examples=[
        "cnnfilter kernel convert '1 2 1; 2 4 2; 1 2 1 / 16' -o blur.json",
        "cnnfilter kernel convert sobel-x --as imagemagick",
    ],
)
@click.argument("kernel", type=KernelText(), metavar="K")
@_written
def convert(kernel: "Kernel", syntax: str | None, output: str | None) -> None:
    """Write a kernel in another form, for this program or for others.

    K is a file, a name (see cnnfilter kernel list) or weights such as '1 2 1 / 4'.
    """
    _write(kernel, syntax, output)
