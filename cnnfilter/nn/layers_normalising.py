"""Layers that even out the size of values: local response and batch normalisation."""

from typing import Any

import numpy as np

from cnnfilter.nn.functional.arrays import require_count
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.layers import Layer, Shape, require_maps


class LocalResponse(Layer):
    """Divide each value by what its neighbours in depth hold: ``b = a / (k + alpha * sum a²)^beta``.

    Parameters
    ----------
    size : int, default 5
        Number of maps in the sum: ``size // 2`` before and ``(size - 1) // 2`` after, as PyTorch has it
        (ONNX takes the longer side of an even size after).
    alpha : float, default 1e-4
        As the AlexNet paper means it. Caffe, PyTorch and ONNX divide theirs by `size`: set
        `alpha_over_size` for such a value, or give alpha / size here.
    beta : float, default 0.75
    k : float, default 2
    alpha_over_size : bool, default False
    """

    kind = "local response"

    def __init__(
        self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0,
        alpha_over_size: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.beta, self.k = require_count(size, "local response size"), beta, k
        self.alpha = alpha / size if alpha_over_size else alpha
        self._kept: Any = None

    def forward(self, x: Array, train: bool = False) -> Array:
        """Apply the formula above."""
        scale = _neighbours(x * x, self.size // 2, (self.size - 1) // 2)
        scale *= self.alpha
        scale += self.k
        # s^0.75 by two square roots: a tenth of the time of a power
        power = np.sqrt(scale * np.sqrt(scale)) if self.beta == 0.75 else scale**self.beta
        y = x / power
        self._kept = (x, scale, power) if train else None
        return np.asarray(y)

    def backward(self, delta: Array) -> Array:
        """Return delta / s^beta - 2 alpha beta a * sum of (delta a / s^(beta+1)) over the neighbours."""
        x, scale, power = self._kept
        self._kept = None
        direct = delta / power
        # the sums that a value is part of are those of the neighbours on the other side
        through = _neighbours(direct * x / scale, (self.size - 1) // 2, self.size // 2)
        return np.asarray(direct - 2 * self.alpha * self.beta * x * through)


def _neighbours(values: Array, before: int, after: int) -> Array:
    """Sum each value and so many before and after it in depth."""
    total = values.copy()
    for shift in range(1, min(max(before, after) + 1, values.shape[1])):
        if shift <= before:
            total[:, shift:] += values[:, :-shift]
        if shift <= after:
            total[:, :-shift] += values[:, shift:]
    return total


class BatchNorm(Layer):
    """Bring each map to mean 0 and variance 1 over the batch, then scale and shift it.

    While training by the batch's own mean and variance, afterwards by their running means. As in PyTorch a
    batch is evened out by its biased variance (the sum of squares over n), and the unbiased one (over n - 1)
    goes into the running mean. ONNX in training mode keeps the biased one there, n = N H W values a map; its
    momentum is the share of the old, 1 minus the one here. Prediction from what was kept is the same.

    Parameters
    ----------
    name : str
    epsilon : float, default 1e-5
    momentum : float, default 0.1
        Share of the batch in the running means.
    """

    kind = "batch norm"

    def __init__(self, name: str, *, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(name)
        self.epsilon, self.momentum = epsilon, momentum
        self._kept: Any = None

    def output_shape(self, shape: Shape) -> Shape:
        """Return the input's, which must have rows and columns."""
        return require_maps(self.kind, shape)

    def shapes(self) -> dict[str, Shape]:
        """Weight, bias, running mean and variance, each (D,)."""
        return {n: self.input[:1] for n in ("weight", "bias", "running_mean", "running_var")}

    def start(self, random: np.random.Generator, dtype: Any) -> None:
        """Begin as the identity of values with mean 0 and variance 1."""
        maps = self.input[0]
        self.parameters = {"weight": np.ones(maps, dtype), "bias": np.zeros(maps, dtype)}
        self.buffers = {"running_mean": np.zeros(maps, dtype), "running_var": np.ones(maps, dtype)}

    def forward(self, x: Array, train: bool = False) -> Array:
        """Scale and shift."""
        if not train:
            scale, shift = self.line()
            return np.asarray(x * scale[:, None, None] + shift[:, None, None])
        mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
        count = x.size // x.shape[1]
        unbiased = variance * (count / max(1, count - 1))
        for name, value in (("running_mean", mean), ("running_var", unbiased)):
            self.buffers[name] += self.momentum * (value - self.buffers[name])
        inverse = 1 / np.sqrt(variance + self.epsilon)
        even = (x - mean[:, None, None]) * inverse[:, None, None].astype(x.dtype)
        self._kept = even, inverse
        weight, bias = (self.parameters[n][:, None, None] for n in ("weight", "bias"))
        return np.asarray(weight * even + bias)

    def backward(self, delta: Array) -> Array:
        """Go back through mean and variance as well."""
        even, inverse = self._kept
        self._kept = None
        dw, db = (delta * even).sum(axis=(0, 2, 3)), delta.sum(axis=(0, 2, 3))
        self.gradients = {"weight": dw, "bias": db}
        count = delta.size // delta.shape[1]
        scale = (self.parameters["weight"] * inverse).astype(delta.dtype)[:, None, None]
        even *= (dw / count)[:, None, None]
        return np.asarray(scale * (delta - (db / count)[:, None, None] - even))

    def line(self) -> tuple[Array, Array]:
        """Scale and shift of each map after training: what can be folded into a convolution."""
        variance = self.buffers["running_var"].astype(np.float64)
        scale = self.parameters["weight"] / np.sqrt(variance + self.epsilon)
        shift = self.parameters["bias"] - self.buffers["running_mean"] * scale
        dtype = self.parameters["weight"].dtype
        return scale.astype(dtype), shift.astype(dtype)
