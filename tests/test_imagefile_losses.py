"""What a file holds comes out, or its loss is said: nothing is dropped or changed in silence."""

import io

import imagecodecs
import numpy as np
import pytest

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError

IMAGE = np.add.outer(np.arange(12) * 20, np.arange(16)).astype(np.uint8)


def written(picture, form, **options):
    file = io.BytesIO()
    imagefile.write(picture, file, form=form, **options)
    return file.getvalue()


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
        described = box(b"uuid", b"JpgTiffExif->JP2II*\0") + box(b"uuid", bytes(20))
        data = whole[:header] + filling + (size + len(profile)).to_bytes(4, "big")
        data += whole[header + 4 : place] + profile + described + whole[place:]
        picture = imagefile.read(data)
        np.testing.assert_array_equal(picture.frames[0], IMAGE)
        assert picture.losses == ["colour profile, EXIF, metadata of a JP2 file left out"]
        assert imagefile.read(whole[:header] + filling + whole[header:]).losses == []

    def test_a_jxl_whose_codestream_lies_in_several_boxes(self):
        stream = bytes(imagecodecs.jpegxl_encode(IMAGE, lossless=True))
        whole = bytes(imagecodecs.jpegxl_encode(IMAGE, lossless=True, usecontainer=True))
        pieces = box(b"jxlp", bytes(4) + stream[:5]) + box(b"jxlp", b"\x80\0\0\1" + stream[5:])
        with pytest.raises(ImageFileError, match="16x12 pixels are more than the limit"):
            imagefile.read(whole[:32] + pieces, max_pixels=16 * 12 - 1)
        np.testing.assert_array_equal(imagefile.read(whole[:32] + pieces).frames[0], IMAGE)


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
