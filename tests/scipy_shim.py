"""A plugin for pytest: SciPy's own tests of `scipy.ndimage` run with the filters of cnnfilter.

Names, arguments and types are translated, nothing is computed here. The tests of `test_filters` find this
module under the name `ndimage`.
"""

import re
import sys

import numpy as np
from scipy import ndimage

import cnnfilter as cf

BOUNDARIES = {
    "reflect": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "constant": "constant",
    "grid-mirror": "symmetric",
    "grid-wrap": "wrap",
    "grid-constant": "constant",
}

NATIVE = ("uint8", "uint16", "int16", "float32", "float64")

TESTS = r"""
test_correlate0[1-8] test_correlate01_overlap test_correlate1[1-9] test_correlate2\d
test_gauss0[2346] test_gauss_memory_overlap test_gaussian_truncate test_gaussian_radius
test_prewitt0[123] test_sobel0[123] test_laplace0[12]
test_uniform0[1346]
test_maximum_filter0[1235] test_extend0\d test_extend10
"""
"""Not these: empty arrays, three dimensions, footprints, what we have no filter for."""

NOT = "complex|(prewitt|sobel).*uint64"
"""SciPy takes complex numbers, and lets differences of unsigned ones wrap round between its two passes."""


def __getattr__(name):
    return getattr(ndimage, name)


def pytest_collection_modifyitems(items):
    """Keep the tests of `TESTS`, and let them find this module."""
    import scipy.ndimage.tests.test_filters as tests

    tests.ndimage = sys.modules[__name__]
    chosen = re.compile("|".join(TESTS.split()))
    items[:] = [
        item for item in items if chosen.fullmatch(item.originalname) and not re.search(NOT, item.name)
    ]


def filtered(function, array, output, mode="reflect", cval=0.0, **more):
    """Call a filter of cnnfilter on an array of any type, and give the result the type that SciPy gives."""
    array = np.asarray(array)
    image = array if array.dtype.name in NATIVE else array.astype(np.float64)
    constant = {"constant": cval} if mode.endswith("constant") else {}
    result = function(image, boundary=BOUNDARIES[mode], **constant, dtype=np.float64, **more)
    return stored(result, array, output)


def stored(result, array, output):
    """Cast as C does: digits are cut off, and what is below an unsigned zero comes in from above."""
    if not isinstance(output, np.ndarray):
        output = np.empty(result.shape, array.dtype if output is None else output)
    output[...] = result.astype(np.int64) if output.dtype.kind in "iu" else result
    return output


def correlate(array, weights, output=None, mode="reflect", cval=0.0, origin=0, divisor=1):
    weights = np.asarray(weights)
    origins = np.broadcast_to(origin, weights.ndim)
    sides = [
        (size // 2 + start, size - 1 - size // 2 - start)
        for size, start in zip(weights.shape, origins, strict=True)
    ]
    if weights.ndim == 1:
        sides = [(0, 0), *sides]
    kernel = cf.Kernel(weights, divisor)
    return filtered(cf.correlate, array, output, mode, cval, kernel=kernel, padding=tuple(sides))


def convolve(array, weights, output=None, mode="reflect", cval=0.0, origin=0):
    weights = np.asarray(weights)
    origins = np.broadcast_to(origin, weights.ndim)
    mirrored = [
        (size - 1) // 2 - size // 2 - start for size, start in zip(weights.shape, origins, strict=True)
    ]
    turned = weights[(slice(None, None, -1),) * weights.ndim]
    return correlate(array, turned, output, mode, cval, mirrored)


def along(function, array, weights, axis, output, mode, cval, origin, **more):
    array, weights = np.asarray(array), np.asarray(weights)
    if array.ndim == 1:
        return function(array, weights, output, mode, cval, origin, **more)
    down = axis % array.ndim == 0
    kernel, origins = (weights[:, None], (origin, 0)) if down else (weights[None], (0, origin))
    return function(array, kernel, output, mode, cval, origins, **more)


def correlate1d(array, weights, axis=-1, output=None, mode="reflect", cval=0.0, origin=0, divisor=1):
    return along(correlate, array, weights, axis, output, mode, cval, origin, divisor=divisor)


def convolve1d(array, weights, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    return along(convolve, array, weights, axis, output, mode, cval, origin)


def gaussian_filter(array, sigma, output=None, mode="reflect", cval=0.0, truncate=4.0, radius=None):
    sigmas = np.broadcast_to(sigma, np.ndim(array)).tolist()
    radii = (
        [int(truncate * s + 0.5) for s in sigmas]
        if radius is None
        else np.broadcast_to(radius, np.ndim(array))
    )
    size = tuple(2 * int(r) + 1 for r in radii)
    if np.ndim(array) == 1:
        return filtered(cf.gaussian, array, output, mode, cval, sigma=sigmas[0], size=size[0])
    return filtered(cf.gaussian, array, output, mode, cval, sigma=tuple(sigmas), size=size)


def gaussian_filter1d(
    array, sigma, axis=-1, order=0, output=None, mode="reflect", cval=0.0, truncate=4.0, *, radius=None
):
    if order:
        return ndimage.gaussian_filter1d(
            array, sigma, axis, order, output, mode, cval, truncate, radius=radius
        )
    radius = int(truncate * sigma + 0.5) if radius is None else radius
    return correlate1d(array, cf.templates.gaussian_taps(2 * radius + 1, sigma), axis, output, mode, cval)


def uniform_filter1d(array, size, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    return correlate1d(array, np.full(size, 1.0), axis, output, mode, cval, origin, divisor=size)


def uniform_filter(array, size=3, output=None, mode="reflect", cval=0.0, origin=0):
    array = np.asarray(array)
    sizes = np.broadcast_to(size, array.ndim)
    return correlate(array, np.ones(sizes), output, mode, cval, origin, divisor=np.prod(sizes))


def maximum_filter(array, size=None, footprint=None, output=None, mode="reflect", cval=0.0, origin=0):
    """Of windows of ones: what is mirrored into one is in it already, so that pixels inside are enough."""
    array = np.asarray(array)
    if footprint is not None or np.any(origin) or mode not in ("reflect", "nearest"):
        return ndimage.maximum_filter(array, size, footprint, output, mode, cval, origin)
    sizes = np.broadcast_to(size, array.ndim).tolist()
    sides = tuple((n // 2, n - 1 - n // 2) for n in sizes)
    image = array if array.dtype.name in NATIVE else array.astype(np.float64)
    if array.ndim == 1:
        return stored(cf.max_pool(image, (1, sizes[0]), 1, sides[0]), array, output)
    return stored(cf.max_pool(image, tuple(sizes), 1, sides), array, output)


def laplace(array, output=None, mode="reflect", cval=0.0):
    return filtered(cf.second_derivative, array, output, mode, cval)


def edges(name, array, axis, output, mode, cval):
    kernel = cf.templates.named(name)
    weights = kernel.weights if axis % np.ndim(array) == 1 else kernel.weights.T
    return correlate(array, weights, output, mode, cval)


def sobel(array, axis=-1, output=None, mode="reflect", cval=0.0):
    return edges("sobel-x", array, axis, output, mode, cval)


def prewitt(array, axis=-1, output=None, mode="reflect", cval=0.0):
    return edges("prewitt-x", array, axis, output, mode, cval)
