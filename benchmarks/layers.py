"""Time convolution layers, forward and backward, beside PyTorch: paired, alternating, medians.

Run ``python benchmarks/layers.py [--threads 1]``. PyTorch is optional. Backward is all three
gradients; PyTorch's is asked for through `torch.ops.aten.convolution_backward`, so that neither side
pays for a graph.
"""

import argparse
import os
import statistics
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


def alternate(calls: list[Callable[[], object]], repeats: int, seconds: float, pause: float) -> list[float]:
    """Median milliseconds of each call, taken in turns so that drift hits all alike.

    `pause` seconds between them let the other side's idle threads stop spinning on our cores.
    """
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    for i in range(repeats):
        for call, kept in zip(calls, times, strict=True):
            time.sleep(pause)
            call()
            start = time.perf_counter()
            call()
            kept.append((time.perf_counter() - start) * 1e3)
        if i >= 4 and time.perf_counter() > end:
            break
    return [statistics.median(kept) for kept in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.5, help="at most this long for each cell")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)

    import numpy as np

    from cnnfilter.nn import functional

    try:
        import torch
    except ImportError:
        torch = None
    else:
        torch.set_num_threads(options.threads)
    peer = f"PyTorch {torch.__version__}" if torch else "PyTorch is not installed"
    print(f"NumPy {np.__version__}, {peer}, {options.threads} thread(s), Python {sys.version.split()[0]}")
    print("row (N, D, HxW, P, K, stride)   forward ms  torch  ratio   backward ms  torch  ratio")
    generator = np.random.default_rng(0)
    for row in ROWS:
        n, d, h, p, k, s, pad = row
        x = generator.standard_normal((n, d, h, h), np.float32)
        w = generator.standard_normal((p, d, k, k), np.float32)
        b = generator.standard_normal(p, np.float32)
        geometry = {"stride": s, "padding": pad}
        delta = generator.standard_normal(functional.convolution(x, w, b, **geometry).shape, np.float32)
        forward = [partial(functional.convolution, x, w, b, **geometry)]
        backward = [partial(functional.convolution_backward, x, w, delta, **geometry)]
        if torch:
            tx, tw, tb, td = (torch.from_numpy(a) for a in (x, w, b, delta))
            rest = ([p], [s, s], [pad, pad], [1, 1], False, [0, 0], 1, [True, True, True])
            forward.append(partial(torch.conv2d, tx, tw, tb, s, pad))
            backward.append(partial(torch.ops.aten.convolution_backward, td, tx, tw, *rest))
        cells = []
        for calls in (forward, backward):
            ours, *theirs = alternate(calls, options.repeats, options.seconds, 0.02 * (options.threads > 1))
            ratio = f"{theirs[0]:7.2f} {theirs[0] / ours:6.2f}" if theirs else "      -      -"
            cells.append(f"{ours:10.2f} {ratio}")
        print(f"{row[:6]!s:30} " + "   ".join(cells))


if __name__ == "__main__":
    main()
