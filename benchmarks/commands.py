"""Whole commands beside each other, as a shell user meets them: ``python -m benchmarks.commands``.

A Gaussian of sigma 2, and a pipe of three filters, on files made from scikit-image's astronaut; processes run
in turn. Printed are medians of the seconds, of the seconds of processors (user and system) and of the peak
memory, and of ours over theirs, pair by pair. Programs that are not installed are left out.

A name alone is a program as it comes: vips leaves taps below a fifth of the largest out, writes JPEG of
quality 75 and packs PNG at level 6 and TIFF not at all. "equal" does the same work as ours: taps out to four
sigma in floats, quality, compression and level as ours.
"""

import argparse
import importlib.util
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


VIPS = "import sys, pyvips; pyvips.Image.new_from_file(sys.argv[1], access='sequential')"
PYVIPS = f"{VIPS}.gaussblur(2).write_to_file(sys.argv[2])"
VIPS_PIPE = (
    f"{VIPS}.gaussblur(1, precision='float', min_ampl=3e-4)"
    ".conv(pyvips.Image.new_from_array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]))"
    ".conv(pyvips.Image.new_from_array([[1] * 5] * 5, scale=25))"
    ".rint().cast('uchar').write_to_file(sys.argv[2])"
)
OPENCV_PIPE = (
    "import sys, cv2, numpy as np\n"
    "image = cv2.GaussianBlur(cv2.imread(sys.argv[1]).astype(np.float32), (9, 9), 1)\n"
    "image = cv2.filter2D(image, -1, np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32))\n"
    "cv2.imwrite(sys.argv[2], cv2.blur(image, (5, 5)))"
)
EQUAL = {
    ".jpg": "[Q=75]", ".png": "[compression=1]", ".ppm": "", "none.tif": "",
    "deflate.tif": "[compression=deflate,predictor=horizontal]",
    "lzw.tif": "[compression=lzw,predictor=horizontal]",
}  # fmt: skip
"""What vips is to write for the same work, by the end of the file's name."""


def commands(source: Path, target: Path) -> dict[str, list[str]]:
    """Return the command line of each program for one file."""
    here, out = str(source), str(target)
    python, taps = [sys.executable, "-c"], ["--precision", "float", "--min-ampl", "3e-4"]
    ffmpeg = ["ffmpeg", "-y", "-loglevel", "error"]
    equal = next(options for ending, options in EQUAL.items() if source.name.endswith(ending))
    return _installed({
        "cnnfilter": [sys.executable, "-m", "cnnfilter", "gaussian", "--sigma", "2", here, "-o", out],
        "OpenCV script": [*python, OPENCV, here, out],
        "Pillow script": [*python, PILLOW, here, out],
        "vips, equal": ["vips", "gaussblur", here, out + equal, "2", *taps],
        "vips": ["vips", "gaussblur", here, out, "2"],
        "pyvips script": [*python, PYVIPS, here, out],
        "ImageMagick": [image_magick(), here, "-gaussian-blur", "0x2", out],
        "GraphicsMagick": ["gm", "convert", here, "-gaussian", "0x2", out],
        "G'MIC": ["gmic", here, "-blur", "2", "-output", out],
        "ffmpeg gblur": [*ffmpeg, "-i", here, "-vf", "gblur=sigma=2", "-update", "1", out],
    })  # fmt: skip


def pipes(source: Path, target: Path) -> dict[str, list[str]]:
    """Return the command lines of three filters: a Gaussian, a sharpening kernel and a mean."""
    here, out = str(source), str(target)
    steps = "gaussian --sigma 1 then convolve --kernel sharpen then mean --size 5".split()
    return _installed({
        "cnnfilter": [sys.executable, "-m", "cnnfilter", "pipe", here, "-o", out, "--", *steps],
        "OpenCV script": [sys.executable, "-c", OPENCV_PIPE, here, out],
        "pyvips script": [sys.executable, "-c", VIPS_PIPE, here, out],
    })  # fmt: skip


def _installed(known: dict[str, list[str]]) -> dict[str, list[str]]:
    """Leave out the programs that are not there."""
    missing = {"pyvips script"} if importlib.util.find_spec("pyvips") is None else set()
    return {name: call for name, call in known.items() if shutil.which(call[0]) and name not in missing}


def files(folder: Path) -> list[Path]:
    """Make a 512 x 512 picture and a 24 megapixel one, with the noise of a photograph, in the usual forms."""
    import numpy as np
    import tifffile
    from PIL import Image
    from skimage import data

    astronaut = data.astronaut()
    wide = Image.fromarray(astronaut).resize((6000, 6000), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 2.5, (4000, 6000, 3))
    large = np.clip(np.rint(np.asarray(wide)[1000:5000] + noise), 0, 255).astype(np.uint8)
    made = []
    for label, pixels, forms in (("512", astronaut, ("png", "jpg")), ("24mp", large, ("jpg", "png", "ppm"))):
        for form in forms:
            made.append(folder / f"{label}.{form}")
            Image.fromarray(pixels).save(made[-1])
    for codec in ("none", "deflate", "lzw"):
        made.append(folder / f"24mp-{codec}.tif")
        packed = {} if codec == "none" else {"compression": codec, "predictor": 2}
        tifffile.imwrite(made[-1], large, photometric="rgb", rowsperstrip=16, **packed)
    return made


class Spent(NamedTuple):
    """What a process took: seconds, those of processors, and MiB at its peak."""

    seconds: float
    busy: float
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
    return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(calls: dict[str, list[str]], target: Path, rounds: int, limit: float) -> dict[str, list[Spent]]:
    """Return what each program took in each round; one that takes longer than `limit` seconds runs once.

    The target is made anew by each: what replaces a file waits for the disk in ours, and in no other.
    """
    taken: dict[str, list[Spent]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            if turn and taken[name][0].seconds > limit:
                continue
            target.unlink(missing_ok=True)
            taken[name].append(spent_by(call))
    return {name: all_[1:] or all_ for name, all_ in taken.items()}


def show(label: str, taken: dict[str, list[Spent]]) -> None:
    """Print the medians of each program, and ours over theirs."""
    ours = next(iter(taken.values()))
    for program, rounds in taken.items():
        seconds, busy, memory = (statistics.median(values) for values in zip(*rounds, strict=True))
        pairs = list(zip(ours, rounds, strict=False))
        ratios = [statistics.median(mine[at] / theirs[at] for mine, theirs in pairs) for at in (0, 1)]
        print(
            f"{label:16} {program:15} {seconds * 1e3:7.0f} ms {busy * 1e3:7.0f} ms busy {memory:5.0f} MiB"
            f"   ours over theirs {ratios[0]:5.2f}, busy {ratios[1]:5.2f}",
            flush=True,
        )


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
    parser.add_argument(
        "--files", nargs="*", help="some of those made, such as 512.png 24mp.jpg 24mp-lzw.tif"
    )
    parser.add_argument(
        "--programs", nargs="*", help="these programs alone, by the first words of their names"
    )
    parser.add_argument("--memory", action="store_true", help="peaks of memory alone, on 24mp.png")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--limit", type=float, default=3.0, help="seconds above which a program runs once")
    parser.add_argument("--batch", type=int, default=500, help="JPEGs in the batch, 0 for none")
    options = parser.parse_args()
    if sys.dont_write_bytecode:
        parser.error("PYTHONDONTWRITEBYTECODE is set: each start would compile its modules again")
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
            tables = {source.name: commands(source, target)}
            if source.name == "24mp.jpg":
                tables[f"{source.name}, pipe"] = pipes(source, target)
            for label, calls in tables.items():
                chosen = {
                    program: call
                    for program, call in calls.items()
                    if options.programs is None or program.startswith(tuple(options.programs))
                }
                show(label, in_turn(chosen, target, options.rounds, options.limit))
        if options.batch:
            times = batch(folder, options.batch)
            for program, seconds in times.items():
                ratio = seconds / times["cnnfilter"]
                print(f"{options.batch} JPEGs  {program:15} {seconds:9.2f} s {ratio:8.2f} x", flush=True)


if __name__ == "__main__":
    main()
