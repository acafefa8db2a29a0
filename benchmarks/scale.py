"""Measure images larger than memory beside libvips: ``python -m benchmarks.scale [--simulate]``.

Each run is a process of its own: its seconds, its seconds of all processors, and the most memory it held. A
form is run by turns with its peers, the least of the turns counts, and results are compared first.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import simulation

ROWS = 512
"""Rows of the image that are made, and compared, at a time."""

FORMS = ("npy", "tiles.tif", "deflate.tif", "png", "zarr")


_STARTER = """
import os, sys, time
start = time.perf_counter()
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(process, 0)
print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss << 10)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Run(NamedTuple):
    """What a process took: seconds, those of all processors, and bytes of memory at most."""

    wall: float
    cpu: float
    peak: int


def main() -> int:
    """Measure what was asked for."""
    options = _options()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="scale-"))
    folder.mkdir(exist_ok=True)
    try:
        if options.simulate:
            print(simulation.described(*costs(folder, options.memory), options.workers, options.days))
            return 0
        make_inputs(folder, options.side, options.memory, options.forms)
        print(f"{options.side}² of 8 bits, sigma 2, --memory {options.memory}")
        print(f"{'':24} {'wall s':>8} {'CPU s':>8} {'MiB':>6}  {'of vips':>8} {'of float':>8}")
        wrong = sum(not measure(folder, form, options) for form in options.forms)
        dask_arrays(options.array)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    return int(wrong > 0)


def make_inputs(folder: Path, side: int, memory: str, forms: Sequence[str]) -> None:
    """Make one image in every form: waves under noise."""
    plain = folder / "in.npy"
    image = np.lib.format.open_memmap(plain, "w+", np.uint8, (side, side))
    waves = 90 * (1 + np.sin(np.arange(side) / 40))
    for top in range(0, side, ROWS):
        rows = image[top : top + ROWS]
        noise = np.random.default_rng(top).integers(0, 40, rows.shape)
        rows[:] = (waves + noise).clip(0, 255)
    del image
    for form in forms:
        if form == "png":
            run([*ours("mean", memory, "--size", "1"), plain, "-o", folder / "in.png"])
        elif form.endswith(".tif"):
            make_tiff(plain, folder / f"in.{form}", compressed=form == "deflate.tif")
        elif form == "zarr":
            run([*ours("mean", memory, "--size", "1"), plain, "-o", folder / "in.zarr"])


def make_tiff(plain: Path, path: Path, *, compressed: bool) -> None:
    """Write a TIFF of tiles."""
    import tifffile

    image = np.load(plain, mmap_mode="r")
    side, tile = image.shape[0], 256

    def tiles() -> Any:
        for top in range(0, side, tile):
            for left in range(0, side, tile):
                part = image[top : top + tile, left : left + tile]
                yield np.pad(part, ((0, tile - part.shape[0]), (0, tile - part.shape[1])))

    how: dict[str, Any] = {"compression": "zlib", "predictor": True} if compressed else {}
    tifffile.imwrite(path, tiles(), shape=image.shape, dtype=image.dtype, tile=(tile, tile), **how)


def measure(folder: Path, form: str, options: argparse.Namespace) -> bool:
    """Measure one form, print its lines, and tell whether every figure was reached that this run can tell."""
    before, after = folder / f"in.{form}", folder / f"out.{form}"
    calls: dict[str, list[object]] = {
        form: [*ours("gaussian", options.memory, "--sigma", "2"), before, "-o", after, "--overwrite"]
    }
    if form.endswith(".tif") and shutil.which("vips"):
        packing = ",compression=deflate,predictor=horizontal" if form == "deflate.tif" else ""
        target = f"{folder / 'vips.tif'}[tile,tile-width=256,tile-height=256{packing}]"
        for name in ("integer", "float"):
            calls[f"{form}, vips {name}"] = ["vips", "gaussblur", before, target, "2", "--precision", name]
    best: dict[str, Run] = {}
    for _ in range(options.turns):
        for name, call in calls.items():
            found = run(call)
            best[name] = Run(*map(min, zip(best.get(name, found), found, strict=True)))
    mine, *peers = best.values()
    ratios = [f"{mine.cpu / peer.cpu:8.2f}" for peer in peers]
    for name, found in best.items():
        told = " ".join(ratios) if name == form else ""
        print(f"{name:24} {found.wall:8.2f} {found.cpu:8.2f} {found.peak / 2**20:6.0f}  {told}", flush=True)
    differing = differences(folder / "out.npy", after) if after.name != "out.npy" else 0
    if differing:
        print(f"{form}: {differing} pixels are not those of npy")
    from cnnfilter.lazy.memory import bytes_of

    held = mine.peak <= bytes_of(options.memory)
    cheap = all(mine.cpu <= most * peer.cpu for most, peer in zip((1.2, 0.4), peers, strict=False))
    print(f"  below the memory: {'yes' if held else 'NO'}; CPU at most 1.2 and 0.4 of vips: ", end="")
    print("yes" if peers and cheap else "NO" if peers else "no peer reads it")
    return held and not differing


def costs(folder: Path, memory: str) -> tuple[float, float, float]:
    """Measure what a photograph takes, in seconds and bytes, and 10⁹ pixels; tell what runs they foretell."""
    import cnnfilter as cf

    noise = np.random.default_rng(0).normal(0, 9, (3000, 4000, 3))
    waves = 60 * np.sin(np.arange(4000) / 90)[:, None]
    pixels = (128 + waves + noise).clip(0, 255).astype(np.uint8)
    photos = [folder / f"{number}.jpg" for number in range(9)]
    for photo in photos:
        cf.write(cf.Picture([pixels], "rgb"), photo, quality=90)
    filtering = [*ours("gaussian", "2GiB", "--sigma", "2", "-j1", "--overwrite"), "-o", f"{folder}/out/"]
    one, three, nine = (run([*filtering, *photos[:count]]) for count in (1, 3, 9))
    each = (three.cpu - one.cpu) / 2
    print(f"9 photographs: {one.cpu + 8 * each:.2f} CPU s foretold by 1 and by 3, {nine.cpu:.2f} taken")
    sides, taken = (1024, 4096, 8192), []
    for side in sides:
        make_inputs(folder, side, memory, ())
        command = [*ours("gaussian", memory, "--sigma", "2"), folder / "in.npy", "-o", folder / "out.npy"]
        taken.append(run(command).cpu)
    small, large, larger = (side**2 / 1e9 for side in sides)
    slope = (taken[1] - taken[0]) / (large - small)
    told = taken[0] + slope * (larger - small)
    print(f"8192²: {told:.2f} CPU s foretold by 1024² and 4096², {taken[2]:.2f} taken")
    return each, float(photos[0].stat().st_size), slope


def differences(one: Path, other: Path) -> int:
    """Count the pixels in which two results differ."""
    from cnnfilter.lazy.opening import readable

    with readable(one) as first, readable(other) as second:
        height, width = first.shape[:2]
        tops = range(0, height, ROWS)
        places = [((top, min(top + ROWS, height)), (0, width)) for top in tops]
        return sum(int(np.count_nonzero(first.read(*at) != second.read(*at))) for at in places)


def dask_arrays(side: int) -> None:
    """Measure a dask array of floats beside dask-image, if both are there."""
    try:
        import dask.array as da
    except ImportError:
        print("dask is not installed: no arrays")
        return
    import cnnfilter as cf

    image = da.from_array(np.random.default_rng(0).random((side, side), np.float32), chunks=1024)
    calls: dict[str, Callable[[], Any]] = {"cnnfilter": lambda: cf.gaussian(image, 2).compute()}
    try:
        from dask_image.ndfilters import gaussian_filter

        calls["dask-image"] = lambda: gaussian_filter(image, 2).compute()
    except ImportError:
        print("dask-image is not installed: no peer for arrays")
    for name, call in calls.items():
        call()
        start = time.process_time()
        call()
        print(f"dask, {side}² float32, {name:12} {time.process_time() - start:8.2f} CPU s", flush=True)


def ours(filter: str, memory: str, *options: str) -> list[object]:
    """Return a command of this package."""
    return [sys.executable, "-m", "cnnfilter", filter, *options, "--memory", memory, "-q"]


def run(command: Sequence[object]) -> Run:
    """Run a command to its end: from a small process, for memory counts from that of whoever starts it."""
    done = subprocess.run([sys.executable, "-S", "-c", _STARTER, *map(str, command)], capture_output=True)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stderr.decode()}")
    wall, cpu, peak = map(float, done.stdout.split()[-3:])
    return Run(wall, cpu, int(peak))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=40_000, help="pixels of a side (40000)")
    parser.add_argument("--array", type=int, default=8192, help="pixels of a side of the dask array (8192)")
    parser.add_argument("--memory", default="512MiB", help="what our runs may hold (512MiB)")
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=FORMS)
    parser.add_argument("--turns", type=int, default=1, help="how often each is run (1)")
    parser.add_argument("--folder", type=Path, help="where images go, and stay (a temporary folder)")
    parser.add_argument("--simulate", action="store_true", help="print the cost model instead")
    parser.add_argument("--workers", type=int, default=1000, help="of the simulation (1000)")
    parser.add_argument("--days", type=float, default=30, help="between failures of a worker (30)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
