"""GoogLeNet: the paper of 2014, and torchvision's."""

from collections.abc import Callable

from cnnfilter.core.geometry import Number
from cnnfilter.nn.layers import Convolution, Dense, Dropout, Layer
from cnnfilter.nn.layers_joining import Auxiliary, Inception, Sequence
from cnnfilter.nn.layers_normalising import BatchNorm, LocalResponse
from cnnfilter.nn.layers_pooling import AdaptiveMeanPooling, MaxPooling, MeanPooling
from cnnfilter.nn.models.alexnet import imagenet
from cnnfilter.nn.network import Network, Preprocessing, relu

# Table 1 of the paper: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; after pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}

Unit = Callable[..., Sequence]


def _plain(name: str, maps: int, size: Number, stride: int = 1, padding: int = 0) -> Sequence:
    return Sequence("", [Convolution(name, maps, size, stride=stride, padding=padding), relu()])


def _normalised(name: str, maps: int, size: Number, stride: int = 1, padding: int = 0) -> Sequence:
    conv = Convolution("conv", maps, size, stride=stride, padding=padding, bias=False)
    return Sequence(name, [conv, BatchNorm("bn", epsilon=1e-3), relu()])


def _inception(which: str, unit: Unit, large: int) -> Inception:
    one, reduce3, three, reduce5, five, pooled = MODULES[which]
    return Inception(f"inception{which}", [
        Sequence("", [unit("branch1", one, 1)]),
        Sequence("branch2", [unit("0", reduce3, 1), unit("1", three, 3, padding=1)]),
        Sequence("branch3", [unit("0", reduce5, 1), unit("1", five, large, padding=large // 2)]),
        Sequence("branch4", [MaxPooling(3, 1, padding=1), unit("1", pooled, 1)]),
    ])  # fmt: skip


def _head(name: str, unit: Unit, pooling: Layer, classes: int) -> Auxiliary:
    return Auxiliary(name, [
        pooling, unit("conv", 128, 1), Dense("fc1", 1024), relu(), Dropout(0.7), Dense("fc2", classes),
    ])  # fmt: skip


def googlenet(classes: int = 1000, aux: bool = False) -> Network:
    """GoogLeNet of 2014: 6,998,552 parameters; with `aux` both heads for training, 13,378,280."""
    heads = {f"aux{i}": [_head(f"aux{i}", _plain, MeanPooling(5, 3), classes)] if aux else [] for i in (1, 2)}
    modules = {which: _inception(which, _plain, 5) for which in MODULES}
    return Network("googlenet", (3, 224, 224), [
        _plain("conv1", 64, 7, 2, 3), MaxPooling(3, 2, ceil=True), LocalResponse(),
        _plain("conv2", 64, 1), _plain("conv3", 192, 3, padding=1), LocalResponse(),
        MaxPooling(3, 2, ceil=True),
        modules["3a"], modules["3b"], MaxPooling(3, 2, ceil=True),
        modules["4a"], *heads["aux1"], modules["4b"], modules["4c"], modules["4d"], *heads["aux2"],
        modules["4e"], MaxPooling(3, 2, ceil=True),
        modules["5a"], modules["5b"],
        MeanPooling(7), Dropout(0.4), Dense("fc", classes),
    ], preprocessing=imagenet())  # fmt: skip


def googlenet_torchvision(classes: int = 1000, aux: bool = False, transform_input: bool = True) -> Network:
    """GoogLeNet of torchvision: batch normalisation, 3 x 3 where the paper has 5 x 5; 6,624,904 parameters.

    `transform_input` reads pixels from -1 to 1, as its public weights expect.
    """
    heads = {
        f"aux{i}": [_head(f"aux{i}", _normalised, AdaptiveMeanPooling(4), classes)] if aux else []
        for i in (1, 2)
    }
    modules = {which: _inception(which, _normalised, 3) for which in MODULES}
    halves = Preprocessing(256, 224, (0.5,) * 3, (0.5,) * 3)
    return Network("googlenet-torchvision", (3, 224, 224), [
        _normalised("conv1", 64, 7, 2, 3), MaxPooling(3, 2, ceil=True),
        _normalised("conv2", 64, 1), _normalised("conv3", 192, 3, padding=1), MaxPooling(3, 2, ceil=True),
        modules["3a"], modules["3b"], MaxPooling(3, 2, ceil=True),
        modules["4a"], *heads["aux1"], modules["4b"], modules["4c"], modules["4d"], *heads["aux2"],
        modules["4e"], MaxPooling(2, 2, ceil=True),
        modules["5a"], modules["5b"],
        AdaptiveMeanPooling(1), Dropout(0.2), Dense("fc", classes),
    ], preprocessing=halves if transform_input else imagenet())  # fmt: skip
