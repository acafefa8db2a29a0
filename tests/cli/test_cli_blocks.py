"""Images that memory does not hold: filtered in blocks, with the bytes of the whole; ended runs go on.

What a process holds anyway, some 100 MiB, is left out of account in most of these tests, so that images may
be small; the last ones count all of it.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import pytest
import tifffile
from commandline import cnnfilter, complaint, hear_signals, names, picture
from PIL import Image

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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Images of every form that is read in parts."""
    monkeypatch.chdir(tmp_path)
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


def told(done):
    return {key: value for key, value in json.loads(done.stdout).items() if key not in ("seconds", "output")}


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


def ended(*arguments, number=signal.SIGKILL, rows=1):
    """End a run once some rows of its result are on the disk; return what it said."""
    process = subprocess.Popen(
        command(*arguments, always=True),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        preexec_fn=hear_signals,
    )
    while process.poll() is None:
        try:
            with open(next(name for name in os.listdir() if name.endswith(".part.json"))) as file:
                if json.load(file)["rows"] >= rows:
                    break
        except (FileNotFoundError, StopIteration):
            time.sleep(0.001)
    process.send_signal(number)
    return process.communicate()[1].decode()


SLOW = ["gaussian", "--sigma", "3", "a.npy", "-o", "b.npy", "--memory", "90000"]


def test_a_killed_run_goes_on_and_gives_the_same_bytes(folder):
    run(*SLOW[:-3], "whole.npy")
    ended(*SLOW, rows=30)
    assert names(folder)[-6:] != ["b.npy"] and not (folder / "b.npy").exists()
    with open("b.npy.part.json") as file:
        rows = json.load(file)["rows"]
    assert 30 <= rows < 500
    said = run(*SLOW, "--resume", "-v").stderr.decode()
    assert f"goes on with {folder}/b.npy.part from row {rows}" in said
    assert (folder / "b.npy").read_bytes() == (folder / "whole.npy").read_bytes()
    assert not [name for name in names(folder) if "part" in name]


def test_a_png_goes_on_with_the_same_bytes(folder):
    pixels = np.random.default_rng(3).integers(0, 256, (1000, 300), np.uint8)
    np.save("a.npy", pixels)
    asked = ["gaussian", "--sigma", "2", "a.npy", "-o", "b.png", "--memory", 2 * LITTLE]
    run(*asked[:-3], "whole.png", *asked[-2:])
    ended(*asked, rows=64)
    said = run(*asked, "--resume").stderr.decode()
    assert "goes on with" in said
    assert (folder / "b.png").read_bytes() == (folder / "whole.png").read_bytes()
    np.testing.assert_array_equal(cf.read("b.png").frames[0], cf.gaussian(pixels, 2))


@pytest.mark.parametrize("more", [[], ["--compression", "6"]])
def test_a_packed_file_goes_on_where_it_was_ended(folder, more):
    pixels = np.random.default_rng(3).integers(0, 256, (500, 300, 3), np.uint8)
    how = {"compression": "zlib", "predictor": True, "photometric": "rgb", "metadata": None}
    tifffile.imwrite("a.tif", pixels, tile=(16, 32), **how)
    asked = ["gaussian", "--sigma", "2", "a.tif", *more, "-o", "b.tif", "--memory"]
    run(*asked[:-2], "whole.tif")
    ended(*asked, 200_000, rows=64)
    with open("b.tif.part.json") as file:
        rows = json.load(file)["rows"]
    assert 64 <= rows < 500
    said = run(*asked, 300_000, "--resume").stderr.decode()
    assert f"from row {rows}" in said
    assert (folder / "b.tif").stat().st_size == (folder / "whole.tif").stat().st_size
    np.testing.assert_array_equal(tifffile.imread("b.tif"), tifffile.imread("whole.tif"))
    assert "another command" in ended_and_resumed(asked)


def ended_and_resumed(asked):
    ended(*asked, 200_000)
    return run(*asked[:4], "--compression", "1", *asked[-3:], 200_000, "--resume").stderr.decode()


def test_what_was_limited_is_counted_once_by_two_runs(folder):
    asked = ["convolve", "--kernel", "sharpen", "--boundary", "zero", "a.npy", "-o", "b.npy"]
    whole = told(run(*asked[:-1], "whole.npy", "--json"))
    ended(*asked, "--memory", "30000", rows=30)
    assert told(run(*asked, "--memory", "30000", "--resume", "--json", "-q")) == whole
    assert whole["clipped"] > 1000


def test_the_extremes_of_a_stretch_are_found_once(folder):
    asked = ["second-derivative", "--range", "stretch", "a.npy", "-o", "b.npy"]
    run(*asked[:-1], "whole.npy")
    ended(*asked, "--memory", "30000", rows=30)
    with open("b.npy.part.json") as file:
        assert json.load(file)["ends"]
    run(*asked, "--memory", "30000", "--resume")
    assert (folder / "b.npy").read_bytes() == (folder / "whole.npy").read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("input", "the input has changed since"),
        ("command", "is of another command: begins anew"),
        ("kernel", "is of another command: begins anew"),
        ("record", "to go on with: begins anew"),
        ("part", "to go on with: begins anew"),
    ],
)
def test_another_input_or_command_begins_anew_and_says_so(folder, change, words):
    (folder / "k.csv").write_text("1,2,1\n2,9,2\n1,2,1\n")
    asked = ["correlate", "--kernel", "k.csv", "a.npy", "-o", "b.npy", "--memory", "30000"]
    ended(*asked)
    if change == "input":
        np.save("a.npy", np.load("a.npy")[::-1])
    elif change == "command":
        asked += ["--boundary", "edge"]
    elif change == "kernel":
        (folder / "k.csv").write_text("1,2,1\n2,8,2\n1,2,1\n")
    else:
        os.remove({"record": "b.npy.part.json", "part": "b.npy.part"}[change])
        (folder / "b.npy.part").unlink(missing_ok=True)
    assert words in run(*asked, "--resume").stderr.decode()
    run(*asked[:5], "whole.npy", *asked[8:])
    assert (folder / "b.npy").read_bytes() == (folder / "whole.npy").read_bytes()
    assert not [name for name in names(folder) if "part" in name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(folder, number):
    said = ended(*SLOW, number=number)
    assert f"{folder}/b.npy.part is not whole; --resume goes on with it" in said
    run(*SLOW, "--resume")
    assert not [name for name in names(folder) if "part" in name]


def test_a_full_disk_leaves_what_is_done(folder):
    """A limit on the size of files fails as a full disk does."""
    import resource

    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))}
    said = complaint(run(*SLOW, status=1, always=True, **limit))
    assert said.startswith("a.npy: cannot write b.npy: ") and "--resume goes on from row " in said
    run(*SLOW[:-3], "whole.npy")
    run(*SLOW, "--resume")
    assert (folder / "b.npy").read_bytes() == (folder / "whole.npy").read_bytes()


def test_somebody_elses_unfinished_file_is_left_alone(folder):
    (folder / "b.npy.part").write_bytes(b"a download")
    said = complaint(run(*SLOW, status=1))
    assert "b.npy.part is there, and is no unfinished result" in said
    assert (folder / "b.npy.part").read_bytes() == b"a download"


def test_two_runs_do_not_write_one_file(folder):
    ended(*SLOW)
    before = (folder / "b.npy.part").read_bytes()
    with open("b.npy.part", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "is being written by another run" in complaint(run(*SLOW, status=1))
    assert (folder / "b.npy.part").read_bytes() == before


def test_streams_cannot_be_gone_on_with(folder):
    asked = ["mean", "--memory", LITTLE, "--resume"]
    assert "--resume needs files" in complaint(run(*asked, "a.npy", status=2))
    assert "standard input" in complaint(run(*asked, "-", "-o", "b.npy", input=b"", status=2))


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
