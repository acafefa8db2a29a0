"""A network of one convolution and one pooling, forward and backward, with every number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cnnfilter.errors import ParameterError
from cnnfilter.nn import functional
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.tables import Block, beside, block

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_VALUES = 1024
"""Values of the input: each is also changed a little, to see what becomes of the loss."""

STEP = 1e-6
"""What a value is changed by for a difference."""


class Layers(NamedTuple):
    """What is between the input and the loss.

    Attributes
    ----------
    kernels : float64 array of shape (1, D, U, V)
    bias : float
    activation : str
    pool : {"max", "mean"} or None
    size, stride : (rows, columns)
        Of the pooling.
    """

    kernels: Floats
    bias: float
    activation: str
    pool: Literal["max", "mean"] | None
    size: tuple[int, int]
    stride: tuple[int, int]


class Forward(NamedTuple):
    """The values of equations 33 to 37; `places` is where each maximum stood."""

    net: Floats
    active: Floats
    output: Floats
    places: NDArray[np.int32] | None


class Trace(NamedTuple):
    """All numbers of one run, forward and backward.

    Attributes
    ----------
    maps : float64 array of shape (1, D, H, W)
    layers : Layers
    forward : Forward
    given : bool
        Whether somebody gave the derivatives of the loss.
    delta : float64 array
        Of the output: the derivative of the loss, which is the sum of the outputs times these.
    up, slope, own : float64 array
        What pooling hands back; the derivative of the activation; their product, the convolution's delta.
    by_kernels, by_bias, by_maps
        The gradients.
    differences : (float64 array, float, float64 array)
        The same by a small change of each value.
    """

    maps: Floats
    layers: Layers
    forward: Forward
    given: bool
    delta: Floats
    up: Floats
    slope: Floats
    own: Floats
    by_kernels: Floats
    by_bias: float
    by_maps: Floats
    differences: tuple[Floats, float, Floats]


def trace(
    maps: Sequence[Floats],
    kernels: Sequence[Floats],
    *,
    bias: float = 0.0,
    activation: str = "relu",
    pool: Literal["max", "mean"] | None = None,
    size: tuple[int, int] = (2, 2),
    stride: tuple[int, int] | None = None,
    delta: Floats | None = None,
) -> Trace:
    """Run a convolution of all maps into one, its activation and a pooling, and the gradients back.

    Parameters
    ----------
    maps, kernels : sequence of float64 arrays
        A kernel for each map of the input.
    bias : float, default 0
    activation : str, default "relu"
    pool : {"max", "mean"}, optional
    size, stride : (rows, columns)
        Of the pooling; windows lie side by side unless a stride is given.
    delta : float64 array, optional
        The derivative of the loss by the outputs, default ones.

    Raises
    ------
    ParameterError
        Sizes do not fit, or the input has more than 1024 values.
    """
    if len(maps) != len(kernels):
        raise ParameterError(f"maps: {len(maps)}, kernels: {len(kernels)}; each map needs a kernel")
    x, w = (_stack(arrays, what) for arrays, what in ((maps, "maps"), (kernels, "kernels")))
    if x.size > MOST_VALUES:
        raise ParameterError(f"{x.size} values are too many to look at; give at most {MOST_VALUES}")
    layers = Layers(w, bias, activation, pool, size, size if stride is None else stride)
    forward = _forward(x, layers)
    given = np.ones(forward.output.shape) if delta is None else np.atleast_2d(delta)[None, None]
    if given.shape != forward.output.shape:
        found, needed = ("x".join(map(str, array.shape[2:])) for array in (given, forward.output))
        raise ParameterError(f"delta is of {found}; the output is of {needed}")
    active = functional.activation(activation)
    up = _unpooled(given, forward, layers)
    slope = active.backward(forward.active, np.ones(forward.active.shape))
    own = slope * up
    return Trace(
        x, layers, forward, delta is not None, given, up, slope, own,
        functional.convolution_weights_gradient(x, own, (w.shape[2], w.shape[3])),
        float(functional.convolution_bias_gradient(own)[0]),
        functional.convolution_input_gradient(own, w, x.shape),
        _differences(x, layers, given),
    )  # fmt: skip


def record(found: Trace) -> dict[str, Any]:
    """Return a trace as plain values for JSON: lists of maps, each a list of rows.

    Examples
    --------
    >>> found = record(trace([np.array([[1.0, 2, 3]])], [np.array([[1.0, -1]])]))
    >>> found["net"], found["by_kernels"]
    ([[-1.0, -1.0]], [[[0.0, 0.0]]])
    """
    layers, forward = found.layers, found.forward
    kernels, bias, maps = found.differences
    return {
        "maps": found.maps[0].tolist(),
        "kernels": layers.kernels[0].tolist(),
        "bias": layers.bias,
        "activation": layers.activation,
        "pool": layers.pool and {"kind": layers.pool, "size": layers.size, "stride": layers.stride},
        "net": forward.net[0, 0].tolist(),
        "active": forward.active[0, 0].tolist(),
        "output": forward.output[0, 0].tolist(),
        "delta_output": found.delta[0, 0].tolist(),
        "by_active": found.up[0, 0].tolist(),
        "slope": found.slope[0, 0].tolist(),
        "delta": found.own[0, 0].tolist(),
        "by_kernels": found.by_kernels[0].tolist(),
        "by_bias": found.by_bias,
        "by_maps": found.by_maps[0].tolist(),
        "by_differences": {"kernels": kernels[0].tolist(), "bias": bias, "maps": maps[0].tolist()},
    }


def tell(found: Trace, color: bool = False) -> str:
    """Write a trace as tables, each under its name and the number of its equation in the notes."""
    layers, forward = found.layers, found.forward
    several = found.maps.shape[1] > 1

    def named(letter: str, number: int) -> str:
        return f"{letter}{number + 1}" if several else letter

    one_each = range(found.maps.shape[1])
    sums = " + ".join(f"{named('W', d)} ⊗ {named('X', d)}" for d in one_each)
    parts = [
        *(
            beside([_table(f"{named('X', d)}, input", found.maps[0, d], color), "   ",
                    _table(f"{named('W', d)}, kernel", layers.kernels[0, d], color)], color)
            for d in one_each
        ),
        f"b, bias  {shown(layers.bias)}",
        _alone(f"Z = {sums} + b  (33)", forward.net, color),
        _alone(f"Y = {layers.activation}(Z)  (34)", forward.active, color),
    ]  # fmt: skip
    if layers.pool:
        number = 36 if layers.pool == "max" else 37
        parts.append(_alone(f"{layers.pool} of each window of Y  ({number})", forward.output, color))
    source = "given" if found.given else "1 each: L is the sum of the outputs"
    parts.append(_alone(f"∂L/∂output, {source}", found.delta, color))
    if layers.pool:
        parts.append(_alone(f"∂L/∂Y = up(δ), back through the {layers.pool}  (48)", found.up, color))
    parts.append(
        beside([_table("f'(Z)", found.slope[0, 0], color), "   ",
                _table("δ = f'(Z) ⊙ ∂L/∂Y  (44, 49)", found.own[0, 0], color)], color)
    )  # fmt: skip
    kernels, bias, maps = found.differences
    for d in one_each:
        title = f"∂L/∂{named('W', d)} = δ ⊗ {named('X', d)}  (27, 41)"
        parts.append(_compared(title, found.by_kernels[0, d], kernels[0, d], color))
    parts.append(f"∂L/∂b = sum of δ  (42)  {shown(found.by_bias)}; by differences {shown(bias)}")
    for d in one_each:
        title = f"∂L/∂{named('X', d)} = rot180({named('W', d)}) ⊗~ δ  (31, 46)"
        parts.append(_compared(title, found.by_maps[0, d], maps[0, d], color))
    pairs = ((found.by_kernels, kernels), (np.array(found.by_bias), bias), (found.by_maps, maps))
    if not all(np.allclose(one, other, rtol=1e-4, atol=1e-5) for one, other in pairs):
        parts.append("The two differ where a maximum is shared or a Z is 0: the loss has a kink there.")
    return "\n\n".join(parts)


def _forward(x: Floats, layers: Layers) -> Forward:
    net = functional.convolution(x, layers.kernels, np.array([layers.bias]))
    active = functional.activation(layers.activation).forward(net)
    if layers.pool == "max":
        output, places = functional.max_pooling(active, layers.size, stride=layers.stride)
        return Forward(net, active, output, places)
    if layers.pool == "mean":
        return Forward(net, active, functional.mean_pooling(active, layers.size, stride=layers.stride), None)
    return Forward(net, active, active, None)


def _unpooled(delta: Floats, forward: Forward, layers: Layers) -> Floats:
    shape = forward.active.shape
    if layers.pool == "max":
        assert forward.places is not None, "a maximum has places"
        return functional.max_pooling_backward(
            delta, forward.places, shape, layers.size, stride=layers.stride
        )
    if layers.pool == "mean":
        return functional.mean_pooling_backward(delta, shape, layers.size, stride=layers.stride)
    return delta


def _differences(x: Floats, layers: Layers, delta: Floats) -> tuple[Floats, float, Floats]:
    """Differentiate the loss by each kernel's weight, the bias and each input, by changing them a little."""

    def loss(maps: Floats, changed: Layers) -> float:
        return float((delta * _forward(maps, changed).output).sum())

    def differentiated(values: Floats, with_values: Callable[[Floats], float]) -> Floats:
        found = np.empty(values.shape)
        for place in np.ndindex(*values.shape):
            step = np.zeros(values.shape)
            step[place] = STEP
            found[place] = (with_values(values + step) - with_values(values - step)) / (2 * STEP)
        return found.round(6) + 0.0

    return (
        differentiated(layers.kernels, lambda kernels: loss(x, layers._replace(kernels=kernels))),
        float(differentiated(np.array(layers.bias), lambda bias: loss(x, layers._replace(bias=float(bias))))),
        differentiated(x, lambda maps: loss(maps, layers)),
    )


def _stack(arrays: Sequence[Floats], what: str) -> Floats:
    planes = [np.atleast_2d(np.asarray(array, np.float64)) for array in arrays]
    if not planes or len({plane.shape for plane in planes}) > 1:
        sizes = ", ".join("x".join(map(str, plane.shape)) for plane in planes) or "no size"
        raise ParameterError(f"{what} of {sizes}; all need one size")
    return np.stack(planes)[None]


def _table(title: str, values: Floats, color: bool) -> Block:
    return block(title, [[shown(float(value)) for value in row] for row in values], color=color)


def _alone(title: str, values: Floats, color: bool) -> str:
    return beside([_table(title, values[0, 0], color)], color)


def _compared(title: str, values: Floats, other: Floats, color: bool) -> str:
    return beside([_table(title, values, color), "   ", _table("by differences", other, color)], color)
