"""Training of a network: epochs of batches, a schedule, and how well it tells what is held out apart.

All that is random in an epoch (order, variation, dropout) is drawn from the seed and the epoch's number.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from cnnfilter.errors import CnnFilterError, FilterFileError, ParameterError
from cnnfilter.nn.blas import single_threaded
from cnnfilter.nn.data import Data, augmented
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.lazyimages import Images, batches
from cnnfilter.nn.loop import TrainingLoop
from cnnfilter.nn.losses import loss_named
from cnnfilter.nn.network import Network
from cnnfilter.nn.optimisers import SGD, Adam, half_cosine

AUXILIARY_WEIGHT = 0.3
SCHEDULES = ("constant", "cosine", "step")


class DivergenceError(CnnFilterError, ArithmeticError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes
    ----------
    epochs, batch : int
    optimiser : {"adam", "sgd"}
    rate : float
        Learning rate at the start.
    momentum : float
        Of sgd.
    decay : float
        Weight decay.
    schedule : {"cosine", "step", "constant"}
        To zero along half a cosine; to a tenth after a half and again after three quarters; the same.
    seed : int
    shift, angle, scale : float
        Variation of the images: most pixels, degrees and share; see `data.augmented`.
    patience : int
        Stop after so many epochs without a better validation loss, and keep the epoch where it was
        lowest. 0: go on to the end and keep that, for there the schedule has made the steps small.
    """

    epochs: int = 20
    batch: int = 32
    optimiser: str = "adam"
    rate: float = 0.001
    momentum: float = 0.9
    decay: float = 0.0
    schedule: str = "cosine"
    seed: int = 0
    shift: float = 0.0
    angle: float = 0.0
    scale: float = 0.0
    patience: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ParameterError(f"epochs {self.epochs} and batch {self.batch} must be at least 1")
        if self.schedule not in SCHEDULES:
            raise ParameterError(f"schedule is {self.schedule!r}: choose one of {', '.join(SCHEDULES)}")
        if self.optimiser not in ("adam", "sgd"):
            raise ParameterError(f"optimiser is {self.optimiser!r}: choose adam or sgd")

    def rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        done = epoch / self.epochs
        if self.schedule == "cosine":
            return self.rate * (0.01 + 0.99 * half_cosine(math.pi * done))
        if self.schedule == "step":
            return float(self.rate * 0.1 ** ((done >= 0.5) + (done >= 0.75)))
        return self.rate


class Training(TrainingLoop[tuple[Array, Array]]):
    """A network being trained: what an interrupted run must keep.

    Parameters
    ----------
    network : Network
        With values.
    settings : Settings
    frozen : iterable of str, optional
        Names of layers that stay as they are, their running means too; ``*`` stands for anything.

    Raises
    ------
    ParameterError
        If nothing is called so, or nothing is left to learn.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    history : list of dict
        For each epoch: train_loss, valid_loss, valid_accuracy, rate.
    """

    PARTS = "now/", "lowest/", "optimiser/"

    def __init__(self, network: Network, settings: Settings, frozen: Iterable[str] = ()) -> None:
        optimiser: Adam | SGD = (
            Adam(settings.rate, decay=settings.decay)
            if settings.optimiser == "adam"
            else SGD(settings.rate, settings.momentum, settings.decay)
        )
        super().__init__(optimiser, settings.patience)
        self.network, self.settings, self.frozen = network, settings, tuple(frozen)
        still = _named(network, self.frozen)
        self._learned = [name for name in network.parameters if name not in still]
        if not self._learned:
            raise ParameterError(f"every layer of {network.name} is frozen: nothing is left to learn")
        # Nothing steps frozen parameters; what a layer keeps beside them follows every batch.
        kept = still - set(network.parameters)
        self._still = {name: array.copy() for name, array in network.tensors().items() if name in kept}
        self.epoch, self.history = 0, list[dict[str, float]]()

    def run_epoch(self, train: Data, valid: Data, progress: Callable[[int], object] | None = None) -> None:
        """Go once through `train`, then judge by `valid`.

        Raises
        ------
        DivergenceError
            If the loss becomes NaN or infinite; `history` and `best` stay those of the epoch before.
        """
        random = np.random.default_rng([self.settings.seed, self.epoch])
        self.network.reseed(random)
        train_loss = self._learn(self._batches(train, random, progress)) / len(train)
        with single_threaded():
            scores = predict(self.network, valid.images)
        loss, _ = loss_named(self.network.loss)(scores, valid.labels)
        self._require_finite(loss)
        accuracy = float((scores.argmax(axis=1) == valid.labels).mean())
        row = {"train_loss": train_loss, "valid_loss": loss, "valid_accuracy": accuracy}
        self.history.append(row | {"rate": self.rate})
        self.epoch += 1
        self._keep()

    def tensors(self) -> dict[str, Array]:
        """Those of the network."""
        return self.network.tensors()

    def gradients(self, batch: tuple[Array, Array]) -> tuple[float, Mapping[str, Array]]:
        """Of images and labels, the auxiliary heads asked too."""
        images, labels = batch
        network, loss_of = self.network, loss_named(self.network.loss)
        scores = network.forward(images, train=True)
        loss, delta = loss_of(scores, labels)
        for head in network.auxiliaries:
            assert head.scores is not None
            more, gradient = loss_of(head.scores, labels)
            loss += AUXILIARY_WEIGHT * more
            head.delta = AUXILIARY_WEIGHT * gradient
        self._require_finite(loss)
        network.backward(delta.astype(scores.dtype, copy=False))
        tensors, gradients = network.tensors(), network.gradients
        for name, value in self._still.items():
            tensors[name][...] = value
        return loss * len(labels), {name: gradients[name] for name in self._learned}

    @property
    def rate(self) -> float:
        """Learning rate of the epoch."""
        return self.settings.rate_at(self.epoch)

    @property
    def qualities(self) -> list[float]:
        """Of each epoch: the lower the validation loss, the better."""
        return [-row["valid_loss"] for row in self.history]

    @property
    def complete(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.settings.epochs

    def _batches(
        self, train: Data, random: np.random.Generator, progress: Callable[[int], object] | None
    ) -> Iterator[tuple[Array, Array]]:
        settings = self.settings
        order = random.permutation(len(train))
        parts = [order[i : i + settings.batch] for i in range(0, len(order), settings.batch)]
        for chosen, images in zip(parts, batches(train.images, parts), strict=True):
            if settings.shift or settings.angle or settings.scale:
                varied = augmented(images, random, settings.shift, settings.angle, settings.scale)
            else:
                varied = images
            yield varied, train.labels[chosen]
            if progress:
                progress(len(chosen))

    def _require_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss became {loss} in epoch {self.epoch + 1} at rate {self.rate:g}: "
                "a lower rate may help"
            )

    def _metadata(self) -> dict[str, str]:
        facts = {
            "network": self.network.name, "options": self.network.options, "settings": asdict(self.settings),
            "epoch": self.epoch, "history": self.history, "frozen": self.frozen,
        }  # fmt: skip
        return {"cnnfilter_checkpoint": json.dumps(facts)}

    def _resume(self, path: str | os.PathLike[str], metadata: Mapping[str, str]) -> None:
        """Take up epoch and history; name all settings that differ, but for patience and more epochs."""
        try:
            facts: Any = json.loads(metadata["cnnfilter_checkpoint"])
            settings, history, epoch = dict(facts["settings"]), list(facts["history"]), int(facts["epoch"])
            settings["frozen"] = list(facts.get("frozen", ()))
        except (KeyError, TypeError, ValueError) as error:
            raise FilterFileError(f"{path}: not a checkpoint of training") from error
        mine = {"network": self.network.name, "options": self.network.options, **asdict(self.settings)}
        mine["frozen"] = list(self.frozen)
        if mine["epochs"] > epoch:
            settings["epochs"] = mine["epochs"]
        theirs = {"network": facts["network"], "options": facts["options"], **settings}
        differ = [k for k in mine if mine[k] != theirs.get(k) and k != "patience"]
        if differ:
            told = ", ".join(f"{k} was {theirs.get(k)!r}, is {mine[k]!r}" for k in differ)
            raise ParameterError(f"{path}: cannot resume, {told}")
        self.history, self.epoch = history, epoch

    def _load(self, tensors: Mapping[str, Array]) -> None:
        self.network.load(tensors)


def _named(network: Network, patterns: Iterable[str]) -> set[str]:
    """Return the names of the tensors of layers that are called so, or stand inside what is."""
    layers = [(name, layer) for name, layer in network.layers() if name]
    found: set[str] = set()
    for pattern in patterns:
        tensors = {
            f"{name}.{key}"
            for name, layer in layers
            for key in layer.shapes()
            if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
        }
        if not tensors:
            known = ", ".join(name for name, layer in layers if layer.shapes())
            raise ParameterError(f"no layer of {network.name} is called {pattern!r}: there are {known}")
        found |= tensors
    return found


def fit(network: Network, train: Data, valid: Data, settings: Settings) -> Training:
    """Train to the end and leave the best tensors in the network.

    Parameters
    ----------
    network : Network
        With values; changed in place.
    train, valid : Data
    settings : Settings

    Returns
    -------
    Training
        With history and best.
    """
    training = Training(network, settings)
    while not training.finished:
        training.run_epoch(train, valid)
    network.load(training.best)
    return training


def predict(network: Network, images: Images, batch: int = 64) -> Array:
    """Run a network over images, a batch at a time.

    Parameters
    ----------
    network : Network
    images : ndarray of shape (N, D, M, N') or LazyImages
        float32, of the network's input shape, else a `ParameterError`.
    batch : int, default 64
        Images at a time.

    Returns
    -------
    float32 array of shape (N, classes)
        Scores; the largest of a row is the class.
    """
    numbers = [np.arange(i, min(i + batch, len(images))) for i in range(0, len(images), batch)]
    parts = [network.forward(some) for some in batches(images, numbers)]
    return np.concatenate(parts) if parts else np.empty((0, network.classes), np.float32)


def confusion(scores: Array, labels: Array) -> Array:
    """Count (true class, predicted class) pairs.

    Parameters
    ----------
    scores : array of shape (N, classes)
    labels : integer array of shape (N,)
        From 0 to classes - 1, else an `IndexError`.

    Returns
    -------
    integer array of shape (classes, classes)
        True classes along the rows.

    Examples
    --------
    >>> confusion(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])).tolist()
    [[1, 0], [1, 0]]
    """
    table = np.zeros((scores.shape[1],) * 2, int)
    np.add.at(table, (labels, scores.argmax(axis=1)), 1)
    return table
