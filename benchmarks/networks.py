"""Networks: accuracy on scikit-learn's digits beside an SVC, and speed beside PyTorch where it is installed.

python -m benchmarks.networks digits [NAME...]
python -m benchmarks.networks speed [NAME...]
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from cnnfilter.nn.data import Data, resize
from cnnfilter.nn.fit import Settings, Training, fit, predict
from cnnfilter.nn.models import build
from cnnfilter.nn.network import Network, frozen

VARIED = {"shift": 1.5, "angle": 8.0, "scale": 0.08}
DIGITS = {
    "lenet5": ({}, Settings(epochs=60, rate=0.005, shift=1, angle=5, scale=0.05)),
    "lenet5-modern": ({}, Settings(epochs=20, rate=0.002, **VARIED)),
    "resnet20": ({"depth": 1}, Settings(epochs=6, rate=0.004, shift=1, angle=5, scale=0.05)),
    "highway": ({}, Settings(epochs=40, rate=0.002, shift=1, angle=5, scale=0.05)),
    "highway-convolutional": ({}, Settings(epochs=12, rate=0.003, shift=1, angle=5, scale=0.05)),
}
SEEDS = 3


def digits(names: list[str]) -> None:
    """Train with a stratified quarter held out; a tenth of the rest chooses the epoch."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    images, labels = load_digits(return_X_y=True)
    enlarged = resize((images / 16).astype(np.float32).reshape(-1, 1, 8, 8), (32, 32))
    classes = [str(i) for i in range(10)]
    print(f"{'network':22} {'accuracy':>9} {'SVC':>7} {'seconds':>8}  each seed")
    for name in names or DIGITS:
        options, settings = DIGITS[name]
        found, beside, seconds = [], [], []
        for seed in range(SEEDS):
            rest, held = train_test_split(
                np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=seed
            )
            network = build(name, **options).initialise(seed)
            how = network.preprocessing
            data = Data((enlarged - np.float32(how.mean[0])) / np.float32(how.std[0]), labels, classes)
            train, valid = data.part(rest).split(0.1, seed)
            begin = time.perf_counter()
            fit(network, train, valid, Settings(**{**vars(settings), "seed": seed}))
            seconds.append(time.perf_counter() - begin)
            scores = predict(network, data.images[held])
            found.append(float((scores.argmax(axis=1) == labels[held]).mean()))
            machine = SVC(gamma=0.001).fit(images[rest], labels[rest])
            beside.append(machine.score(images[held], labels[held]))
        each = " ".join(f"{a:.4f}" for a in found)
        means = f"{np.mean(found):9.4f} {np.mean(beside):7.4f} {np.mean(seconds):8.1f}"
        print(f"{name:22} {means}  {each}", flush=True)


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
    commands = {"digits": digits, "speed": speed}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(f"{__doc__}")
    commands[sys.argv[1]](sys.argv[2:])
