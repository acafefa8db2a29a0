"""The loop of every training: rounds of steps, each followed by a look at what is held out.

What is trained, on which batches, and how it is judged, say those who make a `TrainingLoop` of their own.
Which tensors are kept, when to stop, and how an interrupted training goes on is said here.
"""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Generic, TypeVar

from cnnfilter.errors import CnnFilterError, FilterFileError
from cnnfilter.files.weightsfile import read_tensors, write_tensors
from cnnfilter.nn.blas import single_threaded
from cnnfilter.nn.functional.windows import Array
from cnnfilter.nn.optimisers import SGD, Adam

Batch = TypeVar("Batch")


class TrainingLoop(ABC, Generic[Batch]):
    """Something being trained: what an interrupted run must keep.

    Who makes one writes a round: steps by `_learn`, a look that adds to `qualities`, and `_keep`.

    Parameters
    ----------
    optimiser : Adam or SGD
    patience : int
        Stop after so many looks that were no better than the best, and keep the tensors of that one.
        0: go on to the end and keep those.
    """

    PARTS: ClassVar[tuple[str, str, str]]
    """What names in a checkpoint begin with: of the tensors now, of the best, of the optimiser's."""

    def __init__(self, optimiser: Adam | SGD, patience: int) -> None:
        self.optimiser, self.patience = optimiser, patience
        self._last: dict[str, Array] = {}
        self._best: dict[str, Array] = {}

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """Return what is trained and what is kept beside it: the arrays themselves."""

    @abstractmethod
    def gradients(self, batch: Batch) -> tuple[float, Mapping[str, Array]]:
        """Return the loss of a batch, summed over it, and gradients by the names of `tensors`."""

    @property
    @abstractmethod
    def rate(self) -> float:
        """Learning rate of the next step."""

    @property
    @abstractmethod
    def qualities(self) -> list[float]:
        """How good each look found it: more is better."""

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether all steps are done."""

    @property
    def best(self) -> dict[str, Array]:
        """Tensors to keep, see `patience`; none before the first look."""
        return self._best if self.patience else self._last

    @property
    def waited(self) -> int:
        """Looks since the best one, the first of several equals."""
        found = [-math.inf if math.isnan(quality) else quality for quality in self.qualities]
        return len(found) - 1 - max(range(len(found)), key=found.__getitem__) if found else 0

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or patience is at its end."""
        return self.complete or 0 < self.patience <= self.waited

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint, whole or not at all."""
        groups = self.tensors(), self._best, self.optimiser.state()
        tensors = {
            f"{prefix}{name}": tensor
            for prefix, group in zip(self.PARTS, groups, strict=True)
            for name, tensor in group.items()
        }
        write_tensors(path, tensors, self._metadata())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Go on from a file of `save`.

        Raises
        ------
        FilterFileError
            If the file is no checkpoint, or damaged.
        CnnFilterError
            If it is one of another training.
        """
        tensors, metadata = read_tensors(path)
        now, best, optimiser = (
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            for prefix in self.PARTS
        )
        try:
            self._resume(path, metadata)
            self._load(now)
            self.optimiser.restore(optimiser)
            self._last = _copies(self.tensors())
            self._best = {name: best[name].reshape(x.shape) for name, x in self._last.items() if best}
        except CnnFilterError:
            raise
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FilterFileError(f"{path}: the checkpoint is damaged ({error!r})") from error

    def _learn(self, batches: Iterable[Batch]) -> float:
        """Take a step for each batch; return the sum of their losses.

        BLAS keeps to one thread: its own wait for each other at every small product, ten times as long
        on a busy machine, and the values would depend on their number.
        """
        total = 0.0
        with single_threaded():
            for batch in batches:
                loss, gradients = self.gradients(batch)
                self.optimiser.rate = self.rate
                self.optimiser.step(self.tensors(), gradients)
                total += loss
        return total

    def _keep(self) -> None:
        """Copy the tensors after a look, as the best if it found them so."""
        self._last = _copies(self.tensors())
        if not self.waited:
            self._best = self._last

    @abstractmethod
    def _metadata(self) -> dict[str, str]:
        """Return what a checkpoint says beside its tensors."""

    @abstractmethod
    def _resume(self, path: str | os.PathLike[str], metadata: Mapping[str, str]) -> None:
        """Take up what `_metadata` said, if it is of this training."""

    @abstractmethod
    def _load(self, tensors: Mapping[str, Array]) -> None:
        """Take up `tensors`."""


def _copies(tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {name: tensor.copy() for name, tensor in tensors.items()}
