"""The options that image commands share, each defined once."""

import os
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cnnfilter.cli.group import Examples
from cnnfilter.cli.types import (
    SIZE,
    STEP,
    TEXT_FORMS,
    Axes,
    Boundary,
    FormName,
    KernelText,
    Memory,
    MissingValue,
    OneOf,
    Padding,
    Pair,
    Pixels,
    Place,
    Sigma,
)
from cnnfilter.files.forms import WRITTEN
from cnnfilter.filters.filter import Numbers, Option, Range

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Parameters = list[click.Parameter]
Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


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
    missing: float | str | None
    fill: bool
    depth: str | None
    format: str | None
    quality: int | None
    compression: int | None
    max_pixels: int
    memory: int | None
    resume: bool
    scheduler: str | None
    jobs: int | None
    threads: int | None
    progress: bool | None
    quiet: bool
    verbose: bool
    json: bool
    explain: bool
    matrix: str | None
    at: tuple[int, ...] | None

    @classmethod
    def taken_from(cls, values: dict[str, Any]) -> "Settings":
        """Move the shared options' values out of a command's, leaving the filter's own."""
        return cls(**{name: values.pop(name) for name in cls._fields})


def inputs(complete: Complete | None = None) -> click.Argument:
    """Name the files to read; `complete` offers a shell something else than files."""
    # Whether they can be read is seen when they are: one that cannot must not stop the others.
    kind = click.Path(readable=False, allow_dash=True)
    return click.Argument(["inputs"], nargs=-1, metavar="[INPUT]...", type=kind, shell_complete=complete)


def own(options: Iterable[Option]) -> Parameters:
    """Say what a filter takes for itself."""
    made: Parameters = []
    for option in options:
        kind, metavar = _read(option.form)
        shown = option.metavar or metavar
        if option.positional:
            made.append(click.Argument([option.name], type=kind, metavar=shown))
        else:
            # Click 8.3 takes a default of None for a value, and the option as given.
            default: dict[str, Any] = {} if option.default is None else {"default": option.default}
            made.append(
                click.Option(
                    [f"--{option.name}"],
                    type=kind,
                    required=option.required,
                    metavar=shown,
                    help=option.help,
                    **default,
                )
            )
    return made


def _read(form: str | tuple[str, ...] | Numbers) -> tuple[Any, str]:
    """Return how the text of a form of option is read, and what help shows for it."""
    if isinstance(form, str):
        return _FORMS[form]
    if isinstance(form, Numbers):
        return Pair(*form), "N|NYxNX"
    return _choices(form)


def _choices(names: tuple[str, ...]) -> tuple[OneOf, str]:
    return OneOf(names, case_sensitive=names == tuple(map(str.lower, names))), "|".join(names)


_FORMS: dict[str, tuple[Any, str]] = {
    "size": (SIZE, "N|UxV"),
    "lengths": (Sigma(), "S|SYxSX"),
    "number": (float, "X"),
    "steps": (STEP, "N|NYxNX"),
    "padding": (Padding(), "P|PYxPX"),
    "boundary": (Boundary(), "NAME"),
    "kernel": (KernelText(), "K"),
    "file": (click.Path(), "FILE"),
    "text": (str, "TEXT"),
}
"""How the text of each form of option is read, and what help shows for it."""


def value_range(default: str) -> click.Option:
    """Say what becomes of values that leave the pixels' range."""
    return click.Option(
        ["--range"],
        type=OneOf(["clip", "abs", "offset", "stretch"]),
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
            ["--missing"],
            type=MissingValue(),
            metavar="nan|V|none",
            help="Value of missing pixels. [the file's nodata]",
        ),
        click.Option(["--fill"], is_flag=True, help="Give missing pixels a value where one can be."),
        click.Option(
            ["--depth"],
            type=OneOf(["8", "16", "f32"]),
            metavar="8|16|f32",
            help="Bits of a value; f32 keeps signs. [the input's]",
        ),
        click.Option(
            ["--format"],
            type=FormName(),
            metavar="FORM",
            help=f"{', '.join(WRITTEN)}; of matrices {', '.join(TEXT_FORMS)}. [by -o, or the input's]",
        ),
        click.Option(
            ["--quality"], type=click.IntRange(1, 100), metavar="1-100", help="Of a JPEG, WebP. [the input's]"
        ),
        click.Option(
            ["--compression"], type=click.IntRange(0, 9), metavar="0-9", help="Of a PNG, TIFF. [fast]"
        ),
    ]


def _outputs() -> Parameters:
    return [
        click.Option(["-o", "--output"], metavar="FILE|DIR/|-", help="Where to write. [standard output]"),
        click.Option(["--name"], metavar="PATTERN", help="Names in DIR/, as '{stem}-{command}{ext}'."),
        click.Option(["--overwrite"], is_flag=True, help="Replace what is in DIR/ already."),
        click.Option(["--skip-existing"], is_flag=True, help="Skip what is in DIR/ already."),
        click.Option(["--in-place"], is_flag=True, help="Replace the inputs."),
        click.Option(["--resume"], is_flag=True, help="Go on where a run in blocks was ended."),
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
        click.Option(
            ["--memory"],
            type=Memory(),
            metavar="SIZE",
            help="Hold no more, as 1GiB. [a quarter of what there is]",
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
        click.Option(
            ["--scheduler"], metavar="ADDRESS", help="Workers do it: tcp://HOST:PORT, local:N. [none]"
        ),
        click.Option(["--progress/--no-progress"], default=None, help="Bar on a terminal. [if many files]"),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing but errors."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Say what was done to each file."),
        click.Option(["--json"], is_flag=True, help="One JSON object a line for each file."),
        click.Option(["--explain"], is_flag=True, help="Print the plan and do nothing."),
        click.Option(["--matrix"], metavar="TEXT", help="An input that is typed: '1 2 3; 4 5 6'."),
        click.Option(
            ["--at"], type=Place(), metavar="ROW,COL", help="Print the arithmetic of one value, do nothing."
        ),
    ]


HEADINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Geometry": ("stride", "padding", "boundary", "dilation"),
        "Pixels": ("range", "depth", "linear", "missing", "fill"),
        "Output": (
            "output", "overwrite", "skip_existing", "in_place", "name", "format", "quality", "compression",
        ),
        "Input": ("recursive", "files_from", "null", "matrix", "axes", "max_pixels"),
        "Seeing": ("at", "explain", "verbose", "quiet", "json", "progress"),
        "Speed and memory": ("jobs", "threads", "accuracy", "memory", "resume", "scheduler"),
    }
)  # fmt: skip
"""Under which options of image commands are listed; those of the filter alone come before them."""

OFTEN = ("boundary", "range", "output", "overwrite", "recursive", "matrix", "at")
"""Those that most people need."""


class ImageCommand(Examples):
    """A command on images, with the options that such commands share."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"headings": HEADINGS, "often": OFTEN, **kwargs})

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the command line; what that imports of NumPy starts no threads.

        A filter never calls BLAS, whose idle threads spin for 30 ms on the processors that decode and filter.
        """
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        return super().make_context(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse a second kernel or matrix, of which one would be lost; elsewhere each is a channel."""
        for name in ("--kernel", "--matrix"):
            if sum(word == name or word.startswith(f"{name}=") for word in args) > 1:
                ctx.fail(
                    f"{name} is given twice; an image command takes one ('animate' one for each channel)"
                )
        return super().parse_args(ctx, args)
