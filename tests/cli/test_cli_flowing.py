"""Images that memory would hold: read, filtered and written at the same time, with the bytes of the whole."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commandline import COMMAND, names
from PIL import Image
from scipy import ndimage

import cnnfilter as cf
from cnnfilter.batch.jobs import Job
from cnnfilter.batch.process import Process
from cnnfilter.cli import blockrun, blocks
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Metadata, deflate, jpeg_writing, tiff_packing
from cnnfilter.lazy import flowing, memory, sequential
from cnnfilter.registry import filter_named

HEIGHT, WIDTH = 440, 131


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Images of every form that flows, smooth above and noisy below."""
    folder = tmp_path_factory.mktemp("flowing")
    rng = np.random.default_rng(4)
    colours = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    colours[: HEIGHT // 2] = ndimage.gaussian_filter(colours[: HEIGHT // 2], (9, 9, 0))
    deep = colours * np.uint16(257) + rng.integers(0, 9, colours.shape, np.uint16)
    dots = Metadata(dpi=(300.0, 300.0), text={"Comment": "a note"})
    for name, pixels in (("a", colours), ("deep", deep), ("grey", colours[..., 0])):
        np.save(folder / f"{name}.npy", pixels)
        model = "rgb" if pixels.ndim == 3 else "grey"
        for form in ("ppm", "pgm") if model == "grey" else ("ppm",):
            cf.write(cf.Picture([pixels], model, metadata=dots), folder / f"{name}.{form}")
        cf.write(cf.Picture([pixels], model, metadata=dots), folder / f"{name}.png")
        for how in ("none", "zlib", "lzw"):
            packed = {"compression": how, "predictor": 2} if how != "none" else {}
            kind = "rgb" if model == "rgb" else "minisblack"
            tifffile.imwrite(folder / f"{name}-{how}.tif", pixels, photometric=kind, rowsperstrip=7, **packed)
    tifffile.imwrite(folder / "tiles.tif", colours, photometric="rgb", tile=(16, 48), compression="zlib")
    Image.fromarray(colours).quantize(50).save(folder / "palette.png")
    for name, more in (("a", {}), ("full", {"subsampling": 0}), ("half", {"subsampling": 1})):
        Image.fromarray(colours).save(
            folder / f"{name}.jpg", quality=90, dpi=(300, 300), comment="a note", **more
        )
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of these images, and blocks of 50 rows or fewer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(blocks, "LEAST_FILE", 0)
    monkeypatch.setattr(flowing, "BLOCK_BYTES", 50 * WIDTH)
    monkeypatch.setattr(flowing, "APART", 1)
    monkeypatch.setattr(sequential, "STRIP_BYTES", 9000)
    monkeypatch.setattr(deflate, "_LEAST", 7000)
    monkeypatch.setattr(deflate, "_MOST", 7000)
    monkeypatch.setattr(tiff_packing, "STRIP", 7000)
    monkeypatch.setattr(jpeg_writing, "LARGE", 0)
    monkeypatch.setattr(jpeg_writing, "_STRIP", 32 * WIDTH)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def flows(monkeypatch):
    """Count the images that flow."""
    seen = []
    flow = blockrun._flow
    monkeypatch.setattr(blockrun, "_flow", lambda *told, **more: seen.append(told) or flow(*told, **more))
    return seen


def process(command="gaussian", settings=(), **more):
    return Process((filter_named(command)(**dict(settings)),), **more)


def both(process, source, target="whole"):
    """Filter a file held whole and flowing; return the outcomes, which took their time, and the bytes."""
    ext = os.path.splitext(target)[1] or os.path.splitext(source)[1]
    outcomes = [
        process.run(Job(source, f"whole{ext}")),
        blocks.Blocks(None).run(process, Job(source, f"flowed{ext}")),
    ]
    read = [Path(f"{name}{ext}").read_bytes() for name in ("whole", "flowed")]
    return [outcome._replace(seconds=0) for outcome in outcomes], read


FORMS = [
    "a.npy", "a.ppm", "a.png", "a-none.tif", "a-zlib.tif", "a-lzw.tif", "tiles.tif",
    "a.jpg", "full.jpg", "half.jpg",
    "deep.npy", "deep.ppm", "deep.png", "deep-none.tif", "deep-zlib.tif",
    "grey.npy", "grey.pgm", "grey.png", "grey-lzw.tif", "palette.png",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_the_bytes_are_those_of_the_whole(folder, flows, name):
    outcomes, read = both(process(settings={"sigma": 2}), name)
    assert outcomes[0] == outcomes[1] and read[0] == read[1]
    assert len(flows) == 1
    assert not [name for name in names(folder) if "part" in name]


WAYS = [
    process("gaussian", {"sigma": 1, "stride": (2, 3), "padding": "wide", "boundary": "zero"}),
    process("second-derivative"),
    process("mean", {"size": 9}, linear=True, depth="16"),
    process("gaussian", {"sigma": 2}, threads=1),
    Process(
        (
            filter_named("gaussian")(sigma=1),
            filter_named("gradient")(),
            filter_named("pool")(kind="max", size=2),
        )
    ),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a-zlib.tif"])
def test_so_they_are_of_other_filters(folder, flows, name, way):
    outcomes, read = both(way, name, "x.png")
    assert outcomes[0] == outcomes[1] and read[0] == read[1]
    assert len(flows) == 1


@pytest.mark.parametrize(
    ("source", "target"), [("a.jpg", "x.png"), ("a.png", "x.jpg"), ("a-lzw.tif", "x.ppm")]
)
def test_from_one_form_to_another(folder, flows, source, target):
    outcomes, read = both(process(settings={"sigma": 2}, quality=80, compression=3), source, target)
    assert outcomes[0] == outcomes[1] and read[0] == read[1]
    assert len(flows) == 1


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("a.png", process("second-derivative", value_range="stretch")),
        ("a.png", process("gaussian", {"sigma": 2, "boundary": "wrap"})),
        ("a.png", process("mean", {"padding": 300, "size": 1})),
        ("a.png", process("gaussian", {"sigma": 40})),
        ("a.png", process("gaussian", {"sigma": 8, "accuracy": "fast"})),
        ("a.png", process("gaussian", {"sigma": 2}, missing=7)),
        ("alpha.png", process("gaussian", {"sigma": 2})),
        ("progressive.jpg", process("gaussian", {"sigma": 2})),
        ("turned.jpg", process("gaussian", {"sigma": 2})),
        ("grey.jpg", process("gaussian", {"sigma": 2})),
        ("planes.tif", process("gaussian", {"sigma": 2})),
        ("big.tif", process("gaussian", {"sigma": 2})),
        ("strip.tif", process("gaussian", {"sigma": 2})),
    ],
)
def test_what_would_be_read_twice_or_written_otherwise_is_held_whole(folder, flows, name, way):
    pixels = cf.read("a.png").frames[0]
    cf.write(cf.Picture([np.dstack([pixels, pixels[..., :1]])], "rgb", True), "alpha.png")
    image = Image.fromarray(pixels)
    image.save("progressive.jpg", progressive=True)
    image.convert("L").save("grey.jpg")
    exif = Image.Exif()
    exif[274] = 6
    image.save("turned.jpg", exif=exif)
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    tifffile.imwrite("planes.tif", planes, photometric="rgb", planarconfig="separate")
    tifffile.imwrite("big.tif", pixels, photometric="rgb", bigtiff=True)
    tifffile.imwrite("strip.tif", pixels, photometric="rgb", compression="zlib", rowsperstrip=HEIGHT)
    outcomes, read = both(way, name)
    assert outcomes[0] == outcomes[1] and read[0] == read[1]
    assert not flows


def broken(name):
    """Damage the second half of a file, but no checksum that is seen at once."""
    with open(name, "rb") as file:
        data = bytearray(file.read())
    if name.endswith(".jpg"):
        return bytes(data[: len(data) * 3 // 4])
    middle = len(data) * 3 // 4
    data[middle : middle + 64] = bytes(64)
    return bytes(data)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a-zlib.tif"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_damaged_file_leaves_no_output_and_says_what_it_always_said(folder, flows, name, existing):
    damaged = f"bad-{name}"
    (folder / damaged).write_bytes(broken(name))
    target = f"x{os.path.splitext(name)[1]}"
    if existing:
        (folder / target).write_bytes(b"old")
    before = names(folder)
    said = []
    for run in (process(settings={"sigma": 2}).run, None):
        with pytest.raises(ImageFileError) as raised:
            if run:
                run(Job(damaged, target))
            else:
                blocks.Blocks(None).run(process(settings={"sigma": 2}), Job(damaged, target))
        said.append(str(raised.value))
    assert said[0] == said[1] and damaged in said[0]
    assert flows and names(folder) == before
    assert not existing or (folder / target).read_bytes() == b"old"


def test_a_full_disk_leaves_no_output(folder, flows, monkeypatch):
    import resource

    job = Job("a.ppm", "x.ppm")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = names(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, hard))
    try:
        with pytest.raises(ImageFileError, match=r"^cannot write x\.ppm: file too large"):
            blocks.Blocks(None).run(process(settings={"sigma": 2}), job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert flows and names(folder) == before


def test_in_place_and_what_may_not_be_replaced(folder, flows):
    process(settings={"sigma": 2}).run(Job("a.png", "whole.png"))
    with pytest.raises(ImageFileError, match="exists already"):
        blocks.Blocks(None).run(process(settings={"sigma": 2}), Job("a.png", "deep.png", "refuse"))
    blocks.Blocks(None).run(process(settings={"sigma": 2}), Job("a.png", "a.png"))
    assert len(flows) == 1
    assert (folder / "a.png").read_bytes() == (folder / "whole.png").read_bytes()


@pytest.mark.parametrize("kind", ["RGB", "RGBA"])
def test_standard_streams_that_are_files(tmp_path, kind):
    """The second one is looked at and then held whole: it is read from its beginning again."""
    channels = len(kind)
    pixels = np.random.default_rng(1).integers(0, 256, (700, 1200, channels), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", compress_level=1)
    assert (tmp_path / "a.png").stat().st_size > blocks.LEAST_FILE
    with open(tmp_path / "a.png", "rb") as source:
        done = subprocess.run([*COMMAND, "mean"], stdin=source, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    found = cf.read(done.stdout).frames[0]
    subprocess.run([*COMMAND, "mean", "a.png", "-o", "b.png"], cwd=tmp_path, check=True, timeout=300)
    np.testing.assert_array_equal(found, cf.read(str(tmp_path / "b.png")).frames[0])


def test_the_plan_that_is_explained_is_that_of_the_whole(folder, capsys):
    told = []
    process(settings={"sigma": 2})
    blocks.Blocks(None).decided(
        process(settings={"sigma": 2}), Job("a.png", "x.png"), lambda large: told.append("blocks"),
        lambda process: told.append("whole"),
    )  # fmt: skip
    assert told == ["whole"]


def test_a_limit_of_pixels_holds(folder, flows):
    """Of the image too, where the result has fewer."""
    for more in ({}, {"stride": 2}):
        way = process(settings={"sigma": 2, **more}, max_pixels=20_000)
        with pytest.raises(ImageFileError, match="more than the limit of 20000"):
            blocks.Blocks(None).run(way, Job("a.png", "x.png"))
    assert not flows


def test_missing_pixels_that_a_jpeg_cannot_tell_are_told_of_in_blocks_too(folder, monkeypatch):
    told, into = [], []
    monkeypatch.setattr(jpeg_writing, "_STRIP", 16 * WIDTH)
    into_file = blockrun._into_file
    monkeypatch.setattr(blockrun, "_into_file", lambda *given: into.append(into_file(*given)) or into[-1])
    for usual in (1 << 40, 600_000):
        monkeypatch.setattr(memory, "base", lambda: 0)
        monkeypatch.setattr(memory, "usual", lambda usual=usual: usual)
        job = Job("a.npy", f"{usual}.jpg")
        told.append(blocks.Blocks(None).run(process(settings={"sigma": 2}, missing=7), job))
    assert told[0]._replace(seconds=0) == told[1]._replace(seconds=0)
    assert any("missing pixels cannot be told" in loss for loss in told[0].losses)
    assert Path(f"{1 << 40}.jpg").read_bytes() == Path("600000.jpg").read_bytes()
    assert len(into) == 1
