"""What is measured: the filters, the images, and how far a peer's output may be from ours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import cnnfilter as cf

Call = Callable[[], Any]

SIGMAS = (0.8, 1, 2, 4, 10)
MEANS = (3, 5, 15, 31)
DENSE = (3, 5, 7, 11, 15, 31)
SMALL_SIDES = (32, 64, 128, 256, 512, 1024, 2048)
BOUNDARIES = ("reflect", "zero", "constant", "edge", "symmetric", "wrap", "renormalize")
CONSTANT = 0.5
"""What stands beside the image where the boundary is "constant"."""


@dataclass(frozen=True)
class Case:
    """One filter on one image; `parameter` is sigma, the size, or the kernel.

    `filter` is gaussian, mean, dense, laplacian, signal (1-D), max pool or mean pool.
    """

    name: str
    filter: str
    parameter: Any
    image: np.ndarray
    dtype: str
    boundary: str = "reflect"
    stride: int = 1
    dilation: int = 1

    def ours(self, threads: int) -> Call:
        """Return the call that computes it with cnnfilter."""
        image, parameter = self.image, self.parameter
        if self.pooling:
            pool = cf.max_pool if self.filter == "max pool" else cf.mean_pool
            return lambda: pool(image, parameter, threads=threads)
        how = {"boundary": self.boundary, "stride": self.stride, "threads": threads}
        if self.boundary == "constant":
            how["constant"] = CONSTANT
        if self.filter == "gaussian":
            return lambda: cf.gaussian(image, parameter, **how)
        if self.filter == "mean":
            return lambda: cf.mean(image, parameter, **how)
        return lambda: cf.correlate(image, parameter, dilation=self.dilation, dtype=self.dtype, **how)

    @property
    def pooling(self) -> bool:
        """Tell whether windows are pooled: there is no kernel."""
        return self.filter in ("max pool", "mean pool")

    @property
    def plain(self) -> bool:
        """Tell whether it is what every library of image filters has."""
        return self.boundary == "reflect" and (self.stride, self.dilation) == (1, 1) and not self.pooling

    @cached_property
    def kernel(self) -> cf.Kernel:
        """The weights, whatever the filter calls its parameter."""
        if self.filter == "gaussian":
            return cf.templates.gaussian(sigma=self.parameter)
        if self.filter == "mean":
            return cf.templates.mean((self.parameter, self.parameter))
        return self.parameter

    @cached_property
    def plan(self) -> Any:
        """How cnnfilter computes it."""
        return cf.explain(
            self.image.shape, self.image.dtype, self.kernel, stride=self.stride, boundary=self.boundary,
            dilation=self.dilation, output=self.dtype,
        )  # fmt: skip

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        if self.pooling:
            height, width, *channels = self.image.shape
            return (height // self.parameter, width // self.parameter, *channels)
        return self.plan.output_shape

    @property
    def multiply_adds(self) -> float:
        """How many the planned method needs, in all; a window's comparisons and sums count as such."""
        each = self.parameter**2 if self.pooling else self.plan.operations
        return float(np.prod(self.output_shape) * each)

    @property
    def real(self) -> str:
        """Type of the sums, as the loops call it."""
        return "f64" if not self.pooling and self.plan.accumulator == "float64" else "f32"

    @property
    def tolerance(self) -> float:
        """Largest difference from a peer that rounds its own way: 2 grey levels, or float32's rounding."""
        return 2.0 if self.dtype in ("uint8", "int16") else 1e-4 * max(1.0, float(np.abs(self.image).max()))


def taps(sigma: float) -> int:
    """Side of the Gaussian template, the same for every peer that can be told."""
    return 2 * int(np.ceil(4 * sigma)) + 1


def large(side: int) -> Iterator[Case]:
    """Yield all filters on a grey image of side x side and on an RGB image of half of that."""
    for label, shape in (("grey", (side, side)), ("RGB", (side // 2, side // 2, 3))):
        for form, image in _images(*shape):
            yield from _filters(f"{label} {form}", image)


def small(side: int) -> Iterator[Case]:
    """Yield all filters on grey images from 32 x 32 on, up to half of `side`."""
    for length in SMALL_SIDES:
        if length <= max(side // 2, SMALL_SIDES[0]):
            for form, image in _images(length, length):
                yield from _filters(f"{length}x{length} {form}", image)


def odd(side: int) -> Iterator[Case]:
    """Yield what is shaped otherwise, and what few libraries have; squares have half of `side`."""
    half, length = side // 2, side * 200_000 // 4096
    kernel = _dense(5)
    for label, shape in (
        ("tall", (length, 20)),
        ("wide", (20, length)),
        ("16 channels", (side // 8, side // 8, 16)),
    ):
        for form, image in _images(*shape):
            name = f"{label} {form}"
            yield Case(f"gaussian 2, {name}", "gaussian", 2.0, image, image.dtype.name)
            yield Case(f"mean 5, {name}", "mean", 5, image, image.dtype.name)
            yield Case(f"dense 5x5, {name}", "dense", kernel, image, image.dtype.name)
    line = cf.Kernel(_dense(31).array[:1])
    for form, dtype in (("f32", "float32"), ("f64", "float64")):
        signal = np.random.default_rng(0).random(5 * length).astype(dtype)
        yield Case(f"31 taps, 1-D {form}", "signal", line, signal, dtype, boundary="zero")
    for form, image in _images(half, half):
        kept = image.dtype.name
        for size in (2, 4):
            for pool in ("max pool", "mean pool"):
                yield Case(f"{pool} {size}, {form}", pool, size, image, kept)
        yield Case(f"gaussian 2, stride 2, {form}", "gaussian", 2.0, image, kept, stride=2)
        yield Case(f"dense 5x5, stride 2, {form}", "dense", kernel, image, kept, stride=2)
        yield Case(f"dense 5x5, dilation 2, {form}", "dense", kernel, image, kept, dilation=2)
    _, (form, image) = _images(half, half)
    for boundary in BOUNDARIES:
        yield Case(f"gaussian 2, {boundary}, {form}", "gaussian", 2.0, image, "float32", boundary)
        yield Case(f"dense 5x5, {boundary}, {form}", "dense", kernel, image, "float32", boundary)


SETS = {"small": small, "large": large, "odd": odd}


def _images(*shape: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield an image of 8 bits and one of float32."""
    random = np.random.default_rng(0)
    yield "u8", random.integers(0, 256, shape, dtype=np.uint8)
    yield "f32", random.random(shape, dtype=np.float32)


def _filters(label: str, image: np.ndarray) -> Iterator[Case]:
    kept = image.dtype.name
    for sigma in SIGMAS:
        yield Case(f"gaussian {sigma:g}, {label}", "gaussian", float(sigma), image, kept)
    for size in MEANS:
        yield Case(f"mean {size}, {label}", "mean", size, image, kept)
    for size in DENSE:
        yield Case(f"dense {size}x{size}, {label}", "dense", _dense(size), image, kept)
    laplacian = cf.templates.named("laplacian-4")
    for dtype in ("int16", "float32") if kept == "uint8" else ("float32",):
        yield Case(f"laplacian to {dtype}, {label}", "laplacian", laplacian, image, dtype)


def _dense(size: int) -> cf.Kernel:
    weights = np.random.default_rng(size).random((size, size))
    return cf.Kernel(weights / weights.sum())
