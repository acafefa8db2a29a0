"""Images of every real type: what the core is given for them, and what it gives back.

The core computes with five types. This is the one table that says how the others reach them:

====================================  ==============  =====================  =======================
image                                 computed as     `correlate` gives      `mean`, `gaussian` give
====================================  ==============  =====================  =======================
uint8, uint16, int16, float32         itself          float32                the image's type
float64, lists of numbers             float64         float64                float64
bool                                  uint8           float32                float32
int8                                  int16           float32                int8
float16                               float32         float32                float16
int32, uint32, int64, uint64          float64         float64                the image's type
====================================  ==============  =====================  =======================
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core.methods.work import FORMS
from cnnfilter.errors import DtypeError, ParameterError, real_number, shown
from cnnfilter.masked import is_masked

Array: TypeAlias = NDArray[Any]
Dtype: TypeAlias = np.dtype[Any]

LARGEST_WHOLE = 2**53
"""Whole numbers beyond it are not all values of float64, in which the sums of wide integers are kept."""


class _Form(NamedTuple):
    """How one type is computed: as what, and the type of results unless another is asked for."""

    core: Dtype
    result: Dtype
    smoothed: Dtype


def _forms() -> dict[Dtype, _Form]:
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    natives = [np.dtype(name) for name in FORMS]
    forms = {dtype: _Form(dtype, double if dtype == double else single, dtype) for dtype in natives}
    for name, core in (("bool", "uint8"), ("int8", "int16"), ("float16", "float32")):
        dtype = np.dtype(name)
        forms[dtype] = _Form(np.dtype(core), single, single if name == "bool" else dtype)
    for name in ("int32", "uint32", "int64", "uint64"):
        forms[np.dtype(name)] = _Form(double, double, np.dtype(name))
    return forms


_FORMS = _forms()
NAMES = ", ".join(str(dtype) for dtype in _FORMS)


def as_pixels(image: ArrayLike) -> Array:
    """Return an image as an array of one of the types of the table, in this machine's byte order.

    Parameters
    ----------
    image : array_like
        Lists become float64; a masked array stays one, and so does a dask array (`is_chunked`); other objects
        are what `numpy.asarray` makes of them.

    Raises
    ------
    DtypeError
        Complex numbers, text, objects and all other types; chunked arrays that are not dask's.
    ParameterError
        Rows that differ in length, a side without pixels, more than three dimensions, or whole numbers in a
        list that float64 cannot hold.

    Examples
    --------
    >>> as_pixels([[1, 2], [3, 4]]).dtype
    dtype('float64')
    """
    if type(image) is not np.ndarray:
        image = _array(image)
    found = image.dtype
    if found not in _FORMS and (found := found.newbyteorder("=")) not in _FORMS:
        raise DtypeError(f"image dtype {found.name} is not supported; use one of {NAMES}")
    if image.ndim not in (1, 2, 3):
        raise ParameterError(
            f"an image has 1, 2 or 3 dimensions, not {image.ndim} (shape {image.shape}); "
            "give (N,), (H, W) or (H, W, C)"
        )
    if 0 in image.shape:
        raise ParameterError(f"the image is empty (shape {image.shape}); every side needs at least 1")
    return image if found == image.dtype else image.astype(found)


def _array(image: Any) -> Array:
    if is_masked(image):
        return image
    if hasattr(image, "chunks") and hasattr(image, "shape"):
        return _lazy(image)
    try:
        array = np.asarray(image)
    except ValueError as error:
        raise ParameterError("the image's rows differ in length; every row needs as many pixels") from error
    if not isinstance(image, list | tuple):
        return array
    if array.dtype.kind in "biufO":
        _require_held(image, array)
    return array.astype(np.float64) if array.dtype.kind in "biuf" else array


def _lazy(image: Any) -> Array:
    """Return a dask array; refuse other chunked ones, which may be larger than memory."""
    kind = f"{type(image).__module__.partition('.')[0]}.{type(image).__name__}"
    if not hasattr(image, "__dask_graph__"):
        raise DtypeError(
            f"a {kind} is not read as a whole; use cnnfilter.lazy.run, dask.array.from_array (from_zarr), or "
            "image[...] if it fits the memory"
        )
    if image.chunks is None:  # what holds labels beside an array in memory
        return np.asarray(image)
    import dask.array

    if not isinstance(image, dask.array.Array):
        raise DtypeError(f"a {kind} of chunks is no dask array; use cnnfilter.lazy.xarray, or its .data")
    if not all(size == size for size in image.shape):
        raise ParameterError("the image has chunks of unknown size; call its compute_chunk_sizes() first")
    lazy: Array = image
    return lazy


def is_chunked(pixels: Array) -> bool:
    """Tell whether what `as_pixels` gave is a dask array; see `cnnfilter.core.chunked`."""
    return not isinstance(pixels, np.ndarray)


def _require_held(numbers: list[Any] | tuple[Any, ...], array: Array) -> None:
    """Refuse whole numbers in a list that float64, which the list becomes, cannot hold."""
    _require_exact(array)
    if array.dtype == object or (array.size and not (np.abs(array) <= LARGEST_WHOLE).all()):
        for number in np.asarray(numbers, object).flat:
            if isinstance(number, int) and abs(number) > LARGEST_WHOLE:
                raise _beyond(number, "list")


def _require_exact(pixels: Array) -> None:
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize < 8 or not pixels.size:
        return
    for number in (int(pixels.max()), int(pixels.min())):
        if abs(number) > LARGEST_WHOLE:
            raise _beyond(number, str(pixels.dtype))


def _beyond(number: int, kind: str) -> ParameterError:
    return ParameterError(
        f"the image ({kind}) holds {number}, but sums in float64 are exact for whole numbers up to 2**53; "
        "subtract or divide first, convert to float64, or name such pixels as missing"
    )


def core_values(pixels: Array, where: NDArray[np.bool_] | None = None) -> Array:
    """Return the pixels in the type that the core computes, with 0 in place of those that are missing.

    Parameters
    ----------
    pixels : array of a type of the table
    where : bool array of the same shape, optional
        Pixels that no sum may see.

    Examples
    --------
    >>> core_values(np.array([1, -9999], np.int32), np.array([False, True]))
    array([1., 0.])
    """
    pixels = np.asarray(pixels)
    if where is not None:
        pixels = np.where(where, pixels.dtype.type(0), pixels)
    _require_exact(pixels)
    return pixels.astype(_FORMS[pixels.dtype].core, copy=False)


def result_type(source: Dtype, asked: Any, *, smoothing: bool = False) -> Dtype:
    """Return the type of a result: the one that is asked for, or the table's for images of `source`."""
    if asked is None:
        form = _FORMS[source]
        return form.smoothed if smoothing else form.result
    return checked_dtype("output", asked)


def core_type(dtype: Dtype) -> Dtype:
    """Return the type in which the core computes images of, or writes results for, a type of the table."""
    return _FORMS[dtype].core


def checked_dtype(what: str, dtype: Any) -> Dtype:
    """Return a type of the table, or raise `DtypeError`."""
    try:
        found: Dtype = np.dtype(dtype).newbyteorder("=")
    except TypeError as error:
        raise DtypeError(f"{shown(dtype)} is not a dtype; use one of {NAMES}") from error
    if found not in _FORMS:
        raise DtypeError(f"{what} dtype {found.name} is not supported; use one of {NAMES}")
    return found


def stored(values: Array, dtype: Dtype) -> Array:
    """Return values in a type: integers are rounded half to even, and saturate; NaN becomes 0.

    Examples
    --------
    >>> stored(np.array([0.5, 1.5, -7, 3e9]), np.dtype("int32")).tolist()
    [0, 2, -7, 2147483647]
    >>> stored(np.array([0.0, 0.7, 5.0]), np.dtype(bool)).tolist()
    [False, True, True]
    """
    if values.dtype == dtype:
        return values
    if dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is too large for a type is infinite in it
            return values.astype(dtype)
    least, largest = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if values.dtype.kind != "f":
        held = np.iinfo(values.dtype)
        return np.clip(values, max(least, held.min), min(largest, held.max)).astype(dtype)
    whole = np.rint(np.where(np.isnan(values), 0, values))
    # The largest 64-bit integers are not values of float64, so a limit cannot be a value to clip to.
    inside = np.clip(whole, float(least), math.nextafter(float(largest) + 1, 0)).astype(dtype)
    return np.where(whole >= largest, dtype.type(largest), inside)


def checked_constant(constant: Any, values: Dtype) -> float:
    """Return the constant of a boundary: any finite number that sums over `values` can hold.

    Examples
    --------
    >>> checked_constant(-0.5, np.dtype("uint8"))
    -0.5
    """
    number = real_number("constant", constant)
    sums = np.finfo(np.float32 if values == np.float32 else np.float64)
    if not abs(number) <= float(sums.max):
        raise ParameterError(
            f"constant {shown(constant)} cannot be summed in {sums.dtype}; "
            f"give a finite number of at most {sums.max:.3g} in size"
        )
    return number


def holding(values: Array, constant: float) -> Array:
    """Return the values in a type that holds a constant too: integers become float64 where they must."""
    if values.dtype.kind == "f":
        return values
    limits = np.iinfo(values.dtype)
    if constant.is_integer() and limits.min <= constant <= limits.max:
        return values
    return values.astype(np.float64)


def in_planes(array: Array) -> Array:
    """Return an image of 1, 2 or 3 dimensions as a view of shape (H, W, C)."""
    return array[None, :, None] if array.ndim == 1 else array[:, :, None] if array.ndim == 2 else array


def require_output(out: object, shape: tuple[int, ...], dtype: Dtype, *, masked: bool = False) -> None:
    """Refuse an `out` in which the result has no place, before anything is computed."""
    if out is None:
        return
    if not isinstance(out, np.ndarray):
        raise DtypeError(f"out is a {type(out).__name__}; give an array of {dtype}, of shape {shape}")
    if out.dtype != dtype:
        raise DtypeError(f"out is of {out.dtype}, but the result of {dtype}; give such an array, or a dtype")
    if out.shape != shape:
        raise ParameterError(f"out has the shape {out.shape}, but the result {shape}")
    if not out.flags.writeable:
        raise ParameterError("out is read-only; give an array that can be written")
    if is_masked(out) and out.hardmask:
        raise ParameterError("out has a hard mask, under which nothing can be written; soften_mask() first")
    if masked and not is_masked(out):
        raise DtypeError("out is no masked array, but the result has missing values; give a masked array")


def takes_sums(out: Array | None, dtype: Dtype, image: Array) -> bool:
    """Tell whether the core can write its sums of a type into `out` itself, while it reads the image."""
    return (
        out is not None
        and not is_masked(out)
        and out.dtype == dtype
        and out.flags.c_contiguous
        and out.flags.aligned
        and not np.may_share_memory(out, image)
    )


def delivered(result: Array, out: Array | None) -> Array:
    """Return the result, in `out` if there is one, which may overlap the image: it is read no more."""
    if out is None:
        return result
    out[...] = result
    return out
