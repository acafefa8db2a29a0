"""What holds for all tests, the fences around results, and files that several begin with."""

import importlib
import logging
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

    import cnnfilter.core.methods
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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three photographs in a folder, which is the current one's `photos`."""
    from commandline import picture

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.jpg")):
        picture(tmp_path / "photos" / name, seed=number)
    return tmp_path


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with photographs, bars to learn, and networks with weights."""
    from networkfiles import bars, net
    from PIL import Image
    from skimage import data

    from cnnfilter.files.weightsfile import write_tensors
    from cnnfilter.nn.models import build

    place = tmp_path_factory.mktemp("nets")
    Image.fromarray(data.astronaut()[:400]).save(place / "astronaut.png")
    Image.fromarray(data.camera()).save(place / "camera.png")
    bars(place / "bars")
    tensors = build("resnet18", classes=5).initialise(0).tensors()
    tensors["fc.weight"] *= np.float32(0.02)  # so that no class is sure
    write_tensors(place / "resnet18.safetensors", tensors)
    write_tensors(place / "lenet5.safetensors", build("lenet5").initialise(0).tensors())
    net("train", "lenet5-modern", "--data", place / "bars", "-o", place / "bars.safetensors", "--epochs", 4)
    return place


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a scheduler with two workers, which are as frail as `frailworkers` makes them."""
    distributed = pytest.importorskip("distributed")
    import dask.config
    import frailworkers

    how = {
        "temporary-directory": str(tmp_path_factory.mktemp("dask")),
        "distributed.deploy.lost-worker-timeout": "1000 days",
    }
    with (
        dask.config.set(how),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            preload=[frailworkers.__file__],
            scheduler_kwargs={
                "dashboard": False,
                "dashboard_address": "127.0.0.1:0",
                "allowed_failures": 1,
            },
        ) as cluster,
    ):
        yield cluster.scheduler_address
