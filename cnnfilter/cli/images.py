"""The commands that filter images, one filter each."""

from collections.abc import Iterable
from typing import Any

import click

from cnnfilter.cli.group import CONTEXT
from cnnfilter.cli.options import ImageCommand, Parameters, Settings, geometry, inputs, shared, value_range
from cnnfilter.cli.types import SIZE, KernelText, Sigma
from cnnfilter.filters.registry import FILTERS, Range, Step

GEOMETRY = ("stride", "padding", "boundary")


def _command(name: str, help: str, own: Parameters, examples: Iterable[str]) -> ImageCommand:
    """Make the command of a filter: its own options, then those that all share."""

    def run(maps: str | None = None, **values: Any) -> int:
        settings = Settings.taken_from(values)
        if maps is not None:
            from cnnfilter.cli.maps import run_maps

            return run_maps(step(name, values), settings, maps)
        from cnnfilter.cli.run import run_images

        return run_images([step(name, values)], settings, command=name)

    arguments = [param for param in own if isinstance(param, click.Argument)]
    options = [param for param in own if isinstance(param, click.Option)]
    return ImageCommand(
        name,
        params=[*arguments, inputs(), *options, value_range(default_range(name)), *shared()],
        callback=run,
        help=help,
        examples=examples,
        context_settings=CONTEXT,
        options_metavar="[OPTIONS]",
    )


def default_range(name: str) -> str:
    """Name what a filter's command does to values out of range unless told otherwise."""
    return next(spec.range for spec in FILTERS.values() if spec.name.split()[0] == name)


def step(name: str, values: dict[str, Any], value_range: Range | None = None) -> Step:
    """Make the filter that a command's own options describe."""
    if name == "pool":
        return Step.of(f"pool {values.pop('kind')}", value_range, **values)
    if name == "learned":
        from cnnfilter.learning.learnedfilter import LearnedFilter

        values["filter"] = LearnedFilter.load(
            values["filter"], tensor=values.pop("tensor"), order=values.pop("order")
        )
    boundary = values.get("boundary")
    if isinstance(boundary, tuple):
        values["boundary"], values["constant"] = boundary
    return Step.of(name, value_range, **values)


def _size(help: str, default: str | None = None) -> click.Option:
    return click.Option(["--size"], type=SIZE, default=default, metavar="N|UxV", help=help)


def _kernel() -> click.Option:
    return click.Option(
        ["--kernel"],
        type=KernelText(),
        required=True,
        metavar="K",
        help="File, name (see kernel list) or '1 2; 3 4 / 10'.",
    )


OWN: dict[str, Parameters] = {
    "mean": [_size("Rows x columns of the window, in pixels. [3]", "3"), *geometry(*GEOMETRY, "accuracy")],
    "gaussian": [
        click.Option(
            ["--sigma"],
            type=Sigma(),
            default="1.0",
            metavar="S|SYxSX",
            help="In pixels. [1.0]",
        ),
        _size("Rows x columns of the kernel. [2*ceil(4*sigma)+1]"),
        click.Option(
            ["--template"],
            type=click.Choice(["float", "integer"]),
            default="float",
            metavar="float|integer",
            help="Weights: exact, or small integers. [float]",
        ),
        *geometry(*GEOMETRY, "accuracy"),
    ],
    "second-derivative": [
        click.Option(
            ["--axis"],
            type=click.Choice(["x", "y", "both"]),
            default="both",
            metavar="x|y|both",
            help="Along columns, rows, or their sum. [both]",
        ),
        *geometry(*GEOMETRY, "accuracy"),
    ],
    "convolve": [_kernel(), *geometry(*GEOMETRY, "dilation", "accuracy")],
    "correlate": [_kernel(), *geometry(*GEOMETRY, "dilation", "accuracy")],
    "learned": [
        click.Option(
            ["--filter"],
            type=click.Path(),
            required=True,
            metavar="FILE",
            help="A .json, .safetensors, .npy or .npz.",
        ),
        click.Option(["--tensor"], metavar="NAME", help="Which tensor of FILE is the bank."),
        click.Option(
            ["--order"],
            type=click.Choice(["auto", "UVDP", "PDUV"], case_sensitive=False),
            default="auto",
            metavar="UVDP|PDUV",
            help="Axes of a bank; PDUV is PyTorch's. [by shape]",
        ),
        *geometry(*GEOMETRY),
    ],
    "pool": [
        click.Argument(["kind"], type=click.Choice(["max", "mean"]), metavar="max|mean"),
        _size("Rows x columns of the window, in pixels. [2]", "2"),
        *geometry("stride", "padding", stride="the size", padding="0"),
    ],
}
"""What each filter takes for itself: the options of its command, and of its step in a pipe."""

mean = _command(
    "mean",
    "Replace each pixel by the mean of the window around it.",
    OWN["mean"],
    ["cnnfilter mean --size 5x7 photo.jpg -o soft.jpg", "cnnfilter mean photos/*.png -o soft/ --jobs 2"],
)

gaussian = _command(
    "gaussian",
    "Smooth with a Gaussian; more sigma, more smoothing.",
    OWN["gaussian"],
    ["cnnfilter gaussian --sigma 2 photo.jpg -o soft.jpg", "cnnfilter gaussian < photo.png > soft.png"],
)

second_derivative = _command(
    "second-derivative",
    "Show where brightness bends: edges and lines. --range is abs by default; for signed values "
    "write --depth f32 to .tif or .npy.",
    OWN["second-derivative"],
    [
        "cnnfilter second-derivative --axis x photo.jpg -o edges.png",
        "cnnfilter second-derivative photo.jpg --depth f32 -o edges.npy",
    ],
)

convolve = _command(
    "convolve",
    "Convolve with a kernel: it is turned by 180 degrees first, as equation 8 does.",
    OWN["convolve"],
    [
        "cnnfilter convolve --kernel sharpen photo.jpg -o sharp.jpg",
        "cnnfilter convolve --kernel '0 0 0; 0 0 1; 0 0 0' photo.png -o moved.png",
    ],
)

correlate = _command(
    "correlate",
    "Correlate with a kernel: it lies on the image as it is written (equation 13).",
    OWN["correlate"],
    [
        "cnnfilter correlate --kernel sobel-x photo.jpg -o edges.png --range abs",
        "cnnfilter correlate --kernel '1 2 1 / 4' photo.png -o soft.png",
    ],
)

pool = _command(
    "pool",
    "Take the maximum or the mean of each window; the image shrinks by --stride.",
    OWN["pool"],
    ["cnnfilter pool max photo.png -o small.png", "cnnfilter pool mean --size 4 photo.jpg -o quarter.jpg"],
)

learned = _command(
    "learned",
    "Apply a file of 'cnnfilter learn', a kernel, or a bank of kernels.",
    [
        *OWN["learned"],
        click.Option(
            ["--maps"],
            type=click.Path(),
            metavar="FILE.png|DIR/",
            help="Draw a bank's maps on a sheet, or write each.",
        ),
    ],
    [
        "cnnfilter learned --filter sharp.json photo.jpg -o sharp.jpg",
        "cnnfilter learned --filter bank.npy photo.jpg --maps sheet.png",
    ],
)
