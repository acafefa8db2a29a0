"""The command that learns a filter from pictures before and after."""

import json
from pathlib import Path
from typing import Any

import click

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.errors import ParameterError


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter learn photo.png sharpened.png -o sharpen.json",
        "cnnfilter learn --pairs noisy/ clean/ --layers 3 -o denoise.safetensors",
    ],
)
@click.argument("before", required=False, type=click.Path())
@click.argument("after", required=False, type=click.Path())
@click.option("-o", "--output", required=True, metavar="FILTER", help="One kernel: .json; else .safetensors.")
@click.option(
    "--pairs", nargs=2, type=click.Path(), metavar="DIR DIR", help="Folders; equal names are pairs."
)
@click.option("--size", default="auto", metavar="N|auto", help="Rows and columns; auto tries 3, 5, 7. [auto]")
@click.option(
    "--colour", type=click.Choice(["shared", "separate", "mixed"]), default="shared",
    help="One kernel for all channels, one for each, or full mixing. [shared]",
)  # fmt: skip
@click.option("--bias", is_flag=True, help="Learn a constant to add.")
@click.option("--symmetric", is_flag=True, help="Equal in all eight mirrorings.")
@click.option("--sum-to-one", is_flag=True, help="Keep the brightness.")
@click.option(
    "--ridge", type=float, metavar="X", help="Pull to the identity, share of the mean power. [1e-9]"
)
@click.option(
    "--method", type=click.Choice(["least-squares", "gradient"]), default="least-squares",
    help="Exact, or the notes' descent. [least-squares]",
)  # fmt: skip
@click.option("--layers", type=click.IntRange(1), help="Train a stack of so many layers instead.")
@click.option("--channels", type=click.IntRange(1), default=16, help="Maps between layers. [16]")
@click.option(
    "--kernel", type=click.IntRange(1), default=3, help="Rows and columns of a layer's kernels. [3]"
)
@click.option("--activation", default="relu", metavar="NAME", help="After each layer but the last. [relu]")
@click.option("--steps", type=click.IntRange(1), default=4000, help="Steps of training. [4000]")
@click.option("--seed", type=int, default=0, help="Of the training. [0]")
@click.option("--resume", is_flag=True, help="Go on from FILTER.checkpoint.")
@click.option("--report", metavar="FILE.png", help="Draw kernel, residual and pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def learn(
    before: str | None, after: str | None, output: str, pairs: tuple[str, str] | None, **values: Any
) -> None:
    """Learn the filter that makes AFTER from BEFORE."""
    befores, afters = _pictures(before, after, pairs)
    as_json, report, layers = values.pop("as_json"), values.pop("report"), values.pop("layers")
    learned = _stack(befores, afters, output, layers, values) if layers else _kernel(befores, afters, values)
    learned.filter.save(output)
    click.echo(json.dumps(learned.report.record()) if as_json else learned.report.text())
    if report:
        learned.report.draw(report)


def _kernel(befores: list[Any], afters: list[Any], values: dict[str, Any]) -> Any:
    from cnnfilter.learning.linear import learn_kernel

    size = values["size"]
    if size != "auto":
        if not size.isdigit():
            raise ParameterError(f"size {size!r} is neither a number of pixels nor auto")
        size = int(size)
    ridge = {} if values["ridge"] is None else {"ridge": values["ridge"]}
    return learn_kernel(
        befores, afters, size=size, channels=values["colour"], bias=values["bias"],
        symmetric=values["symmetric"], sum_to_one=values["sum_to_one"], method=values["method"], **ridge,
    )  # fmt: skip


def _stack(befores: list[Any], afters: list[Any], output: str, layers: int, values: dict[str, Any]) -> Any:
    from tqdm import tqdm

    from cnnfilter.learning.stack import StackOptions, learn_stack

    if values["colour"] == "separate":
        raise ParameterError("a stack is shared or mixed; --colour separate is for kernels")
    options = StackOptions(
        layers=layers, maps=values["channels"], size=values["kernel"], activation=values["activation"],
        channels=values["colour"], steps=values["steps"], seed=values["seed"],
    )  # fmt: skip
    with tqdm(total=options.steps, unit="step", leave=False, disable=None) as bar:

        def progress(step: int, steps: int, quality: float) -> None:
            bar.set_postfix_str(f"{quality:.2f} dB held out")
            bar.update(step - bar.n)

        return learn_stack(
            befores, afters, options,
            checkpoint=f"{output}.checkpoint", resume=values["resume"], progress=progress,
        )  # fmt: skip


def _pictures(
    before: str | None, after: str | None, pairs: tuple[str, str] | None
) -> tuple[list[Any], list[Any]]:
    from cnnfilter import imagefile

    if pairs:
        first, second = map(Path, pairs)
        names = sorted({path.name for path in first.iterdir()} & {path.name for path in second.iterdir()})
        if not names:
            raise ParameterError(f"{first} and {second} share no file name; pairs have equal names")
        files = [(first / name, second / name) for name in names]
    elif before and after:
        files = [(Path(before), Path(after))]
    else:
        raise click.UsageError("name two pictures, BEFORE and AFTER, or two folders with --pairs")
    read = [[imagefile.read(path).frames[0] for path in pair] for pair in files]
    return [pair[0] for pair in read], [pair[1] for pair in read]
