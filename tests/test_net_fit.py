"""Training: what it learns, that it can be interrupted, and what it does with bad data."""

import gzip
import struct

import numpy as np
import pytest

from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.nn.data import Data, augmented, prepare, read_data, resize
from cnnfilter.nn.fit import DivergenceError, Settings, Training, confusion, fit, predict
from cnnfilter.nn.layers import Convolution, Dense, Dropout
from cnnfilter.nn.layers_normalising import BatchNorm
from cnnfilter.nn.layers_pooling import MaxPooling
from cnnfilter.nn.models import build
from cnnfilter.nn.network import Network, Preprocessing, relu

PLAIN = Preprocessing(8, 8, (0.0,), (1.0,))


def small():
    layers = [
        Convolution("conv", 4, 3, padding=1), BatchNorm("bn"), relu(), MaxPooling(2), Dropout(0.2),
        Dense("fc", 3),
    ]  # fmt: skip
    return Network("small", (1, 8, 8), layers).initialise(seed=1)


def bars(count=300):
    """Rows, columns or the middle lit, with noise."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = random.uniform(0, 0.3, (count, 1, 8, 8)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        at = random.integers(1, 7)
        where = [np.s_[0, at, :], np.s_[0, :, at], np.s_[0, 3:5, 3:5]][label]
        image[where] = 1
    return Data(images, labels, ["row", "column", "middle"]).split(0.3, seed=0)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(epochs=8, batch=16, rate=0.01),
        Settings(epochs=8, batch=16, optimiser="sgd", rate=0.05, schedule="step", decay=1e-4),
    ],
)
def test_it_learns(settings):
    train, valid = bars()
    training = fit(small(), train, valid, settings)
    assert training.history[-1]["train_loss"] < training.history[0]["train_loss"] / 2
    assert (predict(training.network, valid.images).argmax(axis=1) == valid.labels).mean() > 0.9


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path, optimiser):
    settings = Settings(epochs=4, batch=16, optimiser=optimiser, rate=0.01, shift=1, angle=10, scale=0.1)
    train, valid = bars()
    whole = fit(small(), train, valid, settings)
    half = Training(small(), settings)
    for _ in range(2):
        half.run_epoch(train, valid)
    half.save(tmp_path / "checkpoint")
    rest = Training(small().initialise(seed=99), settings)
    rest.restore(tmp_path / "checkpoint")
    while not rest.finished:
        rest.run_epoch(train, valid)
    assert rest.history == whole.history
    for name, tensor in whole.best.items():
        np.testing.assert_array_equal(rest.best[name], tensor, err_msg=name)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    train, valid = bars()
    training = Training(small(), Settings(epochs=2, rate=0.01))
    training.run_epoch(train, valid)
    training.save(tmp_path / "checkpoint")
    with pytest.raises(ParameterError, match=r"cannot resume, rate was 0\.01, is 0\.02"):
        Training(small(), Settings(epochs=2, rate=0.02)).restore(tmp_path / "checkpoint")


def test_divergence_stops_with_the_best_kept():
    train, valid = bars()
    training = Training(small(), Settings(epochs=3, rate=0.01))
    training.run_epoch(train, valid)
    best = {name: tensor.copy() for name, tensor in training.best.items()}
    training.network.parameters["fc.weight"][:] = np.nan
    with pytest.raises(DivergenceError, match="became nan in epoch 2"):
        training.run_epoch(train, valid)
    assert len(training.history) == 1
    for name, tensor in best.items():
        np.testing.assert_array_equal(training.best[name], tensor)


def test_patience():
    training = Training(small(), Settings(epochs=50, patience=2))
    training.epoch, training.history = 4, [{"valid_loss": v} for v in (3.0, 1.0, 2.0, 1.5)]
    assert training.finished
    training.history[-1] = {"valid_loss": 0.5}
    assert not training.finished


def test_weights_of_another_network_are_named():
    tensors = small().tensors()
    tensors["conv.weight"] = np.zeros((4, 1, 5, 5), np.float32)
    with pytest.raises(ParameterError, match=r"conv.weight is \(4, 1, 5, 5\), small has \(4, 1, 3, 3\)"):
        small().load(tensors)
    tensors = small().tensors() | {"extra": np.zeros(1)}
    del tensors["fc.bias"]
    with pytest.raises(ParameterError, match=r"missing fc.bias; unexpected extra"):
        small().load(tensors)
    counted = {f"module.{n}": a for n, a in small().tensors().items()}
    small().load(counted | {"module.bn.num_batches_tracked": np.array(3)})


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


def test_confusion():
    table = confusion(np.eye(3)[[0, 1, 1, 2]], np.array([0, 1, 2, 2]))
    assert table.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
