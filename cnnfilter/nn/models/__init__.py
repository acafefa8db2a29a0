"""The classic networks, each a short description; `MODELS` lists them."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from cnnfilter.errors import ParameterError
from cnnfilter.nn.models.alexnet import alexnet, alexnet_torchvision
from cnnfilter.nn.models.googlenet import googlenet, googlenet_torchvision
from cnnfilter.nn.models.highway import highway, highway_convolutional
from cnnfilter.nn.models.lenet import lenet5, lenet5_modern
from cnnfilter.nn.models.resnet import resnet18, resnet20, resnet34, resnet50
from cnnfilter.nn.network import Network

MODELS: dict[str, Callable[..., Network]] = {
    "lenet5": lenet5,
    "lenet5-modern": lenet5_modern,
    "alexnet": alexnet,
    "alexnet-torchvision": alexnet_torchvision,
    "googlenet": googlenet,
    "googlenet-torchvision": googlenet_torchvision,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet20": resnet20,
    "highway": highway,
    "highway-convolutional": highway_convolutional,
}


def build(name: str, **options: Any) -> Network:
    """Describe a network by name; its tensors have no values yet.

    Parameters
    ----------
    name : str
        One of `MODELS`.
    **options
        Of the description, as ``classes=10``.

    Examples
    --------
    >>> build("lenet5", output="softmax").output
    (10,)
    """
    if name not in MODELS:
        near = get_close_matches(str(name).lower(), MODELS, n=1)
        meant = f"did you mean {near[0]!r}? There are" if near else "choose one of"
        raise ParameterError(f"no network {name!r}: {meant} {', '.join(MODELS)}")
    try:
        network = MODELS[name](**options)
    except TypeError as error:
        raise ParameterError(f"{name}: {str(error).partition('()')[2].strip() or error}") from None
    network.name, network.options = name, options
    return network
