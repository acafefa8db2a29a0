"""TGA whose runs go on from line to line, and tables of colours of 15 and 16 bits."""

import struct

import numpy as np
import pytest

from cnnfilter.errors import ImageFileError
from cnnfilter.files import read

HEIGHT, WIDTH = 5, 11
FROM_ABOVE = 0x20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tga"  # known by its suffix alone


def drawn(kind, bits, rows, table=b"", table_bits=0, words=b"words"):
    entries = len(table) // (-(-table_bits // 8) or 1)
    head = struct.pack(
        "<BBBHHBHHHHBB",
        len(words),
        bool(table),
        kind,
        0,
        entries,
        table_bits,
        0,
        0,
        WIDTH,
        HEIGHT,
        bits,
        FROM_ABOVE,
    )
    return head + words + table + rows


def packed(pixels):
    """Pack runs of 2 to 128 pixels and single ones, whatever line they are on."""
    pixels = [pixel.tobytes() for pixel in pixels.reshape(HEIGHT * WIDTH, -1)]
    data, at = b"", 0
    while at < len(pixels):
        run = 1
        while run < 128 and at + run < len(pixels) and pixels[at + run] == pixels[at]:
            run += 1
        data += bytes([0x80 | (run - 1) if run > 1 else 0]) + pixels[at]
        at += run
    return data


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_runs_beyond_a_line(channels, path):
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)
    pixels[1:3, 4:] = pixels[3, :6] = 77
    path.write_bytes(drawn(11 if channels == 1 else 10, 8 * channels, packed(pixels)))
    shown = pixels[..., 0] if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]]
    picture = read(path)
    np.testing.assert_array_equal(picture.frames[0], shown)
    path.write_bytes(drawn(11 if channels == 1 else 10, 8 * channels, packed(pixels))[:-2])
    with pytest.raises(ImageFileError, match="truncated TGA file"):
        read(path)


@pytest.mark.parametrize("kind", [1, 9])
@pytest.mark.parametrize("table_bits", [15, 16])
def test_tables_of_few_bits(table_bits, kind, path):
    fives = np.random.default_rng(2).integers(0, 32, (16, 3))
    table = (fives @ [1 << 10, 1 << 5, 1]).astype("<u2")
    numbers = np.random.default_rng(3).integers(0, 16, (HEIGHT, WIDTH), np.uint8)
    rows = numbers.tobytes() if kind == 1 else packed(numbers)
    path.write_bytes(drawn(kind, 8, rows, table.tobytes(), table_bits))
    picture = read(path)
    np.testing.assert_array_equal(picture.frames[0], np.round(fives * 255 / 31)[numbers])
    assert picture.losses == ["the text of a TGA file is left out"]


def test_the_limit_is_held_before_runs_are_undone(path):
    path.write_bytes(drawn(10, 24, packed(np.zeros((HEIGHT, WIDTH, 3), np.uint8))))
    with pytest.raises(ImageFileError, match="11x5 pixels are more than the limit of 54"):
        read(path, max_pixels=54)
