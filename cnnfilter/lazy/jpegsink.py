"""JPEG files that are written from top to bottom: strips are encoded as they come."""

from typing import IO

from cnnfilter.core.geometry import Pair
from cnnfilter.core.threads import count
from cnnfilter.files.jpeg_writing import JpegStream
from cnnfilter.files.picture import Picture
from cnnfilter.pixels import Array


class Strips:
    """How a JPEG is laid out: see `cnnfilter.lazy.stores.Laid`."""

    def __init__(self, picture: Picture, quality: int | None, threads: int | None) -> None:
        self.stream, self.threads = JpegStream(picture, quality), threads
        frame = picture.frames[0]
        self.chunks = self.stream.rows, frame.shape[1]
        self.held = 2 * count(threads) * self.stream.rows * frame[:1].nbytes
        self.size = len(self.stream.head)

    def sink(self, file: IO[bytes], rows: int, state: str = "") -> "JpegSink":
        """Begin a file, or go on with one that has some rows."""
        return JpegSink(self, file, state)


class JpegSink:
    """A JPEG that is written from top to bottom, whole strips at a time."""

    def __init__(self, laid: Strips, file: IO[bytes], state: str) -> None:
        self.laid, self.file, self.chunks, self.held = laid, file, laid.chunks, laid.held
        if state:
            self.file.seek(int(state))
        else:
            self.file.write(laid.stream.head)

    def write(self, rows: Pair, columns: Pair, block: Array) -> None:
        """Encode rows `[first, last)`."""
        self.file.writelines(self.laid.stream.encoded(block, rows[0], self.laid.threads))

    def settle(self) -> str:
        """Return what whoever goes on must know: how far the file is."""
        return str(self.file.tell())

    def complete(self) -> None:
        """Make the file whole."""
        self.file.write(JpegStream.END)
        self.file.truncate()
