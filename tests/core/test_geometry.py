"""Geometry: sizes, paddings, the inside and the parts of an axis, against counting one by one."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cnnfilter.core.geometry import LARGEST, PADDING_NAMES, Axis, make_geometry, number_pair
from cnnfilter.errors import DtypeError, ParameterError

SMALL = st.integers(1, 6)
axes = st.builds(
    Axis, st.integers(1, 20), SMALL, SMALL, st.integers(1, 3), st.integers(0, 8), st.integers(0, 8)
)


def taps(axis, output):
    """Return the places that one output reads, the first pixel being 0."""
    first = output * axis.stride - axis.before
    return [first + tap * axis.dilation for tap in range(axis.kernel)]


def count(axis):
    """Walk over the padded axis until the kernel no longer fits."""
    outputs = 0
    while taps(axis, outputs)[-1] < axis.length + axis.after:
        outputs += 1
    return outputs


@given(axes)
def test_output_is_counted_right(axis):
    assert max(axis.output, 0) == count(axis)


@given(axes)
def test_inside_are_the_outputs_that_read_the_image_alone(axis):
    assume(axis.output >= 1)
    inside = [
        output
        for output in range(axis.output)
        if taps(axis, output)[0] >= 0 and taps(axis, output)[-1] < axis.length
    ]
    assert inside == list(range(*axis.interior))
    first, last = axis.interior
    assert 0 <= first <= last <= axis.output


@given(axes, st.integers(0, 30), st.integers(1, 30))
def test_a_part_reads_the_same_pixels(axis, first, more):
    assume(axis.output >= 1)
    first = first % axis.output
    last = min(first + more, axis.output)
    part, start, stop = axis.part(first, last)
    assert 0 <= start < stop <= axis.length
    assert part.output == last - first
    for output in range(part.output):
        here = [place + start for place in taps(part, output) if 0 <= place < part.length]
        there = [place for place in taps(axis, first + output) if start <= place < stop]
        assert here == there
        assert all(start <= place < stop for place in taps(axis, first + output) if 0 <= place < axis.length)


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 3), SMALL)
def test_named_paddings_are_those_of_the_notes(length, kernel, dilation, stride):
    reach = (kernel - 1) * dilation + 1
    assume(reach <= length)
    geometry = {
        name: make_geometry((length, 1), (kernel, 1), stride, name, dilation) for name in PADDING_NAMES
    }
    assert geometry["narrow"].rows.output == (length - reach) // stride + 1
    assert geometry["wide"].rows.output == (length + reach - 2) // stride + 1
    assert geometry["same"].rows.output == -(-length // stride)
    same = geometry["same"].padding[0]
    assert sum(same) == reach - 1 and same[1] - same[0] in (0, 1)
    for alias, name in (("valid", "narrow"), ("full", "wide"), ("equal", "same")):
        assert geometry[alias] == geometry[name]


@pytest.mark.parametrize(
    ("padding", "wanted"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 3), ((1, 1), (3, 3))),
        ([1, 3], ((1, 1), (3, 3))),
        (((0, 1), (2, 3)), ((0, 1), (2, 3))),
        ([[0, 1], [2, 3]], ((0, 1), (2, 3))),
        (((0, 1), 2), ((0, 1), (2, 2))),
    ],
)
def test_explicit_paddings(padding, wanted):
    geometry = make_geometry((9, 9), (3, 3), padding=padding)
    assert geometry.padding == wanted
    assert geometry.output_shape == tuple(7 + sum(side) for side in wanted)


def test_the_numbers_of_the_notes():
    """AlexNet's first layer, and GoogLeNet's, which takes the floor."""
    assert make_geometry((227, 227), (11, 11), 4, "narrow").output_shape == (55, 55)
    assert make_geometry((224, 224), (11, 11), 4, 2).output_shape == (55, 55)
    assert make_geometry((224, 224), (7, 7), 2, 3).output_shape == (112, 112)
    assert make_geometry((112, 112), (3, 3), 2, 0).output_shape == (55, 55)
    assert make_geometry((32, 32), (5, 5), padding="narrow").output_shape == (28, 28)


def test_an_even_kernel_is_padded_as_the_picture_shows():
    rows = make_geometry((5, 5), (4, 4)).rows
    letters = {place: letter for place, letter in enumerate("abcde")}
    drawn = [
        "".join(letters.get(place, ".") for place in taps(rows, output)) for output in range(rows.output)
    ]
    assert drawn == [".abc", "abcd", "bcde", "cde.", "de.."]


def test_an_empty_output_names_the_numbers():
    with pytest.raises(
        ParameterError, match=r"empty: 7 kernel columns with dilation 2 reach over 13.*1 \+ 5 \+ 2 = 8"
    ):
        make_geometry((20, 5), (3, 7), padding=((0, 0), (1, 2)), dilation=(1, 2))


@pytest.mark.parametrize("value", [0, -1, (1, 0), (2, -3), LARGEST + 1, 10**30])
def test_strides_out_of_range(value):
    for name in ("stride", "dilation"):
        with pytest.raises(ParameterError) as caught:
            make_geometry((9, 9), (3, 3), **{name: value})
        assert name in str(caught.value) and repr(value) in str(caught.value)


def test_numbers_fit_32_bits():
    """Loops count in 64 bits; two such numbers multiplied still do."""
    assert number_pair("stride", 2**31 - 1, 1) == (2**31 - 1, 2**31 - 1)
    with pytest.raises(ParameterError, match="give 1 to 2147483647"):
        number_pair("stride", (1, 2**31), 1)


@pytest.mark.parametrize("value", [1.0, "1", None, True, (1, 2.5), float("nan")])
def test_what_is_no_integer(value):
    with pytest.raises(DtypeError) as caught:
        number_pair("stride", value, 1)
    assert repr(value) in str(caught.value) and "integer" in str(caught.value)


@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3)])
def test_what_is_no_pair(value):
    with pytest.raises(ParameterError, match="pair"):
        number_pair("stride", value, 1)


@pytest.mark.parametrize(
    "value",
    ["none", "SAME", "", -1, (1, -1), ((0, 1), (2, -1)), ((0, 1), (2, 3), (4, 5)), ((1, 2, 3), (1, 1))],
)
def test_bad_paddings(value):
    with pytest.raises(ParameterError) as caught:
        make_geometry((9, 9), (3, 3), padding=value)
    assert "padding" in str(caught.value)
