"""The filters of the registry say of themselves what is true."""

import inspect

import click
import numpy as np
import pytest

from cnnfilter.cli.options import own
from cnnfilter.errors import ParameterError
from cnnfilter.filters.filter import Filter, KernelFilter
from cnnfilter.filters.pool import Pool
from cnnfilter.registry import FILTERS, filter_named


def kernel(text: str):
    from cnnfilter.kernels.kernelfile import parse

    return parse(text)


def made(name: str, **arguments) -> Filter:
    """A filter with the defaults of its command, and what it requires."""
    required = {"kernel": kernel("1 2 1 / 4"), "kind": "max"}
    filter = filter_named(name)
    for option in filter.options:
        if option.required and option.name not in arguments:
            arguments[option.name] = required[option.name]
    return filter(**arguments)


def functions(name: str) -> list:
    """The functions on arrays that a filter may call."""
    module = inspect.getmodule(filter_named(name))
    own = [value for value in vars(module).values() if inspect.isfunction(value)]
    found = [f for f in own if f.__module__ == module.__name__ and "image" in inspect.signature(f).parameters]
    if not found:
        from cnnfilter import correlate

        found = [correlate]
    return [f for f in found if not f.__name__.startswith("_")]


@pytest.mark.parametrize("name", FILTERS)
def test_its_name_is_that_of_the_registry(name):
    assert filter_named(name).name == name
    assert len(filter_named(name).examples) == 2


@pytest.mark.parametrize("name", FILTERS)
def test_functions_take_what_the_filter_hands_on(name):
    filter = filter_named(name)
    positional = {option.name for option in filter.options if option.positional or option.keyword}
    for function in functions(name):
        parameters = inspect.signature(function).parameters
        assert set(filter.takes()) - positional <= set(parameters)
        assert {"dtype", "threads"} <= set(parameters)


@pytest.mark.parametrize("name", FILTERS)
def test_options_and_defaults_are_those_of_the_function(name):
    filter = filter_named(name)
    taken = set(filter.takes())
    for function in functions(name):
        parameters = inspect.signature(function).parameters
        keywords = {option.name: option.keyword or option.name for option in filter.options}
        for option in own(filter.options):
            default = option.get_default(click.Context(click.Command("x")))
            if option.name == "boundary" and name == "learned":
                assert not isinstance(default, str)  # the file says it: see `Learned.read`
            elif option.name == "boundary":
                assert default == "reflect"  # image commands have another default than correlate
            elif option.name in taken and isinstance(default, str):
                assert option.type.convert(default, None, None) == parameters[keywords[option.name]].default


@pytest.mark.parametrize("name", [name for name in FILTERS if name != "learned"])
def test_gains(name):
    filter = made(name)
    constant = np.full((12, 12), 7, np.float64)
    inner = filter.run(constant, np.float64)[2:-2, 2:-2]
    assert np.allclose(inner, 7 * filter.gain)


@pytest.mark.parametrize("name", [name for name in FILTERS if name != "learned"])
def test_geometry_and_window_are_those_of_the_run(name):
    """What lies outside the window of a pixel changes nothing; the shape is what was said."""
    filter = made(name)
    image = np.random.default_rng(0).integers(0, 200, (41, 37)).astype(np.float64)
    result = filter.run(image, np.float64)
    assert result.shape[:2] == filter.shape(image.shape)[:2]
    geometry = filter.geometry(image.shape)
    _, start, stop = geometry.rows.part(5, 6)
    changed = image.copy()
    changed[:start] += 9
    changed[stop:] -= 9
    np.testing.assert_allclose(filter.run(changed, np.float64)[5], result[5], atol=1e-9)
    changed[start:stop] += np.arange(start, stop)[:, None] ** 2
    assert np.abs(filter.run(changed, np.float64)[5] - result[5]).max() > 0.1


def test_gain_and_bounds_of_kernels():
    blur = made("correlate", kernel=kernel("1 2 1 / 4"))
    assert (blur.gain, blur.bounded) == (1, True)
    sharp = made("convolve", kernel=kernel("-1 3 -1"))
    assert (sharp.gain, sharp.bounded) == (1, False)
    assert not made("convolve", kernel=kernel("1 1")).bounded
    assert not made("second-derivative", axis="x").bounded


def test_the_kernel_of_a_filter_is_what_it_computes():
    impulse = np.zeros((9, 9), np.float64)
    impulse[4, 4] = 1
    for filter in (
        made("mean", size=(3, 5)),
        made("gaussian", sigma=(0.5, 1.0), size=5, template="float"),
        made("second-derivative", axis="x"),
        made("convolve", kernel=kernel("1 2 3; 4 5 6; 7 8 9")),
        made("correlate", kernel=kernel("1 2 3; 4 5 6; 7 8 9")),
    ):
        assert isinstance(filter, KernelFilter)
        response = filter.run(impulse, np.float64)
        turned = filter.kernel().rotated().array
        rows, columns = turned.shape
        top, left = 4 - rows // 2, 4 - columns // 2
        assert np.allclose(response[top : top + rows, left : left + columns], turned, atol=1e-12)


def test_what_a_filter_does_not_take_is_refused():
    with pytest.raises(ParameterError, match="pool takes no boundary; it takes kind, size, stride, padding"):
        Pool(kind="max", boundary="zero")


def test_a_boundary_is_read_with_its_constant():
    filter = filter_named("mean").read({"size": 3, "boundary": ("constant", 7.0)})
    assert filter.arguments == {"size": 3, "boundary": "constant", "constant": 7.0}
