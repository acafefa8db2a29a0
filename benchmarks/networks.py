"""Networks beside PyTorch: inference of one image, training of LeNet-5, and the peak of memory.

    python -m benchmarks.networks speed [--threads 1 2] [--rounds 3] [NAME...]
    python -m benchmarks.networks memory [NAME...]

PyTorch is optional (`pip install -e '.[bench,torch]'`). Each side runs in a process of its own, in turns: in
one process the idle threads of one library spin on the cores that the other needs. A round gives the median
of a case's calls; printed is the median over the rounds, and of the ratios between two rounds that followed
each other. PyTorch's networks are
those of benchmarks/torchnetworks.py, as its users write them, without compilation; training is by the same
optimiser from the same weights.
"""

import argparse
import gc
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.layers import median

INFERENCE = ("alexnet", "alexnet-torchvision", "googlenet", "googlenet-torchvision", "resnet18", "resnet50")
TRAINING = tuple(f"{name} training, batch {n}" for name in ("lenet5-modern", "lenet5") for n in (64, 32))
IMAGES = 256


def call_of(side: str, case: str) -> Callable[[], object]:
    """Return what is timed: one image through a network, or IMAGES images through training."""
    name, _, batch = case.partition(" training, batch ")
    if batch:
        return (_training if side == "ours" else _torch_training)(name, int(batch))
    from cnnfilter.nn.models import build
    from cnnfilter.nn.network import frozen

    network = build(name).initialise(0)
    x = np.random.default_rng(0).standard_normal((1, *network.shape), np.float32)
    if side == "ours":
        return partial(frozen(network).forward, x)
    import torch

    from benchmarks.torchnetworks import REFERENCES, Reference

    reference, image = Reference(network.tensors()), torch.from_numpy(x)

    def run() -> None:
        with torch.inference_mode():
            REFERENCES[name](reference, image)

    return run


def _digits() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.standard_normal((IMAGES, 1, 32, 32), np.float32), random.integers(0, 10, IMAGES)


def _training(name: str, batch: int) -> Callable[[], object]:
    from cnnfilter.nn.data import Data
    from cnnfilter.nn.fit import Settings, Training
    from cnnfilter.nn.models import build

    data = Data(*_digits(), [str(i) for i in range(10)])
    training = Training(build(name).initialise(0), Settings(epochs=10_000, batch=batch, schedule="constant"))
    return partial(training.run_epoch, data, data.part(np.arange(1)))


def _torch_training(name: str, batch: int) -> Callable[[], object]:
    import torch

    from benchmarks.torchnetworks import REFERENCES, Reference
    from cnnfilter.nn.losses import RUBBISH_DISTANCE
    from cnnfilter.nn.models import build

    network = build(name).initialise(0)
    reference = Reference(network.tensors())
    trained = [reference.tensors[key].requires_grad_() for key in network.parameters]
    optimiser = torch.optim.Adam(trained, 0.001)
    images, labels = map(torch.from_numpy, _digits())

    def run() -> None:
        for chosen in torch.randperm(IMAGES).split(batch):
            optimiser.zero_grad()
            scores = REFERENCES[name](reference, images[chosen])
            if network.loss == "radial":
                scores = torch.nn.functional.pad(scores, (0, 1), value=-RUBBISH_DISTANCE)
            torch.nn.functional.cross_entropy(scores, labels[chosen]).backward()
            optimiser.step()

    return run


def in_process(side: str, threads: int, *arguments: str) -> list[float]:
    """Run one side in a process of its own and return its figures."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CNNFILTER_THREADS")
    command = [sys.executable, "-m", "benchmarks.networks", "side", side, *arguments]
    environment = os.environ | dict.fromkeys(names, str(threads))
    figures = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    return list(json.loads(figures))


def speed(cases: list[str], threads: list[int], rounds: int, seconds: float) -> None:
    """Print medians in milliseconds and PyTorch's over ours."""
    sides = ["ours"] + ["torch"] * bool(importlib.util.find_spec("torch"))
    for number in threads:
        print(
            f"{number} thread(s), {rounds} rounds"
            + ", PyTorch is not installed (pip install -e '.[torch]')" * (len(sides) == 1)
        )
        print(f"{'case':36} {'ours, ms':>9} {'PyTorch':>9} {'ratio':>6}")
        for case in cases:
            times: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(rounds):
                for side in sides:
                    times[side] += in_process(side, number, str(seconds), case)
            row = f"{case:36} {statistics.median(times['ours']):9.1f}"
            if "torch" in times:
                ratio = statistics.median(b / a for a, b in zip(times["ours"], times["torch"], strict=True))
                row += f" {statistics.median(times['torch']):9.1f} {ratio:6.2f}"
            print(row, flush=True)
        if any(" training" in case for case in cases):
            print(f"(training: {IMAGES} images; images a second are {IMAGES * 1000} over the figure)")


def memory(names: list[str]) -> None:
    """Print the peak while one image passes, beside the weights and the two largest activations."""
    print(f"{'network':24} {'weights':>8} {'2 largest':>9} {'peak':>7} {'ratio':>6}   MiB")
    for name in names:
        in_process("memory", 1, "0", name)  # so that no loop is compiled while memory is measured
        weights, largest, peak = (figure / 2**20 for figure in in_process("memory", 1, "0", name))
        print(
            f"{name:24} {weights:8.1f} {largest:9.1f} {peak:7.1f} {peak / (weights + largest):6.2f}",
            flush=True,
        )


def _peak(name: str) -> list[float]:
    """Bytes of weights, of the two largest outputs of layers, and the peak that forward adds up to."""
    from cnnfilter.nn.models import build
    from cnnfilter.nn.network import frozen

    warm = build("lenet5-modern").initialise(0)  # loops, BLAS and its threads are there already
    warm.forward(np.zeros((1, *warm.shape), np.float32))
    before = _status("VmRSS")
    network = frozen(build(name).initialise(0))
    weights = sum(tensor.nbytes for tensor in network.tensors().values())
    outputs = sorted(4 * math.prod(layer.output) for _, layer in network.layers())
    x = np.zeros((1, *network.shape), np.float32)
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak begins anew here
    network.forward(x)
    return [weights, sum(outputs[-2:]), _status("VmHWM") - before]


def _status(key: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    timing = commands.add_parser("speed", help="beside PyTorch, where it is installed")
    timing.add_argument("cases", nargs="*", default=[*INFERENCE, *TRAINING])
    timing.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    timing.add_argument("--rounds", type=int, default=3)
    timing.add_argument("--seconds", type=float, default=1.0, help="for each case of a round")
    peaks = commands.add_parser("memory", help="peak of one image, Linux only")
    peaks.add_argument("names", nargs="*", default=[*INFERENCE])
    side = commands.add_parser("side")
    side.add_argument("side")
    side.add_argument("seconds", type=float)
    side.add_argument("case")
    options = parser.parse_args()
    if options.command == "speed":
        speed(options.cases, options.threads, options.rounds, options.seconds)
    elif options.command == "memory":
        memory(options.names)
    elif options.side == "memory":
        print(json.dumps(_peak(options.case)))
    else:
        if options.side == "torch":
            import torch

            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        print(json.dumps([median(call_of(options.side, options.case), options.seconds)]))


if __name__ == "__main__":
    main()
