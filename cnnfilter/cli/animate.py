"""``cnnfilter animate``: a window that slides over an input, as GIF, APNG or a page."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cnnfilter.batch.jobs import STREAM
from cnnfilter.cli.group import CONTEXT, Examples, LazyGroup
from cnnfilter.cli.options import Parameters, own
from cnnfilter.cli.outputs import prepare
from cnnfilter.cli.pipe import SEPARATOR, PipeCommand
from cnnfilter.cli.types import KernelText, Pixels
from cnnfilter.registry import FILTERS, filter_named

if TYPE_CHECKING:
    from cnnfilter.kernels.kernel import Kernel
    from cnnfilter.pixels import Array
    from cnnfilter.seeing.slide import Slide

PIPE = "pipe"
HEADINGS = {
    "Geometry": ("stride", "padding", "boundary", "dilation", "accuracy"),
    "Animation": ("output", "frames", "matrix", "max_pixels", "quiet"),
}
OFTEN = ("stride", "padding", "boundary", "dilation", "output", "matrix", "frames")


class AnimateGroup(LazyGroup):
    """A subcommand for each filter; with ``--``, a chain of filters of which the last is animated."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take filters after ``--`` as those of a pipe."""
        if SEPARATOR in args and args[0] != PIPE:
            args = [PIPE, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the filters, and the chain."""
        return [*FILTERS, PIPE]

    def rows(self) -> list[tuple[str, str]]:
        """Name the subcommands, each with a line about it."""
        return [
            *((name, words) for name, (_, words) in FILTERS.items()),
            (PIPE, "The last of several filters."),
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the subcommand of a filter."""
        if cmd_name == PIPE:
            return _pipe()
        return _of_filter(cmd_name) if cmd_name in FILTERS else None


@click.group(
    cls=AnimateGroup,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter animate mean --matrix '1 2 3; 4 5 6; 7 8 9' -o mean.gif",
        "cnnfilter animate photo.jpg -o pool.png -- gaussian --sigma 2 then pool max",
    ],
)
def animate() -> None:
    """Show a filter's window sliding over its input: flip, slide, multiply, add.

    An input of up to 12 x 12 is shown in numbers, a larger one as a picture. -o FILE ends in .gif, .png or
    .html.
    """


def _shared() -> Parameters:
    kind = click.Path(readable=False, allow_dash=True)
    return [
        click.Argument(["input"], required=False, metavar="[INPUT]", type=kind),
        click.Option(
            ["--matrix"],
            multiple=True,
            metavar="TEXT",
            help="An input that is typed, '1 2; 3 4'; once for each channel.",
        ),
        click.Option(["-o", "--output"], required=True, metavar="FILE", help="A .gif, .png or .html."),
        click.Option(
            ["--frames"],
            type=click.IntRange(1, 100_000),
            metavar="N",
            help="Most steps; of more, N are shown. [600, or 120 of a picture]",
        ),
        click.Option(
            ["--max-pixels"], type=Pixels(), default="500M", metavar="N", help="Refuse larger images. [500M]"
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing but errors."),
    ]


KERNELS = click.Option(
    ["--kernel"],
    type=KernelText(),
    multiple=True,
    required=True,
    metavar="K",
    help="A file, a name or '1 2 1 / 4'; one for each channel makes one output.",
)
"""Of convolve and correlate, as their own but for several of them."""


def _of_filter(name: str) -> click.Command:
    filter = filter_named(name)

    def run(**values: Any) -> None:
        shared = {
            key: values.pop(key) for key in ("input", "matrix", "output", "frames", "max_pixels", "quiet")
        }
        kernels = values.pop("kernel", ())
        if kernels:
            values["kernel"] = kernels[0]
        step = filter.read(values)
        several = partial(_of_channels, step, kernels)
        _animate(several if len(kernels) > 1 else partial(_of_steps, [step]), **shared)

    params = [KERNELS if param.name == "kernel" else param for param in own(filter.options)]
    arguments = [param for param in params if isinstance(param, click.Argument)]
    options = [param for param in params if isinstance(param, click.Option)]
    return Examples(
        name,
        params=[*arguments, *_shared()[:1], *options, *_shared()[1:]],
        callback=run,
        help=f"Animate {name}: {FILTERS[name][1]}",
        examples=[
            f"cnnfilter animate {_example(name)} photo.jpg -o a.gif --frames 30",
            f"cnnfilter animate {_example(name)} --matrix '1 2; 3 4' -o a.html",
        ],
        headings=HEADINGS,
        often=OFTEN,
        context_settings=CONTEXT,
    )


def _example(name: str) -> str:
    needed = {"convolve": " --kernel sobel-x", "correlate": " --kernel sobel-x", "pool": " max"}
    return name + needed.get(name, " --filter sharp.json" if name == "learned" else "")


def _pipe() -> click.Command:
    def run(**values: Any) -> None:
        _animate(partial(_of_steps, list(click.get_current_context().obj)), **values)

    return PipeCommand(
        PIPE,
        params=_shared(),
        callback=run,
        help="Animate the last of several filters, over what those before it make of the input.",
        examples=[
            "cnnfilter animate photo.jpg -o a.gif --frames 30 -- mean then pool max",
            "cnnfilter animate photo.jpg -o a.html --frames 30 -- mean then gradient",
        ],
        headings={},
        context_settings=CONTEXT,
    )


def _animate(
    laid_out: Callable[[Array], Slide],
    input: str | None,
    matrix: tuple[str, ...],
    output: str,
    frames: int | None,
    max_pixels: int,
    quiet: bool,
) -> None:
    """Read the input and show what is laid out over it."""
    prepare(output, [input], quiet=quiet)
    values = _typed(matrix, input) if matrix else _read(input, max_pixels, quiet)
    _write(laid_out(values), output, frames, quiet)


def _of_steps(steps: list[Any], values: Array) -> Slide:
    """Slide the last of some filters over what those before it make of the values."""
    from cnnfilter.filters.chain import run_apart
    from cnnfilter.filters.plan import plan_chain
    from cnnfilter.seeing.slide import white_level
    from cnnfilter.seeing.slides import slide_of

    given, made = run_apart(plan_chain(steps, values.shape, values.dtype), values)
    return replace(slide_of(steps[-1], given, made), white=white_level(values))


def _of_channels(filter: Any, kernels: tuple[Kernel, ...], values: Array) -> Slide:
    """Slide a kernel over each channel, and add all products up."""
    from cnnfilter.cli.inputs import usage
    from cnnfilter.seeing.animation import in_numbers
    from cnnfilter.seeing.slide import Slide, slide_title
    from cnnfilter.seeing.slides import geometry_given

    geometry = {"boundary": filter.default_boundary, **geometry_given(filter)}
    turned = filter.name == "convolve"
    laid = [kernel.rotated() if turned else kernel for kernel in kernels]
    slide = Slide.of_channels(values, laid, turned=turned, **geometry)
    if not in_numbers(slide):
        raise usage("a kernel for each channel is shown in numbers: give an input of up to 12x12")
    title = slide_title(f"{filter.name}, {len(kernels)} channels into one", slide.geometry, slide.boundary)
    return replace(slide, title=title)


def _write(slide: Slide, output: str, frames: int | None, quiet: bool) -> None:
    from cnnfilter.cli.main import note
    from cnnfilter.seeing import animation

    shown = animation.animate(slide, output, frames)
    if shown < slide.steps and not quiet:
        note(f"{shown} of {slide.steps} steps are shown; --frames N shows more, or fewer")


def _typed(matrix: tuple[str, ...], input: str | None) -> Any:
    import numpy as np

    from cnnfilter.cli.inputs import usage
    from cnnfilter.cli.numbers import typed_matrices
    from cnnfilter.cli.slips import beside_matrix

    if input is not None:
        raise usage(beside_matrix(matrix[-1], [input]))
    channels = typed_matrices(matrix)
    if len({channel.shape for channel in channels}) > 1:
        sizes = ", ".join("x".join(map(str, channel.shape)) for channel in channels)
        raise usage(f"matrices of {sizes} are no channels of one input; they need one size")
    return (
        channels[0]
        if len(channels) == 1
        else np.stack([np.atleast_2d(channel) for channel in channels], axis=2)
    )


def _read(input: str | None, max_pixels: int, quiet: bool) -> Any:
    """Read an image without its transparency; colours stay."""
    from cnnfilter.batch.missing import find_missing
    from cnnfilter.cli.inputs import is_numbers, usage
    from cnnfilter.cli.main import note
    from cnnfilter.cli.numbers import first_of, read_text
    from cnnfilter.errors import ParameterError
    from cnnfilter.files import read

    if input is None and (sys.stdin is None or sys.stdin.isatty()):
        raise usage("no input; name an image, pipe one in, or give --matrix")
    path = input or STREAM
    if is_numbers(path):
        return read_text(path)
    stream: Any = sys.stdin.buffer if path == STREAM else path
    picture = read(stream, max_pixels=max_pixels)
    if len(picture.frames) > 1 and not quiet:
        note(first_of(path, picture))
    frame = picture.frames[0]
    if picture.encoding.get("axes") == "W":
        frame = frame[0]
    missing = find_missing(picture, 0, None)
    if missing and missing.found:
        raise ParameterError(f"animate knows no missing pixels, and there are {missing}; --fill them before")
    if not picture.alpha:
        return frame
    if not quiet:
        note("transparency is left out; an image command weighs colours by it")
    return frame[..., :-1]
