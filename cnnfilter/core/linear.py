"""Correlation and convolution of images of every type, with missing pixels; what linear filters share.

The shared keywords are described once, in `correlate`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core.arguments import (
    as_pixels,
    checked_constant,
    checked_dtype,
    core_type,
    core_values,
    delivered,
    holding,
    in_planes,
    is_chunked,
    require_output,
    result_type,
    stored,
    takes_sums,
)
from cnnfilter.core.boundary import boundary_pair, one_boundary
from cnnfilter.core.correlate import DtypeLike, KernelLike, as_kernel, filtered
from cnnfilter.core.correlate import explain as core_plan
from cnnfilter.core.geometry import Number, Padding, make_geometry
from cnnfilter.core.missing import find_missing
from cnnfilter.core.plan import Plan
from cnnfilter.errors import DtypeError, shown
from cnnfilter.kernels.kernel import Kernel

Boundary: TypeAlias = str | tuple[str, str]


def correlate(
    image: ArrayLike,
    kernel: KernelLike,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: Boundary = "zero",
    constant: float = 0.0,
    dilation: Number = 1,
    dtype: DtypeLike = None,
    missing: Any = None,
    fill: bool = False,
    accuracy: str = "exact",
    method: str = "auto",
    threads: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    r"""Cross-correlate an image with a kernel, which is not flipped (equations 13 and 14).

    .. math:: y_{ij} = \sum_{u=1}^{U} \sum_{v=1}^{V} w_{uv}\, x_{i+u-1,\, j+v-1}

    Parameters
    ----------
    image : array of shape (N,), (H, W) or (H, W, C)
        Of any real type of up to 64 bits; channels last, each filtered on its own. Lists become float64. A
        dask array gives one, which is computed chunk by chunk when it is asked for.
    kernel : Kernel or array of shape (U, V) or (V,)
        Finite weights.
    stride, dilation : int or pair of int, default 1
        Rows and columns from one output, or tap, to the next.
    padding : str, int, pair or pair of pairs, default "same"
        How much stands beside the image: "narrow", "wide", "same", or numbers; see `core.geometry`.
    boundary : str or pair of str, default "zero"
        What stands there, for both axes or for rows and columns; see `core.boundary`. The filters with a
        kernel of their own and the command line default to "reflect" instead, because zero darkens the
        border of a photograph.
    constant : float, default 0
        The value of ``boundary="constant"``: any finite number, in the image's type or not.
    dtype : dtype, optional
        Type of the result. By default float32, or float64 for images of float64 and of integers of 32 bits
        and more. An integer type rounds half to even and saturates. Of an 8-bit result that is promised for
        the exact sum, but where it lies within 0.001 of a tie: there means, and sums whose weights are whole
        numbers over a power of two, are still exact, and others may be either neighbour. A 16-bit result lies
        within 0.51 of the exact sum.
    missing : "nan", number or bool array, optional
        Which pixels are not there: those that are NaN, those that equal a number, or those where an array is
        True. No sum sees them. A kernel of weights of 0 or more is normalised to the others; with negative
        weights a result is missing as soon as a missing pixel lies under a weight other than 0; see
        `core.normalised`. A missing result holds the number, or NaN. With an array the result is a masked
        array; a masked image brings its mask and gives one back.
    fill : bool, default False
        A result whose own pixel, the one under the kernel's centre, is missing is missing too, unless it is
        to be filled from the pixels around it.
    accuracy : {"exact", "fast"}
        "fast" allows approximations, with the bound that `explain` states.
    method : str, default "auto"
        Forces a method: "direct", "separable", "low rank", "running sums", "fft", "recursive".
    threads : int, optional
        Default: ``CNNFILTER_THREADS``, else all cores.
    out : array, optional
        Where to put the result, of its shape and type. It may overlap the image.

    Returns
    -------
    array
        As many dimensions as the image; along each axis ``floor((M - K + P) / S) + 1``.

    Raises
    ------
    DtypeError
        An image, kernel, dtype or output of a type that cannot be used.
    ParameterError
        Impossible geometry, unknown names, kernels or constants that are not finite, whole numbers beyond
        2**53, or a missing value that the type of the image or of the result does not have.

    Examples
    --------
    >>> import numpy as np
    >>> correlate(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8), [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[9., 8., 7.],
           [6., 5., 4.],
           [3., 2., 1.]], dtype=float32)
    >>> correlate(np.arange(5, dtype=np.uint8), [1, 0, -1], padding="narrow")
    array([-2., -2., -2.], dtype=float32)
    >>> correlate([1, 2, np.nan, 4], [1, 1, 1], missing="nan", fill=True, boundary="edge")
    array([ 4. ,  4.5,  9. , 12. ])
    """
    return filter_image(
        image, as_kernel(kernel), stride=stride, padding=padding, boundary=boundary, constant=constant,
        dilation=dilation, dtype=dtype, missing=missing, fill=fill, accuracy=accuracy, method=method,
        threads=threads, out=out,
    )  # fmt: skip


def convolve(
    image: ArrayLike,
    kernel: KernelLike,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: Boundary = "zero",
    constant: float = 0.0,
    dilation: Number = 1,
    dtype: DtypeLike = None,
    missing: Any = None,
    fill: bool = False,
    accuracy: str = "exact",
    method: str = "auto",
    threads: int | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    r"""Convolve an image with a kernel: correlation with the kernel turned by 180 degrees (8, 15).

    .. math:: y_{ij} = \sum_{u=1}^{U} \sum_{v=1}^{V} w_{uv}\, x_{i-u+1,\, j-v+1}

    The arguments are those of `correlate`.

    Returns
    -------
    array

    Raises
    ------
    ParameterError, DtypeError
        As `correlate`.

    Examples
    --------
    >>> import numpy as np
    >>> convolve(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8), [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[1., 2., 3.],
           [4., 5., 6.],
           [7., 8., 9.]], dtype=float32)
    """
    return filter_image(
        image, as_kernel(kernel).rotated(), stride=stride, padding=padding, boundary=boundary,
        constant=constant, dilation=dilation, dtype=dtype, missing=missing, fill=fill, accuracy=accuracy,
        method=method, threads=threads, out=out,
    )  # fmt: skip


def explain(
    shape: tuple[int, ...],
    dtype: DtypeLike,
    kernel: KernelLike,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: Boundary = "zero",
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
    stride, padding, boundary, dilation, accuracy, method
        As those of `correlate`.
    sigmas : pair of float, optional
        Standard deviations, if the kernel is a Gaussian that does not know its own; with
        ``accuracy="fast"``.

    Returns
    -------
    Plan

    Raises
    ------
    ParameterError, DtypeError
        As `correlate`, and for a method that cannot compute this filter.

    Examples
    --------
    >>> plan = explain((480, 640), "uint8", [[1, 2, 1], [2, 4, 2], [1, 2, 1]], stride=2)
    >>> plan.method, plan.output_shape, plan.padding
    ('direct', (240, 320), ((1, 1), (1, 1)))
    """
    source = checked_dtype("image", dtype)
    target = result_type(source, output)
    rows, columns = boundary_pair(boundary)
    plan = core_plan(
        shape, core_type(source), kernel, stride=stride, padding=padding, boundary=columns,
        dilation=dilation, output=core_type(target), accuracy=accuracy, method=method, sigmas=sigmas,
    )  # fmt: skip
    if rows == columns and target == core_type(target):
        return plan
    both = columns if rows == columns else f"{rows} of rows, {columns} of columns"
    return replace(plan, dtype=target.name, boundary=both)


def filter_image(
    image: ArrayLike,
    kernel: Kernel,
    *,
    stride: Number,
    padding: Padding,
    boundary: Boundary,
    constant: float,
    dilation: Number,
    dtype: DtypeLike,
    missing: Any,
    fill: bool,
    accuracy: str,
    method: str,
    threads: int | None,
    out: NDArray[Any] | None,
    smoothing: bool = False,
) -> NDArray[Any]:
    """Correlate an image of any type; what `correlate` and the linear filters have in common.

    `smoothing` chooses the default type of the result: see `core.arguments`.
    """
    if not (isinstance(accuracy, str) and isinstance(method, str)):
        raise DtypeError(f"accuracy {shown(accuracy)} and method {shown(method)} are names, both of them")
    if not isinstance(fill, (bool, np.bool_)):  # a union is made anew at each call
        raise DtypeError(f"fill {shown(fill)} is neither True nor False")
    pixels = as_pixels(image)
    target = result_type(pixels.dtype, dtype, smoothing=smoothing)
    how: dict[str, Any] = {"accuracy": accuracy, "method": method, "threads": threads}
    if missing is None and out is None and isinstance(boundary, str) and _is_plain(pixels, target, boundary):
        return filtered(
            pixels, kernel, stride=stride, padding=padding, boundary=boundary, constant=0.0,
            dilation=dilation, dtype=target, **how,
        )  # fmt: skip
    if is_chunked(pixels):
        from cnnfilter.core.chunked import linear_in_chunks

        how |= {
            "kernel": kernel, "stride": stride, "boundary": boundary, "constant": constant,
            "dilation": dilation, "dtype": target, "missing": missing, "fill": fill, "out": None,
        }  # fmt: skip
        title = kernel.name.partition(":")[0] or "correlate"
        return linear_in_chunks(title, filter_image, pixels, kernel, how, padding=padding, out=out)
    missed = find_missing(pixels, missing)
    boundaries = boundary_pair(boundary)
    values = core_values(pixels, missed and missed.where)
    if "constant" in boundaries:
        constant = checked_constant(constant, values.dtype)
        values = holding(values, constant)
    if missed is None and out is None and boundaries[0] == boundaries[1]:
        sums = filtered(
            values, kernel, stride=stride, padding=padding, boundary=boundaries[0], constant=constant,
            dilation=dilation, dtype=core_type(target), **how,
        )  # fmt: skip
        return stored(sums, target)
    plan = explain(
        values.shape, values.dtype, kernel, stride=stride, padding=padding, boundary=boundaries,
        dilation=dilation, output=target, accuracy=accuracy, method=method,
    )  # fmt: skip
    require_output(out, plan.output_shape, target, masked=missed is not None and missed.value is None)
    if missed is not None:
        missed.require_held(target, "result")
    planes = in_planes(values)
    geometry = make_geometry(planes.shape[:2], plan.kernel.shape, plan.stride, plan.padding, plan.dilation)
    laid, sides, name = one_boundary(planes, geometry, boundaries, constant)
    room = out if missed is None and takes_sums(out, core_type(target), laid) else None
    sums = filtered(
        laid, plan.kernel, stride=plan.stride, padding=sides, boundary=name, constant=constant,
        dilation=plan.dilation, dtype=core_type(target), out=room, **how,
    )  # fmt: skip
    if room is not None:
        return room
    if missed is None:
        return delivered(stored(sums, target).reshape(plan.output_shape), out)
    from cnnfilter.core.normalised import completed

    gone = completed(
        sums, planes, in_planes(missed.where), plan.kernel, geometry, boundaries, constant,
        fill=fill, threads=threads,
    )  # fmt: skip
    result = stored(sums, target).reshape(plan.output_shape)
    return delivered(missed.marked(result, gone.reshape(plan.output_shape)), out)


def _is_plain(pixels: NDArray[Any], target: np.dtype[Any], boundary: str) -> bool:
    """Tell whether the core takes and gives an image as it is, which is soon told for many small ones."""
    return (
        type(pixels) is np.ndarray
        and boundary != "constant"
        and core_type(pixels.dtype) == pixels.dtype
        and core_type(target) == target
    )
