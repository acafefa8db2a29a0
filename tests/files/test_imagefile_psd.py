"""PSD of 16 and 32 bits, and of single inks: the flattened picture, drawn here plane by plane."""

import struct

import imagecodecs
import numpy as np
import pytest

from cnnfilter.errors import ImageFileError
from cnnfilter.files import read

GREY, RGB, CMYK, MULTICHANNEL, LAB = 1, 3, 4, 7, 9
HEIGHT, WIDTH = 6, 9


def drawn(planes, mode, *, packed=False, resources=b"", layers=b""):
    """Lay out planes (C, H, W) of a PSD."""
    big = planes.astype(planes.dtype.newbyteorder(">"))
    head = struct.pack(">4sH6xHLLHH", b"8BPS", 1, len(planes), HEIGHT, WIDTH, 8 * big.itemsize, mode)
    sections = b"".join(len(part).to_bytes(4, "big") + part for part in (b"", resources, layers))
    if not packed:
        return head + sections + b"\0\0" + big.tobytes()
    rows = [imagecodecs.packbits_encode(row.tobytes()) for plane in big for row in plane]
    lengths = b"".join(len(row).to_bytes(2, "big") for row in rows)
    return head + sections + b"\0\1" + lengths + b"".join(rows)


def planes_of(dtype, count):
    random = np.random.default_rng(5)
    shape = (count, HEIGHT, WIDTH)
    if np.dtype(dtype).kind == "f":
        return random.random(shape, np.float32)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True).repeat(2, 2)[..., :WIDTH]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize(
    ("mode", "count", "model", "alpha"),
    [(GREY, 1, "grey", False), (RGB, 3, "rgb", False), (RGB, 4, "rgb", True), (CMYK, 4, "cmyk", False)],
)
def test_deep_pixels(mode, count, model, alpha, dtype, packed):
    planes = planes_of(dtype, count)
    picture = read(drawn(planes, mode, packed=packed))
    expected = planes.transpose(1, 2, 0).squeeze()
    if mode == CMYK:  # ink, in place of what it leaves of the light
        expected = (65535 if dtype == "uint16" else np.float32(1)) - expected
    np.testing.assert_array_equal(picture.frames[0], expected)
    assert (picture.frames[0].dtype, picture.model, picture.alpha) == (dtype, model, alpha)
    assert picture.losses == []


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_inks_of_no_model_are_all_kept(count, dtype):
    planes = planes_of(dtype, count)
    picture = read(drawn(planes, MULTICHANNEL, packed=True))
    np.testing.assert_array_equal(picture.frames[0], planes.transpose(1, 2, 0).squeeze())
    assert picture.model == "channels"


def test_the_profile_is_kept_and_what_is_not_is_told():
    profile = b"8BIM" + struct.pack(">HHL", 1039, 0, 4) + b"icc!"
    caption = b"8BIM" + struct.pack(">HHL", 1028, 0, 2) + b"ab"
    guides = b"AgHg" + struct.pack(">HHL", 1032, 0, 2) + b"ab"
    layers = (20).to_bytes(4, "big") + struct.pack(">h", -3) + bytes(18)
    data = drawn(planes_of("uint16", 6), RGB, resources=profile + caption + guides, layers=layers)
    picture = read(data)
    assert picture.metadata.icc == b"icc!"
    assert picture.losses == [
        "2 further channels of a PSD file left out",
        "IPTC, other resources of a PSD file left out",
        "the layers are left out; the flattened picture is filtered",
    ]


def test_layers_of_deep_pixels_lie_elsewhere():
    layers = bytes(8) + b"8BIMLr16" + bytes(8)
    assert "layers" in read(drawn(planes_of("uint16", 1), GREY, layers=layers)).losses[0]


def test_what_is_refused():
    whole = drawn(planes_of("uint16", 3), RGB)
    with pytest.raises(ImageFileError, match="pixels are missing"):
        read(whole[:-1])
    with pytest.raises(ImageFileError, match="truncated PSD file"):
        read(whole[:20])
    with pytest.raises(ImageFileError, match="PSD of 16 bits and the mode 5 is not read"):
        read(drawn(planes_of("uint16", 3), 5))
    with pytest.raises(ImageFileError, match="pixels are missing"):
        read(drawn(planes_of("uint16", 2), RGB))
    with pytest.raises(ImageFileError, match="the packing 3 is not read"):
        read(whole.replace(b"\0" * 14, b"\0" * 13 + b"\3", 1))
    with pytest.raises(ImageFileError, match="more than the limit"):
        read(whole, max_pixels=HEIGHT * WIDTH - 1)
