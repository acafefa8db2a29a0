"""The limit on decoded pixels, which keeps a small hostile file from filling the memory."""

from cnnfilter.errors import ImageFileError

MAX_PIXELS = 500_000_000
"""Most pixels that are decoded from one file unless asked for more."""

_BYTES = 8  # of a pixel of 16 bits with three colours and alpha


class BeyondLimit(ImageFileError):
    """More pixels, or more bytes of them, than may be taken into memory."""


class Limit:
    """Counts the pixels of one file, over all its frames, against the most that is allowed.

    Parameters
    ----------
    max_pixels : int
        Most pixels.
    max_bytes : int, optional
        Most bytes that they may take in memory.

    Examples
    --------
    >>> Limit(100).spend(20, 20)
    Traceback (most recent call last):
    ...
    cnnfilter.files.limit.BeyondLimit: 20x20 pixels are more than the limit of 100; raise it with --max-pixels
    """

    def __init__(self, max_pixels: int, max_bytes: int | None = None) -> None:
        self.max_pixels, self.max_bytes = max_pixels, max_bytes
        self.spent = self.bytes = 0

    def spend(self, width: int, height: int, frames: int = 1, bytes_a_pixel: int = 4) -> None:
        """Count frames of one size before decoding; a pixel of more than 8 bytes counts as several."""
        self.bytes += width * height * frames * bytes_a_pixel
        if self.max_bytes is not None and self.bytes > self.max_bytes:
            raise BeyondLimit(
                f"{width}x{height} pixels take about {self.bytes} bytes of memory, and {self.max_bytes} are "
                "left for them; raise it with --memory"
            )
        times = -(-bytes_a_pixel // _BYTES)
        self.spent += width * height * frames * times
        if self.spent > self.max_pixels:
            count = f"{frames} frames of " if frames > 1 else ""
            depth = f" of {bytes_a_pixel} bytes" if times > 1 else ""
            raise BeyondLimit(
                f"{count}{width}x{height} pixels{depth} are more than the limit of {self.max_pixels}; "
                f"raise it with --max-pixels"
            )
