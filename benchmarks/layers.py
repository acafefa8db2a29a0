"""Time convolution layers, forward and backward, beside PyTorch at equal threads.

Run ``python benchmarks/layers.py [--threads 1]``; PyTorch is optional. Each side runs in a process of its
own, in turns: in one process the idle threads of one library spin on the cores that the other needs. A
round gives the median of a cell's calls; printed is the median over the rounds, and of the ratios between
two rounds that followed each other. Backward is all three gradients.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

ROWS = (  # N, D, H = W, P, K, stride, padding
    (1, 3, 224, 64, 11, 4, 2),
    (1, 64, 27, 192, 5, 1, 2),
    (1, 192, 13, 384, 3, 1, 1),
    (1, 64, 56, 64, 3, 1, 1),
    (1, 256, 14, 256, 3, 1, 1),
    (64, 1, 32, 6, 5, 1, 0),
    (1, 3, 1024, 32, 3, 1, 1),
)


def median(call: Callable[[], object], seconds: float) -> float:
    """Median milliseconds of a call, the first three left out."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 8 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[3:])


def measure(side: str, threads: int, seconds: float) -> list[list[float]]:
    """Milliseconds forward and backward of every row."""
    import numpy as np

    if side == "torch":
        import torch

        torch.set_num_threads(threads)
    else:
        from cnnfilter.nn import functional
    generator = np.random.default_rng(0)
    cells = []
    for n, d, h, p, k, s, pad in ROWS:
        x = generator.standard_normal((n, d, h, h), np.float32)
        w = generator.standard_normal((p, d, k, k), np.float32)
        b = generator.standard_normal(p, np.float32)
        m = (h + 2 * pad - k) // s + 1
        delta = generator.standard_normal((n, p, m, m), np.float32)
        if side == "torch":
            tx, tw, tb, td = (torch.from_numpy(a) for a in (x, w, b, delta))
            rest = ([p], [s, s], [pad, pad], [1, 1], False, [0, 0], 1, [True, True, True])
            forward = partial(torch.conv2d, tx, tw, tb, s, pad)
            backward = partial(torch.ops.aten.convolution_backward, td, tx, tw, *rest)
        else:
            forward = partial(functional.convolution, x, w, b, stride=s, padding=pad)
            backward = partial(functional.convolution_backward, x, w, delta, stride=s, padding=pad)
        cells.append([median(forward, seconds), median(backward, seconds)])
    return cells


def run(side: str, threads: int, seconds: float) -> list[list[float]]:
    """`measure` in a process of its own."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CNNFILTER_THREADS")
    command = [sys.executable, __file__, "--side", side, "--threads", str(threads), "--seconds", str(seconds)]
    environment = os.environ | dict.fromkeys(names, str(threads))
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each cell of a round")
    parser.add_argument("--side", choices=("ours", "torch"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options.threads, options.seconds)))
        return
    sides = ["ours"] + ["torch"] * bool(importlib.util.find_spec("torch"))
    rounds = [
        {side: run(side, options.threads, options.seconds) for side in sides} for _ in range(options.rounds)
    ]
    missing = "" if len(sides) > 1 else ", PyTorch is not installed"
    print(f"{options.threads} thread(s), {len(rounds)} rounds{missing}")
    print("row (N, D, HxW, P, K, stride)   forward ms  torch  ratio   backward ms  torch  ratio")
    for k, row in enumerate(ROWS):
        cells = []
        for way in (0, 1):
            times = {side: [r[side][k][way] for r in rounds] for side in sides}
            cell = f"{statistics.median(times['ours']):10.2f}"
            if "torch" in times:
                ratio = statistics.median(b / a for a, b in zip(times["ours"], times["torch"], strict=True))
                cell += f" {statistics.median(times['torch']):7.2f} {ratio:6.2f}"
            cells.append(cell)
        print(f"{row[:6]!s:30} " + "   ".join(cells))


if __name__ == "__main__":
    main()
