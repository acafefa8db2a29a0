"""SGI of 16 bits: runs of words drawn by hand, alpha, and what is refused."""

import struct

import numpy as np
import pytest

from cnnfilter.errors import ImageFileError
from cnnfilter.files import read

HEIGHT, WIDTH = 4, 150


def drawn(planes, *, lengths=None):
    """Pack planes (C, H, W) of words, the lowest row first: runs of equal ones, the others alone."""
    rows = [packed(row) for plane in planes for row in plane[::-1]]
    head = struct.pack(">HBBHHHH", 474, 1, 2, 3, WIDTH, HEIGHT, len(planes)).ljust(512, b"\0")
    sizes = [len(row) for row in rows] if lengths is None else [lengths] * len(rows)
    starts = np.cumsum([len(head) + 8 * len(rows), *map(len, rows[:-1])])
    return head + np.array([*starts, *sizes], ">u4").tobytes() + b"".join(rows)


def packed(row):
    words, at = [], 0
    while at < len(row):
        run = 1
        while run < 127 and at + run < len(row) and row[at + run] == row[at]:
            run += 1
        words += [run, row[at]] if run > 1 else [0x81, row[at]]
        at += run
    return np.array([*words, 0], ">u2").tobytes()


@pytest.fixture(params=[1, 2, 3, 4])
def planes(request):
    planes = np.random.default_rng(1).integers(0, 65536, (request.param, HEIGHT, WIDTH), np.uint16)
    planes[:, 1:3, 5:140] = 777
    return planes


def test_runs_of_words(planes):
    picture = read(drawn(planes))
    np.testing.assert_array_equal(picture.frames[0], planes.transpose(1, 2, 0).squeeze())
    assert (picture.model, picture.alpha) == ("grey" if len(planes) < 3 else "rgb", len(planes) in (2, 4))


def test_what_is_refused(planes):
    whole = drawn(planes)
    with pytest.raises(ImageFileError, match="runs that do not fill their row"):
        read(whole[:-4])
    with pytest.raises(ImageFileError, match="rows are missing"):
        read(whole[:520])
    with pytest.raises(ImageFileError, match="truncated SGI file"):
        read(whole[:100])
    with pytest.raises(ImageFileError, match="pixels are missing"):
        read(whole[:2] + b"\0" + whole[3:600])
    with pytest.raises(ImageFileError, match="150x4 pixels are more than the limit"):
        read(whole, max_pixels=HEIGHT * WIDTH - 1)
    with pytest.raises(ImageFileError, match="impossible size or depth"):
        read(whole[:10] + b"\0\7" + whole[12:])


def test_lengths_beyond_the_row_cost_nothing(planes):
    picture = read(drawn(planes, lengths=2**32 - 1))
    np.testing.assert_array_equal(picture.frames[0], planes.transpose(1, 2, 0).squeeze())
