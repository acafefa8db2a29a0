"""The options that image commands share, each defined once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from cnnfilter.cli.group import Examples
from cnnfilter.cli.types import STEP, Axes, Boundary, Padding, Pixels
from cnnfilter.filters.registry import Range

Parameters = list[click.Parameter]
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


class Settings(NamedTuple):
    """The values of the options that say what is read and written, and how; named as the options."""

    inputs: tuple[str, ...]
    output: str | None
    name: str | None
    overwrite: bool
    skip_existing: bool
    in_place: bool
    recursive: bool
    files_from: str | None
    null: bool
    axes: str | None
    range: Range | None
    linear: bool
    depth: str | None
    format: str | None
    quality: int | None
    compression: int | None
    max_pixels: int
    jobs: int | None
    threads: int | None
    progress: bool | None
    quiet: bool
    verbose: bool
    json: bool
    explain: bool

    @classmethod
    def taken_from(cls, values: dict[str, Any]) -> "Settings":
        """Move the shared options' values out of a command's, leaving the filter's own."""
        return cls(**{name: values.pop(name) for name in cls._fields})


def inputs(complete: Complete | None = None) -> click.Argument:
    """Name the files to read; `complete` offers a shell something else than files."""
    # Whether they can be read is seen when they are: one that cannot must not stop the others.
    kind = click.Path(readable=False, allow_dash=True)
    return click.Argument(["inputs"], nargs=-1, metavar="[INPUT]...", type=kind, shell_complete=complete)


def geometry(*names: str, stride: str = "1", padding: str = "same") -> Parameters:
    """Say where the kernel goes and what it sees there: the options of `names`, in this order."""
    known = {
        "stride": click.Option(
            ["--stride"], type=STEP, metavar="N|NYxNX", help=f"Pixels from one output to the next. [{stride}]"
        ),
        "padding": click.Option(
            ["--padding"],
            type=Padding(),
            metavar="P|PYxPX",
            help=f"same, narrow, wide or pixels a side. [{padding}]",
        ),
        "boundary": click.Option(
            ["--boundary"],
            type=Boundary(),
            default="reflect",
            metavar="NAME",
            help="reflect dcb|abcd, symmetric cba|abcd, edge, wrap, zero, constant:V, renormalize. [reflect]",
        ),
        "dilation": click.Option(
            ["--dilation"], type=STEP, metavar="N|NYxNX", help="Pixels from one weight to the next. [1]"
        ),
        "accuracy": click.Option(
            ["--accuracy"],
            type=click.Choice(["exact", "fast"]),
            metavar="exact|fast",
            help="fast may approximate. [exact]",
        ),
    }
    return [known[name] for name in names]


def value_range(default: str) -> click.Option:
    """Say what becomes of values that leave the pixels' range."""
    return click.Option(
        ["--range"],
        type=click.Choice(["clip", "abs", "offset", "stretch"]),
        metavar="HOW",
        help=f"clip, abs, offset or stretch to the range. [{default}]",
    )


def shared() -> Parameters:
    """Say what is read and written, and how it is reported."""
    return [*_pixels(), *_outputs(), *_inputs(), *_running()]


def _pixels() -> Parameters:
    return [
        click.Option(["--linear"], is_flag=True, help="Filter in linear light (sRGB curve)."),
        click.Option(
            ["--depth"],
            type=click.Choice(["8", "16", "f32"]),
            metavar="8|16|f32",
            help="Bits of a value; f32 keeps signs. [the input's]",
        ),
        click.Option(["--format"], metavar="png|…", help="Form of the output. [by its name, or the input's]"),
        click.Option(
            ["--quality"], type=click.IntRange(1, 100), metavar="1-100", help="Of a JPEG, WebP. [the input's]"
        ),
        click.Option(
            ["--compression"], type=click.IntRange(0, 9), metavar="0-9", help="Of a PNG, TIFF. [fast]"
        ),
    ]


def _outputs() -> Parameters:
    return [
        click.Option(["-o", "--output"], metavar="FILE|DIR/|-", help="Where to. [standard output]"),
        click.Option(["--name"], metavar="PATTERN", help="Names in DIR/, as '{stem}-{command}{ext}'."),
        click.Option(["--overwrite"], is_flag=True, help="Replace what is in DIR/ already."),
        click.Option(["--skip-existing"], is_flag=True, help="Leave what is there already, and go on."),
        click.Option(["--in-place"], is_flag=True, help="Replace the inputs."),
    ]


def _inputs() -> Parameters:
    return [
        click.Option(["-r", "--recursive"], is_flag=True, help="Take the images in folders, too."),
        click.Option(["--files-from"], metavar="FILE|-", help="Read more inputs' names, one a line."),
        click.Option(["-0", "--null", "null"], is_flag=True, help="NUL ends the names in --files-from."),
        click.Option(["--axes"], type=Axes(), metavar="NHWC|…", help="What the axes of a .npy are. [HWC]"),
        click.Option(
            ["--max-pixels"],
            type=Pixels(),
            default="500M",
            metavar="N",
            help="Refuse larger images, unread. [500M]",
        ),
    ]


def _running() -> Parameters:
    return [
        click.Option(
            ["-j", "--jobs"],
            type=click.IntRange(1, 1024),
            metavar="N",
            help="Files at a time. [the processors]",
        ),
        click.Option(
            ["--threads"],
            type=click.IntRange(1, 1024),
            metavar="N",
            help="Threads for each file. [processors/jobs]",
        ),
        click.Option(["--progress/--no-progress"], default=None, help="Bar on a terminal. [if many files]"),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing but errors."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Say what was done to each file."),
        click.Option(["--json"], is_flag=True, help="One JSON object a line for each file."),
        click.Option(["--explain"], is_flag=True, help="Print the plan and do nothing."),
    ]


class ImageCommand(Examples):
    """A command whose help lists many options in one screen, a line each."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, in a narrow column so that most take one line."""
        rows = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                # Not the record's own words: they repeat the range that the metavar shows.
                rows.append((record[0].replace(" / ", "/"), param.help or ""))
        with formatter.section("Options"):
            formatter.write_dl(rows, col_max=27)
