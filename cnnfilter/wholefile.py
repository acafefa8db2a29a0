"""Files that are either wholly old or wholly new, whatever happens while they are written."""

import io
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import count
from typing import BinaryIO

from cnnfilter.errors import ImageFileError

PREFIX, SUFFIX = ".cnnfilter-", ".part"
STALE_SECONDS = 3600.0
_ACCESS_LIST = "system.posix_acl_access"

run: ContextVar[str] = ContextVar("run", default="")
"""Marks the unfinished files of one run of many processes: see `remove_unfinished`."""

_lock = threading.Lock()
_unfinished: set[str] = set()
_numbers = count()
_closing = False


@contextmanager
def whole_file(target: str, *, replace: bool = True, part: str | None = None) -> Iterator[BinaryIO]:
    """Open a file beside `target` for writing and rename it into place when the block ends well.

    Parameters
    ----------
    target : str
        Where the file goes. A symbolic link is followed, so that it stays a link. What is neither
        missing nor an ordinary file (a device, a FIFO) is written straight through.
    replace : bool
        Whether an ordinary file at `target` may be replaced. Its owner, mode, access list and other
        attributes are kept, and the new bytes are on the disk before the old ones go. Without it, a
        file that turns up meanwhile wins.
    part : str, optional
        What the unfinished file is called, in the folder of the target. It is gone on with if it is there,
        and stays if the block ends badly.

    Raises
    ------
    ImageFileError
        When the target is there and may not be replaced, or is read-only.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(os.path.join(folder, "a")) as file:
    ...         _ = file.write(b"whole")
    ...     os.listdir(folder)
    ['a']
    """
    old = _stat(target)
    if old is not None and not stat.S_ISREG(old.st_mode):
        image = io.BytesIO()  # a pipe cannot seek, and gets all of the image or none
        yield image
        with open(target, "wb") as through:
            through.write(image.getbuffer())
        return
    target = os.path.realpath(target)
    if old is not None and not replace:
        raise ImageFileError("exists already, and may not be replaced")
    if old is not None and not os.access(target, os.W_OK):
        raise ImageFileError("is read-only; make it writable (chmod u+w) or choose another output")
    kept = part is not None
    part, file = _open_part(target) if part is None else (part, _gone_on_with(part))
    try:
        with file:
            yield file
            if old is not None:
                # The old bytes cannot be had again, so the new ones must outlive a power cut. A new
                # file can be made again from its input: it does not wait for the disk.
                _take_over(target, old, file.fileno())
                file.flush()
                os.fsync(file.fileno())
        _into_place(part, target, replace)
        kept = False
        if old is not None:
            _flush_folder(os.path.dirname(target))
    finally:
        if not kept:
            with suppress(FileNotFoundError):
                os.unlink(part)
        with _lock:
            _unfinished.discard(part)


def _take_over(target: str, old: os.stat_result, new: int) -> None:
    """Give a new file owner, mode and attributes of the one that it replaces, as far as allowed."""
    mode = stat.S_IMODE(old.st_mode)
    if not hasattr(os, "fchmod"):  # Windows has it from Python 3.13 on
        return
    try:
        if hasattr(os, "fchown"):
            os.fchown(new, old.st_uid, old.st_gid)
    except PermissionError:
        with suppress(PermissionError):
            os.fchown(new, -1, old.st_gid)
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
    os.fchmod(new, mode)
    for name in os.listxattr(target) if hasattr(os, "listxattr") else ():
        try:
            os.setxattr(new, name, os.getxattr(target, name))
        except OSError:
            if name == _ACCESS_LIST:  # without it the group's bits are those of whoever the list named
                os.fchmod(new, mode & ~stat.S_IRWXG)


def _flush_folder(folder: str) -> None:
    """Bring a renaming to the disk, where the file system lets a folder be flushed."""
    with suppress(OSError):
        descriptor = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def abandon() -> None:
    """Remove every unfinished file and let no other be started: the process is about to end."""
    global _closing
    with _lock:
        _closing = True
        for part in _unfinished:
            with suppress(OSError):
                os.unlink(part)


def remove_stale(folder: str) -> int:
    """Remove what killed runs left in `folder`, an hour after their last write; return how many."""
    return _remove(folder, PREFIX, STALE_SECONDS)


def remove_unfinished(folder: str, mark: str) -> int:
    """Remove what killed processes of a run with this mark left in `folder`; return how many."""
    return _remove(folder, f"{PREFIX}{mark}")


def _remove(folder: str, prefix: str, seconds: float = 0.0) -> int:
    removed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(SUFFIX):
                with suppress(OSError):
                    if not seconds or time.time() - entry.stat().st_mtime > seconds:
                        os.unlink(entry.path)
                        removed += 1
    return removed


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _open_part(target: str) -> tuple[str, BinaryIO]:
    """Make a new file beside the target. Its name says whose it is; ls does not show it."""
    with _lock:
        if _closing:
            raise ImageFileError("not written: the run is ending")
        # The name is short: the target's own may be as long as the file system allows.
        name = f"{PREFIX}{run.get()}{os.getpid()}-{next(_numbers)}-{time.time_ns() & 0xFFFFFF:06x}{SUFFIX}"
        part = os.path.join(os.path.dirname(target), name)
        file = open(part, "xb")
        _unfinished.add(part)
        return part, file


def _gone_on_with(part: str) -> BinaryIO:
    try:
        return open(part, "r+b")
    except FileNotFoundError:
        return open(part, "x+b")


def _into_place(part: str, target: str, replace: bool) -> None:
    if replace:
        os.replace(part, target)
        return
    try:
        os.link(part, target)  # unlike a rename, this fails when somebody made the target meanwhile
    except FileExistsError:
        raise ImageFileError("was made by somebody else meanwhile; it is left as it is") from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise ImageFileError("was made by somebody else meanwhile; it is left as it is") from None
        os.replace(part, target)
