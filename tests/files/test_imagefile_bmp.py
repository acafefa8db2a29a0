"""BMP with masks: drawn by hand, and against Pillow where it reads the same masks."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cnnfilter import files as imagefile
from cnnfilter.errors import ImageFileError

MASKS = {
    "565": (16, (0xF800, 0x07E0, 0x001F)),
    "555": (16, (0x7C00, 0x03E0, 0x001F)),
    "444": (16, (0x0F00, 0x00F0, 0x000F)),
    "888": (32, (0xFF0000, 0xFF00, 0xFF)),
    "shifted": (32, (0xFF << 20, 0xFF << 10, 0xFF << 2)),
    "ten": (32, (0x3FF << 20, 0x3FF << 10, 0x3FF)),
    "alpha": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
}


def drawn(values, bits, masks, downwards=False, header=40):
    """A BMP of values (H, W, channels), each as wide as its mask."""
    height, width = values.shape[:2]
    lows = [(mask & -mask).bit_length() - 1 for mask in masks]
    words = sum(values[..., k].astype(np.uint32) << low for k, low in enumerate(lows)).astype(
        f"<u{bits // 8}"
    )
    row = -(-width * bits // 32) * 4
    rows = [line.tobytes().ljust(row, b"\0") for line in (words if downwards else words[::-1])]
    extra = struct.pack(f"<{len(masks)}L", *masks).ljust(header - 40 or 4 * len(masks), b"\0")
    start = 14 + 40 + len(extra)
    scheme = 3 if len(masks) == 3 or header > 40 else 6
    sides = (width, -height if downwards else height)
    head = struct.pack("<LllHHLLllLL", header, *sides, 1, bits, scheme, row * height, 3937, 7874, 0, 0)
    return b"BM" + struct.pack("<LHHL", start + row * height, 0, 0, start) + head + extra + b"".join(rows)


@pytest.mark.parametrize("downwards", [False, True])
@pytest.mark.parametrize("header", [40, 108, 124])
@pytest.mark.parametrize("kind", MASKS)
def test_masks_of_any_width(kind, header, downwards):
    bits, masks = MASKS[kind]
    whites = np.array([mask >> ((mask & -mask).bit_length() - 1) for mask in masks])
    values = np.random.default_rng(0).integers(0, whites + 1, (7, 5, len(masks)))
    data = drawn(values, bits, masks, downwards, header)
    picture = imagefile.read(data)
    np.testing.assert_array_equal(picture.frames[0], np.rint(values * (255 / whites)))
    assert picture.alpha == (len(masks) == 4)
    assert picture.metadata.dpi == pytest.approx((100, 200), abs=0.01)
    with pytest.raises(ImageFileError, match="truncated"):
        imagefile.read(data[:-1])
    with pytest.raises(ImageFileError, match="more than the limit"):
        imagefile.read(data, max_pixels=34)


@pytest.mark.parametrize("kind", ["565", "555", "888"])
def test_as_pillow_reads_them(kind):
    bits, masks = MASKS[kind]
    whites = np.array([mask >> ((mask & -mask).bit_length() - 1) for mask in masks])
    data = drawn(np.random.default_rng(1).integers(0, whites + 1, (6, 9, 3)), bits, masks)
    with Image.open(io.BytesIO(data)) as image:
        witness = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(imagefile.read(data).frames[0] - witness).max() <= 1


@pytest.mark.parametrize("masks", [(0, 0xFF00, 0xFF), (0xF0F000, 0xF00, 0xF)])
def test_impossible_masks_are_refused(masks):
    values = np.zeros((2, 2, 3), int)
    with pytest.raises(ImageFileError, match="mask"):
        imagefile.read(
            drawn(values, 32, (1, 2, 4)).replace(struct.pack("<LLL", 1, 2, 4), struct.pack("<LLL", *masks))
        )


@pytest.mark.parametrize("mode", ["1", "P", "L", "RGB"])
def test_a_dib_is_a_bmp_without_its_file_header(mode, tmp_path):
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (9, 7, 3), np.uint8)).convert(mode)
    whole = io.BytesIO()
    image.save(whole, "BMP")
    (tmp_path / "a.dib").write_bytes(whole.getvalue()[14:])
    expected = imagefile.read(whole.getvalue()).frames[0]
    np.testing.assert_array_equal(imagefile.read(tmp_path / "a.dib").frames[0], expected)
    with pytest.raises(ImageFileError, match="BMP"):
        (tmp_path / "b.dib").write_bytes(whole.getvalue()[14:60])
        imagefile.read(tmp_path / "b.dib")
