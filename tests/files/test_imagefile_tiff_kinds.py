"""TIFF: codecs, depths, orientations against other readers; what travels with the pixels; hostile files."""

import io
import struct
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from test_imagefile_tiff import laid_out, made, values, written

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Picture

ORIENTATION = 274


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def ramp(height=40, width=60):
    """A ramp with a red corner: every wrong turn shows."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 4, y * 6, (x + y) * 2], -1).astype(np.uint8)
    image[:10, :10] = 255, 0, 0
    return image


def by_pillow(image, **options):
    file = io.BytesIO()
    image.save(file, "TIFF", **options)
    return file.getvalue()


KINDS = {
    "rgb": (
        Image.fromarray(ramp()),
        ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma", "jpeg"),
    ),
    "palette": (Image.fromarray(ramp()).quantize(64), ("raw", "tiff_lzw")),
    "bits": (
        Image.fromarray(ramp()).convert("1"),
        ("raw", "group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"),
    ),
    "cmyk": (Image.fromarray(ramp()).convert("CMYK"), ("raw", "tiff_lzw")),
    "grey": (Image.fromarray(ramp()[..., 1]), ("jpeg", "webp", "raw")),
}


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
@pytest.mark.parametrize(("kind", "scheme"), [(kind, scheme) for kind in KINDS for scheme in KINDS[kind][1]])
def test_pixels_of_every_codec_stand_upright_as_pillow_shows_them(kind, scheme, orientation):
    if scheme == "webp":
        pytest.skip("Pillow writes no grey WebP into TIFF")
    image = KINDS[kind][0]
    data = by_pillow(image, compression=scheme, tiffinfo={ORIENTATION: orientation})
    with Image.open(io.BytesIO(by_pillow(image, compression=scheme))) as plain:
        plain.load()
        plain.getexif()[ORIENTATION] = orientation
        turned = ImageOps.exif_transpose(plain)
    seen = np.asarray(turned.convert({"bits": "L", "palette": "RGB"}.get(kind, turned.mode)))
    picture = imagefile.read(data)
    np.testing.assert_array_equal(picture.frames[0], seen)
    np.testing.assert_array_equal(imagefile.read(written(picture)).frames[0], seen)


@pytest.mark.parametrize("compression", ["jpeg2000", "jpegxl", "webp", "lerc", "zstd", "lzma"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_codecs_that_tifffile_writes(compression, tile, rng):
    image = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    options = {"compressionargs": {"lossless": True}} if compression in ("webp", "jpegxl") else {}
    data = made(image, photometric="rgb", compression=compression, tile=tile, **options)
    np.testing.assert_array_equal(imagefile.read(data).frames[0], image)


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb", "compressionargs": {"outcolorspace": "rgb"}},
        {"photometric": "ycbcr", "subsampling": (1, 1)},
        {"photometric": "ycbcr", "subsampling": (2, 2)},
    ],
)
@pytest.mark.parametrize("tile", [None, (32, 48)])
def test_jpeg_with_its_colours(options, tile):
    y, x = np.mgrid[:70, :90]
    image = np.stack([x * 2, y * 3, x + y], -1).astype(np.uint8)
    data = made(image, compression="jpeg", tile=tile, **options)
    frame = imagefile.read(data).frames[0]
    with tifffile.TiffFile(io.BytesIO(data)) as parsed:
        np.testing.assert_array_equal(frame, parsed.pages[0].asarray())


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 10, 12, 14])
def test_samples_that_fill_no_byte(bits, rng):
    image = rng.integers(0, 2**bits, (9, 13)).astype(np.uint8 if bits <= 8 else np.uint16)
    picture = imagefile.read(made(image, bitspersample=bits, photometric="minisblack"))
    white = 255 if bits < 8 else 65535
    np.testing.assert_array_equal(picture.frames[0], np.rint(image * (white / (2**bits - 1))))
    assert picture.dtype == (np.uint8 if bits < 8 else np.uint16)
    assert str(white) in picture.notes[0]


@pytest.mark.parametrize(
    ("dtype", "filtered"),
    [
        ("int8", "int16"),
        ("float16", "float32"),
        ("uint32", "float64"),
        ("int32", "float64"),
        ("uint64", "float64"),
    ],
)
def test_other_types_come_in_one_that_holds_every_value(dtype, filtered, rng):
    image = values(rng, (8, 9), dtype) if dtype != "uint64" else rng.integers(0, 2**53, (8, 9)).astype("u8")
    picture = imagefile.read(made(image))
    assert picture.dtype == filtered
    np.testing.assert_array_equal(picture.frames[0], image.astype(filtered))
    assert picture.notes


def test_integers_beyond_those_of_floats_are_refused():
    with pytest.raises(ImageFileError, match=r"beyond 2\^53"):
        imagefile.read(made(np.full((3, 3), 2**53 + 1, np.uint64)))


@pytest.mark.parametrize("deep", [True, False])
def test_tables_of_colours_with_16_bits_and_with_8(deep, rng):
    table = rng.integers(0, 256, (256, 3))
    indices = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    data = made(indices, photometric="palette", colormap=(table.T * (257 if deep else 1)).astype(np.uint16))
    np.testing.assert_array_equal(imagefile.read(data).frames[0], table[indices])


def test_tiles_that_hold_nothing_are_the_declared_value():
    strip = np.full((4, 8), 7, np.uint8).tobytes()
    data = laid_out([strip, b""], WIDTH=8, HEIGHT=8, BITS=8, PHOTOMETRIC=1, ROWS_PER_STRIP=4)
    np.testing.assert_array_equal(imagefile.read(data).frames[0], np.repeat([[7], [0]], 4, 0).repeat(8, 1))


def test_a_wrong_checksum_is_found():
    image = ramp(160, 240)[..., 0]
    packed = bytearray(zlib.compress(image.tobytes()))
    packed[-1] ^= 1
    tags = {"WIDTH": 240, "HEIGHT": 160, "BITS": 8, "PHOTOMETRIC": 1, "ROWS_PER_STRIP": 160, "COMPRESSION": 8}
    with pytest.raises(ImageFileError, match=r"damaged TIFF file .*incorrect data check"):
        imagefile.read(laid_out([bytes(packed)], **tags))
    longer = bytearray(zlib.compress(image.tobytes() + bytes(1000)))
    np.testing.assert_array_equal(imagefile.read(laid_out([bytes(longer)], **tags)).frames[0], image)
    longer[-1] ^= 1
    with pytest.raises(ImageFileError, match="incorrect data check"):
        imagefile.read(laid_out([bytes(longer)], **tags))


class TestWhatTravels:
    GEO = (
        (33550, "d", 3, (30.0, 30.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 4649776.0, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
        (42113, "s", 0, "-9999", True),
        (42112, "s", 0, "<GDALMetadata></GDALMetadata>", True),
    )

    def tags(self, data, page=0):
        with tifffile.TiffFile(io.BytesIO(data)) as parsed:
            return {tag.code: tag.value for tag in parsed.pages[page].tags}

    def test_georeference_and_nodata(self, rng):
        data = made(values(rng, (12, 16), "float32"), extratags=self.GEO)
        picture = imagefile.read(data)
        assert picture.metadata.missing == -9999
        before, after = self.tags(data), self.tags(written(picture))
        for code in (33550, 33922, 34735, 42112, 42113):
            assert after[code] == before[code]
        picture.frames = [frame[::2, ::2] for frame in picture.frames]
        after = self.tags(written(picture))
        assert not {33550, 33922} & set(after)
        assert {34735, 42113} <= set(after)
        assert "the georeference is left out, for the size is another" in picture.losses

    def test_other_forms_say_what_they_cannot_hold(self, rng):
        picture = imagefile.read(made(values(rng, (12, 16), "uint8"), extratags=self.GEO))
        imagefile.write(picture, io.BytesIO(), form="PNG")
        (told,) = picture.losses
        assert told.startswith("PNG does not hold ")
        assert all(
            word in told for word in ("georeference", "GDAL's metadata", "the value of missing pixels")
        )

    def test_imagej(self, rng):
        stack = rng.integers(0, 4000, (3, 2, 8, 9)).astype(np.uint16)
        file = io.BytesIO()
        tifffile.imwrite(
            file,
            stack,
            imagej=True,
            resolution=(5.0, 4.0),
            metadata={"axes": "ZCYX", "unit": "um", "spacing": 0.5},
        )
        data = written(imagefile.read(file.getvalue()))
        with tifffile.TiffFile(io.BytesIO(data)) as parsed:
            assert len(parsed.pages) == 6
            assert (parsed.imagej_metadata["unit"], parsed.imagej_metadata["spacing"]) == ("um", 0.5)
            assert parsed.series[0].axes == "ZCYX"
        after = self.tags(data)
        assert (after[282], after[283], after[296]) == ((5, 1), (4, 1), 1)

    @pytest.mark.parametrize("change", [None, "size", "type"])
    def test_an_ome_header_is_never_wrong(self, change, rng):
        file = io.BytesIO()
        tifffile.imwrite(file, values(rng, (3, 8, 12), "uint8"), ome=True, metadata={"axes": "ZYX"})
        picture = imagefile.read(file.getvalue())
        if change == "size":
            picture.frames = [frame[::2] for frame in picture.frames]
        elif change == "type":
            picture.frames = [frame.astype(np.float32) for frame in picture.frames]
        data = written(picture)
        with tifffile.TiffFile(io.BytesIO(data)) as parsed:
            assert parsed.is_ome == (change is None)
            assert len(parsed.pages) == 3
        assert picture.losses == (
            ["the OME header, which speaks of another size or type, is left out"] if change else []
        )

    def test_descriptions_and_tags_of_every_page(self, rng):
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            for number in range(3):
                extra = [(65000, "s", 0, f"private {number}", True), (285, "s", 0, f"page {number}", True)]
                image = values(rng, (4, 5), "uint8")
                writer.write(image, metadata=None, description=f"text {number}", extratags=extra)
        data = written(imagefile.read(file.getvalue()))
        for number in range(3):
            tags = self.tags(data, number)
            assert (tags[270], tags[65000], tags[285]) == (
                f"text {number}",
                f"private {number}",
                f"page {number}",
            )

    @pytest.mark.parametrize("dpi", [0.5, 72, 508000, 3e9])
    def test_any_resolution(self, dpi, rng):
        data = written(Picture([values(rng, (4, 5), "uint8")], metadata=imagefile.Metadata(dpi=(dpi, dpi))))
        assert imagefile.read(data).metadata.dpi == pytest.approx((dpi, dpi))

    def test_bands_beyond_the_colours(self, rng):
        image = values(rng, (6, 7, 5), "uint8")
        picture = imagefile.read(made(image, photometric="rgb", extrasamples=["unspecified"] * 2))
        np.testing.assert_array_equal(picture.frames[0], image)
        data = written(picture)
        with tifffile.TiffFile(io.BytesIO(data)) as parsed:
            page = parsed.pages[0]
            np.testing.assert_array_equal(page.asarray(), image)
            assert (page.photometric, page.extrasamples) == (2, (0, 0))
        file = io.BytesIO()
        imagefile.write(picture, file, form="PNG")
        np.testing.assert_array_equal(imagefile.read(file.getvalue()).frames[0], image[..., :3])
        assert picture.losses == ["PNG holds no bands beyond the colours: 2 are left out"]


class TestHostile:
    def test_tags_that_share_their_values(self):
        count, size = 4000, 1 << 20
        head = b"II*\0\x08\0\0\0" + struct.pack("<H", count)
        place = len(head) + 12 * count + 4
        head += b"".join(struct.pack("<HHLL", 1000 + k, 1, size, place) for k in range(count)) + bytes(4)
        tracemalloc.start()
        with pytest.raises(ImageFileError, match="share their values"):
            imagefile.read(head + bytes(size))
        assert tracemalloc.get_traced_memory()[1] < 30 * size
        tracemalloc.stop()

    def test_directories_that_overlap(self):
        """Each one is the whole rest of the file, and begins a few bytes after the one before."""
        data = bytearray(b"II*\0\x08\0\0\0" + b"\xff\x0f" * 40_000)
        for offset in range(8, 20_000, 2):
            link = offset + 2 + 12 * 0x0FFF
            data[link : link + 4] = struct.pack("<L", offset + 2)
        with pytest.raises(ImageFileError, match="<bytes>: "):
            imagefile.read(bytes(data))

    @pytest.mark.parametrize("side", [1 << 16, 1 << 30])
    def test_tiles_far_larger_than_the_image(self, side):
        tags = {"WIDTH": 16, "HEIGHT": 16, "BITS": 8, "PHOTOMETRIC": 1, "COMPRESSION": 8}
        bomb = zlib.compress(bytes(1 << 24))
        with pytest.raises(ImageFileError, match="impossible size of its tiles"):
            imagefile.read(laid_out([bomb], **tags, TILE_WIDTH=side, TILE_HEIGHT=side))

    def test_many_samples_count_as_many_pixels(self):
        tags = {"WIDTH": 1000, "HEIGHT": 1000, "SAMPLES": 64, "BITS": [32] * 64, "SAMPLE_FORMAT": [3] * 64}
        with pytest.raises(ImageFileError, match="more than the limit"):
            imagefile.read(laid_out([b"x"], **tags, PHOTOMETRIC=1, COMPRESSION=8), max_pixels=31_000_000)

    @pytest.mark.parametrize("scheme", [5, 7, 34925, 50000, 50001, 34887, 33005, 50002, 2, 3, 4, 32773])
    def test_rubbish_for_every_codec(self, scheme, rng):
        tags = {"WIDTH": 40, "HEIGHT": 30, "BITS": 8 if scheme not in (2, 3, 4) else 1, "PHOTOMETRIC": 1}
        for size in (0, 1, 7, 500):
            data = laid_out([rng.bytes(size)], **tags, COMPRESSION=scheme, ROWS_PER_STRIP=30)
            try:
                assert imagefile.read(data).frames[0].shape == (30, 40)
            except ImageFileError as error:
                assert "TIFF file" in str(error)


def test_imagecodecs_has_the_codecs():
    for name in ("LZW", "PACKBITS", "ZSTD", "LZMA", "JPEG8", "WEBP", "LERC", "JPEG2K", "JPEGXL", "CCITTFAX4"):
        assert getattr(imagecodecs, name).available


def test_offsets_beyond_any_memory_are_refused(rng):
    data = bytearray(made(values(rng, (4, 5), "uint8"), bigtiff=True))
    data[8:16] = b"\xff" * 8
    with pytest.raises(ImageFileError, match="beyond the end"):
        imagefile.read(bytes(data))


def test_sizes_of_strips_that_were_left_at_0_reach_to_the_next(rng):
    image = rng.integers(0, 256, (40, 30), np.uint8)
    data = bytearray(made(image, rowsperstrip=16, compression="lzw"))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages[0].tags["StripByteCounts"]
        data[tag.valueoffset : tag.valueoffset + tag.count * {3: 2, 4: 4}[int(tag.dtype)]] = bytes(
            tag.count * {3: 2, 4: 4}[int(tag.dtype)]
        )
    np.testing.assert_array_equal(imagefile.read(bytes(data)).frames[0], image)


def test_jpeg_with_alpha_keeps_its_four_samples(rng):
    image = np.repeat(np.repeat(rng.integers(0, 256, (4, 4, 4), np.uint8), 16, 0), 16, 1)
    packed = imagecodecs.jpeg_encode(image, level=95, colorspace="CMYK", outcolorspace="CMYK")
    file = io.BytesIO()
    tifffile.imwrite(
        file, iter([packed]), shape=image.shape, dtype="u1", compression="jpeg", photometric="rgb",
        extrasamples="unassalpha", rowsperstrip=64, compressionargs={"outcolorspace": "RGB"},
    )  # fmt: skip
    picture = imagefile.read(file.getvalue())
    assert picture.alpha and np.abs(picture.frames[0].astype(int) - image).mean() < 2
