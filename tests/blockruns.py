"""Runs of the command on images in blocks: with little memory, on small images of every form.

What a process holds anyway, some 100 MiB, is left out of account, so that images may be small.
"""

import json
import subprocess
import sys

import numpy as np
import tifffile

import cnnfilter as cf
from cnnfilter.files import Metadata

SCRIPT = (
    "import cnnfilter.lazy.memory as memory, cnnfilter.cli.blocks as blocks\n"
    "memory.base, memory.usual, blocks.LEAST_FILE = lambda: 0, lambda: USUAL, 0\n"
    "if ALWAYS:\n"
    "    import cnnfilter.lazy.resuming as resuming, time\n"
    "    resuming.EVERY, mark = 0, resuming.Unfinished.mark\n"
    "    resuming.Unfinished.mark = lambda *told: (mark(*told), time.sleep(0.05))\n"
    "if TILES:\n"
    "    import cnnfilter.lazy.packing as packing, cnnfilter.lazy.tiles as tiles\n"
    "    tiles.KEPT_BYTES = packing.PACKED_BYTES = 1000\n"
    "if PNGS:\n"
    "    import cnnfilter.files.deflate as deflate, cnnfilter.lazy.sequential as sequential\n"
    "    deflate._LEAST = deflate._MOST = sequential.STRIP_BYTES = 2000\n"
    "from cnnfilter.cli.main import main\n"
    "main()\n"
)
LITTLE = 100_000
"""Bytes that hold no image of these tests, but blocks of each."""


def command(*arguments, usual=1 << 40, always=False):
    """Run a command; `always`: it puts down each row of blocks, and waits for somebody to end it."""
    tiles = any(str(word).endswith(".tif") for word in arguments)
    pngs = any(str(word).endswith(".png") for word in arguments)
    script = SCRIPT.replace("USUAL", str(usual)).replace("TILES", str(tiles)).replace("PNGS", str(pngs))
    script = script.replace("ALWAYS", str(always))
    return [sys.executable, "-c", script, *map(str, arguments)]


def run(*arguments, status=0, usual=1 << 40, always=False, **more):
    stdin = {} if "input" in more or "stdin" in more else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(
        command(*arguments, usual=usual, always=always), capture_output=True, timeout=300, **stdin, **more
    )
    assert done.returncode == status, done.stderr.decode()
    return done


def told(done):
    return {key: value for key, value in json.loads(done.stdout).items() if key not in ("seconds", "output")}


def write_images():
    """Write images of every form that is read in parts into the current folder."""
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 256, (300, 250, 3), np.uint8)
    np.save("a.npy", rng.integers(0, 256, (500, 300), np.uint8))
    np.save("bands.npy", rng.integers(0, 256, (200, 150, 7), np.uint8))
    cf.write(cf.Picture([colours], "rgb"), "a.ppm")
    options = {"photometric": "rgb", "resolution": (300, 300), "description": "a slide", "metadata": None}
    tifffile.imwrite("plain.tif", colours, **options)
    tifffile.imwrite("tiles.tif", colours, tile=(16, 48), compression="zlib", **options)
    alpha = np.dstack([colours, np.full((300, 250), 255, np.uint8)])
    alpha[200:, ::7, 3] = rng.integers(0, 256, (100, 36))
    cf.write(cf.Picture([alpha], "rgb", True), "alpha.pam")
    cf.write(cf.Picture([alpha], "rgb", True), "alpha.tif")
    cf.write(cf.Picture([alpha], "rgb", True, metadata=Metadata(dpi=(300.0, 300.0))), "a.png")
    cf.write(cf.Picture([alpha], "cmyk"), "cmyk.tif")
    tifffile.imwrite("associated.tif", alpha, extrasamples=["assocalpha"], **options)
    with tifffile.TiffWriter("reduced.tif") as writer:
        writer.write(colours, subifds=1, **options)
        writer.write(colours[::2, ::2], subfiletype=1, **options)
