"""JPEG: what it was compressed with is kept, and CMYK comes out as it went in."""

import io

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image, JpegImagePlugin
from skimage import data

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Metadata, Picture, jpeg_writing


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(data.astronaut()[:200, :320])


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def written(picture, **options):
    file = io.BytesIO()
    imagefile.write(picture, file, form="JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [30, 75, 96])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_tables_and_subsampling_are_kept(photograph, quality, subsampling, progressive):
    original = encoded(photograph, quality=quality, subsampling=subsampling, progressive=progressive)
    copy = written(imagefile.read(original))
    with Image.open(io.BytesIO(original)) as first, Image.open(io.BytesIO(copy)) as second:
        assert first.quantization == second.quantization
        assert JpegImagePlugin.get_sampling(first) == JpegImagePlugin.get_sampling(second)
        assert bool(second.info.get("progressive")) == progressive
    assert len(copy) == pytest.approx(len(original), rel=0.1)


def test_quality_given_wins(photograph):
    picture = imagefile.read(encoded(photograph, quality=90))
    assert len(written(picture, quality=20)) < len(written(picture)) / 3


def test_quality_of_what_was_no_jpeg(photograph):
    picture = Picture([np.asarray(photograph)], "rgb", form="PNG")
    with Image.open(io.BytesIO(written(picture))) as image:
        assert image.quantization == Image.open(io.BytesIO(encoded(photograph, quality=90))).quantization


def test_pixels_are_those_of_pillow(photograph):
    for image in (photograph, photograph.convert("L"), photograph.convert("CMYK")):
        file = encoded(image)
        frame = imagefile.read(file).frames[0]
        with Image.open(io.BytesIO(file)) as witness:
            np.testing.assert_array_equal(frame, np.asarray(witness))


def test_cmyk_survives(photograph):
    file = encoded(photograph.convert("CMYK"), quality=95)
    picture = imagefile.read(file)
    assert (picture.model, picture.alpha) == ("cmyk", False)
    again = imagefile.read(written(picture))
    assert np.abs(again.frames[0].astype(int) - picture.frames[0]).mean() < 2


def test_opaque_alpha_is_left_out_and_other_alpha_refused(photograph):
    pixels = np.dstack([np.asarray(photograph), np.full((200, 320), 255, np.uint8)])
    assert imagefile.read(written(Picture([pixels], "rgb", True))).frames[0].shape == (200, 320, 3)
    pixels[0, 0, 3] = 254
    with pytest.raises(ImageFileError, match=r"JPEG holds no transparency; write \.png"):
        written(Picture([pixels], "rgb", True))


def test_a_long_side_is_refused():
    with pytest.raises(ImageFileError, match="at most 65500 pixels a side"):
        written(Picture([np.zeros((1, 65501), np.uint8)]))


def test_every_truncation_is_found(photograph):
    file = encoded(photograph.resize((64, 48)))
    frame = imagefile.read(file).frames[0]
    for length in range(3, len(file), 11):
        try:
            cut = imagefile.read(file[:length]).frames[0]
        except ImageFileError as error:
            assert "truncated" in str(error)
            continue
        np.testing.assert_array_equal(cut, frame)


@pytest.mark.parametrize(("name", "most"), [("exif", 65533 - 6), ("xmp", 65533 - 29), ("comment", 65533)])
def test_blocks_as_long_as_a_segment_are_written(name, most):
    def kept(length):
        block = (b"II*\0\x08\0\0\0" + bytes(6) if name == "exif" else b"").ljust(length, b"x")
        return Metadata(text={"Comment": block.decode()}) if name == "comment" else Metadata(**{name: block})

    frame = np.zeros((8, 8, 3), np.uint8)
    file = io.BytesIO()
    imagefile.write(Picture([frame], "rgb", metadata=kept(most)), file, form="JPEG")
    assert imagefile.read(file.getvalue()).metadata == kept(most)
    with pytest.raises(ImageFileError, match=f"{name} block of .* too long"):
        imagefile.write(Picture([frame], "rgb", metadata=kept(most + 1)), io.BytesIO(), form="JPEG")


def segment(marker, content):
    return b"\xff" + bytes([marker]) + (len(content) + 2).to_bytes(2, "big") + content


def resource(number, content):
    whole = b"8BIM" + number.to_bytes(2, "big") + b"\0\0" + len(content).to_bytes(4, "big") + content
    return whole + b"\0" * (len(content) % 2)


def with_segments(*segments):
    file = io.BytesIO()
    Image.fromarray(data.astronaut()[:40, :56]).save(file, "JPEG")
    whole = file.getvalue()
    return whole[:2] + b"".join(segments) + whole[2:]


def copied(whole, form="JPEG"):
    picture = imagefile.read(whole)
    file = io.BytesIO()
    imagefile.write(picture, file, form=form)
    return file.getvalue(), picture


class TestBlocks:
    CAPTION = resource(0x0404, b"\x1c\x02\x78\x00\x0bA red field")

    def test_captions_are_kept_and_thumbnails_are_not(self):
        resources = self.CAPTION + resource(0x040C, b"small copy") + resource(0x03F3, b"odd")
        whole = with_segments(segment(0xED, b"Photoshop 3.0\0" + resources))
        copy, picture = copied(whole)
        assert picture.losses == []
        assert segment(0xED, b"Photoshop 3.0\0" + self.CAPTION + resource(0x03F3, b"odd")) in copy
        assert b"small copy" not in copy
        assert (
            imagefile.read(copied(copied(whole, "TIFF")[0])[0]).metadata.photoshop
            == picture.metadata.photoshop
        )
        assert copied(whole, "PNG")[1].losses == ["PNG does not hold Photoshop's resources (IPTC): left out"]

    def test_resources_of_many_segments(self):
        resources = resource(0x0404, bytes(range(256)) * 600)
        parts = [resources[place : place + 50_000] for place in range(0, len(resources), 50_000)]
        whole = with_segments(*(segment(0xED, b"Photoshop 3.0\0" + part) for part in parts))
        assert imagefile.read(copied(whole)[0]).metadata.photoshop == resources

    def test_a_comment_is_kept_byte_for_byte(self):
        comment = "Grüße".encode("latin-1") + b"\x80\xff"
        copy, _ = copied(with_segments(segment(0xFE, comment)))
        assert segment(0xFE, comment) in copy
        for form in ("GIF", "PNG", "TIFF"):
            copied(copy, form)

    def test_what_is_left_out_is_told(self):
        whole = with_segments(
            segment(0xFE, b"one"), segment(0xFE, b"two"), segment(0xEB, b"JP"), segment(0xE0, b"JFXX")
        )
        assert copied(whole)[1].losses == ["a second comment is left out", "the APP11 block is left out"]

    @pytest.mark.parametrize(
        ("rest", "told"),
        [
            (b"", []),
            (bytes(40), []),
            (b"more", ["4 bytes that follow the image are left out"]),
            (b"\xff\xd8\xff\xe0", ["another image follows the first one and is left out; split the file"]),
        ],
    )
    def test_what_follows_the_image(self, rest, told):
        thumbnail = with_segments()
        exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
        assert imagefile.read(with_segments(segment(0xE1, exif)) + rest).losses == told

    def test_scans_without_number_are_refused(self):
        whole = with_segments()
        scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x00"
        with pytest.raises(ImageFileError, match="more than 200 scans"):
            imagefile.read(whole[:-2] + scan * 300 + whole[-2:])

    def test_what_looks_like_scans_in_a_block_before_the_pixels_is_none(self):
        assert imagefile.read(with_segments(segment(0xED, b"\xff\xda" * 400))).frames


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(("bits", "lossless"), [(12, False), (12, True), (16, True), (8, True)])
def test_more_than_8_bits_and_no_loss(bits, lossless, colour):
    y, x = np.mgrid[:40, :56]
    image = ((x * 20 + y * 10) << 4 >> (16 - bits)).astype(np.uint8 if bits == 8 else np.uint16)
    image = np.dstack([image, image[::-1], image[:, ::-1]]) if colour else image
    whole = imagecodecs.jpeg8_encode(image, bitspersample=bits, lossless=lossless)
    picture = imagefile.read(whole)
    white = 65535 if bits > 8 else 255
    expected = np.rint(image * (white / (2**bits - 1)))
    differences = np.abs(picture.frames[0] - expected)
    assert differences.max() == 0 if lossless else differences.mean() < 200
    assert picture.model == ("rgb" if colour else "grey")
    with pytest.raises(ImageFileError, match="56x40 pixels are more than the limit"):
        imagefile.read(whole, max_pixels=2239)
    with pytest.raises(ImageFileError, match="JPEG file"):
        imagefile.read(whole[: len(whole) // 2])


@pytest.mark.parametrize("shape", [(500, 301, 3), (499, 300), (33, 700, 3), (1000, 17, 3)])
@pytest.mark.parametrize("quality", [None, 40, 97])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_strips_have_the_pixels_of_one_piece(monkeypatch, shape, quality, subsampling):
    """To the decoders of Pillow, OpenCV and imagecodecs; the last strip need not be full."""
    monkeypatch.setattr(jpeg_writing, "_STRIP", 12_000)
    frame = data.astronaut()[:, :, : shape[2] if len(shape) == 3 else 1].reshape(512, 512, -1)
    frame = np.tile(frame, (2, 2, 1))[: shape[0], : shape[1]].reshape(shape)
    grey = len(shape) == 2
    original = encoded(Image.fromarray(frame), quality=85, **({} if grey else {"subsampling": subsampling}))
    picture = imagefile.read(original)
    piece = written(picture, quality=quality)
    monkeypatch.setattr(jpeg_writing, "LARGE", 0)
    strips = written(picture, quality=quality, threads=3)
    restarts = [strips.count(bytes((0xFF, 0xD0 + number))) for number in range(8)]
    assert sum(restarts) == -(-shape[0] // (max(12_000 // shape[1] // 16, 1) * 16)) - 1 > 0
    assert restarts == sorted(restarts, reverse=True)
    for decode in (
        lambda bytes_: np.asarray(Image.open(io.BytesIO(bytes_))),
        lambda bytes_: cv2.imdecode(np.frombuffer(bytes_, np.uint8), cv2.IMREAD_UNCHANGED),
        imagecodecs.jpeg_decode,
    ):
        np.testing.assert_array_equal(decode(strips), decode(piece))


def test_strips_cost_few_bytes_and_keep_what_stands_before_them():
    frame = np.tile(data.astronaut(), (5, 4, 1))
    kept = Metadata(
        icc=b"a profile" * 9000, exif=b"II*\0\x08\0\0\0\0\0", dpi=(300.0, 300.0), text={"Comment": "a"}
    )
    picture = Picture([frame], "rgb", metadata=kept)
    strips = written(picture)
    with Image.open(io.BytesIO(strips)) as image:
        piece = encoded(Image.fromarray(frame), quality=90, **{
            "icc_profile": kept.icc, "exif": b"Exif\0\0" + kept.exif, "dpi": (300, 300), "comment": b"a"
        })  # fmt: skip
        assert image.size == (2048, 2560) and image.info["comment"] == b"a"
        assert image.info["icc_profile"] == kept.icc
    assert len(strips) == pytest.approx(len(piece), rel=0.001)


def test_what_is_progressive_stays_so_and_has_no_strips(monkeypatch, photograph):
    monkeypatch.setattr(jpeg_writing, "LARGE", 0)
    copy = written(imagefile.read(encoded(photograph, progressive=True)))
    assert b"\xff\xdd" not in copy
    assert Image.open(io.BytesIO(copy)).info["progressive"]
