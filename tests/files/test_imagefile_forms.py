"""The rarer forms: what is written comes back, and other libraries read and write the same."""

import io
import struct
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError
from cnnfilter.files import FORMS, Picture

CHANNELS = {1: ("grey", False), 2: ("grey", True), 3: ("rgb", False), 4: ("rgb", True)}
HELD = {
    "JXL": (("uint8", "uint16", "float32"), (1, 2, 3, 4)),
    "JP2": (("uint8", "uint16"), (1, 2, 3, 4)),
    "QOI": (("uint8",), (3, 4)),
    "PCX": (("uint8",), (1, 3)),
    "SGI": (("uint8", "uint16"), (1, 3)),
    "DDS": (("uint8",), (1, 2, 3, 4)),
}


def drawn(dtype, channels, shape=(23, 31)):
    rng = np.random.default_rng(5)
    whole = rng.random((*shape, channels)[: 2 if channels == 1 else 3])
    return whole.astype(dtype) if dtype == "float32" else (whole * np.iinfo(dtype).max).astype(dtype)


def written(picture, form, **options):
    file = io.BytesIO()
    imagefile.write(picture, file, form=form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "dtype", "channels"),
    [
        (form, dtype, channels)
        for form, (dtypes, counts) in HELD.items()
        for dtype in dtypes
        for channels in counts
    ],
)
def test_every_pixel_comes_back(form, dtype, channels):
    image = drawn(dtype, channels)
    data = written(Picture([image], *CHANNELS[channels]), form)
    picture = imagefile.read(data)
    assert (picture.form, picture.model, picture.alpha) == (form, *CHANNELS[channels])
    np.testing.assert_array_equal(picture.frames[0], image)
    with pytest.raises(ImageFileError, match="31x23 pixels are more than the limit"):
        imagefile.read(data, max_pixels=23 * 31 - 1)


def test_radiance_keeps_8_bits_of_every_value():
    image = drawn("float32", 3) * np.float32(1000)
    data = written(Picture([image], "rgb"), "HDR")
    frame = imagefile.read(data).frames[0]
    assert np.abs(frame - image).max() <= image.max() / 128
    witness = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert np.abs(witness - frame).max() <= image.max() / 256


@pytest.mark.parametrize("form", ["PCX", "SGI", "DDS", "JP2"])
def test_pillow_reads_what_is_written(form):
    image = drawn("uint8", 3)
    with Image.open(io.BytesIO(written(Picture([image], "rgb"), form))) as witness:
        np.testing.assert_array_equal(np.asarray(witness), image)


@pytest.mark.parametrize(
    "shape", [(8, 8), (256, 256), (9, 16), (480, 640), (1, 700), (3000, 2), (1080, 1920), (20, 30)]
)
def test_the_size_of_a_jpeg_xl_is_read_before_it_is_decoded(shape):
    data = imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), lossless=True)
    limit = shape[0] * shape[1]
    assert imagefile.read(data, max_pixels=limit).frames[0].shape == shape
    with pytest.raises(ImageFileError, match=f"{shape[1]}x{shape[0]} pixels are more than the limit"):
        imagefile.read(data, max_pixels=limit - 1)


def test_quality_makes_smaller_files():
    y, x = np.mgrid[:90, :120]
    image = np.stack([x * 2, y * 2, x + y], -1).astype(np.uint8) ^ (drawn("uint8", 3, (90, 120)) >> 5)
    for form in ("JXL", "JP2"):
        exact, lossy = (written(Picture([image], "rgb"), form, quality=quality) for quality in (None, 50))
        assert len(lossy) < len(exact) / 2
        assert np.abs(imagefile.read(lossy).frames[0].astype(int) - image).mean() < 8


def test_an_icon_and_a_layered_picture():
    image = Image.fromarray(drawn("uint8", 4, (64, 64)))
    file = io.BytesIO()
    image.save(file, "ICO", sizes=[(16, 16), (64, 64)])
    picture = imagefile.read(file.getvalue())
    np.testing.assert_array_equal(picture.frames[0], np.asarray(image))
    assert picture.losses == ["all but the largest picture of the icon are left out"]
    flat = drawn("uint8", 3, (5, 7))
    head = b"8BPS" + struct.pack(">H6xHLLHH", 1, 3, 5, 7, 8, 3)
    data = head + bytes(12) + b"\0\0" + flat.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(imagefile.read(data).frames[0], flat)
    for form in ("ICO", "PSD"):
        with pytest.raises(ImageFileError, match="is read but not written"):
            written(Picture([flat], "rgb"), form)


@pytest.mark.parametrize("form", [*HELD, "HDR"])
def test_truncation_is_found_or_harmless(form):
    image = drawn("float32" if form == "HDR" else "uint8", 3)
    data = written(Picture([image], "rgb"), form)
    whole = imagefile.read(data).frames[0]
    for length in [*range(0, 120), *range(120, len(data) - 1, 37)]:
        try:
            frame = imagefile.read(data[:length]).frames[0]
        except ImageFileError:
            continue
        np.testing.assert_array_equal(frame, whole)


def test_every_form_has_suffixes_of_its_own_which_the_documentation_names():
    suffixes = [suffix for suffixes in FORMS.values() for suffix in suffixes]
    assert len(suffixes) == len(set(suffixes))
    words = (Path(__file__).parents[2] / "docs/files.md").read_text().replace("|", " ").split()
    missing = set(suffixes) - set(words)
    assert missing <= {".rgb", ".bw", ".rgba"}  # further names of .sgi


@pytest.mark.parametrize(
    ("order", "turned"),
    [
        (b"-Y    8 +X   10", lambda image: image),
        (b"+Y 8 +X 10", np.flipud),
        (b"-Y 8 -X 10", np.fliplr),
        (b"+X 8 -Y 10", lambda image: image.swapaxes(0, 1)),
        (b"-X 8 +Y 10", lambda image: np.rot90(image.swapaxes(0, 1), 2)),
    ],
    ids=["usual", "bottom first", "right first", "columns", "columns, turned"],
)
def test_radiance_of_any_order(order, turned):
    image = np.random.default_rng(0).random((8, 10, 3)).astype(np.float32)
    data = written(Picture([image], "rgb"), "HDR")
    assert data.count(b"-Y 8 +X 10") == 1
    found = imagefile.read(data.replace(b"-Y 8 +X 10", order)).frames[0]
    np.testing.assert_array_equal(found, turned(imagefile.read(data).frames[0]))


@pytest.mark.parametrize("order", [b"-Y 8 +Y 10", b"8 10"])
def test_radiance_without_a_size(order):
    data = written(Picture([np.ones((8, 10, 3), np.float32)], "rgb"), "HDR")
    with pytest.raises(ImageFileError, match="damaged HDR file"):
        imagefile.read(data.replace(b"-Y 8 +X 10", order))


def test_a_qoi_of_more_pixels_than_its_bytes_can_hold_takes_no_memory():
    data = written(Picture([np.zeros((50, 60, 3), np.uint8)], "rgb"), "QOI")
    assert imagefile.read(data).frames[0].shape == (50, 60, 3)  # nearly as many as can be
    with pytest.raises(ImageFileError, match=r"truncated QOI file \(pixels are missing\)"):
        imagefile.read(data[:4] + struct.pack(">LL", 20_000, 20_000) + data[12:])


def test_the_profile_of_a_jpeg_2000_is_kept_and_not_applied():
    image = drawn("uint8", 3)
    data = written(Picture([image], "rgb"), "JP2")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    header, colours = data.index(b"jp2h") - 4, data.index(b"colr") - 4
    after = colours + int.from_bytes(data[colours : colours + 4], "big")
    box = b"colr\2\0\0" + swapped
    size = int.from_bytes(data[header : header + 4], "big") - (after - colours) + 4 + len(box)
    parts = [size.to_bytes(4, "big"), data[header + 4 : colours], (4 + len(box)).to_bytes(4, "big"), box]
    picture = imagefile.read(data[:header] + b"".join(parts) + data[after:])
    np.testing.assert_array_equal(picture.frames[0], image)
    assert picture.metadata.icc == swapped and picture.losses == []
    again = imagefile.read(written(picture, "PNG"))
    assert again.metadata.icc == swapped


def test_a_jpeg_xl_of_floats_of_16_bits():
    image = drawn("float32", 3).astype(np.float16)
    picture = imagefile.read(imagecodecs.jpegxl_encode(image, lossless=True))
    np.testing.assert_array_equal(picture.frames[0], image.astype(np.float32))
    assert (picture.dtype, picture.notes) == (np.float32, ["floats of 16 bits filtered and written with 32"])
