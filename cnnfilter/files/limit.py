"""The limit on decoded pixels, which keeps a small hostile file from filling the memory."""

from cnnfilter.errors import ImageFileError

MAX_PIXELS = 500_000_000
"""Most pixels that are decoded from one file unless asked for more."""

_BYTES = 8  # of a pixel of 16 bits with three colours and alpha


class Limit:
    """Counts the pixels of one file, over all its frames, against the most that is allowed.

    Parameters
    ----------
    max_pixels : int
        Most pixels.

    Examples
    --------
    >>> Limit(100).spend(20, 20)
    Traceback (most recent call last):
    ...
    cnnfilter.errors.ImageFileError: 20x20 pixels are more than the limit of 100; raise it with --max-pixels
    """

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self.spent = 0

    def spend(self, width: int, height: int, frames: int = 1, bytes_a_pixel: int = 1) -> None:
        """Count frames of one size before decoding; a pixel of more than 8 bytes counts as several."""
        times = -(-bytes_a_pixel // _BYTES)
        self.spent += width * height * frames * times
        if self.spent > self.max_pixels:
            count = f"{frames} frames of " if frames > 1 else ""
            depth = f" of {bytes_a_pixel} bytes" if times > 1 else ""
            raise ImageFileError(
                f"{count}{width}x{height} pixels{depth} are more than the limit of {self.max_pixels}; "
                f"raise it with --max-pixels"
            )
