"""What a filtered TIFF keeps of the one that was read: how it is packed, and what its pages say."""

import io

import numpy as np
import pytest
import tifffile
from commandline import cnnfilter, complaint
from test_imagefile_tiff import made, values, written

from cnnfilter import files as imagefile

ORIENTATION = 274
PLACED = ((33550, "d", 3, (30.0, 30.0, 0.0), True), (33922, "d", 6, (0.0,) * 6, True))
SYSTEM = ((34735, "H", 4, (1, 1, 0, 0), True),)


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def nodata(text):
    return ((42113, "s", 0, text, True),)


def pages(data):
    """The pages as tifffile sees them: their tags, and their pixels with the channels last."""
    with tifffile.TiffFile(io.BytesIO(data)) as parsed:
        assert not parsed.is_bigtiff
        found = []
        for page in parsed.pages:
            image = page.asarray()
            found.append(
                (
                    {tag.code: tag.value for tag in page.tags},
                    np.moveaxis(image, 0, -1) if page.planarconfig == 2 else image,
                )
            )
        return found


PREDICTORS = {"uint8": (1, 2), "uint16": (1, 2), "int16": (1, 2), "float32": (1, 3), "float64": (1, 3)}
CODECS = {"none": 1, "lzw": 5, "adobe_deflate": 8, "packbits": 32773, "lzma": 34925, "zstd": 50000}


class TestPacking:
    @pytest.mark.parametrize("layout", ["strips", "tiles", "planes", "tiled planes"])
    @pytest.mark.parametrize(
        ("codec", "dtype", "predictor"),
        [
            (codec, dtype, predictor)
            for codec in CODECS
            for dtype, predictors in PREDICTORS.items()
            for predictor in predictors
            if predictor == 1 or codec not in ("none", "packbits")
        ],
    )
    def test_stays(self, codec, dtype, predictor, layout, rng):
        image = values(rng, (37, 41, 3), dtype)
        image[5:20] = image[5]  # something to compress
        options = {"tile": (16, 32)} if "tile" in layout else {"rowsperstrip": 10}
        if "planes" in layout:
            options["planarconfig"] = "separate"
        page = np.moveaxis(image, -1, 0) if "planes" in layout else image
        kind = {"compression": codec, "predictor": predictor} if codec != "none" else {}
        picture = imagefile.read(made(page, photometric="rgb", **kind, **options))
        ((tags, pixels),) = pages(written(picture))
        np.testing.assert_array_equal(pixels, image)
        np.testing.assert_array_equal(imagefile.read(written(picture)).frames[0], image)
        assert (tags[259], tags.get(317, 1), tags[284]) == (
            CODECS[codec],
            predictor,
            1 + ("planes" in layout),
        )
        assert (tags.get(323), tags.get(322)) == options.get("tile", (None, None))
        assert picture.losses == picture.notes == []

    def test_odd_tiles_become_strips_and_that_is_told(self, rng):
        picture = imagefile.read(made(values(rng, (37, 41), "uint8"), tile=(16, 16)))
        picture.encoding["tile"] = (20, 16)  # which tifffile does not write
        ((tags, _),) = pages(written(picture))
        assert 322 not in tags
        assert picture.losses == ["tiles of 20x16, no multiples of 16, are written as strips"]

    @pytest.mark.parametrize(
        "other", [{"compression": "lzw"}, {"tile": (16, 16)}, {"planarconfig": "separate"}], ids=str
    )
    def test_pages_that_are_packed_otherwise_than_the_first_are_told(self, rng, other):
        image, file = values(rng, (3, 37, 41), "uint8"), io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            for options in ({}, other):
                apart = "planarconfig" in options
                page = image if apart else np.moveaxis(image, 0, 2)
                writer.write(
                    page, photometric="rgb", rowsperstrip=None if "tile" in options else 10, **options
                )
        picture = imagefile.read(file.getvalue())
        assert picture.losses == [
            "pages that are packed or tiled otherwise than the first are written as that one"
        ]
        for (_, pixels), frame in zip(pages(written(picture)), picture.frames, strict=True):
            np.testing.assert_array_equal(pixels, frame)

    @pytest.mark.parametrize(("level", "codec"), [(0, 1), (1, 8), (6, 8)])
    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_is_another_where_that_is_asked_for(self, level, codec, dtype, rng):
        image = values(rng, (20, 30), dtype)
        picture = imagefile.read(made(image, compression="lzw", predictor=True))
        ((tags, pixels),) = pages(written(picture, compression=level))
        np.testing.assert_array_equal(pixels, image)
        assert tags[259] == codec

    @pytest.mark.parametrize(
        ("before", "after", "predictor"), [("float32", "uint16", 3), ("uint8", "float32", 2)]
    )
    def test_of_another_type(self, before, after, predictor, rng):
        picture = imagefile.read(made(values(rng, (20, 30), before), compression="lzw", predictor=predictor))
        picture.frames = [values(rng, (20, 30), after)]
        data = written(picture)
        ((tags, pixels),) = pages(data)
        np.testing.assert_array_equal(pixels, picture.frames[0])
        np.testing.assert_array_equal(imagefile.read(data).frames[0], picture.frames[0])
        assert tags[317] == 2  # that of floats is for floats alone

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"compression": "jpegxl"}, "compression JPEG XL of the TIFF replaced by deflate"),
            ({"compression": "jpeg"}, "compression JPEG of the TIFF replaced by deflate"),
            ({"bigtiff": True}, "BigTIFF written as a TIFF of at most 4 GB"),
        ],
    )
    def test_that_is_not_written_is_noted(self, options, told, rng):
        picture = imagefile.read(made(values(rng, (20, 30), "uint8"), **options))
        ((tags, pixels),) = pages(written(picture))
        np.testing.assert_array_equal(pixels, picture.frames[0])
        assert picture.notes == [told]
        assert tags[259] == (8 if "compression" in options else 1)


def test_every_page_keeps_what_describes_it(rng):
    file = io.BytesIO()
    extras = []
    with tifffile.TiffWriter(file) as writer:
        for number in (1, 2, 3):
            extras.append(
                [
                    (700, 7, 5, b"<xmp%d" % number, True),
                    (34675, 7, 8, b"profile%d" % number, True),
                    *nodata(f"-{number}"),
                    (305, "s", 0, f"camera {number}", True),
                ]
            )
            writer.write(
                values(rng, (6, 7), "int16"),
                metadata=None,
                software=False,
                resolution=(100 * number, 200 * number),
                resolutionunit="inch",
                extratags=extras[-1],
            )
    for number, (tags, _) in enumerate(pages(written(imagefile.read(file.getvalue()))), 1):
        assert (tags[282][0] / tags[282][1], tags[283][0] / tags[283][1]) == (100 * number, 200 * number)
        assert {code: tags[code] for code, *_ in extras[number - 1]} == {
            code: value for code, _, _, value, _ in extras[number - 1]
        }


def test_other_forms_say_what_they_cannot_hold_of_a_later_page(rng):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(values(rng, (6, 7), "uint8"), metadata=None, software=False)
        writer.write(
            values(rng, (6, 7), "uint8"),
            metadata=None,
            software=False,
            extratags=PLACED,
            resolution=(9, 9),
            resolutionunit=2,
        )
    picture = imagefile.read(file.getvalue())
    imagefile.write(picture, io.BytesIO(), form="PGM")
    assert picture.losses == ["PGM does not hold resolution, georeference: left out"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_georeference_of_turned_pixels_is_left_out(orientation, rng):
    extra = (*PLACED, *SYSTEM, (ORIENTATION, "H", 1, orientation, True))
    picture = imagefile.read(made(values(rng, (6, 7), "uint8"), extratags=extra))
    ((tags, _),) = pages(written(picture))
    turned = orientation != 1
    assert tags.keys() & {33550, 33922, 34735} == ({34735} if turned else {33550, 33922, 34735})
    assert picture.losses == ["the georeference is left out, for the pixels are turned"] * turned


class TestMissing:
    @pytest.mark.parametrize(
        ("text", "before", "after", "kept"),
        [
            ("-9999", "float32", "float32", True),
            ("-9999", "float32", "uint8", False),
            ("0", "float32", "uint8", True),
            ("0.5", "float32", "uint16", False),
            ("nan", "float32", "uint16", False),
            ("nan", "float64", "float32", True),
            ("-3.4028234663852886e+38", "float32", "float32", True),
            ("-1.7976931348623157e+308", "float64", "float64", True),
            ("-1.7976931348623157e+308", "float64", "float32", False),
            ("255", "uint8", "uint8", True),
            ("255", "uint8", "uint16", False),  # 65535 by then
            ("0", "uint8", "uint16", True),
            ("255", "uint8", "float32", True),
            ("-32768", "int16", "uint16", False),
            ("none", "uint8", "float32", True),
        ],
    )
    def test_the_value_stays_where_it_means_the_same(self, text, before, after, kept, rng):
        picture = imagefile.read(made(values(rng, (6, 7), before), extratags=nodata(text)))
        picture.frames = [values(rng, (6, 7), after)]
        ((tags, _),) = pages(written(picture))
        assert tags.get(42113) == (text if kept else None)
        told = f"the value of missing pixels ({text}) is left out, for the type is another"
        assert picture.losses == [told] * (not kept)

    @pytest.mark.parametrize(
        ("kind", "value", "kept"),
        [
            ({"bitspersample": 4}, "15", False),
            ({"bitspersample": 4}, "0", True),
            ({"bitspersample": 7}, "1", False),
            ({"photometric": "miniswhite"}, "0", False),
            ({"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, "0", False),
            ({}, "15", True),
        ],
    )
    def test_the_value_is_left_out_where_reading_makes_it_another(self, kind, value, kept, rng, tmp_path):
        image = rng.integers(0, 16, (6, 7), dtype=np.uint8)
        options = {"photometric": "minisblack"} | kind
        picture = imagefile.read(made(image, extratags=nodata(value), **options))
        ((tags, _),) = pages(written(picture))
        assert (tags.get(42113), picture.metadata.missing) == (
            (value, float(value)) if kept else (None, None)
        )
        told = f"the value of missing pixels ({value}) is left out, for the values become others"
        assert picture.losses == [told] * (not kept)


def test_a_type_that_becomes_another_is_told(rng, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", values(rng, (6, 7), "uint32"), metadata=None)
    told = complaint(cnnfilter("mean", tmp_path / "a.tif", "-o", tmp_path / "b.tif"))
    assert told.endswith("integers of 32 bits filtered and written as floats of 64 bits")


class TestDescriptions:
    @pytest.mark.parametrize("change", [None, "size", "type"])
    @pytest.mark.parametrize("shape", [(8, 12), (3, 8, 12), (8, 12, 3), (2, 8, 12, 3), (1, 8, 12)])
    def test_a_header_of_tifffile_is_never_wrong(self, shape, change, rng):
        file = io.BytesIO()
        tifffile.imwrite(
            file, values(rng, shape, "uint8"), photometric="rgb" if shape[-1] == 3 else "minisblack"
        )
        picture = imagefile.read(file.getvalue())
        if change:
            picture.frames = [
                frame[::2] if change == "size" else frame.astype(np.float32) for frame in picture.frames
            ]
        data = written(picture)
        with tifffile.TiffFile(io.BytesIO(data)) as parsed:
            assert parsed.is_shaped == (change != "size")
            assert parsed.asarray().size == sum(frame.size for frame in picture.frames)
        assert picture.losses == (
            ["tifffile's header, which speaks of another size, is left out"] if change == "size" else []
        )

    def test_a_pixel_of_imagej_has_no_size_in_another_image(self, rng):
        file = io.BytesIO()
        tifffile.imwrite(
            file, values(rng, (8, 12), "uint8"), imagej=True, resolution=(5.0, 4.0), metadata={"unit": "um"}
        )
        picture = imagefile.read(file.getvalue())
        picture.frames = [picture.frames[0][::2]]
        ((tags, _),) = pages(written(picture))
        assert not tags.keys() & {282, 283, 296}
        assert tags[270].startswith("ImageJ=") and "unit" not in tags[270]
        assert picture.losses == ["the resolution without unit is left out, for the size is another"]
