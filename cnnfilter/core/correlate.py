"""Correlation of arrays of the five native types: validate, plan, execute."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnfilter.core import threads as threading
from cnnfilter.core.boundary import check_boundary
from cnnfilter.core.geometry import Geometry, Number, Padding, line_geometry, make_geometry
from cnnfilter.core.keeping import kept
from cnnfilter.core.memory import aligned_empty
from cnnfilter.core.methods.work import FORMS, Array, Prepared, Task
from cnnfilter.core.plan import Plan, make_plan
from cnnfilter.errors import DtypeError, ParameterError
from cnnfilter.kernels.kernel import Kernel

if TYPE_CHECKING:
    from cnnfilter.core.methods.renormalized import Border

KernelLike: TypeAlias = Kernel | ArrayLike
DtypeLike: TypeAlias = Any

FEW_WEIGHTS = 10_000
"""Weights of an array that is looked up by its content; to compare more takes longer than to check them."""

LONGEST_STRIP = 20_000_000
"""Nanoseconds of estimated work after which a call may be interrupted."""

LEAST_WORK = 400_000
"""Nanoseconds of estimated work for each thread; handing a strip to another thread costs about 100 000."""


def explain(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    kernel: KernelLike,
    *,
    stride: Number = 1,
    padding: Padding = "same",
    boundary: str = "zero",
    dilation: Number = 1,
    output: DtypeLike,
    accuracy: str = "exact",
    method: str = "auto",
    sigmas: tuple[float, float] | None = None,
) -> Plan:
    """Return the plan that `filtered` follows; see `core.linear.explain`, which takes every type.

    `dtype` and `output` are two of the five types of image and result.
    """
    if len(shape) not in (1, 2, 3):
        raise ParameterError(f"an image has 1, 2 or 3 dimensions, not {len(shape)} (shape {shape})")
    kernel = as_kernel(kernel)
    sigmas = kernel.sigmas if sigmas is None else sigmas
    kernel = fitted(kernel, len(shape))
    geometry = _geometry(shape, kernel, stride, padding, dilation)
    return make_plan(
        kernel, geometry, dtype.name, np.dtype(output).name,
        shape=_output_shape(shape, geometry), boundary=check_boundary(boundary), accuracy=accuracy,
        method=method, sigmas=sigmas,
    )  # fmt: skip


def filtered(
    pixels: NDArray[Any],
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
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Correlate an image of a native type; `core.linear` takes every type and every other argument.

    The result is made in `out`, if there is one: contiguous, of its shape and type, apart from the image.
    """
    typed = None
    if not (type(stride) is type(dilation) is int and type(padding) is str and type(constant) is float):
        # A list cannot be looked up. What cannot either is wrong, and is told without the look-up.
        stride, padding, dilation = tuple_of(stride), tuple_of(padding), tuple_of(dilation)
        # 1, 1.0 and True are equal, but not all of them are a stride: what differs in type is another call.
        typed = types_of(stride, padding, dilation, constant)
    laid = (stride, padding, boundary, constant, dilation)
    chosen = (accuracy, method, kernel.sigmas)
    made = _filtering(typed, kernel, pixels.shape, pixels.dtype, laid, dtype, chosen)
    return made.run(pixels, threads, out)


def types_of(*values: Any) -> tuple[Any, ...]:
    """Return the types of values, and of those in tuples."""
    return tuple([types_of(*value) if type(value) in (tuple, list) else type(value) for value in values])


class Filtering(NamedTuple):
    """A kernel made ready for images of one shape and type.

    `shape` is that of the output as the core knows it, (H, W, C), and `cost` the estimated nanoseconds.
    """

    plan: Plan
    method: Prepared
    border: Border | None
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    cost: float

    def run(self, pixels: NDArray[Any], threads: int | None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Filter an image of the shape and type that this was made for."""
        image = three_dimensional(pixels)
        out = aligned_empty(self.shape, self.dtype) if out is None else np.asarray(out).reshape(self.shape)
        useful = max(1, int(self.cost / LEAST_WORK))
        if useful > 1 or threads is not None or threading.VARIABLE in os.environ:
            useful = min(threading.count(threads), useful)
        self.method.run(image, out, threading.Workers(useful, max(useful, int(self.cost / LONGEST_STRIP))))
        if self.border is not None:
            self.border.run(image, out)
        return out.reshape(self.plan.output_shape)


@kept
def _filtering(
    typed: Any,
    kernel: Kernel,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    laid: tuple[Number, Padding, str, float, Number],
    output: DtypeLike,
    chosen: tuple[str, str, tuple[float, float] | None],
) -> Filtering:
    """Make ready what the next call of the same kind finds again."""
    stride, padding, boundary, constant, dilation = laid
    accuracy, method, sigmas = chosen
    plan = explain(
        shape, dtype, kernel, stride=stride, padding=padding, boundary=boundary, dilation=dilation,
        output=output, accuracy=accuracy, method=method, sigmas=sigmas,
    )  # fmt: skip
    geometry = _geometry(shape, plan.kernel, stride, padding, dilation)
    task = Task(
        geometry,
        shape[2] if len(shape) == 3 else 1,
        FORMS[dtype.name],
        FORMS[plan.dtype],
        "f64" if plan.accumulator == "float64" else "f32",
        "zero" if boundary == "renormalize" else boundary,
        constant if boundary == "constant" else 0.0,
    )
    border = None
    if boundary == "renormalize":
        from cnnfilter.core.methods import renormalized

        border = renormalized.border(task, plan.kernel)
    shape3 = (*geometry.output_shape, task.channels)
    cost = math.prod(shape3) * plan.cost
    return Filtering(plan, _method(plan, task), border, shape3, np.dtype(plan.dtype), cost)


def _method(plan: Plan, task: Task) -> Prepared:
    """Make the plan's method ready, whose module is imported only now."""
    kernel = plan.kernel
    whole = not {task.source, task.target} & {"f32", "f64"}
    if whole and plan.method in ("direct", "separable") and _is_mean(kernel):
        from cnnfilter.core.methods import quotient

        return quotient.prepare(task)
    snapping = task.target.startswith("f") and kernel.sums_to_one
    match plan.method:
        case "direct":
            from cnnfilter.core.methods import direct

            return direct.prepare(task, kernel.array, snapping)
        case "fft":
            from cnnfilter.core.methods import fft

            return fft.prepare(task, kernel.array, 1.0 if kernel.sums_to_one else kernel.sum)
        case "recursive":
            from cnnfilter.core.methods import recursive

            assert plan.sigmas is not None, "a recursive plan has sigmas"
            return recursive.prepare(task, plan.sigmas, _separable(kernel, task, snapping))
        case "running sums":
            from cnnfilter.core.methods import running

            return running.prepare(task)
        case "separable":
            return _separable(kernel, task, snapping)
        case "low rank":
            from cnnfilter.core.methods import lowrank

            terms = [(column / kernel.divisor, row) for column, row in kernel.terms()]
            return lowrank.prepare(task, terms, kernel.array)
    raise AssertionError(f"no method is made ready for the plan {plan.method!r}")


def _is_mean(kernel: Kernel) -> bool:
    return kernel.sums_to_one and bool((kernel.weights == kernel.weights[0, 0]).all())


def _separable(kernel: Kernel, task: Task, snapping: bool) -> Prepared:
    from cnnfilter.core.methods import separable

    factors = kernel.factors()
    assert factors is not None, "a separable plan has factors"
    return separable.prepare(task, [_normalised(*factors, kernel)], snapping)


def _normalised(
    column: NDArray[np.float64], row: NDArray[np.float64], kernel: Kernel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share the divisor so that the factors of a kernel with sum 1 sum to 1 each."""
    total = float(row.sum())
    if kernel.sums_to_one and total != 0:
        return column * (total / kernel.divisor), row / total
    return column / kernel.divisor, row


def tuple_of(value: Any) -> Any:
    """Return a list, and lists in it, as tuples."""
    return tuple(map(tuple_of, value)) if isinstance(value, list | tuple) else value


def as_kernel(kernel: KernelLike) -> Kernel:
    """Return a `Kernel`; a bare array becomes one."""
    if isinstance(kernel, Kernel):
        return kernel
    if type(kernel) is np.ndarray and kernel.dtype.kind in "iuf" and kernel.size <= FEW_WEIGHTS:
        return _kernel_of(kernel.tobytes(), kernel.dtype.str, kernel.shape)
    if isinstance(kernel, str | bytes):
        raise DtypeError(
            f"a kernel cannot be the text {kernel!r}; use templates.named(...), Kernel.parse(...) or an array"
        )
    return Kernel(kernel)


@kept
def _kernel_of(weights: bytes, dtype: str, shape: tuple[int, ...]) -> Kernel:
    return Kernel(np.frombuffer(weights, dtype).reshape(shape))


def three_dimensional(pixels: NDArray[Any]) -> Array:
    """Return an (H, W, C) view whose rows are stored without gaps; copy only if there is no such view."""
    image = pixels[None, :, None] if pixels.ndim == 1 else pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.flags.c_contiguous and pixels.flags.aligned:
        return image
    size, channels = image.itemsize, image.shape[2]
    packed = (channels == 1 or image.strides[2] == size) and (
        image.shape[1] == 1 or image.strides[1] == size * channels
    )
    if packed and image.strides[0] % size == 0 and image.flags.aligned:
        return image
    return np.ascontiguousarray(image)


def fitted(kernel: Kernel, dimensions: int) -> Kernel:
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
    if len(shape) == 1:
        return line_geometry(shape[0], kernel.shape, stride, padding, dilation)
    return make_geometry((shape[0], shape[1]), kernel.shape, stride, padding, dilation)


def _output_shape(shape: tuple[int, ...], geometry: Geometry) -> tuple[int, ...]:
    height, width = geometry.output_shape
    return (width,) if len(shape) == 1 else (height, width, *shape[2:])
