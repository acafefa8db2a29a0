"""Whole commands beside each other, as a shell user meets them: ``python -m benchmarks.commands``.

A Gaussian of sigma 2 on files made from scikit-image's astronaut; processes run in turn, medians. Programs
that are not installed are left out.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

OPENCV = "import sys, cv2; cv2.imwrite(sys.argv[2], cv2.GaussianBlur(cv2.imread(sys.argv[1]), (17, 17), 2))"
PILLOW = "import sys; from PIL import Image, ImageFilter as F; Image.open(sys.argv[1]).filter(F.GaussianBlur(2)).save(sys.argv[2])"  # noqa: E501
BATCH = (
    "import sys, pathlib; from PIL import Image, ImageFilter as F\n"
    "for p in pathlib.Path(sys.argv[1]).iterdir():\n"
    "    Image.open(p).filter(F.GaussianBlur(2)).save(pathlib.Path(sys.argv[2]) / p.name)"
)


def commands(source: Path, target: Path) -> dict[str, list[str]]:
    """Return the command line of each program for one file."""
    here, out = str(source), str(target)
    known = {
        "cnnfilter": [sys.executable, "-m", "cnnfilter", "gaussian", "--sigma", "2", here, "-o", out],
        "OpenCV script": [sys.executable, "-c", OPENCV, here, out],
        "Pillow script": [sys.executable, "-c", PILLOW, here, out],
        "vips": ["vips", "gaussblur", here, out, "2"],
        "ImageMagick": ["convert", here, "-gaussian-blur", "0x2", out],
        "GraphicsMagick": ["gm", "convert", here, "-gaussian", "0x2", out],
        "G'MIC": ["gmic", here, "-blur", "2", "-output", out],
    }
    return {name: call for name, call in known.items() if shutil.which(call[0])}


def files(folder: Path) -> list[Path]:
    """Make a 512 x 512 picture and a 24 megapixel one in the usual forms."""
    from PIL import Image
    from skimage import data

    astronaut = data.astronaut()
    large = np.tile(astronaut, (8, 12, 1))[:4000, :6000]
    made = []
    for label, pixels, forms in (("512", astronaut, ("png", "jpg")), ("24mp", large, ("jpg", "png", "ppm"))):
        for form in forms:
            made.append(folder / f"{label}.{form}")
            Image.fromarray(pixels).save(made[-1])
    return made


def in_turn(calls: dict[str, list[str]], rounds: int, limit: float) -> dict[str, float]:
    """Return each program's median milliseconds; one that takes longer than `limit` seconds runs once."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            if turn > 1 and times[name] and times[name][-1] > limit * 1e3:
                continue
            start = time.perf_counter()
            subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            spent = (time.perf_counter() - start) * 1e3
            if turn:
                times[name].append(spent)
    return {name: statistics.median(kept) for name, kept in times.items()}


def batch(folder: Path, count: int) -> dict[str, float]:
    """Return the seconds that a folder of small JPEGs takes."""
    from PIL import Image
    from skimage import data

    source, target = folder / "many", folder / "done"
    source.mkdir()
    for number in range(count):
        Image.fromarray(np.roll(data.astronaut(), number, axis=1)).save(source / f"{number:04}.jpg")
    names = " ".join(str(path) for path in sorted(source.iterdir()))
    each = f"echo {names} | xargs -P2 -n1 sh -c 'vips gaussblur $0 {target}/$(basename $0) 2'"
    calls = {
        "cnnfilter": [sys.executable, "-m", "cnnfilter", "gaussian", "--sigma", "2", str(source), "-r",
                      "-o", f"{target}/", "--overwrite", "-q"],
        "Pillow script": [sys.executable, "-c", BATCH, str(source), str(target)],
    }  # fmt: skip
    if shutil.which("vips"):
        calls["xargs vips"] = ["sh", "-c", each]
    spent = {}
    for name, call in calls.items():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        start = time.perf_counter()
        subprocess.run(call, check=True)
        spent[name] = time.perf_counter() - start
    return spent


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.commands", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--limit", type=float, default=3.0, help="seconds above which a program runs once")
    parser.add_argument("--batch", type=int, default=500, help="JPEGs in the batch, 0 for none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in files(folder):
            for program, spent in in_turn(
                commands(source, folder / f"out{source.suffix}"), options.rounds, options.limit
            ).items():
                print(f"{source.name:10} {program:15} {spent:9.0f} ms", flush=True)
        if options.batch:
            for program, spent in batch(folder, options.batch).items():
                print(f"{options.batch} JPEGs  {program:15} {spent:9.2f} s", flush=True)


if __name__ == "__main__":
    main()
