"""Judge the filters that come with the tool by photographs that none has learned from, beside other programs.

    python training/judge.py denoise photographs
    python training/judge.py denoise photographs --write    (notes the gains in the file that ships)

Pictures are spoiled as files are: rounded and limited to 8 bits. Others are told the level of the noise; ours
is not. `pip install bm3d opencv-python-headless scikit-image` for the others; what is missing is left out.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from train import RECIPES, SHIPPED

import cnnfilter as cf
from cnnfilter.learning.degrading import Degradation, degraded
from cnnfilter.learning.learnedfilter import LearnedFilter

Array = np.ndarray
Restored = Callable[[Array], Array]
LEVELS = {
    "denoise": ("noise:15", "noise:25", "noise:50"),
    "denoise-fast": ("noise:15", "noise:25", "noise:50"),
    "deblock": ("jpeg:10", "jpeg:20", "jpeg:40"),
    "deblur": ("blur:0.8+noise:2", "blur:1.2+noise:2", "blur:1.6+noise:2"),
}


def bm3d_of(sigma: float) -> Restored:
    """BM3D and its form for RGB, told the level."""
    from bm3d import bm3d, bm3d_rgb

    def restored(image: Array) -> Array:
        return (bm3d if image.ndim == 2 else bm3d_rgb)(image / 255, sigma / 255) * 255

    return restored


def nonlocal_means_of(strength: float) -> Restored:
    """OpenCV's non-local means."""
    import cv2

    def restored(image: Array) -> Array:
        if image.ndim == 2:
            return cv2.fastNlMeansDenoising(image, None, strength)
        return cv2.fastNlMeansDenoisingColored(image, None, strength, strength)

    return restored


def wiener_of(sigma: float, iterations: int | None = None) -> Restored:
    """scikit-image's unsupervised Wiener filter, or Richardson-Lucy, told the blur."""
    from skimage.restoration import richardson_lucy, unsupervised_wiener

    side = np.arange(-8, 9)
    bell = np.exp(-(side**2) / (2 * sigma**2))
    psf = np.outer(bell, bell) / bell.sum() ** 2

    def plane(values: Array) -> Array:
        padded = np.pad(values / 255, 16, "reflect")
        if iterations:
            return richardson_lucy(padded, psf, iterations)[16:-16, 16:-16] * 255
        return unsupervised_wiener(padded, psf, rng=0)[0][16:-16, 16:-16] * 255

    def restored(image: Array) -> Array:
        if image.ndim == 2:
            return plane(image)
        return np.stack([plane(image[..., c]) for c in range(3)], axis=2)

    return restored


def others(how: list[Degradation]) -> Iterator[tuple[str, list[Restored]]]:
    """Yield the names of other programs and, for each, the settings of which the best counts."""
    level = how[0].low
    if how[0].kind == "noise" and find_spec("bm3d"):
        yield "bm3d", [bm3d_of(level)]
    if how[0].kind == "noise" and find_spec("cv2"):
        yield "non-local means", [nonlocal_means_of(level * share) for share in (0.6, 0.8, 1.0, 1.2)]
    if how[0].kind == "blur" and find_spec("skimage"):
        yield "Wiener", [wiener_of(level)]
        yield "Richardson-Lucy", [wiener_of(level, iterations) for iterations in (3, 5, 10)]


def quality(guess: Array, clean: Array) -> float:
    """Return the PSNR of what a file of 8 bits would hold."""
    return cf.learning.psnr(np.clip(np.rint(guess), 0, 255), clean, peak=255)


def luminance_quality(guess: Array, clean: Array) -> float:
    """Return the PSNR of the luminance alone."""
    return quality(*(x if x.ndim == 2 else x @ np.array([0.299, 0.587, 0.114]) for x in (guess, clean)))


def judge(name: str, photographs: Path, *, alone: bool, write: bool) -> None:
    """Print a table, and perhaps note what was found."""
    path = SHIPPED / f"{name}.safetensors"
    learned = LearnedFilter.load(path)
    files = sorted((photographs / "judged").glob("*.png"))
    measure = luminance_quality if name == "deblock" else quality
    gains = []
    for text in LEVELS[name]:
        how = [Degradation.parse(part) for part in text.split("+")]
        programs = {"ours": [partial(learned.apply)], **({} if alone else dict(others(how)))}
        print(f"{name}, {text}")
        print(f"  {'':<28}{'spoiled':>9}" + "".join(f"{program:>22}" for program in programs))
        found = []
        for number, file in enumerate(files):
            clean = cf.read(file).frames[0]
            spoiled = degraded(clean.reshape(*clean.shape[:2], -1), how, np.random.default_rng(number))
            spoiled = spoiled.reshape(clean.shape)
            row = [(measure(spoiled, clean), 0.0)]
            row += [_best(settings, spoiled, clean, measure) for settings in programs.values()]
            found.append(row)
            cells = "".join(f"{psnr:>13.2f} {seconds:>6.2f} s" for psnr, seconds in row[1:])
            print(f"  {file.stem:<28}{row[0][0]:>9.2f}{cells}", flush=True)
        means = np.mean(found, axis=0)
        cells = "".join(f"{psnr:>13.2f} {seconds:>6.2f} s" for psnr, seconds in means[1:])
        print(f"  {'mean':<28}{means[0][0]:>9.2f}{cells}")
        gains.append(
            {"spoiled": text.replace(":", " ").replace("+", ", "), "before": round(means[0][0], 2),
             "after": round(means[1][0], 2)}
        )  # fmt: skip
    if write:
        replace(learned, notes={**learned.notes, "gains": gains}).save(path)


def _best(
    settings: list[Restored], spoiled: Array, clean: Array, measure: Callable[[Array, Array], float]
) -> tuple[float, float]:
    """Return the best PSNR of several settings, and its seconds."""
    rows = []
    for restored in settings:
        start = time.perf_counter()
        guess = restored(spoiled)
        seconds = time.perf_counter() - start
        rows.append((measure(guess, clean), seconds))
    return max(rows)


def main() -> None:
    """Read the command line and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("photographs", type=Path, help="what photographs.py wrote")
    parser.add_argument("--alone", action="store_true", help="leave other programs out")
    parser.add_argument("--write", action="store_true", help="note the gains in the file that ships")
    judge(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
