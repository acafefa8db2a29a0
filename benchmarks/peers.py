"""How each peer computes a case, where it can. A peer that is not installed is left out."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.cases import CONSTANT, Call, Case, taps
from benchmarks.opencv import opencv, spread


def scipy(case: Case, threads: int) -> Call | None:
    """SciPy's ndimage, on one thread."""
    from scipy import ndimage

    image, kernel = case.image, None if case.pooling else spread(case)
    modes = {
        "zero": "constant", "constant": "constant", "edge": "nearest", "reflect": "mirror",
        "symmetric": "reflect", "wrap": "wrap",
    }  # fmt: skip
    if threads > 1 or kernel is None or case.filter == "laplacian" or case.boundary not in modes:
        return None
    if case.filter == "dense" and kernel.shape[0] > 9:
        return None
    if image.dtype == np.uint8 and case.filter != "mean":
        return None  # it truncates
    how: Any = {"mode": modes[case.boundary], "cval": CONSTANT if case.boundary == "constant" else 0.0}
    step = (slice(None, None, case.stride),) * 2
    flat = (0,) * (image.ndim - 2)
    if case.filter == "signal":
        return lambda: ndimage.correlate1d(image, kernel[0], **how)
    if case.filter == "gaussian":
        sigma = (case.parameter,) * 2 + flat
        radius = (taps(case.parameter) // 2,) * 2 + flat
        return lambda: ndimage.gaussian_filter(image, sigma, radius=radius, **how)[step]
    if case.filter == "mean":
        size = (case.parameter,) * 2 + (1,) * len(flat)
        return lambda: ndimage.uniform_filter(image, size, **how)
    kernel = kernel.reshape(kernel.shape + (1,) * len(flat))
    return lambda: ndimage.correlate(image, kernel, **how)[step]


def numpy(case: Case, threads: int) -> Call | None:
    """NumPy's convolve for signals; windows laid along axes of their own for pooling. One thread."""
    if threads > 1:
        return None
    image = case.image
    if case.filter == "signal":
        weights = case.kernel.array[0, ::-1].astype(image.dtype)
        return lambda: np.convolve(image, weights, "same")
    if not case.pooling:
        return None
    height, width, size = *case.output_shape, case.parameter
    windows = image.reshape(height, size, width, size)
    if case.filter == "max pool":
        return lambda: windows.max(axis=(1, 3))
    if image.dtype == np.uint8:
        return lambda: np.rint(windows.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
    return lambda: windows.mean(axis=(1, 3))


def scikit_image(case: Case, threads: int) -> Call | None:
    """scikit-image's Gaussian, on one thread."""
    from skimage.filters import gaussian

    if case.filter != "gaussian" or threads > 1 or case.dtype != "float32" or not case.plain:
        return None
    axis = -1 if case.image.ndim == 3 else None
    radius = taps(case.parameter) // 2
    return lambda: gaussian(
        case.image, case.parameter, mode="mirror", truncate=radius / case.parameter, channel_axis=axis
    )


def pillow(case: Case, threads: int) -> Call | None:
    """Pillow's approximate Gaussian (repeated boxes) and its 3 x 3 and 5 x 5 kernels, 8 bits, one thread."""
    from PIL import Image, ImageFilter

    if case.dtype != "uint8" or threads > 1 or not case.plain or case.image.shape[2:] not in ((), (3,)):
        return None
    image = Image.fromarray(case.image)
    if case.filter == "gaussian":
        blur: Any = ImageFilter.GaussianBlur(case.parameter)
    elif case.filter == "mean":
        blur = ImageFilter.BoxBlur(case.parameter // 2)
    elif case.parameter.shape[0] in (3, 5):
        blur = ImageFilter.Kernel(case.parameter.shape, case.parameter.array[::-1].ravel().tolist(), 1)
    else:
        return None
    return lambda: image.filter(blur)


def pytorch(case: Case, threads: int) -> Call | None:
    """PyTorch's conv2d with the border padded beforehand, float32; its own stride and dilation."""
    import torch

    if case.dtype != "float32" or case.image.dtype != np.float32 or case.filter != "dense":
        return None
    if case.boundary != "reflect":
        return None
    torch.set_num_threads(threads)
    channels = case.image.shape[2] if case.image.ndim == 3 else 1
    side = spread(case).shape[0] // 2
    planes = torch.from_numpy(np.atleast_3d(case.image).transpose(2, 0, 1)[None].copy())
    planes = torch.nn.functional.pad(planes, (side,) * 4, mode="reflect")
    weights = torch.from_numpy(np.tile(case.parameter.array.astype(np.float32), (channels, 1, 1, 1)))

    def call() -> Any:
        with torch.no_grad():
            return torch.nn.functional.conv2d(
                planes, weights, stride=case.stride, dilation=case.dilation, groups=channels
            )

    return call


def vips(case: Case, threads: int) -> Call | None:
    """Libvips through pyvips: its Gaussian and its integer or float convolution, with copied edges."""
    import pyvips

    if case.filter not in ("gaussian", "dense") or not case.plain:
        return None
    if os.environ.get("VIPS_CONCURRENCY") != str(threads):
        return None  # it is read once, when libvips starts
    image = pyvips.Image.new_from_array(case.image)
    if case.filter == "gaussian":
        return lambda: image.gaussblur(case.parameter, min_ampl=0.0003, precision="float").write_to_memory()
    kernel = pyvips.Image.new_from_array(case.parameter.array.tolist())
    return lambda: image.conv(kernel, precision="float").cast(image.format).write_to_memory()


PEERS: dict[str, tuple[str, Callable[[Case, int], Call | None]]] = {
    "OpenCV": ("cv2", opencv),
    "SciPy": ("scipy", scipy),
    "NumPy": ("numpy", numpy),
    "scikit-image": ("skimage", scikit_image),
    "Pillow": ("PIL", pillow),
    "PyTorch": ("torch", pytorch),
    "libvips": ("pyvips", vips),
}

APPROXIMATE = {"Pillow", "libvips"}
"""Peers that approximate the Gaussian or treat edges differently: their outputs are not held against ours."""


def installed(names: list[str]) -> list[str]:
    """Return those of the named peers whose package is here."""
    return [name for name in names if find_spec(PEERS[name][0])]


def pixels(output: Any, case: Case) -> np.ndarray:
    """Return a peer's output as an array of our shape."""
    array = np.asarray(output)
    if array.ndim == 4:
        array = array[0].transpose(1, 2, 0)
    return array.reshape(case.output_shape)
