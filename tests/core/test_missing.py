"""Missing values: no sum sees them, by a reference that does arithmetic with masks, and by Astropy."""

import naive
import numpy as np
import promise
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnfilter as cf
from cnnfilter.core.missing import parse_missing

BOUNDARIES = ("zero", "constant", "edge", "reflect", "symmetric", "wrap", "renormalize")
TYPES = (
    "uint8",
    "uint16",
    "int16",
    "float32",
    "float64",
    "int8",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
)


def beside(array, axis, sides, boundary, outside):
    return np.moveaxis(naive.padded(np.moveaxis(array, axis, 0), *sides, boundary, outside), 0, axis)


def reference(image, where, weights, stride, padding, boundaries, constant, dilation, fill):
    """Return sums over the pixels that are there, rescaled, and where results are missing, tap by tap."""
    values = np.where(where, 0.0, image.astype(np.float64))
    there = (~where).astype(np.float64)
    for axis in (1, 0) if boundaries[0] == "renormalize" else (0, 1):
        name = boundaries[axis]
        flat = "constant" if name in ("zero", "constant", "renormalize") else name
        values = beside(values, axis, padding[axis], flat, constant if name == "constant" else 0.0)
        there = beside(there, axis, padding[axis], flat, float(name != "renormalize"))
    # Where a mirrored pixel stands beside a column that is not there, it is not there either.
    values[there == 0] = 0
    rows, columns = (
        (size - (taps - 1) * apart - 1) // step + 1
        for size, taps, apart, step in zip(values.shape, weights.shape, dilation, stride, strict=False)
    )
    out, norm, hit = (np.zeros((rows, columns, *image.shape[2:])) for _ in range(3))
    for (u, v), weight in np.ndenumerate(weights):
        if weight:
            taps = tuple(
                slice(start * apart, start * apart + (count - 1) * step + 1, step)
                for start, apart, count, step in zip((u, v), dilation, (rows, columns), stride, strict=True)
            )
            out += weight * values[taps]
            norm += weight * there[taps]
            hit += there[taps] == 0
    negative = weights.min() < 0
    missing = hit > 0 if negative else (norm == 0) & (hit > 0)
    for i, j in np.ndindex(rows, columns):
        centre = [
            place * step - sides[0] + ((taps - 1) * apart) // 2
            for place, step, sides, taps, apart in zip(
                (i, j), stride, padding, weights.shape, dilation, strict=True
            )
        ]
        if not fill and all(0 <= at < size for at, size in zip(centre, image.shape[:2], strict=False)):
            missing[i, j] |= where[tuple(centre)]
    if negative:
        return out, missing
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm == 0, 0, out / norm * weights.sum()), missing


@st.composite
def cases(draw):
    """An image with holes, a kernel and a geometry."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 14)), *draw(st.sampled_from([(), (1,), (3,)])))
    limits = (-100, 100) if dtype.kind != "u" else (0, 100)
    image = generator.integers(*limits, shape).astype(dtype)
    if dtype.kind == "f":
        image = (image * generator.uniform(0.5, 1.5, shape)).astype(dtype)
    where = generator.random(shape[: draw(st.sampled_from([2, len(shape)]))]) < draw(
        st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0])
    )
    taps = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    form = draw(st.sampled_from(["mean", "signed", "whole", "box", "holes"]))
    if form in ("mean", "signed"):
        weights = promise.random_weights(generator, taps, form)
    else:
        weights = {"box": np.ones(taps), "whole": generator.integers(1, 5, taps) + 0.0}.get(
            form, generator.integers(0, 2, taps) + 0.0
        )
    geometry = {
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "dilation": draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        "padding": tuple(draw(st.tuples(st.integers(0, 5), st.integers(0, 5))) for _ in range(2)),
        "boundary": draw(st.tuples(st.sampled_from(BOUNDARIES), st.sampled_from(BOUNDARIES))),
        "constant": draw(st.sampled_from([0, 7, -3.5])),
    }
    return image, where, weights, geometry, draw(st.booleans())


@given(cases())
@settings(deadline=None, max_examples=400)
def test_by_the_definition(case):
    image, where, weights, geometry, fill = case
    full = np.broadcast_to(where.reshape(where.shape + (1,) * (image.ndim - where.ndim)), image.shape)
    sides = geometry["padding"]
    reach = [(k - 1) * apart + 1 for k, apart in zip(weights.shape, geometry["dilation"], strict=True)]
    fits = all(size + sum(pad) >= r for size, pad, r in zip(image.shape, sides, reach, strict=False))
    call = {**geometry, "missing": where, "fill": fill, "dtype": "float64"}
    if not fits:
        with pytest.raises(cf.CnnFilterError, match="empty"):
            cf.correlate(image, weights, **call)
        return
    negative = weights.min() < 0
    if "renormalize" in geometry["boundary"] and (negative or not weights.all()):
        return  # what is divided by may be 0, which is an error of its own
    wanted, missing = reference(
        image, full, weights, geometry["stride"], sides, geometry["boundary"], geometry["constant"],
        geometry["dilation"], fill,
    )  # fmt: skip
    try:
        found = cf.correlate(image, weights, **call)
    except cf.CnnFilterError as error:
        assert "renormalize" in str(error)  # a result that sees nothing but what is beside the image
        return
    assert isinstance(found, np.ma.MaskedArray) and found.shape == wanted.shape
    np.testing.assert_array_equal(np.ma.getmaskarray(found), missing)
    scale = np.abs(weights).sum() * 150
    np.testing.assert_allclose(found.data[~missing], wanted[~missing], rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_types(dtype, channels):
    """A number marks the missing pixels of every type, and integers are rounded sums."""
    generator = np.random.default_rng(5)
    image = generator.integers(1, 100, (23, 31, *channels)).astype(dtype)
    where = generator.random(image.shape) < 0.2
    image[where] = 127 if dtype != "uint8" else 0
    value = image[where][0].item()
    # Eight weights of 1 / 8: the reference has exact ties, too.
    weights, sides = np.full((2, 4), 0.125), ((0, 1), (1, 2))
    wanted, missing = reference(image, where, weights, (1, 1), sides, ("reflect",) * 2, 0, (1, 1), False)
    found = cf.mean(image, (2, 4), missing=value)
    assert found.dtype == dtype and type(found) is np.ndarray
    np.testing.assert_array_equal(found == value, missing)
    tolerance = {"f": 1e-3 if dtype == "float16" else 1e-6}.get(np.dtype(dtype).kind, 0.5 / 100)
    np.testing.assert_allclose(found[~missing], wanted[~missing], rtol=tolerance, atol=0.51)
    if np.dtype(dtype).kind != "f":
        np.testing.assert_array_equal(found[~missing], np.rint(wanted[~missing]))


@pytest.mark.parametrize("value", [-3.4e38, -9999.0, np.nan, np.inf, -np.inf, 3.4028235e38])
@pytest.mark.parametrize(
    "smooth",
    [
        lambda image, **more: cf.mean(image, 5, **more),
        lambda image, **more: cf.gaussian(image, 1.5, **more),
        lambda image, **more: cf.gaussian(image, 12, **more),
        lambda image, **more: cf.second_derivative(image, **more),
        lambda image, **more: cf.correlate(image, np.arange(121.0).reshape(11, 11), **more),
    ],
)
def test_sums_never_see_the_value(value, smooth):
    """The same pixels with another value where they are missing give the same bits everywhere else."""
    image = (np.random.default_rng(1).standard_normal((70, 83)) * 100 + 60).astype(np.float32)
    where = np.zeros(image.shape, bool)
    where[:6, :9] = where[40, 50] = True
    plain, marked = np.where(where, np.float32(0), image), np.where(where, np.float32(value), image)
    found, wanted = smooth(marked, missing=value), smooth(plain, missing=where)
    np.testing.assert_array_equal(found[~wanted.mask], wanted.data[~wanted.mask])
    assert (wanted.mask[where]).all() and not wanted.mask.all()
    np.testing.assert_array_equal(found[wanted.mask], np.float32(value))


def test_results_far_from_what_is_missing_keep_their_bits():
    image = (np.random.default_rng(1).standard_normal((60, 70)) * 100).astype(np.float32)
    for smooth in (
        lambda x, **more: cf.gaussian(x, 2, **more),
        lambda x, **more: cf.mean(x, 17, **more),
    ):
        plain = smooth(image)
        np.testing.assert_array_equal(smooth(image, missing="nan"), plain)
        holed = image.copy()
        holed[30, 35] = np.nan
        found = smooth(holed, missing="nan", fill=True)
        near = np.zeros(image.shape, bool)
        near[22:39, 27:44] = True
        np.testing.assert_array_equal(found[~near], plain[~near])
        assert np.isfinite(found).all() and found[30, 35] != plain[30, 35]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", "int32"])
def test_a_constant_image_with_holes_stays_constant(dtype):
    where = np.random.default_rng(3).random((40, 50)) < 0.4
    image = np.full(where.shape, 57, dtype)
    image[where] = 0
    for result in (cf.gaussian(image, 2, missing=where), cf.mean(image, 7, missing=0, fill=True)):
        assert (result == 57).all()


def test_few_digits_left_under_a_tail_are_good_digits():
    """Where only the last of 17 weights sees a pixel, the result is that pixel and not rounding."""
    signal = np.full(40, np.nan, np.float32)
    signal[0], signal[20] = 1e6, 3.25
    found = cf.gaussian(signal, 2, missing="nan", fill=True)
    assert found[28] == 3.25 and np.isnan(found[29]) and found[8] == np.float32(1e6)


def test_transforms_do_not_decide_what_is_left():
    """A dense kernel goes by them, and their rounding is larger than the one weight that sees a pixel."""
    weights = np.random.default_rng(2).uniform(0.5, 1, (61, 61))
    weights[0] *= 1e-14
    assert cf.explain((300, 300), "float32", weights).method == "fft"
    image = np.full((300, 300), np.nan, np.float32)
    image[0] = 7
    found = cf.correlate(image, weights / weights.sum(), missing="nan", fill=True, boundary="reflect")
    np.testing.assert_allclose(found[:31], 7, rtol=1e-6)
    assert np.isnan(found[31:]).all()


def test_an_infinity_is_no_nan():
    found = cf.mean([1, np.inf, 3, 4, np.nan, 6], 3, missing="nan", boundary="edge")
    np.testing.assert_array_equal(found, [np.inf, np.inf, np.inf, 3.5, np.nan, 6])


def test_differences_with_one_side_missing_are_missing():
    signal = np.array([1, 2, 4, -1, 16, 32, 64], np.int16)
    found = cf.correlate(signal, [-1, 0, 1], missing=-1, boundary="edge")
    assert found.tolist() == [1, 3, -1, -1, -1, 48, 32]
    # The middle one does not read the missing pixel itself; it is missing because it was.
    filled = cf.correlate(signal, [-1, 0, 1], missing=-1, boundary="edge", fill=True)
    assert filled.tolist() == [1, 3, -1, 12, -1, 48, 32]


def test_what_stands_beside_the_image():
    """Zeros and constants are there, what is mirrored is as its pixel is, `renormalize` has nothing there."""
    signal = np.array([np.nan, 6, 6])
    wanted = {"zero": [3, 6, 4], "constant": [7.5, 6, 7], "edge": [6, 6, 6], "reflect": [6, 6, 6],
              "symmetric": [6, 6, 6], "wrap": [6, 6, 6], "renormalize": [6, 6, 6]}  # fmt: skip
    for boundary, values in wanted.items():
        found = cf.mean(signal, 3, boundary=boundary, constant=9, missing="nan", fill=True)
        np.testing.assert_allclose(found, values)
    assert np.isnan(cf.mean([np.nan, np.nan, 1], 3, boundary="renormalize", missing="nan", fill=True)[0])


def test_infinities_that_are_there_spread_as_far_as_the_kernel():
    image = np.ones((20, 20), np.float32)
    image[3, 3], image[3, 4], image[12, 12] = np.nan, np.inf, -9999
    found = cf.gaussian(image, 1, 5, missing=-9999, fill=True)
    assert np.isnan(found[1:6, 1:6]).all() and np.isinf(found[1:6, 6]).all() and (found[8:] == 1).all()


def test_masked_arrays():
    image = np.ma.masked_greater(np.arange(30, dtype=np.uint8).reshape(5, 6), 25)
    found = cf.mean(image, 3)
    assert isinstance(found, np.ma.MaskedArray) and found.dtype == np.uint8
    np.testing.assert_array_equal(found.mask, image.mask)
    assert not cf.mean(image, 3, fill=True).mask.any()
    # What a mask hides is hidden, whatever else is missing.
    assert cf.mean(image, 3, missing=3).mask.sum() == image.mask.sum() + 1
    whole = np.ma.MaskedArray(np.arange(5.0))
    assert isinstance(cf.mean(whole), np.ma.MaskedArray)


def test_integers_beyond_sums_may_be_missing():
    image = np.array([[1, 2, -(2**63)]], np.int64)
    assert cf.mean(image, 3, missing=-(2**63)).tolist() == [[2, 2, -(2**63)]]
    with pytest.raises(ValueError, match=r"-9223372036854775808.*2\*\*53"):
        cf.mean(image, 3)


BAD = [
    (lambda x: cf.mean(x, missing="nan"), ValueError, "nan is not a value of uint8.*image.*floats"),
    (lambda x: cf.mean(x, missing=np.nan), ValueError, "nan is not a value of uint8"),
    (lambda x: cf.mean(x, missing=-1), ValueError, "-1 is not a value of uint8"),
    (lambda x: cf.mean(x, missing=0.5), ValueError, "0.5 is not a value of uint8"),
    (lambda x: cf.mean(x.astype(bool), missing=2), ValueError, "2 is not a value of bool"),
    (lambda x: cf.mean(x.astype("f4"), missing=1e39), ValueError, r"1e\+39 is not a value of float32"),
    (lambda x: cf.mean(x.astype("f4"), missing="nan", dtype="uint8"), ValueError, "nan .*uint8.*result"),
    (lambda x: cf.mean(x.astype("i2"), missing=-9, dtype="uint8"), ValueError, "-9 .*uint8.*result"),
    (lambda x: cf.mean(x, missing="none"), ValueError, "'none' is unknown"),
    (lambda x: cf.mean(x, missing=np.zeros((3, 5), bool)), ValueError, r"\(3, 5\).*\(4, 5\)"),
    (lambda x: cf.mean(x, missing=np.zeros((4, 5, 1), bool)), ValueError, r"\(4, 5, 1\).*\(4, 5\)"),
    (lambda x: cf.mean(x, missing=np.zeros((4, 5))), TypeError, "boolean array"),
    (lambda x: cf.mean(x, missing=True), TypeError, "True"),
    (lambda x: cf.mean(x, missing=1j), TypeError, "1j"),
    (lambda x: cf.mean(x, missing=[[True], [True, False]]), TypeError, "one shape"),
    (lambda x: cf.mean(x, missing=object()), TypeError, "object"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_input(number):
    call, kind, message = BAD[number]
    with pytest.raises(kind, match=message) as caught:
        call(np.arange(20, dtype=np.uint8).reshape(4, 5))
    assert isinstance(caught.value, cf.CnnFilterError)


@pytest.mark.parametrize(
    ("boundary", "theirs"),
    [("zero", {"boundary": "fill"}), ("wrap", {"boundary": "wrap"}), ("edge", {"boundary": "extend"}),
     ("renormalize", {"boundary": "fill", "fill_value": np.nan})],
)  # fmt: skip
@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.filterwarnings("ignore:nan_treatment='interpolate', however")
def test_astropy(boundary, theirs, fill, normalize):
    convolve = pytest.importorskip("astropy.convolution").convolve
    generator = np.random.default_rng(7)
    image = generator.standard_normal((40, 37))
    image[generator.random(image.shape) < 0.3] = np.nan
    image[5:20, 6:22] = np.nan
    kernel = cf.Kernel(generator.random((5, 7)))
    wanted = convolve(
        image, kernel.array, nan_treatment="interpolate", normalize_kernel=normalize, preserve_nan=not fill,
        **theirs,
    )  # fmt: skip
    ours = kernel.normalized() if normalize else kernel
    found = cf.convolve(image, ours, boundary=boundary, missing="nan", fill=fill)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


def test_what_a_command_line_calls_missing():
    assert parse_missing(" None") is None and parse_missing("NaN") == "nan"
    for text, value in {
        "-9999": -9999,
        "1e3": 1000.0,
        "-9223372036854775808": -(2**63),
        "inf": np.inf,
    }.items():
        assert parse_missing(text) == value and type(parse_missing(text)) is type(value)
    for text in ("", "nil", "1,5", "0x10"):
        with pytest.raises(ValueError, match="none, nan or a number"):
            parse_missing(text)
