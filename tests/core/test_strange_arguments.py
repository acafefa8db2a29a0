"""Arguments of every kind: a result, or an error that says what would be accepted; never a crash."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnfilter as cf

STRANGE = [
    None,
    True,
    0,
    1,
    -1,
    2,
    3,
    2**31,
    10**30,
    0.5,
    -0.0,
    np.nan,
    np.inf,
    1j,
    "",
    "nan",
    "same",
    "zero",
    "wrap",
    "renormalize",
    "constant",
    "int8",
    "float16",
    "complex64",
    "V8",
    b"x",
    (),
    (1,),
    (2, 1),
    (1, 2, 3),
    ("wrap", "zero"),
    ("renormalize", "wrap"),
    ((1, 0), (0, 2)),
    ((1, 0), (0, "a")),
    [[1]],
    {},
    {1: 2},
    object(),
    np.float32(2),
    np.int64(3),
    np.bool_(True),
    np.array(2),
    np.array([1, 2]),
    np.zeros((4, 5), bool),
    np.zeros((0, 3)),
    np.ones((4, 5)),
    len,
    np.ones((2, 2), "M8[s]"),
    np.array([None, 1]),
    np.ma.MaskedArray([[1.0, 2]], [[True, False]]),
    cf.Kernel([1, 2]),
]
"""Values of every kind, most of which most arguments refuse."""

IMAGES = [
    np.arange(20, dtype=np.uint8).reshape(4, 5),
    np.ones((4, 5, 3), np.float32),
    np.arange(7, dtype=np.int64),
    np.ma.masked_less(np.arange(20.0).reshape(4, 5), 5),
    np.broadcast_to(np.int8(3), (4, 5)),
    np.lib.stride_tricks.as_strided(np.arange(6.0), (4, 5), (0, 8)),
    np.frombuffer(bytes(61), "u1")[1:].view(">f4").reshape(3, 5),
    np.ones((4, 5), bool)[::-2, ::-1],
    np.full((3, 3), np.nan, np.float16),
    [[1, 2], [3, 4]],
]


@given(st.data())
@settings(deadline=None, max_examples=1500)
def test_no_argument_does_harm(data):
    """Whatever is given, there is a result or an error that says what would be accepted."""
    strange = st.sampled_from(range(len(STRANGE))).map(STRANGE.__getitem__)
    image = data.draw(
        st.sampled_from(range(2 * len(IMAGES))).map((IMAGES + STRANGE)[: 2 * len(IMAGES)].__getitem__)
    )
    name = data.draw(
        st.sampled_from(
            ["correlate", "convolve", "mean", "gaussian", "second_derivative", "max_pool", "mean_pool"]
        )
    )
    keywords = ["stride", "padding", "dtype", "missing", "threads", "out"]
    if "pool" not in name:
        keywords += ["boundary", "constant", "fill", "accuracy", "method"]
    given = {key: data.draw(strange) for key in data.draw(st.sets(st.sampled_from(keywords), max_size=3))}
    first = [np.ones((2, 3))] if name in ("correlate", "convolve") else []
    if data.draw(st.booleans()):
        first = [data.draw(strange)]
    try:
        result = getattr(cf, name)(image, *first, **given)
    except (cf.CnnFilterError, MemoryError) as error:
        assert len(str(error)) < 400 and "\n" not in str(error)
    else:
        assert isinstance(result, np.ndarray)
