"""Residual networks: 18, 34 and 50 layers for photographs, 20 for small images."""

from collections.abc import Sequence as Several

from cnnfilter.errors import ParameterError
from cnnfilter.nn.layers import Convolution, Dense, Layer
from cnnfilter.nn.layers_joining import Residual, Sequence, Shortcut
from cnnfilter.nn.layers_normalising import BatchNorm
from cnnfilter.nn.layers_pooling import AdaptiveMeanPooling, MaxPooling
from cnnfilter.nn.models.alexnet import imagenet
from cnnfilter.nn.network import Network, relu


def resnet18(classes: int = 1000, shortcut: str = "B") -> Network:
    """ResNet-18: 11,689,512 parameters; with shortcut "A" (zeros, no weights) 11,515,688."""
    return _photographs("resnet18", (2, 2, 2, 2), False, classes, shortcut)


def resnet34(classes: int = 1000, shortcut: str = "B") -> Network:
    """ResNet-34: 21,797,672 parameters; with shortcut "A" 21,623,848."""
    return _photographs("resnet34", (3, 4, 6, 3), False, classes, shortcut)


def resnet50(classes: int = 1000, shortcut: str = "B") -> Network:
    """ResNet-50: bottlenecks, 25,557,032 parameters; the stride is on the 3 x 3, as in torchvision."""
    return _photographs("resnet50", (3, 4, 6, 3), True, classes, shortcut)


def resnet20(classes: int = 10, depth: int = 3, shortcut: str = "A") -> Network:
    """ResNet-20 for images of 32 x 32: 269,722 parameters."""
    return Network("resnet20", (depth, 32, 32), [
        Convolution("conv1", 16, 3, padding=1, bias=False), BatchNorm("bn1"), relu(),
        _stage("layer1", 16, 16, 3, 1, False, shortcut),
        _stage("layer2", 16, 32, 3, 2, False, shortcut),
        _stage("layer3", 32, 64, 3, 2, False, shortcut),
        AdaptiveMeanPooling(1), Dense("fc", classes),
    ])  # fmt: skip


def _photographs(name: str, blocks: Several[int], bottleneck: bool, classes: int, shortcut: str) -> Network:
    wider = 4 if bottleneck else 1
    stages, inputs = [], 64
    for i, (maps, count) in enumerate(zip((64, 128, 256, 512), blocks, strict=True)):
        stages.append(_stage(f"layer{i + 1}", inputs, maps, count, min(i + 1, 2), bottleneck, shortcut))
        inputs = maps * wider
    return Network(name, (3, 224, 224), [
        Convolution("conv1", 64, 7, stride=2, padding=3, bias=False), BatchNorm("bn1"), relu(),
        MaxPooling(3, 2, padding=1),
        *stages,
        AdaptiveMeanPooling(1), Dense("fc", classes),
    ], preprocessing=imagenet())  # fmt: skip


def _stage(
    name: str, inputs: int, maps: int, blocks: int, stride: int, bottleneck: bool, shortcut: str
) -> Sequence:
    """Blocks of which the first may make rows and columns fewer and maps more."""
    outputs = maps * (4 if bottleneck else 1)
    layers: list[Layer] = []
    for i in range(blocks):
        body = _bottleneck(maps, stride) if bottleneck else _basic(maps, stride)
        ways = _shortcut(shortcut, outputs, stride) if (inputs, stride) != (outputs, 1) else []
        layers += [Residual(str(i), body, ways), relu()]
        inputs, stride = outputs, 1
    return Sequence(name, layers)


def _basic(maps: int, stride: int) -> list[Layer]:
    return [
        Convolution("conv1", maps, 3, stride=stride, padding=1, bias=False), BatchNorm("bn1"), relu(),
        Convolution("conv2", maps, 3, padding=1, bias=False), BatchNorm("bn2"),
    ]  # fmt: skip


def _bottleneck(maps: int, stride: int) -> list[Layer]:
    return [
        Convolution("conv1", maps, 1, bias=False), BatchNorm("bn1"), relu(),
        Convolution("conv2", maps, 3, stride=stride, padding=1, bias=False), BatchNorm("bn2"), relu(),
        Convolution("conv3", 4 * maps, 1, bias=False), BatchNorm("bn3"),
    ]  # fmt: skip


def _shortcut(which: str, maps: int, stride: int) -> list[Layer]:
    if which == "A":
        return [Shortcut(maps, stride)]
    if which == "B":
        return [Convolution("downsample.0", maps, 1, stride=stride, bias=False), BatchNorm("downsample.1")]
    raise ParameterError(f"shortcut is {which!r}: choose A (zeros) or B (a projection)")
