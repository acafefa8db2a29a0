"""``cnnfilter net features`` and ``cnnfilter net kernels``: a look into a network."""

from typing import TYPE_CHECKING, Any

import click

from cnnfilter.cli.group import CONTEXT, Examples
from cnnfilter.cli.net.weights import (
    LAYER,
    MAP,
    NETWORK,
    SET,
    WEIGHTS,
    load_layers,
    read_image,
)
from cnnfilter.cli.types import OneOf
from cnnfilter.errors import ParameterError

if TYPE_CHECKING:
    from cnnfilter.nn.functional.windows import Array

_LUMA = (0.299, 0.587, 0.114)  # how a network of grey images sees a colour one


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net features --weights lenet5.safetensors digit.png -o maps.png",
        "cnnfilter net features --weights F.safetensors --layer c3 D.png -o m.npy",
    ],
)
@click.argument("image")
@WEIGHTS
@NETWORK
@SET
@MAP
@LAYER
@click.option("-o", "--output", metavar="FILE", required=True, help="A sheet .png, .svg, .pdf; or .npy.")
def features(
    image: str, weights: str, network: str | None, options: dict[str, Any], layers: dict[str, str],
    layer: str | None, output: str,
) -> None:  # fmt: skip
    """Draw what a layer makes of an image, before the activation that follows."""
    from cnnfilter.nn.data import prepare

    _require_form(output, ".npy")
    loaded, layer = load_layers(weights, network, options, layers, layer)
    x = prepare(read_image(image), loaded.shape, loaded.preprocessing)[None]
    maps = loaded.outputs(x, [layer])[layer][0]
    if output.endswith(".npy"):
        _write_array(maps, output)
        return
    from cnnfilter.drawing.networks import draw_sheet, draw_values

    title = f"{loaded.name} {layer}, {'x'.join(map(str, maps.shape))}: {image}"
    if maps.size == len(maps):
        draw_values(maps, title, output)
    else:
        draw_sheet(maps, title, output)


@click.command(
    cls=Examples,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net kernels --weights lenet5.safetensors -o kernels.png",
        "cnnfilter net kernels --weights resnet18.safetensors -o bank.npy",
    ],
)
@WEIGHTS
@NETWORK
@SET
@MAP
@LAYER
@click.option(
    "-o", "--output", metavar="FILE", required=True,
    help="A sheet .png, .svg, .pdf; or a bank .npy, .safetensors for 'cnnfilter learned'.",
)  # fmt: skip
@click.option(
    "--for", "pictures", type=OneOf(["grey", "colour"]), metavar="grey|colour",
    help="What the bank is to filter. [what the network reads]",
)  # fmt: skip
def kernels(
    weights: str, network: str | None, options: dict[str, Any], layers: dict[str, str], layer: str | None,
    output: str, pictures: str | None,
) -> None:  # fmt: skip
    """Draw the kernels of a layer, or write them as a bank of filters.

    A bank in .npy has the axes rows, columns, inputs, outputs; one in .safetensors is a learned filter,
    its weights (outputs, inputs, rows, columns) named layers.0.weight.
    """
    _require_form(output, ".npy", ".safetensors")
    loaded, layer = load_layers(weights, network, options, layers, layer)
    found = loaded.layer(layer)
    bank = found.parameters.get("weight")
    if bank is None or bank.ndim != 4:
        raise ParameterError(f"layer {layer!r} has no kernels: it is no convolution")
    if pictures:
        bank = _with_inputs(bank, 3 if pictures == "colour" else 1)
    if output.endswith(".npy"):
        _write_array(bank.transpose(2, 3, 1, 0), output)
    elif output.endswith(".safetensors"):
        from cnnfilter.learning.convolutionlayer import ConvolutionLayer
        from cnnfilter.learning.learnedfilter import LearnedFilter

        groups = getattr(found, "groups", 1)
        notes = {"network": loaded.name, "layer": layer}
        LearnedFilter((ConvolutionLayer(bank, groups=groups),), notes=notes).save(output)
    else:
        from cnnfilter.drawing.networks import draw_kernels

        draw_kernels(bank, f"{loaded.name} {layer}", output)


def _with_inputs(bank: "Array", count: int) -> "Array":
    """Change a bank for grey images to one for colours that sees their luma, or one for colours to grey."""
    import numpy as np

    if bank.shape[1] == count:
        return bank
    if bank.shape[1] == 1:
        return np.asarray(bank * np.array(_LUMA, bank.dtype)[:, None, None])
    if bank.shape[1] == 3:  # grey is three equal colours
        return np.asarray(bank.sum(axis=1, keepdims=True))
    raise ParameterError(f"kernels of {bank.shape[1]} inputs see no picture; --for is for the first layer")


def _require_form(output: str, *others: str) -> None:
    """See that what will be made can be written or drawn, before the work."""
    from cnnfilter.drawing.figure import SUFFIXES, require_matplotlib

    if not output.endswith((*SUFFIXES, *others)):
        raise ParameterError(f"{output}: write {', '.join((*SUFFIXES, *others))}")
    if not output.endswith(others):
        require_matplotlib()


def _write_array(array: "Array", output: str) -> None:
    import numpy as np

    from cnnfilter.wholefile import whole_file

    with whole_file(output) as file:
        np.save(file, np.ascontiguousarray(array))
