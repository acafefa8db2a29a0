"""PCX of every mode: what is drawn here bit by bit is read as that."""

import struct

import numpy as np
import pytest

from cnnfilter.errors import ImageFileError
from cnnfilter.files import read

COLOURS = np.random.default_rng(3).integers(0, 256, (16, 3), np.uint8)
EGA = {1: (0, 0, 170), 6: (170, 85, 0), 9: (85, 85, 255), 15: (255, 255, 255)}
HEIGHT, WIDTH = 5, 11


def drawn(samples, bits, planes, *, packed=True, version=5, table=b""):
    """Lay out samples (H, planes, W), of `bits` bits each, with lines of an even number of bytes."""
    rows = np.unpackbits(samples[..., None], axis=-1)[..., -bits:].reshape(HEIGHT, planes, -1)
    rows = np.packbits(rows, axis=-1)
    rows = np.pad(rows, ((0, 0), (0, 0), (0, rows.shape[2] % 2)))
    head = struct.pack("<BBBB6H", 10, version, packed, bits, 3, 2, 2 + WIDTH, 1 + HEIGHT, 150, 75)
    head += COLOURS.tobytes() + struct.pack("<xBHH", planes, rows.shape[2], 1)
    return head.ljust(128, b"\0") + (packbits(rows.tobytes()) if packed else rows.tobytes()) + table


def packbits(data):
    """Pack runs, which go on from one line to the next."""
    packed, at = b"", 0
    while at < len(data):
        run = 1
        while run < 63 and data[at + run : at + run + 1] == data[at : at + 1]:
            run += 1
        packed += bytes([0xC0 | run, data[at]]) if run > 1 or data[at] >= 0xC0 else data[at : at + 1]
        at += run
    return packed


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("bits", "planes"), [(1, 2), (1, 3), (1, 4), (2, 1), (4, 1)])
def test_numbers_of_colours(bits, planes, packed):
    numbers = np.random.default_rng(1).integers(0, 2 ** (bits * planes), (HEIGHT, WIDTH), np.uint8)
    apart = numbers[:, None] if planes == 1 else numbers[:, None] >> np.arange(planes)[:, None] & 1
    picture = read(drawn(apart.astype(np.uint8), bits, planes, packed=packed))
    np.testing.assert_array_equal(picture.frames[0], COLOURS[numbers])
    assert (picture.model, picture.alpha, picture.metadata.dpi) == ("rgb", False, (150, 75))
    assert picture.notes == ["palette expanded to colours"]


def test_version_3_has_the_colours_of_its_display():
    numbers = np.resize([*EGA], (HEIGHT, WIDTH)).astype(np.uint8)
    picture = read(drawn(numbers[:, None], 4, 1, version=3))
    np.testing.assert_array_equal(
        picture.frames[0], np.array(list(EGA.values()))[np.resize(range(4), (5, 11))]
    )


@pytest.mark.parametrize("packed", [True, False])
def test_one_bit_is_black_and_white(packed):
    numbers = np.random.default_rng(1).integers(0, 2, (HEIGHT, WIDTH), np.uint8)
    np.testing.assert_array_equal(read(drawn(numbers[:, None], 1, 1, packed=packed)).frames[0], numbers * 255)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("planes", [1, 3, 4])
def test_bytes(planes, packed):
    samples = np.random.default_rng(1).integers(150, 256, (HEIGHT, planes, WIDTH), np.uint8)
    samples[1:3] = 200  # a run beyond the end of its line
    picture = read(drawn(samples, 8, planes, packed=packed))
    np.testing.assert_array_equal(picture.frames[0], samples.swapaxes(1, 2).squeeze())
    assert (picture.model, picture.alpha) == ("grey" if planes == 1 else "rgb", planes == 4)


def test_a_table_at_the_end():
    numbers = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    colours = np.random.default_rng(2).integers(0, 256, (256, 3), np.uint8)
    picture = read(drawn(numbers[:, None], 8, 1, table=b"\x0c" + colours.tobytes()))
    np.testing.assert_array_equal(picture.frames[0], colours[numbers])
    levels = np.arange(256, dtype=np.uint8).repeat(3).tobytes()
    np.testing.assert_array_equal(
        read(drawn(numbers[:, None], 8, 1, table=b"\x0c" + levels)).frames[0], numbers
    )


def test_what_is_refused():
    whole = drawn(np.full((HEIGHT, 3, WIDTH), 7, np.uint8), 8, 3)
    with pytest.raises(ImageFileError, match="truncated PCX file"):
        read(whole[:-2])
    with pytest.raises(ImageFileError, match="PCX of 5 planes of 8 bits is not read"):
        read(whole[:65] + b"\5" + whole[66:])
    with pytest.raises(ImageFileError, match="impossible size"):
        read(whole[:66] + b"\5\0" + whole[68:])
    with pytest.raises(ImageFileError, match="more than the limit"):
        read(whole, max_pixels=HEIGHT * WIDTH - 1)
