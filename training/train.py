"""Train one of the filters that come with the tool, and write the file that ships.

    python training/photographs.py photographs
    python training/train.py denoise photographs

A run that was interrupted goes on with --resume. The same photographs, package and kind of processor give
the same bytes.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cnnfilter.learning.degrading import Degradation
from cnnfilter.learning.learnedfilter import LearnedFilter
from cnnfilter.learning.stack import learn_stack_from_clean
from cnnfilter.learning.training import StackOptions

SHIPPED = Path(__file__).parents[1] / "cnnfilter" / "learning" / "shipped"
COMMON = StackOptions(
    channels="mixed", block=2, loss="absolute", grey=0.3, begin="identity", augment=True, average=0.999,
    rate=1e-3, patience=40, batch=8, patch=64,
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How a filter is trained.

    Attributes
    ----------
    purpose : str
        What `learned --list` says of it.
    how : tuple of str
        What spoils the clean photographs.
    layers, maps, steps : int
    """

    purpose: str
    how: tuple[str, ...]
    layers: int
    maps: int
    steps: int


RECIPES = {
    "denoise": Recipe("camera noise, sigma 5 to 50 of 255", ("noise:0-55",), 8, 48, 10000),
    "denoise-fast": Recipe("the same at a third of the work", ("noise:0-55",), 6, 32, 10000),
    "deblock": Recipe("blocks and rings of JPEG, quality 10 to 60", ("jpeg:7-65",), 8, 40, 7000),
    "deblur": Recipe("a slight blur, sigma 0.8 to 2", ("blur:0.7-2.1", "noise:0-4"), 8, 40, 7000),
}


def train(name: str, photographs: Path, *, resume: bool, steps: int | None, threads: int | None) -> None:
    """Train a filter and write it, with its record."""
    recipe = RECIPES[name]
    options = replace(COMMON, layers=recipe.layers, maps=recipe.maps, steps=steps or recipe.steps)
    files = sorted((photographs / "learned").glob("*.png"))
    start = time.perf_counter()

    def progress(step: int, steps: int, quality: float) -> None:
        print(
            f"{name}: step {step} of {steps}, {quality:.2f} dB, {time.perf_counter() - start:.0f} s",
            flush=True,
        )

    learned = learn_stack_from_clean(
        files, [Degradation.parse(text) for text in recipe.how], options,
        checkpoint=photographs / f"{name}.checkpoint", resume=resume, progress=progress, threads=threads,
    )  # fmt: skip
    written = SHIPPED / f"{name}.safetensors"
    shipped(learned.filter, name).save(written)
    print(f"{written}: {written.stat().st_size} bytes")


def shipped(learned: LearnedFilter, name: str) -> LearnedFilter:
    """Return the filter as it ships: weights of 16 bits, and what it is for."""
    layers = tuple(
        replace(
            layer,
            weights=layer.weights.astype(np.float16),
            bias=None if layer.bias is None else layer.bias.astype(np.float16),
        )
        for layer in learned.layers
    )
    recipe = RECIPES[name]
    notes = {"name": name, "purpose": recipe.purpose, "spoiled": recipe.how, **learned.notes}
    return replace(learned, layers=layers, notes=notes)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("photographs", type=Path, help="what photographs.py wrote")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--steps", type=int, help="other than the recipe's")
    parser.add_argument("--threads", type=int)
    train(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
