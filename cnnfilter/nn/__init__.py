"""Layers, losses, optimisers and networks, forward and backward.

Batches are (N, D, H, W), float32 or float64. Everything here is loaded at its first use.

Networks
    build                     one of `MODELS` by its name: a `Network`
    Network, Preprocessing    layers with their tensors; what is done to an image first
    frozen                    a network for prediction: normalisation is put into the weights
    describe                  `describe.describe`: shapes, parameters and operations of each layer

Training
    fit                       `fit.fit` trains as `Settings` say: a `Training`, or a `DivergenceError`
    recipe                    the `Settings` that suit a model
    predict, confusion        scores of images; which class was taken for which
    Data, read_data           labelled images, from folders and IDX files
    LazyImages, read_images   images that are read when their batch comes
    cross_entropy, radial, squared_error    losses, each with its gradient
    SGD, Adam                 optimisers

Layers as objects
    Layer                     what all are: `forward`, `backward`, tensors, shapes
    Convolution, TransposedConvolution, Dense, RadialOutput
    Activation, Dropout, BatchNorm, LocalResponse
    MaxPooling, MeanPooling, AdaptiveMeanPooling, TrainablePooling
    PixelShuffle, PixelUnshuffle
    Sequence, Shortcut, Residual, Highway, Inception, Auxiliary

Modules
    functional                layers as pure functions, and their gradients
    models                    the classic networks, a description each
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnfilter._lazy import loaded_at_first_use

if TYPE_CHECKING:
    from cnnfilter.nn import describe, fit, functional, models
    from cnnfilter.nn.data import Data, read_data
    from cnnfilter.nn.fit import DivergenceError, Settings, Training, confusion, predict
    from cnnfilter.nn.layers import Activation, Convolution, Dense, Dropout, Layer, RadialOutput
    from cnnfilter.nn.layers_enlarging import PixelShuffle, PixelUnshuffle, TransposedConvolution
    from cnnfilter.nn.layers_joining import Auxiliary, Highway, Inception, Residual, Sequence, Shortcut
    from cnnfilter.nn.layers_normalising import BatchNorm, LocalResponse
    from cnnfilter.nn.layers_pooling import AdaptiveMeanPooling, MaxPooling, MeanPooling, TrainablePooling
    from cnnfilter.nn.lazyimages import LazyImages, read_images
    from cnnfilter.nn.losses import cross_entropy, radial, squared_error
    from cnnfilter.nn.models import MODELS, build
    from cnnfilter.nn.models.recipes import recipe
    from cnnfilter.nn.network import Network, Preprocessing, frozen
    from cnnfilter.nn.optimisers import SGD, Adam

__all__ = [
    "MODELS",
    "SGD",
    "Activation",
    "Adam",
    "AdaptiveMeanPooling",
    "Auxiliary",
    "BatchNorm",
    "Convolution",
    "Data",
    "Dense",
    "DivergenceError",
    "Dropout",
    "Highway",
    "Inception",
    "Layer",
    "LazyImages",
    "LocalResponse",
    "MaxPooling",
    "MeanPooling",
    "Network",
    "PixelShuffle",
    "PixelUnshuffle",
    "Preprocessing",
    "RadialOutput",
    "Residual",
    "Sequence",
    "Settings",
    "Shortcut",
    "TrainablePooling",
    "Training",
    "TransposedConvolution",
    "build",
    "confusion",
    "cross_entropy",
    "describe",
    "fit",
    "frozen",
    "functional",
    "models",
    "predict",
    "radial",
    "read_data",
    "read_images",
    "recipe",
    "squared_error",
]

_HOMES = {
    "Activation": "layers",
    "Adam": "optimisers",
    "AdaptiveMeanPooling": "layers_pooling",
    "Auxiliary": "layers_joining",
    "BatchNorm": "layers_normalising",
    "Convolution": "layers",
    "Data": "data",
    "Dense": "layers",
    "DivergenceError": "fit",
    "Dropout": "layers",
    "Highway": "layers_joining",
    "Inception": "layers_joining",
    "Layer": "layers",
    "LazyImages": "lazyimages",
    "LocalResponse": "layers_normalising",
    "MODELS": "models",
    "MaxPooling": "layers_pooling",
    "MeanPooling": "layers_pooling",
    "Network": "network",
    "PixelShuffle": "layers_enlarging",
    "PixelUnshuffle": "layers_enlarging",
    "Preprocessing": "network",
    "RadialOutput": "layers",
    "Residual": "layers_joining",
    "SGD": "optimisers",
    "Sequence": "layers_joining",
    "Settings": "fit",
    "Shortcut": "layers_joining",
    "TrainablePooling": "layers_pooling",
    "Training": "fit",
    "TransposedConvolution": "layers_enlarging",
    "build": "models",
    "confusion": "fit",
    "cross_entropy": "losses",
    "describe": "describe:",
    "fit": "fit:",
    "frozen": "network",
    "functional": "functional:",
    "models": "models:",
    "predict": "fit",
    "radial": "losses",
    "read_data": "data",
    "read_images": "lazyimages",
    "recipe": "models.recipes",
    "squared_error": "losses",
}

__getattr__ = loaded_at_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
