"""JPEG: what it was compressed with is kept, and CMYK comes out as it went in."""

import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin
from skimage import data

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import Picture


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
