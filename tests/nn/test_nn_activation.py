"""Activations: known values, derivatives by finite differences, tails without overflow."""

import numpy as np
import pytest

from cnnfilter.errors import ParameterError
from cnnfilter.nn import functional


@pytest.mark.parametrize("name", functional.ACTIVATIONS)
def test_backward_is_the_derivative(name):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, 5, 3, 4)) * 2
    delta, direction = rng.standard_normal((2, *z.shape))
    f = functional.activation(name)
    slope = np.vdot(delta, f.forward(z + 1e-6 * direction) - f.forward(z - 1e-6 * direction)) / 2e-6
    gradient = f.backward(f.forward(z), delta)
    assert np.vdot(gradient, direction) == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("name", functional.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tails_are_finite_and_dtype_is_kept(name, dtype):
    z = np.array([[-1e4, -90, -1, 0, 1, 90, 1e4]], dtype)
    f = functional.activation(name)
    y = f.forward(z)
    gradient = f.backward(y, np.ones_like(z))
    assert y.dtype == gradient.dtype == dtype
    assert np.isfinite(y).all() and np.isfinite(gradient).all()


def test_values():
    z = np.array([-2.0, 0.0, 2.0])
    assert functional.relu(z).tolist() == [0, 0, 2]
    assert functional.leaky_relu(z).tolist() == [-0.02, 0, 2]
    assert functional.sigmoid(np.array([-700.0]))[0] == pytest.approx(np.exp(-700.0))
    assert functional.scaled_tanh(np.array([1.0, -1.0])) == pytest.approx([1, -1], abs=1e-4)  # LeCun 1998
    assert functional.softmax(np.array([[1e4, 1e4, -1e4]])).tolist() == [[0.5, 0.5, 0]]
    np.testing.assert_allclose(np.exp(functional.log_softmax(z[None])), functional.softmax(z[None]))


def test_unknown_name():
    with pytest.raises(ParameterError, match="activation is 'swish': choose one of identity, relu"):
        functional.activation("swish")
