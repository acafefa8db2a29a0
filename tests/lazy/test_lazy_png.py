"""PNG from top to bottom: rows are had as they are by a decoder of the whole, and written as they come."""

import io
import os

import numpy as np
import pytest
from PIL import Image
from test_lazy_files import CHAIN, GAUSSIAN, whole

import cnnfilter as cf
from cnnfilter.errors import ImageFileError
from cnnfilter.files import deflate
from cnnfilter.files.png_rows import PngRows
from cnnfilter.filters.chain import run_chain
from cnnfilter.filters.plan import plan_chain
from cnnfilter.lazy import memory, sequential
from cnnfilter.lazy import run as lazy_run
from cnnfilter.registry import filter_named

SMOOTH = np.cumsum(np.random.default_rng(3).integers(0, 5, (300, 57, 4)), axis=1).astype(np.uint8)
MODES = {"L": SMOOTH[..., 0], "LA": SMOOTH[..., 2:], "RGB": SMOOTH[..., :3], "RGBA": SMOOTH}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Let images of tests have many blocks and strips."""
    monkeypatch.setattr(memory, "LARGEST", 150_000)
    monkeypatch.setattr(sequential, "STRIP_BYTES", 3000)
    monkeypatch.setattr(deflate, "_LEAST", 3000)
    monkeypatch.setattr(deflate, "_MOST", 3000)


def png(array, **options):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(file, "PNG", **options)
    return file.getvalue()


def deep(mode):
    file = io.BytesIO()
    model = "grey" if mode in ("L", "LA") else "rgb"
    cf.write(cf.Picture([MODES[mode] * np.uint16(257) + 3], model, mode.endswith("A")), file, form="PNG")
    return file.getvalue()


def palette(**options):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(MODES["RGB"])).quantize(100).save(file, "PNG", bits=8, **options)
    return file.getvalue()


def forms():
    yield from ((mode, png(pixels, dpi=(300, 300))) for mode, pixels in MODES.items())
    yield from ((f"{mode} of 16 bits", deep(mode)) for mode in MODES)
    yield "palette", palette()
    yield "palette with alpha", palette(transparency=bytes([0, 100, 200]))
    yield "a grey that is transparent", png(MODES["L"], transparency=7) + b"more"
    yield "a colour that is", png(MODES["RGB"], transparency=tuple(int(v) for v in MODES["RGB"][5, 5]))
    yield "one column", png(MODES["RGB"][:, :1])


@pytest.mark.parametrize(("name", "data"), list(forms()))
def test_rows_and_what_is_told_are_those_of_the_whole(name, data):
    whole = cf.read(data)
    rows = PngRows(io.BytesIO(data))
    for _ in range(2):
        rows.rewind()
        strips = [rows.next_rows(min(7, len(whole.frames[0]) - top)) for top in range(0, 300, 7)]
        found = np.concatenate(strips)
        assert found.dtype == whole.dtype
        np.testing.assert_array_equal(found, whole.frames[0])
    told = rows.picture
    assert told.frames[0].shape == whole.frames[0].shape
    for key in ("model", "alpha", "notes", "losses", "metadata"):
        assert getattr(told, key) == getattr(whole, key)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "steps",
    [
        [GAUSSIAN],
        CHAIN,
        [filter_named("mean")(size=5, boundary="wrap"), filter_named("gradient")()],
        [filter_named("second-derivative")("stretch")],
    ],
)
def test_results_are_those_of_the_whole(tmp_path, mode, steps):
    (tmp_path / "in.png").write_bytes(png(MODES[mode]))
    frame, alpha = MODES[mode], mode.endswith("A")
    wanted = run_chain(plan_chain(steps, frame.shape, frame.dtype, alpha=alpha), frame.copy()).array
    for name in ("out.npy", "out.png"):
        done = lazy_run(steps, tmp_path / "in.png", tmp_path / name)
        assert done.block[0] < done.shape[0]
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), wanted)
    found = cf.read(tmp_path / "out.png")
    np.testing.assert_array_equal(found.frames[0], wanted)
    assert found.alpha == alpha


def test_the_file_has_the_bytes_that_are_written_of_the_whole(tmp_path):
    """Where what is packed first is like the middle, by which zlib's way is chosen."""
    file = deep("RGB")
    (tmp_path / "in.png").write_bytes(file)
    picture = cf.read(file)
    picture.frames = [whole([GAUSSIAN], picture.frames[0])]
    cf.write(picture, tmp_path / "expected.png")
    lazy_run(GAUSSIAN, tmp_path / "in.png", tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_rows_are_decoded_once_and_no_more_are_kept_than_blocks_need(tmp_path, monkeypatch):
    (tmp_path / "in.png").write_bytes(png(MODES["RGBA"]))
    begun, most = [], [0]
    rewind, strip = PngRows.rewind, sequential.FromTop._strip

    def counting(self, wanted):
        found = strip(self, wanted)
        most[0] = max(most[0], sum(each.nbytes for each in self.kept.values()))
        return found

    monkeypatch.setattr(PngRows, "rewind", lambda self: (begun.append(1), rewind(self)))
    monkeypatch.setattr(sequential.FromTop, "_strip", counting)
    lazy_run(filter_named("unsharp")(sigma=2), tmp_path / "in.png", tmp_path / "out.npy")
    assert len(begun) == 1
    assert 0 < most[0] < 30_000


def damaged(place, byte):
    data = bytearray(png(MODES["RGB"]))
    data[place] ^= byte
    return bytes(data)


def test_no_rows_are_given_from_amid_damage(tmp_path, monkeypatch):
    (tmp_path / "in.png").write_bytes(png(MODES["RGB"]))
    following, failed = PngRows.next_rows, []

    def failing_once(self, count):
        rows = following(self, count)
        if self.row > 140 and not failed:
            failed.append(self.row)
            self.row -= count
            raise ImageFileError("damaged PNG file")
        return rows

    monkeypatch.setattr(PngRows, "next_rows", failing_once)
    with open(tmp_path / "in.png", "rb") as file:
        source = sequential.FromTop(file, PngRows(file))
        with pytest.raises(ImageFileError, match="damaged PNG"):
            source.read((100, 200), (0, 57))
        np.testing.assert_array_equal(source.read((150, 160), (0, 57)), MODES["RGB"][150:160])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(MODES["RGB"])[:-300], "truncated PNG"),
        (png(MODES["RGB"])[:30], "truncated PNG"),
        (damaged(-40, 255), "damaged PNG"),
        (damaged(18, 255), "damaged PNG"),
        (damaged(-14, 1), "damaged PNG"),
        (png(MODES["L"] > 99), "fewer than 8 bits"),
        (b"\x89PNG\r\n\x1a\n", "truncated PNG"),
    ],
)
def test_what_cannot_be_read_is_named_and_leaves_nothing(tmp_path, data, words):
    (tmp_path / "in.png").write_bytes(data)
    with pytest.raises(ImageFileError, match=rf"in\.png: .*{words}"):
        lazy_run(GAUSSIAN, tmp_path / "in.png", tmp_path / "out.png")
    assert os.listdir(tmp_path) == ["in.png"]


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.zeros((9, 8, 5), np.uint8), r"5 channel\(s\)"), (np.zeros((9, 8)), "of float64")],
)
def test_what_png_does_not_hold_is_refused(tmp_path, array, words):
    np.save(tmp_path / "in.npy", array)
    with pytest.raises(ImageFileError, match=words):
        lazy_run(GAUSSIAN, tmp_path / "in.npy", tmp_path / "out.png")
