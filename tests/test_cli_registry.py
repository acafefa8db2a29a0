"""The table of filters says of the functions what is true."""

import inspect
from importlib import import_module

import click
import numpy as np
import pytest

from cnnfilter.cli.images import OWN, step
from cnnfilter.errors import ParameterError
from cnnfilter.filters.registry import FILTERS, Step


def function(name: str):
    module, attribute = FILTERS[name].function.split(":")
    return getattr(import_module(module), attribute)


@pytest.mark.parametrize("name", FILTERS)
def test_functions_take_what_the_table_says(name):
    parameters = inspect.signature(function(name)).parameters
    assert set(FILTERS[name].takes) <= set(parameters)
    assert {"dtype", "threads"} <= set(parameters)


@pytest.mark.parametrize("name", FILTERS)
def test_options_and_defaults_are_those_of_the_function(name):
    options = {option.name: option for option in OWN[name.split()[0]] if isinstance(option, click.Option)}
    reading = {options.pop(key) for key in ("tensor", "order") if key in options}
    assert not reading or name == "learned"  # they say how the filter's file is read
    assert set(options) <= set(FILTERS[name].takes)
    parameters = inspect.signature(function(name)).parameters
    for option in options.values():
        default = option.get_default(click.Context(click.Command("x")))
        if option.name == "boundary":
            assert default == "reflect"  # image commands have another default than correlate
        elif isinstance(default, str):
            assert option.type.convert(default, None, None) == parameters[option.name].default


@pytest.mark.parametrize("name", [name for name in FILTERS if FILTERS[name].gain is not None])
def test_gains(name):
    defaults = {"mean": {"size": 3}, "gaussian": {"sigma": 1.0}}.get(name, {})
    constant = np.full((12, 12), 7, np.float64)
    result = Step.of(name, **defaults).run(constant, np.float64)
    assert np.allclose(result, 7 * FILTERS[name].gain)


def test_gain_and_bounds_of_kernels():
    blur = step("correlate", {"kernel": kernel("1 2 1 / 4")})
    assert (blur.gain, blur.bounded) == (1, True)
    sharp = step("convolve", {"kernel": kernel("-1 3 -1")})
    assert (sharp.gain, sharp.bounded) == (1, False)
    assert not step("convolve", {"kernel": kernel("1 1")}).bounded
    assert not step("second-derivative", {"axis": "x"}).bounded


def kernel(text: str):
    from cnnfilter.kernels.kernelfile import parse

    return parse(text)


def test_the_kernel_of_a_step_is_what_it_computes():
    impulse = np.zeros((9, 9), np.float64)
    impulse[4, 4] = 1
    for made in (
        step("mean", {"size": (3, 5)}),
        step("gaussian", {"sigma": (0.5, 1.0), "size": 5, "template": "float"}),
        step("second-derivative", {"axis": "x"}),
        step("convolve", {"kernel": kernel("1 2 3; 4 5 6; 7 8 9")}),
        step("correlate", {"kernel": kernel("1 2 3; 4 5 6; 7 8 9")}),
    ):
        response = made.run(impulse, np.float64)
        turned = made.kernel().rotated().array
        rows, columns = turned.shape
        top, left = 4 - rows // 2, 4 - columns // 2
        assert np.allclose(response[top : top + rows, left : left + columns], turned, atol=1e-12)


def test_what_a_filter_does_not_take_is_refused():
    with pytest.raises(ParameterError, match="pool max takes no boundary"):
        Step.of("pool max", boundary="zero")
