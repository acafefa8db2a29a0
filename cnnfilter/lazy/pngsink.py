"""PNG files that are written from top to bottom: rows are packed as they come."""

import base64
import io
import json
from typing import IO

import numpy as np

from cnnfilter.core.geometry import Pair
from cnnfilter.core.threads import count
from cnnfilter.files.deflate import PngStream, rows_of
from cnnfilter.files.picture import Picture
from cnnfilter.files.png_writing import put, write_head
from cnnfilter.pixels import Array


class Stream:
    """How a PNG is laid out: see `cnnfilter.lazy.stores.Laid`."""

    def __init__(self, picture: Picture, level: int, threads: int | None) -> None:
        self.level, self.threads = level, threads
        frame = picture.frames[0]
        self.shape, self.dtype = frame.shape, frame.dtype
        rows = rows_of(self.shape, frame[0, 0].nbytes)
        self.chunks = rows, self.shape[1]
        self.held = 6 * count(threads) * rows * frame[:1].nbytes
        head = io.BytesIO()
        write_head(picture, head)
        self.head = head.getvalue()
        self.size = len(self.head)

    def sink(self, file: IO[bytes], rows: int, state: str = "") -> "PngSink":
        """Begin a file, or go on with one that has some rows."""
        return PngSink(self, file, state)


class PngSink:
    """A PNG that is written from top to bottom, whole rows at a time."""

    def __init__(self, laid: Stream, file: IO[bytes], state: str) -> None:
        self.laid, self.file, self.chunks, self.held = laid, file, laid.chunks, laid.held
        self.stream: PngStream | None = None
        if not state:
            self.file.write(laid.head)
            return
        told = json.loads(state)
        self.stream = PngStream(laid.level, told["checksum"])
        above = np.frombuffer(base64.b64decode(told["above"]), laid.dtype)
        self.above = above.reshape(1, *laid.shape[1:])
        self.file.seek(told["end"])

    def write(self, rows: Pair, columns: Pair, block: Array) -> None:
        """Pack rows `[first, last)`."""
        first = 0 if self.stream is None else 1
        if self.stream is None:
            self.stream = PngStream(self.laid.level)
            put(self.file, b"IDAT", PngStream.HEAD)
        else:
            block = np.concatenate([self.above, block])
        ends = rows[1] == self.laid.shape[0]
        for part in self.stream.packed(block, first, self.chunks[0], self.laid.threads, ends=ends):
            put(self.file, b"IDAT", part)
        self.above = block[-1:].copy()

    def settle(self) -> str:
        """Return what whoever goes on must know: how far the stream is, and its last row."""
        assert self.stream is not None, "rows have been written"
        above = base64.b64encode(self.above.tobytes()).decode("ascii")
        return json.dumps({"checksum": self.stream.checksum, "end": self.file.tell(), "above": above})

    def complete(self) -> None:
        """Make the file whole."""
        assert self.stream is not None, "rows have been written"
        put(self.file, b"IDAT", self.stream.checksum.to_bytes(4, "big"))
        put(self.file, b"IEND", b"")
        self.file.truncate()
