"""LeNet-5: 1998, and as it is built today."""

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.nn.layers import (
    Activation,
    Convolution,
    Dense,
    RadialOutput,
    lecun_uniform,
    xavier_uniform,
)
from cnnfilter.nn.layers_pooling import MaxPooling, TrainablePooling
from cnnfilter.nn.models.digits import codes
from cnnfilter.nn.network import Network, Preprocessing, relu

# Figure 11: which maps of S2 (rows 0 to 5) each map of C3 (columns 0 to 15) sees.
_TABLE = """
    X...XXX..XXXX.XX
    XX...XXX..XXXX.X
    XXX...XXX..X.XXX
    .XXX..XXXX..X.XX
    ..XXX..XXXX.XX.X
    ...XXX..XXXX.XXX
"""
CONNECTION_TABLE = np.array([[c == "X" for c in row] for row in _TABLE.split()]).T

# White is -0.1 and black 1.175, so that the mean is about 0 and the variance about 1: ink is 1 here.
_INK = Preprocessing(32, 32, (0.1 / 1.275,), (1 / 1.275,))


def lenet5(classes: int = 10, activation: str = "scaled_tanh", output: str = "rbf") -> Network:
    """LeNet-5 of 1998: 60,000 parameters, 340,908 connections.

    Parameters
    ----------
    classes : int, default 10
    activation : {"scaled_tanh", "sigmoid"}
        1.7159 tanh(2x/3) of the paper, or the sigmoid of the notes.
    output : {"rbf", "softmax"}
        Distances to fixed 7 x 12 pictures of the classes, or a dense layer.
    """
    if output not in ("rbf", "softmax"):
        raise ParameterError(f"output is {output!r}: choose rbf or softmax")
    # A sigmoid passes a quarter of the slope at best: begun as in 1998 it does not learn.
    begin = lecun_uniform if activation != "sigmoid" else xavier_uniform
    radial = output == "rbf"
    return Network("lenet5", (1, 32, 32), [
        Convolution("c1", 6, 5, begin=begin),
        Activation(activation),
        TrainablePooling("s2", 2),
        Activation(activation),
        Convolution("c3", 16, 5, table=CONNECTION_TABLE, begin=begin),
        Activation(activation),
        TrainablePooling("s4", 2),
        Activation(activation),
        Convolution("c5", 120, 5, begin=begin),
        Activation(activation),
        Dense("f6", 84, begin=begin),
        Activation(activation),
        RadialOutput("output", codes(classes)) if radial else Dense("output", classes, begin=begin),
    ], preprocessing=_INK, loss="radial" if radial else "cross_entropy")  # fmt: skip


def lenet5_modern(classes: int = 10) -> Network:
    """LeNet-5 as it is built today: ReLU, maximum pooling, every map sees all, 61,706 parameters."""
    return Network("lenet5-modern", (1, 32, 32), [
        Convolution("c1", 6, 5), relu(),
        MaxPooling(2, name="s2"),
        Convolution("c3", 16, 5), relu(),
        MaxPooling(2, name="s4"),
        Convolution("c5", 120, 5), relu(),
        Dense("f6", 84), relu(),
        Dense("output", classes),
    ], preprocessing=_INK)  # fmt: skip
