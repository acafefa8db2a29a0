"""What this machine can do at most: multiply-adds on registers, and copies of memory."""

import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Call, Case
from benchmarks.chains import CHAINS
from benchmarks.timing import by_turns
from cnnfilter.core.jit.compiled import Loop, function
from cnnfilter.core.jit.processor import register_bytes

WORTH_SHARING = 1 << 20
"""Bytes from which on a copy is shared among threads: to hand over less takes longer than to copy it."""


@lru_cache
def peak(real: str, threads: int) -> float:
    """Measure the multiply-adds a second of type `real` ("f32" or "f64") on so many threads."""
    number = 4 if real == "f32" else 8
    lanes = CHAINS * register_bytes() // number
    run = function(Loop("benchmarks.chains", "chains", (real,), f"void(i64, {real}, {real}, {real}*)"))
    outs = [np.empty(lanes, f"f{number}") for _ in range(threads)]
    rounds = 200_000  # about 0.5 ms

    def chain(out: np.ndarray) -> None:
        run(rounds, 0.5, 0.5, out.ctypes.data)

    call = _shared(chain, [(out,) for out in outs])
    call()
    best = min(_seconds(call) for _ in range(40))
    return threads * lanes * rounds / best


def copying(case: Case, threads: int) -> Call:
    """Return a call that moves the bytes of a case: its input to its output, without a filter."""
    shape, dtype, image = case.output_shape, np.dtype(case.dtype), case.image
    if shape == image.shape:
        return _copy(image, np.empty(shape, dtype), threads)
    # As many bytes read and written as the filter's, of one type.
    half = (image.nbytes + int(np.prod(shape)) * dtype.itemsize) // 2
    return _copy(image.reshape(-1).view(np.uint8)[:half], np.empty(half, np.uint8), threads)


def limit(case: Case, copy: float, threads: int) -> tuple[float, str]:
    """Return the milliseconds below which a case cannot come, given those of its copy, and what says so."""
    sums = case.multiply_adds / peak(case.real, threads) * 1e3
    return (copy, "copy") if copy >= sums else (sums, "sums")


def machine(threads: list[int], seconds: float) -> dict[str, Any]:
    """Name the machine, and measure what it can do."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [text for text in info.read_text().splitlines() if text.startswith("model name")]
        model = models[0].split(":", 1)[1].strip() if models else model
    source = np.ones(1 << 24, np.float32)
    target = np.empty_like(source)
    can = []
    for count in threads:
        (copy,) = by_turns(_copy(source, target, count), seconds=seconds)
        peaks = {f"{real}_multiply_adds": round(peak(real, count) / 1e9, 2) for real in ("f32", "f64")}
        can.append({"threads": count, **peaks, "copy": round(2e-6 * source.nbytes / copy, 2)})
    return {
        "processor": model, "system": platform.system(), "python": platform.python_version(),
        "register_bits": 8 * register_bytes(), "giga_a_second": can,
    }  # fmt: skip


def described(facts: dict[str, Any]) -> str:
    """Return the machine as lines for people."""
    lines = [f"{facts['processor']}, registers of {facts['register_bits']} bits, Python {facts['python']}"]
    for can in facts["giga_a_second"]:
        many = "thread" if can["threads"] == 1 else "threads"
        lines.append(
            f"{can['threads']} {many}: {can['f32_multiply_adds']:.4g} G multiply-adds/s in float32, "
            f"{can['f64_multiply_adds']:.4g} in float64; copy {can['copy']:.3g} GB/s, read and written"
        )
    return "\n".join(lines)


def _copy(source: np.ndarray, target: np.ndarray, threads: int) -> Call:
    if threads == 1 or source.nbytes + target.nbytes < WORTH_SHARING:
        return lambda: np.copyto(target, source, casting="unsafe")
    pieces = zip(np.array_split(target, threads), np.array_split(source, threads), strict=True)
    return _shared(lambda to, part: np.copyto(to, part, casting="unsafe"), list(pieces))


def _shared(work: Callable[..., None], pieces: list[tuple[Any, ...]]) -> Call:
    """Return a call that does each piece on a thread of its own; neither loops nor copies hold the GIL."""
    if len(pieces) == 1:
        return lambda: work(*pieces[0])
    pool = _pool(len(pieces) - 1)

    def call() -> None:
        others = [pool.submit(work, *piece) for piece in pieces[1:]]
        work(*pieces[0])
        for other in others:
            other.result()

    return call


@lru_cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
