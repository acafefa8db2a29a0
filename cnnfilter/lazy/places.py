"""Where Zarr stores lie: in folders of this machine, or under a URL such as ``s3://…``, through fsspec."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from cnnfilter.errors import CnnFilterError, ImageFileError

DESCRIBING = (".zattrs", ".zgroup", ".zarray", ".zmetadata", "zarr.json")
"""What makes a folder a store."""


class Place(Protocol):
    """What is done with stores beside reading and writing their chunks."""

    def exists(self, path: str) -> bool:
        """Tell whether there is something."""

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it, if there is one."""

    def move(self, old: str, new: str) -> None:
        """Give a store another name."""

    def read(self, path: str) -> str:
        """Return what is in a file."""

    def write(self, path: str, text: str) -> None:
        """Write a file, which is either wholly old or wholly new."""

    def stamp(self, path: str) -> list[int]:
        """Return numbers that change when a file, or one of a store, does."""


class Disk:
    """Folders of this machine."""

    def exists(self, path: str) -> bool:
        """Tell whether there is something."""
        return os.path.lexists(path)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it, if there is one."""
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            with suppress(FileNotFoundError):
                os.unlink(path)

    def move(self, old: str, new: str) -> None:
        """Give a store another name."""
        os.rename(old, new)

    def read(self, path: str) -> str:
        """Return what is in a file."""
        with open(path, encoding="ascii") as file:
            return file.read()

    def write(self, path: str, text: str) -> None:
        """Write a file, which is either wholly old or wholly new."""
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(text)
        os.replace(f"{path}.new", path)

    def stamp(self, path: str) -> list[int]:
        """Return the bytes of a file, or of all of a store, and when one was last written."""
        inside = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
        found = [os.stat(each) for each in ((path,) if os.path.isfile(path) else inside)]
        return [sum(each.st_size for each in found), max((each.st_mtime_ns for each in found), default=0)]


class Cloud:
    """What fsspec reaches. Objects are renamed by copies, which the other side makes."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError as error:
            raise ImageFileError(
                f"{url}: takes the package fsspec: pip install 'cnnfilter[cloud]'"
            ) from error
        try:
            self.files, _ = fsspec.url_to_fs(url)
        except Exception as error:  # no such protocol, or a package that it takes
            raise ImageFileError(f"{url}: {error}; pip install 'cnnfilter[cloud]' reaches s3") from error

    def exists(self, path: str) -> bool:
        """Tell whether there is something."""
        self.files.invalidate_cache()
        with reaching(path, "reached"):
            return bool(self.files.exists(path))

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it, if there is one."""
        with suppress(FileNotFoundError):
            self.files.rm(path, recursive=True)

    def move(self, old: str, new: str) -> None:
        """Give a store another name."""
        from fsspec import url_to_fs

        old, new = url_to_fs(old)[1], url_to_fs(new)[1]  # without the protocol
        found = self.files.find(old)
        last = [name for name in found if os.path.basename(name) in DESCRIBING]  # readers look for these
        for names in ([name for name in found if name not in {*last}], last):
            if names:
                self.files.copy(names, [new + name.removeprefix(old) for name in names])
        self.files.rm(found)

    def read(self, path: str) -> str:
        """Return what is in a file."""
        found: bytes = self.files.cat_file(path)
        return found.decode()

    def write(self, path: str, text: str) -> None:
        """Write a file, which is either wholly old or wholly new."""
        self.files.pipe_file(path, text.encode())

    def stamp(self, path: str) -> list[int]:
        """Return the bytes of all files of a store, and a hash of what else is known of them."""
        self.files.invalidate_cache()
        found = self.files.find(path, detail=True)
        told = sorted(f"{name} {each.get('ETag', each.get('created'))}" for name, each in found.items())
        digest = hashlib.sha256("\n".join(told).encode()).digest()
        return [sum(each["size"] for each in found.values()), int.from_bytes(digest[:6], "big")]


def is_url(path: object) -> bool:
    """Tell whether a path names something beyond this machine.

    Examples
    --------
    >>> is_url("s3://bucket/slide.zarr"), is_url("slide.zarr")
    (True, False)
    """
    return isinstance(path, str) and "://" in path


def place_of(path: str) -> Place:
    """Return where a path leads."""
    return Cloud(path) if is_url(path) else Disk()


def absolute(path: str) -> str:
    """Return a path that holds in another folder, too."""
    return path if is_url(path) else os.path.abspath(path)


@contextmanager
def reaching(path: object, what: str) -> Iterator[None]:
    """Say in one line what a place beyond this machine refused: each kind has errors of its own."""
    try:
        yield
    except CnnFilterError:
        raise
    except Exception as error:
        if not is_url(path):
            raise
        words = " ".join(str(error).split()) or type(error).__name__
        told = words if words.startswith(str(path)) else f"{path}: cannot be {what} ({words})"
        raise ImageFileError(told) from error
