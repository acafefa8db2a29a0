"""What a call costs before a pixel is filtered: repeated calls on 32 x 32 pixels."""

import numpy as np

import cnnfilter as cf
from benchmarks.timing import by_turns

SIDE = 32


def overhead(seconds: float) -> dict[str, float]:
    """Return the microseconds of each repeated call, on one thread."""
    random = np.random.default_rng(0)
    grey = random.random((SIDE, SIDE), dtype=np.float32)
    bytes_ = random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    kernel = cf.Kernel(random.random((3, 3)))
    calls = {
        "gaussian 2, f32": lambda: cf.gaussian(grey, 2.0, threads=1),
        "gaussian 2, u8": lambda: cf.gaussian(bytes_, 2.0, threads=1),
        "mean 3, u8": lambda: cf.mean(bytes_, 3, threads=1),
        "dense 3x3, f32": lambda: cf.correlate(grey, kernel, threads=1),
        "max pool 2, f32": lambda: cf.max_pool(grey, 2, threads=1),
    }
    times = by_turns(*calls.values(), seconds=seconds)
    return {name: round(1e3 * time, 2) for name, time in zip(calls, times, strict=True)}


def described(times: dict[str, float]) -> str:
    """Return the overhead as one line for people."""
    parts = "; ".join(f"{name} {time:.1f}" for name, time in times.items())
    return f"a repeated call on {SIDE}x{SIDE}, in microseconds: {parts}"
