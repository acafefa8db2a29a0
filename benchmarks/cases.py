"""What is measured: the filters, the images, and how far a peer's output may be from ours."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import cnnfilter as cf

SIGMAS = (0.8, 1, 2, 4, 10)
MEANS = (3, 5, 15, 31)
DENSE = (3, 5, 7, 11, 15, 31)


@dataclass(frozen=True)
class Case:
    """One filter on one image; `parameter` is sigma, the size, or the kernel."""

    name: str
    filter: str
    parameter: Any
    image: np.ndarray
    dtype: str

    def ours(self, threads: int) -> np.ndarray:
        """Compute it with cnnfilter."""
        if self.filter == "gaussian":
            return cf.gaussian(self.image, self.parameter, threads=threads)
        if self.filter == "mean":
            return cf.mean(self.image, self.parameter, threads=threads)
        return cf.correlate(self.image, self.parameter, boundary="reflect", dtype=self.dtype, threads=threads)

    @property
    def tolerance(self) -> float:
        """Largest difference from a peer that rounds its own way: 2 grey levels, or float32's rounding."""
        return 2.0 if self.dtype in ("uint8", "int16") else 1e-4 * max(1.0, float(np.abs(self.image).max()))


def taps(sigma: float) -> int:
    """Side of the Gaussian template, the same for every peer that can be told."""
    return 2 * int(np.ceil(4 * sigma)) + 1


def images(side: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a grey image of side x side and an RGB image of half of that, in 8 bits and in float32."""
    random = np.random.default_rng(0)
    for label, shape in (("grey", (side, side)), ("RGB", (side // 2, side // 2, 3))):
        yield f"{label} u8", random.integers(0, 256, shape, dtype=np.uint8)
        yield f"{label} f32", random.random(shape, dtype=np.float32)


def cases(side: int) -> Iterator[Case]:
    """Yield every row of the table."""
    random = np.random.default_rng(1)
    kernels = {size: _dense(random, size) for size in DENSE}
    laplacian = cf.templates.named("laplacian-4")
    for label, image in images(side):
        kept = image.dtype.name
        for sigma in SIGMAS:
            yield Case(f"gaussian {sigma:g}, {label}", "gaussian", float(sigma), image, kept)
        for size in MEANS:
            yield Case(f"mean {size}, {label}", "mean", size, image, kept)
        for size, kernel in kernels.items():
            yield Case(f"dense {size}x{size}, {label}", "dense", kernel, image, kept)
        for dtype in ("int16", "float32") if kept == "uint8" else ("float32",):
            yield Case(f"laplacian to {dtype}, {label}", "laplacian", laplacian, image, dtype)


def _dense(random: np.random.Generator, size: int) -> cf.Kernel:
    weights = random.random((size, size))
    return cf.Kernel(weights / weights.sum())
