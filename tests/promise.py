"""What every result has to keep, whatever computed it, and the images and kernels that try it."""

import naive
import numpy as np

PAIRS = (
    ("uint8", "uint8"),
    ("uint8", "int16"),
    ("uint8", "float32"),
    ("uint16", "uint16"),
    ("uint16", "float32"),
    ("int16", "int16"),
    ("int16", "uint8"),
    ("float32", "float32"),
    ("float32", "uint8"),
    ("float32", "float64"),
    ("float64", "float64"),
    ("float64", "float32"),
)
"""Types of image and result that are tried: each type on both sides, rounding, saturating, widening."""

TIE = 1e-3
"""An 8-bit result is free only where the exact sum is this near to a tie."""


def random_image(generator, shape, dtype):
    """Return an image that uses the whole range of an integer type, or values of both signs."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (generator.standard_normal(shape) * 100 + 60).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def random_weights(generator, shape, form):
    """Return weights with sum|w| of at most 16 and no symmetry: whole, fractional, or a mean with sum 1."""
    if form == "whole":
        weights = generator.integers(-4, 5, shape).astype(np.float64)
        return weights * 2.0 ** -max(0, int(np.ceil(np.log2(max(np.abs(weights).sum(), 1) / 16))))
    weights = generator.uniform(-1, 1, shape) if form == "signed" else generator.uniform(0.1, 1, shape)
    return weights * (3.7 if form == "signed" else 1.0) / np.abs(weights).sum()


def named_padding(padding, taps, apart):
    """Return what a named padding puts before and after, by the table of the notes."""
    reach = (taps - 1) * apart + 1
    return {"narrow": (0, 0), "wide": (reach - 1, reach - 1), "same": ((reach - 1) // 2, reach // 2)}[padding]


def exact(image, weights, stride=(1, 1), padding="same", boundary="zero", constant=0.0, dilation=(1, 1)):
    """Return the float64 reference, for an image of one, two or three dimensions."""
    pixels = np.asarray(image, np.float64)
    if isinstance(padding, str):
        padding = tuple(named_padding(padding, *axis) for axis in zip(weights.shape, dilation, strict=True))
    if pixels.ndim > 1:
        return naive.correlate(pixels, weights, stride, padding, boundary, constant, dilation)
    return naive.correlate(pixels[None], weights, (1, stride[1]), ((0, 0), padding[1]), boundary, constant,
                           (1, dilation[1]))[0]  # fmt: skip


def assert_kept(result, wanted, scale, tolerance=1e-6):
    """Hold a result against the exact sums.

    `scale` is sum|kernel| times max|image|; a float result may be off by `tolerance` of it.
    """
    assert result.shape == wanted.shape
    if result.dtype == np.float64:
        tolerance *= 1e-6
    if result.dtype.kind == "f":
        np.testing.assert_allclose(result, wanted, rtol=0, atol=tolerance * scale)
        return
    limits = np.iinfo(result.dtype)
    clipped = np.clip(wanted, limits.min, limits.max)
    if result.dtype.itemsize == 1:
        to_tie = np.abs(clipped - np.floor(clipped) - 0.5)
        off = result != np.rint(clipped)
        assert not (off & (to_tie > max(TIE, tolerance * scale))).any(), (
            f"{np.count_nonzero(off)} of {off.size} results are not the rounded sum, "
            f"{np.abs(result - clipped).max():.4g} away at most"
        )
    np.testing.assert_array_less(np.abs(result - clipped), 0.51 + tolerance * scale)


def needs_all(geometries):
    """Whether each result of a filter is needed by the next one; what is not may not be computed."""
    axes = [axis for each in geometries for axis in (each.rows, each.columns)]
    dense = all(axis.stride <= axis.kernel and axis.dilation == 1 for axis in axes)
    return dense and all(axis.part(0, axis.output)[1:] == (0, axis.length) for axis in axes)
