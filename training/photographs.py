"""The photographs that the filters learn from, and those that they are judged by.

They come from packages with free licences (see README.md) and are reduced by three, so that the blocks of
their own JPEG files vanish.
"""

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import cnnfilter as cf

WALLPAPERS = Path("/usr/share/backgrounds")
"""Where Debian's lomiri-wallpapers-16.04, lomiri-wallpapers-20.04 and mate-backgrounds put theirs."""
EVERY = 6  # wallpaper, in the order of their names, is held out
REDUCED = 3
JUDGED = "camera.png", "coins.png", "moon.png", "coffee.png", "rocket.jpg"
LEARNED = (
    "astronaut.png", "chelsea.png", "brick.png", "grass.png", "gravel.png", "motorcycle_left.png", "ihc.png",
)  # fmt: skip
"""Of scikit-image's own; they are taken as they are."""


def wallpapers() -> list[Path]:
    """Return the photographs among the wallpapers, by their names."""
    found = [*WALLPAPERS.glob("*.jpg"), *WALLPAPERS.glob("mate/nature/*.jpg")]
    if not found:
        raise SystemExit(
            f"{WALLPAPERS} holds no wallpapers: apt-get install lomiri-wallpapers-16.04 "
            "lomiri-wallpapers-20.04 mate-backgrounds"
        )
    return sorted(found, key=lambda path: path.name)


def _of_package(package: str, folder: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install scikit-image scikit-learn")
    return Path(spec.origin).parent / folder


def learned() -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and pixels (H, W, 3) of each photograph to learn from."""
    for number, path in enumerate(wallpapers()):
        if number % EVERY != EVERY - 1:
            yield path.stem, reduced(cf.read(path).frames[0])
    samples = _of_package("sklearn", "datasets/images")
    for name in ("china.jpg", "flower.jpg"):
        yield Path(name).stem, reduced(cf.read(samples / name).frames[0])
    for name in LEARNED:
        pixels = cf.read(_of_package("skimage", "data") / name).frames[0]
        yield Path(name).stem, np.broadcast_to(pixels.reshape(*pixels.shape[:2], -1), (*pixels.shape[:2], 3))


def judged() -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and pixels, (H, W) or (H, W, 3), of each photograph that no filter learns from."""
    for name in JUDGED:
        yield Path(name).stem, cf.read(_of_package("skimage", "data") / name).frames[0]
    for number, path in enumerate(wallpapers()):
        if number % EVERY == EVERY - 1:
            pixels = reduced(cf.read(path).frames[0])
            top, left = ((length - 512) // 2 if length > 512 else 0 for length in pixels.shape[:2])
            yield path.stem, np.ascontiguousarray(pixels[top : top + 512, left : left + 512])


def reduced(pixels: np.ndarray) -> np.ndarray:
    """Return means of 3x3 pixels."""
    return cf.mean_pool(pixels, REDUCED, stride=REDUCED)


def main() -> None:
    """Write both kinds as PNG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where learned/ and judged/ are written")
    folder = parser.parse_args().folder
    for kind, photographs in (("learned", learned()), ("judged", judged())):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, pixels in photographs:
            model = "rgb" if pixels.ndim == 3 else "grey"
            cf.write(cf.Picture([np.ascontiguousarray(pixels)], model=model), folder / kind / f"{name}.png")


if __name__ == "__main__":
    main()
