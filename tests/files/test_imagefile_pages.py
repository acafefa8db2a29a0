"""Pages of different kinds in one TIFF or Netpbm file: brought to a kind that holds each of them."""

import io

import numpy as np
import pytest
import tifffile

from cnnfilter import filter_files
from cnnfilter.errors import ImageFileError
from cnnfilter.files import read

RNG = np.random.default_rng(1)
GREY, RGB, RGBA = (RNG.integers(0, 256, (6, 8, *more), np.uint8) for more in ((), (3,), (4,)))
BITS = RNG.integers(0, 2, (7, 9)).astype(bool)
DEEP = RNG.integers(0, 65536, (6, 8), np.uint16)
TOLD = "pages of different kinds written as one that holds all: {}"


def tiff(*pages, **options):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            colour = page.ndim == 3
            extra = {"extrasamples": ["unassalpha"]} if page.shape[2:] == (4,) else {}
            kind = {"photometric": "rgb" if colour else "minisblack"}
            writer.write(page, metadata=None, **kind, **extra, **options)
    return file.getvalue()


def as_rgb(grey):
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("pages", [(GREY, RGB), (RGB, GREY), (RGB, BITS, GREY), (BITS, RGB)])
def test_grey_among_colours(pages, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(*pages))
    (done,) = filter_files(tmp_path / "a.tif", tmp_path / "b.tif", "convolve --kernel identity:1")
    assert TOLD.format("rgb, 8 bits") in done.outcome.notes
    picture = read(done.output)
    assert picture.model == "rgb" and len(picture.frames) == len(pages)
    for frame, page in zip(picture.frames, pages, strict=True):
        page = page * np.uint8(255) if page.dtype == bool else page
        np.testing.assert_array_equal(frame, page if page.ndim == 3 else as_rgb(page))


def test_alpha_and_depth():
    picture = read(tiff(GREY, RGBA, DEEP))
    assert (picture.model, picture.alpha, picture.dtype) == ("rgb", True, np.uint16)
    assert picture.notes == [TOLD.format("rgba, 16 bits")]
    np.testing.assert_array_equal(picture.frames[0][..., :3], as_rgb(GREY.astype(np.uint16) * 257))
    np.testing.assert_array_equal(picture.frames[1], RGBA.astype(np.uint16) * 257)
    np.testing.assert_array_equal(picture.frames[2][..., 0], DEEP)
    assert (picture.frames[0][..., 3] == 65535).all() and (picture.frames[2][..., 3] == 65535).all()


def test_a_profile_of_grey_is_left_out():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY, metadata=None, iccprofile=b"grey profile")
        writer.write(RGB, metadata=None, photometric="rgb", iccprofile=b"rgb profile")
    picture = read(file.getvalue())
    assert picture.metadata.icc is None and picture.pages[0].icc == b"rgb profile"
    assert "the colour profile of grey pages, which become RGB, is left out" in picture.losses


@pytest.mark.parametrize("other", [GREY.astype(np.float32), GREY.astype(np.int16)])
def test_values_that_are_no_brightness_are_refused(other):
    with pytest.raises(ImageFileError, match="page 2 has another kind of pixels than page 1; split the file"):
        read(tiff(GREY, other))


def test_missing_values_are_refused():
    nodata = ((42113, "s", 0, "7", True),)
    with pytest.raises(ImageFileError, match="page 2 has another kind of pixels"):
        read(tiff(GREY, RGB, extratags=nodata))


def test_images_of_netpbm():
    data = b"P5 8 6 255 " + GREY.tobytes() + b"P6 8 6 255 " + RGB.tobytes()
    picture = read(data)
    np.testing.assert_array_equal(picture.frames, [as_rgb(GREY), RGB])
    assert picture.notes == [TOLD.format("rgb, 8 bits")]


def test_a_comment_may_follow_the_mark_at_once():
    picture = read(b"P5#first\n#second\n8 6 255\n" + GREY.tobytes())
    np.testing.assert_array_equal(picture.frames[0], GREY)
    assert picture.metadata.text == {"Comment": "first\nsecond"}
