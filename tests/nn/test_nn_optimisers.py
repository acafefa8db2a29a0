"""Optimisers: the published steps, convergence, and a state that goes on."""

import numpy as np
import pytest

from cnnfilter.errors import ParameterError
from cnnfilter.nn.optimisers import SGD, Adam


def test_adam_takes_the_published_steps():
    w, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    ours, adam = {"w": w.copy()}, Adam(rate=0.01)
    rng = np.random.default_rng(0)
    for t in range(1, 30):
        g = rng.standard_normal(2)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        adam.step(ours, {"w": g})
        np.testing.assert_allclose(ours["w"], w, rtol=1e-12)


def test_momentum_is_the_textbook_recursion():
    w, v = np.array([1.0]), np.zeros(1)
    ours, sgd = {"w": w.copy()}, SGD(rate=0.1, momentum=0.9)
    for _ in range(20):
        v = 0.9 * v - 0.1 * 2 * w
        w = w + v
        sgd.step(ours, {"w": 2 * ours["w"]})
        np.testing.assert_allclose(ours["w"], w)


@pytest.mark.parametrize("make", [lambda: SGD(0.1, 0.5, decay=0.01), lambda: Adam(0.1, decay=0.01)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_restored_state_goes_on_alike(make, dtype):
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal((10, 3)).astype(dtype)
    straight, broken = ({"w": np.ones(3, dtype)} for _ in range(2))
    one, two = make(), make()
    for k, g in enumerate(gradients):
        one.step(straight, {"w": g})
        if k == 5:
            state, two = two.state(), make()
            two.restore(state)
        two.step(broken, {"w": g})
    np.testing.assert_array_equal(straight["w"], broken["w"])
    assert straight["w"].dtype == dtype


@pytest.mark.parametrize("make", [SGD, Adam])
def test_decay_takes_its_share_of_the_rate_off(make):
    """Where nothing is to be learned, 1 - rate * decay of every weight is left."""
    weights = {"w": np.array([2.0, -4.0])}
    optimiser = make(rate=0.1, decay=0.5)
    for left in (0.95, 0.95**2):
        optimiser.step(weights, {"w": np.zeros(2)})
        np.testing.assert_allclose(weights["w"], [2 * left, -4 * left], rtol=1e-12)


def test_bad_rates():
    with pytest.raises(ParameterError, match="rate is 0"):
        Adam(rate=0)
    with pytest.raises(ParameterError, match=r"momentum is 1\.5"):
        SGD(momentum=1.5)
