"""Bad input: an exception of the right type, whose message holds the value and what would be accepted."""

import warnings

import numpy as np
import pytest

import cnnfilter as cf
from cnnfilter import errors

IMAGE = np.zeros((8, 9), np.uint8)
READ_ONLY = np.broadcast_to(np.uint8(0), (8, 9))
BOX = np.ones((3, 3))

CASES = [
    # what is called, the builtin that is raised, what the message holds
    (lambda: cf.correlate(IMAGE.astype(complex), BOX), TypeError, ["complex128", "float64"]),
    (lambda: cf.correlate(IMAGE.astype(np.longdouble), BOX), TypeError, ["float", "float64"]),
    (lambda: cf.correlate(IMAGE.astype("M8[s]"), BOX), TypeError, ["datetime64", "float64"]),
    (lambda: cf.correlate(np.zeros((3, 3), "i4,f4"), BOX), TypeError, ["float64"]),
    (lambda: cf.correlate([[1j, 2]], BOX), TypeError, ["complex128", "float64"]),
    (lambda: cf.correlate([["1", "2"]], BOX), TypeError, ["str", "float64"]),
    (lambda: cf.correlate([[1, None]], BOX), TypeError, ["object", "float64"]),
    (lambda: cf.correlate([[1, 2], [3]], BOX), ValueError, ["rows differ"]),
    (lambda: cf.correlate([[2**53 + 1, 2]], BOX), ValueError, [str(2**53 + 1), "2**53"]),
    (lambda: cf.correlate([[1, 2**63 + 1]], BOX), ValueError, [str(2**63 + 1), "2**53"]),
    (lambda: cf.correlate([[1, -(10**30)]], BOX), ValueError, [str(-(10**30)), "2**53"]),
    (lambda: cf.correlate(np.array([[2**53 + 1, 2]]), BOX), ValueError, [str(2**53 + 1), "int64", "2**53"]),
    (lambda: cf.mean(np.array([[2**64 - 1]], np.uint64)), ValueError, [str(2**64 - 1), "uint64", "2**53"]),
    (lambda: cf.correlate("photo.png", BOX), TypeError, ["str", "uint8"]),
    (lambda: cf.correlate(None, BOX), TypeError, ["object"]),
    (lambda: cf.correlate(np.float32(3), BOX), ValueError, ["0", "(H, W, C)"]),
    (lambda: cf.correlate(np.zeros((2, 3, 4, 1), np.uint8), BOX), ValueError, ["(2, 3, 4, 1)", "(H, W)"]),
    (lambda: cf.correlate(np.zeros((0, 9), np.uint8), BOX), ValueError, ["(0, 9)", "1"]),
    (lambda: cf.correlate(np.zeros((4, 4, 0), np.uint8), BOX), ValueError, ["(4, 4, 0)", "1"]),
    (lambda: cf.correlate(IMAGE, []), ValueError, ["empty", "(1, 0)"]),
    (lambda: cf.correlate(IMAGE, [[1, 2], [3]]), ValueError, ["rows differ"]),
    (lambda: cf.correlate(IMAGE, [[1, np.nan]]), ValueError, ["nan", "row 1, column 2", "finite"]),
    (lambda: cf.correlate(IMAGE, [[1], [-np.inf]]), ValueError, ["-inf", "row 2, column 1"]),
    (lambda: cf.correlate(IMAGE, np.zeros((2, 2, 2))), ValueError, ["(2, 2, 2)", "1 or 2"]),
    (lambda: cf.correlate(IMAGE, 3.0), ValueError, ["()", "1 or 2"]),
    (lambda: cf.correlate(IMAGE, [["a"]]), TypeError, ["<U1", "floats"]),
    (lambda: cf.correlate(IMAGE, [[1j]]), TypeError, ["complex128"]),
    (lambda: cf.correlate(IMAGE, "sobel-x"), TypeError, ["sobel-x", "templates.named"]),
    (lambda: cf.correlate(IMAGE, None), TypeError, ["object"]),
    (lambda: cf.correlate(IMAGE, np.ones((9, 3)), padding="narrow"), ValueError, ["9", "8", "empty"]),
    (lambda: cf.correlate(IMAGE[0], BOX), ValueError, ["3x3", "1-D", "one row"]),
    (lambda: cf.correlate(IMAGE, BOX, stride=0), ValueError, ["stride 0", "1 to"]),
    (lambda: cf.correlate(IMAGE, BOX, stride=(1, -2)), ValueError, ["(1, -2)"]),
    (lambda: cf.correlate(IMAGE, BOX, stride=1.5), TypeError, ["1.5", "integer"]),
    (lambda: cf.correlate(IMAGE, BOX, stride=(1, 2, 3)), ValueError, ["(1, 2, 3)", "pair"]),
    (lambda: cf.correlate(IMAGE, BOX, dilation=0), ValueError, ["dilation 0"]),
    (lambda: cf.correlate(IMAGE, BOX, padding=-1), ValueError, ["padding -1"]),
    (lambda: cf.correlate(IMAGE, BOX, padding="some"), ValueError, ["'some'", "narrow", "wide", "same"]),
    (lambda: cf.correlate(IMAGE, BOX, padding=10**12), ValueError, [str(10**12)]),
    (lambda: cf.correlate(IMAGE, BOX, boundary="mirror"), ValueError, ["'mirror'", "reflect"]),
    (lambda: cf.correlate(IMAGE, BOX, boundary=("wrap", "mirror")), ValueError, ["'mirror'", "reflect"]),
    (lambda: cf.correlate(IMAGE, BOX, boundary=("wrap",) * 3), ValueError, ["3 names", "pair"]),
    (lambda: cf.correlate(IMAGE, BOX, boundary=("wrap", 3)), ValueError, ["3", "reflect"]),
    (lambda: cf.correlate(IMAGE, BOX, boundary="constant", constant=np.inf), ValueError, ["inf", "float64"]),
    (lambda: cf.correlate(IMAGE, BOX, boundary="constant", constant=10**400), ValueError, ["float64"]),
    (
        lambda: cf.correlate(IMAGE.astype("f4"), BOX, boundary="constant", constant=1e39),
        ValueError,
        ["1e+39", "float32"],
    ),
    (lambda: cf.correlate(IMAGE, BOX, out=[1]), TypeError, ["list", "float32", "(8, 9)"]),
    (lambda: cf.correlate(IMAGE, BOX, out=np.zeros((8, 9))), TypeError, ["float64", "float32"]),
    (lambda: cf.mean(IMAGE, out=np.zeros((9, 8), np.uint8)), ValueError, ["(9, 8)", "(8, 9)"]),
    (lambda: cf.mean(IMAGE, out=READ_ONLY), ValueError, ["read-only"]),
    (lambda: cf.mean(IMAGE, missing=IMAGE > 3, out=IMAGE.copy()), TypeError, ["masked"]),
    (lambda: cf.max_pool(IMAGE, out=IMAGE), ValueError, ["(8, 9)", "(4, 4)"]),
    (lambda: cf.correlate(IMAGE, BOX, boundary="constant", constant="7"), TypeError, ["'7'", "number"]),
    (lambda: cf.correlate(IMAGE, BOX, boundary="constant", constant=np.nan), ValueError, ["nan"]),
    (lambda: cf.correlate(IMAGE, BOX, dtype=complex), TypeError, ["complex128", "int16"]),
    (lambda: cf.correlate(IMAGE, BOX, dtype="nonsense"), TypeError, ["'nonsense'", "float32"]),
    (lambda: cf.correlate(IMAGE, BOX, accuracy="rough"), ValueError, ["'rough'", "exact"]),
    (lambda: cf.correlate(IMAGE, BOX, method="magic"), ValueError, ["'magic'", "separable"]),
    (lambda: cf.correlate(IMAGE, BOX, threads=0), ValueError, ["threads 0", "1 to"]),
    (lambda: cf.correlate(IMAGE, BOX, threads=2.0), TypeError, ["2.0"]),
    (lambda: cf.correlate(IMAGE, BOX, threads=10**6), ValueError, ["1000000"]),
    (lambda: cf.correlate(IMAGE, [[-1, 1, 5]], boundary="renormalize"), ValueError, ["renormalize"]),
    (lambda: cf.gaussian(IMAGE, 0, 4), ValueError, ["sigma 0", "size 4", "odd"]),
    (lambda: cf.gaussian(IMAGE, (0, 1), 3, template="integer"), ValueError, ["sigma 0", "size 3", "1"]),
    (lambda: cf.gaussian(IMAGE, -1.5), ValueError, ["sigma -1.5"]),
    (lambda: cf.gaussian(IMAGE, np.nan), ValueError, ["nan"]),
    (lambda: cf.gaussian(IMAGE, np.inf), ValueError, ["inf", "512"]),
    (lambda: cf.gaussian(IMAGE, 1e9), ValueError, ["1000000000.0", "512"]),
    (lambda: cf.gaussian(IMAGE, "2"), TypeError, ["'2'", "number"]),
    (lambda: cf.gaussian(IMAGE, (1, 2, 3)), ValueError, ["(1, 2, 3)"]),
    (lambda: cf.gaussian(IMAGE, 1, 0), ValueError, ["size 0"]),
    (lambda: cf.gaussian(IMAGE, 1, 10**9), ValueError, [str(10**9), "4097"]),
    (lambda: cf.gaussian(IMAGE, 1, 3.0), TypeError, ["3.0", "whole"]),
    (lambda: cf.gaussian(IMAGE, 1, template="round"), ValueError, ["'round'", "integer"]),
    (lambda: cf.gaussian(IMAGE[0], 1, template="round"), ValueError, ["'round'", "integer"]),
    (
        lambda: cf.gaussian(IMAGE, 0.2, 11, template="integer"),
        ValueError,
        ["0.2", "smallest sigma that fits"],
    ),
    (lambda: cf.gaussian(IMAGE, 1, 4, template="integer"), ValueError, ["4", "odd"]),
    (lambda: cf.mean(IMAGE, 0), ValueError, ["size 0"]),
    (lambda: cf.mean(IMAGE, (3, -1)), ValueError, ["-1"]),
    (lambda: cf.mean(IMAGE, (1, 2, 3)), ValueError, ["(1, 2, 3)"]),
    (lambda: cf.second_derivative(IMAGE, "z"), ValueError, ["'z'", "both"]),
    (lambda: cf.second_derivative(IMAGE[0], "y"), ValueError, ["'y'", "'x'"]),
    (lambda: cf.max_pool(IMAGE, 0), ValueError, ["size 0"]),
    (lambda: cf.max_pool(IMAGE, 2, 0), ValueError, ["stride 0"]),
    (lambda: cf.max_pool(IMAGE, 2, padding=2), ValueError, ["padding 2", "half"]),
    (lambda: cf.mean_pool(IMAGE, 20), ValueError, ["20", "empty"]),
    (lambda: cf.mean_pool(IMAGE.astype(complex)), TypeError, ["complex128"]),
    (lambda: cf.Kernel([[1]], divisor=0), ValueError, ["0"]),
    (lambda: cf.Kernel([[1]], divisor=np.nan), ValueError, ["nan"]),
    (lambda: cf.templates.named("nonsense"), ValueError, ["nonsense"]),
    (lambda: cf.templates.gaussian(3, 1, "exact"), ValueError, ["'exact'", "float"]),
    (lambda: cf.explain((3, 3, 3, 3), "uint8", BOX), ValueError, ["(3, 3, 3, 3)"]),
    (lambda: cf.explain((0, 3), "uint8", BOX), ValueError, ["0"]),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_bad_input(number):
    call, kind, holds = CASES[number]
    with warnings.catch_warnings(), pytest.raises(kind) as caught:
        warnings.simplefilter("error")
        call()
    assert isinstance(caught.value, errors.CnnFilterError)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    for part in holds:
        assert part in message, message


def test_absurd_sizes_take_no_memory():
    """A plan, or a refusal, comes before anything is allocated."""
    plan = cf.explain((10**6, 10**6), "uint8", BOX)
    assert plan.output_shape == (10**6, 10**6)
    with pytest.raises(errors.ParameterError):
        cf.templates.gaussian(10**12, 1)


def test_threads_from_the_environment(monkeypatch):
    for text in ("0", "-1", "two", "1.5", "99999"):
        monkeypatch.setenv("CNNFILTER_THREADS", text)
        with pytest.raises(errors.ParameterError, match=text):
            cf.correlate(IMAGE, BOX)
    monkeypatch.setenv("CNNFILTER_THREADS", "2")
    cf.correlate(IMAGE, BOX)


def test_every_error_is_also_the_builtin():
    assert issubclass(errors.ParameterError, (errors.CnnFilterError, ValueError))
    for kind, builtin in [
        (errors.ParameterError, ValueError),
        (errors.DtypeError, TypeError),
        (errors.ImageFileError, OSError),
        (errors.FilterFileError, OSError),
    ]:
        assert issubclass(kind, errors.CnnFilterError) and issubclass(kind, builtin)
