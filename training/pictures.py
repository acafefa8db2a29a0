"""Draw the pictures of docs/restoring.md: what is spoiled, what became of it, and what it was.

python training/pictures.py photographs
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from judge import nonlocal_means_of, wiener_of

import cnnfilter as cf
from cnnfilter.learning.degrading import Degradation, degraded
from cnnfilter.learning.shipped import shipped_filter

DOCS = Path(__file__).parents[1] / "docs" / "restoring"
SIDE, ENLARGED, GAP = 128, 2, 6

Array = np.ndarray


def row(
    photograph: Path, corner: tuple[int, int], how: tuple[str, ...], restored: list[Callable[[Array], Array]]
) -> Array:
    """Return a row of crops: spoiled, restored in each way, and clean."""
    clean = cf.read(photograph).frames[0]
    clean = np.ascontiguousarray(np.broadcast_to(clean.reshape(*clean.shape[:2], -1), (*clean.shape[:2], 3)))
    ways = [Degradation.parse(text) for text in how]
    spoiled = degraded(clean, ways, np.random.default_rng(0))
    shown = [spoiled, *(function(spoiled) for function in restored), clean]
    top, left = corner
    return sheet([np.clip(np.rint(x), 0, 255)[top : top + SIDE, left : left + SIDE] for x in shown])


def sheet(crops: list[Array]) -> Array:
    """Lay crops side by side, each pixel enlarged, on white."""
    large = [crop.repeat(ENLARGED, 0).repeat(ENLARGED, 1).astype(np.uint8) for crop in crops]
    gap = np.full((large[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for crop in large for part in (crop, gap)]
    return np.concatenate(parts[:-1], axis=1)


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path, help="what photographs.py wrote")
    judged = parser.parse_args().photographs / "judged"
    ours = {name: shipped_filter(name).apply for name in ("denoise", "denoise-fast", "deblock", "deblur")}
    learned = [ours["denoise-fast"], ours["denoise"]]
    rows = {
        "denoise": row(judged / "coffee.png", (110, 210), ("noise:25",), [nonlocal_means_of(25), *learned]),
        "denoise-hair": row(
            judged / "camera.png", (60, 180), ("noise:50",), [nonlocal_means_of(50), *learned]
        ),
        "deblock": row(judged / "rocket.png", (180, 270), ("jpeg:10",), [ours["deblock"]]),
        "deblur": row(
            judged / "coffee.png", (110, 210), ("blur:1.6", "noise:2"), [wiener_of(1.6), ours["deblur"]]
        ),
    }
    DOCS.mkdir(exist_ok=True)
    for name, pixels in rows.items():
        cf.write(cf.Picture([np.ascontiguousarray(pixels)], model="rgb"), DOCS / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
