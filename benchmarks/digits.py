"""Accuracy of the small networks on scikit-learn's digits, beside a support vector machine.

python -m benchmarks.digits [NAME...] [--seeds 3]
python -m benchmarks.digits --write digits.npz

For each seed a stratified quarter of the 1,797 images (8 x 8, enlarged to 32 x 32) is held out and asked
once. Of the rest a tenth is parted off to watch, as ``cnnfilter net train`` does, and every network learns
by its own recipe. The second form writes the images for that command.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cnnfilter.nn.data import read_data
from cnnfilter.nn.fit import fit, predict
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.models import build
from cnnfilter.nn.models.recipes import RECIPES, recipe

VALIDATION = 0.1


def main() -> None:
    """Train, or write the data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digits", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--seeds", type=int, default=3, help="splits and first values (3)")
    parser.add_argument("--write", metavar="FILE", help="write the images as .npz and train nothing")
    options = parser.parse_args()
    if options.write:
        write(options.write)
        return
    print(f"{'network':22} {'seeds':>5} {'mean':>7} {'seconds':>8} {'SVC':>7}  each", flush=True)
    machines = [machine(rest, held) for rest, held in splits(options.seeds)]
    for name in options.names or RECIPES:
        found = [accuracy(name, seed, *split) for seed, split in enumerate(splits(options.seeds))]
        shares, seconds = zip(*found, strict=True)
        each = " ".join(f"{share:.4f}" for share in shares)
        means = f"{np.mean(shares):7.4f} {np.mean(seconds):8.1f} {np.mean(machines):7.4f}"
        print(f"{name:22} {options.seeds:5} {means}  {each}", flush=True)


def write(path: str | Path) -> None:
    """Write images (1797, 8, 8) from 0 to 1 and labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    np.savez_compressed(path, images=(images / 16).astype(np.float32).reshape(-1, 8, 8), labels=labels)


def splits(seeds: int) -> Iterator[tuple[Array, Array]]:
    """Yield the numbers of the images to train with and of those held out, for each seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    labels = load_digits().target
    for seed in range(seeds):
        yield train_test_split(np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=seed)


def machine(rest: Array, held: Array) -> float:
    """Accuracy of a support vector machine."""
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    images, labels = load_digits(return_X_y=True)
    return float(SVC(gamma=0.001).fit(images[rest], labels[rest]).score(images[held], labels[held]))


def accuracy(name: str, seed: int, rest: Array, held: Array) -> tuple[float, float]:
    """Accuracy of a network on the images held out, and the seconds of its training."""
    network = build(name).initialise(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits.npz")
        write(path)
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
