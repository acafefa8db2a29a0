"""How OpenCV computes a case: in one call where it has one, else in the few that its users write.

It has no stride (everything is computed, every other row and column taken), no dilation (a kernel with zeros
in between), neither `wrap` nor a constant other than 0 (the image is padded first, every time), and no
`renormalize` (with zeros outside, divided by sums of weights that were computed beforehand).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import CONSTANT, Call, Case, taps

Apply = Callable[[np.ndarray, np.ndarray | None], Any]


def opencv(case: Case, threads: int) -> Call | None:
    """OpenCV, writing into the same array every time where it can."""
    import cv2

    cv2.setNumThreads(threads)
    image = np.atleast_2d(case.image)
    if case.pooling:
        size = image.shape[1] // case.parameter, image.shape[0] // case.parameter
        if case.filter == "max pool":
            return None
        return lambda: cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    out = np.empty(image.shape, case.dtype)
    if case.boundary in ("wrap", "constant"):
        return _padded(case, image)
    if case.boundary == "renormalize":
        apply = _filter(case, cv2.BORDER_CONSTANT)
        weights = apply(np.ones_like(image), None)
        return lambda: cv2.divide(apply(image, out), weights, dst=out)
    borders = {
        "zero": cv2.BORDER_CONSTANT, "edge": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101,
        "symmetric": cv2.BORDER_REFLECT,
    }  # fmt: skip
    apply = _filter(case, borders[case.boundary])
    if case.stride > 1:
        step = slice(None, None, case.stride)
        return lambda: np.ascontiguousarray(apply(image, out)[step, step])
    return lambda: apply(image, out)


def spread(case: Case) -> np.ndarray:
    """Return the kernel of a case with zeros between its taps where it is dilated."""
    rows, columns = (case.dilation * (side - 1) + 1 for side in case.kernel.shape)
    wide = np.zeros((rows, columns))
    wide[:: case.dilation, :: case.dilation] = case.kernel.array
    return wide


def _filter(case: Case, border: int) -> Apply:
    import cv2

    if case.filter == "gaussian":
        side, sigma = (taps(case.parameter),) * 2, case.parameter
        return lambda image, out: cv2.GaussianBlur(image, side, sigma, dst=out, borderType=border)
    if case.filter == "mean":
        size = (case.parameter,) * 2
        return lambda image, out: cv2.blur(image, size, dst=out, borderType=border)
    depths = {"uint8": cv2.CV_8U, "int16": cv2.CV_16S, "float32": cv2.CV_32F, "float64": cv2.CV_64F}
    depth = depths[case.dtype]
    if case.filter == "laplacian":
        return lambda image, out: cv2.Laplacian(image, depth, dst=out, ksize=1, borderType=border)
    kernel = spread(case).astype(np.float64 if case.dtype == "float64" else np.float32)
    return lambda image, out: cv2.filter2D(image, depth, kernel, dst=out, borderType=border)


def _padded(case: Case, image: np.ndarray) -> Call:
    import cv2

    rows, columns = (side // 2 for side in spread(case).shape)
    border = cv2.BORDER_WRAP if case.boundary == "wrap" else cv2.BORDER_CONSTANT
    apply = _filter(case, cv2.BORDER_REPLICATE)

    def call() -> Any:
        wide = cv2.copyMakeBorder(image, rows, rows, columns, columns, border, value=CONSTANT)
        return apply(wide, None)[rows:-rows, columns:-columns]

    return call
