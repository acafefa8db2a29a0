"""``cnnfilter net``: list, describe, train and run networks, and look into them."""

import click

from cnnfilter.cli.group import CONTEXT, LazyGroup


@click.group(
    cls=LazyGroup,
    context_settings=CONTEXT,
    examples=[
        "cnnfilter net describe lenet5",
        "cnnfilter net train lenet5 --data digits/ -o lenet5.safetensors",
    ],
    lazy={
        "list": ("cnnfilter.cli.net.describing:list_networks", "List the networks."),
        "describe": ("cnnfilter.cli.net.describing:describe", "Show layers, sizes, parameters and costs."),
        "evaluate": ("cnnfilter.cli.net.evaluating:evaluate", "Count what a network gets right."),
        "predict": ("cnnfilter.cli.net.predicting:predict", "Say what images show."),
        "features": ("cnnfilter.cli.net.looking:features", "Draw what a layer makes of an image."),
        "kernels": ("cnnfilter.cli.net.looking:kernels", "Draw or export the kernels of a layer."),
        "trace": ("cnnfilter.cli.net.tracing:trace", "Show a tiny network in numbers, forward and back."),
        "train": ("cnnfilter.cli.net.training:train", "Train a network on your images."),
    },
)
def net() -> None:
    """Train, run and look into networks."""
