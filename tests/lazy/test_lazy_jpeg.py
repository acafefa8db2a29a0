"""JPEG from top to bottom: rows while others are decoded, strips that are encoded one by one."""

import io
import mmap
import threading
from contextlib import closing

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import cnnfilter as cf
from cnnfilter.batch.jobs import Job
from cnnfilter.batch.process import Process
from cnnfilter.errors import ImageFileError
from cnnfilter.files import jpeg_writing
from cnnfilter.lazy import decoding
from cnnfilter.lazy.keeping import Kept
from cnnfilter.lazy.memory import base
from cnnfilter.registry import filter_named


def photograph(shape, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, shape).astype(float)
    return ndimage.gaussian_filter(noise, (2, 3, 0)[: len(shape)]).clip(0, 255).astype(np.uint8)


def saved(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90, **options)
    file.name = "a.jpg"
    file.seek(0)
    return file


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(decoding, "AHEAD_BYTES", 40 * 4 * 700)
    monkeypatch.setattr(decoding, "STEP_BYTES", 16 * 4 * 700)


@pytest.fixture
def large():
    return photograph((1500, 700, 3))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_rows_are_those_of_pillow(small_steps, large, subsampling):
    file = saved(large, subsampling=subsampling)
    known = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    with closing(decoding.Decoded(file)) as source:
        assert source.shape == known.shape and source.dtype == np.uint8
        for top in range(0, 1500, 100):
            source.expect([(max(0, top - 7), top + 100)])
            rows = max(0, top - 7), top + 100
            np.testing.assert_array_equal(source.read(rows, (3, 690)), known[slice(*rows), 3:690])


def test_no_more_rows_are_decoded_than_are_soon_needed(small_steps, large):
    with closing(decoding.Decoded(saved(large))) as source:
        source.expect([(0, 100)])
        source.read((0, 100), (0, 700))
        with source.way.changed:
            assert source.way.changed.wait_for(lambda: source.way.ready > 100, timeout=60)
            assert not source.way.changed.wait_for(lambda: source.way.ready > 1000, timeout=1)


@pytest.mark.skipif(not hasattr(mmap.mmap, "madvise"), reason="memory cannot be given back in parts here")
def test_rows_that_were_given_back_are_decoded_anew(small_steps, large):
    file = saved(large)
    known = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    with closing(decoding.Decoded(file)) as source:
        source.read((1400, 1500), (0, 700))
        source.expect([(1300, 1500)])
        assert not source.way.canvas[:1200].any()
        np.testing.assert_array_equal(source.read((10, 30), (0, 700)), known[10:30])
        np.testing.assert_array_equal(source.read((1400, 1500), (0, 700)), known[1400:])


def test_a_truncated_file_says_so_to_each_who_waits(small_steps, large):
    file = io.BytesIO(saved(large).getvalue()[:-60_000])
    file.name = "a.jpg"
    with closing(decoding.Decoded(file)) as source:
        source.read((0, 100), (0, 700))
        for _ in range(2):
            with pytest.raises(ImageFileError, match=r"a\.jpg: damaged or truncated JPEG"):
                source.read((1400, 1500), (0, 700))


def test_closing_ends_the_thread(small_steps, large):
    before = threading.active_count()
    source = decoding.Decoded(saved(large))
    source.close()
    for thread in threading.enumerate():
        if thread.name == "jpeg rows":
            thread.join(60)
    assert threading.active_count() == before


@pytest.mark.parametrize("kind", ["grey", "progressive", "inks", "turned"])
def test_other_files_are_refused(kind):
    image, options = Image.fromarray(photograph((40, 50, 3))), {}
    if kind == "turned":
        options["exif"] = Image.Exif()
        options["exif"][274] = 3
    elif kind == "progressive":
        options["progressive"] = True
    else:
        image = image.convert({"grey": "L", "inks": "CMYK"}[kind])
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    file.name = "a.jpg"
    file.seek(0)
    with pytest.raises(ImageFileError, match="not read by rows"):
        decoding.Decoded(file)


def test_blocks_have_the_bytes_of_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(jpeg_writing, "LARGE", 0)
    monkeypatch.setattr(jpeg_writing, "_STRIP", 32 * 400)
    Image.fromarray(photograph((900, 400, 3))).save(tmp_path / "a.jpg", quality=93, subsampling=0)
    step = filter_named("gaussian")(sigma=2, boundary="wrap")
    Process((step,)).run(Job(str(tmp_path / "a.jpg"), str(tmp_path / "whole.jpg")))
    cf.lazy.run(step, str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg"), memory=base() + (90 << 20))
    assert (tmp_path / "b.jpg").read_bytes() == (tmp_path / "whole.jpg").read_bytes()


def test_what_is_asked_for_by_two_is_made_once():
    made, begun = [], threading.Event()

    def make(key):
        made.append(key)
        begun.set()
        threading.Event().wait(0.05)
        return np.zeros(10)

    kept = Kept(make, 1000)
    threads = [threading.Thread(target=kept.__getitem__, args=(1,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
