"""The rows as text, and what they come to."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

FARTHEST = 2.5
"""Times the machine's limit that a Gaussian or a mean is to take at most."""

Row = dict[str, Any]


def line(row: Row) -> str:
    """Return one row of the table."""
    return (
        f"{row['case']:<34} {row['ours_ms']:9.3f} ms {row['peer_ms']:9.3f} ms  ratio {row['ratio']:6.2f}"
        f"  {row['of_limit']:6.2f} x {row['limit']}"
    )


def summary(rows: list[Row]) -> str:
    """Return geometric means, the rows that are slower than a peer, and those far from the limit."""
    return "\n".join(["", *_beside_peers(rows), *_far_from_limit(rows), *_renormalized(rows)])


def _beside_peers(rows: list[Row]) -> Iterator[str]:
    for (peer, threads, chosen), group in _groups(rows, "peer", "threads", "set"):
        yield f"{peer}, {threads} thread{'s' if threads > 1 else ''}, {chosen}: {_means(group)}"
        below = [f"{row['case']} ({row['ratio']:.2f})" for row in group if row["ratio"] < 1]
        yield f"  below 1: {', '.join(below) or 'none'}"
    for (peer, chosen), group in _groups(rows, "peer", "set"):
        if len({row["threads"] for row in group}) > 1:
            yield f"{peer}, any threads, {chosen}: {_means(group)}"


def _means(rows: list[Row]) -> str:
    """Return the geometric means of the ratios, of the Gaussians and of all."""
    parts = []
    for name, some in (("Gaussian", [row for row in rows if row["filter"] == "gaussian"]), ("all", rows)):
        if some:
            mean = math.exp(sum(math.log(row["ratio"]) for row in some) / len(some))
            parts.append(f"{mean:.2f} ({name}, {len(some)} rows)")
    return f"geometric mean {', '.join(parts)}"


def _far_from_limit(rows: list[Row]) -> Iterator[str]:
    """Name the Gaussians and means beyond `FARTHEST`, as measured beside the first peer that has them."""
    first: dict[tuple[int, str], Row] = {}
    for row in rows:
        if row["filter"] in ("gaussian", "mean"):
            first.setdefault((row["threads"], row["case"]), row)
    for (threads, chosen), group in _groups(list(first.values()), "threads", "set"):
        far = [f"{row['case']} ({row['of_limit']:.2f})" for row in group if row["of_limit"] > FARTHEST]
        where = f"{threads} thread{'s' if threads > 1 else ''}, {chosen}"
        yield f"Gaussians and means above {FARTHEST} x limit, {where}: {', '.join(far) or 'none'}"


def _renormalized(rows: list[Row]) -> Iterator[str]:
    times = {(row["peer"], row["threads"], row["case"]): row["ours_ms"] for row in rows}
    for (peer, threads, case), time in times.items():
        beside = times.get((peer, threads, case.replace("renormalize", "reflect")))
        if "renormalize" in case and beside:
            many = f"{threads} thread{'s' if threads > 1 else ''}"
            yield f"{case}, {many}: {time / beside:.2f} times as long as reflect"


def _groups(rows: Iterable[Row], *names: str) -> Iterator[tuple[tuple[Any, ...], list[Row]]]:
    """Group rows by these columns, in the order in which they come."""
    order: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        order.setdefault(tuple(row[name] for name in names), []).append(row)
    yield from order.items()
