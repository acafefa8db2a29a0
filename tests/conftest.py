"""What holds for all tests, and the fences that some of them put around results."""

import importlib
import math
import pkgutil
import sys

import numpy as np
import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, and at first that a loop is compiled.
settings.register_profile("cnnfilter", deadline=None)
settings.load_profile("cnnfilter")

FENCE = 4096
"""Bytes before and behind every result that no loop may write."""


@pytest.fixture(scope="module")
def fenced():
    """Put bytes around the memory of every result, and look whether they are still there.

    A value written behind an array is in no result: it breaks the process later, or another picture.
    """
    held = []

    def check():
        for raw, inside in held:
            assert (raw[:FENCE] == 0xA5).all() and (raw[FENCE + inside :] == 0xA5).all()
        held.clear()

    def aligned_empty(shape, dtype):
        inside = math.prod(shape) * dtype.itemsize
        raw = np.full(inside + 2 * FENCE, 0xA5, np.uint8)
        if len(held) == 100:
            check()
        held.append((raw, inside))
        return raw[FENCE : FENCE + inside].view(dtype).reshape(shape)

    import cnnfilter.nn.functional

    for found in pkgutil.iter_modules(cnnfilter.core.methods.__path__, "cnnfilter.core.methods."):
        importlib.import_module(found.name)  # else a method would be imported within, and keep the fences
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("cnnfilter.") and "aligned_empty" in vars(module):
                patch.setattr(module, "aligned_empty", aligned_empty)
        yield
        check()


@pytest.fixture(scope="module")
def as_many_threads_as_asked_for():
    """Small images are given to threads as well, which costs more than it brings."""
    import cnnfilter.core.correlate

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cnnfilter.core.correlate, "LEAST_WORK", 1e-3)
        yield
