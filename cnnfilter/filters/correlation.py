"""Correlation and convolution with a kernel that the user chooses (equations 13 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnfilter.filters.filter import ACCURACY, DILATION, GEOMETRY, KernelFilter, Option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnfilter.kernels.kernel import Kernel

_KERNEL = Option(
    "kernel", "kernel", "File, name (see kernel list) or '1 2; 3 4 / 10'.", metavar="K", required=True
)


class Correlate(KernelFilter):
    """Correlation as a filter of a chain; see `cnnfilter.correlate`."""

    name = "correlate"
    help = "Correlate with a kernel: it lies on the image as it is written (equation 13)."
    examples = (
        "cnnfilter correlate --kernel sobel-x photo.jpg -o edges.png --range abs",
        "cnnfilter correlate --kernel '1 2 1 / 4' photo.png -o soft.png",
    )
    options = (_KERNEL, *GEOMETRY, DILATION, ACCURACY)
    default_boundary = "zero"

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `cnnfilter.correlate`."""
        from cnnfilter.core.linear import correlate

        return correlate(image, **how)

    def kernel(self) -> Kernel:
        """Return the kernel as it is written."""
        kernel: Kernel = self.arguments["kernel"]
        return kernel


class Convolve(Correlate):
    """Convolution as a filter of a chain; see `cnnfilter.convolve`."""

    name = "convolve"
    help = "Convolve with a kernel: it is turned by 180 degrees first, as equation 8 does."
    examples = (
        "cnnfilter convolve --kernel sharpen photo.jpg -o sharp.jpg",
        "cnnfilter convolve --kernel '0 0 0; 0 0 1; 0 0 0' photo.png -o moved.png",
    )

    def filtered(self, image: NDArray[Any], **how: Any) -> NDArray[Any]:
        """Call `cnnfilter.convolve`."""
        from cnnfilter.core.linear import convolve

        return convolve(image, **how)

    def kernel(self) -> Kernel:
        """Return the kernel turned by 180 degrees."""
        return super().kernel().rotated()
