"""Optimisers: from gradients to changed parameters, in place, with a state that can be saved."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnfilter.errors import ParameterError

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]


def half_cosine(angle: float) -> float:
    """Return what is left of a learning rate that falls from 1 at 0 to 0 at pi, slowly at both ends.

    Examples
    --------
    >>> half_cosine(0), round(half_cosine(math.pi / 2), 9), half_cosine(math.pi)
    (1.0, 0.5, 0.0)
    """
    return (1 + math.cos(angle)) / 2


class SGD:
    """Stochastic gradient descent with momentum: ``v = momentum * v - rate * g``, ``w = w + v``.

    Parameters
    ----------
    rate : float, default 0.01
        Learning rate; may be changed between steps.
    momentum : float, default 0
    decay : float, default 0
        Weight decay: ``rate * decay * w`` is taken off at each step.

    Examples
    --------
    >>> w = {"w": np.array([1.0])}
    >>> SGD(rate=0.5).step(w, {"w": np.array([0.2])})
    >>> w["w"].tolist()
    [0.9]
    """

    def __init__(self, rate: float = 0.01, momentum: float = 0.0, decay: float = 0.0) -> None:
        self.rate, self.momentum, self.decay = _rate(rate), _share("momentum", momentum), decay
        self._speed: dict[str, Array] = {}

    def step(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Change `parameters` in place by `gradients` of the same names and shapes."""
        for name, gradient in gradients.items():
            parameter = parameters[name]
            speed = self._speed.setdefault(name, np.zeros_like(parameter))
            speed *= self.momentum
            speed -= self.rate * gradient
            if self.decay:
                parameter *= 1 - self.rate * self.decay
            parameter += speed

    def state(self) -> dict[str, Array]:
        """Return what a later run needs to go on as if it had not been interrupted."""
        return {f"speed.{name}": speed.copy() for name, speed in self._speed.items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take up a state of `state`."""
        self._speed = {name.removeprefix("speed."): speed.copy() for name, speed in state.items()}


class Adam:
    """Adam: steps scaled by running means of the gradient and of its square.

    Parameters
    ----------
    rate : float, default 0.001
        Learning rate; may be changed between steps.
    beta1, beta2 : float, default 0.9 and 0.999
    epsilon : float, default 1e-8
    decay : float, default 0
        Decoupled weight decay: ``rate * decay * w`` is taken off at each step.

    References
    ----------
    Kingma, Ba: Adam: a method for stochastic optimization, arXiv 1412.6980, algorithm 1.

    Examples
    --------
    >>> w = {"w": np.array([1.0])}
    >>> Adam(rate=0.1).step(w, {"w": np.array([5.0])})
    >>> w["w"].round(6).tolist()
    [0.9]
    """

    def __init__(
        self,
        rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        decay: float = 0.0,
    ) -> None:
        self.rate, self.epsilon, self.decay = _rate(rate), epsilon, decay
        self.beta1, self.beta2 = _share("beta1", beta1), _share("beta2", beta2)
        self._steps = 0
        self._means: dict[str, Array] = {}
        self._squares: dict[str, Array] = {}

    def step(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Change `parameters` in place by `gradients` of the same names and shapes."""
        self._steps += 1
        rate = self.rate * np.sqrt(1 - self.beta2**self._steps) / (1 - self.beta1**self._steps)
        epsilon = self.epsilon * np.sqrt(1 - self.beta2**self._steps)
        for name, gradient in gradients.items():
            parameter = parameters[name]
            mean = self._means.setdefault(name, np.zeros_like(parameter))
            square = self._squares.setdefault(name, np.zeros_like(parameter))
            mean += (1 - self.beta1) * (gradient - mean)
            square += (1 - self.beta2) * (gradient * gradient - square)
            if self.decay:
                parameter *= 1 - self.rate * self.decay
            parameter -= float(rate) * mean / (np.sqrt(square) + float(epsilon))

    def state(self) -> dict[str, Array]:
        """Return what a later run needs to go on as if it had not been interrupted."""
        state = {"steps": np.array(self._steps)}
        state |= {f"mean.{name}": mean.copy() for name, mean in self._means.items()}
        return state | {f"square.{name}": square.copy() for name, square in self._squares.items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take up a state of `state`."""
        self._steps = int(state["steps"])
        for kept, prefix in ((self._means, "mean."), (self._squares, "square.")):
            kept.clear()
            kept.update({n.removeprefix(prefix): a.copy() for n, a in state.items() if n.startswith(prefix)})


def _rate(value: float) -> float:
    if not 0 < value < np.inf:
        raise ParameterError(f"rate is {value!r}: give a positive number")
    return float(value)


def _share(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ParameterError(f"{name} is {value!r}: give a number from 0 to below 1")
    return float(value)
