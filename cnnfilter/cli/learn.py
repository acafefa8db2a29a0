"""The command that learns a filter from pictures before and after."""

import json
import math
import os
import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.main import note, show_lines
from cnnfilter.cli.pairfiles import Files, Pictures, pair_files, pictures_in, read_pairs
from cnnfilter.cli.types import Memory, OneOf, Pair
from cnnfilter.errors import DtypeError, FilterFileError, ParameterError

_ACTIVATIONS = ("relu", "leaky_relu", "tanh", "scaled_tanh", "sigmoid", "identity")
_OF_KERNELS = ("size", "bias", "symmetric", "sum_to_one", "ridge", "method", "linear", "stride")
_NOT_OF_CURVES = _OF_KERNELS[1:]
_OF_STACKS = (
    "channels", "kernel", "activation", "steps", "patience", "rate", "patch", "augment", "average",
    "block", "begin", "loss", "grey", "seed",
    "clean", "degrade", "memory", "resume",
)  # fmt: skip
_HEADINGS = {
    "One kernel": (*_OF_KERNELS, "curve"),
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
@click.option(
    "-o", "--output", required=True, metavar="FILTER", help="One kernel: .json; anything else: .safetensors."
)
@click.option(
    "--pairs",
    nargs=2,
    type=click.Path(),
    metavar="DIR DIR",
    help="Folders; equal names are pairs, whatever the suffix.",
)
@click.option("--clean", type=click.Path(), metavar="DIR", help="Make pairs of these, with --degrade.")
@click.option(
    "--degrade", multiple=True, metavar="HOW",
    help="noise:5-50 (of 255), jpeg:10-60 (quality), blur:0.8-2 (sigma); may be repeated.",
)  # fmt: skip
@click.option("--size", type=_Size(), default="auto", metavar="N|UxV|auto", help="auto tries 3, 5, 7… [auto]")
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
@click.option("--linear", is_flag=True, help="Learn in linear light (sRGB curve).")
@click.option("--curve", is_flag=True, help="Learn a tone curve with the kernel, before or after it.")
@click.option(
    "--stride",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    help="AFTER is so much smaller. [1]",
)
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
@click.option(
    "--patience", type=click.IntRange(1), default=10, metavar="N",
    help="Looks, 40 in all, without gain before it stops. [10]",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=3e-3, metavar="X",
    help="First learning rate. [0.003]",
)  # fmt: skip
@click.option("--patch", type=click.IntRange(8, 1024), default=40, metavar="N", help="Side of patches. [40]")
@click.option("--augment", is_flag=True, help="Mirror and turn the patches.")
@click.option(
    "--average", type=click.FloatRange(0, 1, max_open=True), default=0.0, metavar="X",
    help="Keep running means of the weights, as 0.999. [0]",
)  # fmt: skip
@click.option(
    "--block", type=click.IntRange(1, 8), default=1, metavar="N",
    help="Take NxN pixels together: 2 is a quarter of the work. [1]",
)  # fmt: skip
@click.option(
    "--begin", type=OneOf(["random", "identity"]), default="random", metavar="HOW",
    help="Weights at first: random, or near the identity. [random]",
)  # fmt: skip
@click.option(
    "--loss", type=OneOf(["squared", "absolute"]), default="squared", metavar="NAME",
    help="squared or absolute error. [squared]",
)  # fmt: skip
@click.option(
    "--grey", type=click.FloatRange(0, 1), default=0.0, metavar="X",
    help="Share of --clean patches made grey, for grey pictures, too. [0]",
)  # fmt: skip
@click.option("--memory", type=Memory(), metavar="SIZE", help="For pictures of --clean. [512MiB]")
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
    """Learn the filter that makes AFTER from BEFORE.

    The first line says whether it explains the pictures, and if not, what does.
    """
    _refuse_contradictions(ctx, layers, values)
    plain = layers is None and values["colour"] == "shared" and not (values["curve"] or values["linear"])
    _require_places(output, report, one_kernel=plain)
    clean = values["clean"]
    if clean and (before or pairs):
        raise click.UsageError("--clean makes the pairs; name no pictures beside it", ctx)
    if bool(clean) != bool(values["degrade"]):
        raise click.UsageError("--clean DIR and --degrade HOW go together", ctx)
    files = [] if clean else pair_files(before, after, pairs)
    _spare(files, output, report)
    pictures = read_pairs(files)
    try:
        if layers is None:
            learned = _kernel(pictures, values)
            learned.report.otherwise = _otherwise(pictures, learned.report, (before, after, pairs), output)
        else:
            learned = _stack(pictures, output, layers, values)
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
    for name in _NOT_OF_CURVES if values["curve"] else ():
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} is for a kernel alone, not with --curve", ctx)
    if values["curve"] and (layers is not None or values["colour"] == "mixed"):
        what = "--layers" if layers is not None else "--colour mixed"
        raise click.UsageError(f"--curve goes with a kernel, shared or separate, not with {what}", ctx)
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


def _spare(files: Files, *outputs: str | None) -> None:
    """Refuse to write over a picture that is to be read."""
    read = {os.path.realpath(path) for pair in files for path in pair}
    for path in filter(None, outputs):
        if os.path.realpath(path) in read:
            raise click.UsageError(f"{path} is one of the pictures; give another name")


def _kernel(pictures: Pictures, values: dict[str, Any]) -> Any:
    from cnnfilter.learning.curves import learn_curve
    from cnnfilter.learning.linear import learn_kernel

    given: dict[str, Any] = {"channels": values["colour"], "names": pictures.names}
    if values["curve"]:
        return learn_curve(pictures.befores, pictures.afters, size=values["size"], **given)
    options = {name: values[name] for name in _OF_KERNELS}
    return learn_kernel(pictures.befores, pictures.afters, **given, **options)


def _otherwise(pictures: Pictures, report: Any, named: tuple[Any, ...], output: str) -> str:
    """Say what explains pairs that the filter does not, and the command that learns it."""
    if report.explains or math.isnan(report.explained):
        return ""
    from cnnfilter.learning.alternatives import find_alternative

    found = find_alternative(pictures.befores, pictures.afters, report, report.stride)
    if found is None:
        return ""
    before, after, pairs = named
    plain = found.words in ((), ("--bias",))
    target = output if plain else os.path.splitext(output)[0] + ".safetensors"
    words = ["--pairs", *pairs] if pairs else [before, after]
    if report.stride > 1:
        words += ["--stride", str(report.stride)]
    command = shlex.join(["cnnfilter", "learn", *words, "-o", target, *found.words])
    return f"{found.report.verdict} Learn it with: {command}"


def _stack(pictures: Pictures, output: str, layers: int, values: dict[str, Any]) -> Any:
    from tqdm import tqdm

    from cnnfilter.learning.degrading import MEMORY
    from cnnfilter.learning.stack import StackOptions, learn_stack, learn_stack_from_clean

    checkpoint = _checkpoint(output)
    resume = values["resume"]
    if resume and not checkpoint.exists():
        note(f"no {checkpoint}: training begins")
        resume = False
    options = StackOptions(
        layers=layers, maps=values["channels"], size=values["kernel"], activation=values["activation"],
        channels=values["colour"], steps=values["steps"], seed=values["seed"], patience=values["patience"],
        rate=values["rate"], patch=values["patch"], augment=values["augment"], average=values["average"],
        block=values["block"], begin=values["begin"], loss=values["loss"], grey=values["grey"],
    )  # fmt: skip
    how = [_degradation(text) for text in values["degrade"]]
    with tqdm(total=options.steps, unit="step", leave=False, disable=None) as bar:

        def progress(step: int, steps: int, quality: float) -> None:
            bar.set_postfix_str(f"{quality:.2f} dB held out")
            bar.update(step - bar.n)

        given: dict[str, Any] = {"checkpoint": checkpoint, "resume": resume, "progress": progress}
        try:
            if how:
                memory = MEMORY if values["memory"] is None else values["memory"]
                clean = pictures_in(Path(values["clean"]))
                return learn_stack_from_clean(clean, how, options, memory=memory, **given)
            return learn_stack(*pictures[:2], options, names=pictures.names, **given)
        except BaseException as error:
            if not isinstance(error, Exception) and checkpoint.exists():
                bar.close()
                note(f"training was interrupted; --resume goes on from {checkpoint}")
            raise


def _degradation(text: str) -> Any:
    from cnnfilter.learning.degrading import Degradation

    try:
        return Degradation.parse(text)
    except ParameterError as error:
        raise click.UsageError(f"--degrade {error}") from error


def _checkpoint(output: str) -> Path:
    return Path(f"{output}.checkpoint")
