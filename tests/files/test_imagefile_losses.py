"""What a file holds comes out, or its loss is said: nothing is dropped or changed in silence."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Metadata, Picture

IMAGE = np.add.outer(np.arange(12) * 20, np.arange(16)).astype(np.uint8)


def written(picture, form, **options):
    file = io.BytesIO()
    imagefile.write(picture, file, form=form, **options)
    return file.getvalue()


def lost(picture, form):
    """What is said to be lost where a picture is written."""
    written(picture, form)
    return picture.losses


def box(name, content):
    return (8 + len(content)).to_bytes(4, "big") + name + content


class TestBoxes:
    @pytest.mark.parametrize("bits", [9, 10, 12, 15])
    @pytest.mark.parametrize("form", ["JP2", "JXL"])
    @pytest.mark.parametrize("colours", [1, 3, 4])
    def test_samples_of_9_to_15_bits_are_scaled_to_white(self, bits, form, colours):
        white = 2**bits - 1
        image = np.linspace(0, white, 30 * colours).astype(np.uint16).reshape(5, 6, -1).squeeze()
        if form == "JP2":
            data = imagecodecs.jpeg2k_encode(image, reversible=True, bitspersample=bits)
        else:
            data = imagecodecs.jpegxl_encode(image, lossless=True, bitspersample=bits, usecontainer=bits > 10)
        picture = imagefile.read(bytes(data))
        np.testing.assert_array_equal(picture.frames[0], np.rint(image * (65535 / white)))
        assert picture.notes == [f"white of {white} scaled to 65535"]

    def test_signed_samples_are_refused(self):
        data = imagecodecs.jpeg2k_encode(IMAGE.astype(np.int16) - 50, reversible=True, bitspersample=9)
        with pytest.raises(ImageFileError, match="JP2 of signed samples"):
            imagefile.read(bytes(data))

    @pytest.mark.parametrize("padding", [0, 1 << 15])
    def test_boxes_of_a_jxl_are_named_wherever_they_are(self, padding):
        whole = bytes(imagecodecs.jpegxl_encode(IMAGE, lossless=True, usecontainer=True))
        filling = box(b"free", b"\xff\x0a xml Exif" + bytes(padding))
        described = box(b"Exif", bytes(4) + b"II*\0") + box(b"brob", b"xml \x0b") + box(b"jumb", b"...")
        for data in (whole[:32] + filling + described + whole[32:], whole + filling + described):
            picture = imagefile.read(data)
            np.testing.assert_array_equal(picture.frames[0], IMAGE)
            assert picture.losses == ["EXIF, XMP, box 'jumb' of a JXL file left out"]
        assert imagefile.read(whole + filling).losses == []

    @pytest.mark.parametrize("padding", [0, 1 << 15])
    def test_boxes_of_a_jp2_are_named_wherever_they_are(self, padding):
        whole = bytes(imagecodecs.jpeg2k_encode(IMAGE, reversible=True))
        header = whole.index(b"jp2h") - 4
        size = int.from_bytes(whole[header : header + 4], "big")
        filling = box(b"free", b"\xff\x4f\xff\x51 colr\x02 uuid" + bytes(padding))
        profile, place = box(b"colr", b"\2\0\0" + bytes(50)), header + size
        adobe = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb") + b"8BIM"
        described = box(b"uuid", b"JpgTiffExif->JP2II*\0") + box(b"uuid", bytes(20)) + box(b"uuid", adobe)
        data = whole[:header] + filling + (size + len(profile)).to_bytes(4, "big")
        data += whole[header + 4 : place] + profile + described + whole[place:]
        picture = imagefile.read(data)
        np.testing.assert_array_equal(picture.frames[0], IMAGE)
        assert picture.losses == ["EXIF, metadata, Photoshop's resources (IPTC) of a JP2 file left out"]
        assert picture.metadata.icc == bytes(50)
        assert imagefile.read(whole[:header] + filling + whole[header:]).losses == []

    def test_a_jxl_whose_codestream_lies_in_several_boxes(self):
        stream = bytes(imagecodecs.jpegxl_encode(IMAGE, lossless=True))
        whole = bytes(imagecodecs.jpegxl_encode(IMAGE, lossless=True, usecontainer=True))
        pieces = box(b"jxlp", bytes(4) + stream[:5]) + box(b"jxlp", b"\x80\0\0\1" + stream[5:])
        with pytest.raises(ImageFileError, match="16x12 pixels are more than the limit"):
            imagefile.read(whole[:32] + pieces, max_pixels=16 * 12 - 1)
        np.testing.assert_array_equal(imagefile.read(whole[:32] + pieces).frames[0], IMAGE)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("padding", [0, 1 << 17])
def test_samples_of_10_and_12_bits_of_avif_are_scaled_wherever_the_header_is(bits, padding):
    white = 2**bits - 1
    image = np.linspace(0, white, 300).astype(np.uint16).reshape(10, 10, 3)
    data = bytes(imagecodecs.avif_encode(image, level=100, bitspersample=bits))
    filling = box(b"free", b"av1C\x81\0\0\0ispe" + bytes(padding))
    head, pixels = int.from_bytes(data[:4], "big"), data.index(b"mdat") + 4
    places = (place.to_bytes(4, "big") for place in (pixels, pixels + len(filling)))
    picture = imagefile.read(data[:head] + filling + data[head:].replace(*places))
    assert picture.dtype == np.uint16
    assert picture.notes == [f"white of {white} scaled to 65535"]
    np.testing.assert_allclose(picture.frames[0], image * (65535 / white), atol=3 * 65535 / white)


class TestRadiance:
    LIGHT = np.linspace(0.25, 900, 7 * 9 * 3).reshape(7, 9, 3).astype(np.float32)

    def hdr(self, *lines):
        """A file with these lines, and RGB or XYZ in it."""
        pixels = bytes(imagecodecs.rgbe_encode(self.LIGHT)).partition(b"\n\n")[2]
        return "\n".join(("#?RADIANCE", *lines, "", "")).encode() + pixels

    def test_xyz_is_no_rgb(self):
        with pytest.raises(ImageFileError, match="HDR of the kind 32-bit_rle_xyze is not read"):
            imagefile.read(self.hdr("FORMAT=32-bit_rle_xyze"))

    def test_exposures_are_divided_out(self):
        plain = imagefile.read(self.hdr("FORMAT=32-bit_rle_rgbe")).frames[0]
        exposed = imagefile.read(self.hdr("EXPOSURE=4", "FORMAT=32-bit_rle_rgbe", "EXPOSURE= 0.5"))
        np.testing.assert_array_equal(exposed.frames[0], plain / 2)
        assert (exposed.dtype, exposed.losses) == (np.float32, [])
        assert np.abs(plain - self.LIGHT).max() < 900 / 128

    @pytest.mark.parametrize("exposure", ["0", "-1", "nan", "bright", "1e99", "1e999"])
    def test_an_exposure_that_is_none_is_damage(self, exposure):
        with pytest.raises(ImageFileError, match="an impossible exposure"):
            imagefile.read(self.hdr("FORMAT=32-bit_rle_rgbe", f"EXPOSURE={exposure}"))

    def test_other_lines_are_named(self):
        lines = (
            "# by hand",
            "FORMAT=32-bit_rle_rgbe",
            "rpict -vp 0 0 0",
            "VIEW= -vp 1",
            "PRIMARIES=1 0",
            "VIEW= 2",
        )
        assert imagefile.read(self.hdr(*lines)).losses == ["comments, VIEW, PRIMARIES of a HDR file left out"]


class TestGif:
    COLOURS = "GIF holds 256 colours a frame: more are mixed of dots"
    PARTIAL = "GIF holds no partial transparency: such pixels are shown whole or not at all"

    @pytest.mark.parametrize(
        ("colours", "alpha", "told"),
        [
            (256, None, []),
            (257, None, [COLOURS]),
            (100, 255, []),
            (100, 0, []),
            (100, 254, [PARTIAL]),
            (255, 0, []),
            (257, 1, [PARTIAL, COLOURS]),
        ],
    )
    def test_what_a_palette_does_not_hold_is_told_once(self, colours, alpha, told):
        numbers = np.arange(300).clip(max=colours - 1).reshape(20, 15)
        frame = np.stack([numbers % 256, numbers // 256, numbers * 0], -1).astype(np.uint8)
        if alpha is not None:
            frame = np.concatenate([frame, np.full((20, 15, 1), 255, np.uint8)], -1)
            frame[0, 0, 3] = alpha  # another pixel has this colour only if there are fewer than 300
        picture = Picture([frame, frame.copy()], "rgb", alpha is not None, delays=[50.0, 50.0])
        assert lost(picture, "GIF") == told

    @pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
    @pytest.mark.parametrize("plays", [0, 1, 2, 7])
    def test_an_animation_is_played_as_often(self, plays, form):
        frames = [np.stack([IMAGE + 10 * k] * 3, -1) for k in (0, 1)]
        data = written(Picture(frames, "rgb", delays=[50.0, 50.0], loop=plays), "GIF")
        again = {0: 0, 1: None}.get(plays, plays - 1)
        with Image.open(io.BytesIO(data)) as image:  # browsers show the frames once, and then so often again
            assert image.info.get("loop") == again
        picture = imagefile.read(data)
        assert (picture.loop, imagefile.read(written(picture, form)).loop) == (plays, plays)


@pytest.mark.parametrize(
    ("density", "told"), [((1, 2), ["the shape of the pixels (1:2) left out"]), ((3, 3), [])]
)
def test_the_shape_of_the_pixels_of_a_jpeg_is_told(density, told):
    data = bytearray(written(Picture([IMAGE]), "JPEG"))
    place = data.index(b"JFIF\0") + 7
    data[place : place + 5] = struct.pack(">BHH", 0, *density)
    picture = imagefile.read(bytes(data))
    assert (picture.losses, picture.metadata.dpi) == (told, None)


@pytest.mark.parametrize("form", ["TGA", "PCX", "SGI", "DDS", "QOI", "WEBP", "JXL"])
def test_forms_without_a_resolution(form):
    picture = Picture([np.stack([IMAGE] * 3, -1)], "rgb", metadata=Metadata(dpi=(300.0, 300.0)))
    assert lost(picture, form) == [f"{form} does not hold resolution: left out"]


@pytest.mark.parametrize(
    ("model", "alpha", "channels", "told"),
    [
        ("rgb", True, 4, ["NPY does not hold that the last channel is transparency"]),
        ("grey", True, 2, ["NPY does not hold that the last channel is transparency"]),
        ("cmyk", False, 4, ["NPY does not hold that the channels are CMYK"]),
        ("rgb", False, 3, []),
    ],
)
def test_what_channels_mean_is_not_in_an_array(model, alpha, channels, told):
    assert lost(Picture([np.stack([IMAGE] * channels, -1)], model, alpha), "NPY") == told


class TestComments:
    @pytest.mark.parametrize("comment", ["by hand", "two\nlines", " of spaces ", "Grüße \udcff"])
    @pytest.mark.parametrize("form", ["PGM", "PBM", "PAM", "PNG", "GIF", "JPEG"])
    def test_travel_between_netpbm_and_others(self, comment, form):
        if form == "PNG" and "\udcff" in comment:
            pytest.skip("texts of PNG are UTF-8")
        picture = Picture([IMAGE * np.uint8(0)], metadata=Metadata(text={"Comment": comment}))
        data = written(picture, form)
        assert imagefile.read(data).metadata.text == {"Comment": comment}
        again = written(imagefile.read(data), "PPM" if form == "GIF" else "PGM")
        assert imagefile.read(again).metadata.text == {"Comment": comment}
        with Image.open(io.BytesIO(again)) as witness:
            np.testing.assert_array_equal(np.asarray(witness.convert("L")), picture.frames[0])

    def test_of_every_image_are_kept(self):
        data = b"P5 # one\n1 # two\n1\n255\n#" + b"P5\n# one\n# three\n1 1 255\n#"
        picture = imagefile.read(data)
        assert [frame.item() for frame in picture.frames] == [35, 35]
        assert picture.metadata.text == {"Comment": "one\ntwo\nthree"}
        again = written(picture, "PGM")
        assert imagefile.read(again).metadata == picture.metadata
        assert again.count(b"#") == 5  # three comments and two pixels

    def test_that_no_header_holds_are_told(self):
        picture = Picture([IMAGE], metadata=Metadata(text={"Comment": "long " * 10_000}))
        data = written(picture, "PGM")
        assert picture.losses == ["a comment of 50003 bytes is left out"]
        np.testing.assert_array_equal(imagefile.read(data).frames[0], IMAGE)
        assert lost(Picture([IMAGE.astype(np.float32)], metadata=Metadata(text={"Comment": "x"})), "PFM") == [
            "PFM does not hold text 'Comment': left out"
        ]


COLOURS = np.stack([IMAGE] * 3, -1)


def with_mipmaps(count=3):
    data = bytearray(written(Picture([COLOURS], "rgb"), "DDS"))
    data[28:32] = struct.pack("<L", count)
    return data + bytes(100)


def with_linear_light():
    data = bytearray(written(Picture([COLOURS], "rgb"), "QOI"))
    data[13] = 1
    return data


def with_text():
    file = io.BytesIO()
    Image.fromarray(COLOURS).save(file, "TGA", id_section=b"by hand")
    return file.getvalue()


def with_profile(bits):
    masks = struct.pack("<LLLL", 0xFF0000, 0xFF00, 0xFF, 0) if bits == 32 else bytes(16)
    head = struct.pack("<LllHHLLllLL", 124, 4, 4, 1, bits, 3 if bits == 32 else 0, 4 * bits // 2, 0, 0, 0, 0)
    head += masks + b"DEBM" + bytes(48) + struct.pack("<LLLL", 4, 124 + 2 * bits, 9, 0)
    return b"BM" + struct.pack("<LHHL", 138 + 2 * bits + 9, 0, 0, 138) + head + bytes(2 * bits) + b"a profile"


def with_resources():
    blocks = b"".join(
        b"8BIM" + struct.pack(">HHL", number, 0, 16) + bytes(16) for number in (1005, 1028, 1058, 1060, 1036)
    )
    head = b"8BPS" + struct.pack(">H6xHLLHH", 1, 3, 5, 7, 8, 3)
    return head + bytes(4) + struct.pack(">L", len(blocks)) + blocks + bytes(6) + bytes(3 * 5 * 7)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (with_mipmaps(), "the smaller copies of the image (mipmaps) are left out"),
        (with_linear_light(), "that the samples of a QOI file are linear is left out"),
        (with_text(), "the text of a TGA file is left out"),
        (with_profile(24), "the colour profile of a BMP file is left out"),
        (with_profile(32), "the colour profile of a BMP file is left out"),
        (with_resources(), "resolution, IPTC, EXIF, XMP of a PSD file left out"),
        (
            imagecodecs.jpegxl_encode(np.stack([COLOURS] * 3), lossless=True),
            "the times of the frames of a JXL file are left out",
        ),
    ],
    ids=["DDS", "QOI", "TGA", "BMP 24", "BMP 32", "PSD", "JXL"],
)
def test_what_stands_beside_the_pixels_is_told(data, told, tmp_path):
    path = tmp_path / "image.tga"  # a TGA is known by its suffix alone
    path.write_bytes(data)
    assert imagefile.read(path).losses == [told]


@pytest.mark.parametrize("form", ["DDS", "QOI", "TGA", "BMP", "JXL"])
def test_nothing_is_told_of_an_image_alone(form, tmp_path):
    path = tmp_path / "image.tga"
    path.write_bytes(written(Picture([COLOURS], "rgb"), form))
    assert imagefile.read(path).losses == []
    for data in (with_mipmaps(1), with_profile(24).replace(b"DEBM", b"BGRs")):
        assert imagefile.read(bytes(data)).losses == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"XMP DataXMP", ["XMP of a GIF file left out"]),
        (b"ICCRGBG1012", ["colour profile of a GIF file left out"]),
        (b"SOMEBODY1.0", ["block 'SOMEBODY1.0' of a GIF file left out"]),
        (b"NETSCAPE2.0", []),
    ],
)
def test_what_applications_wrote_into_a_gif(name, told):
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(file, "GIF")
    data = file.getvalue()
    block = b"\x21\xff\x0b" + name + b"\x03\x01\0\0\0"
    assert imagefile.read(data[:-1] + block + data[-1:]).losses == told
