"""The command that learns a filter from pictures before and after."""

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.main import note, show_lines
from cnnfilter.cli.types import OneOf, Pair
from cnnfilter.errors import DtypeError, FilterFileError, ParameterError

if TYPE_CHECKING:
    from cnnfilter.pixels import Array

_ACTIVATIONS = ("relu", "leaky_relu", "tanh", "scaled_tanh", "sigmoid", "identity")
_OF_KERNELS = ("size", "bias", "symmetric", "sum_to_one", "ridge", "method")
_OF_STACKS = ("channels", "kernel", "activation", "steps", "seed", "resume")
_HEADINGS = {
    "One kernel": _OF_KERNELS,
    "A stack of layers": ("layers", *_OF_STACKS),
    "Result": ("report", "as_json"),
}


class _Size(Pair):
    """Rows and columns of a kernel to learn, or ``auto``."""

    def __init__(self) -> None:
        super().__init__(int, 1, 31, "auto or a number of pixels from 1 to 31, or two")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a size."""
        return value if value == "auto" else super().convert(value, param, ctx)


def _finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise click.BadParameter(f"{value} is not a number of 0 or more, such as 1e-6", ctx, param)
    return value


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter learn photo.png sharpened.png -o sharpen.json",
        "cnnfilter learn --pairs noisy/ clean/ --layers 3 -o denoise.safetensors",
    ],
    headings=_HEADINGS,
    often=("size", "layers", "report"),
)
@click.argument("before", required=False, type=click.Path())
@click.argument("after", required=False, type=click.Path())
@click.option("-o", "--output", required=True, metavar="FILTER", help="One kernel: .json; else .safetensors.")
@click.option(
    "--pairs", nargs=2, type=click.Path(), metavar="DIR DIR", help="Folders; equal names are pairs."
)
@click.option("--size", type=_Size(), default="auto", metavar="N|UxV|auto", help="auto tries 3, 5, 7. [auto]")
@click.option(
    "--colour", type=OneOf(["shared", "separate", "mixed"]), default="shared", metavar="HOW",
    help="shared kernel, separate for each channel, or mixed. [shared]",
)  # fmt: skip
@click.option("--bias", is_flag=True, help="Learn a constant to add.")
@click.option("--symmetric", is_flag=True, help="Equal in all eight mirrorings.")
@click.option("--sum-to-one", is_flag=True, help="Keep the brightness.")
@click.option(
    "--ridge", type=float, callback=_finite, metavar="X", help="Pull to the identity. [1e-9, 1e-6 or 1e-3]"
)
@click.option(
    "--method", type=OneOf(["least-squares", "gradient"]), default="least-squares", metavar="NAME",
    help="least-squares, or the notes' gradient. [least-squares]",
)  # fmt: skip
@click.option("--layers", type=click.IntRange(1, 32), metavar="N", help="Train a stack of layers instead.")
@click.option(
    "--channels", type=click.IntRange(1, 512), default=16, metavar="N", help="Maps between layers. [16]"
)
@click.option(
    "--kernel", type=click.IntRange(1, 31), default=3, metavar="N", help="Size of a layer's kernels. [3]"
)
@click.option(
    "--activation", type=OneOf(_ACTIVATIONS), default="relu", metavar="NAME",
    help="Between layers: relu, leaky_relu, tanh… [relu]",
)  # fmt: skip
@click.option("--steps", type=click.IntRange(1), default=4000, metavar="N", help="Of training. [4000]")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="N", help="Random seed of training. [0]")
@click.option("--resume", is_flag=True, help="Go on from FILTER.checkpoint.")
@click.option("--report", metavar="FILE.png", help="Draw kernel, residual and pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_context
def learn(
    ctx: click.Context,
    /,
    before: str | None,
    after: str | None,
    output: str,
    pairs: tuple[str, str] | None,
    report: str | None,
    as_json: bool,
    layers: int | None,
    **values: Any,
) -> None:
    """Learn the filter that makes AFTER from BEFORE."""
    _refuse_contradictions(ctx, layers, values)
    _require_places(output, report, one_kernel=layers is None and values["colour"] == "shared")
    files = _files(before, after, pairs)
    _spare(files, output, report)
    befores, afters, names = _pictures(files)
    try:
        if layers is None:
            learned = _kernel(befores, afters, names, values)
        else:
            learned = _stack(befores, afters, names, output, layers, values)
    except (ParameterError, DtypeError) as error:  # the options are in order: the pictures are not
        raise click.ClickException(str(error)) from error
    learned.filter.save(output)
    _checkpoint(output).unlink(missing_ok=True)
    show_lines(json.dumps(learned.report.record()) if as_json else learned.report.text())
    if report:
        from cnnfilter.drawing.reports import draw_report

        draw_report(learned.report, report)


def _refuse_contradictions(ctx: click.Context, layers: int | None, values: dict[str, Any]) -> None:
    for name in _OF_STACKS if layers is None else _OF_KERNELS:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            option = f"--{name.replace('_', '-')}"
            reason = "needs --layers" if layers is None else "is for one kernel, not for --layers"
            raise click.UsageError(f"{option} {reason}", ctx)
    size = values["size"]
    sides = size if isinstance(size, tuple) else (size,)
    if values["symmetric"] and size != "auto" and any(side % 2 == 0 for side in sides):
        raise click.UsageError("a symmetric kernel has a middle: give --size an odd number", ctx)
    if layers is not None and values["colour"] == "separate":
        raise click.UsageError("a stack is shared or mixed; --colour separate is for kernels", ctx)


def _require_places(output: str, report: str | None, *, one_kernel: bool) -> None:
    """See that what will be learned can be written, before the work."""
    from cnnfilter.files.filterfile import require_suffix

    try:
        require_suffix(output, one_kernel=one_kernel)
    except FilterFileError as error:
        raise click.UsageError(str(error)) from error
    if report:
        from cnnfilter.drawing.figure import SUFFIXES, require_matplotlib

        if os.path.splitext(report)[1].lower() not in SUFFIXES:
            raise click.UsageError(f"--report {report}: give a name that ends in .png, .pdf or .svg")
        require_matplotlib()
    for path in filter(None, (output, report)):
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise click.ClickException(f"{path}: there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise click.ClickException(f"{path}: the folder {folder} is not writable")


def _spare(files: list[tuple[Path, Path]], *outputs: str | None) -> None:
    """Refuse to write over a picture that is to be read."""
    read = {os.path.realpath(path) for pair in files for path in pair}
    for path in filter(None, outputs):
        if os.path.realpath(path) in read:
            raise click.UsageError(f"{path} is one of the pictures; give another name")


def _kernel(befores: list["Array"], afters: list["Array"], names: list[str], values: dict[str, Any]) -> Any:
    from cnnfilter.learning.linear import learn_kernel

    options = {name: values[name] for name in _OF_KERNELS}
    return learn_kernel(befores, afters, channels=values["colour"], names=names, **options)


def _stack(
    befores: list["Array"],
    afters: list["Array"],
    names: list[str],
    output: str,
    layers: int,
    values: dict[str, Any],
) -> Any:
    from tqdm import tqdm

    from cnnfilter.learning.stack import StackOptions, learn_stack

    checkpoint = _checkpoint(output)
    resume = values["resume"]
    if resume and not checkpoint.exists():
        note(f"no {checkpoint}: training begins")
        resume = False
    options = StackOptions(
        layers=layers, maps=values["channels"], size=values["kernel"], activation=values["activation"],
        channels=values["colour"], steps=values["steps"], seed=values["seed"],
    )  # fmt: skip
    with tqdm(total=options.steps, unit="step", leave=False, disable=None) as bar:

        def progress(step: int, steps: int, quality: float) -> None:
            bar.set_postfix_str(f"{quality:.2f} dB held out")
            bar.update(step - bar.n)

        try:
            return learn_stack(
                befores, afters, options, names=names, checkpoint=checkpoint, resume=resume, progress=progress
            )
        except BaseException as error:
            if not isinstance(error, Exception) and checkpoint.exists():
                bar.close()
                note(f"training was interrupted; --resume goes on from {checkpoint}")
            raise


def _checkpoint(output: str) -> Path:
    return Path(f"{output}.checkpoint")


def _files(before: str | None, after: str | None, pairs: tuple[str, str] | None) -> list[tuple[Path, Path]]:
    """Name the two files of every pair."""
    if pairs and before:
        raise click.UsageError("name two pictures, or two folders with --pairs, not both")
    if before and after:
        return [(Path(before), Path(after))]
    if not pairs:
        raise click.UsageError("name two pictures, BEFORE and AFTER, or two folders with --pairs")
    first, second = map(Path, pairs)
    there, wanted = ({path.name: path for path in _pictures_in(folder)} for folder in (first, second))
    shared = sorted(there.keys() & wanted.keys())
    if not shared:
        raise click.ClickException(f"{first} and {second} share no file name; pairs have equal names")
    alone = sorted(there.keys() ^ wanted.keys())
    if alone:
        note(f"{len(alone)} of the files have no partner, {alone[0]} for one, and are left out")
    return [(there[name], wanted[name]) for name in shared]


def _pictures_in(folder: Path) -> list[Path]:
    from cnnfilter.files import FORMS

    suffixes = {suffix for suffixes in FORMS.values() for suffix in suffixes}
    return [path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file()]


def _pictures(files: list[tuple[Path, Path]]) -> tuple[list["Array"], list["Array"], list[str]]:
    """Read the pairs, each frame one; the names are for messages."""
    befores: list[Array] = []
    afters: list[Array] = []
    names: list[str] = []
    for pair in files:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(_frames, pair)
        name = f"{pair[0]} and {pair[1]}"
        if len(first) != len(second):
            raise click.ClickException(f"{name}: {len(first)} and {len(second)} frames: give equally many")
        befores += first
        afters += second
        names += [name] if len(first) == 1 else [f"{name}, frame {k + 1}" for k in range(len(first))]
    return befores, afters, names


def _frames(path: Path) -> list["Array"]:
    from cnnfilter.batch.missing import refuse_missing
    from cnnfilter.files import read

    picture = read(path)
    refuse_missing(picture, str(path))
    return [_colours(frame, picture.alpha) for frame in picture.frames]


def _colours(frame: "Array", alpha: bool) -> "Array":
    """Return the colours of a frame, multiplied by its alpha: so the image commands filter them."""
    import numpy as np

    from cnnfilter.pixels.kinds import full_scale
    from cnnfilter.pixels.memory import packed

    if alpha:
        frame, seen = frame[..., :-1], frame[..., -1:] / full_scale(frame.dtype)
        if seen.min() < 1:
            product = frame * seen
            frame = (np.rint(product) if frame.dtype.kind in "iu" else product).astype(frame.dtype)
    return packed(frame[..., 0] if frame.ndim == 3 and frame.shape[2] == 1 else frame)
