"""The processor: what decides machine code, and how wide its registers are; without LLVM where possible."""

from __future__ import annotations

import os
import sys
from functools import lru_cache

_FACTS = (
    b"vendor_id", b"cpu family", b"model", b"model name", b"stepping", b"flags",
    b"CPU implementer", b"CPU architecture", b"CPU variant", b"CPU part", b"Features",
)  # fmt: skip


@lru_cache(maxsize=1)
def description() -> str:
    """Return name and features of the processor."""
    if sys.platform == "linux":
        with open("/proc/cpuinfo", "rb") as file:
            first, _, _ = file.read(1 << 16).partition(b"\n\n")
        facts = [line for line in first.splitlines() if line.partition(b":")[0].strip() in _FACTS]
        if facts:
            return f"{os.uname().machine} {b' '.join(facts).decode(errors='replace')}"
    import llvmlite.binding as llvm

    return f"{llvm.get_process_triple()} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"


@lru_cache(maxsize=1)
def register_bytes() -> int:
    """Return the bytes of a vector register: 64 with AVX-512, else 32, which shorter ones take in halves.

    Where ``NUMBA_CPU_NAME`` names another processor, 32 is right for any of them.
    """
    text = description()
    wide = " avx512f" in text or "+avx512f" in text
    return 64 if wide and not os.environ.get("NUMBA_CPU_NAME") else 32
