"""Where image bytes come from: a path, a binary file object, or bytes; always as a seekable file."""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from typing import IO

from cnnfilter.errors import ImageFileError
from cnnfilter.files.forms import form_of_bytes

Source = str | os.PathLike[str] | bytes | IO[bytes]

HEAD = 64
"""Bytes that are enough to recognise every form."""


def name_of(source: Source) -> str:
    """Return what messages call a source."""
    if isinstance(source, bytes):
        return "<bytes>"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<stream>"


def remaining(file: IO[bytes]) -> int:
    """Return how many bytes of a seekable file are still to be read."""
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return end - here


@contextlib.contextmanager
def opened(source: Source) -> Iterator[IO[bytes]]:
    """Give a seekable binary file for a source, and close it if it was opened here.

    Raises
    ------
    ImageFileError
        If the path is a directory or a named pipe, is missing or may not be read, or the bytes are none
        or those of no known form. The message lacks the name of the source.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        with _open_path(os.fspath(source)) as file:
            yield file if file.seekable() else _buffered(file)
    elif source.seekable():
        yield source
    else:
        yield _buffered(source)


def _open_path(path: str) -> IO[bytes]:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ImageFileError("is a directory; name the files in it, or use --recursive")
        # A named pipe without a writer would block for ever; a shell's <(command) has one.
        if not (stat.S_ISREG(mode) or path.startswith(("/dev/fd/", "/dev/stdin", "/proc/self/fd/"))):
            raise ImageFileError(f"is not a regular file; give its bytes on standard input: - < {path}")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise ImageFileError("no such file; check the name") from error
    except PermissionError as error:
        raise ImageFileError("may not be read; give yourself read permission") from error
    except ImageFileError:
        raise
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise ImageFileError("too many open files; fewer --jobs need less") from error
        raise ImageFileError(f"cannot be opened ({error.strerror or error}); check the name") from error
    except ValueError as error:
        raise ImageFileError(f"cannot be opened ({error}); check the name") from error


def _buffered(stream: IO[bytes]) -> IO[bytes]:
    """Read a pipe whole, unless its first bytes are no image's (the stream may never end)."""
    head = b""
    while len(head) < HEAD and (more := stream.read(HEAD - len(head))):
        head += more
    if form_of_bytes(head, ".tga") is None:
        return io.BytesIO(head)
    return io.BytesIO(head + stream.read())
