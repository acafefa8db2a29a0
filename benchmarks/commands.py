"""Whole commands beside each other, as a shell user meets them: ``python -m benchmarks.commands``.

A Gaussian of sigma 2 on files made from scikit-image's astronaut; processes run in turn, medians of the
seconds and of the peak memory. Programs that are not installed are left out. vips' default precision is
lower than ours: it leaves taps below a fifth of the largest out. The variable PYTHONDONTWRITEBYTECODE must
not be set: every start would compile its modules again.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

OPENCV = "import sys, cv2; cv2.imwrite(sys.argv[2], cv2.GaussianBlur(cv2.imread(sys.argv[1]), (17, 17), 2))"
PILLOW = "import sys; from PIL import Image, ImageFilter as F; Image.open(sys.argv[1]).filter(F.GaussianBlur(2)).save(sys.argv[2])"  # noqa: E501
BATCH = (
    "import sys, pathlib; from PIL import Image, ImageFilter as F\n"
    "for p in pathlib.Path(sys.argv[1]).iterdir():\n"
    "    Image.open(p).filter(F.GaussianBlur(2)).save(pathlib.Path(sys.argv[2]) / p.name)"
)


def image_magick() -> str:
    """Return the command of ImageMagick, which is `magick` from version 7 on."""
    return shutil.which("magick") or shutil.which("convert", path="/usr/bin:/usr/local/bin") or "magick"


def commands(source: Path, target: Path) -> dict[str, list[str]]:
    """Return the command line of each program for one file."""
    here, out = str(source), str(target)
    known = {
        "cnnfilter": [sys.executable, "-m", "cnnfilter", "gaussian", "--sigma", "2", here, "-o", out],
        "OpenCV script": [sys.executable, "-c", OPENCV, here, out],
        "Pillow script": [sys.executable, "-c", PILLOW, here, out],
        "vips": ["vips", "gaussblur", here, out, "2"],
        "ImageMagick": [image_magick(), here, "-gaussian-blur", "0x2", out],
        "GraphicsMagick": ["gm", "convert", here, "-gaussian", "0x2", out],
        "G'MIC": ["gmic", here, "-blur", "2", "-output", out],
    }
    return {name: call for name, call in known.items() if shutil.which(call[0])}


def files(folder: Path) -> list[Path]:
    """Make a 512 x 512 picture and a 24 megapixel one in the usual forms."""
    import numpy as np
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


class Spent(NamedTuple):
    """What a process took: seconds, and MiB at its peak."""

    seconds: float
    memory: float


def spent_by(call: list[str]) -> Spent:
    """Run a program to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(call)} ended with {process.returncode}")
    return Spent(seconds, usage.ru_maxrss / 1024)


def in_turn(calls: dict[str, list[str]], target: Path, rounds: int, limit: float) -> dict[str, Spent]:
    """Return each program's medians; one that takes longer than `limit` seconds runs once.

    The target is made anew by each: what replaces a file waits for the disk in ours, and in no other.
    """
    taken: dict[str, list[Spent]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            if turn and taken[name][0].seconds > limit:
                continue
            target.unlink(missing_ok=True)
            taken[name].append(spent_by(call))
    return {
        name: Spent(*(statistics.median(values) for values in zip(*(all_[1:] or all_), strict=True)))
        for name, all_ in taken.items()
    }


MEMORY = (
    "gaussian --sigma 2",
    "gaussian --sigma 2 --linear",
    "gaussian --sigma 2 --depth 16",
    "mean --size 31",
    "second-derivative",
    "second-derivative --range stretch",
    "convolve --kernel sharpen",
    "pool max",
)


def peaks(source: Path, target: Path) -> None:
    """Print the peak of some commands above that of `doctor`, in MiB and in the image's own bytes."""
    program = [sys.executable, "-m", "cnnfilter"]
    base = spent_by([*program, "doctor"]).memory
    image = 24e6 * 3 / 2**20
    named = [*([*command.split(), str(source), "-o", str(target)] for command in MEMORY)]
    chain = ["pipe", str(source), "-o", str(target), *"-- gaussian --sigma 1 then second-derivative".split()]
    for call in (*named, chain):
        target.unlink(missing_ok=True)
        above = spent_by([*program, *call]).memory - base
        words = " ".join(word for word in call if word not in (str(source), str(target), "-o"))
        print(f"{words:50} {above:6.0f} MiB {above / image:6.2f} x", flush=True)


def many_files(folder: Path, count: int) -> None:
    """Make a folder of JPEGs of 512 x 512."""
    import numpy as np
    from PIL import Image
    from skimage import data

    folder.mkdir()
    for number in range(count):
        Image.fromarray(np.roll(data.astronaut(), number, axis=1)).save(folder / f"{number:04}.jpg")


def batch(folder: Path, count: int) -> dict[str, float]:
    """Return the seconds that a folder of small JPEGs takes."""
    source, target = folder / "many", folder / "done"
    with Pool(1) as pool:
        pool.apply(many_files, (source, count))
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
    parser.add_argument("--files", nargs="*", help="some of 512.png 512.jpg 24mp.jpg 24mp.png 24mp.ppm")
    parser.add_argument(
        "--programs", nargs="*", help="these programs alone, by the first words of their names"
    )
    parser.add_argument("--memory", action="store_true", help="peaks of memory alone, on 24mp.png")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--limit", type=float, default=3.0, help="seconds above which a program runs once")
    parser.add_argument("--batch", type=int, default=500, help="JPEGs in the batch, 0 for none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: a child's peak of memory counts what its parent held when it started.
        with Pool(1) as pool:
            sources = pool.apply(files, (folder,))
        if options.memory:
            peaks(folder / "24mp.png", folder / "out.png")
            return
        for source in sources:
            if options.files is not None and source.name not in options.files:
                continue
            target = folder / f"out{source.suffix}"
            calls = commands(source, target)
            calls = {
                program: call
                for program, call in calls.items()
                if options.programs is None or program.startswith(tuple(options.programs))
            }
            taken = in_turn(calls, target, options.rounds, options.limit)
            ours = taken.get("cnnfilter", next(iter(taken.values())))
            for program, (seconds, memory) in taken.items():
                ratio = seconds / ours.seconds
                print(
                    f"{source.name:10} {program:15} {seconds * 1e3:9.0f} ms {ratio:7.2f} x {memory:7.0f} MiB",
                    flush=True,
                )
        if options.batch:
            times = batch(folder, options.batch)
            for program, seconds in times.items():
                ratio = seconds / times["cnnfilter"]
                print(f"{options.batch} JPEGs  {program:15} {seconds:9.2f} s {ratio:8.2f} x", flush=True)


if __name__ == "__main__":
    main()
