"""Networks: their speed beside PyTorch's, where it is installed.

python -m benchmarks.networks [NAME...]
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from cnnfilter.nn.data import Data
from cnnfilter.nn.fit import Settings, Training
from cnnfilter.nn.models import build
from cnnfilter.nn.network import Network, frozen


def speed(names: list[str]) -> None:
    """One image through each network; LeNet-5's training steps. Median of rounds that alternate."""
    rows: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = []
    for name in names or ["alexnet", "googlenet", "resnet18", "resnet50"]:
        network = build(name).initialise(0)
        x = np.random.default_rng(0).standard_normal((1, *network.shape)).astype(np.float32)
        rows.append((name, _forward(frozen(network), x), _torch_forward(name, network, x)))
    if not names:
        rows.append(("lenet5-modern training", _training(), _torch_training()))
    print(f"{'work':24} {'ours, ms':>9} {'PyTorch':>9} {'ratio':>6}")
    for name, ours, theirs in rows:
        mine, other = _paired(ours, theirs)
        beside = f"{other:9.1f} {other / mine:6.2f}" if theirs else "        -      -"
        print(f"{name:24} {mine:9.1f} {beside}", flush=True)


def _forward(network: Network, x: np.ndarray) -> Callable[[], object]:
    return lambda: network.forward(x)


def _training() -> Callable[[], object]:
    random = np.random.default_rng(0)
    images = random.standard_normal((256, 1, 32, 32)).astype(np.float32)
    data = Data(images, random.integers(0, 10, 256), [str(i) for i in range(10)])
    training = Training(build("lenet5-modern").initialise(0), Settings(epochs=10_000, batch=64))
    few = data.part(np.arange(1))
    return lambda: training.run_epoch(data, few)


def _torch_forward(name: str, network: Network, x: np.ndarray) -> Callable[[], object] | None:
    try:
        import torch
    except ImportError:
        return None
    from tests.test_net_torch import REFERENCES, Reference

    reference, image = Reference(build(name).initialise(0).tensors()), torch.from_numpy(x)

    def run() -> None:
        with torch.inference_mode():
            REFERENCES[name](reference, image)

    return run


def _torch_training() -> Callable[[], object] | None:
    try:
        import torch
    except ImportError:
        return None
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), 0.001)
    images, labels = torch.randn(256, 1, 32, 32), torch.randint(0, 10, (256,))

    def run() -> None:
        for chosen in torch.randperm(256).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(images[chosen]), labels[chosen]).backward()
            optimiser.step()

    return run


def _paired(
    ours: Callable[[], object], theirs: Callable[[], object] | None, rounds: int = 7
) -> tuple[float, float]:
    """Medians in milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(rounds + 1):
        for run, kept in zip((ours, theirs), times, strict=True):
            begin = time.perf_counter()
            if run:
                run()
            if i:  # the first round warms up
                kept.append(1000 * (time.perf_counter() - begin))
    return float(np.median(times[0])), float(np.median(times[1]))


if __name__ == "__main__":
    speed(sys.argv[1:])
