"""Training data: read from folders, .npz and IDX files, brought to size, varied and split."""

import gzip
import struct

import numpy as np
import pytest

from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.nn.data import Data, augmented, parts, prepare, read_data, read_idx, resize
from cnnfilter.nn.models import build
from cnnfilter.nn.network import Preprocessing

PLAIN = Preprocessing(8, 8, (0.0,), (1.0,))


def read_never(path):
    raise AssertionError(path)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files(tmp_path, packed):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28))
    for name, content in (("images-idx3", idx(images)), ("labels-idx1", idx(np.arange(5)))):
        path = tmp_path / f"train-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)
    lenet = build("lenet5")
    data = read_data(str(tmp_path), read_never, lenet.shape, lenet.preprocessing)
    assert data.labels.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(data.images[:, 0, 2:-2, 2:-2], images / 255 * 1.275 - 0.1, atol=1e-5)
    np.testing.assert_allclose(data.images[:, 0, 0], -0.1, atol=1e-6)


def test_a_truncated_idx_file(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((5, 28, 28)))[:-1])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(5)))
    with pytest.raises(FilterFileError, match=r"3935 bytes, but \[5, 28, 28\] values take 3936"):
        read_data(str(tmp_path), read_never, (1, 32, 32), PLAIN)


def test_folders_name_and_count_what_cannot_be_read(tmp_path):
    for name in ("cat/1", "cat/2", "dog/1"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()

    def read(path):
        if path.endswith("2"):
            raise FilterFileError("damaged")
        return np.ones((8, 8, 1), np.float32)

    data = read_data(str(tmp_path), read, (1, 8, 8), PLAIN)
    assert (data.names, data.labels.tolist()) == (["cat", "dog"], [0, 1])
    assert data.skipped == [f"{tmp_path / 'cat' / '2'}: damaged"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="empty: no image that can be read"):
        read_data(str(tmp_path), read, (1, 8, 8), PLAIN)


@pytest.mark.parametrize("start", ["train-", "t10k-", "emnist-digits-train-", ""])
@pytest.mark.parametrize("mark", ["-", "."])
def test_idx_files_of_other_names(tmp_path, start, mark):
    images, labels = np.zeros((5, 8, 8)), np.arange(5)
    (tmp_path / f"{start}images{mark}idx3-ubyte").write_bytes(idx(images))
    (tmp_path / f"{start}labels{mark}idx1-ubyte").write_bytes(idx(labels))
    for path in (tmp_path, tmp_path / f"{start}images{mark}idx3-ubyte"):
        assert read_data(str(path), read_never, (1, 8, 8), PLAIN).labels.tolist() == [0, 1, 2, 3, 4]


def test_of_several_idx_files_those_to_learn_from(tmp_path):
    for start, count in (("t10k", 3), ("train", 5), ("valid", 4)):
        (tmp_path / f"{start}-images.idx3-ubyte").write_bytes(idx(np.zeros((count, 8, 8))))
        (tmp_path / f"{start}-labels.idx1-ubyte").write_bytes(idx(np.zeros(count)))
    assert len(read_data(str(tmp_path), read_never, (1, 8, 8), PLAIN)) == 5
    assert len(read_data(str(tmp_path / "t10k-images.idx3-ubyte"), read_never, (1, 8, 8), PLAIN)) == 3


def test_idx_images_without_labels(tmp_path):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx(np.zeros((5, 8, 8))))
    with pytest.raises(
        FilterFileError, match=r"train-images\.idx3-ubyte: its labels, train-labels\.idx1-ubyte, "
    ):
        read_data(str(tmp_path), read_never, (1, 8, 8), PLAIN)


def test_folders_that_are_parted_already(tmp_path):
    for name in ("train/a", "train/b", "val/a", "test/a"):
        (tmp_path / name).mkdir(parents=True)
    assert parts(str(tmp_path)) == (str(tmp_path / "train"), str(tmp_path / "val"))
    with pytest.raises(ParameterError, match=r"holds two sets of images; name one, .*/train or .*/val"):
        read_data(str(tmp_path), read_never, (1, 8, 8), PLAIN)
    assert parts(str(tmp_path / "train")) is None


def test_classes_may_be_called_train_and_test(tmp_path):
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "picture.png").touch()
    assert parts(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (np.zeros((2, 0, 8)), [0, 1], "have no pixels"),
        (np.zeros((2, 8, 8)), [0, 2**40], "a label is 1099511627776; give numbers below 100000"),
        (np.zeros((2, 8, 8)), [0.0, 1.0], "labels are float64: give whole numbers"),
    ],
)
def test_arrays_that_are_no_data(tmp_path, images, labels, words):
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    with pytest.raises(ParameterError, match=words):
        read_data(str(tmp_path / "a.npz"), read_never, (1, 8, 8), PLAIN)


def test_npz(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.full((4, 8, 8, 3), 255, np.uint8), labels=[0, 1, 1, 0])
    data = read_data(str(tmp_path / "a.npz"), read_never, (1, 8, 8), PLAIN)
    np.testing.assert_allclose(data.images, np.ones((4, 1, 8, 8)), rtol=1e-6)
    np.savez(tmp_path / "b.npz", pictures=np.zeros((4, 8, 8)))
    with pytest.raises(FilterFileError, match="holds pictures; give images"):
        read_data(str(tmp_path / "b.npz"), read_never, (1, 8, 8), PLAIN)


def test_preparing_takes_the_middle_of_the_short_side():
    image = np.zeros((20, 40, 1), np.float32)
    image[:, 10:30] = 1
    how = Preprocessing(20, 10, (0.5,) * 3, (0.5,) * 3)
    np.testing.assert_array_equal(prepare(image, (3, 10, 10), how), np.ones((3, 10, 10)))


def test_resizing_equals_pillow():
    from PIL import Image

    image = np.random.default_rng(0).uniform(0, 1, (37, 53)).astype(np.float32)
    for size in ((11, 20), (64, 70)):
        expected = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
        np.testing.assert_allclose(resize(image, size), expected, atol=1e-5)


def test_variation_without_width_changes_nothing():
    images = np.random.default_rng(0).uniform(0, 1, (3, 2, 9, 8)).astype(np.float32)
    np.testing.assert_allclose(augmented(images, np.random.default_rng(1), 0, 0, 0), images, atol=1e-6)
    assert np.abs(augmented(images, np.random.default_rng(1), 2, 10, 0.1) - images).max() > 0.1


def test_a_split_holds_some_of_each_class():
    data = Data(np.zeros((30, 1, 8, 8), np.float32), np.repeat([0, 1, 2], [18, 9, 3]), list("abc"))
    rest, held = data.split(1 / 3, seed=0)
    assert np.bincount(held.labels).tolist() == [6, 3, 1]
    assert len(rest) + len(held) == 30


def test_a_gzip_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnfilter.nn.data.PLAUSIBLE_BYTES", 1 << 20)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb") as file:
        file.write(struct.pack(">HBBLLL", 0, 8, 3, 4 << 10, 28, 28) + bytes(28 * 28 * (4 << 10)))
    with pytest.raises(FilterFileError, match="as no data set does"):
        read_idx(str(path))
    monkeypatch.undo()
    assert read_idx(str(path)).shape == (4 << 10, 28, 28)
