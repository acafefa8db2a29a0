"""TIFF larger than memory: strips and tiles of every kind are read in parts, plain rows are written."""

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from test_lazy_files import CHAIN, GAUSSIAN, whole
from tifffiles import made, values

import cnnfilter as cf
from cnnfilter.errors import ImageFileError, ParameterError
from cnnfilter.files import tiff_packing, tiff_writing
from cnnfilter.filters.mean import Mean
from cnnfilter.lazy import memory, packing, tiles
from cnnfilter.lazy import run as lazy_run
from cnnfilter.lazy.stores import blank

SAMPLES = Path(__file__).parents[2] / "sample_images"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Let images of tests have many blocks, and few tiles that are kept."""
    monkeypatch.setattr(memory, "LARGEST", 60_000)
    monkeypatch.setattr(tiles, "KEPT_BYTES", 20_000)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


LAYOUTS = [
    {},
    {"rowsperstrip": 7},
    {"tile": (32, 48)},
    {"tile": (16, 16), "compression": "deflate", "predictor": True},
    {"rowsperstrip": 9, "compression": "lzw"},
    {"tile": (64, 32), "compression": "zstd", "bigtiff": True},
    {"tile": (32, 32), "byteorder": ">"},
    {"rowsperstrip": 5, "byteorder": ">", "bigtiff": True},
]


@pytest.mark.parametrize("options", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((101, 130), "uint8"), ((75, 90, 3), "uint16"), ((60, 110), "float32"), ((88, 70), "int16")],
)
def test_every_layout_gives_the_bytes_of_the_whole(tmp_path, rng, shape, dtype, options):
    colours = {"photometric": "rgb"} if len(shape) == 3 else {"photometric": "minisblack"}
    (tmp_path / "in.tif").write_bytes(made(values(rng, shape, dtype), **colours, **options))
    done = lazy_run(CHAIN, tmp_path / "in.tif", tmp_path / "out.npy")
    frame = cf.read(tmp_path / "in.tif").frames[0]
    assert np.load(tmp_path / "out.npy").tobytes() == whole(CHAIN, frame).tobytes()
    assert done.block != done.shape[:2]


@pytest.mark.parametrize(
    ("shape", "dtype", "options"),
    [
        ((75, 90, 3), "uint8", {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 8}),
        ((3, 75, 90), "uint8", {"photometric": "rgb", "planarconfig": "separate", "tile": (32, 32)}),
        ((75, 90), "uint8", {"photometric": "miniswhite", "rowsperstrip": 8}),
        ((75, 90), "uint16", {"photometric": "minisblack", "bitspersample": 12, "rowsperstrip": 6}),
        ((75, 90), "bool", {"photometric": "minisblack"}),
        ((75, 90), "int8", {"photometric": "minisblack"}),
        ((75, 90), "uint32", {"photometric": "minisblack", "tile": (32, 32)}),
        ((75, 90), "uint8", {"photometric": "palette", "colormap": True}),
    ],
)
def test_what_samples_mean_is_what_reading_says(tmp_path, rng, shape, dtype, options):
    samples = rng.integers(0, 2, shape).astype(bool) if dtype == "bool" else values(rng, shape, dtype)
    if options.get("bitspersample"):
        samples >>= 4
    if options.get("colormap"):
        options = options | {"colormap": rng.integers(0, 65536, (3, 256), dtype=np.uint16)}
    if shape == (75, 90, 3) and "planarconfig" in options:
        samples = np.moveaxis(samples, -1, 0)
    (tmp_path / "in.tif").write_bytes(made(samples, **options))
    done = lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.npy")
    picture = cf.read(tmp_path / "in.tif")
    assert np.load(tmp_path / "out.npy").tobytes() == whole([GAUSSIAN], picture.frames[0]).tobytes()
    assert set(picture.notes) <= set(done.notes)


@pytest.mark.parametrize("shape", [(100, 130), (76, 90, 3), (40, 50, 5)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_the_file_has_the_bytes_that_are_written_of_the_whole(tmp_path, rng, shape, dtype):
    array = values(rng, shape, dtype)
    np.save(tmp_path / "in.npy", array)
    lazy_run(GAUSSIAN, tmp_path / "in.npy", tmp_path / "out.tif")
    model = {2: "grey", 3: "rgb" if shape[-1] == 3 else "channels"}[len(shape)]
    cf.write(cf.Picture([whole([GAUSSIAN], array)], model), tmp_path / "expected.tif")
    assert (tmp_path / "out.tif").read_bytes() == (tmp_path / "expected.tif").read_bytes()


PACKED = [
    {"compression": "deflate"},
    {"compression": "deflate", "predictor": True, "tile": (32, 48)},
    {"compression": "lzw", "predictor": True, "rowsperstrip": 9},
    {"compression": "packbits"},
    {"compression": "zstd", "tile": (16, 16)},
    {"compression": "lzma"},
    {"tile": (32, 48)},
    {"planarconfig": "separate"},
    {"planarconfig": "separate", "compression": "deflate", "tile": (32, 32)},
]


@pytest.mark.parametrize("options", PACKED)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("steps", [[GAUSSIAN], CHAIN])
def test_a_tiff_is_packed_as_it_was(tmp_path, rng, monkeypatch, dtype, options, steps):
    """With the bytes of the whole, but that what a block is made of lies together."""
    monkeypatch.setattr(tiff_packing, "STRIP", 5000)
    monkeypatch.setattr(packing, "PACKED_BYTES", 20_000)
    planar = "planarconfig" in options
    samples = values(rng, (203, 130, 3), dtype)
    samples = np.moveaxis(samples, -1, 0) if planar else samples
    (tmp_path / "in.tif").write_bytes(made(samples, photometric="rgb", **options))
    picture = cf.read(tmp_path / "in.tif")
    picture.frames[0] = whole(steps, picture.frames[0])
    cf.write(picture, tmp_path / "expected.tif")
    done = lazy_run(steps, tmp_path / "in.tif", tmp_path / "out.tif")
    assert done.block[0] < done.shape[0]
    with tifffile.TiffFile(tmp_path / "out.tif") as out, tifffile.TiffFile(tmp_path / "expected.tif") as one:
        np.testing.assert_array_equal(out.asarray(), one.asarray())
        tags = [{tag.name: tag.value for tag in file.pages[0].tags} for file in (out, one)]
    apart = {name for name in tags[0] if tags[0][name] != tags[1][name]}
    if planar or done.block[1] < done.shape[1]:
        assert apart <= {"StripOffsets", "TileOffsets"}
    else:
        assert (tmp_path / "out.tif").read_bytes() == (tmp_path / "expected.tif").read_bytes()
    np.testing.assert_array_equal(cf.read(tmp_path / "out.tif").frames[0], picture.frames[0])


@pytest.mark.parametrize("options", [{}, {"tile": (32, 32), "compression": "deflate"}])
def test_a_bigtiff_stays_one(tmp_path, rng, options):
    image = values(rng, (90, 70), "uint16")
    (tmp_path / "in.tif").write_bytes(made(image, bigtiff=True, **options))
    done = lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as parsed:
        assert parsed.is_bigtiff and parsed.pages[0].is_tiled == ("tile" in options)
        np.testing.assert_array_equal(parsed.asarray(), whole([GAUSSIAN], image))
    assert not any("BigTIFF" in note for note in done.notes)


def test_blocks_narrower_than_the_image_fill_tiles_too(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(memory, "LARGEST", 9000)
    image = values(rng, (90, 700), "uint8")
    (tmp_path / "in.tif").write_bytes(made(image, tile=(16, 16), compression="deflate"))
    done = lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.tif")
    assert done.block[1] < 700
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), whole([GAUSSIAN], image))


def test_a_bigtiff_is_written_where_it_is_needed(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(tiff_writing, "LARGEST", 4000)
    monkeypatch.setattr(tiff_packing, "STRIP", 1000)
    array = values(rng, (90, 70, 3), "uint16")
    np.save(tmp_path / "in.npy", array)
    lazy_run(GAUSSIAN, tmp_path / "in.npy", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as parsed:
        assert parsed.is_bigtiff
        np.testing.assert_array_equal(parsed.asarray(), whole([GAUSSIAN], array))
    np.testing.assert_array_equal(cf.read(tmp_path / "out.tif").frames[0], whole([GAUSSIAN], array))


def test_places_beyond_4_gib_are_right(tmp_path):
    shape, pixels = (70_000, 70_000), 70_000 * 70_000
    head = tiff_writing.plain_header(blank(shape, np.dtype(np.uint8)))
    (tmp_path / "sparse.tif").write_bytes(head)
    os.truncate(tmp_path / "sparse.tif", len(head) + pixels)
    with tifffile.TiffFile(tmp_path / "sparse.tif") as parsed:
        page = parsed.pages[0]
        assert parsed.is_bigtiff and page.shape == shape
        starts = [*page.dataoffsets, len(head) + pixels]
        assert starts[0] == len(head)
        assert [at + size for at, size in zip(starts, page.databytecounts, strict=False)] == starts[1:]


def test_reduced_copies_are_no_pages(tmp_path, rng):
    image = values(rng, (64, 80), "uint8")
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        writer.write(image, subifds=1, metadata=None)
        writer.write(image[::2, ::2], subfiletype=1, metadata=None)
    lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), whole([GAUSSIAN], image))


GEOREFERENCE = (
    (33550, 12, 3, (0.5, 0.5, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 3e5, 5e6, 0.0), True),
    (42113, 2, 3, "77", True),
)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("steps", [[GAUSSIAN], CHAIN])
def test_what_describes_the_pixels_travels_as_in_the_whole(tmp_path, rng, monkeypatch, steps, big):
    """Of another size the georeference is left out, and that is said."""
    options = {"resolution": (300, 300), "resolutionunit": 2, "software": "someone", "iccprofile": b"p" * 128}
    data = made(rgb(rng), photometric="rgb", description="a slide", extratags=GEOREFERENCE, **options)
    (tmp_path / "in.tif").write_bytes(data)
    picture = cf.read(tmp_path / "in.tif")
    picture.frames[0] = whole(steps, picture.frames[0])
    cf.write(picture, tmp_path / "expected.tif", compression=0)
    if big:
        monkeypatch.setattr(tiff_writing, "LARGEST", 400)
    done = lazy_run(steps, tmp_path / "in.tif", tmp_path / "out.tif")
    if big:
        found, wanted = (cf.read(tmp_path / name) for name in ("out.tif", "expected.tif"))
        np.testing.assert_array_equal(found.frames[0], wanted.frames[0])
        assert found.metadata.text == wanted.metadata.text and found.metadata.icc == wanted.metadata.icc
        assert found.metadata.dpi == wanted.metadata.dpi
        assert found.metadata.tags.keys() == wanted.metadata.tags.keys()
    else:
        assert (tmp_path / "out.tif").read_bytes() == (tmp_path / "expected.tif").read_bytes()
    assert "pixels of 77, which the file declares missing, are filtered as numbers" in done.notes
    assert any("georeference is left out" in note for note in done.notes) == (steps is CHAIN)


def test_exif_travels_into_a_bigtiff_too(tmp_path, monkeypatch):
    picture = cf.read(SAMPLES / "rocket.jpg")
    exif = PillowImage.Exif()
    exif[34665] = {33434: (1, 125), 34855: 200}
    picture.metadata.exif = exif.tobytes()[6:]
    cf.write(picture, tmp_path / "in.tif")
    monkeypatch.setattr(tiff_writing, "LARGEST", 400)
    lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as parsed:
        assert parsed.is_bigtiff
        assert parsed.pages[0].tags[34665].value["ISOSpeedRatings"] == 200


def test_what_another_form_does_not_hold_is_told(tmp_path, rng):
    (tmp_path / "in.tif").write_bytes(made(rgb(rng), photometric="rgb", iccprofile=b"p" * 128))
    done = lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.ppm")
    assert done.notes == ("PPM does not hold colour profile, EXIF, text 'Software': left out",)


def rgb(rng, channels=3):
    return values(rng, (20, 30, channels), "uint8")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda rng: made(rgb(rng), rgb(rng), photometric="rgb"), "2 pages"),
        (lambda rng: made(rgb(rng), photometric="rgb", extratags=[(274, 3, 1, 6, True)]), "turned"),
        (lambda rng: made(rgb(rng), photometric="rgb")[:-9], "truncated"),
        (lambda rng: made(rgb(rng), photometric="rgb", tile=(16, 16), compression="zstd")[:-9], "truncated"),
        (lambda rng: made(rgb(rng), photometric="rgb")[:40], "truncated"),
        (lambda rng: b"II*\0\x08\0\0\0", "truncated"),
    ],
)
def test_what_cannot_be_read_in_parts_is_named(tmp_path, rng, make, words):
    (tmp_path / "in.tif").write_bytes(make(rng))
    with pytest.raises(ImageFileError, match=rf"in\.tif: .*{words}"):
        lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.npy")
    assert os.listdir(tmp_path) == ["in.tif"]


def test_a_damaged_tile_is_named_and_leaves_nothing(tmp_path, rng):
    data = bytearray(made(values(rng, (90, 90), "uint8"), tile=(32, 32), compression="deflate"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as parsed:
        place = parsed.pages[0].dataoffsets[4] + 20
    data[place : place + 40] = bytes(40)
    (tmp_path / "in.tif").write_bytes(data)
    with pytest.raises(ImageFileError, match=r"in\.tif: damaged TIFF file"):
        lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.npy")
    assert os.listdir(tmp_path) == ["in.tif"]


def test_a_strip_that_is_too_large_for_the_memory_is_refused(tmp_path):
    image = np.zeros((6000, 6000), np.uint8)
    (tmp_path / "in.tif").write_bytes(made(image, rowsperstrip=6000, compression="zstd"))
    with pytest.raises(ParameterError, match="too little for this image"):
        lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.npy", memory="200MiB")


def test_unpacked_tiles_are_kept_within_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "LARGEST", 4 << 20)
    monkeypatch.setattr(tiles, "KEPT_BYTES", 1 << 20)
    image = np.zeros((4000, 4000), np.uint8)
    (tmp_path / "in.tif").write_bytes(made(image, tile=(256, 256), compression="zstd"))
    tracemalloc.start()
    lazy_run(GAUSSIAN, tmp_path / "in.tif", tmp_path / "out.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 11 << 20


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [("uint8", "7", 7), ("uint8", "-9999", 0), ("uint8", "nan", 0), ("int16", "1e300", 0),
     ("float32", "nan", np.nan), ("float16", "-9999", -10000)],
)  # fmt: skip
def test_left_out_tiles_hold_the_missing_value_if_they_can(tmp_path, dtype, text, value):
    tile = np.full((16, 16), 5, dtype)
    source, out = tmp_path / "sparse.tif", tmp_path / "out.npy"
    tifffile.imwrite(source, iter([tile, None, None, tile]), shape=(32, 32), dtype=dtype, tile=(16, 16),
                     metadata=None, extratags=((42113, "s", 0, text, True),))  # fmt: skip
    frame = cf.read(source).frames[0]
    np.testing.assert_array_equal(frame[:16, 16:], value)
    np.testing.assert_array_equal(frame[:16, :16], 5)
    lazy_run(Mean(size=1), source, out)
    np.testing.assert_array_equal(np.load(out), frame)
