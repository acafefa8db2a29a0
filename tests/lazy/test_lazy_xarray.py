"""Arrays with labels: the numbers of the planes, with coordinates and attributes."""

import numpy as np
import pytest

import cnnfilter as cf
from cnnfilter.errors import DtypeError, ParameterError

xr = pytest.importorskip("xarray")
da = pytest.importorskip("dask.array")

CALLS = {
    "mean": (5,),
    "gaussian": (1.5,),
    "second_derivative": ("x",),
    "gradient": ("scharr", "direction"),
    "unsharp": (1.0, 2.0),
    "correlate": ([[1, 2, 3], [4, 5, 6]],),
    "convolve": (cf.Kernel([[1, 2, 3]], 6),),
    "max_pool": (2,),
    "mean_pool": ((2, 3),),
}


def labelled(shape=(2, 3, 20, 30), dims=("time", "band", "y", "x"), chunks=None):
    values = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    coords = {
        "time": np.array(["2026-01-01", "2026-01-02"], "datetime64[ns]"),
        "band": ["red", "green", "blue"],
        "y": ("y", 100.0 - 0.5 * np.arange(20), {"units": "m"}),
        "x": np.arange(30),
        "place": ("y", [f"row {row}" for row in range(20)]),
        "height": (("y", "x"), np.arange(600.0).reshape(20, 30)),
        "run": 7,
    }
    kept = {name: value for name, value in coords.items() if name not in ("time", "band") or name in dims}
    data = values if chunks is None else da.from_array(values, chunks)
    return xr.DataArray(data, kept, dims, "slide", {"units": "K"})


@pytest.mark.parametrize("chunks", [None, (1, 2, 7, 11)])
@pytest.mark.parametrize("name", CALLS)
def test_every_plane_is_filtered_and_labels_stay(name, chunks):
    array = labelled(chunks=chunks)
    result = getattr(cf.lazy.xarray, name)(array, *CALLS[name])
    assert (result.dims, result.name, result.attrs) == (array.dims, "slide", {"units": "K"})
    assert isinstance(result.data, np.ndarray if chunks is None else da.Array)
    expected = np.stack(
        [[getattr(cf, name)(plane, *CALLS[name]) for plane in bands] for bands in labelled().values]
    )
    assert result.values.tobytes() == expected.tobytes()
    assert result.dtype == expected.dtype
    if "pool" not in name:
        assert all(result[coordinate].identical(array[coordinate]) for coordinate in array.coords)


def test_axes_of_other_names_and_in_another_order():
    array = labelled().rename(y="lat", x="lon").transpose("lon", "time", "lat", "band")
    result = cf.lazy.xarray.gaussian(array, 2, dims=("lat", "lon"))
    assert result.dims == array.dims
    np.testing.assert_array_equal(
        result.sel(time="2026-01-02", band="green").values.T, cf.gaussian(labelled().values[1, 1], 2)
    )


def test_channels_behind_rows_and_columns_are_an_image():
    array = labelled((20, 30, 3), ("y", "x", "band"))
    result = cf.lazy.xarray.unsharp(array, 2)
    np.testing.assert_array_equal(result.values, cf.unsharp(array.values, 2))
    assert result.band.identical(array.band)


def test_coordinates_lie_where_the_values_do():
    array = labelled((20, 30), ("y", "x"))
    result = cf.lazy.xarray.mean(array, 3, stride=2, padding="narrow")
    assert result.y.values.tolist() == (99.5 - np.arange(9)).tolist()
    assert result.x.values.tolist() == list(range(1, 29, 2))
    assert result.place.values.tolist() == [f"row {row}" for row in range(1, 19, 2)]
    np.testing.assert_array_equal(result.height, array.height[1:19:2, 1:29:2])
    pooled = cf.lazy.xarray.mean_pool(array, 2)
    assert pooled.y.values.tolist() == (99.75 - np.arange(10)).tolist()
    assert pooled.y.attrs == {"units": "m"}
    assert pooled.x.values.tolist() == (0.5 + 2 * np.arange(15)).tolist()
    assert {*pooled.coords} == {"y", "x", "run"}
    wide = cf.lazy.xarray.gaussian(array, size=3, padding="wide")
    assert wide.x.values.tolist() == list(range(-1, 31))
    times = array.rename(y="time").assign_coords(
        time=np.datetime64("2026-01-01", "ns") + np.arange(20) * np.timedelta64(2, "s")
    )
    found = cf.lazy.xarray.max_pool(times, 2, dims=("time", "x"))
    assert str(found.time.values[1])[:19] == "2026-01-01T00:00:05"


def test_missing_values_and_data_sets():
    array = labelled((20, 30), ("y", "x")).astype(np.float32).where(lambda values: values > 30)
    result = cf.lazy.xarray.gaussian(array, 2, missing="nan", fill=True)
    np.testing.assert_array_equal(result.values, cf.gaussian(array.values, 2, missing="nan", fill=True))
    found = xr.Dataset({"a": array, "b": array + 1}).map(cf.lazy.xarray.mean, size=5)
    np.testing.assert_array_equal(found["b"], cf.mean(array.values + 1, 5))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda of: of.gaussian(np.zeros((3, 3)), 2), DtypeError, "ndarray is no DataArray"),
        (lambda of: of.gaussian(labelled(), 2, dims=("lat", "lon")), ParameterError, "no dimension 'lat'"),
        (lambda of: of.gaussian(labelled(), 2, dims="yx"), ParameterError, "no pair of names"),
        (lambda of: of.gaussian(labelled(), 2, missing=[[True]]), ParameterError, "missing is"),
        (lambda of: of.gaussian(labelled(chunks=9), 2, accuracy="fast"), ParameterError, "'fast' runs down"),
        (lambda of: cf.gaussian(labelled(chunks=9), 2), DtypeError, "use cnnfilter.lazy.xarray"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(call, error, words):
    with pytest.raises(error, match=words):
        call(cf.lazy.xarray)


def test_each_function_says_what_it_is():
    assert {*cf.lazy.xarray.__all__} == {*CALLS}
    assert cf.lazy.xarray.gaussian.__name__ == "gaussian"
    assert cf.lazy.xarray.gaussian.__doc__.startswith("`cnnfilter.gaussian` of a ``DataArray``")
