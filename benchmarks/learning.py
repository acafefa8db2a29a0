"""Measure what `cnnfilter learn` reaches: ``python -m benchmarks.learning [NAME...]``.

Rows: large, recovery, clones, edits, denoiser. Photographs come from scikit-learn and scikit-image; the
clones need ImageMagick, whose rows are left out where it is missing.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import data
from sklearn.datasets import load_sample_image

from benchmarks.edits import EDITS, rounded
from cnnfilter import files as imagefile
from cnnfilter.learning.alternatives import find_alternative
from cnnfilter.learning.evaluation import psnr
from cnnfilter.learning.linear import learn_kernel
from cnnfilter.learning.stack import StackOptions, learn_stack
from cnnfilter.pixels import Array

CHINA, FLOWER = load_sample_image("china.jpg"), load_sample_image("flower.jpg")


class Row(NamedTuple):
    """One line of the table."""

    task: str
    found: str
    reach: str
    reached: bool


def main(names: list[str]) -> int:
    """Print the rows of the named groups, or of all."""
    groups: dict[str, Callable[[], Iterator[Row]]] = {
        "large": large, "recovery": recovery, "clones": clones, "edits": edits, "denoiser": denoiser,
    }  # fmt: skip
    missed = 0
    print(f"{'task':44} {'found':>34} {'to reach':>22}")
    for name in names or groups:
        for row in groups[name]():
            missed += not row.reached
            print(
                f"{row.task:44} {row.found:>34} {row.reach:>22}{'' if row.reached else '  MISSED'}",
                flush=True,
            )
    return missed


def large() -> Iterator[Row]:
    """24 megapixels of RGB: the whole command in a process of its own, files read and reports made."""
    kernel = np.random.default_rng(1).normal(0, 0.02, (7, 7))
    kernel[3, 3] += 1 - kernel.sum()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: the peak of memory of a child begins with that of its parent.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(write_large, folder, kernel).result()
        runs = [run_alone("learn", folder / "before.png", folder / "after.png", "-o", folder / "f.json",
                          "--size", "7") for _ in range(5)]  # fmt: skip
        found = np.array(json.loads((folder / "f.json").read_text())["weights"])
    seconds, memory = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
    yield Row("24 Mpx RGB pair (PNG), 7x7: whole command", f"{seconds:.2f} s", "< 4 s", seconds < 4)
    yield Row("  its peak memory", f"{memory:.2f} GiB", "< 2 GiB", memory < 2)
    error = np.abs(found - kernel).max()
    yield Row("  largest error of a weight", f"{error:.1e}", "", True)


def run_alone(*arguments: object) -> tuple[float, float]:
    """Run a command in a process of its own; return its seconds and the GiB of its peak memory."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "cnnfilter", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def write_large(folder: Path, kernel: Array) -> None:
    """Write a photograph of 24 megapixels, with noise so that every direction is there, and it filtered."""
    image = np.kron(data.astronaut(), np.ones((12, 12, 1), np.uint8))[:4000, :6000]
    noise = np.random.default_rng(0).integers(-12, 13, image.shape, np.int16)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    write(folder / "before.png", image)
    write(folder / "after.png", filtered(image, kernel))


def recovery() -> Iterator[Row]:
    """Known filters, 8 bits in and out."""
    for name, kernel, share in (
        ("mean 3x3", np.full((3, 3), 1 / 9), 0.0),
        ("sharpen, saturated", np.array([[-1.0, -1, -1], [-1, 9, -1], [-1, -1, -1]]), 0.15),
    ):
        after = filtered(CHINA, kernel)
        saturated = float(np.mean((after == 0) | (after == 255)))
        found = learn_kernel(CHINA, after, size=3).filter.kernel()
        assert found is not None and saturated >= share
        error = np.abs(found.array - kernel).max()
        task = f"{name}: {100 * saturated:.0f} % at the ends" if share else name
        yield Row(task, f"largest error {error:.1e}", "1e-3", error <= 1e-3)
    planes = [ndimage.gaussian_filter(CHINA[..., c].astype(float), 1.5, mode="mirror") for c in range(3)]
    report = learn_kernel(CHINA, np.rint(np.stack(planes, -1)).astype(np.uint8), size=9).report
    yield Row("Gaussian sigma 1.5 by 9x9, held out", f"{report.psnr:.1f} dB", "50 dB", report.psnr >= 50)


def clones() -> Iterator[Row]:
    """ImageMagick's filters, learned from one photograph, on another."""
    program = image_magick()
    if program is None:
        return
    for name, size, bias, arguments in (
        ("-unsharp 0x1+1+0", "auto", False, ["-unsharp", "0x1+1+0"]),
        ("-unsharp 0x1.5+0.8+0", 13, False, ["-unsharp", "0x1.5+0.8+0"]),
        ("emboss: -morphology Convolve", "auto", False,
         ["-morphology", "Convolve", "3: -2,-1,0 -1,1,1 0,1,2"]),
        ("relief on grey: Convolve -bias 50%", "auto", True,
         ["-bias", "50%", "-morphology", "Convolve", "3: -1,-0.5,0 -0.5,0,0.5 0,0.5,1"]),
    ):  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            seen, unseen = (
                made_by(program, arguments, image, Path(folder)) for image in (CHINA, data.coffee())
            )
        learned = learn_kernel(CHINA, seen, size=size, bias=bias).filter
        inner = (slice(16, -16), slice(16, -16))
        ours, wanted = learned.apply(data.coffee())[inner], unseen[inner]
        free = (wanted > 0) & (wanted < 255)
        quality = psnr(ours[free], wanted[free])
        yield Row(f"ImageMagick {name}", f"{quality:.1f} dB on another photograph", "45 dB", quality >= 45)


def edits() -> Iterator[Row]:
    """Edits of one photograph: what the first line says of them, and how the filter does on another."""
    seen, unseen = FLOWER[:384, :512], data.coffee()[:384, :512]
    inner = (slice(20, -20), slice(20, -20))
    for name, edit in EDITS.items():
        after, wanted = rounded(edit.make(seen)), rounded(edit.make(unseen))
        learned = learn_kernel(seen, after, size="auto")
        found: tuple[str, ...] | None = () if learned.report.explains else None
        if not learned.report.explains:
            other = find_alternative([seen], [after], learned.report)
            if other is not None and other.report.explains:
                found, learned = other.words, other.learned
        shift = learned.report.shifts[0]
        ours = np.roll(learned.filter.apply(unseen), shift, (0, 1))[inner]
        quality = psnr(ours, wanted[inner])
        said = "no filter" if found is None else " ".join(found) or "a kernel"
        told = found == edit.options and shift == edit.shift
        reach = "no filter" if edit.options is None else " ".join(edit.options) or "a kernel"
        yield Row(name, f"{said}, {quality:.1f} dB unseen", reach, told)


def denoiser() -> Iterator[Row]:
    """Three layers of 16 maps against the best kernels of 7x7, on a photograph that neither saw."""
    rng = np.random.default_rng(5)
    clean = [CHINA, FLOWER, data.astronaut(), data.coffee()]
    noisy = [np.clip(np.rint(x + rng.normal(0, 25, x.shape)), 0, 255).astype(np.uint8) for x in clean]
    start = time.perf_counter()
    learned = learn_stack(noisy[:3], clean[:3], StackOptions(layers=3, maps=16), register=False).filter
    seconds = time.perf_counter() - start
    kernel = learn_kernel(noisy[:3], clean[:3], size=7, bias=True, register=False).filter
    oracle = learn_kernel(noisy[3], clean[3], size=7, bias=True, register=False).filter
    ours, one, own, given = (
        psnr(image, clean[3]) for image in (*(f.apply(noisy[3]) for f in (learned, kernel, oracle)), noisy[3])
    )
    yield Row("denoiser, 3 x 16 maps, sigma 25: training", f"{seconds:.0f} s", "300 s", seconds < 300)
    yield Row("  over the 7x7 kernel, unseen photograph", f"+{ours - one:.2f} dB ({ours:.2f}, {one:.2f})",
              "+1.5 dB", ours - one >= 1.5)  # fmt: skip
    yield Row(
        "  over the 7x7 kernel of that photograph", f"+{ours - own:.2f} dB (noisy {given:.2f})", "", True
    )


def image_magick() -> str | None:
    """Find a real ImageMagick: other programs go by the name of convert, too."""
    for name in ("/usr/bin/convert", "magick", "convert"):
        program = shutil.which(name)
        if program:
            told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
            if told.returncode == 0 and "ImageMagick Studio" in told.stdout:
                return program
    return None


def filtered(image: Array, kernel: Array) -> Array:
    """Correlate in float64, round and clip, as another program would."""
    planes = [ndimage.correlate(image[..., c].astype(float), kernel, mode="mirror") for c in range(3)]
    return np.clip(np.rint(np.stack(planes, -1)), 0, 255).astype(np.uint8)


def made_by(program: str, arguments: list[str], image: Array, folder: Path) -> Array:
    """Run ImageMagick on an image."""
    write(folder / "in.png", image)
    command = [program, folder / "in.png", *arguments, "-depth", "8", f"PNG24:{folder / 'out.png'}"]
    subprocess.run(command, check=True)
    return np.asarray(imagefile.read(folder / "out.png").frames[0])


def write(path: Path, image: Array) -> None:
    """Write a PNG."""
    imagefile.write(imagefile.Picture([image], model="rgb"), path)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
