"""Measure cnnfilter beside its peers: ``python -m benchmarks [--peers OpenCV] [--threads 1 2]``.

Every row is measured in pairs within one process; outputs are compared before anything is timed. The ratio
is the peer's time over ours: above 1 we are faster.
"""

import argparse
import json
import math
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Case, cases
from benchmarks.peers import APPROXIMATE, PEERS, installed, pixels
from benchmarks.timing import paired


def main() -> int:
    """Run the table, print it, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument(
        "--side", type=int, default=4096, help="pixels of the grey image, half for RGB (4096)"
    )
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each pair (1)")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--plot", type=Path, help="draw the ratios here (needs matplotlib)")
    options = parser.parse_args()
    rows = []
    for name in installed(options.peers):
        for threads in options.threads:
            print(f"\n{name}, {threads} thread{'s' if threads > 1 else ''}", flush=True)
            for case in cases(options.side):
                if options.only in case.name:
                    row = measured(case, name, threads, options.seconds)
                    if row is not None:
                        rows.append(row)
                        print(line(row), flush=True)
    print()
    for name in installed(options.peers):
        for threads in [*options.threads, None]:
            print(summary(rows, name, threads), end="")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    if options.plot:
        from benchmarks.plot import draw

        draw(rows, options.plot)
    return 0


def measured(case: Case, name: str, threads: int, seconds: float) -> dict[str, Any] | None:
    """Compare the outputs, then the times; None where the peer has no such filter."""
    call = PEERS[name][1](case, threads)
    if call is None:
        return None
    difference = None
    if name not in APPROXIMATE:
        difference = float(np.abs(case.ours(threads).astype(np.float64) - pixels(call(), case)).max())
        if difference > case.tolerance:
            sys.exit(f"{name} and cnnfilter differ by {difference:g} in {case.name!r}; nothing is timed")
    ours, theirs = paired(lambda: case.ours(threads), call, seconds)
    return {
        "peer": name, "threads": threads, "case": case.name, "ours_ms": round(ours, 3),
        "peer_ms": round(theirs, 3), "ratio": round(theirs / ours, 3), "difference": difference,
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """Return one row of the table."""
    return f"{row['case']:<32} {row['ours_ms']:9.2f} ms {row['peer_ms']:9.2f} ms  ratio {row['ratio']:6.2f}"


def summary(rows: list[dict[str, Any]], name: str, threads: int | None) -> str:
    """Return the geometric mean and the smallest ratio."""
    ratios = [row["ratio"] for row in rows if row["peer"] == name and threads in (None, row["threads"])]
    if not ratios:
        return ""
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    where = "all" if threads is None else f"{threads} thread{'s' if threads > 1 else ''}"
    below = sum(ratio < 1 for ratio in ratios)
    worst = f"smallest {min(ratios):.2f}, below 1: {below} of {len(ratios)}"
    return f"{name}, {where}: geometric mean {mean:.2f}, {worst}\n"


def machine() -> dict[str, str]:
    """Name what the figures were measured on."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [text for text in info.read_text().splitlines() if text.startswith("model name")]
        model = models[0].split(":", 1)[1].strip() if models else model
    return {"processor": model, "system": platform.system(), "python": platform.python_version()}


if __name__ == "__main__":
    sys.exit(main())
