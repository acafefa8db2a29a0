"""``cnnfilter net trace``: a convolution, its activation and a pooling, forward and backward, in numbers."""

import json
from typing import TYPE_CHECKING, Any

import click

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.main import shows_colours
from cnnfilter.cli.types import SIZE, STEP, KernelText, OneOf

if TYPE_CHECKING:
    from cnnfilter.kernels.kernel import Kernel

# functional.ACTIVATIONS that act on each value alone; a test compares them.
ACTIVATIONS = ("identity", "relu", "leaky_relu", "sigmoid", "tanh", "scaled_tanh")


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net trace --matrix '1 2 4; 4 5 6' --kernel '-1 1' --pool max",
        "cnnfilter net trace --matrix '1 2; 3 4' --kernel 2 --activation sigmoid",
    ],
)
@click.option(
    "--matrix", multiple=True, required=True, metavar="TEXT",
    help="A map of the input, '1 2; 3 4'; once for each map.",
)  # fmt: skip
@click.option(
    "--kernel", "kernels", type=KernelText(), multiple=True, required=True, metavar="K",
    help="Its kernel, as convolve takes it; once for each map.",
)  # fmt: skip
@click.option("--bias", type=float, default=0.0, metavar="X", help="[0]")
@click.option(
    "--activation", type=OneOf(ACTIVATIONS), default="relu", metavar="NAME",
    help=f"{', '.join(ACTIVATIONS)}. [relu]",
)  # fmt: skip
@click.option("--pool", type=OneOf(["max", "mean"]), metavar="max|mean", help="What follows. [nothing]")
@click.option("--size", type=SIZE, default="2", metavar="N|UxV", help="Windows of the pooling. [2]")
@click.option("--stride", type=STEP, metavar="N|NYxNX", help="From one window to the next. [their size]")
@click.option(
    "--delta", metavar="TEXT", help="Derivative of the loss by the outputs. [ones: it is their sum]"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with all digits.")
def trace(
    matrix: tuple[str, ...],
    *,
    kernels: "tuple[Kernel, ...]",
    bias: float,
    activation: str,
    pool: Any,
    size: Any,
    stride: Any,
    delta: str | None,
    as_json: bool,
) -> None:
    """Show a tiny network forward and backward, every number, as the notes derive it.

    All maps are correlated with their kernels and added up (equations 33, 34), then pooled (36, 37); deltas
    and gradients go back (27, 31, 41 to 49). Beside the gradients stands what a small change of each value
    makes of the loss.
    """
    from cnnfilter.seeing import trace as seen
    from cnnfilter.seeing.matrix import read_matrices

    found = seen.trace(
        read_matrices(matrix),
        [kernel.array for kernel in kernels],
        bias=bias,
        activation=activation,
        pool=pool,
        size=_pair(size),
        stride=None if stride is None else _pair(stride),
        delta=None if delta is None else read_matrices([delta], "delta")[0],
    )
    if as_json:
        click.echo(json.dumps(seen.record(found)))
        return
    click.echo(seen.tell(found, shows_colours()), color=True)


def _pair(numbers: int | tuple[int, int]) -> tuple[int, int]:
    return numbers if isinstance(numbers, tuple) else (numbers, numbers)
