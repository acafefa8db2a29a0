"""Training: what it learns, that it can be repeated and interrupted, and how it diverges."""

import os

import numpy as np
import pytest

from cnnfilter.errors import FilterFileError, ParameterError
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.nn.data import Data
from cnnfilter.nn.fit import DivergenceError, Settings, Training, confusion, fit, predict
from cnnfilter.nn.layers import Convolution, Dense, Dropout
from cnnfilter.nn.layers_normalising import BatchNorm
from cnnfilter.nn.layers_pooling import MaxPooling
from cnnfilter.nn.models import MODELS, build
from cnnfilter.nn.models.digits import codes
from cnnfilter.nn.models.recipes import RECIPES, recipe
from cnnfilter.nn.network import Network, relu


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


def test_a_seed_repeats_a_run_and_another_does_not():
    train, valid = bars()
    first, again, other = (
        fit(small(), train, valid, Settings(epochs=2, shift=1, seed=seed)).best for seed in (0, 0, 1)
    )
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["fc.weight"], other["fc.weight"])


def test_the_end_is_kept_or_with_patience_the_lowest_loss():
    train, valid = bars()
    mistaken = Data(valid.images, (valid.labels + 1) % 3, valid.names)
    trainings = [Training(small(), Settings(epochs=4, rate=0.01, patience=patience)) for patience in (0, 9)]
    after = []
    for judge in (valid, valid, mistaken, mistaken):
        for training in trainings:
            training.run_epoch(train, judge)
        after.append(trainings[0].network.parameters["fc.weight"].copy())
    for training, epoch in zip(trainings, (3, 1), strict=True):
        np.testing.assert_array_equal(training.best["fc.weight"], after[epoch])


def test_what_interrupts_an_epoch_leaves_the_checkpoint_before_it(tmp_path):
    train, valid = bars()
    settings, path = Settings(epochs=3, batch=16, rate=0.01, shift=1), tmp_path / "checkpoint"
    whole = fit(small(), train, valid, settings)
    training = Training(small(), settings)
    training.run_epoch(train, valid)
    training.save(path)
    steps = iter(range(3))

    def stop(count):
        if next(steps, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.run_epoch(train, valid, stop)
    rest = Training(small().initialise(seed=5), settings)
    rest.restore(path)
    while not rest.finished:
        rest.run_epoch(train, valid)
    assert rest.history == whole.history
    for name, tensor in whole.best.items():
        np.testing.assert_array_equal(rest.best[name], tensor, err_msg=name)


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_what_interrupts_the_writing_of_a_checkpoint_leaves_the_one_before(tmp_path, monkeypatch, where):
    train, valid = bars()
    path = tmp_path / "checkpoint"
    training = Training(small(), Settings(epochs=2, rate=0.01))
    training.run_epoch(train, valid)
    training.save(path)
    before = path.read_bytes()

    def stop(*arguments):
        raise KeyboardInterrupt

    training.run_epoch(train, valid)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, where, stop)
        training.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    train, valid = bars()
    training = Training(small(), Settings(epochs=2, rate=0.01))
    training.run_epoch(train, valid)
    training.save(tmp_path / "checkpoint")
    with pytest.raises(ParameterError, match=r"cannot resume, rate was 0\.01, is 0\.02"):
        Training(small(), Settings(epochs=3, rate=0.02)).restore(tmp_path / "checkpoint")
    other = Network("other", (1, 8, 8), [Dense("fc", 3)]).initialise()
    with pytest.raises(ParameterError, match="cannot resume, network was 'small', is 'other'"):
        Training(other, Settings(epochs=2, rate=0.01)).restore(tmp_path / "checkpoint")


def test_weights_are_no_checkpoint(tmp_path):
    write_tensors(tmp_path / "weights", small().tensors())
    with pytest.raises(FilterFileError, match="weights: not a checkpoint of training"):
        Training(small(), Settings()).restore(tmp_path / "weights")


def test_a_checkpoint_without_its_optimiser_is_damaged(tmp_path):
    train, valid = bars()
    training, path = Training(small(), Settings(epochs=2, rate=0.01)), tmp_path / "checkpoint"
    training.run_epoch(train, valid)
    training.save(path)
    tensors, metadata = read_tensors(path)
    write_tensors(path, {n: t for n, t in tensors.items() if not n.startswith("optimiser/")}, metadata)
    with pytest.raises(FilterFileError, match=r"the checkpoint is damaged \(KeyError\('steps'\)\)"):
        Training(small(), Settings(epochs=2, rate=0.01)).restore(path)


@pytest.mark.parametrize("patience", [0, 3])
@pytest.mark.parametrize("batches", [1, 2])
def test_divergence_stops_with_the_best_kept(patience, batches):
    """In the epoch, and by its last step, which only the images held out can tell."""
    train, valid = bars()
    training = Training(small(), Settings(epochs=3, rate=0.01, patience=patience))
    training.run_epoch(train, valid)
    best = {name: tensor.copy() for name, tensor in training.best.items()}

    def spoil(count):
        training.network.parameters["fc.weight"][:] = np.nan

    with pytest.raises(DivergenceError, match=r"became nan in epoch 2 at rate 0\.007"):
        training.run_epoch(train.part(np.arange(32 * batches)), valid, spoil)
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


def test_confusion():
    table = confusion(np.eye(3)[[0, 1, 1, 2]], np.array([0, 1, 2, 2]))
    assert table.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_recipes():
    assert set(RECIPES) <= set(MODELS)
    assert recipe("lenet5", epochs=3, seed=None).epochs == 3
    assert recipe("lenet5", rate=None) == RECIPES["lenet5"]
    assert recipe("alexnet", seed=4) == Settings(seed=4)


def test_codes_of_digits_differ():
    pictures = codes(12)
    differ = (pictures[:, None] != pictures).sum(axis=2) + 84 * np.eye(12, dtype=int)
    assert set(np.unique(pictures)) == {-1.0, 1.0} and differ.min() == 14
    np.testing.assert_array_equal(codes(3), pictures[:3])
    assert build("lenet5", classes=12).output == (12,)
