"""Measure cnnfilter beside its peers: ``python -m benchmarks [--set small] [--peers OpenCV] [--threads 1]``.

Every row is measured by turns within one process; outputs are compared before anything is timed. What the
columns mean is told in ``benchmarks/README.md``.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import limits, overhead
from benchmarks.cases import SETS, Case
from benchmarks.peers import APPROXIMATE, PEERS, installed, pixels
from benchmarks.summary import line, summary
from benchmarks.timing import by_turns


def main() -> int:
    """Run the table, print it, and write what was asked for."""
    options = _options()
    facts = limits.machine(options.threads, options.seconds)
    print(limits.described(facts), flush=True)
    calls = overhead.overhead(options.seconds)
    print(overhead.described(calls), flush=True)
    rows = []
    for row in measured_rows(options):
        rows.append(row)
        print(line(row), flush=True)
    print(summary(rows))
    if options.json:
        result = {"machine": facts, "overhead_us": calls, "rows": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.plot and rows:
        from benchmarks.plot import draw

        draw(rows, options.plot)
    return 0


def measured_rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure every row of the chosen sets, with a heading for each peer and number of threads."""
    for name in installed(options.peers):
        for threads in options.threads:
            for chosen in SETS if options.set == "all" else (options.set,):
                print(f"\n{name}, {threads} thread{'s' if threads > 1 else ''}, {chosen}", flush=True)
                for case in SETS[chosen](options.side):
                    if options.only in case.name:
                        row = measured(case, name, threads, options.seconds)
                        if row is not None:
                            yield {"set": chosen, **row}


def measured(case: Case, name: str, threads: int, seconds: float) -> dict[str, Any] | None:
    """Compare the outputs, then the times; None where the peer has no such filter."""
    theirs = PEERS[name][1](case, threads)
    if theirs is None:
        return None
    ours = case.ours(threads)
    difference = None
    if name not in APPROXIMATE:
        difference = float(np.abs(ours().astype(np.float64) - pixels(theirs(), case)).max())
        if not difference <= case.tolerance:
            sys.exit(f"{name} and cnnfilter differ by {difference:g} in {case.name!r}; nothing is timed")
    time, other, copy = by_turns(ours, theirs, limits.copying(case, threads), seconds=seconds)
    least, what = limits.limit(case, copy, threads)
    return {
        "peer": name, "threads": threads, "case": case.name, "filter": case.filter, "ours_ms": round(time, 5),
        "peer_ms": round(other, 5), "ratio": round(other / time, 4), "limit_ms": round(least, 5),
        "limit": what, "of_limit": round(time / least, 2), "difference": difference,
    }  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="large", choices=[*SETS, "all"], help="which rows (large)")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument(
        "--side",
        type=int,
        default=4096,
        help="pixels of the large grey image (4096), the rest in proportion",
    )
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each row (1)")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--plot", type=Path, help="draw the ratios here (needs matplotlib)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
