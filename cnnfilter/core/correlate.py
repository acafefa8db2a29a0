"""Correlation and convolution of arrays: validate, plan, execute."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core import threads as threading
from cnnfilter.core.boundary import check_boundary, index_map
from cnnfilter.core.geometry import Axis, Geometry, Number, Padding, make_geometry, number_pair
from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.methods import direct, fft, recursive, running, separable
from cnnfilter.core.methods.work import FORMS, Array, Work
from cnnfilter.core.plan import Plan, make_plan, sums_to_one
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.kernels.kernel import Kernel

KernelLike: TypeAlias = Kernel | ArrayLike
DtypeLike: TypeAlias = Any

LEAST_WORK = 400_000
"""Nanoseconds of estimated work for each thread; handing a strip to another thread costs about 100 000."""


def correlate(
    image: ArrayLike,
    kernel: KernelLike,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: str = "zero",
    constant: float = 0.0,
    dilation: Number = 1,
    dtype: DtypeLike = None,
    accuracy: str = "exact",
    method: str = "auto",
    threads: int | None = None,
) -> NDArray[Any]:
    r"""Cross-correlate an image with a kernel, which is not flipped (equations 13 and 14).

    .. math:: y_{ij} = \sum_{u=1}^{U} \sum_{v=1}^{V} w_{uv}\, x_{i+u-1,\, j+v-1}

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64; channels last, each filtered on its own.
    kernel : Kernel or array of shape (U, V) or (V,)
        Finite weights.
    stride, dilation : int or pair of int, default 1
        Rows and columns from one output, or tap, to the next.
    padding : str, int, pair or pair of pairs, default "same"
        How much stands beside the image: "narrow", "wide", "same", or numbers; see `core.geometry`.
    boundary : str, default "zero"
        What stands there; see `core.boundary`. The filters `mean`, `gaussian` and `second_derivative` and
        the command line default to "reflect" instead, because zero darkens the border of a photograph.
    constant : float, default 0
        The value of ``boundary="constant"``; it must be a value of the image's dtype.
    dtype : dtype, optional
        Type of the result. By default float32, or float64 for float64 images. An integer type rounds half to
        even and saturates.
    accuracy : {"exact", "fast"}
        "fast" allows approximations, with the bound that `explain` states.
    method : str, default "auto"
        Forces a method: "direct", "separable", "low rank", "running sums", "fft", "recursive".
    threads : int, optional
        Default: ``CNNFILTER_THREADS``, else all cores.

    Returns
    -------
    array
        As many dimensions as the image; along each axis ``floor((M - K + P) / S) + 1``.

    Raises
    ------
    DtypeError
        An image, kernel or dtype of another type.
    ParameterError
        Impossible geometry, unknown names, kernels or constants that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> correlate(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8), [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[9., 8., 7.],
           [6., 5., 4.],
           [3., 2., 1.]], dtype=float32)
    >>> correlate(np.arange(5, dtype=np.uint8), [1, 0, -1], padding="narrow")
    array([-2., -2., -2.], dtype=float32)
    """
    return filtered(
        image, as_kernel(kernel), stride=stride, padding=padding, boundary=boundary, constant=constant,
        dilation=dilation, dtype=dtype, accuracy=accuracy, method=method, threads=threads,
    )  # fmt: skip


def convolve(
    image: ArrayLike,
    kernel: KernelLike,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: str = "zero",
    constant: float = 0.0,
    dilation: Number = 1,
    dtype: DtypeLike = None,
    accuracy: str = "exact",
    method: str = "auto",
    threads: int | None = None,
) -> NDArray[Any]:
    r"""Convolve an image with a kernel: correlation with the kernel turned by 180 degrees (8, 15).

    .. math:: y_{ij} = \sum_{u=1}^{U} \sum_{v=1}^{V} w_{uv}\, x_{i-u+1,\, j-v+1}

    The arguments are those of `correlate`.

    Examples
    --------
    >>> import numpy as np
    >>> convolve(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8), [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[1., 2., 3.],
           [4., 5., 6.],
           [7., 8., 9.]], dtype=float32)
    """
    return correlate(
        image, as_kernel(kernel).rotated(), stride=stride, padding=padding, boundary=boundary,
        constant=constant,
        dilation=dilation, dtype=dtype, accuracy=accuracy, method=method, threads=threads,
    )  # fmt: skip


def explain(
    shape: tuple[int, ...],
    dtype: DtypeLike,
    kernel: KernelLike,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: str = "zero",
    dilation: Number = 1,
    output: DtypeLike = None,
    accuracy: str = "exact",
    method: str = "auto",
    sigmas: tuple[float, float] | None = None,
) -> Plan:
    """Return the plan that `correlate` would follow, without touching a pixel.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image, (N,), (H, W) or (H, W, C).
    dtype : dtype
        Type of the image.
    kernel : Kernel or array
    output : dtype, optional
        Type of the result, `dtype` in `correlate`.
    sigmas : pair of float, optional
        Standard deviations, if the kernel is a Gaussian; with ``accuracy="fast"``.

    Examples
    --------
    >>> plan = explain((480, 640), "uint8", [[1, 2, 1], [2, 4, 2], [1, 2, 1]], stride=2)
    >>> plan.method, plan.output_shape, plan.padding
    ('direct', (240, 320), ((1, 1), (1, 1)))
    """
    source = checked_dtype("image", dtype)
    if len(shape) not in (1, 2, 3):
        raise ParameterError(f"an image has 1, 2 or 3 dimensions, not {len(shape)} (shape {shape})")
    kernel = _fitted(as_kernel(kernel), len(shape))
    geometry = _geometry(shape, kernel, stride, padding, dilation)
    return make_plan(
        kernel, geometry, source.name, _output_dtype(source, output).name,
        shape=_output_shape(shape, geometry), boundary=check_boundary(boundary), accuracy=accuracy,
        method=method, sigmas=sigmas,
    )  # fmt: skip


def filtered(
    image: ArrayLike,
    kernel: Kernel,
    *,
    stride: Number,
    padding: Padding,
    boundary: str,
    constant: float,
    dilation: Number,
    dtype: DtypeLike,
    accuracy: str,
    method: str,
    threads: int | None,
    sigmas: tuple[float, float] | None = None,
) -> NDArray[Any]:
    """Correlate; what `correlate` and the filters have in common."""
    pixels = checked_image(image)
    plan = explain(
        pixels.shape, pixels.dtype, kernel, stride=stride, padding=padding, boundary=boundary,
        dilation=dilation, output=dtype, accuracy=accuracy, method=method, sigmas=sigmas,
    )  # fmt: skip
    constant = _checked_constant(constant, pixels.dtype) if boundary == "constant" else 0.0
    geometry = _geometry(pixels.shape, plan.kernel, stride, padding, dilation)
    image3 = three_dimensional(pixels)
    height, width = geometry.output_shape
    out = aligned_empty((height, width, image3.shape[2]), np.dtype(plan.dtype))
    outside = "zero" if boundary == "renormalize" else boundary
    work = Work(
        image3, out, geometry,
        index_map(geometry.rows.length, geometry.rows.before, geometry.rows.after, outside),
        index_map(geometry.columns.length, geometry.columns.before, geometry.columns.after, outside),
        constant, "f64" if plan.accumulator == "float64" else "f32", _useful_threads(plan, threads),
    )  # fmt: skip
    execute(plan, work)
    if boundary == "renormalize":
        _renormalize(plan, work)
    return out.reshape(plan.output_shape)


def _useful_threads(plan: Plan, threads: int | None) -> int:
    """Return how many threads are worth their start: each is to have some work to do."""
    nanoseconds = float(np.prod(plan.output_shape)) * plan.cost
    return max(1, min(threading.count(threads), int(nanoseconds / LEAST_WORK)))


def execute(plan: Plan, work: Work) -> None:
    """Fill `work.out` by the plan's method."""
    kernel = plan.kernel
    pivot = work.target.startswith("f") and sums_to_one(kernel)
    if plan.method == "direct":
        direct.run(work, kernel.array, pivot)
    elif plan.method == "fft":
        fft.run(work, kernel.array, 1.0 if sums_to_one(kernel) else kernel.sum)
    elif plan.method == "recursive":
        assert plan.sigmas is not None, "a recursive plan has sigmas"
        if not recursive.run(work, plan.sigmas):
            _separable(plan, work, pivot)
    elif plan.method == "running sums":
        running.run(work)
    elif plan.method == "separable":
        _separable(plan, work, pivot)
    else:
        terms = [(column / kernel.divisor, row) for column, row in kernel.terms()]
        separable.run(work, terms, pivot=False)


def _separable(plan: Plan, work: Work, pivot: bool) -> None:
    factors = plan.kernel.factors()
    assert factors is not None, "a separable plan has factors"
    separable.run(work, [_normalised(*factors, plan.kernel)], pivot)


def _normalised(
    column: NDArray[np.float64], row: NDArray[np.float64], kernel: Kernel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share the divisor so that the factors of a kernel with sum 1 sum to 1 each."""
    total = float(row.sum())
    if sums_to_one(kernel) and total != 0:
        return column * (total / kernel.divisor), row / total
    return column / kernel.divisor, row


def _renormalize(plan: Plan, work: Work) -> None:
    """Compute the border again: the sum over the pixels that exist over the sum of their weights."""
    height, width = work.out.shape[:2]
    top, bottom = work.geometry.rows.interior
    left, right = work.geometry.columns.interior
    top, left = min(top, height), min(left, width)
    bottom, right = min(max(bottom, top), height), min(max(right, left), width)
    for rows, columns in (
        ((0, top), (0, width)),
        ((bottom, height), (0, width)),
        ((top, bottom), (0, left)),
        ((top, bottom), (right, width)),
    ):
        if rows[0] < rows[1] and columns[0] < columns[1]:
            _renormalize_part(plan, work, rows, columns)


def _renormalize_part(plan: Plan, work: Work, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    down, first_row, last_row = work.geometry.rows.part(*rows)
    across, first_column, last_column = work.geometry.columns.part(*columns)
    pixels = work.image[first_row:last_row, first_column:last_column].astype(np.float64)
    # Differences from one pixel, so that a constant stays the same to the last bit.
    first = work.pivots(sums_to_one(plan.kernel))[: work.channels].astype(np.float64)
    pixels -= first
    sums = aligned_empty((down.output, across.output, work.channels), np.dtype(np.float64))
    part = Work(
        pixels, sums, Geometry(down, across),
        index_map(down.length, down.before, down.after, "zero"),
        index_map(across.length, across.before, across.after, "zero"), 0.0, "f64", 1,
    )  # fmt: skip
    direct.run(part, plan.kernel.array, pivot=False)
    weights = _inside(down) @ plan.kernel.array @ _inside(across).T
    magnitudes = _inside(down) @ np.abs(plan.kernel.array) @ _inside(across).T
    least = 1e-9 * float(np.abs(plan.kernel.array).sum())
    if not (np.abs(weights) > least).all():
        cause = (
            "its negative weights cancel the others near the border"
            if (magnitudes > least).all()
            else "near the border all its weights but zeros lie outside (less dilation or padding may help)"
        )
        raise ParameterError(
            "boundary 'renormalize' divides by the sum of the weights that lie on the image, which is 0 for "
            f"this kernel: {cause}; use another boundary, such as 'edge'"
        )
    exact = sums * (plan.kernel.sum / weights)[:, :, None] + first
    target = work.out[rows[0] : rows[1], columns[0] : columns[1]]
    if target.dtype.kind != "f":
        limits = np.iinfo(target.dtype)
        exact = np.clip(np.rint(exact), limits.min, limits.max)
    target[...] = exact


def _inside(axis: Axis) -> NDArray[np.float64]:
    """Return for each output (row) and tap (column) 1 where the tap lies on the image, else 0."""
    places = (
        np.arange(axis.output)[:, None] * axis.stride + np.arange(axis.kernel) * axis.dilation - axis.before
    )
    return ((places >= 0) & (places < axis.length)).astype(np.float64)


def as_kernel(kernel: KernelLike) -> Kernel:
    """Return a `Kernel`; a bare array becomes one."""
    if isinstance(kernel, Kernel):
        return kernel
    if isinstance(kernel, str | bytes):
        raise DtypeError(
            f"a kernel cannot be the text {kernel!r}; use templates.named(...), Kernel.parse(...) or an array"
        )
    return Kernel(kernel)


def checked_dtype(what: str, dtype: DtypeLike) -> np.dtype[Any]:
    """Return one of the five dtypes, or raise `DtypeError`."""
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise DtypeError(f"{dtype!r} is not a dtype; use one of {', '.join(FORMS)}") from error
    if found.name not in FORMS:
        raise DtypeError(f"{what} dtype {found.name} is not supported; use one of {', '.join(FORMS)}")
    return np.dtype(found.name)


def checked_image(image: ArrayLike) -> NDArray[Any]:
    """Return the image as an array of a supported dtype, shape and byte order."""
    pixels = np.asarray(image)
    dtype = checked_dtype("image", pixels.dtype)
    if pixels.ndim not in (1, 2, 3):
        raise ParameterError(
            f"an image has 1, 2 or 3 dimensions, not {pixels.ndim} (shape {pixels.shape}); "
            "give (N,), (H, W) or (H, W, C)"
        )
    if 0 in pixels.shape:
        raise ParameterError(f"the image is empty (shape {pixels.shape}); every side needs at least 1")
    return pixels.astype(dtype, copy=False)


def three_dimensional(pixels: NDArray[Any]) -> Array:
    """Return an (H, W, C) view whose rows are stored without gaps; copy only if there is no such view."""
    image = pixels[None, :, None] if pixels.ndim == 1 else pixels[:, :, None] if pixels.ndim == 2 else pixels
    size, channels = image.itemsize, image.shape[2]
    packed = (channels == 1 or image.strides[2] == size) and (
        image.shape[1] == 1 or image.strides[1] == size * channels
    )
    if packed and image.strides[0] % size == 0 and image.flags.aligned:
        return image
    return np.ascontiguousarray(image)


def _fitted(kernel: Kernel, dimensions: int) -> Kernel:
    """Lay a kernel along a 1-D signal."""
    if dimensions > 1 or kernel.shape[0] == 1:
        return kernel
    if kernel.shape[1] == 1:
        return Kernel(kernel.weights.T, kernel.divisor, kernel.name)
    rows, columns = kernel.shape
    raise ParameterError(f"a {rows}x{columns} kernel does not fit a 1-D signal; use a kernel of one row")


def _geometry(
    shape: tuple[int, ...], kernel: Kernel, stride: Number, padding: Padding, dilation: Number
) -> Geometry:
    if len(shape) > 1:
        return make_geometry((shape[0], shape[1]), kernel.shape, stride, padding, dilation)
    if not isinstance(padding, str):
        sides: object = padding
        if isinstance(padding, tuple | list) and len(padding) == 2 and isinstance(padding[1], tuple | list):
            sides = padding[1]
        padding = ((0, 0), number_pair("padding", sides, least=0))
    return make_geometry((1, shape[0]), kernel.shape, (1, _along(stride)), padding, (1, _along(dilation)))


def _along(number: Number) -> int:
    """Return the number that concerns a signal: the one there is, or the columns' one of a pair."""
    return number[-1] if isinstance(number, tuple | list) else number


def _output_shape(shape: tuple[int, ...], geometry: Geometry) -> tuple[int, ...]:
    height, width = geometry.output_shape
    return (width,) if len(shape) == 1 else (height, width, *shape[2:])


def _output_dtype(source: np.dtype[Any], asked: DtypeLike) -> np.dtype[Any]:
    if asked is not None:
        return checked_dtype("output", asked)
    return np.dtype(np.float64 if source == np.float64 else np.float32)


def _checked_constant(constant: float, dtype: np.dtype[Any]) -> float:
    try:
        # Unlike float(), this takes no text.
        value = math.fsum((constant,))
    except (TypeError, ValueError) as error:
        raise DtypeError(f"constant {constant!r} is not a number") from error
    if dtype.kind == "f":
        fits = bool(np.isfinite(value)) and abs(value) <= float(np.finfo(dtype).max)
    else:
        limits = np.iinfo(dtype)
        fits = value.is_integer() and limits.min <= value <= limits.max
    if not fits:
        raise ParameterError(f"constant {constant!r} is not a value of {dtype.name}, the image's type")
    return value
