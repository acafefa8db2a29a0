"""No output byte comes from memory that was not written: files that end early, in every form and decoder.

glibc fills what `malloc` gives with a byte of our choice. Every file is decoded in two processes that differ
in that byte alone: where their pictures differ, memory that nobody wrote has come out.
"""

import io
import json
import os
import platform
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from test_imagefile_png import ALLOWED, CHANNELS, chunk, handmade

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Picture

DECODE = """
import hashlib, json, sys
from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
told = {}
for path in sys.argv[1:]:
    try:
        frames = imagefile.read(path).frames
        told[path] = [[frame.shape, hashlib.sha256(frame.tobytes()).hexdigest()] for frame in frames]
    except ImageFileError as error:
        told[path] = str(error)
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(7)
    ramp = np.add.outer(np.arange(61) * 3, np.arange(83) * 2)[..., None] + [0, 40, 90]
    return (ramp % 256 + rng.integers(-2, 3, ramp.shape)).clip(0, 255).astype(np.uint8)


def with_short_rows(data, height, kept):
    """A PNG whose stream of pixels ends after some rows, though all its checksums are right."""
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    rows = zlib.decompress(data[start + 8 : end - 4])
    return (
        data[:start] + chunk(b"IDAT", zlib.compress(rows[: int(kept * (len(rows) // height))])) + data[end:]
    )


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "bits"), [*ALLOWED, (3, 8)])
@pytest.mark.parametrize("kept", [0, 1, 1.5, 20, 39, 39.9])
def test_a_png_whose_rows_end_early_is_refused(kind, bits, interlaced, kept):
    samples = np.random.default_rng(1).integers(0, 2**bits, (40, 31, CHANNELS[kind]))
    data = handmade(samples, kind, bits, interlaced, [(b"PLTE", bytes(768))] if kind == 3 else ())
    with pytest.raises(ImageFileError, match="cut: truncated PNG file"):
        imagefile.read(with_short_rows(data, 40, kept), name="cut")


def saved(pixels, form, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def examples(image):
    """Whole files by name, of every form and of every decoder that a form has."""
    grey, other = image[..., 0], image[::-1]
    frames = {"save_all": True, "append_images": [Image.fromarray(other)], "duration": 50}
    yield "a.png", saved(image, "PNG")
    yield "animated.png", saved(image, "PNG", **frames)
    yield "a.jpg", saved(image, "JPEG", quality=90)
    yield "progressive.jpg", saved(image, "JPEG", progressive=True)
    yield "grey.jpg", saved(grey, "JPEG")
    yield "cmyk.jpg", saved_as(image, "CMYK", "JPEG")
    for scheme in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma", "jpeg"):
        yield f"{scheme}.tif", saved(image, "TIFF", compression=scheme)
    for scheme in ("group3", "group4", "tiff_ccitt"):
        yield f"{scheme}.tif", saved_as(image, "1", "TIFF", compression=scheme)
    yield "palette.tif", saved_as(image, "P", "TIFF", compression="tiff_lzw")
    yield "a.bmp", saved(image, "BMP")
    yield "palette.bmp", saved_as(image, "P", "BMP")
    yield "a.tga", saved(image, "TGA")
    yield "packed.tga", saved(image, "TGA", compression="tga_rle")
    yield "a.gif", saved(image, "GIF")
    yield "animated.gif", saved(image, "GIF", **frames)
    yield "lossy.webp", saved(image, "WEBP")
    yield "lossless.webp", saved(image, "WEBP", lossless=True)
    yield "animated.webp", saved(image, "WEBP", **frames)
    yield "a.avif", saved(image, "AVIF")
    for form, pixels in (
        ("PPM", image),
        ("PGM", grey),
        ("PAM", image),
        ("PFM", image.astype("f4")),
        ("NPY", image),
    ):
        file = io.BytesIO()
        imagefile.write(Picture([pixels], "rgb" if pixels.ndim == 3 else "grey"), file, form=form)
        yield f"a.{form.lower()}", file.getvalue()
    for form in ("JXL", "JP2", "QOI", "PCX", "SGI", "DDS", "HDR"):
        file = io.BytesIO()
        pixels = image.astype("f4") if form == "HDR" else image
        imagefile.write(Picture([pixels], "rgb"), file, form=form)
        yield f"a.{form.lower()}", file.getvalue()
    yield "text.ppm", b"P3 83 61 255 " + b" ".join(b"%d" % value for value in image.ravel())
    yield "bits.pbm", b"P4 83 61\n" + np.packbits(grey > 99, axis=1).tobytes()


def saved_as(pixels, mode, form, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, form, **options)
    return file.getvalue()


def damaged(name, data, rng):
    """The same file cut, cut and ended again, with a hole, and with flipped bits."""
    for kept in (0.2, 0.5, 0.8, 0.97):
        end = int(len(data) * kept)
        yield data[:end]
        yield data[:end] + data[-16:]
        yield data[:end] + b"\xff\xd9"
        yield data[:end] + bytes(len(data) - end)
    if name.endswith(".png"):
        yield from (with_short_rows(data, 61, kept) for kept in (1, 7.5, 50) if b"fdAT" not in data)
    for _ in range(16):
        broken = bytearray(data)
        for place in rng.integers(len(data) // 20, len(data), 3):
            broken[place] = rng.integers(256)
        yield bytes(broken)


def decoded(paths, filling):
    environment = os.environ | {"MALLOC_PERTURB_": str(filling)}
    done = subprocess.run(
        [sys.executable, "-c", DECODE, *paths], env=environment, capture_output=True, check=True, timeout=300
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries do not fill memory when asked")
def test_memory_that_was_not_written_reaches_no_picture(image, tmp_path):
    rng = np.random.default_rng(3)
    paths = []
    for name, data in examples(image):
        for number, broken in enumerate([data, *damaged(name, data, rng)]):
            paths.append(str(tmp_path / f"{number}-{name}"))
            (tmp_path / paths[-1]).write_bytes(broken)
    first, second = decoded(paths, 0x55), decoded(paths, 0xC3)
    opened = {path for path, told in first.items() if isinstance(told, list)}
    assert all(path in opened for path in paths if "/0-" in path)
    assert len(opened) > len(paths) / 10
    assert {path for path in paths if first[path] != second[path]} == set()


def test_the_memory_is_filled_as_the_test_above_believes():
    code = "import numpy as np; print(np.empty(5000, np.uint8)[4000])"
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"MALLOC_PERTURB_": filling},
            capture_output=True,
            check=True,
        ).stdout
        for filling in ("85", "195")
    ]
    assert told[0] != told[1]
