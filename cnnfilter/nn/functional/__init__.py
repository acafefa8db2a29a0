"""Layers as pure functions: what goes forward, and the gradients that come back.

Batches are (N, D, H, W), float32 or float64; see `convolution` for why.
"""

from cnnfilter.nn.functional.activation import (
    ACTIVATIONS,
    Activation,
    activation,
    identity,
    identity_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    scaled_tanh,
    scaled_tanh_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from cnnfilter.nn.functional.convolution import (
    convolution,
    convolution_backward,
    convolution_bias_gradient,
    convolution_input_gradient,
    convolution_weights_gradient,
)
from cnnfilter.nn.functional.pooling import (
    max_pooling,
    max_pooling_backward,
    maxima,
    mean_pooling,
    mean_pooling_backward,
    trainable_pooling,
    trainable_pooling_backward,
)
from cnnfilter.nn.functional.softmaxes import (
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from cnnfilter.nn.functional.upsampling import (
    pixel_shuffle,
    pixel_unshuffle,
    transposed_convolution,
    transposed_convolution_backward,
)
from cnnfilter.nn.functional.windows import Windows

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Windows",
    "activation",
    "convolution",
    "convolution_backward",
    "convolution_bias_gradient",
    "convolution_input_gradient",
    "convolution_weights_gradient",
    "identity",
    "identity_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pooling",
    "max_pooling_backward",
    "maxima",
    "mean_pooling",
    "mean_pooling_backward",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "relu_backward",
    "scaled_tanh",
    "scaled_tanh_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
    "trainable_pooling",
    "trainable_pooling_backward",
    "transposed_convolution",
    "transposed_convolution_backward",
]
