"""Images that are read when they are asked for: the same numbers, bounded memory, errors in time."""

import threading

import numpy as np
import pytest

from cnnfilter.cli.types import Memory
from cnnfilter.errors import FilterFileError
from cnnfilter.nn.data import read_data
from cnnfilter.nn.fit import Settings, Training, predict
from cnnfilter.nn.lazyimages import LazyImages, batches
from cnnfilter.nn.models import build
from cnnfilter.nn.network import Preprocessing

SHAPE, PLAIN = (1, 28, 28), Preprocessing(28, 28, (0.2,), (0.5,))


class Folder:
    """Files of two classes, and a reader that counts what it is asked."""

    def __init__(self, path, count=12, levels=True):
        self.path, self.levels, self.lock, self.reads = path, levels, threading.Lock(), []
        for name in ("cat", "dog"):
            (path / name).mkdir()
            for k in range(count):
                (path / name / f"{k:02}").write_text(f"{name}{k}")

    def read(self, path):
        with self.lock:
            self.reads.append(path)
        with open(path) as file:
            text = file.read()
        if text == "bad":
            raise FilterFileError(f"{path}: damaged")
        random = np.random.default_rng(list(text.encode()))
        if not self.levels:
            return random.random((30, 33, 1), np.float32)
        return random.integers(0, 256, (30, 33, 1)).astype(np.float32) / np.float32(255)

    def data(self, memory):
        return read_data(str(self.path), self.read, SHAPE, PLAIN, memory)


@pytest.mark.parametrize("levels", [True, False])
@pytest.mark.parametrize("memory", [0, 4000, 1 << 20])
def test_lazy_images_are_those_in_memory_and_files_are_read_as_seldom_as_memory_allows(
    tmp_path, memory, levels
):
    folder = Folder(tmp_path, levels=levels)
    (tmp_path / "cat/03").write_text("bad")
    whole = folder.data(1 << 30)
    assert isinstance(whole.images, np.ndarray)
    folder.reads.clear()
    data = folder.data(memory)
    assert len(folder.reads) == 24  # each once, to see whether it can be read
    assert data.skipped == whole.skipped == [f"{tmp_path / 'cat/03'}: damaged"]
    np.testing.assert_array_equal(data.labels, whole.labels)
    assert data.images.shape == whole.images.shape == (23, *SHAPE)
    folder.reads.clear()
    np.testing.assert_array_equal(data.images[:], whole.images)
    fits = 23 if memory > 1 << 19 else memory // (30 * 33) if levels else 0  # one byte a pixel
    assert len(folder.reads) == 23 - fits
    some = np.array([20, 3, 3, 7])
    np.testing.assert_array_equal(data.part(some).part(np.array([3, 0])).images[:], whole.images[[7, 20]])
    assert isinstance(data.images, LazyImages) == (memory < 1 << 19)
    found = list(batches(data.images, [some[:2], some[2:]]))
    np.testing.assert_array_equal(np.concatenate(found), whole.images[some])
    assert not list(batches(data.images, []))


def test_training_and_prediction_do_not_depend_on_where_images_are(tmp_path):
    folder, ends = Folder(tmp_path), []
    for memory in (1 << 30, 0):
        network = build("lenet5-modern", classes=2).initialise(0)
        data = read_data(str(folder.path), folder.read, network.shape, network.preprocessing, memory)
        rest, valid = data.split(0.25, 0)
        training = Training(network, Settings(epochs=2, batch=5, shift=1.0))
        for _ in range(2):
            training.run_epoch(rest, valid)
        ends.append((training.history, predict(network, valid.images, 4)))
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])


def test_the_next_images_are_read_while_the_last_are_worked_on(tmp_path):
    folder = Folder(tmp_path)
    images = folder.data(0).images
    folder.reads.clear()
    coming = batches(images, [np.arange(3), np.arange(3, 6), np.arange(6, 9)])
    next(coming)
    for _ in range(1000):
        if len(folder.reads) == 6:
            break
        threading.Event().wait(0.01)
    assert len(folder.reads) == 6  # one batch ahead, and no more
    coming.close()


def test_a_file_that_goes_away_is_named(tmp_path):
    images = Folder(tmp_path).data(0).images
    (tmp_path / "dog/00").unlink()
    with pytest.raises(FileNotFoundError, match="dog/00"):
        list(batches(images, [np.arange(12), np.arange(12, 24)]))


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("4096", 4096), ("1KiB", 1024), ("1.5GiB", 3 << 29), ("512mib", 512 << 20), ("2G", 2 << 30),
     ("3Mi", 3 << 20)],
)  # fmt: skip
def test_memory_is_written_as_people_do(text, size):
    assert Memory().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "much", "1e9", "1 PiB", "inf", "1.2.3MiB"])
def test_other_amounts_are_refused(text):
    with pytest.raises(Exception, match="is not an amount of memory, such as 512MiB"):
        Memory().convert(text, None, None)
