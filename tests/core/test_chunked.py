"""Dask arrays: lazily, chunk by chunk, with the bytes of the array in memory."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import cnnfilter as cf
from cnnfilter.errors import DtypeError, ParameterError

da = pytest.importorskip("dask.array")

DTYPES = (
    "uint8",
    "uint16",
    "int16",
    "float32",
    "float64",
    "bool",
    "int8",
    "float16",
    "int32",
    "uint64",
    ">f4",
)
BOUNDARIES = ("zero", "constant", "edge", "reflect", "symmetric", "wrap", "renormalize")
FILTERS = (cf.mean, cf.gaussian, cf.second_derivative, cf.gradient, cf.unsharp, cf.correlate, cf.convolve)
POOLS = (cf.max_pool, cf.mean_pool)


@st.composite
def chunks(draw, length):
    """Draw chunks of one axis: all of one size, or of any sizes."""
    if draw(st.booleans()):
        size = draw(st.sampled_from([1, 2, 3, 7, 99]))
        return (size,) * (length // size) + ((length % size,) if length % size else ())
    edges = draw(st.lists(st.integers(1, max(length - 1, 1)), max_size=6))
    edges = sorted({0, length, *(edge for edge in edges if edge < length)})
    return tuple(int(size) for size in np.diff(edges))


@st.composite
def images(draw):
    shape = draw(
        st.one_of(
            st.tuples(st.integers(1, 40)),
            st.tuples(*[st.integers(1, 25)] * 2),
            st.tuples(*[st.integers(1, 25)] * 2, st.integers(1, 3)),
        )
    )
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    low, high = {"b": (0, 2), "u": (0, 255), "i": (-100, 100), "f": (-300, 300)}[dtype.kind]
    image = generator.uniform(low, high, shape).astype(dtype)
    if dtype.kind == "f" and draw(st.booleans()):
        image.flat[draw(st.integers(0, image.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -6e4]))
    return image


def kernel_of(generator, kind, dimensions):
    rows, columns = generator.integers(1, 7, 2)
    dense = generator.standard_normal((rows, columns))
    weights = {
        "dense": dense,
        "holes": dense * (generator.random((rows, columns)) < 0.5) + np.eye(rows, columns) / 8,
        "separable": np.outer(generator.random(rows), generator.random(columns)),
        "equal": np.full((rows, columns), 1 / (rows * columns)),
        "whole numbers": generator.integers(1, 9, (rows, columns)).astype(float),
    }[kind]
    return weights if dimensions > 1 else weights[0]


@st.composite
def calls(draw, image):
    """Draw a filter and its arguments."""
    function = draw(st.sampled_from(FILTERS + POOLS))
    dtypes = st.sampled_from([None, None, None, "uint8", "int16", "float32", "float64", "float16"])
    how = {"dtype": draw(dtypes), "threads": draw(st.sampled_from([None, 2]))}
    stride = st.sampled_from([1, 1, 2, (3, 1), (1, 50)])
    missing = st.sampled_from([None, None, None, 1, np.float64(7), "mask", "rows", "masked"])
    how["missing"] = draw(missing)
    if function in POOLS:
        how["padding"] = draw(st.sampled_from([0, 0, 1]))
        return function, (draw(st.sampled_from([1, 2, 3, (2, 3)])),), how | {"stride": draw(stride)}
    name = st.sampled_from(BOUNDARIES)
    how["boundary"] = draw(st.one_of(name, name, st.tuples(name, name)))
    how["fill"] = draw(st.booleans())
    if "constant" in how["boundary"]:
        how["constant"] = draw(st.sampled_from([0.0, 300.5, -7.0]))
    if function is cf.unsharp:
        return function, (draw(st.sampled_from([0.6, (1.0, 0.5)])), 1.5, draw(st.sampled_from([0, 2.0]))), how
    how["stride"] = draw(stride)
    how["padding"] = draw(st.sampled_from(["same", "same", "narrow", "wide", (2, 1), ((0, 3), (9, 0))]))
    if function in (cf.correlate, cf.convolve):
        how["dilation"] = draw(st.sampled_from([1, 1, 2, (3, 1)]))
        kind = draw(st.sampled_from(["dense", "holes", "separable", "equal", "whole numbers"]))
        generator = np.random.default_rng(draw(st.integers(0, 999)))
        return function, (kernel_of(generator, kind, image.ndim),), how
    of = {
        cf.mean: st.sampled_from([(1,), (3,), ((5, 1),), ((1, 4),)]),
        cf.gaussian: st.sampled_from([(0.5,), (1.2,), ((0, 1.0),), (1.0, 5), (2.5,)]),
        cf.second_derivative: st.sampled_from([("x",), ("both",)]),
        cf.gradient: st.sampled_from([(), ("scharr", "direction"), ("central", "x")]),
    }
    return function, draw(of[function]), how


@st.composite
def cases(draw):
    image = draw(images())
    function, arguments, how = draw(calls(image))
    generator = np.random.default_rng(5)
    if how["missing"] in ("mask", "rows", "masked"):
        kind, mask = how["missing"], generator.random(image.shape) < 0.2
        how["missing"] = mask if kind == "mask" else mask[..., 0] if image.ndim > 2 else mask
        if kind == "masked":
            image, how["missing"] = np.ma.MaskedArray(image, mask), None
    return image, tuple(draw(chunks(length)) for length in image.shape), function, arguments, how


def require_same(lazy, whole):
    assert isinstance(lazy, da.Array)
    assert (lazy.shape, lazy.dtype) == (whole.shape, whole.dtype)
    assert 0 not in np.concatenate(lazy.chunks)
    result = lazy.compute(scheduler="sync")
    masked = isinstance(whole, np.ma.MaskedArray)
    assert isinstance(result, np.ma.MaskedArray) == masked
    if masked:
        np.testing.assert_array_equal(np.ma.getmaskarray(result), np.ma.getmaskarray(whole))
        result, whole = result.filled(0), whole.filled(0)
    assert result.tobytes() == whole.tobytes()


@settings(max_examples=200, deadline=None)
@given(cases())
def test_chunks_have_the_bytes_of_the_whole(case):
    image, sizes, function, arguments, how = case
    with np.errstate(all="ignore"):
        try:
            whole = function(image, *arguments, **how)
        except (ParameterError, DtypeError):  # the kernel does not fit, or weights inside sum to 0
            assume(False)
        require_same(function(da.from_array(image, chunks=sizes), *arguments, **how), whole)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_transforms_have_the_bytes_of_the_whole(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 999)))
    shape = (*data.draw(st.tuples(*[st.integers(20, 260)] * 2)), *data.draw(st.sampled_from([(), (3,)])))
    dtype = data.draw(st.sampled_from(["float32", "float64", "uint8"]))
    image = (200 * generator.random(shape)).astype(dtype)
    how = {"method": "fft", "boundary": data.draw(st.sampled_from(BOUNDARIES)), "constant": 7.5}
    how["padding"] = data.draw(st.sampled_from(["same", "wide", (3, 2)]))
    how["missing"] = data.draw(st.sampled_from([None, 3]))
    kernel = generator.random((15, 13))
    sizes = tuple(data.draw(st.integers(5, 200)) for _ in shape)
    whole = cf.correlate(image, kernel, **how)
    require_same(cf.correlate(da.from_array(image, chunks=sizes), kernel, **how), whole)
    if dtype == "float32":
        require_same(
            cf.gaussian(da.from_array(image, chunks=sizes), 3, method="fft"),
            cf.gaussian(image, 3, method="fft"),
        )


def test_a_missing_pixel_that_is_repeated_beside_the_image_hides_no_result_there():
    image = np.random.default_rng(0).integers(0, 9, (30, 31)).astype(np.int16)
    how = {"padding": "wide", "boundary": "wrap", "missing": 7}
    require_same(cf.mean(da.from_array(image, chunks=8), 5, **how), cf.mean(image, 5, **how))


def test_kernels_far_larger_than_chunks():
    image = np.random.default_rng(0).integers(0, 256, (60, 53), np.uint8)
    require_same(cf.gaussian(da.from_array(image, chunks=7), 20), cf.gaussian(image, 20))


def test_filters_follow_each_other_and_compute_no_earlier_than_asked_for():
    image = np.random.default_rng(0).integers(0, 256, (40, 33, 3), np.uint8)
    computed = []

    def chunk(block, block_info=None):
        computed.append(block_info[0]["chunk-location"])
        return block

    source = da.from_array(image, chunks=(16, 16, 1)).map_blocks(
        chunk, dtype=image.dtype, meta=image[:0, :0, :0]
    )
    lazy = cf.max_pool(cf.gradient(cf.gaussian(source, 1), boundary="wrap"), 2)
    assert not computed
    assert lazy.chunks == ((8, 8, 4), (8, 8), (3,))
    corner = lazy[:8, :8].persist(scheduler="sync")
    whole = cf.max_pool(cf.gradient(cf.gaussian(image, 1), boundary="wrap"), 2)
    np.testing.assert_array_equal(corner.compute(), whole[:8, :8])
    assert len({place for place in computed}) == 27  # wraps around, with all channels
    require_same(lazy, whole)
    kept = cf.gaussian(source, 1).persist(scheduler="sync")
    assert len(kept.dask) == kept.npartitions


def test_results_lie_in_the_chunk_of_the_pixel_under_the_centre():
    image = da.zeros((100, 90), chunks=((30, 20, 50), (45, 45)), dtype=np.float32)
    assert cf.gaussian(image, 3).chunks == image.chunks
    assert cf.mean(image, 3, stride=2).chunks == ((15, 10, 25), (23, 22))
    assert cf.mean(image, 5, padding="narrow").chunks == ((28, 20, 48), (43, 43))
    assert cf.correlate(image[:3, :3], np.ones((1, 1)), stride=5).chunks == ((1,), (1,))


def test_of_large_chunks_only_what_is_needed_travels(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (40, 33, 3), np.uint8)
    for at_least, cut in ((1, 4), (6 * 99, 4), (6 * 99 + 1, 3), (14 * 99 + 1, 0)):
        monkeypatch.setattr("cnnfilter.core.chunked.CUT_BYTES", at_least)
        lazy = cf.mean(da.from_array(image, chunks=(16, 33, 3)), (5, 3))
        assert len([key for key in lazy.dask if "-cut" in key[0]]) == cut, at_least
        require_same(lazy, cf.mean(image, (5, 3)))


def test_equal_calls_have_equal_names_and_others_have_others():
    image = da.zeros((100, 90), chunks=50, dtype=np.float32)
    names = {
        cf.gaussian(image, sigma, boundary=name).name for sigma in (1, 2) for name in ("edge", "wrap") * 2
    }
    assert len(names) == 4
    assert all(name.startswith("gaussian-") for name in names)
    found = [call(image).name.rpartition("-")[0] for call in (cf.mean, cf.max_pool, cf.unsharp, cf.gradient)]
    assert found == ["mean", "max-pool", "unsharp", "gradient"]
    kernel = cf.Kernel([[1, 2]], name="mine")
    assert cf.correlate(image, kernel).name == cf.correlate(image, [[1, 2]], threads=1).name.replace(
        "correlate", "mine"
    )


def test_the_graph_can_be_sent():
    image = np.random.default_rng(0).random((50, 40), dtype=np.float32)
    lazy = cf.unsharp(cf.gaussian(da.from_array(image, chunks=16), 2))
    again = pickle.loads(pickle.dumps(lazy))
    require_same(again, cf.unsharp(cf.gaussian(image, 2)))


IMAGE = da.zeros((9, 8), chunks=4, dtype=np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: cf.gaussian(IMAGE, 20, accuracy="fast"),
            ParameterError,
            "gaussian with accuracy 'fast' runs down",
        ),
        (
            lambda: cf.mean(IMAGE, out=np.zeros((9, 8), np.uint8)),
            ParameterError,
            "no out; see dask.array.store",
        ),
        (lambda: cf.mean(IMAGE, 30, padding="narrow"), ParameterError, "output would be empty"),
        (lambda: cf.mean(IMAGE, boundary="mirror"), ParameterError, "'mirror'"),
        (lambda: cf.mean(IMAGE, threads=0), ParameterError, "threads 0"),
        (lambda: cf.mean(IMAGE, missing=300), ParameterError, "missing 300 is not a value of uint8"),
        (lambda: cf.mean(IMAGE, missing=[True]), ParameterError, r"missing has the shape \(1,\)"),
        (lambda: cf.mean(IMAGE, missing=[1, 2]), DtypeError, "missing of int64"),
        (lambda: cf.mean(IMAGE, boundary="constant", constant=np.inf), ParameterError, "constant inf"),
        (lambda: cf.mean(IMAGE.astype(complex)), DtypeError, "image dtype complex128"),
        (lambda: cf.mean(IMAGE[None, None]), ParameterError, "1, 2 or 3 dimensions"),
        (lambda: cf.mean(IMAGE[IMAGE > 0]), ParameterError, "chunks of unknown size"),
        (lambda: cf.unsharp(IMAGE, amount=np.inf), ParameterError, "amount inf"),
        (lambda: cf.unsharp(IMAGE, stride=2), ParameterError, "unsharp keeps the size"),
        (lambda: cf.gradient(IMAGE[0], output="y"), ParameterError, "a 1-D signal has no output 'y'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(call, error, words):
    with pytest.raises(error, match=words):
        call()


class Stored:
    """What Zarr arrays and datasets of HDF5 have in common."""

    shape, dtype, chunks = (9, 8), np.dtype(np.uint8), (4, 4)

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("read as a whole")


@pytest.mark.parametrize("call", [cf.gaussian, cf.unsharp, cf.gradient, cf.max_pool, cf.correlate])
def test_other_chunked_arrays_are_not_read_as_a_whole(call):
    given = ([[1]],) if call is cf.correlate else ()
    with pytest.raises(
        DtypeError, match=r"test_chunked.Stored is not read .* cnnfilter.lazy.run, dask.array"
    ):
        call(Stored(), *given)


def test_arrays_in_memory_are_taken_and_dask_is_not_imported():
    script = """
import sys, numpy as np, cnnfilter as cf
class InMemory:
    def __array__(self, dtype=None, copy=None):
        return np.eye(4)
class WithLabels(InMemory):
    shape, chunks = (4, 4), None
    def __dask_graph__(self):
        return None
for image in InMemory(), WithLabels():
    assert (cf.mean(image) == cf.mean(np.eye(4))).all()
print(*{name.partition(".")[0] for name in sys.modules})
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"dask", "zarr", "xarray"} & {*found.split()}
