"""The loops of one `fit`: epochs, their batches, and validation; and where they stand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol, cast

from .. import storage
from ..callbacks import BackupAndRestore, Callback, CallbackList, Logs
from ..callbacks.base import TrainedModel
from ..core import processes, random
from ..core.parameters import Array
from ..core.warn import warn
from ..storage.stored_model import StoredModel
from .batches import Batch, Batches, no_batch, warn_of_the_end
from .engine import Engine
from .progress import Meter
from .scores import Scores

if TYPE_CHECKING:
    from ..storage import Arrays

_LOST = (
    "the loss became {} in epoch {}, and the weights are lost: scale the images to 0 .. 1, lower "
    "the learning rate, or look for NaN and infinite values with numpy.isfinite(x).all()"
)


_MOST_EPOCHS = 10_000_000  # a hostile file shall not keep the machine busy


class FittedModel(TrainedModel, StoredModel, Protocol):
    """A model as a training sees it."""

    _engine: Engine

    def _scores(self) -> Scores: ...


class FitLoop:
    """Trains epoch after epoch.

    Args:
        model: that trains.
        epochs: their numbers.
        training: the batches to train on.
        validation: those to validate with, or None.
        validates: whether to validate after an epoch.
        seed: of the model's random numbers.
        callbacks: who hears of it.
    """

    def __init__(
        self,
        model: FittedModel,
        epochs: range,
        training: Batches,
        validation: Batches | None,
        validates: Callable[[int], bool],
        seed: int,
        callbacks: CallbackList,
    ) -> None:
        self._model, self._epochs, self._seed = model, epochs, seed
        self._engine, self._new_scores = model._engine, model._scores
        self._training, self._validation = training, validation
        self._validates, self._callbacks = validates, callbacks
        self._epoch = epochs.start  # the one that runs, or comes next
        self._scores: Scores | None = None  # of the epoch that runs
        self._rest: Iterator[Batch] | None = None  # of an epoch that another process began
        self._logs: Logs = {}  # of the last epoch
        self._loss = 0.0  # not that of the logs, where callbacks may put what they like
        self._is_over = self._begun = False

    def run(self) -> None:
        """Train to the end."""
        first = [len(self._epochs), self._training.length, self._training.batch_size]
        processes.agree(
            "fit", epochs=first[0], batches=first[1], batch_size=first[2], at=self._epoch
        )
        self._callbacks.call("on_train_begin")
        while self._epoch < self._epochs.stop and not self._is_over:
            batches = self._begin_epoch()
            if batches is None:
                break
            self._run_epoch(batches)
        if self._epochs and (optimizer := self._model.optimizer) is not None:
            weights = self._model.weights
            self._engine.lock.write(optimizer.finalize_variable_values, weights)
            self._settle()  # moving averages of weights are each process's own
        self._callbacks.call("on_train_end", logs=self._logs)

    def _begin_epoch(self) -> Iterator[Batch] | None:
        if self._rest is not None:
            batches, self._rest = self._rest, None
            self._callbacks.call("on_epoch_resumed", self._epoch)
            return batches
        begun = self._training.epoch(self._epoch, self._engine.steps)
        if begun is None:
            if self._epoch == self._epochs.start:
                raise no_batch("fit")
            warn_of_the_end()
            return None
        self._callbacks.call("on_epoch_begin", self._epoch)
        self._scores = self._new_scores()
        return begun

    def _run_epoch(self, batches: Iterator[Batch]) -> None:
        epoch, was_lost = self._epoch, not isfinite(self._loss)
        logs = self._train(batches)
        self._settle()
        self._loss = logs["loss"]
        if not isfinite(self._loss) and not was_lost:
            warn(_LOST.format(self._loss, epoch + 1))
        if self._validation is not None and self._validates(epoch):
            validated = self._engine.evaluate(self._validation, self._callbacks, self._new_scores())
            if not validated:
                warn_of_the_end()
            logs.update({f"val_{key}": value for key, value in validated.items()})
        # Who asks in the hook where training stands hears of the next epoch.
        self._logs, self._scores, self._epoch = logs, None, epoch + 1
        self._callbacks.call("on_epoch_end", epoch, logs=logs)
        self._is_over = self._stops()

    def _settle(self) -> None:
        """Give all processes the same weights."""
        if (everyone := processes.current()) is not None:
            self._engine.lock.write(everyone.settle, self._engine.parameters())

    def _train(self, batches: Iterator[Batch]) -> Logs:
        """Train on the batches of an epoch; return the means over it."""
        engine, scores = self._engine, self._scores
        assert scores is not None
        first, epoch = scores.batches, self._epoch if self._training.has_indices else None
        for batch, (samples, indices) in enumerate(batches, first):
            if not self._begun:  # here, for the first batch may have built the model
                self._begun = True
                engine.lock.write(self._take_state)
            self._callbacks.call("on_train_batch_begin", batch)
            engine.lock.write(engine.train_step, samples, indices, scores, self._seed, epoch)
            self._callbacks.call("on_train_batch_end", batch, logs=scores.logs())
            if self._stops():
                break
        return scores.logs()

    def _stops(self) -> bool:
        """Whether a callback wants the end, in any of the processes."""
        model, everyone = self._model, processes.current()
        if everyone is not None:
            model.stop_training = any(everyone.counts(int(model.stop_training)))
        return model.stop_training

    def _take_state(self) -> None:
        """Begin with the weights, the optimizer and the counters of the first process."""
        everyone = processes.current()
        if everyone is None:
            return
        if everyone.rank == 0:
            everyone.broadcast(storage.describe_training(self._model))
            return
        document, arrays = everyone.broadcast(None)
        shapes = {name: array.shape for name, array in arrays.items()}
        held = storage.Arrays(shapes, arrays.__getitem__)
        storage.restore_training(self._model, document, held)

    # Where it stands, in a file.

    def save(self, path: str) -> None:
        """Write everything that another process needs to go on from here."""
        model, validation = self._model, self._validation
        document, arrays = storage.describe_training(model)
        scores = None if self._scores is None else self._scores.state_dict()
        place = {
            "epoch": self._epoch,
            "seed": str(self._seed),  # JSON's numbers end before 2**64 for some readers
            "loss": self._loss,
            "stopped": model.stop_training,
            "scores": scores,
            "training": self._training.position(),
            "validation": None if validation is None else validation.position(),
            "logs": {key: value for key, value in self._logs.items() if _is_number(value)},
        }
        document["place"] = storage.pack(place, arrays, "place")
        document["callbacks"] = [
            [type(each).__name__, storage.pack(each.state_dict(), arrays, _title(i, each))]
            for i, each in enumerate(self._lasting())
        ]
        storage.write(path, document, arrays)

    def restore(self, backup: Backup) -> None:
        """Go to where the loop stood that wrote the backup.

        Raises:
            ValueError: that was a training of another model, or with other callbacks; or the file
                is damaged.
        """
        try:
            self._restore(backup)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ValueError(
                f"{backup.path} is damaged: {error!r}; remove it to begin anew"
            ) from error

    def _restore(self, backup: Backup) -> None:
        place, kinds = backup.place, [type(each).__name__ for each in self._lasting()]
        if [kind for kind, _ in backup.callbacks] != kinds:
            raise ValueError(
                f"{backup.path} is of a training with the callbacks "
                f"{[kind for kind, _ in backup.callbacks]}, and this one has {kinds}; give fit the "
                f"same ones, or remove the file to begin anew"
            )
        backup.give_to(self._model)
        for (_, state), callback in zip(backup.callbacks, self._lasting(), strict=True):
            callback.load_state_dict(state)
        self._epoch, self._loss, self._logs = place["epoch"], place["loss"], place["logs"]
        done = max(self._epoch - self._epochs.start, 0)
        within = place["scores"] is not None
        rest = self._training.resume(place["training"], done, within)
        if within:
            self._rest, self._scores = rest, self._new_scores()
            self._scores.load_state_dict(place["scores"])
        elif place["stopped"]:
            self._is_over = True
        if self._validation is not None and place["validation"] is not None:
            self._validation.resume(place["validation"], 0, False)
        self._model.stop_training = place["stopped"]

    def _lasting(self) -> list[Callback]:
        """The callbacks that have a state, in their order."""
        return [
            each
            for each in self._callbacks.callbacks
            if not isinstance(each, BackupAndRestore | Meter)
        ]


class Backup:
    """What `FitLoop.save` wrote.

    Args:
        path: of the file.

    Raises:
        ValueError: the file is damaged, or none of those.
        OSError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with storage.reading(path) as (document, arrays):
            self._document, self._values = document, _read_all(arrays)
            held = self._arrays()
            self.place: dict[str, Any] = storage.unpack(document["place"], held)
            self.callbacks = [
                (str(kind), storage.unpack(state, held)) for kind, state in document["callbacks"]
            ]
            self.seed = random.check_seed(int(self.place["seed"]))
            if not 0 <= self.place["epoch"] <= _MOST_EPOCHS:
                raise ValueError(f"its epoch must lie in 0 .. {_MOST_EPOCHS}")

    @classmethod
    def find(cls, paths: Sequence[str]) -> Backup | None:
        """The backup in the file of that path, or None; ValueError where there are two paths.

        The first process reads it for all, for it may remove the file of an earlier training while
        others are here already.
        """
        if len(paths) > 1:
            raise ValueError(f"a training has one BackupAndRestore, received {len(paths)}")
        if not paths:
            return None
        found: Backup | None = None
        if processes.is_first():
            found = next((cls(path) for path in paths if os.path.lexists(path)), None)
        return cast("Backup | None", processes.same(found))

    def _arrays(self) -> Arrays:
        shapes = {name: value.shape for name, value in self._values.items()}
        return storage.Arrays(shapes, self._values.__getitem__)

    def give_to(self, model: FittedModel) -> None:
        """Give the model its weights, its optimizer's memory, and its counters."""
        try:
            storage.restore_training(model, self._document, self._arrays())
        except ValueError as error:
            raise ValueError(
                f"{self.path} is of a training of another model: {error}; remove the file to begin "
                f"anew"
            ) from error


def _read_all(arrays: Arrays) -> Mapping[str, Array]:
    return {name: arrays.take(name, shape) for name, shape in arrays.shapes.items()}


def _title(number: int, callback: Callback) -> str:
    return f"callback {number} ({type(callback).__name__})"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
