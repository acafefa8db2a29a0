"""Compiled loops on disk: a folder that belongs to the user alone, and entries that are checked before use.

What lies here is executed, so nothing is taken that somebody else could have written: the folder and each
entry must belong to the user and be writeable for nobody else, and symbolic links are not followed. Nothing
is taken that is not whole: an entry begins with the hash of its key and content. Entries are written beside
their place and moved there, so that many processes may read and write at once.

The folder is ``$CNNFILTER_CACHE_DIR/loops``; without that variable it is in ``$XDG_CACHE_HOME/cnnfilter``,
``~/.cache/cnnfilter``, ``~/Library/Caches/cnnfilter`` (macOS) or ``%LOCALAPPDATA%/cnnfilter`` (Windows).
"""

from __future__ import annotations

import os
import re
import stat
import struct
import sys
import time
from contextlib import suppress

from cnnfilter.errors import CnnFilterError

VARIABLE = "CNNFILTER_CACHE_DIR"
LIMIT_BYTES = 64 << 20
"""Above this the entries that were not used for longest are removed, down to half of it."""

_MAGIC = b"cnnfilter loop 1"
_HEADER = struct.Struct("<16s32s32sQ")
_LARGEST_ENTRY = 16 << 20
_ENTRY_NAME = re.compile(r"[0-9a-f]{64}\.loop")
_UNFINISHED_NAME = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\.part")
_ABANDONED_SECONDS = 3600
_TOUCH_SECONDS = 24 * 3600

_reason: str | None = None


class Doubtful(CnnFilterError, OSError):
    """Why a folder or an entry is not used."""


def digest(data: bytes) -> bytes:
    """Return the SHA-256 of the data, from Python's own module: OpenSSL would take 3 ms to load."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found, unused-ignore]  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            from hashlib import sha256
    return bytes(sha256(data).digest())


def folder() -> str:
    """Return where the entries are kept; it need not exist. No `Path`, whose import takes 4 ms."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return os.path.join(os.path.abspath(chosen), "loops")
    home = os.path.expanduser("~")
    if home == "~":
        raise Doubtful("no home folder is known")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return os.path.join(base, "cnnfilter", "loops")


def note() -> str | None:
    """Return why the cache was last not used, or None."""
    return _reason


def load(key: bytes) -> bytes | None:
    """Return what was stored under the key (32 bytes), or None if it is missing or doubtful."""
    try:
        place = _trusted_folder()
        return _read(os.path.join(place, _name(key)), key)
    except FileNotFoundError:
        return None
    except OSError as error:
        _remember(error)
        return None


def store(key: bytes, content: bytes) -> None:
    """Keep the content under the key (32 bytes); where that cannot be done, `note` tells why."""
    try:
        place = _made_folder()
        temporary = os.path.join(place, f"{key.hex()}.{os.urandom(8).hex()}.part")
        try:
            with open(os.open(temporary, _flags(os.O_WRONLY | os.O_CREAT | os.O_EXCL), 0o600), "wb") as file:
                file.write(_HEADER.pack(_MAGIC, digest(key + content), key, len(content)) + content)
            os.replace(temporary, os.path.join(place, _name(key)))
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _evict(place)
    except OSError as error:
        _remember(error)


def info() -> dict[str, object]:
    """Return the folder, how many entries it holds, their bytes, and whether it is used or why not.

    Examples
    --------
    >>> list(info())
    ['folder', 'entries', 'bytes', 'state']
    """
    place = "none"
    entries: list[os.stat_result] = []
    state = "is made at first use"
    try:
        place = folder()
        entries = [facts for name, facts in _files(_trusted_folder()) if _ENTRY_NAME.fullmatch(name)]
        state = "in use"
    except FileNotFoundError:
        pass
    except OSError as error:
        state = f"not used: {error}"
    size = sum(facts.st_size for facts in entries)
    return {"folder": place, "entries": len(entries), "bytes": size, "state": state}


def clear() -> int:
    """Remove all entries, and return how many there were.

    Raises
    ------
    OSError
        If the folder is not the user's alone, or an entry cannot be removed.
    """
    try:
        place = _trusted_folder()
    except FileNotFoundError:
        return 0
    removed = 0
    for name, _ in _files(place):
        if _ENTRY_NAME.fullmatch(name) or _UNFINISHED_NAME.fullmatch(name):
            _remove(place, name)
            removed += name.endswith(".loop")
    return removed


def _name(key: bytes) -> str:
    return f"{key.hex()}.loop"


def _remember(error: Exception) -> None:
    global _reason
    _reason = str(error)


def _flags(flags: int) -> int:
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    return flags


def _remove(place: str, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(place, name))


def _trusted_folder() -> str:
    """Return the folder if nobody else can have put anything into it."""
    place = folder()
    facts = os.lstat(place)
    if not stat.S_ISDIR(facts.st_mode):
        raise Doubtful(f"{place} is not a folder")
    if hasattr(os, "geteuid"):
        _check_owner(place, facts, {os.geteuid()})
        if facts.st_mode & 0o077:
            raise Doubtful(
                f"{place} is open to others (mode {stat.S_IMODE(facts.st_mode):o}); chmod 700 closes it"
            )
        _check_parents(place)
    return place


def _made_folder() -> str:
    """Return the folder, made if it is missing; what is made is for the user alone."""
    place = folder()
    if hasattr(os, "geteuid"):
        _check_parents(place)
    above = [place]
    while _facts(os.path.dirname(above[-1])) is None:
        above.append(os.path.dirname(above[-1]))
    for missing in reversed(above):
        with suppress(FileExistsError):
            os.mkdir(missing, 0o700)
    return _trusted_folder()


def _check_parents(place: str) -> None:
    """Refuse a folder that others could move away and replace."""
    home = os.path.realpath(os.path.dirname(place))
    parents = [home]
    while parents[-1] != os.path.dirname(parents[-1]):
        parents.append(os.path.dirname(parents[-1]))
    existing = [(parent, facts) for parent in parents if (facts := _facts(parent))]
    _check_owner(*existing[0], {os.geteuid(), 0})
    for parent, facts in existing:
        mode = stat.S_IMODE(facts.st_mode)
        others = 0o022 if parent == home else 0o002
        if mode & others and not mode & stat.S_ISVTX:
            raise Doubtful(f"{parent} may be written by others (mode {mode:o})")


def _facts(path: str) -> os.stat_result | None:
    """Return what is known of a file or folder; None if there is none."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_owner(path: str, facts: os.stat_result, owners: set[int]) -> None:
    if facts.st_uid not in owners:
        raise Doubtful(f"{path} belongs to user {facts.st_uid}, not to user {os.geteuid()}")


def _read(path: str, key: bytes) -> bytes:
    with open(os.open(path, _flags(os.O_RDONLY)), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST_ENTRY:
            raise Doubtful(f"{path} is not an entry")
        if hasattr(os, "geteuid"):
            _check_owner(path, facts, {os.geteuid()})
            if facts.st_mode & 0o022:
                raise Doubtful(f"{path} may be written by others (mode {stat.S_IMODE(facts.st_mode):o})")
        data = file.read(_LARGEST_ENTRY)
    content = data[_HEADER.size :]
    header = _HEADER.pack(_MAGIC, digest(key + content), key, len(content))
    if data[: _HEADER.size] != header:
        raise Doubtful(f"{path} is damaged")
    if time.time() - facts.st_mtime > _TOUCH_SECONDS:
        with suppress(OSError):
            os.utime(path)
    return content


def _files(place: str) -> list[tuple[str, os.stat_result]]:
    found = []
    with os.scandir(place) as scan:
        for item in scan:
            with suppress(FileNotFoundError):
                found.append((item.name, item.stat(follow_symlinks=False)))
    return found


def _evict(place: str) -> None:
    """Remove what was left unfinished, and the entries that were not used for longest."""
    entries = []
    for name, facts in _files(place):
        if _ENTRY_NAME.fullmatch(name):
            entries.append((facts.st_mtime, facts.st_size, name))
        elif _UNFINISHED_NAME.fullmatch(name) and time.time() - facts.st_mtime > _ABANDONED_SECONDS:
            _remove(place, name)
    total = sum(size for _, size, _ in entries)
    if total <= LIMIT_BYTES:
        return
    for _, size, name in sorted(entries):
        _remove(place, name)
        total -= size
        if total <= LIMIT_BYTES // 2:
            break
