"""Highway networks, dense and convolutional: gates that begin almost closed (C = 1 - T)."""

from cnnfilter.nn.layers import Activation, Convolution, Dense, xavier_uniform
from cnnfilter.nn.layers_joining import Highway
from cnnfilter.nn.layers_pooling import AdaptiveMeanPooling, MaxPooling
from cnnfilter.nn.network import Network, Preprocessing, relu

# Negative, so that at first a layer carries most of its input on.
GATE_BIAS = -2.0

# About the mean and the deviation of drawn digits: a dense network learns more from values around 0.
_DRAWN = Preprocessing(32, 32, (0.3,), (0.37,))


def highway(classes: int = 10, units: int = 50, layers: int = 10, gate_bias: float = GATE_BIAS) -> Network:
    """Highway network: a dense layer, gated layers of the same width, a dense layer."""
    return Network("highway", (1, 32, 32), [
        Dense("enter", units), relu(),
        *(_dense(f"highway{i + 1}", units, gate_bias) for i in range(layers)),
        Dense("output", classes),
    ], preprocessing=_DRAWN)  # fmt: skip


def highway_convolutional(classes: int = 10, depth: int = 1, gate_bias: float = GATE_BIAS) -> Network:
    """Highway network of convolutions: three times more maps, maximum pooling, two gated layers."""
    layers = []
    for i, maps in enumerate((16, 32, 64)):
        layers += [
            Convolution(f"conv{i + 1}", maps, 3, padding=1), relu(),
            MaxPooling(2),
            _convolutional(f"highway{i + 1}a", maps, gate_bias),
            _convolutional(f"highway{i + 1}b", maps, gate_bias),
        ]  # fmt: skip
    return Network(
        "highway-convolutional", (depth, 32, 32), [*layers, AdaptiveMeanPooling(1), Dense("output", classes)]
    )


def _dense(name: str, units: int, gate_bias: float) -> Highway:
    return Highway(
        name,
        [Dense("transform", units), relu()],
        [Dense("gate", units, begin=xavier_uniform, bias_at=gate_bias), Activation("sigmoid")],
    )


def _convolutional(name: str, maps: int, gate_bias: float) -> Highway:
    gate = Convolution("gate", maps, 3, padding=1, begin=xavier_uniform, bias_at=gate_bias)
    return Highway(
        name, [Convolution("transform", maps, 3, padding=1), relu()], [gate, Activation("sigmoid")]
    )
