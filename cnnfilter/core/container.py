"""What the container of this process allows: processor time and memory of its control groups (Linux cgroups).

A container that may use two of 64 processors has mostly no affinity that says so, but a quota: so many
microseconds of processor time in each period. Threads beyond it do not help: they are all held until the
next period begins.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache

MEMBERSHIP = "/proc/self/cgroup"
"""Which groups this process is in: lines of ``number:controllers:/path``."""

ROOT = "/sys/fs/cgroup"
"""Where the groups are: version 2 as one tree, version 1 as a tree for each controller."""


@cache
def processor_quota() -> int | None:
    """Return how many processors' time the groups of this process may use, rounded up; None without a limit.

    Read once, at the first call.
    """
    return read_quota(MEMBERSHIP, ROOT)


def read_quota(membership: str, root: str) -> int | None:
    """Read the smallest quota of all groups that a process is in, those around them included.

    Parameters
    ----------
    membership : str
        File such as ``/proc/self/cgroup``.
    root : str
        Folder such as ``/sys/fs/cgroup``. Trees of version 1 are in folders of it, named by controllers; the
        one of processors is also there as ``cpu`` where it shares its tree (``cpu,cpuacct``).
    """
    groups = _groups(membership, root, "cpu")
    quotas = [quota for group in groups if (quota := _quota(*group)) is not None]
    return max(1, math.ceil(min(quotas))) if quotas else None


@cache
def memory_limit() -> int | None:
    """Return how many bytes the groups of this process may hold; None without a limit. Read once."""
    return read_memory(MEMBERSHIP, ROOT)


def read_memory(membership: str, root: str) -> int | None:
    """Read the smallest limit of memory of all groups that a process is in; as `read_quota`."""
    limits = []
    for group, second in _groups(membership, root, "memory"):
        text = _text(f"{group}/{'memory.max' if second else 'memory.limit_in_bytes'}").strip()
        if text.isascii() and text.isdigit() and 0 < int(text) < _NO_LIMIT:
            limits.append(int(text))
    return min(limits, default=None)


_NO_LIMIT = 1 << 60
"""Version 1 writes the largest multiple of a page where there is none."""


def _groups(membership: str, root: str, controller: str) -> Iterator[tuple[str, bool]]:
    """Yield the folders of the groups that may limit something, and whether they are of version 2."""
    lines = [line.split(":", 2) for line in _text(membership).splitlines() if line.count(":") >= 2]
    first = {name: path for _, names, path in lines if names for name in names.split(",")}
    # A controller is in one version's tree alone: files are looked for in few places.
    trees = [(f"{root}/{controller}", first[controller], False)] if controller in first else []
    trees = trees or [(root, path, True) for number, names, path in lines if number == "0" and not names]
    for tree, path, second in trees:
        # Within a container the path may be that of the host, of which only the end of the tree is seen.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for end in range(len(parts), -1, -1):
            yield os.path.join(tree, *parts[:end]), second


def _quota(group: str, second: bool) -> float | None:
    """Return the processors of one group: version 2 says ``max 100000``, version 1 -1 for no limit."""
    if second:
        quota, _, period = _text(f"{group}/cpu.max").partition(" ")
    else:
        quota = _text(f"{group}/cpu.cfs_quota_us")
        period = _text(f"{group}/cpu.cfs_period_us") if quota and not quota.startswith("-") else ""
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return share if share > 0 else None


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 16).decode(errors="replace")
    except OSError:
        return ""
