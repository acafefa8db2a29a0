"""TIFF: every kind of sample and layout, against tifffile, OpenCV and Pillow."""

import io
import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from tifffiles import made, values

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Picture, ifd, tiff_page
from cnnfilter.files.picture import Metadata

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def written(picture, **options):
    file = io.BytesIO()
    imagefile.write(picture, file, form="TIFF", **options)
    return file.getvalue()


def directories(data):
    """Where each directory of a little-endian file lies, and where its entries keep their long values.

    By the numbers of the specification, not by our reader.
    """
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8}
    (place,) = struct.unpack_from("<L", data, 4)
    while place:
        (count,) = struct.unpack_from("<H", data, place)
        entries = [struct.unpack_from("<HHLL", data, place + 2 + 12 * entry) for entry in range(count)]
        yield place, [value for _, kind, number, value in entries if sizes[kind] * number > 4]
        (place,) = struct.unpack_from("<L", data, place + 2 + 12 * count)


@pytest.mark.parametrize("compression", [0, 6])
def test_directories_and_values_lie_at_even_addresses(compression, rng):
    """TIFF 6.0, section 2; readers of big machines insist on it."""
    frames = [values(rng, (3, width), "uint8") for width in (5, 6, 7, 9, 11)]
    metadata = Metadata(icc=b"odd length" + b"!" * 501, text={"Artist": "even" * 5})
    data = written(Picture(frames, metadata=metadata), compression=compression)
    found = list(directories(data))
    assert len(found) == 5 and any(len(more) > 1 for _, more in found)
    assert all(place % 2 == 0 for directory, more in found for place in (directory, *more))


def laid_out(strips, **tags):
    """A TIFF file of compressed strips or tiles, with tags by the names in `tiff_page`."""
    places = "TILE" if "TILE_WIDTH" in tags else "STRIP"
    sizes = [len(strip) for strip in strips]
    lists = {getattr(tiff_page, name): np.atleast_1d(value).tolist() for name, value in tags.items()}
    values = {tag: ifd.long(*numbers) for tag, numbers in lists.items()}
    values |= {getattr(tiff_page, f"{places}_SIZES"): ifd.long(*sizes)}
    values |= {getattr(tiff_page, f"{places}_OFFSETS"): ifd.long(*sizes)}
    start = 8 + len(ifd.pack(values, 8))
    offsets = np.cumsum([start, *sizes])[:-1].tolist()
    values |= {getattr(tiff_page, f"{places}_OFFSETS"): ifd.long(*offsets)}
    return b"II*\0\x08\0\0\0" + ifd.pack(values, 8) + b"".join(strips)


class TestReading:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    @pytest.mark.parametrize(
        ("channels", "layout"),
        [(1, "strip"), (1, "strips"), (1, "tiles")]
        + [(3, layout) for layout in ("strip", "strips", "tiles", "planes", "tiled planes")],
    )
    def test_layouts(self, dtype, channels, byteorder, layout, rng):
        image = values(rng, (37, 45, channels), dtype)
        options = {
            "strip": {},
            "strips": {"rowsperstrip": 5},
            "tiles": {"tile": (16, 32)},
            "planes": {"planarconfig": "separate", "rowsperstrip": 8},
            "tiled planes": {"planarconfig": "separate", "tile": (16, 16)},
        }[layout]
        page = np.moveaxis(image, -1, 0) if "planarconfig" in options else image.squeeze()
        data = made(
            page, photometric="rgb" if channels == 3 else "minisblack", byteorder=byteorder, **options
        )
        picture = imagefile.read(data)
        np.testing.assert_array_equal(picture.frames[0].reshape(image.shape), image)
        assert picture.dtype == np.dtype(dtype)
        assert (picture.model, picture.alpha) == ("rgb" if channels == 3 else "grey", False)

    def test_bigtiff(self, rng):
        image = values(rng, (20, 30, 3), "uint16")
        data = made(image, photometric="rgb", bigtiff=True, rowsperstrip=3)
        np.testing.assert_array_equal(imagefile.read(data).frames[0], image)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize("channels", [1, 3, 4])
    @pytest.mark.parametrize("scheme", [1, 5, 8, 32773, 32946])
    def test_compressions_and_their_predictor_as_opencv_writes_them(self, dtype, channels, scheme, rng):
        image = values(rng, (41, 33, channels), dtype)
        image[10:30] //= 100  # something to compress
        _, data = cv2.imencode(".tif", image, [cv2.IMWRITE_TIFF_COMPRESSION, scheme])
        picture = imagefile.read(data.tobytes())
        order = [0] if channels == 1 else [2, 1, 0, 3][:channels]
        np.testing.assert_array_equal(picture.frames[0].reshape(image.shape), image[..., order])

    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_tiles_of_lzw(self, dtype, rng):
        """A tiled LZW file, its tiles compressed by Pillow, put together here."""
        image = values(rng, (64, 48), dtype)
        tiles = image.reshape(2, 32, 3, 16).swapaxes(1, 2).reshape(-1, 32, 16)
        strips = []
        for tile in tiles:
            file = io.BytesIO()
            Image.fromarray(tile.view(np.uint8).reshape(32, -1)).save(file, "TIFF", compression="tiff_lzw")
            with tifffile.TiffFile(io.BytesIO(file.getvalue())) as parsed:
                page = parsed.pages[0]
                offset, size = page.dataoffsets[0], page.databytecounts[0]
                assert len(page.dataoffsets) == 1
                assert page.predictor == 1
            strips.append(file.getvalue()[offset : offset + size])
        data = laid_out(
            strips,
            WIDTH=48,
            HEIGHT=64,
            TILE_WIDTH=16,
            TILE_HEIGHT=32,
            BITS=8 * image.itemsize,
            SAMPLE_FORMAT=3 if dtype == "float32" else 1,
            PHOTOMETRIC=1,
            COMPRESSION=5,
        )
        np.testing.assert_array_equal(imagefile.read(data).frames[0], image)

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("scheme", [5, 8])
    def test_the_predictor_of_floats(self, channels, scheme, rng):
        image = values(rng, (36, 25, channels), "float32")
        options = [cv2.IMWRITE_TIFF_COMPRESSION, scheme, cv2.IMWRITE_TIFF_PREDICTOR, 3]
        _, data = cv2.imencode(".tif", image[..., ::-1], options)
        with tifffile.TiffFile(io.BytesIO(data.tobytes())) as parsed:
            if parsed.pages[0].predictor != 3:
                pytest.skip(f"OpenCV {cv2.__version__} writes no predictor of floats")
        np.testing.assert_array_equal(imagefile.read(data.tobytes()).frames[0].reshape(image.shape), image)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_predictor_of_doubles(self, channels, rng):
        """TIFF Technical Note 3: bytes of equal weight together, the highest first; then differences."""
        image = values(rng, (6, 10, channels), "float64")
        planes = image.astype(">f8").view(np.uint8).reshape(6, 10 * channels, 8)
        rows = np.ascontiguousarray(planes.swapaxes(1, 2)).reshape(6, -1, channels)
        strip = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1])).tobytes()
        data = laid_out(
            [zlib.compress(strip)],
            WIDTH=10,
            HEIGHT=6,
            BITS=[64] * channels,
            SAMPLES=channels,
            SAMPLE_FORMAT=[3] * channels,
            PHOTOMETRIC=2 if channels == 3 else 1,
            COMPRESSION=8,
            PREDICTOR=3,
        )
        np.testing.assert_array_equal(imagefile.read(data).frames[0].reshape(image.shape), image)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_white_at_zero(self, dtype, rng):
        image = values(rng, (8, 9), dtype)
        picture = imagefile.read(made(image, photometric="miniswhite"))
        np.testing.assert_array_equal(picture.frames[0], ~image)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_alpha_multiplied_into_the_colours_is_taken_out(self, dtype, rng):
        white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
        colours = rng.random((20, 20, 3))
        alpha = rng.random((20, 20, 1)) * 0.6 + 0.4
        premultiplied = np.concatenate([colours * alpha, alpha], -1) * white
        image = premultiplied.astype(dtype) if dtype == "float32" else np.rint(premultiplied).astype(dtype)
        picture = imagefile.read(made(image, photometric="rgb", extrasamples=["assocalpha"]))
        assert picture.alpha
        np.testing.assert_allclose(
            picture.frames[0][..., :3] / white, colours, atol=2 / 255 if dtype == "uint8" else 1e-3
        )
        assert "multiplied" in picture.notes[0]

    def test_palette_and_bilevel(self, rng):
        palette = rng.integers(0, 256, (256, 3), dtype=np.uint8)
        indices = rng.integers(0, 256, (12, 13), dtype=np.uint8)
        data = made(indices, photometric="palette", colormap=palette.T.astype(np.uint16) * 257)
        np.testing.assert_array_equal(imagefile.read(data).frames[0], palette[indices])
        bits = rng.random((15, 17)) < 0.5
        file = io.BytesIO()
        Image.fromarray(bits).save(file, "TIFF", compression="group4")
        picture = imagefile.read(file.getvalue())
        np.testing.assert_array_equal(picture.frames[0], bits * np.uint8(255))
        assert "1-bit" in picture.notes[0]

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("compression", ["jpeg", "packbits"])
    def test_the_orientation_is_applied_once(self, compression, orientation, rng):
        """Whoever decodes: what JPEG packed is decoded by Pillow, which turns the pixels itself."""
        file = io.BytesIO()
        pixels = values(rng, (16, 24, 3), "uint8")
        Image.fromarray(pixels).save(file, "TIFF", compression=compression, tiffinfo={274: orientation})
        with Image.open(io.BytesIO(file.getvalue())) as upright:
            np.testing.assert_array_equal(imagefile.read(file.getvalue()).frames[0], np.asarray(upright))

    def test_pages_and_reduced_copies(self, rng):
        first, small, second = (values(rng, shape, "uint16") for shape in ((20, 10), (5, 3), (8, 40)))
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            writer.write(first, metadata=None)
            writer.write(small, metadata=None, subfiletype=1)
            writer.write(second, metadata=None)
        picture = imagefile.read(file.getvalue())
        assert len(picture.frames) == 2
        np.testing.assert_array_equal(picture.frames[0], first)
        np.testing.assert_array_equal(picture.frames[1], second)
        assert picture.delays == []

    def test_complex_samples_are_refused_with_a_way_out(self):
        with pytest.raises(ImageFileError, match=r"is not read; convert"):
            imagefile.read(made(np.ones((4, 5), np.complex64)))

    def test_the_limit_counts_all_pages(self, rng):
        data = made(*(values(rng, shape, "uint8") for shape in ((10, 11), (12, 13), (10, 10))))
        pixels = 110 + 156 + 100
        assert len(imagefile.read(data, max_pixels=pixels).frames) == 3
        with pytest.raises(ImageFileError, match=f"more than the limit of {pixels - 1}.*--max-pixels"):
            imagefile.read(data, max_pixels=pixels - 1)


class TestWriting:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    @pytest.mark.parametrize("compression", [None, 0, 1, 9])
    def test_tifffile_reads_it(self, dtype, channels, compression, rng):
        image = values(rng, (300, 200, channels)[: 3 if channels > 1 else 2], dtype)
        picture = Picture([image], "grey" if channels < 3 else "rgb", channels in (2, 4))
        data = written(picture, compression=compression, threads=2)
        with tifffile.TiffFile(io.BytesIO(data)) as parsed:
            page = parsed.pages[0]
            np.testing.assert_array_equal(page.asarray(), image)
            assert page.photometric == (1 if channels < 3 else 2)
            assert page.extrasamples == ((2,) if channels in (2, 4) else ())
            assert page.compression == (8 if compression else 1)
        again = imagefile.read(data)
        np.testing.assert_array_equal(again.frames[0], image)
        assert (again.model, again.alpha) == (picture.model, picture.alpha)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("compression", [0, 5])
    def test_opencv_reads_it(self, dtype, compression, rng):
        image = values(rng, (130, 70, 3), dtype)
        data = written(Picture([image], "rgb"), compression=compression)
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(decoded[..., ::-1], image)

    def test_pages(self, rng):
        frames = [values(rng, shape, "uint8") for shape in ((5, 7, 3), (11, 3, 3), (1, 1, 3))]
        data = written(Picture(frames, "rgb"), compression=3)
        with tifffile.TiffFile(io.BytesIO(data)) as parsed:
            assert len(parsed.pages) == 3
            for page, frame in zip(parsed.pages, frames, strict=True):
                np.testing.assert_array_equal(page.asarray(), frame)

    def test_cmyk(self, rng):
        image = values(rng, (9, 8, 4), "uint8")
        data = written(Picture([image], "cmyk"))
        with Image.open(io.BytesIO(data)) as witness:
            assert witness.mode == "CMYK"
            np.testing.assert_array_equal(np.asarray(witness), image)
        assert imagefile.read(data).model == "cmyk"

    def test_a_compressed_file_stays_compressed_and_a_plain_one_plain(self, rng):
        image = np.zeros((100, 100), np.uint8)
        for scheme, compressed in ((1, False), (5, True), (8, True)):
            _, data = cv2.imencode(".tif", image, [cv2.IMWRITE_TIFF_COMPRESSION, scheme])
            again = written(imagefile.read(data.tobytes()))
            assert (len(again) < 5000) == compressed


def test_every_damage_is_an_error_or_a_picture(rng):
    image = values(rng, (14, 12, 3), "uint16")
    for data in (
        made(image, photometric="rgb", rowsperstrip=4),
        written(Picture([image], "rgb"), compression=1),
    ):
        for place, bit in itertools.product(range(2, len(data), 3), (0, 3, 7)):
            broken = bytearray(data)
            broken[place] ^= 1 << bit
            try:
                picture = imagefile.read(bytes(broken), max_pixels=10_000)
            except ImageFileError:
                continue
            assert picture.frames


def test_every_truncation_is_found(rng):
    image = values(rng, (14, 12, 3), "uint16")
    _, lzw = cv2.imencode(".tif", image[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    for data in (
        made(image, photometric="rgb", rowsperstrip=4),
        written(Picture([image], "rgb"), compression=1),
        lzw.tobytes(),
    ):
        for length in range(4, len(data) - 1):
            try:
                frame = imagefile.read(data[:length]).frames[0]
            except ImageFileError:
                continue
            np.testing.assert_array_equal(frame, image)
