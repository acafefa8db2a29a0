"""Mutated inputs for every reader: no crash, no hang, no memory without bound, no exception but our own.

``python -m benchmarks.mutations [COUNT] [--seconds S]`` draws its own inputs, changes bytes in them, and
reads them in processes of their own. What breaks a promise is printed with the seed that makes it again
(``--first SEED 1``); the exit status is 1 if there is any. ``--guided SECONDS`` lets atheris, which has to be
installed, look for changes of images that reach new lines of `cnnfilter.files`.
"""

import argparse
import contextlib
import faulthandler
import gzip
import io
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType

import click
import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from cnnfilter import files as imagefile
from cnnfilter.cli.inputs import sources
from cnnfilter.cli.net.weights import names_in
from cnnfilter.errors import CnnFilterError
from cnnfilter.files import FORMS, Picture, filterfile
from cnnfilter.files.extra import is_installed
from cnnfilter.files.filterfile import StoredFilter, StoredLayer
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.kernels import kernelfile
from cnnfilter.kernels.kernelsyntax import as_text
from cnnfilter.nn.data import read_idx
from cnnfilter.seeing.matrix import read_matrix

SECONDS, MEBIBYTES = 5, 1024
"""What one input of less than 2 MB may take."""


def images() -> Iterator[tuple[str, bytes]]:
    """Draw a small file of every form, and of every codec that is easily written."""
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (12, 15, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    for form in FORMS:
        if form in ("ICO", "PSD") or not is_installed(form):
            continue
        dtype = np.float32 if form in ("PFM", "HDR", "EXR") else np.uint8
        bits = form == "PBM"
        frame = ((colour[..., 0] > 99) * np.uint8(255)) if bits else colour.astype(dtype)
        frame = frame[..., 0] if form in ("PGM", "FITS") else frame
        file = io.BytesIO()
        imagefile.write(Picture([frame], "grey" if frame.ndim == 2 else "rgb"), file, form=form)
        yield f"a{FORMS[form][0]}", file.getvalue()
    yield "text.ppm", b"P3 30 24 255 " + b" ".join(b"%d" % value for value in colour.ravel())
    pictures = [Image.fromarray(colour), Image.fromarray(colour[::-1])]
    for form, name in (("PNG", "b.png"), ("GIF", "b.gif"), ("WEBP", "b.webp"), ("AVIF", "b.avif")):
        yield name, _saved(pictures[0], form, save_all=True, append_images=pictures[1:], duration=50)
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    yield "b.jpg", _saved(pictures[0], "JPEG", progressive=True, exif=exif, comment=b"words", dpi=(72, 72))
    for number, scheme in enumerate(("tiff_lzw", "packbits", "zstd", "jpeg", "tiff_adobe_deflate", "lzma")):
        yield f"{number}.tif", _saved(pictures[0], "TIFF", compression=scheme, tiffinfo={274: 8, 270: "text"})
    for scheme in ("group3", "group4"):
        yield f"{scheme}.tif", _saved(pictures[0].convert("1"), "TIFF", compression=scheme)
    yield "b.ico", _saved(pictures[0], "ICO", sizes=[(16, 16), (24, 24)])
    yield "runs.tga", _saved(pictures[0].quantize(40), "TGA", compression="tga_rle")
    yield "bits.pcx", _saved(pictures[0].convert("1"), "PCX")
    for bits, rows in ((8, colour), (16, colour.astype(">u2") * 257)):
        planes = rows.transpose(2, 0, 1)
        runs = [imagecodecs.packbits_encode(row.tobytes()) for plane in planes for row in plane]
        lengths = b"".join(len(row).to_bytes(2, "big") for row in runs)
        head = struct.pack(">4sH6xHLLHH", b"8BPS", 1, 3, *colour.shape[:2], bits, 3)
        yield f"{bits}.psd", head + bytes(12) + b"\0\1" + lengths + b"".join(runs)
    file = io.BytesIO()
    imagefile.write(Picture([colour.astype(np.uint16) * 257], "rgb"), file, form="SGI")
    yield "deep.sgi", file.getvalue()
    yield "palette.tif", _saved(pictures[0].quantize(40), "TIFF", compression="tiff_lzw")
    yield "palette.png", _saved(pictures[0].quantize(40), "PNG")
    for name, options in (
        ("tiles", {"tile": (16, 16)}),
        ("j2k", {"compression": "jpeg2000"}),
        ("big", {"bigtiff": True}),
        ("lab", {"photometric": "cielab"}),
    ):
        file = io.BytesIO()
        tifffile.imwrite(file, colour, **{"photometric": "rgb", **options})
        yield f"{name}.tif", file.getvalue()


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def others() -> Iterator[tuple[str, bytes]]:
    """Draw kernels, weights and data sets."""
    yield "k.txt", b"1 2 1\n2 4 2\n1 2 1\n/ 16\n"
    yield "k.csv", b"1,2,1\n2,4,2\n"
    yield (
        "k.json",
        json.dumps({"cnnfilter": "kernel", "version": 1, "weights": [[1, 2, 1]], "name": "a"}).encode(),
    )
    kernel = kernelfile.parse("1 2 1; 2 4 2; 1 2 1 / 16")
    for form in ("numpy", "c", "latex", "imagemagick", "vips", "gmic", "ffmpeg"):
        yield f"k.{form}.txt", str(as_text(kernel, form)).encode()
    file = io.BytesIO()
    np.save(file, np.eye(3))
    yield "k.npy", file.getvalue()
    yield "m.csv", b"1,2.5,3\n4,5,-6e3\n"
    yield "l.txt", b"one\ntwo\nthree\n"
    yield "l.utf16.txt", "one\ntwo\n".encode("utf-16")
    file = io.BytesIO()
    np.savez_compressed(file, weight=np.ones((3, 4), np.float32), bias=np.zeros(4))
    yield "w.npz", file.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        write_tensors(f"{folder}/w.safetensors", {"weight": np.ones((3, 4), np.float32)}, {"a": "b"})
        yield "w.safetensors", Path(folder, "w.safetensors").read_bytes()
        learned = StoredFilter(
            (StoredLayer(np.ones((2, 1, 3, 3)), activation="relu"), StoredLayer(np.ones((1, 2, 1, 1))))
        )
        filterfile.save(learned, f"{folder}/f.safetensors")
        yield "f.safetensors", Path(folder, "f.safetensors").read_bytes()
    idx = struct.pack(">HBBLLL", 0, 8, 3, 4, 5, 5) + bytes(100)
    yield "i.idx", idx
    yield "i.idx.gz", gzip.compress(idx)


def _read_lists(path: str) -> None:
    """Read a list of files, which then are not there, and one of labels."""
    with contextlib.suppress(OSError, click.UsageError):
        sources([], path, null=False, recursive=False, quiet=True)
    names_in(path, 3)


READERS: dict[str, Callable[[str], object]] = {
    "k": kernelfile.load,
    "w": read_tensors,
    "f": filterfile.load,
    "i": read_idx,
    "m": lambda path: read_matrix(Path(path).read_text(errors="replace")),
    "l": _read_lists,
}


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Change, take away, repeat or put in some bytes."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        at, size = int(rng.integers(len(changed) + 1)), int(rng.integers(1, 9))
        match rng.integers(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << int(rng.integers(8))
            case 1:
                changed[at : at + size] = rng.bytes(size)
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = changed[at : at + size] * int(rng.integers(1, 40))
            case 4:
                value = rng.choice([0, 1, 0x7F, 0xFF, 0x80]).item()
                changed[at : at + size] = bytes([value]) * size
            case _:
                changed[at:] = changed[at : at + int(rng.integers(1, len(changed) + 2))]
    return bytes(changed)


def work(first: int, last: int, folder: str) -> None:
    """Read the inputs of some seeds; a line on standard output for each that breaks a promise."""
    faulthandler.enable()
    samples = [*images()] * 3 + [*others()]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError))
    for seed in range(first, last):
        rng = np.random.default_rng(seed)
        name, data = samples[rng.integers(len(samples))]
        path = os.path.join(folder, name)
        Path(path).write_bytes(mutated(data, rng))
        print("at", seed, name, flush=True)
        signal.alarm(SECONDS)
        try:
            READERS.get(name.split(".")[0], imagefile.read)(path)
            print("read", flush=True)
        except CnnFilterError:
            print("refused", flush=True)
        except BaseException as error:
            print("broken", seed, name, type(error).__name__, str(error)[:200].replace("\n", " "), flush=True)
        signal.alarm(0)
        if (now := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) > max(most, MEBIBYTES << 10):
            most = now
            print("broken", seed, name, "memory", f"{now >> 10} MiB", flush=True)


def guided(seconds: int) -> None:
    """Let atheris change images, led by the lines that they reach; it ends the process itself."""
    import atheris

    samples = [*images()]
    for _, data in samples:  # so that all readers are there
        imagefile.read(data, name="a.tga")
    for module in [module for name, module in sys.modules.items() if name.startswith("cnnfilter.files.")]:
        for name, found in [*vars(module).items()]:
            if isinstance(found, FunctionType) and found.__module__ == module.__name__:
                setattr(module, name, atheris.instrument_func(found))

    def read(data: bytes) -> None:
        with contextlib.suppress(CnnFilterError):
            imagefile.read(data, name="a.tga")

    with tempfile.TemporaryDirectory() as folder:
        for name, data in samples:
            Path(folder, name).write_bytes(data)
        limits = f"-timeout={SECONDS}", f"-rss_limit_mb={MEBIBYTES}", "-max_len=20000"
        atheris.Setup([sys.argv[0], folder, f"-max_total_time={seconds}", *limits], read)
        atheris.Fuzz()


def main() -> int:
    """Hand out seeds to processes, and say what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--guided", type=int, default=0, metavar="SECONDS")
    given = parser.parse_args()
    if given.guided:
        guided(given.guided)
    started, seed, counts, broken = time.monotonic(), given.first, Counter[str](), []
    while seed < given.first + given.count and time.monotonic() - started < given.seconds:
        last = min(seed + 1000, given.first + given.count)
        with tempfile.TemporaryDirectory() as folder:
            code = f"from benchmarks.mutations import work; work({seed}, {last}, {folder!r})"
            done = subprocess.run(
                [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False
            )
        lines = done.stdout.splitlines()
        counts.update(line.split()[0] for line in lines if not line.startswith("at"))
        broken += [line for line in lines if line.startswith("broken")]
        if done.returncode:
            broken.append(f"the process ended with {done.returncode}: {lines[-1] if lines else ''}")
            seed = int(lines[-1].split()[1]) + 1 if lines else last
        else:
            seed = last
    for line in broken:
        print(line)
    told = f"{counts['read']} read, {counts['refused']} refused, {len(broken)} broken"
    print(f"{seed - given.first} inputs: {told}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
