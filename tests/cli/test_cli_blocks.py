"""Images that memory does not hold: filtered in blocks, with the bytes of the whole.

What a process holds anyway, some 100 MiB, is left out of account in most of these tests, so that images may
be small; the last ones count all of it.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import tifffile
from blockruns import LITTLE, run, told, write_images
from commandline import cnnfilter, complaint, names, picture
from PIL import Image

import cnnfilter as cf


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Images of every form that is read in parts."""
    monkeypatch.chdir(tmp_path)
    write_images()
    return tmp_path


def written(path):
    """Return the bytes of a file; of tiles what they and their tags hold, wherever they lie."""
    with open(path, "rb") as file:
        data = file.read()
    if not path.endswith(".tif"):
        return data
    with tifffile.TiffFile(path) as parsed:
        page = parsed.pages[0]
        if not page.is_tiled:
            return data
        tags = {tag.name: tag.value for tag in page.tags if tag.name != "TileOffsets"}
        pairs = zip(page.dataoffsets, page.databytecounts, strict=True)
        return len(data), tags, [data[place : place + size] for place, size in pairs]


MORE = defaultdict(lambda: LITTLE, {"tiles.tif": 9 * LITTLE, "a.png": 5 * LITTLE})
"""Rows of tiles take more, and strips that are packed together."""

WAYS = [
    ["gaussian", "--sigma", "2"],
    ["second-derivative", "--range", "stretch"],
    ["convolve", "--kernel", "sobel-x"],
    ["mean", "--depth", "16", "--linear"],
    ["gaussian", "--stride", "2x3", "--padding", "wide", "--boundary", "wrap"],
]


@pytest.mark.parametrize(
    ("name", "asked"),
    [(name, WAYS[0]) for name in ("a.npy", "bands.npy", "a.ppm", "plain.tif", "reduced.tif", "tiles.tif")]
    + [("plain.tif", way) for way in WAYS[1:]]
    + [(name, WAYS[0]) for name in ("alpha.pam", "associated.tif", "cmyk.tif", "a.png")]
    + [("alpha.tif", way) for way in WAYS],
)
def test_files_and_what_is_told_of_them_are_those_of_the_whole(folder, name, asked):
    """Those of tiles but for the places where they lie, for those of a block lie together."""
    ext = os.path.splitext(name)[1]
    whole = run(*asked, name, "-o", f"whole{ext}", "--json")
    blocks = run(*asked, name, "-o", f"blocks{ext}", "--json", "--memory", MORE[name], "--progress")
    assert b"B/s" in blocks.stderr and b"B/s" not in whole.stderr
    assert told(blocks) == told(whole)
    assert written(f"blocks{ext}") == written(f"whole{ext}")
    said = [line for line in blocks.stderr.splitlines() if b"note" in line]
    assert [line for line in whole.stderr.splitlines() if b"note" in line] == said
    assert not [other for other in names(folder) if "part" in other]


def test_a_pipe_of_filters(folder):
    asked = ["--", *"convolve --kernel sharpen then gaussian --sigma 1 then pool max".split()]
    one = run("pipe", "tiles.tif", "-o", "whole.tif", "--json", *asked)
    done = run("pipe", "tiles.tif", "-o", "blocks.tif", "--memory", MORE["tiles.tif"], "--json", *asked)
    assert told(done)["clipped"] == told(one)["clipped"] > 0
    assert written("blocks.tif") == written("whole.tif")


@pytest.mark.parametrize(
    ("declared", "asked"),
    [
        ("7", []),
        ("7", ["--fill", "--range", "stretch"]),
        ("7", ["--linear"]),
        ("7", ["--missing", "none"]),
        ("7", ["--missing", "200", "--overwrite"]),
        ("300", []),
        ("-1", ["--missing", "255", "--depth", "f32"]),
    ],
)
def test_missing_pixels_are_those_of_the_whole(folder, declared, asked):
    pixels = np.random.default_rng(4).integers(0, 50, (300, 250), np.uint8) * 5 + 2
    pixels[100:140, 30:60] = 255
    tifffile.imwrite("gaps.tif", pixels, metadata=None, extratags=[(42113, "s", 0, declared, True)])
    asked = ["gaussian", "--sigma", "2", *asked, "gaps.tif", "-o"]
    whole = run(*asked, "whole.tif", "--json")
    blocks = run(*asked, "blocks.tif", "--json", "--memory", 2 * LITTLE, "--progress")
    assert b"B/s" in blocks.stderr
    assert told(blocks) == told(whole)
    assert (folder / "blocks.tif").read_bytes() == (folder / "whole.tif").read_bytes()
    plans = [
        json.loads(run(*asked[:-1], "--explain", "--json", *more).stdout)
        for more in ([], ["--memory", 2 * LITTLE])
    ]
    assert plans[0]["missing"] == plans[1]["missing"]


@pytest.mark.parametrize("declared", ["7", "255"])
def test_hidden_pixels_are_not_missing_and_those_that_are_seen_go_not_with_alpha(folder, declared):
    pixels = np.full((300, 250, 4), 255, np.uint8)
    pixels[10:60, 5:90] = 7, 7, 7, 0
    pixels[100:, :, :3] = np.random.default_rng(4).integers(8, 250, (200, 250, 3))
    pixels[:100, :, :3][pixels[:100, :, :3] == 255] = 9
    told_of = {"extrasamples": ["unassalpha"], "extratags": [(42113, "s", 0, declared, True)]}
    tifffile.imwrite("hidden.tif", pixels, photometric="rgb", metadata=None, **told_of)
    asked = ["gaussian", "hidden.tif", "--range", "stretch", "-o"]
    whole = run(*asked, "whole.tif", "--json")
    blocks = run(*asked, "blocks.tif", "--json", "--memory", LITTLE)
    assert told(blocks) == told(whole)
    assert (folder / "blocks.tif").read_bytes() == (folder / "whole.tif").read_bytes()
    pixels[150, 150] = int(declared), 8, 8, 255
    tifffile.imwrite("seen.tif", pixels, photometric="rgb", metadata=None, **told_of)
    said = [
        complaint(run("gaussian", "seen.tif", "-o", "b.tif", *more, status=1))
        for more in ([], ["--memory", LITTLE])
    ]
    assert all("transparency goes with no missing pixels, and some are" in one for one in said)


def test_without_a_bound_large_images_go_in_blocks_by_themselves(folder):
    run("mean", "tiles.tif", "-o", "whole.npy")
    done = run("mean", "tiles.tif", "-o", "blocks.npy", "--progress", usual=LITTLE)
    assert b"B/s" in done.stderr
    assert (folder / "blocks.npy").read_bytes() == (folder / "whole.npy").read_bytes()


REFUSED = [
    (["gaussian", "--accuracy", "fast", "--sigma", "20", "a.npy", "-o", "b.npy"], "accuracy 'fast'"),
    (["mean", "a.jpg", "-o", "b.png"], "JPEG is not read in parts; use one of NPY, TIFF, PNG"),
    (["mean", "bits.png", "-o", "b.png"], "fewer than 8 bits"),
    (["gradient", "--show", "colour", "alpha.tif", "-o", "b.tif"], "gradient lets the whole image show"),
    (["mean", "a.npy", "-o", "b.jpg"], "JPEG is not written in parts"),
    (["mean", "a.npy", "-o", "b.npy", "--axes", "WH"], "leave --axes out"),
]


@pytest.mark.parametrize(("asked", "words"), REFUSED)
def test_what_needs_the_whole_image_is_refused_under_a_bound_and_held_whole_without(folder, asked, words):
    picture(folder / "a.jpg", (300, 250, 3))
    Image.fromarray(np.random.default_rng(1).random((500, 600)) < 0.5).save("bits.png")
    before = names(folder)
    assert words in complaint(run(*asked, "--memory", LITTLE, status=1))
    assert names(folder) == before
    run(*asked, usual=LITTLE)
    run(*asked, "--overwrite", "--memory", "1GiB")


def test_a_file_that_no_memory_holds_says_why_it_does_not_go_in_blocks(folder):
    picture(folder / "a.jpg", (300, 250, 3))
    said = complaint(run("mean", "a.jpg", "-o", "b.png", "--max-pixels", 9, usual=LITTLE, status=1))
    assert "limit of 9; raise it with --max-pixels" in said and "JPEG is not read in parts" in said


def test_too_little_memory_is_refused_with_the_number_that_will_do(folder):
    np.save("small.npy", np.zeros((20, 30)))
    said = complaint(run("gaussian", "small.npy", "-o", "b.npy", "--memory", "50", status=1))
    (number,) = [int(word) for word in said.split() if word.isdigit() and word != "50"]
    run("gaussian", "small.npy", "-o", "b.npy", "--memory", number)
    assert complaint(run("gaussian", "small.npy", "-o", "b.npy", "--memory", number - 1, status=1))
    said = run("mean", "small.npy", "a.npy", "-o", "out/", "--memory", "50", "-j2", status=1).stderr
    assert said.count(b"fewer --jobs leave more") == 2


@pytest.mark.parametrize("text", ["much", "-1", "1 PiB"])
def test_a_memory_that_is_none_is_named(folder, text):
    assert "is not an amount of memory" in complaint(
        run("mean", "a.npy", "-o", "b.npy", f"--memory={text}", status=2)
    )


def test_a_limit_of_pixels_holds_in_blocks_too(folder):
    asked = ["mean", "a.npy", "-o", "b.npy", "--memory", LITTLE, "--max-pixels"]
    assert "more than the limit of 149999" in complaint(run(*asked, "149999", status=1))
    run(*asked, "150000")
    said = complaint(run(*asked, "160000", "--padding", "200", status=1))
    assert "raise it with --max-pixels" in said


def test_a_few_bytes_that_claim_to_be_a_large_image_have_the_usual_limit(folder):
    tifffile.imwrite(
        "bomb.tif",
        iter([np.zeros((5008, 5008), np.uint8)] + [None] * 63),
        shape=(40000, 40000),
        dtype=np.uint8,
        tile=(5008, 5008),
        compression="zlib",
    )
    said = complaint(run("pool", "max", "--size", "99", "bomb.tif", "-o", "b.npy", usual=1 << 28, status=1))
    assert "limit of 500000000; raise it with --max-pixels" in said


def test_several_files_share_the_memory(folder):
    done = run(
        "gaussian", "a.npy", "a.ppm", "plain.tif", "-o", "out/", "--memory", 4 * LITTLE, "-j2", "--json"
    )
    assert len(done.stdout.splitlines()) == 3
    for name in ("a.npy", "a.ppm", "plain.tif"):
        run("gaussian", name, "-o", f"whole{name}")
        assert (folder / "out" / name).read_bytes() == (folder / f"whole{name}").read_bytes()
    assert "exists already" in complaint(run("gaussian", "a.npy", "-o", "out/", "--memory", LITTLE, status=1))


def test_in_place(folder):
    run("gaussian", "plain.tif", "-o", "whole.tif")
    run("gaussian", "plain.tif", "--in-place", "--memory", LITTLE)
    assert (folder / "plain.tif").read_bytes() == (folder / "whole.tif").read_bytes()


@pytest.mark.parametrize("piped", [False, True])
def test_standard_streams(folder, piped):
    run("gaussian", "plain.tif", "-o", "whole.tif")
    with open("plain.tif", "rb") as file:
        how = {"input": file.read()} if piped else {"stdin": file}
        done = run("gaussian", "--memory", LITTLE, "--progress", **how)
    assert done.stdout == (folder / "whole.tif").read_bytes()
    assert b"B/s" in done.stderr


def test_a_stream_that_is_no_image_is_not_waited_for(folder):
    said = complaint(run("gaussian", "--memory", LITTLE, input=b"y\n" * 100_000, status=1))
    assert "not an image of a known form" in said


def test_explain_says_blocks_reads_and_memory(folder):
    asked = ["gaussian", "--sigma", "2", "a.npy", "--memory", LITTLE, "--explain"]
    found = json.loads(run(*asked, "--json").stdout)
    blocks = found["blocks"]
    assert -(-500 // blocks["rows"]) * -(-300 // blocks["columns"]) == blocks["count"] > 2
    assert 1 < blocks["pixels_read"] / 150_000 < 2.5
    assert 0 < found["memory"] <= LITTLE
    text = run(*asked).stdout.decode()
    assert f"in {blocks['count']} blocks of {blocks['rows']}x{blocks['columns']}, a pixel read" in text
    assert "whole process" in text and "range clip" in text
    assert "blocks" not in json.loads(run(*asked[:-3], "--explain", "--json").stdout)
    assert "accuracy 'fast'" in complaint(run(*asked, "--accuracy", "fast", status=1))
    assert "JPEG is not written" in complaint(run(*asked, "-o", "b.jpg", status=1))


def peak(*arguments):
    """Run a command in a process of its own and return the most bytes that it held, with code and all."""
    script = (
        "import cnnfilter.cli.main as main, os, sys\n"
        "def leave(status):\n"
        "    lines = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    print(lines['VmHWM'].split()[0], file=sys.stderr)\n"
        "    os._exit(status)\n"
        "main._leave = leave\n"
        "main.main()\n"
    )
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stderr.split()[-1]) << 10


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not say")
def test_the_process_keeps_within_its_memory(folder):
    """An image above the usual limit of pixels, sparse on the disk but for some rows."""
    shape = (23_000, 24_000)
    image = np.lib.format.open_memmap("large.npy", "w+", np.uint8, shape)
    image[11_000:11_100] = np.random.default_rng(5).integers(0, 256, (100, 24_000), np.uint8)
    part = np.array(image[10_900:11_200])
    del image
    most = peak("gaussian", "--sigma", "2", "large.npy", "-o", "soft.npy", "--memory", "220MiB")
    assert 60 << 20 < most < 220 << 20
    soft = np.load("soft.npy", mmap_mode="r")
    assert soft.shape == shape and not soft[:10_990].any() and not soft[11_110:].any()
    np.testing.assert_array_equal(soft[10_920:11_180], cf.gaussian(part, 2)[20:-20])


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not say")
def test_a_png_from_top_to_bottom_keeps_within_its_memory(folder):
    """Its pixels alone take more."""
    rows = np.random.default_rng(5).integers(0, 40, (500, 9000, 3), np.uint8)
    np.save("large.npy", np.tile(rows, (12, 1, 1)))
    run("mean", "--size", "1", "large.npy", "-o", "large.png", "--memory", "1GiB")
    asked = ["gaussian", "--sigma", "2", "large.png", "--memory", "150MiB", "-o"]
    assert peak(*asked, "soft.png") < 150 << 20 < np.load("large.npy", mmap_mode="r").nbytes
    found, part = cf.read("soft.png").frames[0], np.tile(rows, (2, 1, 1))
    np.testing.assert_array_equal(found[2900:3100], cf.gaussian(part, 2)[400:600])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["png", "jpg", "tif"])
def test_a_photograph_that_is_held_whole_keeps_within_its_memory_too(folder, form):
    pixels = np.random.default_rng(1).integers(0, 256, (2000, 3000, 3), np.uint8)
    cf.write(cf.Picture([pixels], "rgb"), f"photo.{form}", quality=90)
    said = complaint(cnnfilter("mean", f"photo.{form}", "-o", f"b.{form}", "--memory", "50MiB", status=1))
    assert "--memory" in said or "give" in said
    assert peak("mean", f"photo.{form}", "-o", f"b.{form}", "--memory", "220MiB") < 220 << 20
