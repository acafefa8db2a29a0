import errno
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnfilter.core.jit import objectcache
from cnnfilter.core.jit.objectcache import Doubtful, clear, digest, info, load, note, store
from cnnfilter.errors import CnnFilterError

KEY, OTHER = digest(b"key"), digest(b"other")
CONTENT = bytes(range(256)) * 5

owned = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(objectcache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(objectcache, "_reason", None)
    return tmp_path / "cache" / "loops"


def folder():
    return Path(objectcache.folder())


def entry(key=KEY):
    return folder() / objectcache._name(key)


def refused(words):
    """Nothing is loaded, and `note` says why."""
    return load(KEY) is None and words in (note() or "")


def test_digest_is_sha256():
    assert digest(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("content", [CONTENT, b"", b"\0"])
def test_what_is_stored_is_loaded(content):
    assert load(KEY) is None and note() is None
    store(KEY, content)
    assert load(KEY) == content
    assert load(OTHER) is None and note() is None
    store(KEY, b"later")
    assert load(KEY) == b"later"


@owned
def test_folder_and_entries_are_for_the_user_alone(cache):
    old = os.umask(0)
    try:
        store(KEY, CONTENT)
    finally:
        os.umask(old)
    assert stat.S_IMODE(cache.parent.stat().st_mode) == stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry().stat().st_mode) == 0o600


# Where it is


def test_folder_follows_the_variables(monkeypatch, tmp_path):
    monkeypatch.delenv(objectcache.VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert folder() == tmp_path / ".cache" / "cnnfilter" / "loops"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert folder() == Path("/elsewhere/cnnfilter/loops")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert folder() == tmp_path / "Library" / "Caches" / "cnnfilter" / "loops"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert folder() == tmp_path / "local" / "cnnfilter" / "loops"
    monkeypatch.setenv(objectcache.VARIABLE, str(tmp_path / "chosen"))
    assert folder() == tmp_path / "chosen" / "loops"


def test_folder_does_not_move_with_the_process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(objectcache.VARIABLE, "here")
    assert folder() == tmp_path / "here" / "loops"


def test_without_a_home_nothing_is_kept(monkeypatch):
    monkeypatch.delenv(objectcache.VARIABLE)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    store(KEY, CONTENT)
    assert refused("no home folder")
    assert info()["state"] == "not used: no home folder is known"


# Damage


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_passes(data):
    store(KEY, CONTENT)
    whole = entry().read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1), label="place")
    how = data.draw(st.sampled_from(["change", "cut", "insert", "remove"]), label="how")
    if how == "change":
        value = whole[place] ^ data.draw(st.integers(1, 255), label="bits")
        damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
    elif how == "cut":
        damaged = whole[:place]
    elif how == "insert":
        damaged = whole[:place] + b"\1" + whole[place:]
    else:
        damaged = whole[:place] + whole[place + 1 :]
    if damaged != whole:
        entry().write_bytes(damaged)
        assert refused("is damaged")
    store(KEY, CONTENT)
    assert load(KEY) == CONTENT


def test_an_entry_under_another_name_is_refused():
    store(OTHER, CONTENT)
    entry(OTHER).rename(entry(KEY))
    assert refused("is damaged")


def test_an_entry_that_is_too_large_is_not_read(monkeypatch):
    store(KEY, CONTENT)
    monkeypatch.setattr(objectcache, "_LARGEST_ENTRY", 1000)
    assert refused("is not an entry")


def test_a_symbolic_link_is_not_followed(tmp_path):
    store(KEY, CONTENT)
    entry().rename(tmp_path / "elsewhere")
    entry().symlink_to(tmp_path / "elsewhere")
    assert load(KEY) is None and note() is not None
    store(KEY, b"anew")
    assert load(KEY) == b"anew" and not entry().is_symlink()
    assert (tmp_path / "elsewhere").read_bytes().endswith(CONTENT)


def test_a_folder_in_the_place_of_an_entry_is_refused():
    store(OTHER, CONTENT)
    entry().mkdir()
    assert load(KEY) is None and note() is not None
    store(KEY, CONTENT)
    assert load(KEY) is None and not list(folder().glob("*.part"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_in_the_place_of_an_entry_does_not_block():
    store(OTHER, CONTENT)
    os.mkfifo(entry(), 0o600)
    assert refused("is not an entry")


# Others


@owned
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_may_write_is_refused(mode):
    store(KEY, CONTENT)
    entry().chmod(mode)
    assert refused(f"mode {mode:o}")


@owned
@pytest.mark.parametrize("mode", [0o701, 0o710, 0o755, 0o770, 0o777, 0o1777])
def test_a_folder_open_to_others_is_refused(cache, mode):
    store(KEY, CONTENT)
    cache.chmod(mode)
    assert refused("chmod 700")
    store(OTHER, CONTENT)
    assert not entry(OTHER).exists()
    assert "chmod 700" in str(info()["state"])
    with pytest.raises(Doubtful, match="chmod 700"):
        clear()
    cache.chmod(0o700)
    assert load(KEY) == CONTENT


@owned
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_exchange_is_refused(cache, mode):
    store(KEY, CONTENT)
    cache.parent.chmod(mode)
    assert refused("may be written by others")


@owned
def test_a_folder_high_above_that_everybody_may_write_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(objectcache.VARIABLE, str(tmp_path / "open" / "a" / "b"))
    store(KEY, CONTENT)
    (tmp_path / "open").chmod(0o777)
    assert refused("may be written by others")
    # With the sticky bit, as /tmp has it, nobody can move what is another's.
    (tmp_path / "open").chmod(0o1777)
    assert load(KEY) == CONTENT


@owned
def test_nothing_is_made_where_others_may_exchange_it(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv(objectcache.VARIABLE, str(tmp_path / "open" / "cache"))
    store(KEY, CONTENT)
    assert list((tmp_path / "open").iterdir()) == [] and "may be written by others" in note()


@owned
def test_what_belongs_to_another_user_is_refused(cache, monkeypatch):
    store(KEY, CONTENT)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert refused(f"belongs to user {user}, not to user {user + 1}")
    store(OTHER, CONTENT)
    assert not entry(OTHER).exists()
    with pytest.raises(CnnFilterError, match="belongs to user"):
        clear()
    assert entry().exists()


@owned
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root may give files away")
def test_an_entry_of_another_user_is_refused():
    store(KEY, CONTENT)
    os.chown(entry(), 12345, -1)
    assert refused("belongs to user 12345")
    store(KEY, b"anew")
    assert load(KEY) == b"anew"


@owned
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root may give files away")
def test_root_makes_nothing_in_the_home_of_a_user(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, -1)
    monkeypatch.setenv(objectcache.VARIABLE, str(home / "cache"))
    store(KEY, CONTENT)
    assert list(home.iterdir()) == [] and "belongs to user 12345" in note()


def test_a_link_in_the_place_of_the_folder_is_refused(cache, tmp_path):
    store(KEY, CONTENT)
    cache.rename(tmp_path / "elsewhere")
    cache.symlink_to(tmp_path / "elsewhere")
    assert refused("is not a folder")


# Folders that cannot be written


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv(objectcache.VARIABLE, str(tmp_path / "file"))
    store(KEY, CONTENT)
    assert load(KEY) is None and note() is not None
    assert str(info()["state"]).startswith("not used")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_still_serves(code, monkeypatch):
    store(KEY, CONTENT)
    genuine = os.open

    def refuse(path, flags, *mode, **more):
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code), os.fspath(path))
        return genuine(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", refuse)
    store(OTHER, CONTENT)
    assert os.strerror(code) in note()
    assert load(KEY) == CONTENT and load(OTHER) is None


def test_a_full_disk_leaves_nothing_behind(monkeypatch):
    store(OTHER, CONTENT)

    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    store(KEY, CONTENT)
    assert "No space left" in note()
    assert [path.name for path in folder().iterdir()] == [entry(OTHER).name]


# Many processes

CROWD = """
import json, os, random, sys
from cnnfilter.core.jit.objectcache import clear, digest, load, store
random.seed(int(sys.argv[1]))
wrong = 0
for turn in range(150):
    number = random.randrange(3)
    key = digest(bytes([number]))
    found = load(key)
    wrong += found is not None and found != bytes([number]) * 5000
    store(key, bytes([number]) * 5000)
    if turn % 40 == 39:
        clear()
print(json.dumps(wrong))
"""


def test_many_processes_read_write_and_clear_at_once(cache):
    crowd = [
        subprocess.Popen([sys.executable, "-c", CROWD, str(number)], stdout=subprocess.PIPE)
        for number in range(4)
    ]
    for process in crowd:
        assert json.loads(process.communicate(timeout=120)[0]) == 0
        assert process.returncode == 0
    assert not list(cache.glob("*.part"))


# Housekeeping


def test_info_counts():
    assert info() == {"folder": str(folder()), "entries": 0, "bytes": 0, "state": "is made at first use"}
    store(KEY, CONTENT)
    store(OTHER, CONTENT)
    (folder() / "notes.txt").write_text("mine")
    assert info() == {
        "folder": str(folder()),
        "entries": 2,
        "bytes": 2 * entry().stat().st_size,
        "state": "in use",
    }


def test_clear_removes_entries_and_nothing_else():
    assert clear() == 0
    store(KEY, CONTENT)
    store(OTHER, CONTENT)
    (folder() / "notes.txt").write_text("mine")
    (folder() / f"{KEY.hex()}.0123456789abcdef.part").write_text("unfinished")
    assert clear() == 2
    assert [path.name for path in folder().iterdir()] == ["notes.txt"]
    assert load(KEY) is None


def test_the_entries_that_were_not_used_for_longest_go_first(monkeypatch):
    keys = [digest(bytes([number])) for number in range(10)]
    for age, key in enumerate(keys):
        store(key, CONTENT)
        os.utime(entry(key), (time.time() - 10**6 * (20 - age),) * 2)
    # The oldest is used again, and is not the oldest any more.
    assert load(keys[0]) == CONTENT
    monkeypatch.setattr(objectcache, "LIMIT_BYTES", 10 * entry(keys[0]).stat().st_size)
    store(KEY, CONTENT)
    kept = [key for key in keys if entry(key).exists()]
    assert kept == [keys[0], *keys[7:]] and load(KEY) == CONTENT


def test_what_was_left_unfinished_long_ago_is_removed():
    store(KEY, CONTENT)
    fresh, stale = (folder() / f"{KEY.hex()}.{16 * digit}.part" for digit in "01")
    for path in (fresh, stale):
        path.write_text("unfinished")
    os.utime(stale, (time.time() - 7200,) * 2)
    store(OTHER, CONTENT)
    assert fresh.exists() and not stale.exists()
