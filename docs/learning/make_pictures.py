"""Make the pictures of docs/learning.md: ``python docs/learning/make_pictures.py``.

Needs ImageMagick, whose filters are the ones to be learned, and matplotlib. Prints the figures that the page
quotes.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "docs" / "learning"
sys.path.insert(0, str(ROOT))

from benchmarks.learning import image_magick  # noqa: E402
from cnnfilter import files as imagefile  # noqa: E402
from cnnfilter import gaussian  # noqa: E402
from cnnfilter.drawing.figure import new_figure  # noqa: E402
from cnnfilter.learning.evaluation import psnr  # noqa: E402
from cnnfilter.learning.learnedfilter import LearnedFilter  # noqa: E402
from cnnfilter.learning.linear import learn_kernel  # noqa: E402
from cnnfilter.pixels import Array, packed  # noqa: E402

CROP = "192x192+150+20"  # of the astronaut: face, hair and flag
DETAIL = (slice(160, 290), slice(225, 355))  # of the rocket: tower and flame
CLOSE = (slice(185, 240), slice(270, 325))  # so near that noise shows, and what is left of it


def main() -> None:
    """Make the pairs, run the page's commands on them, and draw what came of it."""
    program = image_magick()
    if program is None:
        sys.exit("ImageMagick is needed: its filters are the ones to be learned")
    make_pairs(program)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "sample_images", folder / "sample_images")
        shutil.copytree(HERE, folder / "docs" / "learning")
        for command in commands():
            print("$", command, flush=True)
            command = f"{sys.executable} -m {command}"
            subprocess.run(command, shell=True, check=True, cwd=folder, env=environment())
        draw_clone(program, folder)
        draw_blur(folder)
        draw_denoiser(folder)
        draw_failures(folder)
        as_jpeg(folder / "unsharp-report.png", "report.jpg")
        as_jpeg(folder / "maps.png", "maps.jpg")


def make_pairs(program: str) -> None:
    """Let ImageMagick filter a part of a photograph; make a noisy one."""
    before = HERE / "before.png"
    magick(program, ROOT / "sample_images" / "astronaut.png", "-crop", CROP, "+repage", before)
    magick(program, before, "-unsharp", "0x1+1+0", HERE / "unsharp.png")
    magick(program, before, "-statistic", "Median", "3x3", HERE / "median.png")
    magick(program, before, "-gamma", "2.2", HERE / "gamma.png")
    clean = read(ROOT / "sample_images" / "astronaut.png").mean(axis=2).round().astype(np.uint8)
    noisy = with_noise(clean)
    for k, (top, left) in enumerate(itertools.product((0, 256), repeat=2)):
        for folder, image in (("clean", clean), ("noisy", noisy)):
            (HERE / folder).mkdir(exist_ok=True)
            write(HERE / folder / f"{k}.png", image[top : top + 256, left : left + 256])


def with_noise(image: Array, seed: int = 0) -> Array:
    """Add Gaussian noise of sigma 25."""
    noise = np.random.default_rng(seed).normal(0, 25, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def commands() -> list[str]:
    """Return the page's commands."""
    text = (ROOT / "docs" / "learning.md").read_text()
    return [line for line in text.splitlines() if line.startswith("cnnfilter ")]


def environment() -> dict[str, str]:
    """Run this tree, whatever is installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def draw_clone(program: str, folder: Path) -> None:
    """Draw ImageMagick's unsharp mask and ours on the rocket, which the kernel was not learned from."""
    rocket = ROOT / "sample_images" / "rocket.jpg"
    magick(program, rocket, "-unsharp", "0x1+1+0", folder / "rocket-magick.png")
    given, wanted = read(rocket), read(folder / "rocket-magick.png")
    ours = LearnedFilter.load(folder / "unsharp.json").apply(given)
    inner = (slice(8, -8), slice(8, -8))
    free = (wanted[inner] > 0) & (wanted[inner] < 255)
    quality = psnr(ours[inner][free], wanted[inner][free])
    print(f"rocket, cloned: {quality:.1f} dB where nothing is saturated")
    strip("clone.jpg", {"rocket.jpg": given, "ImageMagick -unsharp": wanted, f"ours, {quality:.0f} dB": ours})


def draw_blur(folder: Path) -> None:
    """Draw the rocket blurred and sharp again."""
    sharp = read(ROOT / "sample_images" / "rocket.jpg")
    soft = gaussian(sharp, sigma=1.2)
    ours = LearnedFilter.load(folder / "deblur.json").apply(soft)
    before, after = psnr(soft, sharp), psnr(ours, sharp)
    print(f"rocket, blur undone: {before:.2f} to {after:.2f} dB")
    strip(
        "blur.jpg",
        {f"blurred, {before:.1f} dB": soft, f"ours, {after:.1f} dB": ours, "before the blur": sharp},
    )


def draw_denoiser(folder: Path) -> None:
    """Draw the rocket with noise, and without it by one kernel and by the layers."""
    sharp = read(ROOT / "sample_images" / "rocket.jpg")
    noisy = with_noise(sharp, 1)
    ours = LearnedFilter.load(folder / "denoise.safetensors").apply(noisy)
    pairs = [[read(HERE / folder / f"{k}.png") for k in range(4)] for folder in ("noisy", "clean")]
    kernel = learn_kernel(*pairs, size=7, bias=True, register=False).filter.apply(noisy)
    named = {f"noise of sigma 25, {psnr(noisy, sharp):.1f} dB": noisy}
    named[f"one 7x7 kernel, {psnr(kernel, sharp):.1f} dB"] = kernel
    named[f"three layers, {psnr(ours, sharp):.1f} dB"] = ours
    print("rocket:", *named)
    strip("denoise.jpg", named, CLOSE)


def draw_failures(folder: Path) -> None:
    """Draw the median and the gamma curve beside what a kernel makes of them."""
    before = read(HERE / "before.png")
    rows = {}
    for name in ("median", "gamma"):
        ours = LearnedFilter.load(folder / f"{name}.json").apply(before)
        wanted = read(HERE / f"{name}.png")
        rows |= {f"{name}": wanted, f"a kernel's, {psnr(ours, wanted):.1f} dB": ours}
    strip("failures.jpg", rows, (slice(55, 105), slice(85, 135)))


def strip(name: str, images: dict[str, Array], part: tuple[slice, slice] = DETAIL) -> None:
    """Draw a part of images beside each other, each pixel of it as several."""
    figure = new_figure(3.2 * len(images), 3.5, layout="constrained")
    for axes, (title, image) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        axes.imshow(image[part], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    figure.savefig(HERE / name, pil_kwargs={"quality": 85})


def as_jpeg(source: Path, name: str) -> None:
    """Keep a picture as a small file."""
    with Image.open(source) as picture:
        small = picture.convert("RGB")
        small.thumbnail((1040, 1040), Image.Resampling.LANCZOS)
        small.save(HERE / name, quality=82)


def magick(program: str, source: Path, *arguments: str | Path) -> None:
    """Run ImageMagick; the last argument is a PNG of 8 bits."""
    *middle, target = arguments
    subprocess.run([program, source, *middle, "-strip", "-depth", "8", f"PNG24:{target}"], check=True)


def read(path: Path) -> Array:
    """Read an image."""
    return packed(imagefile.read(path).frames[0])


def write(path: Path, image: Array) -> None:
    """Write a PNG."""
    imagefile.write(imagefile.Picture([image]), path, compression=9)


if __name__ == "__main__":
    main()
