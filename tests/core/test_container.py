"""Quotas of control groups, versions 1 and 2, from trees of files that are made here."""

import pytest

from cnnfilter.core import container, threads
from cnnfilter.core.container import read_memory, read_quota


@pytest.fixture
def groups(tmp_path):
    """Write a membership and files of groups, and read the quota."""

    def read(membership, files):
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return read_quota(str(tmp_path / "membership"), str(tmp_path / "groups"))

    return read


@pytest.mark.parametrize(
    ("text", "processors"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("300000 50000\n", 6),
        ("max 100000\n", None),
        ("", None),
        ("200000\n", None),
        ("200000 0\n", None),
        ("-5 100000\n", None),
        ("many few\n", None),
        ("\0\0\0", None),
    ],
)
def test_version_2(groups, text, processors):
    assert groups("0::/\n", {"cpu.max": text}) == processors


@pytest.mark.parametrize(
    ("quota", "period", "processors"),
    [("200000", "100000", 2), ("250000", "100000", 3), ("-1", "100000", None), ("x", "100000", None)],
)
@pytest.mark.parametrize("names", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
def test_version_1(groups, names, quota, period, processors):
    files = {"cpu/cpu.cfs_quota_us": quota + "\n", "cpu/cpu.cfs_period_us": period + "\n"}
    assert groups(f"9:memory:/\n2:{names}:/\n0::/\n", files) == processors


def test_the_smallest_of_a_group_and_those_around_it(groups):
    files = {
        "a/b/c/cpu.max": "max 100000",
        "a/b/cpu.max": "400000 100000",
        "a/cpu.max": "300000 100000",
        "other/cpu.max": "100000 100000",
    }
    assert groups("0::/a/b/c\n", files) == 3
    assert groups("0::/a/b/c\n", {"a/b/c/cpu.max": "200000 100000"}) == 2


@pytest.mark.parametrize("path", ["/docker/0123/inner", "/../../docker/0123"])
def test_a_path_of_the_host_of_which_the_container_sees_the_end(groups, path):
    assert groups(f"0::{path}\n", {"cpu.max": "200000 100000"}) == 2
    assert (
        groups(f"3:cpu:{path}\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}) == 2
    )


def test_the_tree_that_has_the_processors_counts(groups):
    files = {
        "cpu.max": "100000 100000",
        "unified/cpu.max": "100000 100000",
        "cpu/user/cpu.cfs_quota_us": "300000",
        "cpu/user/cpu.cfs_period_us": "100000",
    }
    assert groups("2:cpu,cpuacct:/user\n0::/user\n", files) == 3
    assert groups("2:cpuset:/user\n0::/user\n", files) == 1


@pytest.mark.parametrize(
    "membership", ["", "nonsense", "1:name=systemd:/\n", "0", ":::::", "2:cpuset,cpuacct:/\n"]
)
def test_nothing_is_known(groups, membership):
    assert groups(membership, {"cpu.max": "100000 100000", "cpu/cpu.max": "100000 100000"}) is None


def test_systems_without_groups(tmp_path):
    assert read_quota(str(tmp_path / "none"), str(tmp_path / "gone")) is None


# What follows from it


@pytest.fixture
def quota(monkeypatch, tmp_path):
    """Let this process be in a group with such a quota."""

    def limit(text):
        (tmp_path / "cpu.max").write_text(text)
        (tmp_path / "membership").write_text("0::/\n")
        monkeypatch.setattr(container, "MEMBERSHIP", str(tmp_path / "membership"))
        monkeypatch.setattr(container, "ROOT", str(tmp_path))
        container.processor_quota.cache_clear()

    yield limit
    monkeypatch.undo()
    container.processor_quota.cache_clear()


def test_threads_follow_the_smaller_of_affinity_and_quota(quota, monkeypatch):
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: range(6), raising=False)
    for text, wanted in (("400000 100000", 4), ("900000 100000", 6), ("max 100000", 6)):
        quota(text)
        assert threads.count() == threads.processors() == wanted
    quota("100000 100000")
    assert threads.count() == 1 and threads.count(5) == 5
    monkeypatch.setenv(threads.VARIABLE, "3")
    assert threads.count() == 3


def test_the_quota_is_read_once(quota, tmp_path):
    quota("300000 100000")
    assert container.processor_quota() == 3
    (tmp_path / "cpu.max").write_text("100000 100000")
    assert container.processor_quota() == 3


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/a\n", {"a/memory.max": "max\n", "memory.max": "4096\n"}, 4096),
        ("0::/a\n", {"a/memory.max": "100\n", "memory.max": "4096\n"}, 100),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {"memory.max": "much\n"}, None),
        ("4:memory:/\n0::/\n", {"memory/memory.limit_in_bytes": "9000\n"}, 9000),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("", {}, None),
    ],
)
def test_memory(tmp_path, membership, files, limit):
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert read_memory(str(tmp_path / "membership"), str(tmp_path / "groups")) == limit
